//! What the harness and its supervisor say to each other, and how it travels.
//!
//! A frame is its length in four bytes, least significant first, and that many bytes of JSON. A frame of length zero
//! carries one descriptor; those that came since the last message belong to the next.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vmm_sys_util::sock_ctrl_msg::ScmSocket as _;

use crate::{Ended, Resource};

/// Changes whenever a message does, so that a supervisor of another build is refused by name.
pub(crate) const PROTOCOL: u32 = 1;

/// No message comes near this: the kernel itself limits a command line to a few megabytes.
const MAX_MESSAGE: usize = 16 << 20;

/// Identifies a child between the two processes. Never used twice.
pub(crate) type ChildId = u64;

/// From the harness.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Start a child. Its descriptors came in the frames before, in the order of `streams`.
    Start { id: ChildId, child: Box<StartRequest>, streams: [StreamKind; 3] },
    /// End a child and all it started.
    Kill { id: ChildId },
    /// Ask a child's process group to end; after `grace`, end it and all it started.
    Terminate { id: ChildId, grace: Duration },
}

/// What to start.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StartRequest {
    pub(crate) argv: Vec<OsString>,
    /// As pairs: JSON has no keys but text.
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) dir: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) limits: BTreeMap<Resource, u64>,
    pub(crate) deadline: Option<Duration>,
}

/// As whom to start it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Identity {
    /// As the supervisor.
    Caller,
    /// With no_new_privs, and as this user and group, if given.
    Unprivileged { ids: Option<(u32, u32)> },
}

/// What one standard stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StreamKind {
    Null,
    /// A descriptor that was sent ahead of the request.
    Passed,
}

/// From the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The first message: it is ready.
    Ready { protocol: u32 },
    /// The child runs.
    Started { id: ChildId, pid: i32 },
    /// The child could not be started.
    NotStarted { id: ChildId, failure: StartFailure },
    /// The child ended, and all it started, but for `survivors`.
    Gone { id: ChildId, ended: Ended, deadline_passed: bool, survivors: Vec<i32> },
}

/// Why a child could not be started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum StartFailure {
    /// No such program on the search path.
    NotFound { program: OsString, path: OsString },
    /// The operating system's reason about the folder to run in.
    Folder { folder: PathBuf, errno: i32 },
    /// Anything else.
    Other { reason: String },
}

/// One end of the connection. Writes at once; reads into a buffer, so that a half message never blocks the reader.
#[derive(Debug)]
pub(crate) struct Receiver {
    socket: UnixStream,
    bytes: Vec<u8>,
    files: VecDeque<File>,
}

/// What came by one read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// Something, perhaps a whole message.
    Bytes,
    /// Nothing for now (only on a socket that does not block).
    Nothing,
    /// The other side is gone.
    Closed,
}

impl Receiver {
    pub(crate) fn new(socket: UnixStream) -> Receiver {
        Receiver { socket, bytes: Vec::new(), files: VecDeque::new() }
    }

    pub(crate) fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Reads once.
    pub(crate) fn receive(&mut self) -> io::Result<Received> {
        let mut buffer = [0; 16 << 10];
        // The kernel ends a read after the data that carries descriptors, and one frame carries one.
        let (count, file) = match self.socket.recv_with_fd(&mut buffer) {
            Ok(received) => received,
            Err(error) => {
                let error = io::Error::from_raw_os_error(error.errno());
                return match error.kind() {
                    io::ErrorKind::WouldBlock => Ok(Received::Nothing),
                    io::ErrorKind::Interrupted => Ok(Received::Bytes),
                    io::ErrorKind::ConnectionReset => Ok(Received::Closed),
                    _ => Err(error),
                };
            }
        };
        if let Some(file) = file {
            // Descriptors arrive inheritable; the supervisor's children must get only their own.
            fcntl(&file, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
            self.files.push_back(file);
        }
        if count == 0 {
            return Ok(Received::Closed);
        }
        self.bytes.extend_from_slice(&buffer[..count]);
        Ok(Received::Bytes)
    }

    /// The next whole message of what was read, if there is one.
    pub(crate) fn message<M: DeserializeOwned>(&mut self) -> io::Result<Option<M>> {
        loop {
            let Some(header) = self.bytes.first_chunk::<4>() else { return Ok(None) };
            let length = u32::from_le_bytes(*header) as usize;
            if length > MAX_MESSAGE {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("message of {length} bytes")));
            }
            if length == 0 {
                self.bytes.drain(..4);
                continue;
            }
            let Some(body) = self.bytes.get(4..4 + length) else { return Ok(None) };
            let message = serde_json::from_slice(body).map_err(io::Error::from)?;
            self.bytes.drain(..4 + length);
            return Ok(Some(message));
        }
    }

    /// The next descriptor that was passed.
    pub(crate) fn file(&mut self) -> io::Result<File> {
        let missing = || io::Error::new(io::ErrorKind::InvalidData, "a request lacks its descriptor");
        self.files.pop_front().ok_or_else(missing)
    }
}

/// A message as it travels.
pub(crate) fn frame<M: Serialize>(message: &M) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = frame.len() - 4;
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, format!("message of {length} bytes"));
    if length > MAX_MESSAGE {
        return Err(too_long());
    }
    let length = u32::try_from(length).map_err(|_| too_long())?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// Sends one descriptor, in a frame of length zero.
pub(crate) fn send_file(socket: &UnixStream, file: BorrowedFd<'_>) -> io::Result<()> {
    let sent = socket
        .send_with_fd(&[0; 4][..], file.as_raw_fd())
        .map_err(|error| io::Error::from_raw_os_error(error.errno()))?;
    if sent == 4 { Ok(()) } else { Err(io::Error::from(io::ErrorKind::WriteZero)) }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, Write as _};
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn messages_arrive_whole_however_they_are_cut_and_keep_their_descriptors() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let mut receiver = Receiver::new(theirs);

        let mut file =
            File::from(nix::sys::memfd::memfd_create(c"t", nix::sys::memfd::MFdFlags::empty()).unwrap());
        file.write_all(b"mine").unwrap();
        file.rewind().unwrap();
        ours.write_all(&frame(&Request::Kill { id: 1 }).unwrap()).unwrap();
        send_file(&ours, file.as_fd()).unwrap();
        let second = frame(&Request::Kill { id: 2 }).unwrap();
        ours.write_all(&second[..7]).unwrap();

        while receiver.receive().unwrap() == Received::Bytes {}
        assert!(matches!(receiver.message().unwrap(), Some(Request::Kill { id: 1 })));
        assert!(receiver.message::<Request>().unwrap().is_none());

        ours.write_all(&second[7..]).unwrap();
        drop(ours);
        while receiver.receive().unwrap() == Received::Bytes {}
        assert!(matches!(receiver.message().unwrap(), Some(Request::Kill { id: 2 })));
        let mut text = String::new();
        receiver.file().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "mine");
        assert_eq!(receiver.receive().unwrap(), Received::Closed);
    }

    #[test]
    fn an_absurd_length_is_refused_before_anything_is_kept() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut receiver = Receiver::new(theirs);
        ours.write_all(&u32::MAX.to_le_bytes()).unwrap();
        receiver.receive().unwrap();
        assert!(receiver.message::<Request>().is_err());
    }
}
