//! Running a command that is fed while it runs: on a terminal, or over pipes.

mod feed;

use std::{
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Instant,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use protocol::{CHUNK, FromAgent, Id, Interact, Stream};

use crate::{
    leader::{Leader, how},
    program,
    session::Session,
    terminal,
};

pub(crate) use feed::Feed;

/// Runs a command to its end on the calling thread.
pub(crate) fn run(session: &Arc<Session>, id: Id, interact: &Interact) -> Result<(), String> {
    let feed = Arc::new(Feed::new().map_err(|error| format!("making an eventfd: {error}"))?);
    let (mut command, ends) = prepare(interact)?;
    let start = Instant::now();
    let spawned = command.spawn();
    // The parent's copies of the command's ends would keep them open.
    drop(command);
    let child = spawned.map_err(|error| format!("starting `{}`: {error}", interact.argv[0]))?;
    let mut leader = Leader::of(session, id, child)?;
    let fed = session.feeds(id, &feed);
    session.send(&FromAgent::Started { id, pid: leader.pid.as_raw().unsigned_abs() });
    let mut serving = Serving { session, id, feed: &feed, ends, buffer: vec![0; CHUNK] };
    serving.until_ended(leader.handle())?;
    let elapsed = start.elapsed();
    drop(fed);
    leader.kill_group();
    serving.last_words()?;
    let status = leader.reap().map_err(|error| format!("waiting for `{}`: {error}", interact.argv[0]))?;
    let elapsed_ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
    session.send(&FromAgent::Ended { id, how: how(status), elapsed_ns });
    Ok(())
}

/// Our ends of a command's streams; none of them blocks.
struct Ends {
    /// Until the command no longer reads, or there is no more input.
    input: Option<File>,
    /// Until they end.
    outputs: Vec<(Stream, File)>,
    /// The command's terminal, if it has one.
    terminal: Option<File>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "in the guest there is no supervisor: the agent starts commands itself"
)]
fn prepare(interact: &Interact) -> Result<(Command, Ends), String> {
    let (name, arguments) = interact.argv.split_first().ok_or("a command without a program")?;
    let path = interact.env.iter().rev().find(|(key, _)| key == "PATH").map(|(_, value)| value.into());
    let path = path.or_else(|| std::env::var_os("PATH")).unwrap_or_default();
    let mut command = Command::new(program::find(name, &path)?);
    command.arg0(name).args(arguments).envs(interact.env.iter().map(|(key, value)| (key, value)));
    if let Some(folder) = &interact.directory {
        let found = Path::new(folder).metadata().map_err(|error| format!("the folder {folder}: {error}"))?;
        if !found.is_dir() {
            return Err(format!("{folder} is not a folder"));
        }
        command.current_dir(folder);
    }
    let connected = |error: io::Error| format!("connecting its streams: {error}");
    let ends = match interact.terminal {
        Some(size) => {
            let terminal = terminal::open(size)?;
            terminal::lead_session(&mut command);
            on_terminal(&mut command, terminal).map_err(connected)?
        }
        None => {
            command.process_group(0);
            on_pipes(&mut command).map_err(connected)?
        }
    };
    Ok((command, ends))
}

fn on_terminal(command: &mut Command, ends: terminal::Terminal) -> io::Result<Ends> {
    let terminal::Terminal { master, slave } = ends;
    command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
    // One open file, so one flag for all three.
    nonblocking(&master)?;
    Ok(Ends {
        input: Some(master.try_clone()?),
        outputs: vec![(Stream::Stdout, master.try_clone()?)],
        terminal: Some(master),
    })
}

fn on_pipes(command: &mut Command) -> io::Result<Ends> {
    let (input_end, input) = io::pipe()?;
    let (stdout, stdout_end) = io::pipe()?;
    let (stderr, stderr_end) = io::pipe()?;
    command.stdin(input_end).stdout(Stdio::from(stdout_end)).stderr(stderr_end);
    let ours = |end: OwnedFd| nonblocking(&end).map(|()| File::from(end));
    Ok(Ends {
        input: Some(ours(input.into())?),
        outputs: vec![(Stream::Stdout, ours(stdout.into())?), (Stream::Stderr, ours(stderr.into())?)],
        terminal: None,
    })
}

