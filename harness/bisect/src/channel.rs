//! What a test tells about which hypothesis holds, in nats, before it is made.
//!
//! A test is a channel from hypotheses to outcomes. Each division of the tested nodes has its own idea of both sides, so each has its own predictions: two for every
//! test, for a node that is bad and for one that is not. What a test tells is the mutual information between hypothesis and outcome (Cover and Thomas 2006, Elements of
//! Information Theory, chapter 2; as the worth of an experiment: Lindley 1956). It is 0 for a node of which all hypotheses that are left predict the same, however
//! often that node is called bad.

use crate::Level;

/// Points of a grid in the narrowest prediction's standard deviation: sums over so many are integrals to nine places.
const FINE: f64 = 1.25;
/// Predictions reach so many standard deviations, and a grid has so many points at most.
const REACH: f64 = 5.0;
const MOST: f64 = 600.0;

/// How probable each outcome is under each prediction.
#[derive(Debug)]
pub(crate) struct Channel {
    rows: Vec<Row>,
    outcomes: usize,
}

#[derive(Debug)]
struct Row {
    /// Where it is not zero.
    from: usize,
    chances: Vec<f64>,
    entropy: f64,
}

impl Channel {
    /// Of means of boots: each prediction is a normal distribution.
    pub(crate) fn normal(predictions: &[Level]) -> Self {
        let narrowest = predictions.iter().map(|level| level.variance).fold(f64::INFINITY, f64::min).sqrt();
        let mut spans: Vec<(f64, f64)> = predictions
            .iter()
            .map(|level| {
                let reach = REACH * level.variance.sqrt();
                (level.mean - reach, level.mean + reach)
            })
            .collect();
        spans.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        // Far predictions need no points between them.
        let mut covered: Vec<(f64, f64)> = Vec::new();
        for (from, to) in spans {
            match covered.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => covered.push((from, to)),
            }
        }
        let all: f64 = covered.iter().map(|(from, to)| to - from).sum();
        let step = (narrowest / FINE).max(all / MOST);
        let points: Vec<f64> = covered
            .iter()
            .flat_map(|(from, to)| (0..=whole((to - from) / step)).map(move |n| from + step * float(n)))
            .collect();
        let rows = predictions.iter().map(|level| normal_row(&points, *level)).collect();
        Self { rows, outcomes: points.len() }
    }

    /// Of how many of `boots` boots fail: each prediction is a beta distribution of the rate with this mean and variance, and outcomes are beta-binomial.
    pub(crate) fn failures(boots: u32, predictions: &[Level]) -> Self {
        let rows = predictions.iter().map(|rate| Row::new(0, beta_binomial(boots, *rate))).collect();
        Self { rows, outcomes: boots as usize + 1 }
    }

    /// The mutual information, with predictions as probable as `weights` says: by prediction, and 1 together.
    pub(crate) fn tells(&self, weights: &[f64]) -> f64 {
        let mut outcomes = vec![0.0; self.outcomes];
        let mut noise = 0.0;
        for (row, weight) in self.rows.iter().zip(weights).filter(|(_, weight)| **weight > 0.0) {
            noise += weight * row.entropy;
            let reached = &mut outcomes[row.from..row.from + row.chances.len()];
            reached.iter_mut().zip(&row.chances).for_each(|(sum, chance)| *sum += weight * chance);
        }
        (entropy(&outcomes) - noise).max(0.0)
    }
}

impl Row {
    fn new(from: usize, mut chances: Vec<f64>) -> Self {
        let all: f64 = chances.iter().sum();
        chances.iter_mut().for_each(|chance| *chance /= all);
        Self { from, entropy: entropy(&chances), chances }
    }
}

/// The entropy of a distribution in nats.
pub(crate) fn entropy(of: &[f64]) -> f64 {
    of.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum()
}

fn normal_row(points: &[f64], level: Level) -> Row {
    let spread = level.variance.sqrt();
    let near = |point: f64| (point - level.mean).abs() <= (REACH + 1.0) * spread;
    let from = points.partition_point(|point| *point < level.mean && !near(*point));
    let chances: Vec<f64> = points[from..]
        .iter()
        .take_while(|point| near(**point))
        .map(|point| (-0.5 * ((point - level.mean) / spread).powi(2)).exp())
        .collect();
    if chances.iter().sum::<f64>() > 0.0 {
        return Row::new(from, chances);
    }
    // Between two points of a grid that is too wide for it.
    Row::new(from.min(points.len() - 1), vec![1.0])
}

