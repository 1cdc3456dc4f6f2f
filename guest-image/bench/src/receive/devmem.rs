//! Device memory TCP: payload lands in a udmabuf that is bound to the NIC's queue, reads say where, and what has been read goes
//! back (Documentation/networking/devmem.rst).

use std::{io, os::fd::AsFd};

use flow::{Distribution, Receive, Tokens};
use nix::{errno::Errno, libc};

use super::Check;
use crate::{
    control::{self, FRAGMENT_SPACE, Fragment},
    conversation::Flow,
    error::Failure,
    nic::{Setup, netdev::Netdev},
    sys::{self, Mapping},
    tally::{Call, Tally},
    tokens::{Accumulator, Return},
    udmabuf::{Access, Udmabuf},
};

const MSG_SOCK_DEVMEM: i32 = 0x200_0000;
const SO_DEVMEM_DONTNEED: i32 = 80;
/// Smaller fragments than the payload of the smallest packets that fill a NIC are rare: with room for one each, a read is ended
/// by its size and not by its control data.
const SMALLEST_FRAGMENT: usize = 1024;
const PAGE: u64 = 4096;

/// Memory that is bound to a queue.
#[derive(Debug)]
pub(super) struct Binding {
    /// Its socket holds the binding: dropped first, it unbinds before the memory goes.
    _netdev: Netdev,
    number: u32,
    tokens: Tokens,
    udmabuf: Udmabuf,
}

impl Binding {
    pub(super) fn new(nic: &Setup, queue: u32, size: u64, tokens: Tokens) -> Result<Self, Failure> {
        if u64::from(tokens.accumulate) * PAGE > size / 2 {
            return Err(Failure::Misuse(format!(
                "--accumulate {} holds back more than half of a udmabuf of {size} bytes",
                tokens.accumulate
            )));
        }
        let udmabuf = Udmabuf::new(size)?;
        let doing = format!("{}: binding memory to queue {queue}", nic.interface());
        let netdev = Netdev::open(nic.index()).map_err(|refusal| Failure::refused(&doing, &refusal))?;
        let number =
            netdev.bind_receive(queue, &udmabuf).map_err(|refusal| Failure::refused(&doing, &refusal))?;
        Ok(Self { _netdev: netdev, number, tokens, udmabuf })
    }
}

pub(super) fn receive(binding: &Binding, flow: &Flow, receive: &Receive) -> Result<Tally, Failure> {
    let size = sys::size(receive.read_size);
    // What is copied nevertheless lands here; pages that are never used are never there.
    let mut buffer =
        Mapping::anonymous(size).map_err(|errno| Failure::call("getting memory to read into", errno))?;
    let mut control = vec![0; (size / SMALLEST_FRAGMENT).max(64) * FRAGMENT_SPACE];
    let mut side = Side {
        binding,
        flow,
        check: Check::new(flow, receive),
        held: Accumulator::new(binding.tokens),
        tally: Tally {
            fragments: Some(Distribution::default()),
            returns: Some(Distribution::default()),
            ..Tally::default()
        },
    };
    loop {
        side.tally.call(Call::Recvmsg);
        let buffer = buffer.get_mut(0, size).expect("as long as it was made");
        let came = match sys::receive(flow.socket.as_fd(), buffer, &mut control, MSG_SOCK_DEVMEM) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(side.failure(&error)),
            Ok(came) => came,
        };
        if came.bytes == 0 {
            break;
        }
        side.take(buffer, &control[..came.control], came.bytes)?;
        let returns = side.held.after_read();
        side.give_back(returns)?;
    }
    let returns = side.held.all();
    side.give_back(returns)?;
    side.check.finish(&mut side.tally);
    Ok(side.tally)
}

/// One flow that is being received.
struct Side<'a> {
    binding: &'a Binding,
    flow: &'a Flow,
    check: Check,
    held: Accumulator,
    tally: Tally,
}

