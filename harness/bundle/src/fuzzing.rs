//! Doors for `tests/fuzz`: archives as a forger makes them.

use std::io::{self, Write as _};

use crate::{MANIFEST, write::header};

/// An archive with this manifest and these members, every header of which is as it should be.
///
/// # Errors
/// If a name fits no header.
pub fn archive(manifest: &[u8], members: &[(&str, &[u8])]) -> io::Result<Vec<u8>> {
    let mut tar = Vec::new();
    let all = std::iter::once((MANIFEST, manifest)).chain(members.iter().copied());
    for (index, (name, content)) in all.enumerate() {
        tar.extend_from_slice(header(name, index, content.len() as u64)?.as_bytes());
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    compressed(&tar)
}

/// Anything in one zstd frame.
///
/// # Errors
/// The compressor's.
pub fn compressed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut zstd = zstd::Encoder::new(Vec::new(), 1)?;
    zstd.write_all(bytes)?;
    zstd.finish()
}
