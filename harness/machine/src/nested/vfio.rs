//! Functions of the host's NIC that VFIO has for as long as guests need them, and that go back to their drivers then.

use measure::{CrashKind, CrashReport};
use plan::Vfio;

use crate::{
    SessionError,
    facts::GuestNic,
    guest::{Guest, Trouble, of_session_error},
    network::{await_link, ip},
};

const PCI: &str = "/sys/bus/pci/devices";
const DRIVER: &str = "vfio-pci";

/// What the host has given away.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    bound: Vec<Bound>,
    via: Option<Vfio>,
    /// The function whose virtual functions these are.
    parent: Option<String>,
}

/// One function, and the driver that had it.
#[derive(Debug)]
struct Bound {
    function: String,
    driver: Option<String>,
}

impl Bindings {
    /// The functions, such as `0000:01:00.0`.
    pub(super) fn functions(&self) -> impl Iterator<Item = &str> {
        self.bound.iter().map(|bound| bound.function.as_str())
    }

    /// What stands in the place of a domain's type: it is VFIO's own, of no type of the host's.
    pub(super) fn word(&self) -> String {
        match self.via {
            Some(Vfio::Iommufd) => "VFIO (iommufd)".into(),
            Some(Vfio::Container) | None => "VFIO (container)".into(),
        }
    }

    /// Gives every function back to the driver that it had, and makes virtual functions vanish. Whoever used them must be gone.
    pub(super) async fn take_back(&self, host: &Guest) -> Result<(), CrashReport> {
        let result = async {
            for bound in &self.bound {
                give_back(host, bound).await?;
            }
            match &self.parent {
                Some(parent) => put(host, &format!("{PCI}/{parent}/sriov_numvfs"), "0").await,
                None => Ok(()),
            }
        };
        match result.await {
            // A host that has ended tells its own story.
            Ok(()) | Err(Trouble::Crashed(_) | Trouble::Failed(_)) => Ok(()),
            Err(Trouble::NotTestable(message)) => {
                Err(host.process.report(CrashKind::Hang, format!("a device did not come back: {message}")))
            }
        }
    }
}

/// Gives functions to VFIO.
pub(super) async fn bind(host: &Guest, functions: &[String], via: Vfio) -> Result<Bindings, Trouble> {
    let mut bindings = Bindings { bound: vec![], via: Some(via), parent: None };
    for function in functions {
        let driver = driver(host, function).await?;
        bindings.bound.push(Bound { function: function.clone(), driver: driver.clone() });
        put(host, &format!("{PCI}/{function}/driver_override"), DRIVER).await?;
        if driver.is_some() {
            put(host, &format!("{PCI}/{function}/driver/unbind"), function).await?;
        }
        probe(host, function, Some(DRIVER)).await?;
    }
    Ok(bindings)
}

/// Makes as many virtual functions of a NIC as there are addresses, and gives them to VFIO.
pub(super) async fn bind_virtual(
    host: &Guest,
    nic: &GuestNic,
    whole: &str,
    macs: &[&str],
    mtu: u32,
    via: Vfio,
) -> Result<Bindings, Trouble> {
    put(host, &format!("{PCI}/{whole}/sriov_numvfs"), &macs.len().to_string()).await?;
    let interface = &nic.interface;
    let mut batch = format!("link set dev {interface} mtu {mtu} up\n");
    for (index, mac) in macs.iter().enumerate() {
        batch.push_str(&format!("link set dev {interface} vf {index} mac {mac}\n"));
    }
    ip(host, None, &batch).await?;
    await_link(host, None, interface).await?;
    let mut functions = Vec::new();
    for index in 0..macs.len() {
        let path = format!("{PCI}/{whole}/virtfn{index}/uevent");
        let text = read(host, &path).await?;
        let name = line(&text, "PCI_SLOT_NAME").ok_or_else(|| {
            Trouble::NotTestable(format!("guest `{}`: {path} names no function", host.process.name()))
        })?;
        functions.push(name.to_owned());
    }
    let bindings = bind(host, &functions, via).await?;
    Ok(Bindings { parent: Some(whole.to_owned()), ..bindings })
}

async fn give_back(host: &Guest, Bound { function, driver: had }: &Bound) -> Result<(), Trouble> {
    // Done before.
    if driver(host, function).await?.as_deref() != Some(DRIVER) {
        return Ok(());
    }
    // A line end alone takes the override away (drivers/base/driver.c, driver_set_override).
    put(host, &format!("{PCI}/{function}/driver_override"), "\n").await?;
    put(host, &format!("{PCI}/{function}/driver/unbind"), function).await?;
    probe(host, function, had.as_deref()).await
}

/// Has drivers look at a function, and looks which one took it.
async fn probe(host: &Guest, function: &str, wanted: Option<&str>) -> Result<(), Trouble> {
    if wanted.is_some() {
        put(host, "/sys/bus/pci/drivers_probe", function).await?;
    }
    let found = driver(host, function).await?;
    if found.as_deref() == wanted {
        return Ok(());
    }
    Err(Trouble::NotTestable(format!(
        "guest `{}`: {function} has the driver {} and not {}",
        host.process.name(),
        found.as_deref().unwrap_or("none"),
        wanted.unwrap_or("none"),
    )))
}

/// The driver that a function has.
async fn driver(host: &Guest, function: &str) -> Result<Option<String>, Trouble> {
    let text = read(host, &format!("{PCI}/{function}/uevent")).await?;
    Ok(line(&text, "DRIVER").map(str::to_owned))
}

/// The value of one line of a `uevent`.
fn line<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.split_once('=').filter(|(name, _)| *name == key))
        .map(|(_, value)| value)
}

async fn read(host: &Guest, path: &str) -> Result<String, Trouble> {
    let files = match host.session.read(&[path.to_owned()], 4096).await {
        Ok(files) => files,
        Err(error) => return Err(of_session_error(&host.process, error).await),
    };
    match files.get(path) {
        Some(Ok(bytes)) => Ok(String::from_utf8_lossy(bytes).into_owned()),
        Some(Err(why)) => {
            Err(Trouble::NotTestable(format!("guest `{}`: {path}: {why}", host.process.name())))
        }
        None => Err(Trouble::NotTestable(format!("guest `{}`: {path} was not read", host.process.name()))),
    }
}

async fn put(host: &Guest, path: &str, text: &str) -> Result<(), Trouble> {
    match host.session.put(path, 0o200, text.as_bytes()).await {
        Ok(()) => Ok(()),
        Err(error @ SessionError::Guest { .. }) => Err(Trouble::NotTestable(format!(
            "guest `{}`: writing `{}` to {path}: {error}",
            host.process.name(),
            text.trim()
        ))),
        Err(error) => Err(of_session_error(&host.process, error).await),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of an igb in a guest with 6.12.
    const UEVENT: &str = "DRIVER=igb\nPCI_CLASS=20000\nPCI_ID=8086:10C9\nPCI_SUBSYS_ID=8086:A03C\n\
                          PCI_SLOT_NAME=0000:01:00.0\nMODALIAS=pci:v00008086d000010C9sv00008086sd0000A03Cbc02sc00i00\n";

    #[test]
    fn a_uevent_names_the_driver_and_the_function() {
        assert_eq!(line(UEVENT, "DRIVER"), Some("igb"));
        assert_eq!(line(UEVENT, "PCI_SLOT_NAME"), Some("0000:01:00.0"));
        assert_eq!(line("PCI_CLASS=20000\n", "DRIVER"), None);
        let container = Bindings { via: Some(Vfio::Container), ..Bindings::default() };
        assert_eq!(container.word(), "VFIO (container)");
    }
}
