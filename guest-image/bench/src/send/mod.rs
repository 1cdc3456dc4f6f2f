//! The sender.

use std::{net::Shutdown, time::Instant};

use flow::{Amount, Report, Send, SendMode, Side};
use nix::unistd::Pid;

use crate::{
    conversation::{Beside, Flow, connect_all, each},
    error::Failure,
    nic::{self, Setup, counters},
    payload::Payload,
    report::{self, Around},
    stop::Stop,
    sys,
    tally::{Call, Tally},
    window::{Passed, Window},
};

mod devmem;
mod in_flight;
mod plain;
mod uring;
mod zerocopy;

/// Memory for messages that have not been completed, for all of them together: more than a path of 200 Gbit/s and 0.5 ms holds.
const IN_FLIGHT: u64 = 16 * 1024 * 1024;
const MOST_SLOTS: u64 = 1024;

/// Sends a stream.
pub(crate) fn run(send: &Send, stop: &Stop) -> Result<Report, Failure> {
    if let Some(cpu) = send.cpu {
        nic::pin(Pid::from_raw(0), cpu)?;
    }
    let nic = send.interface.as_deref().map(Setup::of).transpose()?;
    let binding = match (send.mode, &nic) {
        (SendMode::Devmem, Some(nic)) => Some(devmem::Binding::new(nic, send)?),
        (SendMode::Devmem, None) => {
            return Err(Failure::Misuse("devmem sends through a NIC: name it with --interface".to_owned()));
        }
        _ => None,
    };
    let device = send.interface.as_deref().filter(|_| send.mode == SendMode::Devmem);
    let (flows, mut beside) = connect_all(send.address, send.port, send.flows, device, stop)?;
    let interface = nic.as_ref().map(|nic| (nic.interface().to_owned(), nic.index()));
    let state = nic.as_ref().map(Setup::state).transpose()?;
    let before = counters::read(interface.as_ref());
    beside.wait_to_begin()?;
    let (tally, passed) = window(send, &flows, &mut beside, binding.as_ref())?;
    let after = counters::read(interface.as_ref());
    let side = Side::Send(send.mode);
    Ok(report::put_together(side, send.flows, tally, passed, Around { nic: state, before, after }))
}

/// From the receiver's word to begin to its word that all has come.
fn window(
    send: &Send,
    flows: &[Flow],
    beside: &mut Beside,
    binding: Option<&devmem::Binding>,
) -> Result<(Tally, Passed), Failure> {
    let window = Window::begin(send.mark)?;
    let begun = Instant::now();
    let sent = each(flows, |flow| {
        let mut supply = Supply::new(flow, send, begun);
        let mut tally = match (send.mode, binding) {
            (SendMode::Plain, _) => plain::send(&mut supply),
            (SendMode::Zerocopy, _) => zerocopy::send(&mut supply),
            (SendMode::UringZerocopy { no_iowait }, _) => uring::send(&mut supply, no_iowait),
            (SendMode::Devmem, Some(binding)) => binding.send(&mut supply),
            (SendMode::Devmem, None) => unreachable!("bound before"),
        }?;
        tally.call(Call::Shutdown);
        flow.socket.shutdown(Shutdown::Write).map_err(|error| flow.failure("ending the flow", error))?;
        tally.bytes.insert(flow.number, supply.position);
        Ok(tally)
    });
    let sent = match sent {
        // The receiver that ended the connection may have had a reason.
        Err(failure @ Failure::Failed(_)) => match beside.wait_whether_right() {
            Err(corrupt @ Failure::FoundCorrupt) => return Err(corrupt),
            _ => return Err(failure),
        },
        sent => sent?,
    };
    beside.tell_sent(sent.bytes.values().copied())?;
    beside.wait_whether_right()?;
    Ok((sent, window.end()?))
}

/// What a flow has still to send.
struct Supply<'a> {
    flow: &'a Flow,
    amount: Amount,
    begun: Instant,
    message_size: u64,
    /// Bytes that were sent.
    position: u64,
    payload: Option<Payload>,
}

impl<'a> Supply<'a> {
    fn new(flow: &'a Flow, send: &Send, begun: Instant) -> Self {
        Self {
            flow,
            amount: send.amount,
            begun,
            message_size: send.message_size,
            position: 0,
            payload: send.verify.then(|| Payload::of_flow(flow.number)),
        }
    }

    /// The length of the next message; none if enough was sent.
    fn next(&self) -> Option<usize> {
        let length = match self.amount {
            Amount::Bytes(bytes) => self.message_size.min(bytes.saturating_sub(self.position)),
            Amount::Duration(time) if self.begun.elapsed() < time => self.message_size,
            Amount::Duration(_) => 0,
        };
        (length > 0).then(|| sys::size(length))
    }

    /// Puts what the receiver expects into a message, if it compares.
    fn fill(&self, message: &mut [u8]) {
        if let Some(payload) = self.payload {
            payload.fill(self.position, message);
        }
    }
}

/// How many messages there is memory for, where the kernel uses it after a call has returned.
fn slots(message_size: u64) -> u64 {
    IN_FLIGHT.div_ceil(message_size.max(1)).clamp(2, MOST_SLOTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_memory_for_two_messages_at_least() {
        assert_eq!(slots(64 << 20), 2);
        assert_eq!(slots(1 << 20), 16);
        assert_eq!(slots(1), MOST_SLOTS);
    }
}
