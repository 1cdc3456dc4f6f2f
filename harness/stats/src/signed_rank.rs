//! The signed-rank test within blocks, and the confidence interval that inverts it.
//!
//! Under a shift `s`, every `d_b - s` is as likely as its negative: that is the permutation within blocks. The statistic is
//! Wilcoxon's (1945, "Individual comparisons by ranking methods", Biometrics Bulletin 1:80) and not the mean, since on a
//! shared machine a boot now and then is slowed by a quarter for reasons of the host's, and one such boot in twenty takes
//! most of its power from a mean. On normal noise ranks lose 5 % of the data's worth at most (Hodges and Lehmann 1956,
//! Ann. Math. Statist. 27:324).
//!
//! With few blocks the sum of ranks has few values, and levels between two of them are lost: eight blocks held to 0.05 would be
//! held to 10 / 256 = 0.039. So sums that are equal are ordered by the sum of the squared ranks ([`Null`]), which holds eight blocks to
//! 12 / 256 = 0.047; the scores are then `r + e * r^2` with a vanishing `e`, and grow with the rank as Wilcoxon's do.
//!
//! With the Walsh averages `(d_i + d_j) / 2`, `i <= j`, the rank of a block at or below `s` is the number of its averages with
//! blocks at or above it that are at most `s`, and the rank sum that of all averages that are at most `s` (Tukey 1949). So the
//! one-sided p-value of "the shift is at most s" is the probability that fair coins, one for each block, choose ranks whose score
//! is no larger. Its distribution is computed and not approximated. It grows in steps with `s`, at Walsh averages only; the shifts that are not
//! rejected at level `a` by either side are an interval, which covers the shift with probability at least `1 - 2a`, whatever
//! the noise, as long as it is symmetric within blocks, which the randomised order makes it. Its centre, the median of the
//! averages, is the estimate (Hodges and Lehmann 1963, Ann. Math. Statist. 34:598). Equal averages count against the claim.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::null::{Null, Score};

/// A closed interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The signed ranks of one comparison: answers for every shift and level.
#[derive(Clone, Debug)]
pub struct SignedRanks {
    /// Sorted.
    differences: Vec<f64>,
    /// Sorted.
    walsh: Vec<f64>,
    null: Arc<Null>,
    /// Averages closer than this are ties, and ties count against the claim: rounding must not make evidence.
    tie: f64,
}

impl SignedRanks {
    /// The signed ranks of these differences, which must be finite.
    #[must_use]
    pub fn new(differences: &[f64]) -> Self {
        let mut differences = differences.to_vec();
        differences.sort_unstable_by(f64::total_cmp);
        let mut walsh = Vec::with_capacity(differences.len() * (differences.len() + 1) / 2);
        for (i, first) in differences.iter().enumerate() {
            walsh.extend(differences[i..].iter().map(|second| average(*first, *second)));
        }
        walsh.sort_unstable_by(f64::total_cmp);
        let largest = differences.iter().fold(0.0_f64, |largest, d| largest.max(d.abs()));
        Self { null: Null::of(differences.len()), differences, walsh, tie: largest * 1e-12 }
    }

    /// The Hodges-Lehmann estimate of the shift, which lies in the interval at every level; none without differences.
    #[must_use]
    pub fn estimate(&self) -> Option<f64> {
        let last = self.walsh.len().checked_sub(1)?;
        Some(self.walsh[last / 2] / 2.0 + self.walsh[last.div_ceil(2)] / 2.0)
    }

    /// One-sided p-value of "the shift is at most `shift`"; a small one says that the shift is larger.
    #[must_use]
    pub fn p_above(&self, shift: f64) -> f64 {
        let is_below = |average: f64| average - self.tie <= shift;
        if !self.null.counts_squares() {
            return self.null.p(Score::of_sum(self.walsh.partition_point(|average| is_below(*average))));
        }
        // The rank of a block is the number of its averages, with itself and those above it, that are no larger than the shift.
        let ranks = self.differences.iter().enumerate().map(|(block, first)| {
            self.differences[block..].iter().take_while(|second| is_below(average(*first, **second))).count()
        });
        self.null.p(ranks.sum())
    }

