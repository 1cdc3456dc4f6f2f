//! `MSG_ZEROCOPY`: the NIC reads what the application wrote, and the socket's error queue says when it may be written again.

use std::{io, os::fd::AsFd};

use flow::Completions;
use nix::{
    errno::Errno,
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{MsgFlags, send as send_flags},
};

use super::{Supply, in_flight::InFlight, slots};
use crate::{
    control,
    conversation::Flow,
    error::Failure,
    sys::{self, Mapping},
    tally::{Call, Tally},
};

/// Memory for messages, in slots of a message each, and how it is sent.
pub(super) trait Messages {
    fn slots(&self) -> usize;

    /// Writes a message before it is sent.
    fn fill(
        &mut self,
        slot: usize,
        length: usize,
        supply: &Supply<'_>,
        tally: &mut Tally,
    ) -> Result<(), Failure>;

    /// Sends a part of a slot's message without a copy; gives how much was taken.
    fn send(&self, flow: &Flow, slot: usize, at: usize, length: usize) -> io::Result<usize>;

    /// The call that [`Messages::send`] makes.
    const CALL: Call;
}

/// Memory of ours.
struct Own {
    memory: Mapping,
    message_size: usize,
    slots: usize,
}

impl Messages for Own {
    const CALL: Call = Call::Send;

    fn slots(&self) -> usize {
        self.slots
    }

    fn fill(
        &mut self,
        slot: usize,
        length: usize,
        supply: &Supply<'_>,
        _: &mut Tally,
    ) -> Result<(), Failure> {
        supply.fill(self.memory.get_mut(slot * self.message_size, length).expect("a slot of the memory"));
        Ok(())
    }

    fn send(&self, flow: &Flow, slot: usize, at: usize, length: usize) -> io::Result<usize> {
        use std::os::fd::AsRawFd;
        let part = self.memory.get(slot * self.message_size + at, length).expect("a part of a slot");
        let flags = MsgFlags::from_bits_retain(libc::MSG_ZEROCOPY | libc::MSG_NOSIGNAL);
        Ok(send_flags(flow.socket.as_raw_fd(), part, flags)?)
    }
}

pub(super) fn send(supply: &mut Supply<'_>) -> Result<Tally, Failure> {
    let slots = slots(supply.message_size);
    let memory = Mapping::populated(sys::size(slots * supply.message_size))
        .map_err(|errno| Failure::call("getting memory for messages", errno))?;
    let own = Own { memory, message_size: sys::size(supply.message_size), slots: sys::size(slots) };
    send_of(own, supply)
}

/// Sends messages of any memory, and waits for all completions.
pub(super) fn send_of<M: Messages>(mut messages: M, supply: &mut Supply<'_>) -> Result<Tally, Failure> {
    let flow = supply.flow;
    sys::set_option(flow.socket.as_fd(), libc::SOL_SOCKET, libc::SO_ZEROCOPY, &1_i32.to_ne_bytes())
        .map_err(|errno| Failure::Unavailable(format!("the kernel has no SO_ZEROCOPY: {}", errno.desc())))?;
    let mut side = Side {
        flow,
        flying: InFlight::new(messages.slots()),
        tally: Tally { completions: Some(Completions::default()), ..Tally::default() },
    };
    let mut slot = 0;
    while let Some(length) = supply.next() {
        while !side.flying.is_free(slot) {
            side.reap(true)?;
        }
        messages.fill(slot, length, supply, &mut side.tally)?;
        let mut at = 0;
        while at < length {
            side.tally.call(M::CALL);
            match messages.send(flow, slot, at, length - at) {
                Ok(taken) => {
                    side.flying.sent(slot, taken as u64);
                    side.tally.call_bytes.add(taken as u64);
                    at += taken;
                    supply.position += taken as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Too much waits for its completion, by net.core.optmem_max.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) && !side.flying.is_empty() => {
                    side.reap(true)?;
                }
                Err(error) => return Err(flow.failure("sending without a copy", error)),
            }
        }
        side.reap(false)?;
        slot = (slot + 1) % messages.slots();
    }
    while !side.flying.is_empty() {
        side.reap(true)?;
    }
    side.tally.completions = Some(side.flying.completions);
    side.tally.zero_copy = side.flying.zero_copy;
    Ok(side.tally)
}

/// One flow that is being sent.
struct Side<'a> {
    flow: &'a Flow,
    flying: InFlight,
    tally: Tally,
}

impl Side<'_> {
    /// Takes the completions that are there; if there is none, waits for one if asked.
    fn reap(&mut self, wait: bool) -> Result<(), Failure> {
        let mut any = false;
        while self.read_queue()? {
            any = true;
        }
        if any || !wait {
            return Ok(());
        }
        self.tally.call(Call::Poll);
        // What the error queue has is told without being asked for.
        let mut waiting = [PollFd::new(self.flow.socket.as_fd(), PollFlags::empty())];
        match poll(&mut waiting, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(()),
            Err(errno) => return Err(self.flow.failure("waiting for completions", errno)),
        }
        let told = waiting[0].revents().unwrap_or(PollFlags::empty());
        if self.read_queue()? {
            return Ok(());
        }
        if let Some(error) = self.flow.socket.take_error().ok().flatten() {
            return Err(self.flow.failure("waiting for completions", error));
        }
        if told.contains(PollFlags::POLLHUP) {
            return Err(self.flow.failure("waiting for completions", Errno::ECONNRESET));
        }
        Ok(())
    }

    /// Reads one message of the error queue; false if there is none.
    fn read_queue(&mut self) -> Result<bool, Failure> {
        let mut control = [0; 128];
        self.tally.call(Call::Recvmsg);
        let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
        match sys::receive(self.flow.socket.as_fd(), &mut [], &mut control, flags) {
            Ok(came) if came.flags & libc::MSG_CTRUNC == 0 => {
                for completed in control::completions(&control[..came.control]) {
                    self.flying.completed(completed);
                }
                Ok(true)
            }
            Ok(_) => Err(self.flow.failure("reading a completion", Errno::EMSGSIZE)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock) => Ok(false),
            Err(error) => Err(self.flow.failure("reading completions", error)),
        }
    }
}
