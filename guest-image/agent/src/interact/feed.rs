//! What the host sends to a command while it runs, and how much the command may still send back.

use std::{
    collections::VecDeque,
    io::{self, Write},
    mem,
    os::fd::{AsFd, BorrowedFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use nix::sys::eventfd::{EfdFlags, EventFd};
use protocol::{TerminalSize, WINDOW};

/// Between the thread that reads the host's frames and the one that serves the command. Holds at most [`WINDOW`] bytes.
pub(crate) struct Feed {
    state: Mutex<State>,
    /// Readable when something has changed.
    bell: EventFd,
}

#[derive(Default)]
struct State {
    input: VecDeque<u8>,
    /// The host has no more input.
    ended: bool,
    /// The host sent more than it may.
    overrun: bool,
    /// Bytes of output that the host has not taken yet.
    untaken: usize,
    size: Option<TerminalSize>,
}

/// How it is with the host's side.
pub(super) struct Now {
    pub(super) has_input: bool,
    /// There is no input left, and there will be none.
    pub(super) input_over: bool,
    pub(super) overrun: bool,
    /// Bytes of output that may be sent.
    pub(super) room: usize,
    /// Another size for the terminal, since this was last asked.
    pub(super) size: Option<TerminalSize>,
}

impl Feed {
    pub(super) fn new() -> io::Result<Self> {
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { state: Mutex::default(), bell })
    }

    /// More input from the host.
    pub(crate) fn input(&self, bytes: &[u8]) {
        let mut state = self.lock();
        if bytes.len() > WINDOW - state.input.len() {
            state.overrun = true;
        } else {
            state.input.extend(bytes);
        }
        self.ring();
    }

    /// No more input from the host.
    pub(crate) fn input_end(&self) {
        self.lock().ended = true;
        self.ring();
    }

    /// The host took output.
    pub(crate) fn taken(&self, bytes: u32) {
        let mut state = self.lock();
        state.untaken = state.untaken.saturating_sub(bytes as usize);
        self.ring();
    }

    /// The host's terminal has another size.
    pub(crate) fn resize(&self, size: TerminalSize) {
        self.lock().size = Some(size);
        self.ring();
    }

    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// How it is now. Silences the bell.
    pub(super) fn now(&self) -> Now {
        // It has not rung; then there is nothing to silence.
        let _ = self.bell.read();
        let mut state = self.lock();
        Now {
            has_input: !state.input.is_empty(),
            input_over: state.ended && state.input.is_empty(),
            overrun: state.overrun,
            room: WINDOW.saturating_sub(state.untaken),
            size: mem::take(&mut state.size),
        }
    }

    /// Counts output that is about to be sent.
    pub(super) fn sending(&self, bytes: usize) {
        self.lock().untaken += bytes;
    }

    /// Gives as much input to `sink` as it takes without waiting; says how much that was.
    pub(super) fn pour(&self, mut sink: impl Write) -> io::Result<usize> {
        let mut state = self.lock();
        let mut poured = 0;
        while !state.input.is_empty() {
            let (front, _) = state.input.as_slices();
            match sink.write(front) {
                Ok(0) => break,
                Ok(count) => {
                    state.input.drain(..count);
                    poured += count;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(poured)
    }

    /// Throws the input away that nobody will read; says how much that was.
    pub(super) fn discard(&self) -> usize {
        mem::take(&mut self.lock().input).len()
    }

    fn ring(&self) {
        // It can fail only if it rings 2^64 - 2 times unheard.
        let _ = self.bell.write(1);
    }

    /// A panic aborts the process, so the lock is never seen poisoned.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_window_is_an_overrun_and_is_not_held() {
        let feed = Feed::new().unwrap();
        feed.input(&vec![b'x'; WINDOW]);
        assert!(!feed.now().overrun);
        feed.input(b"y");
        assert!(feed.now().overrun);
        assert_eq!(feed.discard(), WINDOW);
    }

    #[test]
    fn output_has_room_again_once_it_was_taken() {
        let feed = Feed::new().unwrap();
        feed.sending(WINDOW - 1);
        assert_eq!(feed.now().room, 1);
        // What came last may go beyond the window.
        feed.sending(10);
        assert_eq!(feed.now().room, 0);
        feed.taken(u32::MAX);
        assert_eq!(feed.now().room, WINDOW);
    }

    #[test]
    fn input_is_over_when_it_has_ended_and_was_poured_out() {
        let feed = Feed::new().unwrap();
        feed.input(b"last");
        feed.input_end();
        assert!(!feed.now().input_over);
        let mut sink = Vec::new();
        assert_eq!(feed.pour(&mut sink).unwrap(), 4);
        assert_eq!(sink, b"last");
        assert!(feed.now().input_over);
    }
}
