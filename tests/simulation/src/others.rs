//! The rules by which other projects say that something changed, from what they publish.
//!
//! - *Firecracker* (`tools/ab_test.py`, `tests/framework/ab_test.py`): all values of revision A are compared with all of B by a permutation test of the
//!   difference of means, 9,999 resamplings, significance 0.01; a change counts if its mean over the scenarios of the metric is at least
//!   `--noise-threshold`, 5 %. Each test boots its microVM afresh and takes its values from it, all of A first.
//! - *LKP* (`lib/stats.rb`, `lib/changed_stat.rb`): with three jobs or more a side, a job being a boot, the ranges must not overlap, and the gap between them must be
//!   more than half the difference of medians; for metrics of performance the medians must differ by 1 %.
//! - *benchstat* (`golang.org/x/perf/benchmath`): the Mann-Whitney U test at 0.05; its documentation asks for 10 runs a side or more.
//! - *Welch's t test* over all intervals of all boots, at 0.05: what a script does that takes every line of `iperf3` for a sample.

use stats::{Better, Comparison, Draws, UnpairedShifts, Verdict, judge};

use crate::{ALPHA, INTERVALS, MARGIN, Share, World, float, world::mean};

/// A rule at a design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// Firecracker's, 100 values of one boot a side.
    Firecracker,
    /// The same without the floor of 5 %.
    FirecrackerNoFloor,
    /// LKP's, with so many boots a side.
    Lkp(usize),
    /// benchstat's, 10 runs in one boot a side.
    BenchstatOneBoot,
    /// benchstat's, one run in each of so many boots a side.
    Benchstat(usize),
    /// Welch's, 100 intervals of one boot a side.
    WelchOneBoot,
    /// Welch's, all intervals of so many boots a side.
    Welch(usize),
    /// Assay's, with so many blocks.
    Assay(usize),
}

impl Other {
    /// All that stand in the table.
    pub const ALL: [Self; 9] = [
        Self::Firecracker,
        Self::FirecrackerNoFloor,
        Self::Lkp(3),
        Self::Lkp(8),
        Self::BenchstatOneBoot,
        Self::Benchstat(10),
        Self::WelchOneBoot,
        Self::Welch(8),
        Self::Assay(8),
    ];

    /// The rule and its design.
    #[must_use]
    pub fn describe(self) -> String {
        let boots = |boots: usize| format!("{boots} boots");
        match self {
            Self::Firecracker => "Firecracker's gate, floor 5 %: 1 boot, 100 values".to_owned(),
            Self::FirecrackerNoFloor => "the same without its floor: 1 boot, 100 values".to_owned(),
            Self::Lkp(n) => format!("LKP's rule: {}, one value each", boots(n)),
            Self::BenchstatOneBoot => "benchstat: 1 boot, 10 runs in it".to_owned(),
            Self::Benchstat(n) => format!("benchstat: {}, one value each", boots(n)),
            Self::WelchOneBoot => "Welch's t, pooled: 1 boot, 100 intervals".to_owned(),
            Self::Welch(n) => format!("Welch's t, pooled: {} of {INTERVALS} intervals", boots(n)),
            Self::Assay(n) => format!("Assay, margin 2 %: {}, one value each", boots(n)),
        }
    }

    /// Whether it says that there is a change, in data in which the candidate changes by `shift` on the log scale.
    fn alarms(self, world: &World, shift: f64, draws: &mut Draws) -> bool {
        let (boots, intervals) = match self {
            Self::Firecracker | Self::FirecrackerNoFloor | Self::WelchOneBoot => (1, 100),
            Self::BenchstatOneBoot => (1, 10),
            Self::Lkp(n) | Self::Benchstat(n) | Self::Welch(n) => (n, INTERVALS),
            Self::Assay(n) => {
                let blocks = world.draw(draws, n).blocks(shift);
                let comparison = Comparison { blocks, better: Better::Higher, margin: MARGIN };
                let judged = judge(&[comparison], ALPHA)
                    .expect("finite values, a level and a margin that mean something");
                return matches!(judged[0].verdict, Verdict::Worse | Verdict::Better);
            }
        };
        // One side after the other, as they are run.
        let all = world.sequence(draws, 2 * boots, intervals);
        let values = |boots: &[Vec<f64>], shift: f64| -> Vec<Vec<f64>> {
            boots.iter().map(|boot| boot.iter().map(|value| (value + shift).exp()).collect()).collect()
        };
        let (a, b) = (values(&all[..boots], 0.0), values(&all[boots..], shift));
        let (pooled_a, pooled_b) = (a.concat(), b.concat());
        let by_boot = |boots: &[Vec<f64>]| -> Vec<f64> { boots.iter().map(|boot| mean(boot)).collect() };
        match self {
            Self::Firecracker => {
                permutation_p(&pooled_a, &pooled_b) < 0.01
                    && (mean(&pooled_b) / mean(&pooled_a) - 1.0).abs() >= 0.05
            }
            Self::FirecrackerNoFloor => permutation_p(&pooled_a, &pooled_b) < 0.01,
            Self::Lkp(_) => lkp(&by_boot(&a), &by_boot(&b)),
            Self::BenchstatOneBoot => mann_whitney(&pooled_a, &pooled_b),
            Self::Benchstat(_) => mann_whitney(&by_boot(&a), &by_boot(&b)),
            Self::WelchOneBoot | Self::Welch(_) => welch_p(&pooled_a, &pooled_b) < 0.05,
            Self::Assay(_) => unreachable!("judged above"),
        }
    }
}

