//! Machines that boot a kernel: guests of QEMU, and a fake one for tests of everything around it.
//!
//! A [`Boot`] goes in; a [`Running`] machine comes out, or the crash that kept it from running. What runs on it goes
//! through [`Session`], the client half of `guest-image/protocol`.
//!
//! Invariant: knows neither workloads nor statistics. A kernel that crashes is a value ([`BootEnd::Crashed`]); an
//! error of this crate says nothing about the kernel.

#![deny(missing_docs)]

mod access;
mod attachments;
mod boot;
mod console;
mod error;
mod errors;
mod exits;
mod facts;
mod fake;
/// Doors to parsers, for `tests/fuzz`.
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod guest;
mod helper;
mod host;
mod kvm;
mod nested;
mod network;
mod process;
mod qemu;
mod relay;
mod running;
mod session;
mod tsc;
mod world;
mod zcsim;

pub use access::{Obstacle, obstacle};
pub use attachments::{Access, Attachments, Debugger, MAX_SHARES, Root, Share, debugger_socket};
pub use boot::{Boot, BootEnd, BootFiles, Levels, boot};
pub use error::{MachineError, SessionError};
pub use exits::KvmWindowStart;
pub use helper::helper;
pub use host::{Host, emulates_threads};
pub use qemu::{Qemu, Traced};
pub use running::{Endpoint, Running};
pub use session::{
    Conversation, Executed, FileReadings, GuestCommand, Heard, InteractiveCommand, RunningCommand, Script,
    Session,
};
pub use world::{ClosedWorld, Counting, World};
