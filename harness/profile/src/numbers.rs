//! The numbers of one row: means that add up, and what the blocks say of a difference.

use serde::{Deserialize, Serialize};
use stats::{Interval, SignedRanks, smallest_p};

use crate::matching::float;

/// The one-sided level of intervals where there are blocks enough: 95 % confidence.
const LEVEL: f64 = 0.025;

/// What counts are divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// KiB of payload.
    Kib,
    /// Nothing: the whole window of the workload.
    Window,
}

/// What one block counted, an array of three numbers in JSON: the block, the baseline's count, the arm's. The baseline's is 0 where
/// there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u32, u64, u64)", into = "(u32, u64, u64)")]
pub struct BlockCounts {
    /// Which block.
    pub block: u32,
    /// The baseline's count.
    pub baseline: u64,
    /// The arm's count.
    pub arm: u64,
}

impl From<(u32, u64, u64)> for BlockCounts {
    fn from((block, baseline, arm): (u32, u64, u64)) -> Self {
        Self { block, baseline, arm }
    }
}

impl From<BlockCounts> for (u32, u64, u64) {
    fn from(counts: BlockCounts) -> Self {
        (counts.block, counts.baseline, counts.arm)
    }
}

/// What a row's counts come to. All but `by_block` is in the unit of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbers {
    /// Mean of the baseline's boots; none if there is no baseline.
    pub baseline: Option<f64>,
    /// Mean of the arm's boots.
    pub arm: f64,
    /// Mean of the blocks' differences: those of rows add up to that of the total.
    pub difference: Option<f64>,
    /// The same difference in each of several blocks, to the instruction.
    pub exact: bool,
    /// Of the difference, at the table's confidence, by signed ranks; none of an exact difference, or with a single block.
    pub interval: Option<Interval>,
    /// Two-sided p of "no difference", by signed ranks within blocks; none where no block differs.
    pub p: Option<f64>,
    /// That p adjusted for the false discovery rate over the table's rows (Benjamini-Hochberg).
    pub q: Option<f64>,
    /// Its part of the arm's total.
    pub share: Option<f64>,
    /// The counts themselves.
    pub by_block: Vec<BlockCounts>,
}

/// What each block's counts are divided by, and how sure one can be with so many blocks.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    /// The blocks, and the divisor of the baseline and the arm in each.
    pub(crate) all: Vec<(u32, f64, f64)>,
    /// Whether there is a baseline.
    pub(crate) is_paired: bool,
}

impl Blocks {
    /// The one-sided level of intervals: with few blocks the widest interval, from the smallest to the largest difference.
    fn level(&self) -> f64 {
        smallest_p(self.count()).max(LEVEL)
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.all.len()).unwrap_or(u32::MAX)
    }

    /// Confidence of intervals; none with a single block, or without a baseline.
    pub(crate) fn confidence(&self) -> Option<f64> {
        (self.is_paired && self.count() > 1).then(|| 1.0 - 2.0 * self.level())
    }

    /// The smallest two-sided p-value that so many blocks can yield.
    pub(crate) fn smallest_p(&self) -> Option<f64> {
        (self.is_paired && self.count() > 0).then(|| (2.0 * smallest_p(self.count())).min(1.0))
    }

    /// The numbers of a row, without its share and q.
    pub(crate) fn numbers(&self, counts: &[(u64, u64)]) -> Numbers {
        let by_block = self.all.iter().zip(counts);
        let by_block =
            by_block.map(|((block, ..), (baseline, arm))| (*block, *baseline, *arm).into()).collect();
        let each = || self.all.iter().zip(counts);
        let arm = mean(each().map(|((_, _, per), (_, count))| float(*count) / per));
        let mut numbers = Numbers {
            baseline: None,
            arm,
            difference: None,
            exact: false,
            interval: None,
            p: None,
            q: None,
            share: None,
            by_block,
        };
        if !self.is_paired {
            return numbers;
        }
        let differences: Vec<f64> = each().map(|(block, counts)| difference(*block, *counts)).collect();
        numbers.baseline = Some(mean(each().map(|((_, per, _), (count, _))| float(*count) / per)));
        numbers.difference = Some(mean(differences.iter().copied()));
        numbers.exact = differences.len() > 1 && differences.iter().all(|d| *d == differences[0]);
        let ranks = SignedRanks::new(&differences);
        if differences.len() > 1 && !numbers.exact {
            numbers.interval = ranks.interval(self.level());
        }
        if differences.iter().any(|difference| *difference != 0.0) {
            numbers.p = Some(ranks.p_equal(0.0));
        }
        numbers
    }
}

/// One division where the payload is the same, so that equal differences of counts are equal.
fn difference((_, of_baseline, of_arm): (u32, f64, f64), (baseline, arm): (u64, u64)) -> f64 {
    if of_baseline == of_arm {
        let sign = if arm < baseline { -1.0 } else { 1.0 };
        return sign * float(arm.abs_diff(baseline)) / of_arm;
    }
    float(arm) / of_arm - float(baseline) / of_baseline
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 0.0 } else { sum / float(count) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(count: u32) -> Blocks {
        Blocks { all: (0..count).map(|block| (block, 4.0, 4.0)).collect(), is_paired: true }
    }

    #[test]
    fn the_same_difference_in_every_block_is_exact_and_has_no_interval() {
        let numbers = blocks(4).numbers(&[(100, 140), (99, 139), (103, 143), (0, 40)]);
        assert_eq!((numbers.difference, numbers.exact, numbers.interval), (Some(10.0), true, None));
        assert_eq!(numbers.p, Some(0.125), "the smallest that four blocks can yield");
        assert_eq!(blocks(4).smallest_p(), Some(0.125));
    }

    #[test]
    fn few_blocks_have_the_range_of_their_differences_and_a_lower_confidence() {
        let numbers = blocks(4).numbers(&[(0, 4), (0, 8), (0, 12), (0, 20)]);
        let interval = numbers.interval.unwrap();
        assert!((interval.low - 1.0).abs() < 1e-9 && (interval.high - 5.0).abs() < 1e-9, "{interval:?}");
        assert_eq!(blocks(4).confidence(), Some(0.875));
        assert_eq!(blocks(8).confidence(), Some(0.95));
    }

    #[test]
    fn what_never_differs_is_no_hypothesis_and_one_block_shows_no_spread() {
        let same = blocks(3).numbers(&[(7, 7); 3]);
        assert_eq!((same.difference, same.exact, same.p), (Some(0.0), true, None));
        let one = blocks(1).numbers(&[(4, 8)]);
        assert_eq!((one.difference, one.exact, one.interval, one.p), (Some(1.0), false, None, Some(1.0)));
        assert_eq!(blocks(1).confidence(), None);
    }

    #[test]
    fn payloads_that_differ_are_divided_by_first() {
        let blocks = Blocks { all: vec![(0, 4.0, 8.0)], is_paired: true };
        let numbers = blocks.numbers(&[(40, 80)]);
        assert_eq!((numbers.baseline, numbers.arm, numbers.difference), (Some(10.0), 10.0, Some(0.0)));
    }
}
