//! The sign-flip test within blocks, and the confidence interval that inverts it.
//!
//! Under a shift `s`, every `d_b - s` is as likely as its negative. With the mean as the statistic, flipping the signs of
//! the blocks in a subset F gives a mean at least as large as the observed one exactly when the mean of F itself is at
//! most `s`. So the one-sided p-value of "the shift is at most s" is
//!
//! ```text
//! p(s) = (1 + number of non-empty subsets whose mean is at most s) / 2^n
//! ```
//!
//! which grows in steps with `s`, and the shifts that the test does not reject at level `a` are those from the k-th smallest
//! subset mean on, with `k = floor(a * 2^n)`. The interval from the k-th smallest to the k-th largest subset mean covers
//! the shift with probability at least `1 - 2a`, whatever the noise, as long as it is symmetric within blocks (which the
//! randomised order makes it). Subset means are "typical values" in the words of Hartigan (1969), "Using subsample values
//! as typical values", JASA 64:1303; the test is Fisher's (1935, "The design of experiments", section 21) and Pitman's
//! (1937, JRSS Supplement 4:119); its inversion is treated by Tritchler (1984), "On inverting permutation tests", JASA 79:200.
//!
//! Up to 16 blocks all subsets are enumerated. Beyond, 65,535 of them are drawn uniformly, once for a data set and without
//! a look at it. The identity (the empty subset) is counted in addition, which keeps each p-value valid for any number of
//! draws: Phipson and Smyth (2010), "Permutation p-values should never be zero", Stat. Appl. Genet. Mol. Biol. 9:39. The
//! same draws serve for every shift, so p-values stay monotone in the shift and the interval needs no search.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use serde::{Deserialize, Serialize};

/// Up to so many blocks every sign flip is enumerated.
pub(crate) const MAX_EXACT: u32 = 16;

/// So many sign flips are drawn beyond; with the identity, as many as there are for [`MAX_EXACT`] blocks.
pub(crate) const MONTE_CARLO_FLIPS: u32 = (1 << MAX_EXACT) - 1;

/// A closed interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The sign flips of one comparison: answers for every shift and level.
#[derive(Clone, Debug)]
pub struct SignFlips {
    /// The mean of each subset other than the identity's. Drawn subsets that are empty are counted in `empty`.
    means: Vec<f64>,
    /// How many subsets are empty, the identity's included.
    empty: usize,
    /// Means closer than this are ties, and ties count against the claim: rounding must not make evidence.
    tie: f64,
}

impl SignFlips {
    /// The sign flips of these differences, which must be finite. `seed` matters beyond 16 blocks only.
    #[must_use]
    pub fn new(differences: &[f64], seed: u64) -> Self {
        let exact = u32::try_from(differences.len()).is_ok_and(|n| n <= MAX_EXACT);
        let means = if exact { all_means(differences) } else { drawn_means(differences, seed) };
        let flips = if exact { (1_usize << differences.len()) - 1 } else { MONTE_CARLO_FLIPS as usize };
        let largest = differences.iter().fold(0.0_f64, |largest, d| largest.max(d.abs()));
        Self { empty: flips - means.len() + 1, means, tie: largest * 1e-12 }
    }

    /// One-sided p-value of "the shift is at most `shift`"; a small one says that the shift is larger.
    #[must_use]
    pub fn p_above(&self, shift: f64) -> f64 {
        self.p(self.means.iter().filter(|mean| **mean - self.tie <= shift).count())
    }

    /// One-sided p-value of "the shift is at least `shift`"; a small one says that the shift is smaller.
    #[must_use]
    pub fn p_below(&self, shift: f64) -> f64 {
        self.p(self.means.iter().filter(|mean| **mean + self.tie >= shift).count())
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
        // Counted from 1: the k-th smallest mean is the first shift with p > level.
        let k = self.rejected_at(level).checked_sub(self.empty - 1)?.checked_sub(1)?;
        if k >= self.means.len() {
            return None;
        }
        let mut means = self.means.clone();
        let last = means.len() - 1;
        let low = *means.select_nth_unstable_by(k, f64::total_cmp).1 - self.tie;
        let high = *means.select_nth_unstable_by(last - k, f64::total_cmp).1 + self.tie;
        Some(Interval { low, high })
    }

    /// How many of all flips a p-value may count and still be at most `level`.
    fn rejected_at(&self, level: f64) -> usize {
        #[expect(clippy::cast_precision_loss, reason = "at most 2^16 flips")]
        let flips = (self.means.len() + self.empty) as f64;
        // The tolerance keeps levels such as 0.15 / 3 from losing a step to the last bit of a division.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 2^16: levels are probabilities"
        )]
        let count = (level.clamp(0.0, 1.0) * flips * (1.0 + 1e-12)) as usize;
        count
    }

    #[expect(clippy::cast_precision_loss, reason = "at most 2^16 flips")]
    fn p(&self, counted: usize) -> f64 {
        (self.empty + counted) as f64 / (self.means.len() + self.empty) as f64
    }
}

/// The means of all non-empty subsets.
fn all_means(differences: &[f64]) -> Vec<f64> {
    let subsets = 1_usize << differences.len();
    // Each sum is that of a smaller subset and one more difference, so that rounding does not accumulate.
    let mut sums = vec![0.0; subsets];
    for subset in 1..subsets {
        sums[subset] = sums[subset & (subset - 1)] + differences[subset.trailing_zeros() as usize];
    }
    sums.iter().enumerate().skip(1).map(|(subset, sum)| sum / f64::from(subset.count_ones())).collect()
}