    /// One-sided p-value of "the shift is at least `shift`"; a small one says that the shift is smaller.
    #[must_use]
    pub fn p_below(&self, shift: f64) -> f64 {
        let is_above = |average: f64| average + self.tie >= shift;
        if !self.null.counts_squares() {
            let below = self.walsh.partition_point(|average| !is_above(*average));
            return self.null.p(Score::of_sum(self.walsh.len() - below));
        }
        let ranks = self.differences.iter().enumerate().map(|(block, first)| {
            let upwards = self.differences[..=block].iter().rev();
            upwards.take_while(|second| is_above(average(*first, **second))).count()
        });
        self.null.p(ranks.sum())
    }

    /// Two-sided p-value of "the shift is `shift`": twice the smaller one-sided one.
    #[must_use]
    pub fn p_equal(&self, shift: f64) -> f64 {
        (2.0 * self.p_above(shift).min(self.p_below(shift))).min(1.0)
    }

    /// The p-value of "the shift is at `within.low` or below it, or at `within.high` or above it"; a small one says that it lies
    /// between them: two one-sided tests, the larger of which counts (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15:657).
    #[must_use]
    pub fn p_within(&self, within: Interval) -> f64 {
        self.p_above(within.low).max(self.p_below(within.high))
    }

    /// The shifts that neither one-sided test rejects at `level`: an interval of confidence `1 - 2 * level`. None if there
    /// are too few blocks for that level, so that no shift at all could be rejected.
    #[must_use]
    pub fn interval(&self, level: f64) -> Option<Interval> {
        let is_kept = |p: f64| p > level * (1.0 + LEVEL_TIE);
        if is_kept(self.null.p(Score::default())) {
            return None;
        }
        let low = self.walsh.partition_point(|average| !is_kept(self.p_above(average - self.tie)));
        let above = self.walsh.partition_point(|average| is_kept(self.p_below(average + self.tie)));
        let high = above.checked_sub(1).filter(|high| *high >= low)?;
        Some(Interval { low: self.walsh[low] - self.tie, high: self.walsh[high] + self.tie })
    }
}

/// Halves, so that no sum overflows.
fn average(first: f64, second: f64) -> f64 {
    first / 2.0 + second / 2.0
}

/// Keeps levels such as 0.15 / 3 from losing a step to the last bit of a division.
const LEVEL_TIE: f64 = 1e-12;

/// The largest one-sided level, at most `level`, that a test on `blocks` blocks can really have: p-values come in steps.
/// Zero if there is none.
#[must_use]
pub fn attainable_level(blocks: usize, level: f64) -> f64 {
    Null::of(blocks).attainable(level)
}

