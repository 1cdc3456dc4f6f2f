//! io_uring's zcrx: payload lands in an area that is registered with a NIC's queue; completions say where, and what has been read
//! goes back through a ring. Without a NIC, the same with copies (Documentation/networking/iou-zcrx.rst).
#![expect(unsafe_code, reason = "requests to io_uring")]

use std::{fmt, os::fd::AsRawFd};

use flow::{Distribution, Receive, Ring};
use io_uring::{IoUring, cqueue, opcode, squeue, types::Fd};
use nix::errno::Errno;

use super::Check;
use crate::{
    conversation::Flow,
    error::Failure,
    nic::Setup,
    sys::{self, Mapping},
    tally::{Call, Tally},
    uring::{
        self,
        zcrx::{Memory, Piece, register},
    },
};

/// Completions that fit; a flow has one for each piece of payload.
const COMPLETIONS: u32 = 8192;
/// Completions that are taken at a time.
const AT_ONCE: usize = 512;
const PAGE: u64 = 4096;
/// Requests in a row without a buffer for them, although all that was read had gone back: the area is too small for what lies in
/// the sockets.
const MOST_STARVED: u32 = 1000;

/// A ring with memory for payload.
#[derive(Debug)]
pub(super) struct Instance {
    ring: Wait,
    memory: Memory,
    how: Ring,
}

struct Wait(IoUring<squeue::Entry, cqueue::Entry32>);

impl fmt::Debug for Wait {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Ring").field(&self.0.as_raw_fd()).finish()
    }
}

impl Instance {
    pub(super) fn new(queue: Option<(&Setup, u32)>, how: Ring) -> Result<Self, Failure> {
        let ring = Wait(uring::build(64, COMPLETIONS, how.no_iowait)?);
        let area = Mapping::populated(sys::size(how.area.next_multiple_of(PAGE)))
            .map_err(|errno| Failure::call(&format!("getting an area of {} bytes", how.area), errno))?;
        let to = queue.map(|(nic, queue)| (nic.index(), queue));
        let memory = register(ring.0.as_raw_fd(), to, area, how.refill_entries).map_err(|errno| {
            let at = match queue {
                Some((nic, queue)) => {
                    format!("{}: registering memory with queue {queue} for zcrx", nic.interface())
                }
                None => "registering memory for zcrx without a NIC".to_owned(),
            };
            Failure::Unavailable(format!("{at}: {}{}", errno.desc(), hint(errno, queue.is_some())))
        })?;
        Ok(Self { ring, memory, how })
    }

    pub(super) fn receive(&mut self, flows: &[Flow], receive: &Receive) -> Result<Tally, Failure> {
        let mut stream = Stream {
            flows: flows.iter().map(|flow| State::new(flow, receive)).collect(),
            instance: self,
            // An unlimited request is one of 0.
            limit: u32::try_from(receive.read_size).unwrap_or(0),
            lost: 0,
            starved: 0,
            tally: Tally {
                fragments: Some(Distribution::default()),
                returns: Some(Distribution::default()),
                ring_overflows: Some(0),
                ..Tally::default()
            },
        };
        stream.run()?;
        let Stream { flows, mut tally, .. } = stream;
        for state in flows {
            state.check.finish(&mut tally);
        }
        let copies = self.memory.copies();
        // Without a NIC every byte is copied, counted or not.
        if receive.mode.needs_queue() {
            tally.zero_copy = tally.total().saturating_sub(copies.bytes);
        }
        tally.zcrx_copies = Some(copies);
        Ok(tally)
    }
}

/// What an error of the registration most often means.
fn hint(errno: Errno, with_nic: bool) -> &'static str {
    match errno {
        Errno::EPERM => ": it needs CAP_NET_ADMIN",
        Errno::EINVAL if with_nic => {
            ": the queue needs header split with a threshold of 0, and a kernel of 7.3 or later"
        }
        Errno::EINVAL => ": the kernel needs ZCRX_REG_NODEV (7.3)",
        Errno::EOPNOTSUPP => ": the NIC's driver cannot give its queues other memory",
        Errno::EEXIST | Errno::EBUSY => ": the queue is somebody else's already",
        _ => "",
    }
}

/// One flow that is being received.
struct State<'a> {
    flow: &'a Flow,
    check: Check,
    /// What the request that runs may still bring, if it is limited.
    left: u64,
    ended: bool,
}

