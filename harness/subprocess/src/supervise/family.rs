//! The children of the supervisor, and how they end.
//!
//! Every child is a subreaper, so whatever it starts stays below it while it lives. When it ends, what is left of its
//! descendants falls to the supervisor: a direct child that was not started here is such an orphan and is killed,
//! which brings up the next generation. A child counts as gone once no orphan is left. Only unreaped direct children
//! are ever signalled, so no process id can have been reused.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use duct::unix::HandleExt as _;
use nix::libc;
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{Signal, killpg};
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;

use super::{orphans, spawn};
use crate::Ended;
use crate::wire::{ChildId, Receiver, Report, StartRequest, StreamKind};

/// How long orphans may take to die before their child is reported gone but for them. SIGKILL acts at once on all but
/// what hangs in the kernel or is another user's.
const ORPHAN_DEADLINE: Duration = Duration::from_secs(5);

/// The children that were started and are not yet reported gone.
#[derive(Default)]
pub(super) struct Family {
    children: BTreeMap<ChildId, Member>,
}

struct Member {
    handle: duct::Handle,
    pid: Pid,
    deadline: Option<Instant>,
    /// When the grace period of a termination is over.
    kill_at: Option<Instant>,
    deadline_passed: bool,
    ended: Option<(Ended, Instant)>,
}

impl Family {
    /// Starts a child whose descriptors were received; the report says what became of it.
    pub(super) fn start(
        &mut self,
        id: ChildId,
        request: &StartRequest,
        streams: [StreamKind; 3],
        receiver: &mut Receiver,
    ) -> io::Result<Report> {
        let mut files = [const { None }; 3];
        for (file, kind) in files.iter_mut().zip(streams) {
            if kind == StreamKind::Passed {
                *file = Some(receiver.file()?);
            }
        }
        let deadline = request.deadline.and_then(|deadline| Instant::now().checked_add(deadline));
        let (handle, pid) = match spawn::spawn(request, files) {
            Ok(started) => started,
            Err(failure) => return Ok(Report::NotStarted { id, failure }),
        };
        let member = Member { handle, pid, deadline, kill_at: None, deadline_passed: false, ended: None };
        self.children.insert(id, member);
        Ok(Report::Started { id, pid: pid.as_raw() })
    }

    /// Kills a child; what it started follows when it is reaped.
    pub(super) fn kill(&mut self, id: ChildId) {
        if let Some(member) = self.children.get(&id) {
            member.kill();
        }
    }

    /// Asks a child's process group to end, and makes sure of it at `kill_at`.
    pub(super) fn terminate(&mut self, id: ChildId, kill_at: Instant) {
        if let Some(member) = self.children.get_mut(&id).filter(|member| member.ended.is_none()) {
            // Fails when the group has ended, but is not yet reaped.
            let _ = killpg(member.pid, Signal::SIGTERM);
            member.kill_at = Some(kill_at);
        }
    }

    /// When something is due that no descriptor announces.
    pub(super) fn next_event(&self) -> Option<Instant> {
        self.children.values().filter_map(Member::next_event).min()
    }

    /// Kills what has had its time.
    pub(super) fn expire(&mut self, now: Instant) {
        for member in self.children.values_mut().filter(|member| member.ended.is_none()) {
            if member.deadline.is_some_and(|at| at <= now) {
                member.deadline = None;
                member.deadline_passed = true;
                member.kill();
            }
            if member.kill_at.is_some_and(|at| at <= now) {
                member.kill_at = None;
                member.kill();
            }
        }
    }

    /// Takes note of who ended, kills orphans, and returns the reports of those that are gone.
    pub(super) fn reap(&mut self, now: Instant) -> io::Result<Vec<Report>> {
        for member in self.children.values_mut().filter(|member| member.ended.is_none()) {
            if let Some(output) = member.handle.try_wait()? {
                member.ended = Some((output.status.into(), now));
            }
        }
        let living: Vec<Pid> = self.children.values().filter(|m| m.ended.is_none()).map(|m| m.pid).collect();
        let orphans = orphans::kill(&living)?;
        let gone: Vec<ChildId> = self
            .children
            .iter()
            .filter(|(_, member)| {
                member.ended.is_some_and(|(_, at)| orphans.is_empty() || at + ORPHAN_DEADLINE <= now)
            })
            .map(|(id, _)| *id)
            .collect();
        let report = |id| {
            let member = self.children.remove(&id)?;
            let survivors = orphans.iter().map(|pid| pid.as_raw()).collect();
            let (ended, _) = member.ended?;
            Some(Report::Gone { id, ended, deadline_passed: member.deadline_passed, survivors })
        };
        Ok(gone.into_iter().filter_map(report).collect())
    }

    /// Kills everything and waits, until `deadline`, for nothing to be left.
    pub(super) fn end(mut self, signals: &SignalFd, deadline: Instant) -> io::Result<()> {
        for member in self.children.values() {
            member.kill();
        }
        loop {
            let now = Instant::now();
            self.reap(now)?;
            if orphans::has_no_children() || now >= deadline {
                return Ok(());
            }
            let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
            super::wait(&mut fds, Some(deadline.saturating_duration_since(now)))?;
            super::drain(signals)?;
        }
    }
}

impl Member {
    fn kill(&self) {
        // Fails only on a child that ended and was reaped.
        let _ = self.handle.send_signal(libc::SIGKILL);
    }

    fn next_event(&self) -> Option<Instant> {
        match self.ended {
            Some((_, at)) => Some(at + ORPHAN_DEADLINE),
            None => self.deadline.into_iter().chain(self.kill_at).min(),
        }
    }
}
