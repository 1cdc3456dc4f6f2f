//! A kernel developer's own tree: the kernel that is built in it, and what its working tree changes.
//!
//! In: the folder that somebody stands in. Out: a [`Build`] that a guest can boot, or the changes since the merge-base
//! with upstream as a base and a series.
//!
//! Invariant: nothing in the tree is written to, neither its files nor its index nor its objects, unless
//! [`BuildFolder::run_make`] is asked for. Knows neither machines nor scenarios.

#![deny(missing_docs)]

mod against;
mod build;
mod changes;
mod elf;
mod error;
mod find;
/// Doors to parsers, for `tests/fuzz`.
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod make;
mod needs;
mod range;
mod repository;
mod shell;
mod snapshot;
mod stale;
#[cfg(test)]
mod toy;

pub use against::{Against, Why};
pub use build::{Build, BuildFolder, Image};
pub use changes::Changes;
pub use error::TreeError;
pub use find::{KernelTree, Version};
pub use needs::{Lacking, Unsuitable, fragment, missing_fragment};
pub use range::{Range, RangeCommit};
pub use stale::Stale;
