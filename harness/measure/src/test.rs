//! What a test of the kernel's own suites said.

use serde::{Deserialize, Serialize};

/// One test or subtest in one boot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestOutcome {
    /// The workload's name in the plan.
    pub workload: String,
    /// What tells it from all other tests: `net:tls`, and for a subtest `net:tls / tls.12_aes_gcm.send_then_sendfile`.
    pub test: String,
    /// How it ended.
    pub result: TestResult,
    /// How long it took by the guest's clock; unknown for subtests, which the protocol does not time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Why, in the test's own words where it had any; empty for what needs no word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestResult {
    /// `ok`.
    Pass,
    /// `not ok`, or a program that failed without a word.
    Fail,
    /// Did not end in time, and was ended.
    Timeout,
    /// The guest crashed or hung while it ran.
    Crash,
    /// `not ok`, as the test itself expected (`# XFAIL`, `# TODO`).
    Xfail,
    /// Could not run there, in its own opinion (`# SKIP`).
    Skip,
    /// Was planned by its program, which did not come to it.
    Missing,
    /// Could not be built.
    NotBuilt,
}

impl TestResult {
    /// Whether it says that the kernel did what the test wants, or that it did not; `None` for what says neither.
    #[must_use]
    pub fn passed(self) -> Option<bool> {
        match self {
            Self::Pass | Self::Xfail => Some(true),
            Self::Fail | Self::Timeout | Self::Crash | Self::Missing => Some(false),
            Self::Skip | Self::NotBuilt => None,
        }
    }

    /// The word, as in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Timeout => "timeout",
            Self::Crash => "crash",
            Self::Xfail => "xfail",
            Self::Skip => "skip",
            Self::Missing => "missing",
            Self::NotBuilt => "not built",
        }
    }
}
