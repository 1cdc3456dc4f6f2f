//! Fragments of bound memory that the application has done with, and how they go back.

use flow::Tokens;

/// `MAX_DONTNEED_TOKENS` of net/core/sock.c: ranges that one call takes.
const MOST_RANGES: usize = 128;

/// `struct dmabuf_token` of include/uapi/linux/uio.h: consecutive tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    start: u32,
    count: u32,
}

/// Tokens that are collected until there are enough to be returned.
#[derive(Debug)]
pub(crate) struct Accumulator {
    how: Tokens,
    ranges: Vec<Range>,
    held: u64,
}

/// What one `SO_DEVMEM_DONTNEED` is given, and how many tokens that is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Return {
    pub(crate) option: Vec<u8>,
    pub(crate) tokens: u32,
}

impl Accumulator {
    pub(crate) fn new(how: Tokens) -> Self {
        Self { how, ranges: Vec::new(), held: 0 }
    }

    pub(crate) fn add(&mut self, token: u32) {
        self.held += 1;
        match self.ranges.last_mut() {
            Some(last) if last.start.checked_add(last.count) == Some(token) => last.count += 1,
            _ => self.ranges.push(Range { start: token, count: 1 }),
        }
    }

    /// What is to be returned after a read: nothing, or all, in as few calls as may be.
    pub(crate) fn after_read(&mut self) -> Vec<Return> {
        if self.held >= u64::from(self.how.accumulate) { self.all() } else { Vec::new() }
    }

    /// All that is held.
    pub(crate) fn all(&mut self) -> Vec<Return> {
        let mut returns = Vec::new();
        let mut next = Return { option: Vec::new(), tokens: 0 };
        let mut ranges = 0;
        for mut range in self.ranges.drain(..) {
            while range.count > 0 {
                let taken = range.count.min(self.how.batch - next.tokens);
                next.option.extend(range.start.to_ne_bytes());
                next.option.extend(taken.to_ne_bytes());
                next.tokens += taken;
                ranges += 1;
                range = Range { start: range.start.wrapping_add(taken), count: range.count - taken };
                if next.tokens == self.how.batch || ranges == MOST_RANGES {
                    returns.push(std::mem::replace(&mut next, Return { option: Vec::new(), tokens: 0 }));
                    ranges = 0;
                }
            }
        }
        if next.tokens > 0 {
            returns.push(next);
        }
        self.held = 0;
        returns
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges(given: &Return) -> Vec<(u32, u32)> {
        given
            .option
            .chunks(8)
            .map(|range| {
                let field = |at: usize| u32::from_ne_bytes(range[at..at + 4].try_into().unwrap());
                (field(0), field(4))
            })
            .collect()
    }

    #[test]
    fn neighbours_go_in_one_range_and_a_call_takes_a_batch() {
        let mut held = Accumulator::new(Tokens { batch: 4, accumulate: 0 });
        for token in [7, 8, 9, 3, 4, 5, 6] {
            held.add(token);
        }
        let returns = held.after_read();
        assert_eq!(returns.iter().map(ranges).collect::<Vec<_>>(), [vec![(7, 3), (3, 1)], vec![(4, 3)]]);
        assert_eq!(returns.iter().map(|given| given.tokens).collect::<Vec<_>>(), [4, 3]);
        assert_eq!(held.all(), []);
    }

    #[test]
    fn nothing_is_returned_before_enough_is_held() {
        let mut held = Accumulator::new(Tokens { batch: 1024, accumulate: 3 });
        held.add(1);
        held.add(2);
        assert_eq!(held.after_read(), []);
        held.add(9);
        assert_eq!(held.after_read().iter().map(ranges).collect::<Vec<_>>(), [vec![(1, 2), (9, 1)]]);
    }

    proptest! {
        #[test]
        fn every_token_goes_back_once_in_calls_that_the_kernel_takes(
            tokens in proptest::collection::vec(0..3000_u32, 0..1500), batch in 1..=1024_u32,
        ) {
            let mut held = Accumulator::new(Tokens { batch, accumulate: 0 });
            for token in &tokens {
                held.add(*token);
            }
            let mut returned = Vec::new();
            for given in held.all() {
                let ranges = ranges(&given);
                prop_assert!(ranges.len() <= MOST_RANGES && given.tokens <= batch && given.tokens > 0);
                let of_this: Vec<u32> = ranges.iter().flat_map(|(start, count)| *start..start + count).collect();
                prop_assert_eq!(of_this.len(), given.tokens as usize);
                returned.extend(of_this);
            }
            prop_assert_eq!(returned, tokens);
        }
    }
}
