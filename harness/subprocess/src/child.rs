//! A child that stays: its end, and its emergency exit.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::client::{Link, lock};
use crate::error::Tail;
use crate::wire::{ChildId, Request, StartFailure, StartRequest};
use crate::{Argv, Ended, Stdio, SubprocessError, Supervisor, ToolError};

/// How long the supervisor may take to start a process. Generous: the machine may be swapping under a build.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// A running child of the supervisor. Dropping it kills it, and all it started, without waiting.
#[derive(Debug)]
pub struct Child {
    link: Arc<Link>,
    record: Arc<Record>,
    id: ChildId,
    pid: i32,
    argv: Argv,
    deadline: Option<Duration>,
}

/// What became of a child.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    NotStarted(StartFailure),
    Ended(Ended),
    DeadlinePassed,
    Survived(Vec<i32>),
    SupervisorLost,
}

type Callback = Box<dyn FnOnce(Outcome) + Send>;

/// What the harness knows of one child. Written by the thread that reads reports.
#[derive(Default)]
pub(crate) struct Record {
    state: Mutex<RecordState>,
    changed: Condvar,
}

#[derive(Default)]
struct RecordState {
    pid: Option<i32>,
    outcome: Option<Outcome>,
    callbacks: Vec<Callback>,
}

impl Child {
    pub(crate) fn start(
        supervisor: &Supervisor,
        argv: Argv,
        request: StartRequest,
        stdio: Stdio,
    ) -> Result<Child, ToolError> {
        let link = Arc::clone(supervisor.link());
        let deadline = request.deadline;
        let lost = |source| ToolError::Supervisor { argv: argv.clone(), source };
        let (id, record) = link.start(request, &stdio).map_err(lost)?;
        // The child's own copies are on their way; ours would keep its pipes open.
        drop(stdio);
        match record.await_start() {
            Some(Ok(pid)) => Ok(Child { link, record, id, pid, argv, deadline }),
            Some(Err(outcome)) => {
                Err(outcome.verdict(link.pid(), argv, deadline).expect_err("it did not start"))
            }
            None => {
                // Should it start after all, nobody wants it any more. Not being able to say so means that the
                // supervisor is gone, and the child with it.
                let _ = link.tell(&Request::Kill { id });
                let silent = SubprocessError::Silent {
                    pid: link.pid(),
                    awaited: "report a child's start",
                    after: START_DEADLINE,
                };
                Err(lost(silent))
            }
        }
    }

    /// Its process id, which is also that of its process group.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The command line it was started with.
    pub fn argv(&self) -> &Argv {
        &self.argv
    }

    /// Waits until it and all it started are gone, at most this long; `Ok(None)` if it still runs then.
    ///
    /// # Errors
    /// When its deadline passed, when something it started could not be killed, or when the supervisor is gone.
    pub fn wait(&self, at_most: Duration) -> Result<Option<Ended>, ToolError> {
        match self.record.await_end(at_most) {
            None => Ok(None),
            Some(outcome) => outcome.verdict(self.link.pid(), self.argv.clone(), self.deadline).map(Some),
        }
    }

    /// Calls `callback` once it and all it started are gone: on the thread that reads the supervisor's reports, so it
    /// must be short and must not block; or at once, on this thread, if that is so already.
    ///
    /// The error is as for [`wait`](Child::wait): how a child ends when the supervisor is lost is not its own doing.
    pub fn on_exit(&self, callback: impl FnOnce(Result<Ended, ToolError>) + Send + 'static) {
        // Only the supervisor's pid: a waiting callback must not keep the supervisor alive.
        let (supervisor, argv, deadline) = (self.link.pid(), self.argv.clone(), self.deadline);
        self.record.on_end(Box::new(move |outcome| callback(outcome.verdict(supervisor, argv, deadline))));
    }

    /// Kills it and all it started. Returns at once; [`wait`](Child::wait) tells when they are gone. Does nothing to a
    /// child that has ended.
    ///
    /// # Errors
    /// When the supervisor is gone; the child is then, too.
    pub fn kill(&self) -> Result<(), ToolError> {
        self.tell(&Request::Kill { id: self.id })
    }

