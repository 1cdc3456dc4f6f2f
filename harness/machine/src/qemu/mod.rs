//! Guests of QEMU.

mod args;
mod binary;
mod guest;
mod hang;
mod monitor;
mod trace;

pub(crate) use args::{
    CLIENT_MAC, EMULATED_TIME, Execution, List, Role, SERVER_MAC, base_parameters, iommu_parameters,
};
pub use binary::Qemu;
pub(crate) use guest::{Planned, PoweredOn, boot, choose, power_on};
pub(crate) use hang::explained;
pub(crate) use monitor::Monitor;
pub use trace::Traced;
#[cfg(feature = "fuzzing")]
pub(crate) use trace::known_events;
pub(crate) use trace::{start as trace_start, stop as trace_stop};
