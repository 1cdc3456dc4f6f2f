//! The stream to the host.

use std::{
    fs::{self, File},
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use protocol::PORT_NAME;

use super::{BootError, uevents::Uevents};

/// A port appears when the host's half has announced it: some ms after the driver was probed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens the stream: the device that the command line names, otherwise the virtio-serial port with the agent's name.
pub(super) fn open(named: Option<&str>, events: &Uevents) -> Result<File, BootError> {
    let path = match named {
        Some(device) => {
            let device = PathBuf::from(device);
            events.until(&device.display().to_string(), PATIENCE, || device.exists().then_some(()))?;
            device
        }
        None => events.until(&format!("the virtio-serial port {PORT_NAME}"), PATIENCE, || {
            find(Path::new("/sys/class/virtio-ports"), PORT_NAME)
        })?,
    };
    let open = || {
        let port = File::options().read(true).write(true).open(&path)?;
        raw_if_terminal(&port)?;
        Ok(port)
    };
    open().map_err(|source| BootError::Port { path: path.clone(), source })
}

/// The device of the port called `name`, as virtio_console names them in sysfs. A port has no name until the host
/// has sent one.
fn find(class: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(class).ok()?.flatten().find_map(|port| {
        let named = fs::read_to_string(port.path().join("name")).ok()?;
        (named.trim_end() == name).then(|| Path::new("/dev").join(port.file_name()))
    })
}

/// A serial line would otherwise translate and echo what passes.
fn raw_if_terminal(port: &File) -> io::Result<()> {
    let Ok(mut settings) = tcgetattr(port.as_fd()) else { return Ok(()) };
    cfmakeraw(&mut settings);
    tcsetattr(port.as_fd(), SetArg::TCSANOW, &settings)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_by_its_name_among_others() {
        let class = tempfile::tempdir().unwrap();
        for (port, name) in [
            ("vport1p1", Some("org.other.0\n")),
            ("vport1p2", Some("org.assay.agent.0\n")),
            ("vport1p3", None),
        ] {
            fs::create_dir(class.path().join(port)).unwrap();
            if let Some(name) = name {
                fs::write(class.path().join(port).join("name"), name).unwrap();
            }
        }
        assert_eq!(find(class.path(), PORT_NAME), Some(PathBuf::from("/dev/vport1p2")));
        assert_eq!(find(class.path(), "org.assay"), None);
        assert_eq!(find(&class.path().join("absent"), PORT_NAME), None);
    }
}
