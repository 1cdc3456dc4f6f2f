//! Who holds the lock that somebody waits for.

use std::{
    fmt,
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
};

use nix::sys::stat::{major, minor};

/// Whoever holds a lock. Displays as `another process (pid 4711)`, or without the number where that is not to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockHolder(Option<u32>);

impl LockHolder {
    /// The holder of the `flock` on an open file, as `/proc/locks` names it (fs/locks.c, `lock_get_status`). It names no process
    /// of another PID namespace, and nothing on file systems whose files have other devices than their superblock (btrfs,
    /// overlayfs).
    #[must_use]
    pub fn of(file: &File) -> Self {
        let Ok(about) = file.metadata() else { return Self(None) };
        let (device, inode) = (about.dev(), about.ino());
        let place = format!("{:02x}:{:02x}:{inode}", major(device), minor(device));
        Self(holder(&fs::read_to_string("/proc/locks").unwrap_or_default(), &place))
    }
}

/// Fields: number, `->` before one that waits, kind, advisory or not, access, process, device and inode, range.
fn holder(locks: &str, place: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        (fields.next() == Some("FLOCK")).then_some(())?;
        let process = fields.nth(2)?;
        (fields.next() == Some(place)).then_some(())?;
        process.parse().ok().filter(|id| *id != 0)
    })
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(f, "another process (pid {id})"),
            None => f.write_str("another process"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_told_and_not_who_waits() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 fe:00:11 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 18270 fe:00:11 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 19 fe:00:11 0 EOF\n\
                     3: FLOCK  ADVISORY  READ 0 fe:00:12 0 EOF\n";
        assert_eq!(holder(locks, "fe:00:11"), Some(18270));
        assert_eq!(holder(locks, "fe:00:12"), None);
        assert_eq!(holder(locks, "fe:00:13"), None);
        assert_eq!(LockHolder(Some(7)).to_string(), "another process (pid 7)");
    }

    #[test]
    fn a_lock_of_ours_is_ours() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(LockHolder::of(&file), LockHolder(None));
        file.lock().unwrap();
        // A file system that does not tell is none that we could be wrong about.
        assert!([LockHolder(Some(std::process::id())), LockHolder(None)].contains(&LockHolder::of(&file)));
    }
}
