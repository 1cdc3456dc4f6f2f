//! The host's IOMMU, and which network devices could be given to a guest.

use super::{Finding, Group, Patient, State};

const GROUP: Group = Group::Passthrough;
const GROUPS: &str = "/sys/kernel/iommu_groups";
const DEVICES: &str = "/sys/bus/pci/devices";

pub(super) fn examine(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    findings.push(iommu(patient));
    findings.push(vfio(patient));
    let nics: Vec<String> =
        patient.root.names(DEVICES).into_iter().filter(|device| is_nic(patient, device)).collect();
    if nics.is_empty() {
        findings.push(
            Finding::new(GROUP, "PCI network devices", State::Unavailable, "this machine has none")
                .means("nothing could be passed through; guests have emulated NICs"),
        );
    }
    findings.extend(nics.iter().map(|device| nic(patient, device)));
}

fn groups(patient: &Patient<'_>) -> usize {
    patient.root.names(GROUPS).len()
}

fn iommu(patient: &Patient<'_>) -> Finding {
    let subject = "host IOMMU";
    let count = groups(patient);
    if count > 0 {
        let units = patient.root.names("/sys/class/iommu").len();
        let mode = patient.root.read(&format!("{GROUPS}/0/type"));
        let mode = mode.map(|mode| format!(", default domain {mode}")).unwrap_or_default();
        return Finding::new(
            GROUP,
            subject,
            State::Ok,
            format!("{count} groups, {units} {}{mode}", if units == 1 { "unit" } else { "units" }),
        );
    }
    let tables = "/sys/firmware/acpi/tables";
    let nothing = "no device can be passed through; IOMMU questions run on QEMU's emulated one";
    if !patient.root.exists(tables) {
        return Finding::new(
            GROUP,
            subject,
            State::Unavailable,
            "no device is behind one, and the firmware's tables cannot be seen from here",
        )
        .means(nothing);
    }
    let (table, parameter) = if patient.root.exists(&format!("{tables}/DMAR")) {
        ("DMAR", "intel_iommu=on iommu=pt")
    } else if patient.root.exists(&format!("{tables}/IVRS")) {
        ("IVRS", "amd_iommu=on iommu=pt")
    } else {
        let finding = Finding::new(
            GROUP,
            subject,
            State::Unavailable,
            "the firmware describes none (no DMAR or IVRS table)",
        )
        .means(nothing);
        return if patient.is_guest() {
            finding.advised("on the host of this virtual machine: give it a vIOMMU")
        } else {
            finding.advised("in the firmware's set-up: switch on VT-d or AMD-Vi")
        };
    };
    Finding::new(
        GROUP,
        subject,
        State::Missing,
        format!("the firmware describes one ({table}), and no device is behind it"),
    )
    .means(nothing)
    .changed_by(patient.distribution.kernel_parameter(parameter))
}

fn vfio(patient: &Patient<'_>) -> Finding {
    let subject = "VFIO";
    let loaded = |module: &str| patient.root.exists(&format!("/sys/module/{module}"));
    let iommufd = if patient.root.exists("/dev/iommu") { ", iommufd" } else { ", no iommufd" };
    if loaded("vfio_pci") {
        return Finding::new(GROUP, subject, State::Ok, format!("vfio-pci is there{iommufd}"));
    }
    let modules = format!("/lib/modules/{}", patient.probes.release);
    let has = |list: &str| {
        patient.root.read(&format!("{modules}/{list}")).is_some_and(|text| text.contains("/vfio-pci.ko"))
    };
    if has("modules.dep") || has("modules.builtin") {
        return Finding::new(GROUP, subject, State::Missing, "vfio-pci is not loaded")
            .means("no device can be passed through until it is")
            .changed_by(patient.distribution.as_root("modprobe vfio-pci"));
    }
    let found = if patient.root.exists(&modules) {
        "this kernel has no vfio-pci"
    } else {
        "vfio-pci is not loaded, and this kernel's modules are not here"
    };
    Finding::new(GROUP, subject, State::Unavailable, found)
        .means("no device of this machine can be passed through; guests in guests can still be tried under emulation")
}

/// PCI class 02: network controllers.
fn is_nic(patient: &Patient<'_>, device: &str) -> bool {
    patient.root.read(&format!("{DEVICES}/{device}/class")).is_some_and(|class| class.starts_with("0x02"))
}

fn nic(patient: &Patient<'_>, device: &str) -> Finding {
    let root = patient.root;
    let at = |name: &str| format!("{DEVICES}/{device}/{name}");
    let id = |name: &str| root.read(&at(name)).unwrap_or_default().trim_start_matches("0x").to_owned();
    let driver = root.link_name(&at("driver"));
    let mut found =
        format!("{}:{}, {}", id("vendor"), id("device"), driver.as_deref().unwrap_or("no driver"));
    // virtio puts a device of its own between.
    let mut interfaces = root.names(&at("net"));
    for child in root.names(&format!("{DEVICES}/{device}")).iter().filter(|name| name.starts_with("virtio")) {
        interfaces.extend(root.names(&format!("{DEVICES}/{device}/{child}/net")));
    }
    if !interfaces.is_empty() {
        found.push_str(&format!(", {}", interfaces.join(", ")));
    }
    if let Some(functions) = root.number::<u32>(&at("sriov_totalvfs")).filter(|functions| *functions > 0) {
        found.push_str(&format!(", up to {functions} virtual functions"));
    }
    let subject = format!("NIC {device}");
    let Some(group) = root.link_name(&at("iommu_group")) else {
        return Finding::new(GROUP, subject, State::Unavailable, found)
            .means("behind no IOMMU, so it cannot be passed through");
    };
    found.push_str(&format!(", group {group}"));
    let others: Vec<String> = root
        .names(&format!("{GROUPS}/{group}/devices"))
        .into_iter()
        // A bridge stays with the host.
        .filter(|other| {
            other != device
                && !root
                    .read(&format!("{DEVICES}/{other}/class"))
                    .is_some_and(|class| class.starts_with("0x0604"))
        })
        .collect();
    let routed = default_routes(patient);
    if driver.as_deref() == Some("vfio-pci") {
        Finding::new(GROUP, subject, State::Ok, found).means("it is ready to be passed through")
    } else if interfaces.iter().any(|interface| routed.contains(interface)) {
        Finding::new(GROUP, subject, State::Limited, found)
            .means("it carries this machine's default route: passed through, the machine is cut off")
    } else if !others.is_empty() {
        Finding::new(GROUP, subject, State::Limited, found).means(format!(
            "it shares its group with {}: all of them, or none, can be passed through",
            others.join(", ")
        ))
    } else {
        Finding::new(GROUP, subject, State::Ok, found).means("it could be passed through by itself")
    }
}

/// Interfaces with a route to 0.0.0.0 (`/proc/net/route`), or to ::/0 (`/proc/net/ipv6_route`) other than loopback's.
fn default_routes(patient: &Patient<'_>) -> Vec<String> {
    let mut interfaces = vec![];
    for line in patient.root.read("/proc/net/route").unwrap_or_default().lines().skip(1) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if let [interface, "00000000", ..] = words[..] {
            interfaces.push(interface.to_owned());
        }
    }
    for line in patient.root.read("/proc/net/ipv6_route").unwrap_or_default().lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if let (Some(&"00000000000000000000000000000000"), Some(&"00"), Some(interface)) =
            (words.first(), words.get(1), words.last())
            && *interface != "lo"
        {
            interfaces.push((*interface).to_owned());
        }
    }
    interfaces
}
