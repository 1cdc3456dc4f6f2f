//! Commands in the guest.

use std::{sync::Arc, time::Duration};

use protocol::{CHUNK, Exec, HowEnded, ToAgent};

use super::{
    FileReadings,
    answer::{Answer, End},
    connection::{Connection, Request},
};
use crate::SessionError;

/// The agent enforces a command's deadline; this is how much longer the host waits before it takes the guest for hung.
const GRACE: Duration = Duration::from_secs(15);

/// A command to run in a guest.
///
/// Without a word to the contrary: the agent's own namespace, all cores, no input, no snapshots, 60 s, 16 MiB of output.
#[derive(Clone, Debug)]
pub struct GuestCommand {
    exec: Exec,
    deadline: Duration,
    max_output: usize,
}

impl GuestCommand {
    /// Runs `program`, which the agent looks up in its `PATH`.
    #[must_use]
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            exec: Exec { argv: vec![program.into()], ..Exec::default() },
            deadline: Duration::from_secs(60),
            max_output: 16 * 1024 * 1024,
        }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.exec.argv.push(arg.into());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.exec.argv.extend(args.into_iter().map(Into::into));
        self
    }

    /// One more variable in its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.exec.env.push((name.into(), value.into()));
        self
    }

    /// In this network namespace, or in the agent's own.
    #[must_use]
    pub fn netns(mut self, netns: Option<&str>) -> Self {
        self.exec.netns = netns.map(str::to_owned);
        self
    }

    /// On these cores only.
    #[must_use]
    pub fn cpus(mut self, cpus: &[u32]) -> Self {
        self.exec.cpus = cpus.to_vec();
        self
    }

    /// With this standard input, at most [`CHUNK`] bytes.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.exec.stdin = bytes.into();
        self
    }

    /// Files to read immediately before and immediately after, within the namespace; patterns as for
    /// [`super::Session::read`].
    #[must_use]
    pub fn snapshot<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.exec.snapshot.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Counted in the window with this number, where QEMU counts instructions.
    #[must_use]
    pub fn window(mut self, number: u32) -> Self {
        self.exec.window = Some(number);
        self
    }

    /// The agent kills it, with all its children, when this has passed.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Most bytes of output and snapshots together; more is an error.
    #[must_use]
    pub fn max_output(mut self, bytes: usize) -> Self {
        self.max_output = bytes;
        self
    }

    /// Program and arguments, for messages.
    #[must_use]
    pub fn argv(&self) -> &[String] {
        &self.exec.argv
    }
}

/// A command that has ended, with all that came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// How it ended.
    pub how: HowEnded,
    /// Its standard output, complete.
    pub stdout: Vec<u8>,
    /// Its standard error, complete.
    pub stderr: Vec<u8>,
    /// Between its start and its end by the guest's clock.
    pub elapsed: Duration,
    /// The snapshot files immediately before.
    pub before: FileReadings,
    /// The snapshot files immediately after.
    pub after: FileReadings,
}

/// A command that runs in the guest. Dropping this does not end it: its deadline in the guest does, or the machine.
#[derive(Debug)]
pub struct RunningCommand {
    request: Request,
    pid: u32,
    deadline: Duration,
}

pub(super) async fn start(
    connection: &Arc<Connection>,
    command: GuestCommand,
) -> Result<RunningCommand, SessionError> {
    let GuestCommand { mut exec, deadline, max_output } = command;
    let what = format!("`{}`", exec.argv.join(" "));
    if exec.stdin.len() > CHUNK {
        let message =
            format!("{} bytes of input ({CHUNK} are allowed; put a file instead)", exec.stdin.len());
        return Err(SessionError::Request { request: what, message });
    }
    exec.deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
    let answer = Answer::new(max_output).of_files(&exec.snapshot);
    let request = connection.request_with(&what, answer, |id| ToAgent::Exec(id, exec)).await?;
    let pid = request.started(connection.patience()).await?;
    Ok(RunningCommand { request, pid, deadline })
}

impl RunningCommand {
    /// Its process id in the guest.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal to its process group.
    ///
    /// # Errors
    /// [`SessionError::Guest`] if it has ended; otherwise if the guest is gone or does not answer in time.
    pub async fn kill(&self, signal: i32) -> Result<(), SessionError> {
        self.request.kill(signal).await
    }

    /// How long its end is waited for: without end while a debugger may hold the guest.
    fn bound(&self) -> Duration {
        if self.request.patience() == Duration::MAX { Duration::MAX } else { self.deadline + GRACE }
    }

    /// Sends it a signal, and kills it if it has not ended within `grace`; gives what it wrote until then.
    ///
    /// # Errors
    /// As for [`RunningCommand::wait`].
    pub async fn stop(self, signal: i32, grace: Duration) -> Result<Executed, SessionError> {
        self.kill_unless_ended(signal).await?;
        if let Err(SessionError::Deadline { .. }) = self.request.end(grace).await {
            self.kill_unless_ended(nix::libc::SIGKILL).await?;
        }
        self.wait().await
    }

    /// It may have ended by itself meanwhile.
    async fn kill_unless_ended(&self, signal: i32) -> Result<(), SessionError> {
        match self.kill(signal).await {
            Ok(()) | Err(SessionError::Guest { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Resolves when it has ended or cannot be heard of any more. May be awaited and given up any number of times.
    pub async fn ended(&self) {
        // What came of it is told by `wait`.
        drop(self.request.end(self.bound()).await);
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it wrote too much (it is then killed), or if the guest is gone or does not answer in time.
    pub async fn wait(self) -> Result<Executed, SessionError> {
        match self.request.end(self.bound()).await {
            Ok(End::Command { how, elapsed }) => {
                let answer = self.request.take();
                Ok(Executed {
                    how,
                    stdout: answer.stdout,
                    stderr: answer.stderr,
                    elapsed,
                    before: answer.before,
                    after: answer.after,
                })
            }
            Ok(other) => Err(SessionError::Protocol {
                message: format!("it answered {} with {other:?}", self.request.what()),
            }),
            Err(error @ SessionError::TooMuch { .. }) => {
                // Whether this succeeds or not, the error that counts is the first one.
                drop(self.kill(nix::libc::SIGKILL).await);
                Err(error)
            }
            Err(error) => Err(error),
        }
    }
}
