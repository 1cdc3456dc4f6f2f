//! What one thread counts of its flows.

use std::collections::BTreeMap;

use flow::{Completions, Copies, Distribution};

/// System calls that a side makes in its window.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    Recv,
    Recvmsg,
    Getsockopt,
    Setsockopt,
    Ioctl,
    Poll,
    Send,
    Sendmsg,
    IoUringEnter,
    IoUringRegister,
    Shutdown,
}

const CALLS: [(Call, &str); 11] = [
    (Call::Recv, "recvfrom"),
    (Call::Recvmsg, "recvmsg"),
    (Call::Getsockopt, "getsockopt"),
    (Call::Setsockopt, "setsockopt"),
    (Call::Ioctl, "ioctl"),
    (Call::Poll, "poll"),
    (Call::Send, "sendto"),
    (Call::Sendmsg, "sendmsg"),
    (Call::IoUringEnter, "io_uring_enter"),
    (Call::IoUringRegister, "io_uring_register"),
    (Call::Shutdown, "shutdown"),
];

/// Sums of a thread, and then of all threads. What a mode does not have is none.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Payload by flow.
    pub(crate) bytes: BTreeMap<u16, u64>,
    pub(crate) zero_copy: u64,
    pub(crate) verified: Option<u64>,
    pub(crate) call_bytes: Distribution,
    pub(crate) fragments: Option<Distribution>,
    pub(crate) returns: Option<Distribution>,
    pub(crate) completions: Option<Completions>,
    pub(crate) ring_overflows: Option<u64>,
    pub(crate) zcrx_copies: Option<Copies>,
    /// Time asleep, if the kernel tells.
    pub(crate) blocked: Option<u64>,
    pub(crate) calls: [u64; CALLS.len()],
}

impl Tally {
    pub(crate) fn call(&mut self, call: Call) {
        self.calls[call as usize] += 1;
    }

    pub(crate) fn calls(&self) -> BTreeMap<String, u64> {
        CALLS
            .iter()
            .map(|(call, name)| ((*name).to_owned(), self.calls[*call as usize]))
            .filter(|(_, made)| *made > 0)
            .collect()
    }

    pub(crate) fn total(&self) -> u64 {
        self.bytes.values().sum()
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (flow, bytes) in other.bytes {
            *self.bytes.entry(flow).or_default() += bytes;
        }
        self.zero_copy += other.zero_copy;
        self.verified = sum(self.verified, other.verified);
        self.call_bytes.merge(&other.call_bytes);
        for (mine, others) in [(&mut self.fragments, other.fragments), (&mut self.returns, other.returns)] {
            if let Some(others) = others {
                mine.get_or_insert_default().merge(&others);
            }
        }
        if let Some(others) = other.completions {
            let mine = self.completions.get_or_insert_default();
            mine.total += others.total;
            mine.copied += others.copied;
        }
        if let Some(others) = other.zcrx_copies {
            let mine = self.zcrx_copies.get_or_insert_default();
            mine.count += others.count;
            mine.bytes += others.bytes;
        }
        self.ring_overflows = sum(self.ring_overflows, other.ring_overflows);
        self.blocked = sum(self.blocked, other.blocked);
        for (mine, others) in self.calls.iter_mut().zip(other.calls) {
            *mine += others;
        }
    }
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one + other),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_stands_where_its_number_says() {
        for (index, (call, _)) in CALLS.iter().enumerate() {
            assert_eq!(*call as usize, index);
        }
        let mut tally = Tally::default();
        tally.call(Call::Shutdown);
        assert_eq!(tally.calls(), BTreeMap::from([("shutdown".to_owned(), 1)]));
    }
}
