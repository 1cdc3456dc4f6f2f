//! How a process ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// It exited with this status.
    Exited(i32),
    /// This signal ended it.
    Signalled(i32),
}

impl Ended {
    /// Whether it exited with status 0.
    pub fn is_success(self) -> bool {
        self == Ended::Exited(0)
    }
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Ended {
        match status.signal() {
            Some(signal) => Ended::Signalled(signal),
            // A status that was waited for without WUNTRACED either has a code or a signal.
            None => Ended::Exited(status.code().unwrap_or_default()),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Ended::Exited(code) => write!(f, "exited with {code}"),
            Ended::Signalled(number) => match Signal::try_from(number) {
                Ok(signal) => write!(f, "was killed by {signal}"),
                // Real-time signals have no name of their own.
                Err(_) => write!(f, "was killed by signal {number}"),
            },
        }
    }
}
