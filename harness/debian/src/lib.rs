//! Debian packages, resolved, fetched and unpacked without root or the host's apt state.
//!
//! [`Packages`] is a private apt state in a folder: the mirror and its keys come from the machine's own apt
//! configuration, the set of installed packages is empty. What it resolves is exact ([`Package`]: version and
//! checksum), what it fetches is verified against the signed lists, and a [`Root`] is a folder in which packages are
//! unpacked, named after them.
//!
//! Maintainer scripts never run: a package is its files. Needs the programs `apt-get`, `apt-cache`, `dpkg-deb` and
//! `tar`.
//!
//! Invariant: knows no package by name, and no host but those that the machine's configuration names.

mod apt;
mod digest;
mod error;
/// Doors to parsers, for `tests/fuzz`.
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod list;
mod lock;
mod mirror;
mod packages;
mod pool;
mod request;
mod root;
mod sources;
mod unpack;
mod view;

pub use error::DebianError;
pub use packages::Packages;
pub use request::{Event, Package, Request, Served, Wanted};
pub use root::{Reuse, Root};
pub use unpack::unpack;
