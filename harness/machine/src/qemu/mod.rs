//! Guests of QEMU.

mod args;
mod binary;
mod guest;
mod hang;
mod monitor;
mod trace;

pub use binary::Qemu;
pub(crate) use guest::boot;
pub(crate) use hang::explained;
pub(crate) use monitor::Monitor;
#[cfg(feature = "fuzzing")]
pub(crate) use trace::known_events;
pub(crate) use trace::{start as trace_start, stop as trace_stop};