/// The means of the non-empty ones among randomly drawn subsets.
fn drawn_means(differences: &[f64], seed: u64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut means = Vec::with_capacity(MONTE_CARLO_FLIPS as usize);
    for _ in 0..MONTE_CARLO_FLIPS {
        let (mut sum, mut size) = (0.0, 0_u32);
        for chunk in differences.chunks(64) {
            let flipped = random.next_u64();
            for (bit, difference) in chunk.iter().enumerate() {
                // A product instead of a branch that no processor could predict.
                let chosen = u8::from(flipped >> bit & 1 == 1);
                sum += difference * f64::from(chosen);
                size += u32::from(chosen);
            }
        }
        if size > 0 {
            means.push(sum / f64::from(size));
        }
    }
    means
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The p-value from its definition: flip every combination of signs and compare means.
    fn p_above_by_definition(differences: &[f64], shift: f64) -> f64 {
        let shifted: Vec<f64> = differences.iter().map(|d| d - shift).collect();
        let observed: f64 = shifted.iter().sum();
        let flips = 1_u32 << shifted.len();
        let as_large = (0..flips).filter(|flip| {
            let sum: f64 =
                shifted.iter().enumerate().map(|(b, d)| if flip >> b & 1 == 1 { -d } else { *d }).sum();
            sum >= observed - 1e-12
        });
        f64::from(u32::try_from(as_large.count()).unwrap()) / f64::from(flips)
    }

    const DIFFERENCES: [f64; 7] = [0.031, -0.012, 0.044, 0.018, 0.002, 0.027, -0.005];

    #[test]
    fn subset_means_give_the_p_value_of_the_definition() {
        let flips = SignFlips::new(&DIFFERENCES, 0);
        for shift in [-0.1, -0.012, -0.003, 0.0, 0.01, 0.015, 0.031, 0.1] {
            assert_eq!(flips.p_above(shift), p_above_by_definition(&DIFFERENCES, shift), "shift {shift}");
            let negated = DIFFERENCES.map(|d| -d);
            assert_eq!(flips.p_below(shift), p_above_by_definition(&negated, -shift), "shift {shift}");
        }
    }

    #[test]
    fn the_interval_ends_where_the_test_stops_rejecting() {
        let flips = SignFlips::new(&DIFFERENCES, 0);
        for level in [1.0 / 128.0, 0.02, 0.05, 0.1, 0.25] {
            let Interval { low, high } = flips.interval(level).unwrap();
            assert!(flips.p_above(low) > level && flips.p_above(low - 1e-9) <= level, "level {level}");
            assert!(flips.p_below(high) > level && flips.p_below(high + 1e-9) <= level, "level {level}");
        }
    }

    #[test]
    fn the_smallest_level_gives_the_range_of_the_data() {
        let interval = SignFlips::new(&DIFFERENCES, 0).interval(1.0 / 128.0).unwrap();
        assert!((interval.low - -0.012).abs() < 1e-9 && (interval.high - 0.044).abs() < 1e-9);
    }

    #[test]
    fn a_level_below_the_smallest_p_gives_no_interval() {
        assert_eq!(SignFlips::new(&DIFFERENCES, 0).interval(0.99 / 128.0), None);
        assert_eq!(SignFlips::new(&[0.1], 0).interval(0.05), None);
        assert_eq!(SignFlips::new(&[], 0).interval(0.4), None);
        assert_eq!(SignFlips::new(&[], 0).p_equal(0.0), 1.0);
    }

    #[test]
    fn constant_differences_are_certain_of_what_they_say_and_no_more() {
        let flips = SignFlips::new(&[0.0; 6], 0);
        assert_eq!(flips.p_equal(0.0), 1.0);
        assert_eq!(flips.p_below(0.01), 1.0 / 64.0);
        assert_eq!(flips.interval(0.05), Some(Interval { low: 0.0, high: 0.0 }));
        // 0.1 + 0.2 is not 0.3 in binary: without the tolerance this tie would count as evidence.
        let flips = SignFlips::new(&[0.1, 0.2, -0.3], 0);
        assert_eq!(flips.p_above(0.0), p_above_by_definition(&[0.1, 0.2, -0.3], 0.0));
    }

    #[test]
    fn a_hundred_blocks_are_drawn_and_agree_with_theory() {
        // Differences of +1 and -1: the number of flips is binomial, and its tail is known.
        let differences: Vec<f64> = (0..100).map(|b| if b < 58 { 1.0 } else { -1.0 }).collect();
        let p = SignFlips::new(&differences, 7).p_above(0.0);
        // P(Binomial(100, 1/2) >= 58) = 0.0666; three standard errors of 65,535 draws are 0.003.
        assert!((p - 0.0666).abs() < 0.003, "{p}");
        assert_eq!(p, SignFlips::new(&differences, 7).p_above(0.0), "the seed decides the draws");
        assert_ne!(p, SignFlips::new(&differences, 8).p_above(0.0));
    }

    #[test]
    fn enumerated_and_drawn_intervals_agree() {
        let differences: Vec<f64> = (0..17).map(|b| f64::from(b * b % 17) / 100.0).collect();
        let drawn = SignFlips::new(&differences, 1).interval(0.05).unwrap();
        let all = all_means(&differences);
        let exact = SignFlips { means: all, empty: 1, tie: 0.0 }.interval(0.05).unwrap();
        assert!((drawn.low - exact.low).abs() < 0.001 && (drawn.high - exact.high).abs() < 0.001);
    }
}
