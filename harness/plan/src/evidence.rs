//! What a run's numbers are: times, or exact counts.

use serde::{Deserialize, Serialize};

/// What a run's numbers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// Times, and what is counted while they pass. They vary from boot to boot.
    #[default]
    Timed,
    /// Executed instructions of guests whose every input is fixed at power-on: the same numbers every time. What varies from
    /// boot to boot is then what is meant to: each block of boots has random numbers of its own.
    Exact,
}

impl Evidence {
    /// The word, as in scenarios.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Timed => "timed",
            Self::Exact => "exact",
        }
    }
}
