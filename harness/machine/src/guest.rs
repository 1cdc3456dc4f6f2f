//! One guest, whatever its process is: from a connected stream to an agent that answers.

use std::time::{Duration, Instant};

use measure::{CrashKind, CrashReport};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    BootEnd, MachineError, Session, SessionError,
    process::{Fate, Process},
    qemu::Monitor,
    session::{Established, Greeting, Manner},
};

/// A closed connection mostly means that the process is ending; how long that may take to be seen.
const END_DEADLINE: Duration = Duration::from_secs(15);

/// A guest whose agent answers. Dropping it kills its process.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) process: Process,
    pub(crate) session: Session,
    pub(crate) greeting: Greeting,
    /// `kvm`, `tcg` or `fake`.
    pub(crate) execution: &'static str,
    /// QEMU's; a fake machine has none, and none is heard of from within another guest.
    pub(crate) monitor: Option<Monitor>,
    /// Whether it has an emulated IOMMU.
    pub(crate) iommu: bool,
}

/// Why a guest did not come up, or does not go on.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Its kernel's doing.
    Crashed(CrashReport),
    /// It lives, and is not what was asked for.
    NotTestable(String),
    /// The host's or the harness's doing.
    Failed(MachineError),
}

impl Trouble {
    /// What a boot that came to nothing ended with.
    pub(crate) fn end(self) -> Result<BootEnd, MachineError> {
        match self {
            Self::Crashed(report) => Ok(BootEnd::Crashed(report)),
            Self::NotTestable(message) => Ok(BootEnd::NotTestable(message)),
            Self::Failed(error) => Err(error),
        }
    }
}

impl From<MachineError> for Trouble {
    fn from(error: MachineError) -> Self {
        Self::Failed(error)
    }
}

/// Waits until the agent at the other end of `stream` says that it is ready. `patience` and `manner` are the session's.
pub(crate) async fn ready(
    process: &Process,
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    deadline: Instant,
    patience: Duration,
    manner: Manner,
) -> Result<(Session, Greeting), Trouble> {
    let established = tokio::select! {
        biased;
        fate = process.ended() => return Err(of_fate(process, fate)),
        established = Session::establish(stream, patience, manner) => established,
        () = tokio::time::sleep_until(deadline.into()) => {
            let title = "the agent did not answer before the boot deadline".into();
            return Err(Trouble::Crashed(process.report(CrashKind::BootHang, title)));
        }
    };
    match established {
        Ok(Established::Ready(session, greeting)) => Ok((session, greeting)),
        Ok(Established::Unfit(why)) => Err(Trouble::NotTestable(why)),
        Err(error) => Err(of_session_error(process, error).await),
    }
}

/// What the end of a guest means while something else was expected of it.
pub(crate) fn of_fate(process: &Process, fate: Fate) -> Trouble {
    match fate {
        Fate::Crashed(report) => Trouble::Crashed(report),
        Fate::Failed(error) => Trouble::Failed(MachineError::Shared(error)),
        Fate::Off | Fate::Runs => {
            Trouble::Crashed(process.report(CrashKind::Stopped, "the guest powered off unasked".into()))
        }
    }
}

/// What a broken conversation means: mostly that the guest has ended, which then is the better answer. A guest that lives and
/// talks nonsense has lost its agent, whatever else its kernel still does: that is its own doing, and ends no other trial.
pub(crate) async fn of_session_error(process: &Process, error: SessionError) -> Trouble {
    match error {
        SessionError::Closed { awaited, how } => {
            match tokio::time::timeout(END_DEADLINE, process.ended()).await {
                Ok(fate) => of_fate(process, fate),
                Err(_still_there) => {
                    let title = SessionError::Closed { awaited, how }.to_string();
                    Trouble::Crashed(process.report(CrashKind::AgentDied, title))
                }
            }
        }
        SessionError::Deadline { awaited, after } => {
            let title =
                format!("the guest stopped answering: {awaited} did not come within {} s", after.as_secs());
            Trouble::Crashed(process.report(CrashKind::Hang, title))
        }
        error @ (SessionError::Protocol { .. } | SessionError::TooMuch { .. }) => {
            Trouble::Crashed(process.report(CrashKind::AgentDied, error.to_string()))
        }
        error @ SessionError::Guest { .. } => {
            Trouble::NotTestable(format!("guest `{}`: {error}", process.name()))
        }
        source @ (SessionError::OtherBuild { .. }
        | SessionError::Request { .. }
        | SessionError::Diverged { .. }) => {
            Trouble::Failed(MachineError::Session { guest: process.name().to_owned(), source })
        }
    }
}