fn nonblocking(end: impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(end.as_fd(), FcntlArg::F_GETFL)?);
    fcntl(end.as_fd(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// A command that runs, between its streams and the host.
struct Serving<'a> {
    session: &'a Session,
    id: Id,
    feed: &'a Feed,
    ends: Ends,
    buffer: Vec<u8>,
}

impl Serving<'_> {
    /// Carries input and output until the command has ended.
    fn until_ended(&mut self, ended: BorrowedFd<'_>) -> Result<(), String> {
        loop {
            let now = self.feed.now();
            if now.overrun {
                return Err("more input came than was asked for".into());
            }
            if let (Some(size), Some(terminal)) = (now.size, &self.ends.terminal) {
                // A terminal that hangs up has no size any more; its end is seen elsewhere.
                let _ = terminal::resize(terminal, size);
            }
            if now.input_over {
                self.ends.input = None;
            }
            let ready = self.wait(ended, &now)?;
            if ready.ended {
                return Ok(());
            }
            if now.has_input {
                self.pour();
            }
            // What may be sent is shared by the streams; the window has room for a whole chunk, or for less.
            if let Some(index) = ready.output {
                self.carry(index, now.room.min(CHUNK))?;
            }
        }
    }

    fn wait(&self, ended: BorrowedFd<'_>, now: &feed::Now) -> Result<Ready, String> {
        let mut awaited =
            vec![PollFd::new(ended, PollFlags::POLLIN), PollFd::new(self.feed.bell(), PollFlags::POLLIN)];
        let outputs = if now.room > 0 { self.ends.outputs.as_slice() } else { &[] };
        awaited.extend(outputs.iter().map(|(_, end)| PollFd::new(end.as_fd(), PollFlags::POLLIN)));
        if let (Some(input), true) = (&self.ends.input, now.has_input) {
            awaited.push(PollFd::new(input.as_fd(), PollFlags::POLLOUT));
        }
        // Input that nobody will read is thrown away at once.
        let timeout =
            if self.ends.input.is_none() && now.has_input { PollTimeout::ZERO } else { PollTimeout::NONE };
        match poll(&mut awaited, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(format!("waiting for the command: {}", errno.desc())),
        }
        let rings = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
        Ok(Ready { ended: rings(&awaited[0]), output: awaited[2..2 + outputs.len()].iter().position(rings) })
    }

    /// Gives the command what it takes of its input, and tells the host.
    fn pour(&mut self) {
        let taken = match &self.ends.input {
            Some(input) => self.feed.pour(input).unwrap_or_else(|_reads_no_more| {
                self.ends.input = None;
                self.feed.discard()
            }),
            None => self.feed.discard(),
        };
        if taken > 0 {
            let taken = u32::try_from(taken).expect("a window is smaller");
            self.session.send(&FromAgent::Taken(self.id, taken));
        }
    }

    /// Sends at most `limit` bytes of an output that has some, or has ended.
    fn carry(&mut self, index: usize, limit: usize) -> Result<(), String> {
        let (stream, end) = &mut self.ends.outputs[index];
        match next(end, &mut self.buffer[..limit]).map_err(|error| format!("reading the output: {error}"))? {
            Next::Bytes(count) => {
                let (id, stream) = (self.id, *stream);
                self.feed.sending(count);
                self.session.send(&FromAgent::Output { id, stream, bytes: self.buffer[..count].to_vec() });
            }
            Next::Nothing => {}
            Next::End => drop(self.ends.outputs.remove(index)),
        }
        // The other stream comes first next time: one that never pauses must not keep it waiting.
        if self.ends.outputs.len() > 1 {
            self.ends.outputs.rotate_left(index + 1);
        }
        Ok(())
    }

    /// Sends what the command wrote before its end: at most a chunk of each stream, since somebody may hold it open and
    /// write on.
    fn last_words(&mut self) -> Result<(), String> {
        while !self.ends.outputs.is_empty() {
            let mut left = CHUNK;
            let (stream, mut end) = self.ends.outputs.remove(0);
            while left > 0 {
                let read = next(&mut end, &mut self.buffer[..left]);
                match read.map_err(|error| format!("reading the output: {error}"))? {
                    Next::Bytes(count) => {
                        let bytes = self.buffer[..count].to_vec();
                        self.session.send(&FromAgent::Output { id: self.id, stream, bytes });
                        left -= count;
                    }
                    Next::Nothing | Next::End => break,
                }
            }
        }
        Ok(())
    }
}

/// What there is to do.
struct Ready {
    /// The command has ended.
    ended: bool,
    /// This output has something to read, or has ended.
    output: Option<usize>,
}

enum Next {
    Bytes(usize),
    Nothing,
    End,
}

fn next(end: &mut File, buffer: &mut [u8]) -> io::Result<Next> {
    loop {
        match end.read(buffer) {
            Ok(0) => return Ok(Next::End),
            Ok(count) => return Ok(Next::Bytes(count)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Next::Nothing),
            // A terminal that nobody has open any more.
            Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => return Ok(Next::End),
            Err(error) => return Err(error),
        }
    }
}
