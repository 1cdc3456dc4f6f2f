//! Running a command, with a look at files immediately before and after.

#![expect(unsafe_code, reason = "pidfd_open has no wrapper in std or nix")]

use std::{
    io::{self, PipeReader, PipeWriter, Write},
    os::{
        fd::{AsFd, FromRawFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use protocol::{CHUNK, Exec, FromAgent, HowEnded, Id, Moment};

use crate::{
    namespace, program,
    pump::{Pump, Streams},
    read::{self, Net},
    session::Session,
};

/// Runs a command to its end on the calling thread, which is used for nothing else afterwards: it may have changed
/// its namespaces. The end of the command is the end of its first process; what is left of its process group is then
/// killed, and what was written until then is its output.
pub(crate) fn run(session: &Arc<Session>, id: Id, exec: &Exec) -> Result<(), String> {
    if exec.deadline_ms == 0 {
        return Err("a deadline of 0 ms".into());
    }
    let net = match &exec.netns {
        Some(name) => {
            namespace::enter(name)?;
            Net::OfThread
        }
        None => Net::OfProcess,
    };
    let (mut command, streams) = prepare(exec)?;
    let everywhere = narrow(&exec.cpus)?;

    let before = read::snapshot(&exec.snapshot, net)?;
    let start = Instant::now();
    let spawned = command.spawn();
    // The parent's copies of the pipes' far ends would keep them open.
    drop(command);
    let child = spawned.map_err(|error| format!("starting `{}`: {error}", exec.argv[0]))?;
    if let Some(everywhere) = everywhere {
        sched_setaffinity(Pid::from_raw(0), &everywhere)
            .map_err(|errno| format!("widening the cores again: {}", errno.desc()))?;
    }
    let mut leader = Leader::of(session, id, child)?;
    let pump = Pump::start(Arc::clone(session), id, leader.pid, before, streams)
        .map_err(|error| format!("starting a thread: {error}"))?;

    let ended_in_time = leader.wait_until(start + Duration::from_millis(exec.deadline_ms))?;
    if !ended_in_time {
        leader.kill_group();
        leader.wait()?;
    }
    let elapsed = start.elapsed();
    let after = read::snapshot(&exec.snapshot, net)?;
    leader.kill_group();
    pump.finish()?;
    let status = leader.reap().map_err(|error| format!("waiting for `{}`: {error}", exec.argv[0]))?;

    session.send_files(id, Moment::After, after);
    let how = if ended_in_time { how(status) } else { HowEnded::DeadlinePassed };
    let elapsed_ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
    session.send(&FromAgent::Ended { id, how, elapsed_ns });
    Ok(())
}

/// All that can be done before the moment that counts.
#[expect(
    clippy::disallowed_methods,
    reason = "in the guest there is no supervisor: the agent starts commands itself"
)]
fn prepare(exec: &Exec) -> Result<(Command, Streams), String> {
    let (name, arguments) = exec.argv.split_first().ok_or("a command without a program")?;
    let path = exec.env.iter().rev().find(|(key, _)| key == "PATH").map(|(_, value)| value.into());
    let path = path.or_else(|| std::env::var_os("PATH")).unwrap_or_default();
    let pipes = || -> io::Result<_> { Ok((io::pipe()?, io::pipe()?)) };
    let ((stdout, stdout_end), (stderr, stderr_end)) =
        pipes().map_err(|error| format!("making pipes: {error}"))?;
    let mut command = Command::new(program::find(name, &path)?);
    command
        .arg0(name)
        .args(arguments)
        .envs(exec.env.iter().map(|(key, value)| (key, value)))
        .stdin(standard_input(&exec.stdin)?)
        .stdout(stdout_end)
        .stderr(stderr_end)
        .process_group(0);
    Ok((command, Streams { stdout, stderr }))
}

/// A pipe that holds all of `bytes` already: nothing needs to feed it while the command runs.
fn standard_input(bytes: &[u8]) -> Result<Stdio, String> {
    if bytes.is_empty() {
        return Ok(Stdio::null());
    }
    if bytes.len() > CHUNK {
        return Err(format!("{} bytes of standard input; {CHUNK} are allowed", bytes.len()));
    }
    let fill = || -> io::Result<PipeReader> {
        let (reader, mut writer) = io::pipe()?;
        // A new pipe holds 64 KiB; where the system grants less, fail and do not block.
        nonblocking(&writer)?;
        writer.write_all(bytes)?;
        Ok(reader)
    };
    fill().map(Stdio::from).map_err(|error| format!("filling the standard input: {error}"))
}

fn nonblocking(writer: &PipeWriter) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    fcntl(writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Keeps this thread, and so what it starts, on `cpus`. Returns where it may run otherwise; does nothing for an empty
/// list.
fn narrow(cpus: &[u32]) -> Result<Option<CpuSet>, String> {
    if cpus.is_empty() {
        return Ok(None);
    }
    let this = Pid::from_raw(0);
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu as usize).map_err(|_too_large| format!("there is no core {cpu}"))?;
    }
    let everywhere =
        sched_getaffinity(this).map_err(|errno| format!("reading the cores: {}", errno.desc()))?;
    sched_setaffinity(this, &set)
        .map_err(|errno| format!("keeping it on the cores {cpus:?}: {}", errno.desc()))?;
    Ok(Some(everywhere))
}

fn how(status: ExitStatus) -> HowEnded {
    match status.signal() {
        Some(signal) => HowEnded::Signalled(signal),
        // A process that was waited for without asking for stops has one or the other.
        None => HowEnded::Exited(status.code().unwrap_or_default()),
    }
}

/// The first process of a command, and the leader of its group. Killed and reaped when dropped, so that an error on
/// the way leaves nothing running.
struct Leader<'a> {
    session: &'a Session,
    id: Id,
    pid: Pid,
    child: Child,
    /// Becomes readable when the process has ended.
    handle: OwnedFd,
    reaped: bool,
}

impl<'a> Leader<'a> {
    fn of(session: &'a Session, id: Id, mut child: Child) -> Result<Self, String> {
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
    fn wait_until(&self, deadline: Instant) -> Result<bool, String> {
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
    fn wait(&self) -> Result<(), String> {
        while !self.poll(PollTimeout::NONE)? {}
        Ok(())
    }

    fn poll(&self, timeout: PollTimeout) -> Result<bool, String> {
        match poll(&mut [PollFd::new(self.handle.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(count) => Ok(count > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(errno) => Err(format!("waiting for process {}: {}", self.pid, errno.desc())),
        }
    }

    /// Kills what is left of the group. The leader, alive or not yet reaped, keeps the group's number from reuse.
    fn kill_group(&self) {
        let _ = killpg(self.pid, Signal::SIGKILL);
    }

    fn reap(&mut self) -> io::Result<ExitStatus> {
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
    fn a_core_that_cannot_exist_is_named() {
        assert_eq!(narrow(&[100_000]).unwrap_err(), "there is no core 100000");
        assert!(narrow(&[]).unwrap().is_none());
    }

    #[test]
    fn standard_input_holds_a_whole_chunk_and_no_more() {
        standard_input(&vec![0; CHUNK]).unwrap();
        assert!(standard_input(&vec![0; CHUNK + 1]).unwrap_err().contains("are allowed"));
    }

    #[test]
    fn a_handle_is_closed_in_commands() {
        let handle = pidfd(Pid::this()).unwrap();
        let flags = nix::fcntl::fcntl(&handle, nix::fcntl::FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags & nix::libc::FD_CLOEXEC, nix::libc::FD_CLOEXEC);
    }
}
