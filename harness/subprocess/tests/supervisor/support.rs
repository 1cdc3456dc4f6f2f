//! What the tests of the supervisor have in common.

#![expect(clippy::unwrap_used, reason = "allowed in tests, which helpers of tests are not recognised as")]

use std::io::{self, PipeReader, Read as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use subprocess::{Stdio, Stream, Supervisor, Tool};

/// Generous: a loaded machine must not fail a test that waits for a condition.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A process, a second one in a session of its own, a third below that and a daemon that left them all. Each says its
/// process id on standard output and keeps that open.
pub(crate) const TREE: &str =
    "echo $$; setsid sh -c 'echo $$; sleep 1000 & echo $!; (setsid sleep 1001 & echo $!); wait' & wait";

/// How many processes [`TREE`] announces.
pub(crate) const TREE_SIZE: usize = 4;

pub(crate) fn supervisor() -> Supervisor {
    Supervisor::start(&[env!("CARGO_BIN_EXE_assay-supervise").into()]).unwrap()
}

pub(crate) fn sh(script: &str) -> Tool {
    Tool::new("sh").args(["-c", script])
}

/// A pipe as a child's standard output.
pub(crate) fn piped() -> (PipeReader, Stdio) {
    let (reader, writer) = io::pipe().unwrap();
    (reader, Stdio { stdout: Stream::Fd(writer.into()), ..Stdio::default() })
}

/// Waits until there is something to read, or everybody who could write is gone.
fn await_readable(pipe: &PipeReader) {
    let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    let ready = poll(&mut fds, PollTimeout::try_from(SOON).unwrap()).unwrap();
    assert_eq!(ready, 1, "neither output nor end within {SOON:?}");
}

/// The process ids that [`TREE`] announces.
pub(crate) fn announced(pipe: &mut PipeReader) -> Vec<i32> {
    let mut text = String::new();
    while text.matches('\n').count() < TREE_SIZE {
        await_readable(pipe);
        let mut buffer = [0; 256];
        let count = pipe.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "the tree ended after saying {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// Waits until no process has the other end of the pipe open.
pub(crate) fn await_closed(pipe: &mut PipeReader) {
    let mut buffer = [0; 256];
    loop {
        await_readable(pipe);
        if pipe.read(&mut buffer).unwrap() == 0 {
            return;
        }
    }
}

/// Whether a process runs: a dead one may still wait for its parent to notice.
pub(crate) fn runs(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = stat.rsplit_once(") ").unwrap().1.chars().next().unwrap();
    !matches!(state, 'Z' | 'X')
}

/// Waits until none of the processes runs. To be called once their pipe has closed: a process closes its descriptors
/// some moments before it is dead.
pub(crate) fn await_gone(pids: &[i32]) {
    let deadline = Instant::now() + SOON;
    while pids.iter().any(|pid| runs(*pid)) {
        assert!(Instant::now() < deadline, "some of {pids:?} still run after {SOON:?}");
        std::thread::yield_now();
    }
}