impl Side<'_> {
    fn failure(&self, error: &io::Error) -> Failure {
        match error.raw_os_error() {
            // net/ipv4/tcp.c, tcp_recvmsg_dmabuf: a packet is in part ours, and in part not.
            Some(libc::ENODEV | libc::EFAULT) => Failure::Failed(format!(
                "flow {}: payload came that is in nobody's bound memory: it was not steered to the queue ({error})",
                self.flow.number
            )),
            Some(libc::EINVAL) => Failure::Unavailable(
                "the kernel cannot receive into device memory: it needs CONFIG_NET_DEVMEM".into(),
            ),
            _ => self
                .flow
                .failure("receiving into device memory", Errno::from_raw(error.raw_os_error().unwrap_or(0))),
        }
    }

    /// Takes the fragments of one read.
    fn take(&mut self, buffer: &[u8], control: &[u8], bytes: usize) -> Result<(), Failure> {
        let verifying = self.check.payload.is_some();
        if verifying {
            self.tally.call(Call::Ioctl);
            self.sync(Udmabuf::begin)?;
        }
        let (mut fragments, mut copied, mut bound) = (0, 0, 0);
        for fragment in control::fragments(control) {
            match fragment {
                Fragment::Linear { length } => {
                    let length = length as usize;
                    let payload = buffer.get(copied..copied + length);
                    self.check.next(payload.ok_or_else(|| self.flow.failure("reading", Errno::EBADMSG))?)?;
                    copied += length;
                }
                Fragment::Bound { offset, length, token, binding } => {
                    if binding != self.binding.number {
                        return Err(Failure::Failed(format!(
                            "flow {}: payload came in binding {binding} and not in ours, {}: it was steered elsewhere",
                            self.flow.number, self.binding.number
                        )));
                    }
                    let payload = self.binding.udmabuf.memory().get(sys::size(offset), length as usize);
                    self.check.next(payload.ok_or_else(|| self.flow.failure("reading", Errno::EBADMSG))?)?;
                    bound += length as usize;
                    self.held.add(token);
                }
            }
            fragments += 1;
        }
        if verifying {
            self.tally.call(Call::Ioctl);
            self.sync(Udmabuf::end)?;
        }
        if fragments == 0 {
            // The kernel does not mix: payload that is in its own memory it copies, in a read of its own, and says nothing.
            self.check
                .next(buffer.get(..bytes).ok_or_else(|| self.flow.failure("reading", Errno::EBADMSG))?)?;
            (fragments, copied) = (1, bytes);
        }
        if copied + bound != bytes {
            return Err(Failure::Failed(format!(
                "flow {}: a read of {bytes} bytes told of {copied} copied and {bound} in the bound memory",
                self.flow.number
            )));
        }
        self.tally.zero_copy += bound as u64;
        self.tally.call_bytes.add(bytes as u64);
        self.tally.fragments.get_or_insert_default().add(fragments);
        Ok(())
    }

    fn sync(&self, side: fn(&Udmabuf, Access) -> nix::Result<()>) -> Result<(), Failure> {
        side(&self.binding.udmabuf, Access::Read)
            .map_err(|errno| self.flow.failure("reading the udmabuf", errno))
    }

    fn give_back(&mut self, returns: Vec<Return>) -> Result<(), Failure> {
        for Return { option, tokens } in returns {
            self.tally.call(Call::Setsockopt);
            let taken =
                sys::set_option(self.flow.socket.as_fd(), libc::SOL_SOCKET, SO_DEVMEM_DONTNEED, &option)
                    .map_err(|errno| self.flow.failure("giving fragments back", errno))?;
            if u32::try_from(taken) != Ok(tokens) {
                return Err(Failure::Failed(format!(
                    "flow {}: the kernel took {taken} of {tokens} fragments back",
                    self.flow.number
                )));
            }
            self.tally.returns.get_or_insert_default().add(u64::from(tokens));
        }
        Ok(())
    }
}
