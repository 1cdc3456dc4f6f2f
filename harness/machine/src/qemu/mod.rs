//! Guests of QEMU.

mod args;
mod binary;
mod guest;
mod monitor;
mod trace;

pub use binary::Qemu;
pub(crate) use guest::boot;
pub(crate) use monitor::Monitor;
pub(crate) use trace::{start as trace_start, stop as trace_stop};