/// How often a rule alarms.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// The rule.
    pub rule: Other,
    /// Where values vary.
    pub world: World,
    /// Alarms although the arms are identical.
    pub identical: Share,
    /// Alarms where the candidate loses 5 %.
    pub loss: Share,
}

/// Simulates one rule in one world.
#[must_use]
pub fn others(rule: Other, world: World, data_sets: usize, seed: u64) -> Rates {
    let mut rates = Rates { rule, world, identical: Share::default(), loss: Share::default() };
    let mut draws = Draws::new(seed);
    for _ in 0..data_sets {
        rates.identical.add(rule.alarms(&world, 0.0, &mut draws));
        rates.loss.add(rule.alarms(&world, (-0.05_f64).ln_1p(), &mut draws));
    }
    rates
}

fn sum_of_squares(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum()
}

/// Two-sided, of the difference of means. With a hundred values a side its distribution over all permutations is normal to the third digit, with the
/// variance of sampling without replacement.
fn permutation_p(a: &[f64], b: &[f64]) -> f64 {
    let (n, m) = (float(a.len()), float(b.len()));
    let pooled: Vec<f64> = a.iter().chain(b).copied().collect();
    let variance = sum_of_squares(&pooled) / (n + m - 1.0) * (1.0 / n + 1.0 / m);
    let z = (mean(b) - mean(a)).abs() / variance.sqrt();
    t_p(z, 1e7)
}

fn mann_whitney(a: &[f64], b: &[f64]) -> bool {
    let effect = UnpairedShifts::default().effect(a, b, 0.025).expect("finite values");
    let interval = effect.and_then(|effect| effect.interval);
    interval.is_some_and(|interval| interval.low > 0.0 || interval.high < 0.0)
}

fn lkp(a: &[f64], b: &[f64]) -> bool {
    let sorted = |values: &[f64]| {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        (sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1])
    };
    let ((min_a, median_a, max_a), (min_b, median_b, max_b)) = (sorted(a), sorted(b));
    let is_apart = (min_b > max_a && min_b - max_a > (median_b - median_a) / 2.0)
        || (min_a > max_b && min_a - max_b > (median_a - median_b) / 2.0);
    is_apart && median_a.max(median_b) / median_a.min(median_b) > 1.01
}

fn welch_p(a: &[f64], b: &[f64]) -> f64 {
    let part = |values: &[f64]| {
        let n = float(values.len());
        (sum_of_squares(values) / (n - 1.0) / n, n)
    };
    let ((of_a, n), (of_b, m)) = (part(a), part(b));
    let freedom = (of_a + of_b).powi(2) / (of_a.powi(2) / (n - 1.0) + of_b.powi(2) / (m - 1.0));
    t_p((mean(b) - mean(a)).abs() / (of_a + of_b).sqrt(), freedom)
}

/// Two-sided p of Student's t: `I(x; f/2, 1/2)` with `x = f / (f + t^2)`, by Simpson's rule on the density, whose tail beyond the last point
/// does not matter at the levels that are asked for.
fn t_p(t: f64, freedom: f64) -> f64 {
    const STEPS: u32 = 400;
    let density = |x: f64| (-(freedom + 1.0) / 2.0 * (x * x / freedom).ln_1p()).exp();
    let area = |from: f64, to: f64| {
        let step = (to - from) / f64::from(STEPS);
        let inner: f64 =
            (1..STEPS).map(|i| f64::from(2 + 2 * (i % 2)) * density(from + f64::from(i) * step)).sum();
        (density(from) + inner + density(to)) * step / 3.0
    };
    let end = 12.0_f64.max(t);
    let (inside, outside) = (area(0.0, t), area(t, end));
    outside / (inside + outside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_of_t_is_that_of_the_tables() {
        for (t, freedom, p) in [
            (2.228, 10.0, 0.05),
            (2.576, 1e7, 0.01),
            (1.96, 1e7, 0.05),
            (2.02, 41.0, 0.05),
            (2.704, 40.0, 0.01),
        ] {
            let found = t_p(t, freedom);
            assert!((found - p).abs() < 0.0002, "{t} {freedom}: {found}");
        }
    }

    #[test]
    fn ranges_must_be_apart_for_lkp() {
        assert!(lkp(&[100.0, 101.0, 102.0], &[110.0, 111.0, 112.0]));
        // Apart, but by less than half the difference.
        assert!(!lkp(&[100.0, 101.0, 109.0], &[110.0, 115.0, 116.0]));
        assert!(!lkp(&[100.0, 101.0, 102.0], &[101.5, 103.0, 104.0]));
        // Apart, but by less than a per cent.
        assert!(!lkp(&[100.0, 100.1, 100.2], &[100.8, 100.9, 101.0]));
    }

    #[test]
    fn values_of_one_boot_taken_for_independent_make_false_alarms() {
        let world = World::plain(0.25);
        let rates = others(Other::FirecrackerNoFloor, world, 300, 1);
        assert!(rates.identical.value() > 0.2, "{rates:?}");
        let rates = others(Other::FirecrackerNoFloor, World::plain(0.0), 300, 1);
        assert!(rates.identical.value() < 0.04, "{rates:?}");
    }
}
