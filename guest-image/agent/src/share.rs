//! Folders of the host.

use std::{
    fs, io,
    path::{Component, Path},
};

use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
};
use protocol::Share;

/// The largest message that virtio's 9p transport takes: 128 pages less its own header's.
const MESSAGE_BYTES: u32 = 500 * 1024;

/// Mounts a shared folder where the host wants it.
pub(crate) fn attach(share: &Share) -> Result<(), String> {
    let target = Path::new(&share.target);
    if !target.is_absolute() || target.components().any(|part| part == Component::ParentDir) {
        return Err(format!("{} is not an absolute path without `..`", share.target));
    }
    fs::create_dir_all(target).map_err(|error| format!("making the folder {}: {error}", share.target))?;
    mount_9p(&share.tag, &share.target, share.read_only).map_err(|error| match lacking(&error) {
        Some(option) => format!("this kernel has no {option}, which shared folders need"),
        None => format!("mounting on {}: {error}", share.target),
    })
}

/// Mounts what the machine shares under `tag`. Nothing is kept in the guest but what is mapped into memory: a file that
/// changes on the host is seen changed. What is written is with the host when `write` returns, so that a full disk there is an
/// error here: with `cache=mmap` alone it was lost without a word (fs/netfs/buffered_write.c).
pub(crate) fn mount_9p(tag: &str, target: &str, read_only: bool) -> io::Result<()> {
    let flags = if read_only { MsFlags::MS_RDONLY } else { MsFlags::MS_SYNCHRONOUS };
    let options = format!("trans=virtio,version=9p2000.L,access=any,cache=mmap,msize={MESSAGE_BYTES}");
    Ok(mount(Some(tag), target, Some("9p"), flags, Some(options.as_str()))?)
}

/// Which option of the kernel is missing, if that is what the failure of a 9p mount means: without the file system the
/// kernel does not know the type, and without the transport it finds none of that name, or no such channel.
pub(crate) fn lacking(error: &io::Error) -> Option<&'static str> {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENODEV) => Some("CONFIG_9P_FS"),
        Some(Errno::EINVAL | Errno::EPROTONOSUPPORT | Errno::ENOENT) => Some("CONFIG_NET_9P_VIRTIO"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_could_be_elsewhere_is_refused() {
        for target in ["mnt", "/mnt/../etc"] {
            let share = Share { tag: "share0".into(), target: target.into(), read_only: true };
            assert!(attach(&share).unwrap_err().contains("absolute path"), "{target}");
        }
    }

    #[test]
    fn a_kernel_without_9p_is_told_from_a_mount_that_fails() {
        assert_eq!(lacking(&Errno::ENODEV.into()), Some("CONFIG_9P_FS"));
        assert_eq!(lacking(&Errno::ENOENT.into()), Some("CONFIG_NET_9P_VIRTIO"));
        assert_eq!(lacking(&Errno::EACCES.into()), None);
    }
}
