//! What ends a command early, and the exit status that says whose it is.

use std::process::ExitCode;

/// Exit status of what somebody stopped: 128 and SIGINT's number, as shells have it.
pub(crate) const INTERRUPTED: u8 = 130;

/// A command could not give an answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The user's to mend: exit 2. One message a line, complete with file, line and allowed values.
    User(String),
    /// The machine's or ours: exit 69 (`EX_UNAVAILABLE`). Says nothing about any kernel.
    Infrastructure(anyhow::Error),
    /// Ctrl-C or SIGTERM: exit 130.
    Interrupted(String),
}

impl Failure {
    /// A mistake of the user's.
    pub(crate) fn user(message: impl std::fmt::Display) -> Self {
        Self::User(message.to_string())
    }

    /// Whether a guest has gone while something was asked of it.
    pub(crate) fn is_closed_session(&self) -> bool {
        let Self::Infrastructure(error) = self else { return false };
        matches!(error.downcast_ref(), Some(machine::SessionError::Closed { .. }))
    }

    /// Prints it, once, causes included.
    pub(crate) fn print(&self) {
        match self {
            Self::User(message) => eprintln!("{message}"),
            Self::Infrastructure(error) => {
                eprintln!("error: {error}");
                for cause in error.chain().skip(1) {
                    eprintln!("  caused by: {cause}");
                }
            }
            Self::Interrupted(message) => eprintln!("{message}"),
        }
    }

    /// All of it in one line, causes included.
    pub(crate) fn in_a_line(&self) -> String {
        match self {
            Self::User(message) | Self::Interrupted(message) => message.clone(),
            Self::Infrastructure(error) => {
                error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
            }
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::User(_) => 2,
            Self::Infrastructure(_) => 69,
            Self::Interrupted(_) => INTERRUPTED,
        })
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Infrastructure(error.into())
    }
}
