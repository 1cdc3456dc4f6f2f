//! sha256 of files and of labelled fields.

use std::{fs::File, io::Read, path::Path};

use sha2::{Digest as _, Sha256};

use crate::{KernelError, error::io};

/// A digest over labelled fields. Every field is preceded by its length, so that no two lists of fields meet.
pub(crate) struct Fields(Sha256);

impl Fields {
    /// Fields of a purpose: digests of different purposes never meet.
    pub(crate) fn new(purpose: &str) -> Self {
        Self(Sha256::new()).with("purpose", purpose)
    }

    /// Adds a field.
    pub(crate) fn with(mut self, label: &str, value: impl AsRef<[u8]>) -> Self {
        for part in [label.as_bytes(), value.as_ref()] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    /// The digest in hexadecimal.
    pub(crate) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// sha256 of `bytes` in hexadecimal.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// sha256 of a file in hexadecimal.
pub(crate) fn of_file(path: &Path) -> Result<String, KernelError> {
    let mut file = File::open(path).map_err(io("open", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(io("read", path))?;
        if read == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String does not fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_sha256sum() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of_file(file.path()).unwrap(), expected);
        assert_eq!(of_bytes(b"abc"), expected);
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let one = Fields::new("t").with("a", "bc").with("d", "").finish();
        let two = Fields::new("t").with("a", "b").with("cd", "").finish();
        assert_ne!(one, two);
    }
}
