//! What a test tells about "good or bad", in nats, before it is made.

use std::sync::LazyLock;

/// Separations between neighbours of the table, in standard deviations, and how far it goes.
const STEP: f64 = 0.125;
const FARTHEST: f64 = 10.0;
/// Probabilities of the table: 0 to 1/2 in steps of a 64th.
const PARTS: usize = 32;
/// Points of the quadrature, in standard deviations.
const FINE: f64 = 0.2;

/// The entropy of a coin in nats.
pub(crate) fn entropy(p: f64) -> f64 {
    let term = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
    term(p) + term(1.0 - p)
}

/// The mutual information between "bad", of probability `p`, and a normal value whose mean is `separation` standard deviations higher if
/// bad: the channel with binary input and Gaussian noise (Cover and Thomas 2006, Elements of Information Theory, chapter 9). By interpolation in a table; within
/// 0.01 nats.
pub(crate) fn normal(p: f64, separation: f64) -> f64 {
    let p = p.min(1.0 - p);
    let separation = separation.abs();
    if p <= 0.0 || separation <= 0.0 {
        return 0.0;
    }
    if separation >= FARTHEST {
        return entropy(p);
    }
    // The share of the entropy that is learnt is smooth in p down to zero, where the information itself is not.
    let (row, of_row) = split(separation / STEP);
    let (column, of_column) = split(p * 2.0 * float(PARTS));
    let at = |row: usize, column: usize| TABLE[row.min(TABLE.len() - 1)][column.min(PARTS)];
    let along = |row| at(row, column) * (1.0 - of_column) + at(row, column + 1) * of_column;
    entropy(p) * (along(row) * (1.0 - of_row) + along(row + 1) * of_row)
}

/// The same for `boots` boots of which each fails with one probability if good and with another if bad.
pub(crate) fn binomial(p: f64, boots: u32, good: f64, bad: f64) -> f64 {
    let mut left = 0.0;
    let mut ways = 1.0;
    for failed in 0..=boots {
        let chance =
            |rate: f64| ways * rate.powf(f64::from(failed)) * (1.0 - rate).powf(f64::from(boots - failed));
        let (if_bad, if_good) = (p * chance(bad), (1.0 - p) * chance(good));
        let either = if_bad + if_good;
        if either > 0.0 {
            left += either * entropy(if_bad / either);
        }
        ways *= f64::from(boots - failed) / f64::from(failed + 1);
    }
    (entropy(p) - left).max(0.0)
}

/// By separation and probability: which share of the entropy is learnt.
static TABLE: LazyLock<Vec<Vec<f64>>> = LazyLock::new(|| {
    let rows = whole(FARTHEST / STEP) + 1;
    let column = |separation: f64, column: usize| {
        // Of the limit at zero the neighbour will do.
        let p = if column == 0 { 1e-6 } else { float(column) / (2.0 * float(PARTS)) };
        1.0 - left(p, separation) / entropy(p)
    };
    (0..rows).map(|row| (0..=PARTS).map(|part| column(float(row) * STEP, part)).collect()).collect()
});

/// The entropy that is left on average, by the trapezoidal rule.
fn left(p: f64, separation: f64) -> f64 {
    let points = whole((separation + 14.0) / FINE);
    (0..=points)
        .map(|point| {
            let y = float(point) * FINE - 7.0;
            let (good, bad) = ((1.0 - p) * density(y), p * density(y - separation));
            let either = good + bad;
            if either > 0.0 { FINE * either * entropy(bad / either) } else { 0.0 }
        })
        .sum()
}

fn density(y: f64) -> f64 {
    (-0.5 * y * y).exp() / std::f64::consts::TAU.sqrt()
}

fn split(position: f64) -> (usize, f64) {
    (whole(position), position.fract())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and not negative")]
fn whole(position: f64) -> usize {
    position as usize
}

#[expect(clippy::cast_precision_loss, reason = "places in a small table")]
fn float(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn information_goes_from_nothing_to_the_whole_entropy() {
        assert_eq!(normal(0.5, 0.0), 0.0);
        assert_eq!(normal(0.0, 3.0), 0.0);
        assert_eq!(normal(0.3, 12.0), entropy(0.3));
        assert!((normal(0.5, 6.0) - entropy(0.5)).abs() < 0.01);
        // Small separations: p (1 - p) s^2 / 2.
        assert!((normal(0.5, 0.25) - 0.125 * 0.0625).abs() < 1e-4, "{}", normal(0.5, 0.25));
        assert!((normal(0.2, 1.5) - normal(0.8, 1.5)).abs() < 1e-12);
    }

    #[test]
    fn interpolation_is_close_to_the_quadrature() {
        for p in [0.01, 0.07, 0.23, 0.41, 0.5] {
            for separation in [0.3, 0.9, 1.55, 2.71, 4.4] {
                let exact = entropy(p) - left(p, separation);
                assert!((normal(p, separation) - exact).abs() < 0.01, "{p} {separation}");
            }
        }
    }

    #[test]
    fn boots_that_always_fail_if_bad_tell_all_at_once() {
        assert!((binomial(0.5, 1, 0.0, 1.0) - entropy(0.5)).abs() < 1e-12);
        assert!(binomial(0.5, 1, 0.01, 0.2) < binomial(0.5, 4, 0.01, 0.2));
        assert!(binomial(0.5, 4, 0.3, 0.3).abs() < 1e-12);
    }
}
