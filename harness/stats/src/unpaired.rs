//! Two sets of boots that share no block: how far one lies from the other.
//!
//! The estimate is the median of all differences between a value of the second set and one of the first (Hodges and Lehmann
//! 1963, Ann. Math. Statist. 34:598); the interval inverts the rank-sum test (Wilcoxon 1945; Mann and Whitney 1947, Ann.
//! Math. Statist. 18:50; the inversion: Lehmann 1975, "Nonparametrics", section 2.3), whose distribution is computed and not approximated:
//! with U the number of differences at most `s`, a shift `s` is not rejected at level `a` as long as `P(U <= u)` exceeds `a` on both sides.
//!
//! That holds where chance alone decided which boot is in which set. Boots of two runs were made at different times, on a host
//! that may have been busier, warmer or newer: then the interval tells how much boots *within* each time stray, and nothing about
//! what the times themselves did. It must not become a verdict unless something else is known about the times.

use std::{collections::HashMap, sync::Arc};

use crate::{Effect, Interval, Scale, StatsError, signed_rank::rejected_at, summary::all_finite};

/// Differences closer than this, relative to the largest, are ties; as in [`crate::SignedRanks`], ties widen the interval.
const TIE: f64 = 1e-12;

/// Estimates shifts between sets; remembers distributions, which depend on the sets' sizes only.
#[derive(Debug, Default)]
pub struct UnpairedShifts {
    cumulative: HashMap<(usize, usize), Arc<[f64]>>,
}

impl UnpairedShifts {
    /// The shift from `first` to `second` with its interval of confidence `1 - 2 * level`: relative (differences of logarithms)
    /// where all values are positive, absolute otherwise. None if a set is empty; no interval if the sets are too small for the level.
    ///
    /// # Errors
    /// A value that is not finite.
    pub fn effect(
        &mut self,
        first: &[f64],
        second: &[f64],
        level: f64,
    ) -> Result<Option<Effect>, StatsError> {
        all_finite(first)?;
        all_finite(second)?;
        if first.is_empty() || second.is_empty() {
            return Ok(None);
        }
        let positive = first.iter().chain(second).all(|value| *value > 0.0);
        let scale = if positive { Scale::Relative } else { Scale::Absolute };
        let on_scale = |value: &f64| if positive { value.ln() } else { *value };
        let (first, second): (Vec<f64>, Vec<f64>) =
            (first.iter().map(on_scale).collect(), second.iter().map(on_scale).collect());
        let mut differences: Vec<f64> =
            first.iter().flat_map(|before| second.iter().map(move |after| after - before)).collect();
        differences.sort_unstable_by(f64::total_cmp);
        let last = differences.len() - 1;
        let tie = TIE * differences[0].abs().max(differences[last].abs());
        let estimate = differences[last / 2] / 2.0 + differences[last.div_ceil(2)] / 2.0;
        let interval = rejected_at(self.cumulative(first.len(), second.len()), level)
            .checked_sub(1)
            .filter(|k| 2 * k <= last)
            .map(|k| Interval {
                low: scale.shown(differences[k] - tie),
                high: scale.shown(differences[last - k] + tie),
            });
        Ok(Some(Effect { scale, estimate: scale.shown(estimate), interval, confidence: 1.0 - 2.0 * level }))
    }

    fn cumulative(&mut self, first: usize, second: usize) -> &[f64] {
        self.cumulative.entry((first, second)).or_insert_with(|| cumulative(first, second).into())
    }
}

