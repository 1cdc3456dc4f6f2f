//! Progress as data: the caller stores it, shows it, or both.

use measure::TrialRecord;

use crate::Trial;

/// Something happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A boot begins.
    Booting {
        /// Which.
        trial: &'a Trial,
    },
    /// All guests are up.
    Up {
        /// Which.
        trial: &'a Trial,
        /// Since power-on.
        seconds: f64,
    },
    /// A workload begins.
    Workload {
        /// In which boot.
        trial: &'a Trial,
        /// Its name.
        name: &'a str,
    },
    /// The emulator spoilt a boot: the trial is made again.
    SetAside {
        /// Which.
        trial: &'a Trial,
        /// By what.
        why: &'static str,
    },
    /// A trial is over. The run goes on only if the caller could keep it.
    Ended {
        /// Which.
        trial: &'a Trial,
        /// How it went.
        record: &'a TrialRecord,
    },
    /// Every gate is decided: no more timed boots are made.
    Decided {
        /// Blocks that were made.
        blocks: u32,
    },
    /// An arm has never once been measured and keeps failing: its remaining boots are left out.
    GivenUp {
        /// The arm.
        arm: &'a str,
        /// Boots that failed.
        failures: u32,
    },
}
