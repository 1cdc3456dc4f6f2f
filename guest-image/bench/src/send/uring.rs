//! io_uring's `SEND_ZC`: one request at a time is being sent, and notifications say when its memory may be written again.
#![expect(unsafe_code, reason = "requests to io_uring")]

use std::{collections::HashMap, os::fd::AsRawFd};

use flow::Completions;
use io_uring::{IoUring, cqueue, opcode, squeue, types::Fd};
use nix::{errno::Errno, libc};

use super::{Supply, slots};
use crate::{
    conversation::Flow,
    error::Failure,
    sys::{self, Mapping},
    tally::Tally,
    uring,
};

const IORING_SEND_ZC_REPORT_USAGE: u16 = 1 << 3;
const IORING_NOTIF_USAGE_ZC_COPIED: u32 = 1 << 31;
const ENTRIES: u32 = 64;
/// Each slot has one request, with two completions.
const COMPLETIONS: u32 = 4096;

/// One flow that is being sent.
struct Side<'a> {
    flow: &'a Flow,
    ring: IoUring<squeue::Entry, cqueue::Entry>,
    no_iowait: bool,
    tally: Tally,
    /// Requests whose memory is in use: the slot, and the bytes that were taken of it.
    flying: HashMap<u64, (usize, u64)>,
    /// Requests of each slot whose memory is in use.
    slots: Vec<u32>,
    next: u64,
    /// What the request that is being sent took, once it is known.
    taken: Option<i32>,
    lost: u32,
}

pub(super) fn send(supply: &mut Supply<'_>, no_iowait: bool) -> Result<Tally, Failure> {
    let slots = sys::size(slots(supply.message_size));
    let message_size = sys::size(supply.message_size);
    let mut memory = Mapping::populated(slots * message_size)
        .map_err(|errno| Failure::call("getting memory for messages", errno))?;
    let mut side = Side {
        flow: supply.flow,
        // A ring belongs to the thread that makes it.
        ring: uring::build(ENTRIES, COMPLETIONS, no_iowait)?,
        no_iowait,
        tally: Tally {
            completions: Some(Completions::default()),
            ring_overflows: Some(0),
            ..Tally::default()
        },
        flying: HashMap::new(),
        slots: vec![0; slots],
        next: 0,
        taken: None,
        lost: 0,
    };
    let mut slot = 0;
    while let Some(length) = supply.next() {
        while side.slots[slot] > 0 {
            side.wait()?;
        }
        supply.fill(memory.get_mut(slot * message_size, length).expect("a slot of the memory"));
        let mut at = 0;
        while at < length {
            let part = memory.get(slot * message_size + at, length - at).expect("a part of a slot");
            let taken = side.send(slot, part)?;
            at += taken;
            supply.position += taken as u64;
        }
        slot = (slot + 1) % slots;
    }
    while !side.flying.is_empty() {
        side.wait()?;
    }
    Ok(side.tally)
}

impl Side<'_> {
    /// Sends a part of a slot; gives how much was taken. The memory stays in use until its notification.
    fn send(&mut self, slot: usize, part: &[u8]) -> Result<usize, Failure> {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        let entry = opcode::SendZc::new(Fd(self.flow.socket.as_raw_fd()), part.as_ptr(), length)
            .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .zc_flags(IORING_SEND_ZC_REPORT_USAGE)
            .build()
            .user_data(self.next);
        // SAFETY: the memory is mapped until `send` above has seen all notifications, or has failed: then the ring goes first, and
        // the kernel holds the pages that it still sends.
        unsafe { uring::push(&mut self.ring, &entry) }?;
        self.flying.insert(self.next, (slot, 0));
        self.slots[slot] += 1;
        self.next += 1;
        self.taken = None;
        loop {
            self.wait()?;
            if let Some(result) = self.taken.take() {
                return match usize::try_from(result) {
                    Ok(0) => Err(self.flow.failure("sending by io_uring", Errno::EPIPE)),
                    Ok(taken) => {
                        self.tally.call_bytes.add(taken as u64);
                        Ok(taken)
                    }
                    Err(_) if result == -libc::EINVAL => Err(Failure::Unavailable(
                        "the kernel has no IORING_OP_SEND_ZC with usage reports (6.2)".into(),
                    )),
                    Err(_) => Err(self.flow.failure("sending by io_uring", Errno::from_raw(-result))),
                };
            }
        }
    }

    /// Waits for completions and takes all.
    fn wait(&mut self) -> Result<(), Failure> {
        uring::wait(&mut self.ring, self.no_iowait, &mut self.tally)?;
        let overflows = uring::overflows(&mut self.ring, &mut self.lost);
        *self.tally.ring_overflows.get_or_insert(0) += overflows;
        let came: Vec<cqueue::Entry> = self.ring.completion().collect();
        for completion in came {
            let request = completion.user_data();
            if !cqueue::notif(completion.flags()) {
                self.taken = Some(completion.result());
                if let Some((_, bytes)) = self.flying.get_mut(&request) {
                    *bytes = u64::try_from(completion.result()).unwrap_or(0);
                }
                if cqueue::more(completion.flags()) {
                    continue;
                }
                // Nothing was sent, and no notification comes.
                self.release(request);
                continue;
            }
            let Some((_, bytes)) = self.flying.get(&request).copied() else { continue };
            let completions = self.tally.completions.get_or_insert_default();
            completions.total += 1;
            if completion.result().cast_unsigned() & IORING_NOTIF_USAGE_ZC_COPIED == 0 {
                self.tally.zero_copy += bytes;
            } else {
                completions.copied += 1;
            }
            self.release(request);
        }
        Ok(())
    }

    fn release(&mut self, request: u64) {
        if let Some((slot, _)) = self.flying.remove(&request) {
            self.slots[slot] -= 1;
        }
    }
}
