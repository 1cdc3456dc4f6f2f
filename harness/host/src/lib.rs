//! What this machine can do for kernel work.
//!
//! Every file of the machine is read through a [`Root`]. [`probe`] asks what no file tells, and [`doctor::examine`] turns
//! both into findings.
//!
//! Invariant: knows no plan, no run and no kernel build. What a machine does not have is absent with a reason, never zero.

#![deny(missing_docs)]

mod cpus;
mod distribution;
pub mod doctor;
mod facts;
mod packages;
pub mod probe;
mod root;

pub use cpus::CpuSet;
pub use distribution::{Distribution, Family};
pub use facts::{Bench, bench};
pub use packages::{PACKAGES, Package};
pub use root::Root;
