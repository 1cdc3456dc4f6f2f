//! How well a set of boots knows its own median.

use crate::{Interval, StatsError, signed_rank::rejected_at, summary::all_finite};

/// An interval that covers the median with probability at least `1 - 2 * level`, from the k-th smallest value to the k-th largest:
/// whatever the distribution, each boot is above the median as a coin falls (Thompson 1936, Ann. Math. Statist. 7:122). Where it
/// is not symmetric, as boots that a busy host slowed down make it, that still holds. None with too few values for the level: six for
/// 95 %.
///
/// # Errors
/// A value that is not finite.
pub fn median_interval(values: &[f64], level: f64) -> Result<Option<Interval>, StatsError> {
    all_finite(values)?;
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let k = rejected_at(&coins(values.len()), level);
    Ok(k.checked_sub(1).map(|k| Interval { low: sorted[k], high: sorted[sorted.len() - 1 - k] }))
}

/// The distribution function of the number of heads of `n` fair coins, up to the middle.
fn coins(n: usize) -> Vec<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a number of boots")]
    let ratio = |k: usize| (n - k) as f64 / (k + 1) as f64;
    // Weights relative to the middle one: powers of one half would vanish for more than a thousand coins.
    let middle = n / 2;
    let mut weights = vec![1.0; n + 1];
    for k in (0..middle).rev() {
        weights[k] = weights[k + 1] / ratio(k);
    }
    for k in middle + 1..=n {
        weights[k] = weights[k - 1] * ratio(k - 1);
    }
    let whole: f64 = weights.iter().sum();
    let mut total = 0.0;
    weights.truncate(middle);
    weights
        .iter()
        .map(|weight| {
            total += weight / whole;
            total
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_the_order_statistics_of_the_tables() {
        // k of a 95 % interval (Conover, "Practical Nonparametric Statistics", table A3).
        for (n, k) in [(6, 1), (8, 1), (9, 2), (10, 2), (12, 3), (15, 4), (20, 6), (25, 8), (100, 40)] {
            let values: Vec<f64> = (1..=n).map(f64::from).collect();
            let expected = Interval { low: f64::from(k), high: f64::from(n + 1 - k) };
            assert_eq!(median_interval(&values, 0.025), Ok(Some(expected)), "{n}");
        }
    }

    #[test]
    fn too_few_values_give_no_interval() {
        for n in 0..6 {
            let values: Vec<f64> = (0..n).map(f64::from).collect();
            assert_eq!(median_interval(&values, 0.025), Ok(None), "{n}");
        }
    }

    #[test]
    fn thousands_of_boots_are_no_difficulty() {
        let values: Vec<f64> = (0..5000).map(f64::from).collect();
        let interval = median_interval(&values, 0.025).unwrap().unwrap();
        // By the normal approximation 2500 - 1.96 * sqrt(5000) / 2.
        assert!(
            (interval.low - 2430.0).abs() <= 2.0 && (interval.high - 2569.0).abs() <= 2.0,
            "{interval:?}"
        );
    }

    #[test]
    fn refuses_values_that_are_not_finite() {
        assert!(median_interval(&[1.0, f64::NAN], 0.025).is_err());
    }
}
