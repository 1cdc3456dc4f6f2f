//! The signed-rank test within blocks, and the confidence interval that inverts it.
//!
//! Under a shift `s`, every `d_b - s` is as likely as its negative: that is the permutation within blocks. The statistic is
//! Wilcoxon's (1945, "Individual comparisons by ranking methods", Biometrics Bulletin 1:80) and not the mean, since on a
//! shared machine a boot now and then is slowed by a quarter for reasons of the host's, and one such boot in twenty takes
//! most of its power from a mean. On normal noise ranks lose 5 % of the data's worth at most (Hodges and Lehmann 1956,
//! Ann. Math. Statist. 27:324).
//!
//! With the Walsh averages `(d_i + d_j) / 2`, `i <= j`, the rank sum of the blocks at or below `s` is the number of averages
//! that are at most `s` (Tukey 1949), so the one-sided p-value of "the shift is at most s" is
//!
//! ```text
//! p(s) = P(W <= number of Walsh averages that are at most s)
//! ```
//!
//! with W the sum of the ranks 1 to n that `n` fair coins choose, whose distribution is computed and not approximated. It grows
//! in steps with `s`; the shifts that are not rejected at level `a` reach from the k-th smallest to the k-th largest average,
//! k being the number of values w with `P(W <= w) <= a`. That interval covers the shift with probability at least `1 - 2a`, whatever
//! the noise, as long as it is symmetric within blocks, which the randomised order makes it; its centre, the median of the
//! averages, is the estimate (Hodges and Lehmann 1963, Ann. Math. Statist. 34:598). Equal averages count against the claim.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};

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
    walsh: Vec<f64>,
    /// `P(W <= w)` for each w that can be.
    cumulative: Arc<[f64]>,
    /// Averages closer than this are ties, and ties count against the claim: rounding must not make evidence.
    tie: f64,
}

impl SignedRanks {
    /// The signed ranks of these differences, which must be finite.
    #[must_use]
    pub fn new(differences: &[f64]) -> Self {
        Self::under(differences, cumulative(differences.len()).into())
    }

    /// With the distribution for this number of differences.
    fn under(differences: &[f64], cumulative: Arc<[f64]>) -> Self {
        let mut walsh = Vec::with_capacity(differences.len() * (differences.len() + 1) / 2);
        for (i, first) in differences.iter().enumerate() {
            // Halves, so that no sum overflows.
            walsh.extend(differences[i..].iter().map(|second| first / 2.0 + second / 2.0));
        }
        walsh.sort_unstable_by(f64::total_cmp);
        let largest = differences.iter().fold(0.0_f64, |largest, d| largest.max(d.abs()));
        Self { walsh, cumulative, tie: largest * 1e-12 }
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
        self.cumulative[self.walsh.partition_point(|average| *average - self.tie <= shift)]
    }

    /// One-sided p-value of "the shift is at least `shift`"; a small one says that the shift is smaller.
    #[must_use]
    pub fn p_below(&self, shift: f64) -> f64 {
        self.cumulative[self.walsh.len() - self.walsh.partition_point(|average| *average + self.tie < shift)]
    }

    /// Two-sided p-value of "the shift is `shift`": twice the smaller one-sided one.
    #[must_use]
    pub fn p_equal(&self, shift: f64) -> f64 {
        (2.0 * self.p_above(shift).min(self.p_below(shift))).min(1.0)
    }

    /// The shifts that neither one-sided test rejects at `level`: an interval of confidence `1 - 2 * level`. None if there
    /// are too few blocks for that level, so that no shift at all could be rejected.
    #[must_use]
    pub fn interval(&self, level: f64) -> Option<Interval> {
        let k = rejected_at(&self.cumulative, level).checked_sub(1)?;
        let mirrored = self.walsh.len().checked_sub(k + 1)?;
        Some(Interval { low: self.walsh[k] - self.tie, high: self.walsh[mirrored] + self.tie })
    }
}

