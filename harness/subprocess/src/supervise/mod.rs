//! The supervisor process: starts children on request and ends them, and everything they started, without fail.
//!
//! One thread, one loop over two descriptors: the socket to the harness and a signalfd. It never blocks on either the
//! harness or a child, so deadlines hold whatever they do. Having one thread also makes the parent-death signal
//! exact: it fires when the *thread* that started a child ends.

mod family;
mod orphans;
mod spawn;

use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::{Mode, umask};

use crate::wire::{self, PROTOCOL, Received, Receiver, Report, Request};
use family::Family;

/// How long the last children may take to die once the harness is gone. Only what hangs in the kernel takes longer,
/// and that can be waited for no better than left.
const END_DEADLINE: Duration = Duration::from_secs(10);

/// Body of the supervisor process. Its standard input is the socket to the harness; it ends when that closes.
pub fn supervise() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A failure to write to standard error leaves nobody to tell.
            let _ = writeln!(io::stderr(), "supervisor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    if socket.peer_addr().is_err() {
        return Err(io::Error::other("standard input is not a socket; only the harness starts this program"));
    }
    socket.set_nonblocking(true)?;
    keep_from_children()?;
    let signals = take_signals()?;
    prctl::set_child_subreaper(true)?;
    // What children make has the same permissions whatever the harness's own mask: others may read it.
    umask(Mode::from_bits_truncate(0o022));
    // Holds no folder busy, whatever the harness's own was.
    std::env::set_current_dir("/")?;

    let mut connection = Connection { receiver: Receiver::new(socket), unsent: Vec::new() };
    let mut family = Family::default();
    connection.report(&Report::Ready { protocol: PROTOCOL })?;
    // An error on the socket is the end of the harness as far as this process can know.
    let served = attend(&mut connection, &mut family, &signals);
    family.end(&signals, Instant::now() + END_DEADLINE)?;
    served
}

/// Serves requests until the harness is gone.
fn attend(connection: &mut Connection, family: &mut Family, signals: &SignalFd) -> io::Result<()> {
    loop {
        let timeout = family.next_event().map(|at| at.saturating_duration_since(Instant::now()));
        connection.wait(signals, timeout)?;
        drain(signals)?;
        if connection.receive()? == Received::Closed {
            return Ok(());
        }
        while let Some(request) = connection.receiver.message()? {
            match request {
                Request::Start { id, child, streams } => {
                    let report = family.start(id, &child, streams, &mut connection.receiver)?;
                    connection.report(&report)?;
                }
                Request::Kill { id } => family.kill(id),
                Request::Terminate { id, grace } => family.terminate(id, Instant::now() + grace),
            }
        }
        family.expire(Instant::now());
        for report in family.reap(Instant::now())? {
            connection.report(&report)?;
        }
        connection.flush()?;
    }
}

/// Marks every open descriptor as not to be inherited. The harness may itself have been given some that it does not
/// know of, such as a make's job server, and they are none of a child's business.
#[expect(unsafe_code, reason = "descriptors that nobody in this program owns have no safe handle")]
fn keep_from_children() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let Some(fd) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // SAFETY: it was open when the folder was read; this process has one thread, which closes nothing meanwhile.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    Ok(())
}

/// Takes over the signals: the end of a child as an event, and those that would end this process to be dropped. Its
/// life is tied to the socket and to nothing else. Blocked rather than ignored, since what is ignored stays so in
/// children.
fn take_signals() -> io::Result<SignalFd> {
    let mut mask = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGINT, Signal::SIGHUP, Signal::SIGTERM, Signal::SIGQUIT] {
        mask.add(signal);
    }
    mask.thread_block()?;
    Ok(SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
}

/// Forgets the signals that came. They only wake the loop: many ends of children may have become one signal.
fn drain(signals: &SignalFd) -> io::Result<()> {
    while signals.read_signal()?.is_some() {}
    Ok(())
}

/// Waits for one of `fds`, or the time.
fn wait(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
    // Rounded up, so that a deadline has passed when the wait ends, instead of being nearly there many times over.
    let timeout = timeout.map(|timeout| timeout + Duration::from_millis(1));
    let timeout = timeout
        .map_or(PollTimeout::NONE, |timeout| PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX));
    match poll(fds, timeout) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The socket to the harness, which neither side can make the other wait on.
struct Connection {
    receiver: Receiver,
    /// What the socket had no room for yet.
    unsent: Vec<u8>,
}

impl Connection {
    fn report(&mut self, report: &Report) -> io::Result<()> {
        self.unsent.extend(wire::frame(report)?);
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.receiver.socket().write(&self.unsent) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn wait(&self, signals: &SignalFd, timeout: Option<Duration>) -> io::Result<()> {
        let mut events = PollFlags::POLLIN;
        events.set(PollFlags::POLLOUT, !self.unsent.is_empty());
        let mut fds = [
            PollFd::new(self.receiver.socket().as_fd(), events),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        wait(&mut fds, timeout)
    }

    /// Reads all there is.
    fn receive(&mut self) -> io::Result<Received> {
        loop {
            match self.receiver.receive()? {
                Received::Bytes => {}
                other => return Ok(other),
            }
        }
    }
}
