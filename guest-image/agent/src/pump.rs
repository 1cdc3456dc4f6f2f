//! Carries a command's output to the host while it runs.

use std::{
    io::{self, PipeReader, Read},
    os::fd::AsFd,
    sync::Arc,
    thread::{self, JoinHandle},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
    unistd::Pid,
};
use protocol::{CHUNK, FromAgent, Id, Moment, Stream};

use crate::{read::Reading, session::Session};

/// Our ends of the command's pipes.
pub(crate) struct Streams {
    pub(crate) stdout: PipeReader,
    pub(crate) stderr: PipeReader,
}

/// A thread of its own, because sending blocks while the host does not read, and the deadline must hold all the same.
pub(crate) struct Pump {
    ended: Arc<EventFd>,
    thread: JoinHandle<io::Result<()>>,
}

impl Pump {
    /// Sends the readings from before the command, `Started`, and then its output as it comes.
    pub(crate) fn start(
        session: Arc<Session>,
        id: Id,
        pid: Pid,
        before: Vec<Reading>,
        streams: Streams,
    ) -> io::Result<Self> {
        let ended = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let heard = Arc::clone(&ended);
        let thread = thread::Builder::new().spawn(move || {
            session.send_files(id, Moment::Before, before);
            session.send(&FromAgent::Started { id, pid: pid.as_raw().unsigned_abs() });
            let send = |stream, bytes| session.send(&FromAgent::Output { id, stream, bytes });
            carry(streams, &heard, send)
        })?;
        Ok(Self { ended, thread })
    }

    /// Says that the command has ended, and waits until everything it wrote is sent.
    pub(crate) fn finish(self) -> Result<(), String> {
        self.ended.write(1).map_err(|errno| format!("ending the output: {}", errno.desc()))?;
        match self.thread.join() {
            Ok(carried) => carried.map_err(|error| format!("reading the output: {error}")),
            Err(_) => unreachable!("a panic aborts the process"),
        }
    }
}

/// Sends what comes out of the pipes until both have ended, or until the command has and they are empty: processes
/// that outlive the command, such as daemons, may hold them open for ever.
fn carry(streams: Streams, ended: &EventFd, send: impl Fn(Stream, Vec<u8>)) -> io::Result<()> {
    let mut open = vec![(Stream::Stdout, streams.stdout), (Stream::Stderr, streams.stderr)];
    for (_, pipe) in &open {
        fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    let mut buffer = vec![0; CHUNK];
    while !open.is_empty() {
        let ready = wait(ended, &open)?;
        let mut still = Vec::with_capacity(open.len());
        for ((stream, mut pipe), readable) in open.into_iter().zip(ready.readable) {
            if ready.ended {
                // No more than fits a pipe, or a daemon that never stops writing would keep us here.
                let mut left = usize::try_from(fcntl(&pipe, FcntlArg::F_GETPIPE_SZ)?).unwrap_or(CHUNK);
                while left > 0 {
                    match next(&mut pipe, &mut buffer)? {
                        Next::Bytes(count) => {
                            send(stream, buffer[..count].to_vec());
                            left = left.saturating_sub(count);
                        }
                        Next::Nothing | Next::End => break,
                    }
                }
                continue;
            }
            if readable {
                match next(&mut pipe, &mut buffer)? {
                    Next::Bytes(count) => send(stream, buffer[..count].to_vec()),
                    Next::Nothing => {}
                    Next::End => continue,
                }
            }
            still.push((stream, pipe));
        }
        open = still;
    }
    Ok(())
}

/// What there is to do.
struct Ready {
    /// The command has ended.
    ended: bool,
    /// For each open pipe, whether it has something to read or has ended.
    readable: Vec<bool>,
}

fn wait(ended: &EventFd, open: &[(Stream, PipeReader)]) -> io::Result<Ready> {
    let mut awaited = vec![PollFd::new(ended.as_fd(), PollFlags::POLLIN)];
    awaited.extend(open.iter().map(|(_, pipe)| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
    loop {
        match poll(&mut awaited, PollTimeout::NONE) {
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    let mut ready = awaited.iter().map(|fd| fd.any().unwrap_or(true));
    Ok(Ready { ended: ready.next().unwrap_or(true), readable: ready.collect() })
}

enum Next {
    Bytes(usize),
    Nothing,
    End,
}

fn next(pipe: &mut PipeReader, buffer: &mut [u8]) -> io::Result<Next> {
    loop {
        match pipe.read(buffer) {
            Ok(0) => return Ok(Next::End),
            Ok(count) => return Ok(Next::Bytes(count)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Next::Nothing),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, sync::Mutex};

    use super::*;

    #[test]
    fn what_was_written_is_carried_even_if_somebody_keeps_the_pipe_open() {
        let (stdout, mut stdout_end) = io::pipe().unwrap();
        let (stderr, _held_open) = io::pipe().unwrap();
        stdout_end.write_all(b"last words").unwrap();
        let ended = EventFd::from_value_and_flags(1, EfdFlags::EFD_NONBLOCK).unwrap();
        let sent = Mutex::new(Vec::new());
        carry(Streams { stdout, stderr }, &ended, |stream, bytes| sent.lock().unwrap().push((stream, bytes)))
            .unwrap();
        assert_eq!(*sent.lock().unwrap(), [(Stream::Stdout, b"last words".to_vec())]);
    }

    #[test]
    fn it_ends_by_itself_when_both_pipes_have_ended() {
        let (stdout, stdout_end) = io::pipe().unwrap();
        let (stderr, mut stderr_end) = io::pipe().unwrap();
        drop(stdout_end);
        stderr_end.write_all(b"warning").unwrap();
        drop(stderr_end);
        let never = EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap();
        let sent = Mutex::new(Vec::new());
        carry(Streams { stdout, stderr }, &never, |stream, bytes| sent.lock().unwrap().push((stream, bytes)))
            .unwrap();
        assert_eq!(*sent.lock().unwrap(), [(Stream::Stderr, b"warning".to_vec())]);
    }
}