/// The distribution function of the rank-sum statistic U, which is 0 to `n * m`. The largest of all values belongs to the first
/// set with probability `i / (i + j)` and then has all `j` of the second below it; else it adds nothing.
fn cumulative(n: usize, m: usize) -> Vec<f64> {
    // Row i holds the distribution for i values of the first set and each j of the second.
    let mut row: Vec<Vec<f64>> = vec![vec![1.0]; m + 1];
    for i in 1..=n {
        let mut next: Vec<Vec<f64>> = vec![vec![1.0]];
        for j in 1..=m {
            #[expect(clippy::cast_precision_loss, reason = "numbers of boots")]
            let of_first = i as f64 / (i + j) as f64;
            let mut distribution = vec![0.0; i * j + 1];
            for (u, p) in row[j].iter().enumerate() {
                distribution[u + j] += of_first * p;
            }
            for (u, p) in next[j - 1].iter().enumerate() {
                distribution[u] += (1.0 - of_first) * p;
            }
            next.push(distribution);
        }
        row = next;
    }
    let mut total = 0.0;
    let mut last = row.pop().unwrap_or_default();
    for value in &mut last {
        total += *value;
        // Rounding must not make the whole more or less than one.
        *value = if total > 1.0 - 1e-12 { 1.0 } else { total };
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn critical_values_are_those_of_the_tables() {
        // Two-sided 5 %, the largest U that rejects: (5, 5): 2, (8, 8): 13, (10, 7): 14, (20, 20): 127.
        for ((n, m), largest) in [((5, 5), 2), ((8, 8), 13), ((10, 7), 14), ((7, 10), 14), ((20, 20), 127)] {
            assert_eq!(rejected_at(&cumulative(n, m), 0.025), largest + 1, "{n} and {m}");
        }
        // Three of each: 20 ways, the most extreme one has 1 / 20.
        assert!((cumulative(3, 3)[0] - 0.05).abs() < 1e-15);
        assert_eq!(cumulative(100, 90).last(), Some(&1.0));
    }

    #[test]
    fn the_distribution_is_that_of_its_definition() {
        // All ways to choose which 3 of 7 ranks are the first set's.
        let mut counts = [0_u32; 13];
        for chosen in (0_u32..1 << 7).filter(|chosen| chosen.count_ones() == 3) {
            let below = |rank: u32| (0..rank).filter(|other| chosen >> other & 1 == 0).count();
            counts[(0..7).filter(|rank| chosen >> rank & 1 == 1).map(below).sum::<usize>()] += 1;
        }
        let mut total = 0;
        for (count, p) in counts.iter().zip(cumulative(3, 4)) {
            total += count;
            assert!((f64::from(total) / 35.0 - p).abs() < 1e-14);
        }
    }

    #[test]
    fn a_shift_is_found_and_turned_around_by_swapping_the_sets() {
        let first = [100.0, 101.0, 99.0, 100.5, 99.5, 100.2];
        let second = first.map(|value| value * 1.1);
        let effect = UnpairedShifts::default().effect(&first, &second, 0.025).unwrap().unwrap();
        let interval = effect.interval.unwrap();
        assert!((effect.estimate - 0.1).abs() < 1e-12 && interval.low > 0.08 && interval.high < 0.12);
        let back = UnpairedShifts::default().effect(&second, &first, 0.025).unwrap().unwrap();
        assert!((back.estimate.ln_1p() + effect.estimate.ln_1p()).abs() < 1e-12);
        assert!((back.interval.unwrap().low.ln_1p() + interval.high.ln_1p()).abs() < 1e-9);
    }

    #[test]
    fn zeros_make_the_shift_absolute_and_too_few_boots_give_no_interval() {
        let mut shifts = UnpairedShifts::default();
        let effect = shifts.effect(&[0.0, 1.0, 0.0, 2.0], &[3.0, 3.0, 4.0, 3.0], 0.025).unwrap().unwrap();
        assert_eq!((effect.scale, effect.estimate), (Scale::Absolute, 3.0));
        // 3 and 3 have 20 ways: not one of them is rare enough.
        let effect = shifts.effect(&[1.0, 1.1, 1.2], &[2.0, 2.1, 2.2], 0.025).unwrap().unwrap();
        assert_eq!(effect.interval, None);
        assert_eq!(shifts.effect(&[], &[1.0], 0.025), Ok(None));
        let error = shifts.effect(&[1.0], &[f64::NAN], 0.025).unwrap_err();
        assert!(matches!(error, StatsError::NotFiniteAt { position: 0, .. }));
    }

    #[test]
    fn equal_values_give_a_shift_of_nothing() {
        let effect = UnpairedShifts::default().effect(&[5.0; 6], &[5.0; 7], 0.025).unwrap().unwrap();
        assert_eq!((effect.estimate, effect.interval), (0.0, Some(Interval { low: 0.0, high: 0.0 })));
    }
}
