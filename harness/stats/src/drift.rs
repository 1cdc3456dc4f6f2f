//! Whether a level drifts over the order of time, and by how much.
//!
//! Mann's test (1945, Econometrica 13:245) counts pairs of values of which the later is the larger; under "no drift" every order is as likely as any other, and the
//! distribution of the count (Kendall's) is computed and not approximated. The slope is the median of the slopes of all pairs, and its interval inverts the
//! test (Theil 1950; Sen 1968, JASA 63:1379). Randomised blocks take a drift out of what is compared within them; this says that there was one.

use crate::{Interval, StatsError, signed_rank::rejected_at, summary::all_finite};

/// A drift.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drifting {
    /// Change of the value from one position to the next.
    pub slope: f64,
    /// Of confidence `1 - 2 * level`; none with too few values for it.
    pub interval: Option<Interval>,
    /// Two-sided, of "no drift". Values that are equal count against it.
    pub p: f64,
}

/// The drift of values in the order of time; none with fewer than two.
///
/// # Errors
/// A value that is not finite.
pub fn drift(values: &[f64], level: f64) -> Result<Option<Drifting>, StatsError> {
    all_finite(values)?;
    let mut slopes = Vec::with_capacity(values.len() * values.len().saturating_sub(1) / 2);
    for (i, early) in values.iter().enumerate() {
        slopes.extend(
            values[i + 1..].iter().zip(1_u32..).map(|(late, apart)| (late - early) / f64::from(apart)),
        );
    }
    let Some(last) = slopes.len().checked_sub(1) else { return Ok(None) };
    slopes.sort_unstable_by(f64::total_cmp);
    let cumulative = kendall(values.len());
    let not_rising = slopes.partition_point(|slope| *slope <= 0.0);
    let not_falling = slopes.len() - slopes.partition_point(|slope| *slope < 0.0);
    let p = (2.0 * cumulative[not_rising].min(cumulative[not_falling])).min(1.0);
    let interval = rejected_at(&cumulative, level)
        .checked_sub(1)
        .filter(|k| 2 * k <= last)
        .map(|k| Interval { low: slopes[k], high: slopes[last - k] });
    let slope = slopes[last / 2] / 2.0 + slopes[last.div_ceil(2)] / 2.0;
    Ok(Some(Drifting { slope, interval, p }))
}

/// The distribution function of the number of inversions of a random order of `n` values: the k-th value stands before any number of
/// the k - 1 smaller ones with equal probability.
fn kendall(n: usize) -> Vec<f64> {
    let mut probability = vec![1.0];
    for k in 2..=n {
        let mut next = vec![0.0; probability.len() + k - 1];
        #[expect(clippy::cast_precision_loss, reason = "a number of boots")]
        let each = 1.0 / k as f64;
        for (inversions, p) in probability.iter().enumerate() {
            next[inversions..inversions + k].iter_mut().for_each(|value| *value += p * each);
        }
        probability = next;
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
    use proptest::prelude::*;

    use super::*;
    use crate::draws::Draws;

    #[test]
    fn probabilities_are_those_of_kendalls_table() {
        // Kendall, "Rank Correlation Methods", appendix table 1: the probability that S is at least so much, S = pairs - 2 * inversions.
        for (n, s, p) in [(4, 6, 0.042), (4, 4, 0.167), (5, 8, 0.042), (8, 16, 0.031), (10, 21, 0.036)] {
            let inversions = (n * (n - 1) / 2 - s) / 2;
            assert!((kendall(n)[inversions] - p).abs() < 0.0006, "{n} {s}: {}", kendall(n)[inversions]);
        }
    }

    #[test]
    fn a_drift_is_found_with_its_slope() {
        let mut draws = Draws::new(5);
        let values: Vec<f64> = (0..30).map(|i| 0.5 * f64::from(i) + draws.normal()).collect();
        let found = drift(&values, 0.025).unwrap().unwrap();
        let interval = found.interval.unwrap();
        assert!(found.p < 1e-6 && interval.low < 0.5 && interval.high > 0.5, "{found:?}");
        assert!((found.slope - 0.5).abs() < 0.05, "{found:?}");
    }

    #[test]
    fn intervals_miss_no_drift_as_often_as_they_say() {
        let mut draws = Draws::new(6);
        let missed = (0..1000)
            .filter(|_| {
                let values: Vec<f64> = (0..12).map(|_| draws.normal()).collect();
                let interval = drift(&values, 0.05).unwrap().unwrap().interval.unwrap();
                interval.low > 0.0 || interval.high < 0.0
            })
            .count();
        assert!((60..=130).contains(&missed), "{missed} of 1000");
    }

    #[test]
    fn equal_values_and_too_few_do_not_drift() {
        let level = drift(&[3.0; 8], 0.025).unwrap().unwrap();
        assert_eq!((level.slope, level.p), (0.0, 1.0));
        assert_eq!(drift(&[1.0], 0.025), Ok(None));
        assert_eq!(drift(&[1.0, 2.0], 0.025).unwrap().unwrap().interval, None);
        assert!(drift(&[1.0, f64::NAN], 0.025).is_err());
    }

    proptest! {
        #[test]
        fn turns_around_with_the_sign_and_with_time(
            values in proptest::collection::vec(-10.0..10.0_f64, 2..20), scale in 0.5..4.0_f64,
        ) {
            let found = drift(&values, 0.05).unwrap().unwrap();
            let negated: Vec<f64> = values.iter().map(|v| 3.0 - scale * v).collect();
            let reversed: Vec<f64> = values.iter().rev().copied().collect();
            let (a, b) = (drift(&negated, 0.05).unwrap().unwrap(), drift(&reversed, 0.05).unwrap().unwrap());
            prop_assert!((a.slope + scale * found.slope).abs() < 1e-9 && (a.p - found.p).abs() < 1e-12);
            prop_assert!((b.slope + found.slope).abs() < 1e-9 && (b.p - found.p).abs() < 1e-12);
        }
    }
}