    /// Sends SIGTERM to its process group, and kills it and all it started if it still runs after `grace`. Returns at
    /// once.
    ///
    /// # Errors
    /// As for [`kill`](Child::kill).
    pub fn terminate(&self, grace: Duration) -> Result<(), ToolError> {
        self.tell(&Request::Terminate { id: self.id, grace })
    }

    fn tell(&self, request: &Request) -> Result<(), ToolError> {
        if self.record.has_ended() {
            return Ok(());
        }
        self.link.tell(request).map_err(|source| ToolError::Supervisor { argv: self.argv.clone(), source })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Fails only when the supervisor is gone, and the child with it.
        let _ = self.kill();
    }
}

impl Outcome {
    /// The outcome as the caller sees it.
    fn verdict(self, supervisor: i32, argv: Argv, deadline: Option<Duration>) -> Result<Ended, ToolError> {
        match self {
            Outcome::Ended(ended) => Ok(ended),
            Outcome::DeadlinePassed => {
                let deadline = deadline.unwrap_or_default();
                Err(ToolError::DeadlinePassed { argv, deadline, tail: Tail::default() })
            }
            Outcome::Survived(pids) => Err(ToolError::Survived { argv, pids }),
            Outcome::SupervisorLost => {
                Err(ToolError::Supervisor { argv, source: SubprocessError::Lost { pid: supervisor } })
            }
            Outcome::NotStarted(StartFailure::NotFound { program, path }) => {
                Err(ToolError::NotFound { program, path })
            }
            Outcome::NotStarted(StartFailure::Folder { folder, errno }) => {
                Err(ToolError::Folder { argv, folder, source: io::Error::from_raw_os_error(errno) })
            }
            Outcome::NotStarted(StartFailure::Other { reason }) => Err(ToolError::Spawn { argv, reason }),
        }
    }
}

impl Record {
    pub(crate) fn started(&self, pid: i32) {
        lock(&self.state).pid = Some(pid);
        self.changed.notify_all();
    }

    /// Notes the outcome, the first one only, and tells everybody who waits for it.
    pub(crate) fn finish(&self, outcome: Outcome) {
        let callbacks = {
            let mut state = lock(&self.state);
            if state.outcome.is_some() {
                return;
            }
            state.outcome = Some(outcome.clone());
            std::mem::take(&mut state.callbacks)
        };
        self.changed.notify_all();
        for callback in callbacks {
            let outcome = outcome.clone();
            // A callback that panics has been reported by the panic hook. It must not take this thread along, on which
            // every other child's end is waited for.
            let _ = catch_unwind(AssertUnwindSafe(|| callback(outcome)));
        }
    }

    /// Its process id, or why there is none; `None` when the supervisor said neither in time.
    fn await_start(&self) -> Option<Result<i32, Outcome>> {
        let unknown = |state: &mut RecordState| state.pid.is_none() && state.outcome.is_none();
        let waited = self.changed.wait_timeout_while(lock(&self.state), START_DEADLINE, unknown);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        // A child may have started and ended by now: that is for `wait` to tell.
        state.pid.map(Ok).or_else(|| state.outcome.clone().map(Err))
    }

    fn await_end(&self, at_most: Duration) -> Option<Outcome> {
        let runs = |state: &mut RecordState| state.outcome.is_none();
        let waited = self.changed.wait_timeout_while(lock(&self.state), at_most, runs);
        waited.unwrap_or_else(PoisonError::into_inner).0.outcome.clone()
    }

    fn has_ended(&self) -> bool {
        lock(&self.state).outcome.is_some()
    }

    fn on_end(&self, callback: Callback) {
        let outcome = {
            let mut state = lock(&self.state);
            match &state.outcome {
                Some(outcome) => outcome.clone(),
                None => return state.callbacks.push(callback),
            }
        };
        callback(outcome);
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.state);
        f.debug_struct("Record")
            .field("pid", &state.pid)
            .field("outcome", &state.outcome)
            .finish_non_exhaustive()
    }
}