impl<'a> State<'a> {
    fn new(flow: &'a Flow, receive: &Receive) -> Self {
        Self { flow, check: Check::new(flow, receive), left: 0, ended: false }
    }
}

struct Stream<'a> {
    instance: &'a mut Instance,
    flows: Vec<State<'a>>,
    limit: u32,
    /// What the ring said last of completions that it lost.
    lost: u32,
    /// Requests in a row that ended since there was no buffer.
    starved: u32,
    tally: Tally,
}

impl Stream<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        for number in 0..self.flows.len() {
            self.request(number)?;
        }
        while self.flows.iter().any(|state| !state.ended) {
            uring::wait(&mut self.instance.ring.0, self.instance.how.no_iowait, &mut self.tally)?;
            let overflows = uring::overflows(&mut self.instance.ring.0, &mut self.lost);
            *self.tally.ring_overflows.get_or_insert(0) += overflows;
            let mut pieces = 0;
            loop {
                let came = self.instance.ring.0.completion().take(AT_ONCE).collect::<Vec<_>>();
                if came.is_empty() {
                    break;
                }
                for completion in &came {
                    pieces += self.complete(completion)?;
                }
                self.give_back()?;
            }
            if pieces > 0 {
                self.tally.fragments.get_or_insert_default().add(pieces);
            }
        }
        Ok(())
    }

    /// Asks for a flow's payload until its end, or up to the limit.
    fn request(&mut self, number: usize) -> Result<(), Failure> {
        let state = &mut self.flows[number];
        state.left = u64::from(self.limit);
        let entry = opcode::RecvZc::new(Fd(state.flow.socket.as_raw_fd()), self.limit)
            .ifq(self.instance.memory.id())
            .build()
            .user_data(number as u64);
        // SAFETY: the request points to nothing; the instance's memory is the kernel's as well.
        unsafe { uring::push(&mut self.instance.ring.0, &entry) }
    }

    /// Takes a completion; gives how many pieces of payload it had.
    fn complete(&mut self, completion: &cqueue::Entry32) -> Result<u64, Failure> {
        let number = sys::size(completion.user_data());
        let Some(state) = self.flows.get_mut(number) else {
            return Err(Failure::Failed("a completion of io_uring is of no request of ours".to_owned()));
        };
        let more = cqueue::more(completion.flags());
        let result = completion.result();
        let Ok(length) = u32::try_from(result) else {
            return self.refused(number, Errno::from_raw(result.saturating_neg()));
        };
        if length > 0 {
            self.starved = 0;
            let piece = Piece { off: completion.big_cqe()[0], length };
            let payload = self.instance.memory.payload(piece);
            state.check.next(payload.ok_or_else(|| state.flow.failure("reading", Errno::EBADMSG))?)?;
            self.instance.memory.give_back(piece);
            self.tally.call_bytes.add(u64::from(length));
            state.left = state.left.saturating_sub(u64::from(length));
        }
        if !more {
            // A limited request that has brought all of it ends as the stream does.
            if length == 0 && (self.limit == 0 || state.left > 0) {
                state.ended = true;
            } else {
                self.request(number)?;
            }
        }
        Ok(u64::from(length > 0))
    }

    fn refused(&mut self, number: usize, errno: Errno) -> Result<u64, Failure> {
        match errno {
            // No room for a completion: they are taken now, and the request goes on.
            Errno::ENOSPC => {
                *self.tally.ring_overflows.get_or_insert(0) += 1;
                self.request(number)?;
            }
            // No buffer for a copy: those that are done go back first.
            Errno::ENOMEM if self.starved < MOST_STARVED => {
                self.starved += 1;
                self.give_back()?;
                self.flush()?;
                self.request(number)?;
            }
            Errno::EINVAL => {
                return Err(Failure::Unavailable("the kernel has no IORING_OP_RECV_ZC (6.15)".to_owned()));
            }
            errno => return Err(self.flows[number].flow.failure("receiving by zcrx", errno)),
        }
        Ok(0)
    }

    /// Publishes what has been read.
    fn give_back(&mut self) -> Result<(), Failure> {
        loop {
            let published = self.instance.memory.publish();
            if published > 0 {
                self.tally.returns.get_or_insert_default().add(published);
            }
            if !self.instance.memory.needs_flush() {
                return Ok(());
            }
            self.flush()?;
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.tally.call(Call::IoUringRegister);
        self.instance
            .memory
            .flush(self.instance.ring.0.as_raw_fd())
            .map_err(|errno| Failure::call("flushing the refill ring", errno))
    }
}
