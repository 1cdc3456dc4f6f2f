//! Messages whose memory the kernel still uses.

use std::collections::VecDeque;

use flow::Completions;

use crate::control::Completed;

/// Calls that have not been completed. A socket numbers its sends without a copy from 0 on, and wraps
/// (Documentation/networking/msg_zerocopy.rst).
#[derive(Debug)]
pub(super) struct InFlight {
    /// The number of the first call in `calls`.
    first: u32,
    calls: VecDeque<SentCall>,
    /// Calls of each slot that have not been completed.
    slots: Vec<u32>,
    pub(super) completions: Completions,
    pub(super) zero_copy: u64,
}

#[derive(Debug)]
struct SentCall {
    slot: usize,
    bytes: u64,
    done: bool,
}

impl InFlight {
    pub(super) fn new(slots: usize) -> Self {
        let completions = Completions::default();
        Self { first: 0, calls: VecDeque::new(), slots: vec![0; slots], completions, zero_copy: 0 }
    }

    /// The next call took so many bytes of a slot.
    pub(super) fn sent(&mut self, slot: usize, bytes: u64) {
        self.slots[slot] += 1;
        self.calls.push_back(SentCall { slot, bytes, done: false });
    }

    /// The kernel has done with these calls. What it never was given, is not counted.
    pub(super) fn completed(&mut self, completed: Completed) {
        // How far the range lies from the first call that is not done: behind it, or in part in front of it.
        let from = i64::from(completed.first.wrapping_sub(self.first).cast_signed());
        let count = i64::from(completed.last.wrapping_sub(completed.first)) + 1;
        let known = |at: i64| usize::try_from(at).unwrap_or(0).min(self.calls.len());
        let (from, to) = (known(from), known(from + count));
        for call in self.calls.range_mut(from..to).filter(|call| !call.done) {
            call.done = true;
            self.slots[call.slot] -= 1;
            self.completions.total += 1;
            if completed.copied {
                self.completions.copied += 1;
            } else {
                self.zero_copy += call.bytes;
            }
        }
        while self.calls.front().is_some_and(|call| call.done) {
            self.calls.pop_front();
            self.first = self.first.wrapping_add(1);
        }
    }

    pub(super) fn is_free(&self, slot: usize) -> bool {
        self.slots[slot] == 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn completed(first: u32, last: u32, copied: bool) -> Completed {
        Completed { first, last, copied }
    }

    #[test]
    fn a_slot_is_free_once_all_its_calls_are_done_in_whatever_order() {
        let mut flying = InFlight::new(2);
        flying.sent(0, 10);
        flying.sent(0, 20);
        flying.sent(1, 30);
        flying.completed(completed(1, 2, false));
        assert!(flying.is_free(1) && !flying.is_free(0));
        flying.completed(completed(0, 0, true));
        assert!(flying.is_free(0) && flying.is_empty());
        assert_eq!((flying.completions, flying.zero_copy), (Completions { total: 3, copied: 1 }, 50));
    }

    #[test]
    fn numbers_wrap() {
        let mut flying = InFlight::new(1);
        flying.first = u32::MAX;
        flying.sent(0, 1);
        flying.sent(0, 1);
        flying.completed(completed(u32::MAX, 0, false));
        assert!(flying.is_empty());
    }

    proptest! {
        #[test]
        fn nothing_is_counted_twice(calls in 1..50_u32, ranges in proptest::collection::vec((any::<u32>(), 0..70_u32, any::<bool>()), 0..30)) {
            let mut flying = InFlight::new(1);
            for _ in 0..calls {
                flying.sent(0, 7);
            }
            for (first, length, copied) in ranges {
                let first = first % 60;
                flying.completed(completed(first, first.wrapping_add(length), copied));
            }
            prop_assert!(flying.completions.total <= u64::from(calls));
            prop_assert_eq!(flying.zero_copy, 7 * (flying.completions.total - flying.completions.copied));
            flying.completed(completed(0, calls - 1, false));
            prop_assert!(flying.is_empty() && flying.is_free(0));
            prop_assert_eq!(flying.completions.total, u64::from(calls));
        }
    }
}
