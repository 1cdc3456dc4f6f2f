//! From the initramfs into the root that the machine was given.

use std::{fs, io, path::Path, time::Duration};

use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    unistd::{chdir, chroot},
};

use super::{BootError, mounts, uevents::Uevents};
use crate::share;

/// How long a root disk that was announced may take to appear. Its driver is probed before init starts, or by the
/// modules that init loads, so in practice it is there at once.
const PATIENCE: Duration = Duration::from_secs(20);

const LOWER: &str = "/overlay/lower";
const ROOT: &str = "/overlay/root";
const LAYERS: &str = "lowerdir=/overlay/lower,upperdir=/overlay/upper,workdir=/overlay/work";

/// What is to become the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// `/dev/vda`: the read-only image on this disk, or in a file of the initramfs, under a writable layer in memory.
    Disk(String),
    /// `9p:TAG`: the folder that the machine shares under this tag, read-only as it is.
    Share(String),
    /// `9p-overlay:TAG`: the same, under a writable layer in memory.
    OverlaidShare(String),
}

impl Root {
    pub(super) fn parse(value: &str) -> Self {
        match value.split_once(':') {
            Some(("9p", tag)) => Self::Share(tag.into()),
            Some(("9p-overlay", tag)) => Self::OverlaidShare(tag.into()),
            _ => Self::Disk(value.into()),
        }
    }
}

/// Makes it the root of this process.
pub(super) fn enter(root: &Root, events: &Uevents) -> Result<(), BootError> {
    if let Root::Disk(device) = root {
        events.until(device, PATIENCE, || Path::new(device).exists().then_some(()))?;
    }
    folders().map_err(|source| BootError::SwitchRoot { source })?;
    match root {
        Root::Disk(device) => {
            erofs(device)?;
            overlay()?;
        }
        Root::Share(tag) => shared(tag, ROOT)?,
        Root::OverlaidShare(tag) => {
            shared(tag, LOWER)?;
            overlay()?;
        }
    }
    switch().map_err(|source| BootError::SwitchRoot { source })
}

fn folders() -> io::Result<()> {
    fs::create_dir("/overlay")?;
    mount(Some("tmpfs"), "/overlay", Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
    for folder in [LOWER, ROOT, "/overlay/upper", "/overlay/work"] {
        fs::create_dir(folder)?;
    }
    Ok(())
}

fn erofs(device: &str) -> Result<(), BootError> {
    mount(Some(device), LOWER, Some("erofs"), MsFlags::MS_RDONLY, None::<&str>).map_err(|errno| match errno {
        Errno::ENODEV => BootError::Lacks { option: "CONFIG_EROFS_FS", purpose: "the guest's root" },
        // It is a file of the initramfs.
        Errno::ENOTBLK => {
            BootError::Lacks { option: "CONFIG_EROFS_FS_BACKED_BY_FILE", purpose: "a root without a disk" }
        }
        // Roots without a disk are compressed (fs/erofs/super.c, z_erofs_parse_cfgs).
        Errno::EOPNOTSUPP => {
            BootError::Lacks { option: "CONFIG_EROFS_FS_ZIP", purpose: "a root without a disk" }
        }
        errno => BootError::NoRootDisk { device: device.into(), source: errno.into() },
    })
}

fn shared(tag: &str, target: &str) -> Result<(), BootError> {
    share::mount_9p(tag, target, true).map_err(|source| match share::lacking(&source) {
        Some(option) => BootError::Lacks { option, purpose: "the host's files as the guest's root" },
        None => BootError::Mount { what: format!("the share {tag}"), target: target.into(), source },
    })
}

fn overlay() -> Result<(), BootError> {
    mount(Some("overlay"), ROOT, Some("overlay"), MsFlags::empty(), Some(LAYERS)).map_err(|errno| match errno
    {
        Errno::ENODEV => BootError::Lacks { option: "CONFIG_OVERLAY_FS", purpose: "a writable root" },
        errno => BootError::Mount { what: "overlay".into(), target: ROOT.into(), source: errno.into() },
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_a_disk_or_a_share() {
        assert_eq!(Root::parse("/dev/vda"), Root::Disk("/dev/vda".into()));
        assert_eq!(Root::parse("9p:host"), Root::Share("host".into()));
        assert_eq!(Root::parse("9p-overlay:host"), Root::OverlaidShare("host".into()));
    }
}
