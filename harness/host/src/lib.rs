//! What this machine can do for kernel work, and how to make it a quiet bench.
//!
//! Every file of the machine is read and written through a [`Root`]. [`probe`] asks what no file tells, and
//! [`doctor::examine`] turns both into findings. [`tune::plan`] says which settings would make timed runs steadier;
//! [`tune::apply`] changes them after writing down how they were, and [`tune::restore`] puts them back.
//!
//! Invariant: knows no plan, no run and no kernel build. What a machine does not have is absent with a reason, never zero.

#![deny(missing_docs)]

mod cpus;
mod distribution;
pub mod doctor;
mod facts;
/// Doors to parsers, for `tests/fuzz`.
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod packages;
pub mod probe;
mod root;
pub mod tune;

pub use cpus::CpuSet;
pub use distribution::{Distribution, Family};
pub use facts::{Bench, bench};
pub use packages::{PACKAGES, Package, QEMU};
pub use root::Root;
