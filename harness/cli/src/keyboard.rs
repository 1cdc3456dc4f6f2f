//! The user's terminal: its raw mode, its size, and what is typed.

use std::{
    io::{IsTerminal, stdin},
    os::fd::AsFd,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        eventfd::{EfdFlags, EventFd},
        termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr},
    },
    unistd::read,
};
use protocol::TerminalSize;
use tokio::sync::mpsc;

/// Whether somebody types.
pub(crate) fn is_interactive() -> bool {
    stdin().is_terminal()
}

/// The size of the terminal; that of an old one if nobody knows.
pub(crate) fn size() -> TerminalSize {
    let known =
        [console::Term::stdout(), console::Term::stderr()].iter().find_map(console::Term::size_checked);
    let (rows, columns) = known.filter(|&(rows, columns)| rows > 0 && columns > 0).unwrap_or((24, 80));
    TerminalSize { rows, columns }
}

/// The terminal hands on every key as it is typed, Ctrl-C among them. It is put back when this is dropped, and before a
/// panic is told.
#[derive(Debug)]
pub(crate) struct Raw {
    before: Arc<Mutex<Option<Termios>>>,
}

impl Raw {
    pub(crate) fn enter() -> Result<Self> {
        let saved = tcgetattr(stdin()).context("reading the terminal's mode")?;
        let before = Arc::new(Mutex::new(Some(saved)));
        let raw = Self { before: Arc::clone(&before) };
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            put_back(&before);
            tell(panic);
        }));
        raw.again()?;
        Ok(raw)
    }

    /// After somebody else had the terminal: a stopped job comes back to it.
    pub(crate) fn again(&self) -> Result<()> {
        let saved = self.before.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(mut mode) = saved else { return Ok(()) };
        cfmakeraw(&mut mode);
        tcsetattr(stdin(), SetArg::TCSADRAIN, &mode).context("setting the terminal's mode")
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        put_back(&self.before);
    }
}

fn put_back(before: &Mutex<Option<Termios>>) {
    if let Some(mode) = before.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(stdin(), SetArg::TCSADRAIN, &mode);
    }
}

/// What comes on standard input. Nothing more is read of it once this is dropped: it belongs to whoever comes next.
#[derive(Debug)]
pub(crate) struct Input {
    received: mpsc::Receiver<std::io::Result<Vec<u8>>>,
    dropped: Arc<EventFd>,
}

impl Input {
    /// Reads on a thread of its own: a terminal cannot be read without waiting but by changing it for everybody who has
    /// it open.
    pub(crate) fn start() -> Result<Self> {
        let dropped = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC).context("making an eventfd")?);
        let (send, received) = mpsc::channel(1);
        let heard = Arc::clone(&dropped);
        std::thread::Builder::new()
            .name("input".into())
            .spawn(move || {
                loop {
                    match next(&heard) {
                        Ok(None) => return,
                        Ok(Some(bytes)) => {
                            if send.blocking_send(Ok(bytes)).is_err() {
                                return;
                            }
                        }
                        Err(error) => {
                            // Nobody listens any more.
                            let _ = send.blocking_send(Err(error));
                            return;
                        }
                    }
                }
            })
            .context("starting a thread")?;
        Ok(Self { received, dropped })
    }

    /// What was typed next; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        self.received.recv().await.transpose().context("reading the standard input")
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // It can fail only if it is rung 2^64 - 2 times.
        let _ = self.dropped.write(1);
    }
}

/// Waits for input; none at its end, or when nobody wants it any more.
fn next(dropped: &EventFd) -> std::io::Result<Option<Vec<u8>>> {
    // Not through std's reader: what it read ahead would not be seen by the next poll.
    let stdin = stdin();
    loop {
        let mut awaited =
            [PollFd::new(stdin.as_fd(), PollFlags::POLLIN), PollFd::new(dropped.as_fd(), PollFlags::POLLIN)];
        match poll(&mut awaited, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
        }
        if awaited[1].any().unwrap_or(true) {
            return Ok(None);
        }
        let mut buffer = vec![0; 4096];
        match read(&stdin, &mut buffer) {
            // The end, or a terminal that has hung up.
            Ok(0) | Err(Errno::EIO) => return Ok(None),
            Ok(count) => {
                buffer.truncate(count);
                return Ok(Some(buffer));
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
