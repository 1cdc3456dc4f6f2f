//! Why a workload yielded nothing.

use std::{io, path::PathBuf};

use machine::SessionError;
use measure::RawFile;

/// Why a tool's output is no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The tool itself says that it failed.
    #[error("{tool}: {message}")]
    Tool {
        /// Which tool, on which side.
        tool: &'static str,
        /// Its own words.
        message: String,
    },
    /// The output ends too early.
    #[error("the output of {tool} is incomplete: {missing} is missing")]
    Incomplete {
        /// Which tool, on which side.
        tool: &'static str,
        /// What should have come.
        missing: String,
    },
    /// The output is not what the tool writes.
    #[error("the output of {tool} cannot be read")]
    Json {
        /// Which tool, on which side.
        tool: &'static str,
        /// Where.
        #[source]
        source: serde_json::Error,
    },
    /// The output contradicts itself, or what was asked.
    #[error("the output of {tool} contradicts {what}")]
    Contradiction {
        /// Which tool, on which side.
        tool: &'static str,
        /// What.
        what: String,
    },
    /// One side was still in its warm-up when the other ended the test.
    #[error(
        "{tool}: its warm-up of {warmup_s} s was not over when the client ended the test, so that what it took is not that of \
         the test: it got no processor for longer than the test lasts, which a longer test outlives"
    )]
    WarmupNotOver {
        /// Which tool, on which side.
        tool: &'static str,
        /// Seconds of warm-up that were asked for.
        warmup_s: u32,
    },
}

/// Why a workload did not run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkloadError {
    /// A tool failed in a guest that lives: a finding about the machine or the kernel, not about the harness.
    #[error(transparent)]
    Failed(Box<Failure>),
    /// The agent could not be talked to: the guest crashed or hangs, or the infrastructure failed.
    #[error("workload `{workload}` on guest `{guest}`: {doing}")]
    Session {
        /// The workload's name in the plan.
        workload: String,
        /// Whose agent: `server`, `client` or `guest`.
        guest: String,
        /// What was being done, as in `running the client`.
        doing: &'static str,
        /// Why it could not be done.
        #[source]
        source: SessionError,
    },
    /// A file of the host that was to be put into the guest is not what was planned.
    #[error("workload `{workload}`: {}", path.display())]
    HostFile {
        /// The workload's name in the plan.
        workload: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
}

/// A tool that failed in a guest that lives.
#[derive(Debug, thiserror::Error)]
#[error("workload `{workload}`: {message}")]
pub struct Failure {
    /// The workload's name in the plan.
    pub workload: String,
    /// What went wrong, in the tool's own words where it had any.
    pub message: String,
    /// What the tools wrote before.
    pub raw: Vec<RawFile>,
}

impl WorkloadError {
    /// Whether it says nothing about the kernel, as long as no guest turns out to have crashed.
    #[must_use]
    pub fn is_infrastructure(&self) -> bool {
        matches!(self, Self::Session { .. } | Self::HostFile { .. })
    }

    /// What the tools wrote before the failure.
    #[must_use]
    pub fn raw(&self) -> &[RawFile] {
        match self {
            Self::Failed(failure) => &failure.raw,
            Self::Session { .. } | Self::HostFile { .. } => &[],
        }
    }
}
