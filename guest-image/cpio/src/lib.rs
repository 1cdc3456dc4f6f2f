//! Writing an initramfs: the `newc` format of Documentation/driver-api/early-userspace/buffer-format.rst.
//!
//! The bytes depend on what is put in alone: no times, no owners, numbers in order. Archives may stand one after the
//! other in one file: the kernel unpacks them all.
//!
//! Invariant: knows nothing of what it packs.

#![deny(missing_docs)]

/// A file that has no place in an archive.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` cannot be put into an initramfs: {reason}")]
pub struct ArchiveError {
    /// Its path in the archive.
    path: String,
    /// Why not.
    reason: &'static str,
}

const MAGIC: &str = "070701";
const END: &str = "TRAILER!!!";

/// File types, of inode(7).
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// An archive in the making.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a folder. Its parents must have been added before: the kernel makes none.
    ///
    /// # Errors
    /// If the path is not one below the root, or too long, or the content has 4 GiB or more.
    pub fn folder(&mut self, path: &str) -> Result<(), ArchiveError> {
        self.entry(path, FOLDER | 0o755, &[], (0, 0))
    }

    /// Adds a file with these permission bits.
    ///
    /// # Errors
    /// If the path is not one below the root, or too long, or the content has 4 GiB or more.
    pub fn file(&mut self, path: &str, permissions: u32, content: &[u8]) -> Result<(), ArchiveError> {
        self.entry(path, FILE | permissions, content, (0, 0))
    }

    /// Adds a character device, for root alone.
    ///
    /// # Errors
    /// If the path is not one below the root, or too long, or the content has 4 GiB or more.
    pub fn character_device(&mut self, path: &str, major: u32, minor: u32) -> Result<(), ArchiveError> {
        self.entry(path, CHARACTER_DEVICE | 0o600, &[], (major, minor))
    }

    /// The whole archive.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.append(END, 0, &[], [0, END.len() + 1], (0, 0));
        self.bytes
    }

    fn entry(
        &mut self,
        path: &str,
        mode: u32,
        content: &[u8],
        device: (u32, u32),
    ) -> Result<(), ArchiveError> {
        let refused = |reason| ArchiveError { path: path.to_owned(), reason };
        if path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == "..") {
            return Err(refused("not a path below the root"));
        }
        let sizes = [content.len(), path.len() + 1];
        for (size, reason) in sizes.into_iter().zip(["larger than 4 GiB", "too long a path"]) {
            u32::try_from(size).map_err(|_too_large| refused(reason))?;
        }
        self.append(path, mode, content, sizes, device);
        Ok(())
    }

    fn append(&mut self, path: &str, mode: u32, content: &[u8], sizes: [usize; 2], device: (u32, u32)) {
        self.entries += 1;
        let [size, name_size] = sizes;
        // The numbers of the header: inode, mode, owner, group, links, time, size, device, special device, name, checksum.
        let [inode, mode, major, minor] =
            [self.entries, mode, device.0, device.1].map(|field| field as usize);
        let fields = [inode, mode, 0, 0, 1, 0, size, 0, 0, major, minor, name_size, 0];
        self.bytes.extend_from_slice(MAGIC.as_bytes());
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
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
        archive.finish()
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