/// How many values of a statistic have a p-value of at most `level`, given its distribution function.
pub(crate) fn rejected_at(cumulative: &[f64], level: f64) -> usize {
    cumulative.partition_point(|p| *p <= level * (1.0 + LEVEL_TIE))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The p-value from its definition: flip every combination of signs and compare scores.
    fn p_above_by_definition(differences: &[f64], shift: f64) -> f64 {
        let shifted: Vec<f64> = differences.iter().map(|d| d - shift).collect();
        let rank = |d: &f64| shifted.iter().filter(|other| other.abs() <= d.abs()).count();
        let ranks: Vec<usize> = shifted.iter().map(rank).collect();
        let score = |chosen: &dyn Fn(usize) -> bool| {
            let chosen = ranks.iter().enumerate().filter(|(block, _)| chosen(*block));
            chosen.fold((0, 0), |(sum, squares), (_, rank)| (sum + rank, squares + rank * rank))
        };
        let observed = score(&|block| shifted[block] <= 0.0);
        let flips = 1_u32 << shifted.len();
        let as_small = (0..flips).filter(|flip| score(&|block| flip >> block & 1 == 1) <= observed);
        f64::from(u32::try_from(as_small.count()).unwrap()) / f64::from(flips)
    }

    const DIFFERENCES: [f64; 7] = [0.031, -0.012, 0.044, 0.018, 0.002, 0.027, -0.005];

    #[test]
    fn walsh_averages_give_the_p_value_of_the_definition() {
        let ranks = SignedRanks::new(&DIFFERENCES);
        for shift in [-0.1, -0.013, -0.0033, 0.0001, 0.0101, 0.0152, 0.0313, 0.1] {
            let by_definition = p_above_by_definition(&DIFFERENCES, shift);
            assert!((ranks.p_above(shift) - by_definition).abs() < 1e-12, "shift {shift}");
            let negated = DIFFERENCES.map(|d| -d);
            let by_definition = p_above_by_definition(&negated, -shift);
            assert!((ranks.p_below(shift) - by_definition).abs() < 1e-12, "shift {shift}");
        }
    }

    #[test]
    fn levels_between_two_sums_of_ranks_are_used() {
        assert!((attainable_level(6, 0.05) - 3.0 / 64.0).abs() < 1e-15);
        assert_eq!(attainable_level(4, 0.05), 0.0);
        // By the sum of ranks alone: 5 / 128, 10 / 256 and 43 / 1024.
        assert_eq!(attainable_level(7, 0.05), 6.0 / 128.0);
        assert_eq!(attainable_level(8, 0.05), 12.0 / 256.0);
        assert_eq!(attainable_level(10, 0.05), 51.0 / 1024.0);
    }

    #[test]
    fn the_interval_ends_where_the_test_stops_rejecting() {
        let ranks = SignedRanks::new(&DIFFERENCES);
        for level in [1.0 / 128.0, 0.02, 0.05, 0.1, 0.25] {
            let Interval { low, high } = ranks.interval(level).unwrap();
            assert!(ranks.p_above(low) > level && ranks.p_above(low - 1e-9) <= level, "level {level}");
            assert!(ranks.p_below(high) > level && ranks.p_below(high + 1e-9) <= level, "level {level}");
        }
    }

    #[test]
    fn the_smallest_level_gives_the_range_of_the_data() {
        let interval = SignedRanks::new(&DIFFERENCES).interval(1.0 / 128.0).unwrap();
        assert!((interval.low - -0.012).abs() < 1e-9 && (interval.high - 0.044).abs() < 1e-9);
    }

    #[test]
    fn a_level_below_the_smallest_p_gives_no_interval() {
        assert_eq!(SignedRanks::new(&DIFFERENCES).interval(0.99 / 128.0), None);
        assert_eq!(SignedRanks::new(&[0.1]).interval(0.05), None);
        assert_eq!(SignedRanks::new(&[]).interval(0.4), None);
        assert_eq!(SignedRanks::new(&[]).p_equal(0.0), 1.0);
        assert_eq!(SignedRanks::new(&[]).estimate(), None);
    }

    #[test]
    fn constant_differences_are_certain_of_what_they_say_and_no_more() {
        let ranks = SignedRanks::new(&[0.0; 6]);
        assert_eq!(ranks.p_equal(0.0), 1.0);
        assert_eq!(ranks.p_below(0.01), 1.0 / 64.0);
        assert_eq!(ranks.interval(0.05), Some(Interval { low: 0.0, high: 0.0 }));
        // 0.1 + 0.2 is not 0.3 in binary: without the tolerance this tie would count as evidence.
        let ranks = SignedRanks::new(&[0.1, 0.2, -0.3]);
        assert_eq!(ranks.p_above(0.0), ranks.p_above(1e-18));
    }

    #[test]
    fn one_boot_that_the_host_slowed_down_does_not_hide_what_eleven_show() {
        let mut differences =
            [-0.050, -0.047, -0.055, -0.048, -0.052, -0.046, -0.051, -0.049, -0.053, -0.054, -0.045, 0.24];
        let ranks = SignedRanks::new(&differences);
        assert!(ranks.interval(0.05).unwrap().high < -0.04);
        assert!((ranks.estimate().unwrap() - -0.049).abs() < 0.001);
        differences[11] = 24.0;
        assert_eq!(
            SignedRanks::new(&differences).interval(0.05),
            ranks.interval(0.05).map(|interval| Interval {
                low: interval.low + ranks.tie - 24e-12,
                high: interval.high - ranks.tie + 24e-12,
            })
        );
    }

    #[test]
    fn the_shift_lies_between_two_others_where_both_are_refuted() {
        let ranks = SignedRanks::new(&DIFFERENCES);
        let within = Interval { low: -0.02, high: 0.05 };
        assert_eq!(ranks.p_within(within), ranks.p_above(-0.02).max(ranks.p_below(0.05)));
        assert!(ranks.p_within(within) <= 0.05);
        assert!(ranks.p_within(Interval { low: -0.02, high: 0.02 }) > 0.05);
    }
}
