//! Writing an initramfs: the `newc` format of Documentation/driver-api/early-userspace/buffer-format.rst.
//!
//! The bytes depend on what is put in alone: no times, no owners, numbers in order.

use crate::BootImageError;

const MAGIC: &str = "070701";
const END: &str = "TRAILER!!!";

/// File types, of inode(7).
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// An archive in the making.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a folder. Its parents must have been added before: the kernel makes none.
    pub(crate) fn folder(&mut self, path: &str) -> Result<(), BootImageError> {
        self.entry(path, FOLDER | 0o755, &[], (0, 0))
    }

    /// Adds a file with these permission bits.
    pub(crate) fn file(
        &mut self,
        path: &str,
        permissions: u32,
        content: &[u8],
    ) -> Result<(), BootImageError> {
        self.entry(path, FILE | permissions, content, (0, 0))
    }

    /// Adds a character device, for root alone.
    pub(crate) fn character_device(
        &mut self,
        path: &str,
        major: u32,
        minor: u32,
    ) -> Result<(), BootImageError> {
        self.entry(path, CHARACTER_DEVICE | 0o600, &[], (major, minor))
    }

    /// The whole archive.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, BootImageError> {
        self.entry(END, 0, &[], (0, 0))?;
        Ok(self.bytes)
    }

    fn entry(
        &mut self,
        path: &str,
        mode: u32,
        content: &[u8],
        device: (u32, u32),
    ) -> Result<(), BootImageError> {
        let refused = |reason| BootImageError::Archive { path: path.to_owned(), reason };
        if path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == "..") {
            return Err(refused("not a path below the root"));
        }
        let size = u32::try_from(content.len()).map_err(|_too_large| refused("larger than 4 GiB"))?;
        let name_size = u32::try_from(path.len() + 1).map_err(|_too_large| refused("too long a path"))?;
        self.entries += 1;
        let [owner, group, links, time, checksum] = [0, 0, 1, 0, 0];
        let (major, minor) = device;
        let fields =
            [self.entries, mode, owner, group, links, time, size, 0, 0, major, minor, name_size, checksum];
        self.bytes.extend_from_slice(MAGIC.as_bytes());
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
        Ok(())
    }

    /// Names and contents start at multiples of four bytes.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Field `index` of the header that starts at `at`.
    fn field(bytes: &[u8], at: usize, index: usize) -> u32 {
        let start = at + MAGIC.len() + 8 * index;
        u32::from_str_radix(std::str::from_utf8(&bytes[start..start + 8]).unwrap(), 16).unwrap()
    }

    #[derive(Debug, PartialEq)]
    struct Entry {
        path: String,
        mode: u32,
        content: Vec<u8>,
        device: (u32, u32),
    }

    fn entry(path: &str, mode: u32, content: &[u8], device: (u32, u32)) -> Entry {
        Entry { path: path.into(), mode, content: content.to_vec(), device }
    }

    /// Every entry, read back by the format's rules.
    fn read(bytes: &[u8]) -> Vec<Entry> {
        let (mut at, mut entries) = (0, Vec::new());
        loop {
            assert_eq!(&bytes[at..at + 6], MAGIC.as_bytes(), "at {at}");
            let (size, name_size) = (field(bytes, at, 6) as usize, field(bytes, at, 11) as usize);
            let path = std::str::from_utf8(&bytes[at + 110..at + 110 + name_size - 1]).unwrap();
            let content = (at + 110 + name_size).next_multiple_of(4);
            let end = content + size;
            if path == END {
                assert_eq!(end.next_multiple_of(4), bytes.len(), "nothing follows the end");
                return entries;
            }
            let device = (field(bytes, at, 9), field(bytes, at, 10));
            entries.push(entry(path, field(bytes, at, 1), &bytes[content..end], device));
            at = end.next_multiple_of(4);
        }
    }

    fn sample() -> Vec<u8> {
        let mut archive = Archive::default();
        archive.folder("dev").unwrap();
        archive.character_device("dev/console", 5, 1).unwrap();
        archive.file("init", 0o755, b"odd").unwrap();
        archive.file("empty", 0o644, b"").unwrap();
        archive.finish().unwrap()
    }

    #[test]
    fn what_was_put_in_is_read_back() {
        let expected = [
            entry("dev", 0o040_755, b"", (0, 0)),
            entry("dev/console", 0o020_600, b"", (5, 1)),
            entry("init", 0o100_755, b"odd", (0, 0)),
            entry("empty", 0o100_644, b"", (0, 0)),
        ];
        assert_eq!(read(&sample()), expected);
    }

    #[test]
    fn the_same_content_gives_the_same_bytes() {
        assert_eq!(sample(), sample());
    }

    #[test]
    fn paths_outside_the_root_are_refused() {
        for path in ["", "/init", "../init", "a/../../b"] {
            assert!(Archive::default().file(path, 0o644, b"").is_err(), "{path}");
        }
    }
}
