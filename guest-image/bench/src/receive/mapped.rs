//! `TCP_ZEROCOPY_RECEIVE`: whole pages of payload are mapped where the application reads them, the rest is copied (net/ipv4/tcp.c,
//! `tcp_zerocopy_receive`).

use std::{
    io::{self, Read},
    os::fd::AsFd,
};

use flow::{Distribution, Receive};
use nix::{
    errno::Errno,
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::Check;
use crate::{
    conversation::Flow,
    error::Failure,
    sys::{self, Mapping},
    tally::{Call, Tally},
};

const TCP_ZEROCOPY_RECEIVE: i32 = 35;
/// What is copied since it is less than a page, or within one: the remains of a read.
const REMAINS: usize = 16 * 1024;
const PAGE: usize = 4096;

/// What `struct tcp_zerocopy_receive` of include/uapi/linux/tcp.h asks and answers.
#[derive(Debug, Default, PartialEq, Eq)]
struct Exchange {
    /// Bytes that were mapped.
    mapped: usize,
    /// Bytes that have to be received by a copy before more can be mapped.
    skip: usize,
    /// Bytes that were copied into the buffer for remains.
    copied: usize,
}

impl Exchange {
    /// The request: where to map, up to how much, and where to copy remains to.
    fn request(window: &Mapping, remains: &Mapping) -> [u8; 64] {
        let mut request = [0; 64];
        request[..8].copy_from_slice(&window.address().to_ne_bytes());
        request[8..12].copy_from_slice(&u32::try_from(window.len()).unwrap_or(u32::MAX).to_ne_bytes());
        request[24..32].copy_from_slice(&remains.address().to_ne_bytes());
        request[32..36].copy_from_slice(&i32::try_from(remains.len()).unwrap_or(0).to_ne_bytes());
        request
    }

    fn answer(answer: &[u8; 64]) -> Self {
        let field = |at: usize| {
            u32::from_ne_bytes([answer[at], answer[at + 1], answer[at + 2], answer[at + 3]]) as usize
        };
        Self { mapped: field(8), skip: field(12), copied: field(32) }
    }
}

pub(super) fn receive(flow: &Flow, receive: &Receive) -> Result<Tally, Failure> {
    let size = sys::size(receive.read_size).next_multiple_of(PAGE);
    let memory = |made: nix::Result<Mapping>| {
        made.map_err(|errno| Failure::call("getting memory to receive into", errno))
    };
    let window = Mapping::shared(&flow.socket, size, false)
        .map_err(|errno| Failure::Unavailable(format!("a TCP socket cannot be mapped: {}", errno.desc())))?;
    let mut remains = memory(Mapping::populated(REMAINS))?;
    let mut skipped = memory(Mapping::populated(size))?;
    let mut check = Check::new(flow, receive);
    let mut tally = Tally { fragments: Some(Distribution::default()), ..Tally::default() };
    // Woken, and then nothing is there: of an end that is not the sender's, only a read tells.
    let mut woken = false;
    loop {
        let mut exchange = Exchange::request(&window, &remains);
        tally.call(Call::Getsockopt);
        let asked = sys::option(flow.socket.as_fd(), libc::IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &mut exchange);
        let came = match asked {
            Ok(_) => Exchange::answer(&exchange),
            // Nothing is left, and nothing more comes.
            Err(Errno::EIO) => break,
            Err(Errno::ENOPROTOOPT) => {
                return Err(Failure::Unavailable(
                    "the kernel has no TCP_ZEROCOPY_RECEIVE: it needs CONFIG_MMU".into(),
                ));
            }
            Err(errno) => return Err(flow.failure("receiving without a copy", errno)),
        };
        let mapped = window.get(0, came.mapped).ok_or_else(|| flow.failure("mapping", Errno::EBADMSG))?;
        check.next(mapped)?;
        tally.zero_copy += came.mapped as u64;
        let copied =
            remains.get_mut(0, came.copied).ok_or_else(|| flow.failure("copying", Errno::EBADMSG))?;
        check.next(copied)?;
        let taken = came.mapped + came.copied;
        if taken > 0 {
            woken = false;
            tally.call_bytes.add(taken as u64);
            let ranges = u64::from(came.mapped > 0) + u64::from(came.copied > 0);
            tally.fragments.get_or_insert_default().add(ranges);
        }
        if came.skip > 0 || taken == 0 && woken {
            tally.call(Call::Recv);
            let room = if came.skip > 0 { came.skip.min(size) } else { size };
            woken = false;
            let room = skipped.get_mut(0, room).expect("no more than its size");
            let length = match (&flow.socket).read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                length => length.map_err(|error| flow.failure("receiving", error))?,
            };
            if length == 0 {
                break;
            }
            tally.call_bytes.add(length as u64);
            check.next(&room[..length])?;
        } else if taken == 0 {
            tally.call(Call::Poll);
            let mut waiting = [PollFd::new(flow.socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut waiting, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(flow.failure("waiting for payload", errno)),
            }
            woken = true;
        }
    }
    check.finish(&mut tally);
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_is_laid_out_as_the_kernel_reads_it() {
        let window = Mapping::anonymous(PAGE).unwrap();
        let remains = Mapping::anonymous(2 * PAGE).unwrap();
        let mut exchange = Exchange::request(&window, &remains);
        assert_eq!(exchange[..8], window.address().to_ne_bytes());
        assert_eq!(exchange[24..32], remains.address().to_ne_bytes());
        let asked = Exchange::answer(&exchange);
        assert_eq!(asked, Exchange { mapped: PAGE, skip: 0, copied: 2 * PAGE });
        exchange[12..16].copy_from_slice(&77_u32.to_ne_bytes());
        assert_eq!(Exchange::answer(&exchange).skip, 77);
    }
}
