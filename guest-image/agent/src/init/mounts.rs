//! What is mounted where.

use std::{fs, io, os::unix::fs::symlink};

use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
};

use super::BootError;

/// Whether a mount may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// The agent cannot work without it.
    Always,
    /// Left out, with a line on the console, if the kernel was built without this file system.
    IfKernelHasIt,
}

/// One line of the mount table.
#[derive(Debug)]
pub(super) struct Mount {
    pub(super) target: &'static str,
    kind: &'static str,
    flags: MsFlags,
    options: &'static str,
    need: Need,
}

const fn pseudo(kind: &'static str, target: &'static str, options: &'static str, need: Need) -> Mount {
    Mount { target, kind, flags: MsFlags::MS_NOSUID.union(MsFlags::MS_NOEXEC), options, need }
}

/// Needed to find the root disk; moved into the root once it is there.
pub(super) const EARLY: &[Mount] = &[
    // Not MS_NOEXEC: programs map /dev/zero executable.
    Mount { target: "/dev", kind: "devtmpfs", flags: MsFlags::MS_NOSUID, options: "", need: Need::Always },
    pseudo("proc", "/proc", "", Need::Always),
    pseudo("sysfs", "/sys", "", Need::Always),
];

/// Mounted in the final root, parents before children.
pub(super) const LATE: &[Mount] = &[
    Mount {
        target: "/run",
        kind: "tmpfs",
        flags: MsFlags::MS_NOSUID,
        options: "mode=755",
        need: Need::Always,
    },
    Mount {
        target: "/tmp",
        kind: "tmpfs",
        flags: MsFlags::MS_NOSUID,
        options: "mode=1777",
        need: Need::Always,
    },
    Mount {
        target: "/dev/shm",
        kind: "tmpfs",
        flags: MsFlags::MS_NOSUID,
        options: "mode=1777",
        need: Need::Always,
    },
    pseudo("devpts", "/dev/pts", "mode=620,ptmxmode=666", Need::IfKernelHasIt),
    pseudo("cgroup2", "/sys/fs/cgroup", "", Need::IfKernelHasIt),
    pseudo("debugfs", "/sys/kernel/debug", "", Need::IfKernelHasIt),
    pseudo("tracefs", "/sys/kernel/tracing", "", Need::IfKernelHasIt),
];

/// What udev links in `/dev` elsewhere, and no udev runs here. Without `/dev/stdout` a script that writes to it, as the
/// kernel's own test runner does, makes a file of that name and says nothing.
const LINKS: &[(&str, &str)] = &[
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// Makes the customary links in `/dev`, where there is nothing of that name.
pub(super) fn link_descriptors() -> Result<(), BootError> {
    for (place, target) in LINKS {
        match symlink(target, place) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => {
                return Err(BootError::Mount { what: (*target).into(), target: (*place).into(), source });
            }
        }
    }
    Ok(())
}

/// Mounts a table in order.
pub(super) fn mount_all(table: &[Mount]) -> Result<(), BootError> {
    for line in table {
        match mount_one(line) {
            Ok(()) => {}
            // No such file system, or no such folder in /sys because its owner was not built in.
            Err(error) if line.need == Need::IfKernelHasIt && absent(&error) => {
                crate::console::say(format_args!(
                    "this kernel has no {}: {} stays empty",
                    line.kind, line.target
                ));
            }
            Err(source) => {
                return Err(BootError::Mount { what: line.kind.into(), target: line.target.into(), source });
            }
        }
    }
    Ok(())
}

fn mount_one(line: &Mount) -> io::Result<()> {
    let attempt = || mount(Some(line.kind), line.target, Some(line.kind), line.flags, Some(line.options));
    match attempt() {
        // The folder is missing in a bare initramfs only; the usual case pays for no extra call.
        Err(Errno::ENOENT) => {
            fs::create_dir_all(line.target)?;
            Ok(attempt()?)
        }
        other => Ok(other?),
    }
}

fn absent(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::ENODEV | Errno::ENOENT | Errno::EPERM | Errno::EACCES)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_mounted_before_their_children_and_nothing_twice() {
        let targets: Vec<&str> = EARLY.iter().chain(LATE).map(|mount| mount.target).collect();
        for (index, target) in targets.iter().enumerate() {
            assert!(target.starts_with('/') && !target.ends_with('/'), "{target}");
            assert!(!targets[..index].contains(target), "{target} is mounted twice");
            let hidden = targets[..index].iter().find(|earlier| earlier.starts_with(&format!("{target}/")));
            assert_eq!(hidden, None, "{target} hides an earlier mount");
        }
    }

    #[test]
    fn only_a_missing_file_system_or_folder_may_be_left_out() {
        assert!(absent(&io::Error::from(Errno::ENODEV)));
        assert!(!absent(&io::Error::from(Errno::ENOMEM)));
        assert!(!absent(&io::Error::from(Errno::EINVAL)));
    }
}
