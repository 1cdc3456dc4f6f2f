//! From the initramfs into the root disk.

use std::{fs, io, path::Path, time::Duration};

use nix::{
    mount::{MsFlags, mount},
    unistd::{chdir, chroot},
};

use super::{BootError, mounts, uevents::Uevents};

/// How long a root disk that was announced may take to appear. Its driver is probed before init starts, or by the
/// modules that init loads, so in practice it is there at once.
const PATIENCE: Duration = Duration::from_secs(20);

const LOWER: &str = "/overlay/lower";
const ROOT: &str = "/overlay/root";
const LAYERS: &str = "lowerdir=/overlay/lower,upperdir=/overlay/upper,workdir=/overlay/work";

/// Makes the read-only image on `device`, under a writable layer in memory, the root of this process.
pub(super) fn enter(device: &str, events: &Uevents) -> Result<(), BootError> {
    events.until(device, PATIENCE, || Path::new(device).exists().then_some(()))?;
    overlay(device).map_err(|source| BootError::NoRootDisk { device: device.into(), source })?;
    switch().map_err(|source| BootError::SwitchRoot { source })
}

fn overlay(device: &str) -> io::Result<()> {
    let none = None::<&str>;
    fs::create_dir("/overlay")?;
    mount(Some("tmpfs"), "/overlay", Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
    for folder in [LOWER, ROOT, "/overlay/upper", "/overlay/work"] {
        fs::create_dir(folder)?;
    }
    mount(Some(device), LOWER, Some("erofs"), MsFlags::MS_RDONLY, none)?;
    mount(Some("overlay"), ROOT, Some("overlay"), MsFlags::empty(), Some(LAYERS))?;
    Ok(())
}

fn switch() -> io::Result<()> {
    let none = None::<&str>;
    for mounted in mounts::EARLY {
        let target = format!("{ROOT}{}", mounted.target);
        mount(Some(mounted.target), target.as_str(), none, MsFlags::MS_MOVE, none)?;
    }
    // As switch_root(8) does: the initramfs can be neither unmounted nor pivoted away, only covered.
    chdir(ROOT)?;
    mount(Some("."), "/", none, MsFlags::MS_MOVE, none)?;
    chroot(".")?;
    chdir("/")?;
    Ok(())
}
