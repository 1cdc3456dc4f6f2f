//! Files from the host, in parts, published whole.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

use protocol::CHUNK;

/// Files that may be in the making at once.
const MOST_OPEN: usize = 16;

/// Files that the host is sending.
#[derive(Debug, Default)]
pub(crate) struct Puts(BTreeMap<PathBuf, Unfinished>);

/// A file in the making, under a temporary name beside its own. Removed when it is dropped before it was published.
#[derive(Debug)]
struct Unfinished {
    file: File,
    temporary: PathBuf,
    length: u64,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Published files are no longer under this name.
        let _ = fs::remove_file(&self.temporary);
    }
}

impl Puts {
    /// Takes one part. A part that cannot be taken gives up the whole file.
    pub(crate) fn part(
        &mut self,
        path: &str,
        mode: u32,
        offset: u64,
        bytes: &[u8],
        last: bool,
    ) -> Result<(), String> {
        let path = Path::new(path);
        if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
            return Err(format!("{} is not an absolute path without `..`", path.display()));
        }
        if bytes.len() > CHUNK {
            return Err(format!("a part of {} bytes; {CHUNK} are allowed", bytes.len()));
        }
        if ["/proc", "/sys"].iter().any(|kernels| path.starts_with(kernels)) {
            return in_place(path, offset, bytes, last);
        }
        let result = self.take(path, mode, offset, bytes, last);
        if last || result.is_err() {
            self.0.remove(path);
        }
        result
    }

    fn take(&mut self, path: &Path, mode: u32, offset: u64, bytes: &[u8], last: bool) -> Result<(), String> {
        if offset == 0 {
            self.0.remove(path);
            if self.0.len() >= MOST_OPEN {
                return Err(format!("{MOST_OPEN} files are being written already"));
            }
            let unfinished = Unfinished::create(path).map_err(|error| error.to_string())?;
            self.0.insert(path.to_owned(), unfinished);
        }
        let unfinished = self.0.get_mut(path).ok_or("a later part of a file without a first one")?;
        if unfinished.length != offset {
            return Err(format!("a part at byte {offset}; the next one is {}", unfinished.length));
        }
        unfinished.append(bytes).map_err(|error| error.to_string())?;
        if last { unfinished.publish(path, mode).map_err(|error| error.to_string()) } else { Ok(()) }
    }
}

impl Unfinished {
    fn create(path: &Path) -> io::Result<Self> {
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().ok_or(io::ErrorKind::IsADirectory)?);
        name.push(format!(".{}.assay", std::process::id()));
        let temporary = path.with_file_name(name);
        // Left over from a file that was given up; nobody else writes under this process' number.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = File::options().write(true).create_new(true).mode(0o600).open(&temporary)?;
        Ok(Self { file, temporary, length: 0 })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn publish(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.file.set_permissions(Permissions::from_mode(mode & 0o7777))?;
        // Costs nothing in a guest, whose files are in memory; on a real host a crash must not leave an empty file.
        self.file.sync_all()?;
        fs::rename(&self.temporary, path)
    }
}

/// Settings of the kernel are no files that could be replaced, and take effect by one write. Nothing is cut off before: in tracefs that
/// would take away the events and triggers that are there (`kernel/trace/trace_dynevent.c`, `dyn_event_open`).
fn in_place(path: &Path, offset: u64, bytes: &[u8], last: bool) -> Result<(), String> {
    if offset != 0 || !last {
        return Err(format!("{} takes one part only", path.display()));
    }
    let write = || File::options().write(true).open(path)?.write_all(bytes);
    write().map_err(|error: io::Error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_seen_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let mut puts = Puts::default();
        puts.part(path.to_str().unwrap(), 0o640, 0, b"one ", false).unwrap();
        assert!(!path.exists());
        puts.part(path.to_str().unwrap(), 0o640, 4, b"two", true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one two");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(names(folder.path()), ["data"]);
    }

    #[test]
    fn a_gap_gives_the_file_up_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let mut puts = Puts::default();
        puts.part(path.to_str().unwrap(), 0o600, 0, b"one", false).unwrap();
        let end = puts.part(path.to_str().unwrap(), 0o600, 5, b"two", true).unwrap_err();
        assert_eq!(end, "a part at byte 5; the next one is 3");
        assert!(names(folder.path()).is_empty());
        assert!(puts.part(path.to_str().unwrap(), 0o600, 3, b"two", true).is_err());
    }

    #[test]
    fn a_first_part_starts_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let mut puts = Puts::default();
        puts.part(path.to_str().unwrap(), 0o600, 0, b"old", false).unwrap();
        puts.part(path.to_str().unwrap(), 0o600, 0, b"new", true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["data"]);
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut puts = Puts::default();
        assert!(puts.part("data", 0o600, 0, b"", true).is_err());
        assert!(puts.part("/tmp/../etc/passwd", 0o600, 0, b"", true).is_err());
        assert!(puts.part("/", 0o600, 0, b"", true).is_err());
        let orphan = folder.path().join("no/such/folder");
        assert!(
            puts.part(orphan.to_str().unwrap(), 0o600, 0, b"", true).unwrap_err().contains("No such file")
        );
        assert!(puts.part("/tmp/x", 0o600, 0, &vec![0; CHUNK + 1], true).is_err());
        assert!(puts.part("/proc/sys/kernel/x", 0o600, 0, b"1", false).unwrap_err().contains("one part"));
    }

    #[test]
    fn a_setting_of_the_kernel_is_written_in_place() {
        let mut puts = Puts::default();
        puts.part("/proc/self/comm", 0o600, 0, b"renamed", true).unwrap();
        assert!(fs::read_to_string("/proc/self/comm").unwrap().starts_with("renamed"));
    }
}
