//! The harness's side: the handle to the supervisor process.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::child::{Outcome, Record};
use crate::tool::Stream;
use crate::wire::{self, ChildId, PROTOCOL, Receiver, Report, Request, StartRequest, StreamKind};
use crate::{Argv, Stdio, SubprocessError};

/// How long the supervisor may take for its first word.
const READY_DEADLINE: Duration = Duration::from_secs(20);
/// How long the supervisor may take to end every child after the last handle was dropped.
const END_DEADLINE: Duration = Duration::from_secs(15);
/// How long a request may wait for room in the socket. The supervisor never blocks, so only a stopped one takes long.
const SEND_DEADLINE: Duration = Duration::from_secs(10);

/// Handle to the one long-lived supervisor process. Cheap to clone; usable from any thread.
///
/// When the last handle and the last [`Child`](crate::Child) are dropped, or the harness ends in any other way, the
/// supervisor ends every process it started and then itself.
#[derive(Debug, Clone)]
pub struct Supervisor {
    link: Arc<Link>,
}

/// The connection to the supervisor.
#[derive(Debug)]
pub(crate) struct Link {
    socket: Mutex<UnixStream>,
    roster: Arc<Roster>,
    next_id: AtomicU64,
    pid: i32,
    reader: ThreadId,
}

/// Who runs, as far as the harness knows. Shared with the thread that reads reports.
#[derive(Debug, Default)]
struct Roster {
    state: Mutex<RosterState>,
    closed: Condvar,
}

#[derive(Debug, Default)]
struct RosterState {
    children: HashMap<ChildId, Arc<Record>>,
    /// The supervisor is gone, and was reaped.
    closed: bool,
}

impl Supervisor {
    /// Starts the supervisor process. `argv` is a program that calls [`supervise`](crate::supervise()) and nothing else.
    ///
    /// # Errors
    /// When it cannot be started, or is not a supervisor of this version.
    pub fn start(argv: &[OsString]) -> Result<Supervisor, SubprocessError> {
        let named = || Argv(argv.to_vec());
        let failed = |source| SubprocessError::Start { argv: named(), source };
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        ours.set_read_timeout(Some(READY_DEADLINE)).map_err(failed)?;
        ours.set_write_timeout(Some(SEND_DEADLINE)).map_err(failed)?;
        let process = spawn(argv, theirs).map_err(failed)?;
        let pid = process.pids().first().map_or(0, |pid| pid.cast_signed());

        let mut receiver = Receiver::new(ours.try_clone().map_err(failed)?);
        let protocol = await_ready(&mut receiver)
            .map_err(|reason| SubprocessError::Handshake { argv: named(), reason: reason.to_string() })?;
        if protocol != PROTOCOL {
            let reason = format!("it speaks version {protocol} of the protocol, not {PROTOCOL}; rebuild it");
            return Err(SubprocessError::Handshake { argv: named(), reason });
        }
        ours.set_read_timeout(None).map_err(failed)?;

        let roster = Arc::new(Roster::default());
        let reader = thread::Builder::new()
            .name("supervisor-reports".into())
            .spawn({
                let roster = Arc::clone(&roster);
                move || read_reports(&mut receiver, &process, &roster)
            })
            .map_err(failed)?;
        let link = Link {
            socket: Mutex::new(ours),
            roster,
            next_id: AtomicU64::new(1),
            pid,
            reader: reader.thread().id(),
        };
        Ok(Supervisor { link: Arc::new(link) })
    }

    /// A supervisor for tests: the `assay-supervise` program of the build that the running test belongs to.
    ///
    /// # Panics
    /// When the program was not built, or cannot be started.
    #[cfg(feature = "test-support")]
    pub fn for_tests() -> Supervisor {
        let test = std::env::current_exe().expect("a test knows its own path");
        let program =
            test.ancestors().map(|folder| folder.join("assay-supervise")).find(|path| path.is_file());
        let program = program.unwrap_or_else(|| {
            panic!("no assay-supervise beside {}: run `cargo build -p subprocess` first", test.display())
        });
        Supervisor::start(&[program.into_os_string()]).expect("a built supervisor starts")
    }

    /// The supervisor's process id.
    pub fn pid(&self) -> i32 {
        self.link.pid
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }
}

impl Link {
    /// Sends a start request with its descriptors; what becomes of the child is written to the returned record.
    pub(crate) fn start(
        &self,
        child: StartRequest,
        stdio: &Stdio,
    ) -> Result<(ChildId, Arc<Record>), SubprocessError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let record = Arc::new(Record::default());
        {
            let mut roster = lock(&self.roster.state);
            if roster.closed {
                return Err(self.lost());
            }
            roster.children.insert(id, Arc::clone(&record));
        }
        let streams = [&stdio.stdin, &stdio.stdout, &stdio.stderr];
        let request = Request::Start { id, child: Box::new(child), streams: streams.map(Stream::kind) };
        let sent = self.send(&request, &streams);
        if sent.is_err() {
            lock(&self.roster.state).children.remove(&id);
        }
        sent.map(|()| (id, record))
    }

    /// Sends a request without descriptors.
    pub(crate) fn tell(&self, request: &Request) -> Result<(), SubprocessError> {
        self.send(request, &[])
    }

    fn send(&self, request: &Request, streams: &[&Stream]) -> Result<(), SubprocessError> {
        let failed = |source| SubprocessError::Send { pid: self.pid, source };
        let frame = wire::frame(request).map_err(failed)?;
        let mut socket = lock(&self.socket);
        let sent = streams
            .iter()
            .filter_map(|stream| stream.fd())
            .try_for_each(|fd| wire::send_file(&socket, fd))
            .and_then(|()| socket.write_all(&frame));
        match sent {
            Ok(()) => Ok(()),
            Err(_) if lock(&self.roster.state).closed => Err(self.lost()),
            Err(source) if matches!(source.kind(), std::io::ErrorKind::BrokenPipe) => Err(self.lost()),
            Err(source) => {
                // Half a request may be on its way: nothing said after it would be understood.
                // A socket that cannot be shut down is closed already.
                let _ = socket.shutdown(std::net::Shutdown::Both);
                Err(failed(source))
            }
        }
    }

    pub(crate) fn lost(&self) -> SubprocessError {
        SubprocessError::Lost { pid: self.pid }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }
}