/// How probable 0, 1, ... failures are (Johnson, Kemp and Kotz 2005, Univariate Discrete Distributions, 6.2.2).
fn beta_binomial(boots: u32, rate: Level) -> Vec<f64> {
    let known_by = (rate.mean * (1.0 - rate.mean) / rate.variance - 1.0).max(f64::MIN_POSITIVE);
    let (failures, passes) = (rate.mean * known_by, (1.0 - rate.mean) * known_by);
    let first: f64 = (0..boots).map(|n| (passes + f64::from(n)) / (known_by + f64::from(n))).product();
    let next = |chance: &f64, failed: u32| {
        let left = f64::from(boots - failed);
        let ratio = (failures + f64::from(failed)) / (passes + left - 1.0);
        Some(chance * ratio * left / (f64::from(failed) + 1.0))
    };
    let mut failed = 0;
    std::iter::successors(Some(first), |chance| {
        let after = (failed < boots).then(|| next(chance, failed)).flatten();
        failed += 1;
        after
    })
    .collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and bounded")]
fn whole(position: f64) -> usize {
    position as usize
}

#[expect(clippy::cast_precision_loss, reason = "places on a grid")]
fn float(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: f64 = 1.0;

    fn two(separation: f64, p: f64) -> f64 {
        let level = |mean| Level { mean, variance: NARROW };
        Channel::normal(&[level(0.0), level(separation)]).tells(&[1.0 - p, p])
    }

    #[test]
    fn information_goes_from_nothing_to_the_whole_entropy() {
        assert_eq!(two(0.0, 0.5), 0.0);
        assert_eq!(two(3.0, 0.0), 0.0);
        assert!((two(40.0, 0.3) - entropy(&[0.3, 0.7])).abs() < 1e-9);
        assert!((two(1e6, 0.3) - entropy(&[0.3, 0.7])).abs() < 1e-9);
        // Small separations: p (1 - p) s^2 / 2.
        assert!((two(0.1, 0.5) - 0.125 * 0.01).abs() < 1e-5, "{}", two(0.1, 0.5));
        // Capacity of the channel with two inputs at a signal of 0 dB: 0.4859 bits, at -1 and 1.
        assert!((two(2.0, 0.5) / std::f64::consts::LN_2 - 0.4859).abs() < 1e-3, "{}", two(2.0, 0.5));
        assert!((two(1.5, 0.2) - two(1.5, 0.8)).abs() < 1e-6);
    }

    #[test]
    fn hypotheses_that_predict_the_same_are_not_told_apart_by_any_number_of_them() {
        let level = Level { mean: 0.3, variance: 0.01 };
        assert!(Channel::normal(&[level; 5]).tells(&[0.2; 5]) < 1e-12);
        let rate = Level { mean: 0.3, variance: 0.002 };
        assert!(Channel::failures(9, &[rate; 3]).tells(&[0.5, 0.3, 0.2]) < 1e-12);
    }

    #[test]
    fn a_prediction_that_is_far_wider_than_another_is_told_from_it() {
        let of = |variance| Level { mean: 0.0, variance };
        let tells = Channel::normal(&[of(1e-8), of(1.0)]).tells(&[0.5, 0.5]);
        assert!((0.6..=std::f64::consts::LN_2).contains(&tells), "{tells}");
    }

    #[test]
    fn failures_of_a_rate_that_is_known_are_binomial_and_of_a_uniform_one_uniform() {
        let known = beta_binomial(3, Level { mean: 0.5, variance: 1e-9 });
        for (chance, wanted) in known.iter().zip([0.125, 0.375, 0.375, 0.125]) {
            assert!((chance - wanted).abs() < 1e-6, "{known:?}");
        }
        let uniform = beta_binomial(4, Level { mean: 0.5, variance: 1.0 / 12.0 });
        assert_eq!(uniform.len(), 5);
        assert!(uniform.iter().all(|chance| (chance - 0.2).abs() < 1e-9), "{uniform:?}");
    }

    #[test]
    fn boots_that_always_fail_if_bad_tell_all_at_once() {
        let sure = |mean| Level { mean, variance: 1e-12 };
        let of = |boots, good, bad| Channel::failures(boots, &[sure(good), sure(bad)]).tells(&[0.5, 0.5]);
        assert!((of(1, 1e-9, 1.0 - 1e-9) - entropy(&[0.5, 0.5])).abs() < 1e-6);
        assert!(of(1, 0.01, 0.2) < of(4, 0.01, 0.2));
        // A rate of which nothing is known may be any.
        let unknown = Channel::failures(4, &[sure(0.01), Level { mean: 0.5, variance: 0.125 }]);
        assert!(unknown.tells(&[0.5, 0.5]) < of(4, 0.01, 0.5));
    }
}
