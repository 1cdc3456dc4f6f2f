//! A command run to its end, with its output.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::Tail;
use crate::tool::{Stdio, Stream, Tool};
use crate::{Argv, Child, Ended, Supervisor, ToolError};

/// The supervisor reports an end some moments after the last pipe closed: all that was started has to be gone.
/// It gives up on what cannot be killed well within this time.
const REPORT_DEADLINE: Duration = Duration::from_secs(30);

/// What a command left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub ended: Ended,
    /// Its standard output; with a log, only the end of it (see [`Tool::max_output`]).
    pub stdout: Vec<u8>,
    /// The end of its standard error (see [`Tool::max_output`]).
    pub stderr: Vec<u8>,
    /// From its start to the end of all it started.
    pub took: Duration,
}

pub(crate) fn to_end(tool: Tool, supervisor: &Supervisor) -> Result<Output, ToolError> {
    let argv = tool.argv();
    let limit = tool.max_output;
    let mut log = tool.log.as_deref().map(Log::open).transpose()?;
    let capture = |source| ToolError::Capture { argv: argv.clone(), source };
    let stdin = tool.stdin.open().map_err(|source| ToolError::Input { argv: argv.clone(), source })?;
    let (mut stdout, stdout_writer) = Captured::new(limit).map_err(capture)?;
    let (mut stderr, stderr_writer) = Captured::new(limit).map_err(capture)?;

    let started = Instant::now();
    let child = tool.start(supervisor, Stdio { stdin, stdout: stdout_writer, stderr: stderr_writer })?;
    // Closes with the callback, and so wakes the loop below when the child ends without closing its pipes.
    let (over, still_running) = io::pipe().map_err(capture)?;
    child.on_exit(move |_| drop(still_running));

    loop {
        let ended = await_output(&stdout, &stderr, &over).map_err(capture)?;
        // Standard output first: what a build says it starts belongs before what goes wrong with it.
        for stream in [&mut stdout, &mut stderr] {
            stream.drain(log.as_mut()).map_err(|error| error.named(&argv))?;
        }
        if log.is_none() && stdout.dropped > 0 {
            return Err(ToolError::TooMuchOutput { argv, limit });
        }
        // What a survivor may still write to an open pipe is nobody's output.
        if ended || (stdout.closed && stderr.closed) {
            break;
        }
    }
    let (stdout, stderr) = (stdout.into_bytes(), stderr.into_bytes());
    let ended = await_end(&child).map_err(|error| quote(error, &stdout, &stderr))?;
    Ok(Output { ended, stdout, stderr, took: started.elapsed() })
}

/// Waits until there is something to read; true once the child has ended.
fn await_output(stdout: &Captured, stderr: &Captured, over: &PipeReader) -> io::Result<bool> {
    let mut fds = vec![PollFd::new(over.as_fd(), PollFlags::POLLIN)];
    fds.extend(
        [stdout, stderr].iter().filter(|c| !c.closed).map(|c| PollFd::new(c.pipe.as_fd(), PollFlags::POLLIN)),
    );
    // Without a bound of its own: the supervisor keeps the deadline, and its loss ends the child's record too.
    match poll(&mut fds, PollTimeout::NONE) {
        Ok(_) => Ok(fds[0].any().unwrap_or(true)),
        Err(nix::errno::Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A command may close its streams and run on: only its deadline, if it has one, bounds that.
fn await_end(child: &Child) -> Result<Ended, ToolError> {
    loop {
        if let Some(ended) = child.wait(REPORT_DEADLINE)? {
            return Ok(ended);
        }
    }
}

/// Adds what the command last said to the error about its deadline.
fn quote(error: ToolError, stdout: &[u8], stderr: &[u8]) -> ToolError {
    match error {
        ToolError::DeadlinePassed { argv, deadline, .. } => {
            ToolError::DeadlinePassed { argv, deadline, tail: Tail::of(stdout, stderr) }
        }
        other => other,
    }
}

/// One stream of the child, as far as it was read: the last `limit` bytes.
#[derive(Debug)]
struct Captured {
    pipe: PipeReader,
    kept: Vec<u8>,
    limit: usize,
    dropped: usize,
    closed: bool,
}

impl Captured {
    /// And the end that the child writes to.
    fn new(limit: usize) -> io::Result<(Captured, Stream)> {
        let (pipe, writer) = io::pipe()?;
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let captured = Captured { pipe, kept: Vec::new(), limit, dropped: 0, closed: false };
        Ok((captured, Stream::Fd(writer.into())))
    }

    /// Reads all there is for now, into memory and the log.
    fn drain(&mut self, mut log: Option<&mut Log>) -> Result<(), DrainError> {
        let mut buffer = [0; 64 << 10];
        while !self.closed {
            match self.pipe.read(&mut buffer) {
                Ok(0) => self.closed = true,
                Ok(count) => {
                    if let Some(log) = &mut log {
                        log.append(&buffer[..count])?;
                    }
                    self.keep(&buffer[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(DrainError::Read(error)),
            }
            if log.is_none() && self.dropped > 0 {
                // The caller may want to end the command rather than read on.
                break;
            }
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        // Twice the limit before anything is moved, so that each byte is moved once at most.
        if self.kept.len() > self.limit.saturating_mul(2) {
            self.trim();
        }
        if self.kept.len() > self.limit {
            self.dropped = self.dropped.max(1);
        }
    }

    fn trim(&mut self) {
        let excess = self.kept.len().saturating_sub(self.limit);
        self.kept.drain(..excess);
        self.dropped += excess;
    }

    fn into_bytes(mut self) -> Vec<u8> {
        self.trim();
        self.kept
    }
}

/// The file that a command's output is appended to.
#[derive(Debug)]
struct Log {
    path: std::path::PathBuf,
    file: File,
}

impl Log {
    fn open(path: &Path) -> Result<Log, ToolError> {
        let opened = OpenOptions::new().create(true).append(true).open(path);
        let file = opened.map_err(|source| ToolError::Log { path: path.to_owned(), source })?;
        Ok(Log { path: path.to_owned(), file })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), DrainError> {
        self.file.write_all(bytes).map_err(|source| DrainError::Log { path: self.path.clone(), source })
    }
}

/// What may go wrong while output is read.
#[derive(Debug)]
enum DrainError {
    Read(io::Error),
    Log { path: std::path::PathBuf, source: io::Error },
}

impl DrainError {
    fn named(self, argv: &Argv) -> ToolError {
        match self {
            DrainError::Read(source) => ToolError::Capture { argv: argv.clone(), source },
            DrainError::Log { path, source } => ToolError::Log { path, source },
        }
    }
}