impl Drop for Link {
    /// Waits, within bounds, for every child to be gone: what comes after, such as removing their folder, relies on it.
    fn drop(&mut self) {
        let socket = self.socket.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Fails only when the other side is gone already, which is what is wanted.
        let _ = socket.shutdown(std::net::Shutdown::Write);
        // The last handle may be dropped by a callback, on the thread that would have to see the end.
        if thread::current().id() == self.reader {
            return;
        }
        let state = lock(&self.roster.state);
        // Children that outlive the bound hang in the kernel; there is no caller to tell.
        let _ = self.roster.closed.wait_timeout_while(state, END_DEADLINE, |state| !state.closed);
    }
}

/// Starts the supervisor with `socket` as its standard input.
#[expect(
    clippy::disallowed_methods,
    reason = "the supervisor is the one process that the harness starts itself"
)]
#[expect(unsafe_code, reason = "std has no safe way to start a process in a session of its own")]
fn spawn(argv: &[OsString], socket: UnixStream) -> std::io::Result<duct::Handle> {
    let program = argv.first().ok_or(std::io::ErrorKind::InvalidInput)?;
    duct::cmd(program, &argv[1..])
        .stdin_file(socket)
        .stdout_null()
        .unchecked()
        .before_spawn(|command| {
            // In a session of its own, the terminal's Ctrl-C and hang-up do not reach it or its children: the harness
            // decides what they mean.
            //
            // SAFETY: between fork and exec only setsid runs, which is async-signal-safe and allocates nothing.
            unsafe { command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(Into::into)) };
            Ok(())
        })
        .start()
}

/// Waits for the supervisor's first word: the version of its protocol.
fn await_ready(receiver: &mut Receiver) -> std::io::Result<u32> {
    loop {
        match receiver.message()? {
            Some(Report::Ready { protocol }) => return Ok(protocol),
            Some(_) => return Err(std::io::Error::other("its first message was something else")),
            None => match receiver.receive()? {
                wire::Received::Bytes => {}
                wire::Received::Nothing => {
                    let late =
                        format!("its first message did not come within {} s", READY_DEADLINE.as_secs());
                    return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, late));
                }
                wire::Received::Closed => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            },
        }
    }
}

/// Body of the thread that reads reports, until the supervisor is gone.
fn read_reports(receiver: &mut Receiver, process: &duct::Handle, roster: &Roster) {
    loop {
        match receiver.message::<Report>() {
            Ok(Some(report)) => roster.apply(report),
            // What cannot be read ends the connection as a closed socket does: the supervisor ends when we hang up.
            Err(_) => break,
            Ok(None) => match receiver.receive() {
                Ok(wire::Received::Bytes) => {}
                Ok(wire::Received::Nothing | wire::Received::Closed) | Err(_) => break,
            },
        }
    }
    // Fails only on a socket that is closed already.
    let _ = receiver.socket().shutdown(std::net::Shutdown::Both);
    // Reaps it. A failure means that it is no child of ours any more; then there is nothing left to reap.
    let _ = process.wait();
    let children = {
        let mut state = lock(&roster.state);
        state.closed = true;
        std::mem::take(&mut state.children)
    };
    roster.closed.notify_all();
    for record in children.into_values() {
        record.finish(Outcome::SupervisorLost);
    }
}

impl Roster {
    fn apply(&self, report: Report) {
        match report {
            Report::Ready { .. } => {}
            Report::Started { id, pid } => {
                let record = lock(&self.state).children.get(&id).cloned();
                if let Some(record) = record {
                    record.started(pid);
                }
            }
            Report::NotStarted { id, failure } => self.finish(id, Outcome::NotStarted(failure)),
            Report::Gone { id, ended, deadline_passed, survivors } => {
                let outcome = if !survivors.is_empty() {
                    Outcome::Survived(survivors)
                } else if deadline_passed {
                    Outcome::DeadlinePassed
                } else {
                    Outcome::Ended(ended)
                };
                self.finish(id, outcome);
            }
        }
    }

    fn finish(&self, id: ChildId, outcome: Outcome) {
        let record = lock(&self.state).children.remove(&id);
        if let Some(record) = record {
            record.finish(outcome);
        }
    }
}

impl Stream {
    fn kind(&self) -> StreamKind {
        if self.fd().is_some() { StreamKind::Passed } else { StreamKind::Null }
    }

    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        match self {
            Stream::Null => None,
            Stream::File(file) => Some(file.as_fd()),
            Stream::Fd(fd) => Some(fd.as_fd()),
        }
    }
}

/// Locks, also after a panic elsewhere: every update under these locks is one assignment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
