//! Why a machine could not be tuned or put back.

use std::{io, path::PathBuf};

/// Tuning failed as such: says nothing about single settings, whose refusals are results.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuneError {
    /// The state file or its folder.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was being done, such as "writing".
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The state file is not what Assay writes.
    #[error("{} is not what Assay writes", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// Written by a newer Assay, which knows how to put the machine back.
    #[error("{} has format {found}; this Assay reads up to {supported}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// What this program reads.
        supported: u32,
    },
    /// Another process is tuning, or runs a command on a tuned machine.
    #[error("another `assay tune` is at work (it holds {})", path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// There is something to put back first.
    #[error("the machine is tuned already, since {since}")]
    AlreadyTuned {
        /// When, RFC 3339.
        since: String,
    },
    /// Without it, a reboot could not be noticed.
    #[error("reading /proc/sys/kernel/random/boot_id")]
    BootId {
        /// Why not.
        #[source]
        source: io::Error,
    },
}
