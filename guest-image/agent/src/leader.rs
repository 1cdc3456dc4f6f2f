//! The first process of a command: its end, and that of its group.

#![expect(unsafe_code, reason = "pidfd_open has no wrapper in std or nix")]

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use protocol::{HowEnded, Id};

use crate::session::Session;

/// An end in the protocol's words.
pub(crate) fn how(status: ExitStatus) -> HowEnded {
    match status.signal() {
        Some(signal) => HowEnded::Signalled(signal),
        // A process that was waited for without asking for stops has one or the other.
        None => HowEnded::Exited(status.code().unwrap_or_default()),
    }
}

/// The first process of a command, and the leader of its group. Killed and reaped when dropped, so that an error on
/// the way leaves nothing running.
pub(crate) struct Leader<'a> {
    session: &'a Session,
    id: Id,
    pub(crate) pid: Pid,
    child: Child,
    /// Becomes readable when the process has ended.
    handle: OwnedFd,
    reaped: bool,
}

impl<'a> Leader<'a> {
    pub(crate) fn of(session: &'a Session, id: Id, mut child: Child) -> Result<Self, String> {
        let pid = Pid::from_raw(
            i32::try_from(child.id()).expect("the kernel's process ids are positive and 31 bits"),
        );
        let registered = pidfd(pid)
            .map_err(|error| format!("opening a handle of process {pid}: {error}"))
            .and_then(|handle| session.started(id, pid).map(|()| handle));
        match registered {
            Ok(handle) => Ok(Self { session, id, pid, child, handle, reaped: false }),
            Err(reason) => {
                // It has not been reaped, so the group is still its own; an error means that it has ended.
                let _ = killpg(pid, Signal::SIGKILL);
                let _ = child.wait();
                Err(reason)
            }
        }
    }

    /// Waits for its end; false if the deadline passed before.
    pub(crate) fn wait_until(&self, deadline: Instant) -> Result<bool, String> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // Rounded up, so that the last round does not spin through its last millisecond.
            let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            if self.poll(timeout)? {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
        }
    }

    /// Waits for its end without a deadline: it was killed.
    pub(crate) fn wait(&self) -> Result<(), String> {
        while !self.poll(PollTimeout::NONE)? {}
        Ok(())
    }

    /// Becomes readable when it has ended.
    pub(crate) fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    fn poll(&self, timeout: PollTimeout) -> Result<bool, String> {
        match poll(&mut [PollFd::new(self.handle.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(count) => Ok(count > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(errno) => Err(format!("waiting for process {}: {}", self.pid, errno.desc())),
        }
    }

    /// Kills what is left of the group. The leader, alive or not yet reaped, keeps the group's number from reuse.
    pub(crate) fn kill_group(&self) {
        let _ = killpg(self.pid, Signal::SIGKILL);
    }

    pub(crate) fn reap(&mut self) -> io::Result<ExitStatus> {
        self.session.ended(self.id);
        self.reaped = true;
        self.child.wait()
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill_group();
            let _ = self.reap();
        }
    }
}

fn pidfd(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers and touches no memory of ours.
    let fd = unsafe { nix::libc::syscall(nix::libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = i32::try_from(Errno::result(fd)?).expect("a descriptor is an int");
    // SAFETY: the kernel has just made this descriptor, close-on-exec, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_closed_in_commands() {
        let handle = pidfd(Pid::this()).unwrap();
        let flags = nix::fcntl::fcntl(&handle, nix::fcntl::FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags & nix::libc::FD_CLOEXEC, nix::libc::FD_CLOEXEC);
    }
}
