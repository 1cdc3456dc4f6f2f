//! What the payload of a flow is, at each position of the stream.
//!
//! Each aligned word of eight bytes is its number in the stream, made unlike its neighbours and those of other flows. The map
//! from number to word is one to one, so that a page which is lost, comes twice, stands elsewhere, or still holds what another
//! flow or an earlier use left there, is noticed at its first word.

use crate::sys;

/// 2^64 divided by the golden ratio, odd: multiplying by it is one to one.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The payload of one flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload {
    seed: u64,
}

/// The first byte that is not what it should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) position: u64,
    pub(crate) expected: u8,
    pub(crate) found: u8,
}

impl Payload {
    pub(crate) fn of_flow(flow: u16) -> Self {
        // Different in the upper bits, so that flows have no words in common within 2^47 bytes.
        Self { seed: u64::from(flow) << 47 }
    }

    fn word(self, number: u64) -> [u8; 8] {
        (number ^ self.seed).wrapping_add(1).wrapping_mul(SPREAD).to_le_bytes()
    }

    /// Writes what belongs at `position` and behind it.
    pub(crate) fn fill(self, position: u64, into: &mut [u8]) {
        let (head, body) = into.split_at_mut(to_next_word(position).min(into.len()));
        let first = position.div_ceil(8);
        for (at, byte) in (position..).zip(head) {
            *byte = self.byte(at);
        }
        let mut words = body.chunks_exact_mut(8);
        let mut number = first;
        for word in &mut words {
            word.copy_from_slice(&self.word(number));
            number += 1;
        }
        let tail = words.into_remainder();
        let last = self.word(number);
        let length = tail.len();
        tail.copy_from_slice(&last[..length]);
    }

    /// Compares what came at `position` with what belongs there.
    pub(crate) fn check(self, position: u64, found: &[u8]) -> Result<(), Mismatch> {
        let (head, body) = found.split_at(to_next_word(position).min(found.len()));
        let words = body.chunks_exact(8);
        let (first, tail) = (position.div_ceil(8), words.remainder());
        let same = (first..).zip(words).all(|(number, word)| word == self.word(number));
        let tail_at = position + (found.len() - tail.len()) as u64;
        if same && self.check_bytes(position, head).is_ok() && self.check_bytes(tail_at, tail).is_ok() {
            return Ok(());
        }
        self.check_bytes(position, found)
    }

    fn check_bytes(self, position: u64, found: &[u8]) -> Result<(), Mismatch> {
        for (position, found) in (position..).zip(found.iter().copied()) {
            let expected = self.byte(position);
            if found != expected {
                return Err(Mismatch { position, expected, found });
            }
        }
        Ok(())
    }

    fn byte(self, position: u64) -> u8 {
        self.word(position / 8)[(position % 8) as usize]
    }
}

/// Bytes from `position` to the next word's beginning.
fn to_next_word(position: u64) -> usize {
    sys::size(position.next_multiple_of(8) - position)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream(flow: u16, position: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        Payload::of_flow(flow).fill(position, &mut bytes);
        bytes
    }

    #[test]
    fn pages_that_are_swapped_repeated_lost_or_of_another_flow_are_noticed() {
        const PAGE: usize = 4096;
        let right = stream(0, 0, 4 * PAGE);
        let payload = Payload::of_flow(0);
        assert_eq!(payload.check(0, &right), Ok(()));
        let page = |number: usize| &right[number * PAGE..][..PAGE];
        for wrong in [
            [page(0), page(2), page(1), page(3)].concat(),
            [page(0), page(1), page(1), page(3)].concat(),
            [page(0), page(2), page(3)].concat(),
            [page(0), &stream(1, 4096, PAGE), page(2)].concat(),
            [page(0), &[0; PAGE], page(2)].concat(),
        ] {
            let mismatch = payload.check(0, &wrong).unwrap_err();
            assert!(mismatch.position >= 4096 && mismatch.position % 4096 < 8, "{mismatch:?}");
        }
    }

    #[test]
    fn a_single_wrong_byte_is_named() {
        for at in [0, 3, 4, 11, 12, 19] {
            let mut bytes = stream(7, 4, 20);
            bytes[at] ^= 0x40;
            let mismatch = Payload::of_flow(7).check(4, &bytes).unwrap_err();
            assert_eq!(mismatch.position, 4 + at as u64);
            assert_eq!(mismatch.found, mismatch.expected ^ 0x40);
        }
    }

    proptest! {
        #[test]
        fn a_stream_is_the_same_however_it_is_cut(cuts in proptest::collection::vec(0..3000_usize, 1..20), flow in any::<u16>()) {
            let whole = stream(flow, 0, cuts.iter().sum());
            let mut position = 0;
            for length in cuts {
                let part = stream(flow, position as u64, length);
                prop_assert_eq!(&part[..], &whole[position..position + length]);
                prop_assert_eq!(Payload::of_flow(flow).check(position as u64, &part), Ok(()));
                position += length;
            }
        }
    }
}
