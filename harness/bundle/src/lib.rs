//! A run as one file that can be carried elsewhere, and a stranger's file as a folder that can be trusted.
//!
//! A bundle is a tar archive in one zstd frame: `tar --zstd -tf` lists it on any system, and what made it is nobody's secret. Its
//! first member is the [`Manifest`], which names every other with size and SHA-256, in order. The archive's own headers are
//! held against it and believed in nothing: a reader knows regular files only, of the manifest's names.
//!
//! ```text
//! manifest.json                     format, what it is, every member
//! run.json                          plan, kernels, host: as in a run's folder, with members in the place of paths
//! scenario.yaml                     as it was written
//! sources.json                      what each base's source was resolved to
//! environment.json                  QEMU, and the files that guests booted, by checksum
//! patches/SERIES/*.patch            every patch of every series, a working tree's included
//! files/SHA256                      what else the plan names by checksum: programs for guests, scripts of fake machines
//! samples.jsonl, trials/, builds/   raw data, records, consoles, logs
//! report.{txt,md,json,html}         what was concluded
//! kernels/KEY/config                merged configurations
//! kernels/KEY/..., boot/SHA256      images, modules, symbols; initramfs and disks: unless they were left out
//! ```
//!
//! [`Portable`] is the way out: a run without anything of its machine. [`Opened`] is the way in: nothing is used before its
//! checksum is right, and nothing that a plan names is looked for outside the bundle.
//!
//! Invariant: starts no process and judges nothing.

#![deny(missing_docs)]

mod adopt;
mod error;
/// Doors to what forgers need, for `tests/fuzz`.
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod limits;
mod manifest;
mod member;
mod open;
mod portable;
mod read;
mod scrub;
#[cfg(test)]
mod tests;
mod write;

pub use adopt::{Adopted, Lacking, adopt, pin};
pub use error::{BundleError, Damage};
pub use limits::Limits;
pub use manifest::{FORMAT, MANIFEST, Manifest, Member};
pub use member::{is_member_path, safe_name};
pub use open::{Opened, Shelf};
pub use portable::{ELSEWHERE, Portable, portable};
pub use read::Reader;
pub use scrub::Scrub;
pub use write::{Content, Part, write};

/// sha256 in hexadecimal.
pub(crate) fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// sha256 of bytes, in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hexadecimal(&sha2::Sha256::digest(bytes))
}

/// sha256 in hexadecimal, and the length, of all that a reader has left.
pub(crate) fn digest_of(reader: &mut dyn std::io::Read) -> std::io::Result<(String, u64)> {
    use sha2::Digest as _;
    let (mut digest, mut size) = (sha2::Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            return Ok((hexadecimal(&digest.finalize()), size));
        }
        digest.update(&buffer[..read]);
        size += read as u64;
    }
}
