//! A command run to its end, with its output.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::Tail;
use crate::tool::{Stdio, Stream, Tool};
use crate::{Argv, Ended, SubprocessError, Supervisor, ToolError};

/// How long after a command's deadline, or after it was killed, the supervisor may take to report its end: all that it
/// started has to be gone, and the supervisor gives up on what cannot be killed well within this time.
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
    let stdout_writer = match &tool.stdout_file {
        Some(path) => {
            let file =
                File::create(path).map_err(|source| ToolError::OutputFile { path: path.clone(), source })?;
            Stream::File(file)
        }
        None => stdout_writer,
    };
    let (mut stderr, stderr_writer) = Captured::new(limit).map_err(capture)?;

    let started = Instant::now();
    let patience = tool.deadline.map(|deadline| started + deadline + REPORT_DEADLINE);
    let child = tool.start(supervisor, Stdio { stdin, stdout: stdout_writer, stderr: stderr_writer })?;
    // Closes with the callback, and so wakes the loop below when the child ends without closing its pipes.
    let (over, still_running) = io::pipe().map_err(capture)?;
    child.on_exit(move |_| drop(still_running));

    let read = read_all(&mut stdout, &mut stderr, log.as_mut(), &over, patience);
    if let Err(error) = read {
        // It is not to outlive this call; that it could not be ended matters less than why it had to be.
        drop((stdout, stderr));
        let _ = child.kill().and_then(|()| child.wait(REPORT_DEADLINE));
        return Err(error.named(argv, limit, supervisor.pid()));
    }
    let (stdout, stderr) = (stdout.into_bytes(), stderr.into_bytes());
    let ended = match child.wait(left(patience)).map_err(|error| quote(error, &stdout, &stderr))? {
        Some(ended) => ended,
        None => return Err(ReadError::Silent.named(argv, limit, supervisor.pid())),
    };
    Ok(Output { ended, stdout, stderr, took: started.elapsed() })
}

/// Reads both streams until the command has closed them or ended.
fn read_all(
    stdout: &mut Captured,
    stderr: &mut Captured,
    mut log: Option<&mut Log>,
    over: &PipeReader,
    patience: Option<Instant>,
) -> Result<(), ReadError> {
    while !(stdout.closed && stderr.closed) {
        let ended = await_output(stdout, stderr, over, patience)?;
        // Standard output first: what a build says it starts belongs before what goes wrong with it.
        for stream in [&mut *stdout, &mut *stderr] {
            stream.drain(log.as_deref_mut())?;
        }
        if log.is_none() && stdout.overflowed {
            return Err(ReadError::TooMuch);
        }
        if ended {
            // A pipe that is open yet is held by a survivor, and what that still writes is nobody's output.
            break;
        }
    }
    Ok(())
}

/// Waits until there is something to read; true once the child has ended.
fn await_output(
    stdout: &Captured,
    stderr: &Captured,
    over: &PipeReader,
    patience: Option<Instant>,
) -> Result<bool, ReadError> {
    let open = [stdout, stderr].into_iter().filter(|stream| !stream.closed);
    let mut fds = vec![PollFd::new(over.as_fd(), PollFlags::POLLIN)];
    fds.extend(open.map(|stream| PollFd::new(stream.pipe.as_fd(), PollFlags::POLLIN)));
    let timeout = PollTimeout::try_from(left(patience)).unwrap_or(PollTimeout::NONE);
    match poll(&mut fds, timeout) {
        Ok(0) => Err(ReadError::Silent),
        Ok(_) => Ok(fds[0].any().unwrap_or(true)),
        Err(Errno::EINTR) => Ok(false),
        Err(error) => Err(ReadError::Read(error.into())),
    }
}

/// What is left of the time; without an end, for ever: a command without a deadline may take any time, and the loss of
/// the supervisor ends the wait.
fn left(patience: Option<Instant>) -> Duration {
    patience.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()))
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

/// One stream of the child, as far as it was read: its last `limit` bytes.
#[derive(Debug)]
struct Captured {
    pipe: PipeReader,
    kept: Vec<u8>,
    limit: usize,
    /// More than `limit` bytes came.
    overflowed: bool,
    closed: bool,
}

impl Captured {
    /// And the end that the child writes to.
    fn new(limit: usize) -> io::Result<(Captured, Stream)> {
        let (pipe, writer) = io::pipe()?;
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let captured = Captured { pipe, kept: Vec::new(), limit, overflowed: false, closed: false };
        Ok((captured, Stream::Fd(writer.into())))
    }

    /// Reads all there is for now, into memory and the log; without a log, no further than the limit.
    fn drain(&mut self, mut log: Option<&mut Log>) -> Result<(), ReadError> {
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
                Err(error) => return Err(ReadError::Read(error)),
            }
            if log.is_none() && self.overflowed {
                break;
            }
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        self.overflowed |= self.kept.len() > self.limit;
        // Twice the limit before anything is moved, so that a byte is moved once at most.
        if self.kept.len() > self.limit.saturating_mul(2) {
            self.trim();
        }
    }

    fn trim(&mut self) {
        self.kept.drain(..self.kept.len().saturating_sub(self.limit));
    }

    fn into_bytes(mut self) -> Vec<u8> {
        self.trim();
        self.kept
    }
}

/// Bytes of one command's output that a log takes: a kernel's build with all its modules writes two million.
const MAX_LOG: usize = 256 << 20;
/// What a log says then.
const LEFT_OUT: &[u8] = b"\n[more output than a log takes: the rest is left out]\n";

/// The file that a command's output is appended to.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: File,
    /// How much more is written: a command may have no end.
    left: usize,
    /// Whether it was said that something is missing.
    cut: bool,
}

impl Log {
    fn open(path: &Path) -> Result<Log, ToolError> {
        let opened = OpenOptions::new().create(true).append(true).open(path);
        let file = opened.map_err(|source| ToolError::Log { path: path.to_owned(), source })?;
        Ok(Log { path: path.to_owned(), file, left: MAX_LOG, cut: false })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        let (written, dropped) = bytes.split_at(bytes.len().min(self.left));
        self.left -= written.len();
        let note: &[u8] = if dropped.is_empty() || self.cut { b"" } else { LEFT_OUT };
        self.cut |= !dropped.is_empty();
        let mut write = |bytes| self.file.write_all(bytes);
        write(written)
            .and_then(|()| write(note))
            .map_err(|source| ReadError::Log { path: self.path.clone(), source })
    }
}

/// Why the output could not be read to its end.
#[derive(Debug)]
enum ReadError {
    Read(io::Error),
    Log {
        path: PathBuf,
        source: io::Error,
    },
    TooMuch,
    /// The supervisor did not keep the command's deadline.
    Silent,
}

impl ReadError {
    fn named(self, argv: Argv, limit: usize, supervisor: i32) -> ToolError {
        match self {
            ReadError::Read(source) => ToolError::Capture { argv, source },
            ReadError::Log { path, source } => ToolError::Log { path, source },
            ReadError::TooMuch => ToolError::TooMuchOutput { argv, limit },
            ReadError::Silent => {
                let awaited = "end a command after its deadline";
                let source = SubprocessError::Silent { pid: supervisor, awaited, after: REPORT_DEADLINE };
                ToolError::Supervisor { argv, source }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_are_kept_and_an_overflow_is_noted() {
        let (mut captured, writer) = Captured::new(4).unwrap();
        drop(writer);
        captured.keep(b"abcd");
        assert!(!captured.overflowed);
        captured.keep(b"efghij");
        captured.keep(b"k");
        assert!(captured.overflowed);
        assert_eq!(captured.into_bytes(), b"hijk");
    }
}
