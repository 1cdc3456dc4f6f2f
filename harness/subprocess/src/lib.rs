//! The one way to run a host command.
//!
//! A [`Supervisor`] is a handle to one long-lived process that starts every child, ends each at its deadline, and
//! ends all of them, grandchildren included, when the harness ends in any way. A [`Tool`] is a command run to its
//! end; a [`Child`] is one that stays, such as QEMU.
//!
//! The supervisor and every child it starts are subreapers, so a process that outlives its parent falls to the child
//! it descends from, and, when that child ends, to the supervisor, which ends it. Sessions, process groups and double
//! forks do not escape this.
//!
//! Invariant: knows no command and no meaning of an exit status. The only place that sees `duct`.

mod argv;
mod child;
mod client;
mod ended;
mod environment;
mod error;
mod lock;
mod privileges;
mod replace;
mod run;
mod supervise;
mod tool;
mod wire;

pub use argv::Argv;
pub use child::Child;
pub use client::Supervisor;
pub use ended::Ended;
pub use error::{SubprocessError, Tail, ToolError};
pub use lock::LockHolder;
pub use privileges::{RunAs, sandbox_ids};
pub use replace::replace_ourselves;
pub use run::Output;
pub use supervise::supervise;
pub use tool::{Input, Resource, Stdio, Stream, Tool};
