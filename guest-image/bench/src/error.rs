//! How a side ends otherwise than well.

use std::io;

use flow::exit;

use netlink::Refusal;

/// Each is one sentence for standard error, and an exit status.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Misuse(String),
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Failed(String),
    #[error(
        "flow {flow}: byte {position} of the stream is {found:#04x} and not {expected:#04x}: the payload is not what was sent"
    )]
    Corrupt { flow: u16, position: u64, expected: u8, found: u8 },
    #[error("the receiver found that the payload is not what was sent")]
    FoundCorrupt,
}

impl Failure {
    pub(crate) fn status(&self) -> i32 {
        match self {
            Self::Misuse(_) => exit::MISUSE,
            Self::Unavailable(_) => exit::UNAVAILABLE,
            Self::Failed(_) => exit::FAILED,
            Self::Corrupt { .. } | Self::FoundCorrupt => exit::CORRUPT,
        }
    }

    /// A call failed that should not have.
    pub(crate) fn call(doing: &str, error: impl Into<io::Error>) -> Self {
        Self::Failed(format!("{doing}: {}", error.into()))
    }

    /// The kernel or the NIC refused what the mode needs.
    pub(crate) fn refused(doing: &str, refusal: &Refusal) -> Self {
        Self::Unavailable(format!("{doing}: {refusal}"))
    }
}
