//! Quantiles, and how well they are known.

use crate::{Interval, StatsError, summary::all_finite};

/// A quantile of a set of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    /// The estimate that is median-unbiased whatever the distribution is, about: position `(n + 1/3) q + 1/3` between order
    /// statistics (type 8 of Hyndman and Fan 1996, Am. Stat. 50:361).
    pub estimate: f64,
    /// Order statistics that enclose the quantile with at least the confidence asked for; none with too few values.
    pub interval: Option<Interval>,
}

/// The `q`-quantile, `0 < q < 1`, with an interval that misses it on either side with probability at most `level` whatever the distribution is:
/// the number of values below the quantile is binomial (Thompson 1936, Ann. Math. Statist. 7:122; David and Nagaraja 2003, "Order Statistics",
/// section 7.1). None without values.
///
/// # Errors
/// A value that is not finite.
pub fn quantile(values: &[f64], q: f64, level: f64) -> Result<Option<Quantile>, StatsError> {
    all_finite(values)?;
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return Ok(None) };
    let position = ((float(sorted.len()) + 1.0 / 3.0) * q + 1.0 / 3.0 - 1.0).clamp(0.0, float(last));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the last")]
    let below = position.floor() as usize;
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    let part = position - float(below);
    let estimate = low * (1.0 - part) + high * part;
    let cumulative = binomial(sorted.len(), q);
    // The k-th smallest lies above the quantile if at most k - 1 values are below it.
    let low = cumulative.partition_point(|p| *p <= level * (1.0 + 1e-12)).checked_sub(1);
    let high = cumulative.iter().position(|p| 1.0 - p <= level * (1.0 + 1e-12)).filter(|k| *k <= last);
    let interval = low.zip(high).map(|(low, high)| Interval { low: sorted[low], high: sorted[high] });
    Ok(Some(Quantile { estimate, interval }))
}

/// The distribution function of the number of values below the quantile.
fn binomial(n: usize, q: f64) -> Vec<f64> {
    let ln_odds = (q / (1.0 - q)).ln();
    let mut ln = float(n) * (1.0 - q).ln();
    let mut total = 0.0;
    (0..=n)
        .map(|k| {
            total += f64::exp(ln);
            ln += (float(n - k) / float(k + 1)).ln() + ln_odds;
            total.min(1.0)
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "a number of values")]
fn float(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{draws::Draws, median_interval};

    #[test]
    fn of_the_median_it_is_the_median_interval() {
        for n in 1..60_i32 {
            let values: Vec<f64> = (0..n).map(|i| f64::from(i * i)).collect();
            let found = quantile(&values, 0.5, 0.025).unwrap().unwrap();
            assert_eq!(found.interval, median_interval(&values, 0.025).unwrap(), "{n}");
        }
    }

    #[test]
    fn positions_are_those_of_r() {
        // quantile(1:10, c(0.1, 0.25, 0.5, 0.9, 0.99), type = 8) of R 4.3.
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        for (q, expected) in
            [(0.1, 1.366_666_667), (0.25, 2.916_666_667), (0.5, 5.5), (0.9, 9.633_333_333), (0.99, 10.0)]
        {
            let found = quantile(&values, q, 0.025).unwrap().unwrap().estimate;
            assert!((found - expected).abs() < 1e-8, "{q}: {found}");
        }
    }

    #[test]
    fn ends_are_those_of_the_binomial_tables() {
        // n = 20, q = 0.9: P(B <= 14) = 0.0113, P(B <= 15) = 0.0432; P(B <= 19) = 0.8784. So no upper end at 95 %.
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(quantile(&values, 0.9, 0.025).unwrap().unwrap().interval, None);
        // n = 100, q = 0.9: the 84th and the 96th value.
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        let interval = quantile(&values, 0.9, 0.025).unwrap().unwrap().interval.unwrap();
        assert!((interval.low - 84.0).abs() <= 1.0 && (interval.high - 96.0).abs() <= 1.0, "{interval:?}");
    }

    #[test]
    fn intervals_cover_as_often_as_they_say() {
        let mut draws = Draws::new(8);
        let missed = (0..2000)
            .filter(|_| {
                let values: Vec<f64> = (0..60).map(|_| draws.uniform()).collect();
                let interval = quantile(&values, 0.8, 0.025).unwrap().unwrap().interval.unwrap();
                !(interval.low..=interval.high).contains(&0.8)
            })
            .count();
        assert!(missed <= 120, "{missed} of 2000");
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(quantile(&[], 0.5, 0.025), Ok(None));
        assert_eq!(quantile(&[3.0], 0.9, 0.025).unwrap(), Some(Quantile { estimate: 3.0, interval: None }));
        assert!(quantile(&[f64::INFINITY], 0.5, 0.025).is_err());
    }

    proptest! {
        #[test]
        fn scales_with_the_values_and_turns_around_with_their_sign(
            values in proptest::collection::vec(-10.0..10.0_f64, 1..40), q in 0.05..0.95_f64, scale in 0.1..10.0_f64,
        ) {
            let found = quantile(&values, q, 0.05).unwrap().unwrap();
            let turned: Vec<f64> = values.iter().map(|v| -scale * v).collect();
            let back = quantile(&turned, 1.0 - q, 0.05).unwrap().unwrap();
            prop_assert!((found.estimate * -scale - back.estimate).abs() < 1e-9);
            if let Some(interval) = found.interval {
                prop_assert!(interval.low <= interval.high);
            }
        }
    }
}
