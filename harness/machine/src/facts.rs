//! What a guest says of itself once it is up.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use measure::GuestFacts;

use crate::{
    FileReadings,
    guest::{Guest, Trouble, of_session_error},
};

/// Built-in drivers have probed before init starts; modules were loaded before the agent said that it is ready. What
/// is left is asynchronous probing.
const NIC_DEADLINE: Duration = Duration::from_secs(10);
/// Between two looks: sysfs has no event for a reader over a wire.
const NIC_INTERVAL: Duration = Duration::from_millis(20);

const CMDLINE: &str = "/proc/cmdline";
const VULNERABILITIES: &str = "/sys/devices/system/cpu/vulnerabilities/";
const PCI: &str = "/sys/bus/pci/devices/";

/// A NIC as the guest sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GuestNic {
    pub(crate) interface: String,
    /// The PCI function that it is, or that its virtio device belongs to: `0000:01:00.0`. None of a device that is not PCI.
    pub(crate) function: Option<String>,
    /// The type of its IOMMU group, or `none`.
    pub(crate) iommu: String,
}

/// Reads a guest's facts, and finds its NICs by their hardware addresses, in the order of `macs`.
pub(crate) async fn read(guest: &Guest, macs: &[&str]) -> Result<(GuestFacts, Vec<GuestNic>), Trouble> {
    let patterns = [
        CMDLINE.to_owned(),
        format!("{VULNERABILITIES}*"),
        // Interfaces by their PCI functions, which have the IOMMU groups; between a function and a virtio interface
        // there is a virtio device.
        format!("{PCI}*/net/*/address"),
        format!("{PCI}*/virtio*/net/*/address"),
        format!("{PCI}*/iommu_group/type"),
    ];
    let deadline = Instant::now() + NIC_DEADLINE;
    let mut interval = tokio::time::interval(NIC_INTERVAL);
    loop {
        interval.tick().await;
        let files = match guest.session.read(&patterns, 64 * 1024).await {
            Ok(files) => files,
            Err(error) => return Err(of_session_error(&guest.process, error).await),
        };
        match nics(&files, macs) {
            Ok(nics) => {
                let facts = GuestFacts {
                    release: guest.greeting.release.clone(),
                    cmdline: text(&files, CMDLINE).unwrap_or_default(),
                    mitigations: mitigations(&files),
                    iommu: nics.iter().map(|nic| (nic.interface.clone(), nic.iommu.clone())).collect(),
                    accel: guest.execution.to_owned(),
                };
                return Ok((facts, nics));
            }
            Err(missing) if Instant::now() >= deadline => {
                let message = format!(
                    "guest `{}` shows no network interface with the address {missing} within {} s",
                    guest.process.name(),
                    NIC_DEADLINE.as_secs()
                );
                return Err(Trouble::NotTestable(message));
            }
            Err(_not_yet) => {}
        }
    }
}

fn text(files: &FileReadings, path: &str) -> Option<String> {
    let bytes = files.get(path)?.as_ref().ok()?;
    Some(String::from_utf8_lossy(bytes).trim().to_owned())
}

fn mitigations(files: &FileReadings) -> BTreeMap<String, String> {
    let mut mitigations = BTreeMap::new();
    for path in files.keys() {
        if let Some(name) = path.strip_prefix(VULNERABILITIES)
            && let Some(state) = text(files, path)
        {
            mitigations.insert(name.to_owned(), state);
        }
    }
    mitigations
}

/// The NICs with these addresses, or the first address that no interface has.
fn nics<'a>(files: &FileReadings, macs: &[&'a str]) -> Result<Vec<GuestNic>, &'a str> {
    let find = |mac: &'a str| {
        let (function, interface) = files
            .keys()
            .filter(|path| text(files, path).as_deref() == Some(mac))
            .find_map(|path| function_and_interface(path))
            .ok_or(mac)?;
        let iommu =
            text(files, &format!("{PCI}{function}/iommu_group/type")).unwrap_or_else(|| "none".into());
        Ok(GuestNic { interface: interface.to_owned(), function: Some(function.to_owned()), iommu })
    };
    macs.iter().map(|mac| find(mac)).collect()
}

/// The PCI function and the interface in the path of an `address`.
fn function_and_interface(path: &str) -> Option<(&str, &str)> {
    let (function, rest) = path.strip_prefix(PCI)?.split_once('/')?;
    let (_, interface) = rest.strip_suffix("/address")?.rsplit_once("net/")?;
    Some((function, interface))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(content: &[(&str, &str)]) -> FileReadings {
        content.iter().map(|(path, text)| ((*path).to_owned(), Ok(text.as_bytes().to_vec()))).collect()
    }

    #[test]
    fn nics_are_found_by_address_with_the_mode_they_really_have() {
        let mut seen = files(&[
            ("/sys/bus/pci/devices/0000:00:02.0/virtio0/net/eth0/address", "52:54:00:00:00:02\n"),
            ("/sys/bus/pci/devices/0000:01:00.0/net/eth1/address", "52:54:00:00:00:01\n"),
            ("/sys/bus/pci/devices/0000:00:02.0/iommu_group/type", "identity\n"),
            ("/sys/bus/pci/devices/0000:00:03.0/iommu_group/type", "DMA\n"),
            ("/sys/bus/pci/devices/0000:01:00.0/iommu_group/type", "DMA-FQ\n"),
        ]);
        seen.insert("/sys/bus/pci/devices/*/x".into(), Err("nothing matches".into()));
        let found = nics(&seen, &["52:54:00:00:00:01", "52:54:00:00:00:02"]).unwrap();
        let expected = [("eth1", "0000:01:00.0", "DMA-FQ"), ("eth0", "0000:00:02.0", "identity")];
        assert_eq!(
            found,
            expected.map(|(interface, function, iommu)| GuestNic {
                interface: interface.into(),
                function: Some(function.into()),
                iommu: iommu.into()
            })
        );
        assert_eq!(nics(&seen, &["52:54:00:00:00:09"]), Err("52:54:00:00:00:09"));
    }

    #[test]
    fn a_nic_without_a_group_has_no_iommu() {
        let seen = files(&[("/sys/bus/pci/devices/0000:01:00.0/net/eth0/address", "52:54:00:00:00:01\n")]);
        assert_eq!(nics(&seen, &["52:54:00:00:00:01"]).unwrap()[0].iommu, "none");
    }

    #[test]
    fn mitigations_are_named_by_their_files() {
        let seen = files(&[
            ("/sys/devices/system/cpu/vulnerabilities/spectre_v2", "Mitigation: Retpolines\n"),
            ("/proc/cmdline", "x"),
        ]);
        assert_eq!(
            mitigations(&seen),
            BTreeMap::from([("spectre_v2".into(), "Mitigation: Retpolines".into())])
        );
    }
}