/// Makes signed ranks of many comparisons. The distribution depends on the number of blocks only, and takes longer to compute
/// than all the rest.
#[derive(Debug, Default)]
pub(crate) struct Ranker {
    cumulative: HashMap<usize, Arc<[f64]>>,
}

impl Ranker {
    pub(crate) fn rank(&mut self, differences: &[f64]) -> SignedRanks {
        let n = differences.len();
        let cumulative = self.cumulative.entry(n).or_insert_with(|| cumulative(n).into());
        SignedRanks::under(differences, Arc::clone(cumulative))
    }
}

/// The largest one-sided level, at most `level`, that a test on `blocks` blocks can really have: p-values come in steps.
/// Zero if there is none.
#[must_use]
pub fn attainable_level(blocks: usize, level: f64) -> f64 {
    let cumulative = cumulative(blocks);
    rejected_at(&cumulative, level).checked_sub(1).map_or(0.0, |last| cumulative[last])
}

/// How many values of a statistic have a p-value of at most `level`, given its distribution function.
pub(crate) fn rejected_at(cumulative: &[f64], level: f64) -> usize {
    // The tolerance keeps levels such as 0.15 / 3 from losing a step to the last bit of a division.
    cumulative.partition_point(|p| *p <= level * (1.0 + 1e-12))
}

/// The distribution function of the sum of those of the ranks 1 to `n` that fair coins choose.
fn cumulative(n: usize) -> Vec<f64> {
    let mut probability = vec![0.0; n * (n + 1) / 2 + 1];
    probability[0] = 1.0;
    let mut reached = 0;
    for rank in 1..=n {
        reached += rank;
        for sum in (0..=reached).rev() {
            let without = probability[sum];
            let with = if sum >= rank { probability[sum - rank] } else { 0.0 };
            probability[sum] = without / 2.0 + with / 2.0;
        }
    }
    let mut total = 0.0;
    for value in &mut probability {
        total += *value;
        // Rounding must not make the whole more or less than one.
        *value = if total > 1.0 - 1e-12 { 1.0 } else { total };
    }
    probability
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The p-value from its definition: flip every combination of signs and compare sums of ranks.
    fn p_above_by_definition(differences: &[f64], shift: f64) -> f64 {
        let shifted: Vec<f64> = differences.iter().map(|d| d - shift).collect();
        let rank = |d: &f64| shifted.iter().filter(|other| other.abs() <= d.abs()).count();
        let ranks: Vec<usize> = shifted.iter().map(rank).collect();
        let observed: usize =
            shifted.iter().zip(&ranks).filter(|(d, _)| **d > 0.0).map(|(_, rank)| rank).sum();
        let flips = 1_u32 << shifted.len();
        let as_large = (0..flips).filter(|flip| {
            let sum: usize =
                ranks.iter().enumerate().filter(|(b, _)| flip >> b & 1 == 1).map(|(_, rank)| rank).sum();
            sum >= observed
        });
        f64::from(u32::try_from(as_large.count()).unwrap()) / f64::from(flips)
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
    fn critical_values_are_those_of_the_tables() {
        // One-sided 5 %: n = 5: 0, 6: 2, 10: 10, 12: 17, 20: 60, 50: 466.
        for (n, largest) in [(5, 0), (6, 2), (10, 10), (12, 17), (20, 60), (50, 466)] {
            assert_eq!(rejected_at(&cumulative(n), 0.05), largest + 1, "n = {n}");
        }
        assert!((attainable_level(6, 0.05) - 3.0 / 64.0).abs() < 1e-15);
        assert_eq!(attainable_level(4, 0.05), 0.0);
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
    fn hundreds_of_blocks_are_no_approximation_either() {
        let cumulative = cumulative(400);
        // By symmetry, with mean n(n+1)/4.
        assert!((cumulative[40_100 - 1] - 0.5).abs() < 1e-4);
        assert_eq!(cumulative.last(), Some(&1.0));
    }
}
