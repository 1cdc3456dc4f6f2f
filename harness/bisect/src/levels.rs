//! Values that are better or worse: how likely they are if some nodes have the good level and the others a worse one.
//!
//! Neither level is known beforehand. Both stand on one grid, and are integrated over; so is nothing else: whether a boot was slowed by the host is part of how
//! values spread (a normal with a wide one mixed in, Tukey 1960, "A survey of sampling from contaminated distributions").

/// How values of a metric vary, on the scale in which they are given: natural logarithms of a metric that multiplies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Standard deviation between boots of one kernel. Zero where every boot gives the same number.
    pub boots: f64,
    /// How many degrees of freedom `boots` is known with; what the search sees itself is added to them. Infinite if it stays as it is.
    pub known_by: f64,
    /// Standard deviation between kernels whose work is the same: the effect of layout, which more boots do not take away. Of exact numbers, what null patches
    /// are seen to do.
    pub builds: f64,
    /// The smallest change that counts.
    pub least: f64,
}

/// So many boots in a hundred are from the wide part.
const STRAY: f64 = 0.02;
/// How much wider that is.
const WIDE: f64 = 6.0;
/// Grid points in a standard deviation, and at most in all.
const FINE: f64 = 8.0;
const MOST: f64 = 512.0;
/// The grid goes so many standard deviations beyond what was seen.
const BEYOND: f64 = 4.0;
/// What is less likely than the likeliest by so much in the logarithm is nothing.
const NOTHING: f64 = 14.0;

/// A mean and a variance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// Of the posterior.
    pub mean: f64,
    /// How far it is from known.
    pub variance: f64,
}

/// How likely the values are under one division of the nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Division {
    pub(crate) log_evidence: f64,
    /// Of the nodes without the culprit, and of those with it; none if no such node was tested.
    pub(crate) good: Option<Level>,
    pub(crate) bad: Option<Level>,
}

/// The likelihood of each tested node's values by level.
#[derive(Debug)]
pub(crate) struct Grid {
    low: f64,
    step: f64,
    /// By node, as given: the logarithm at each level.
    rows: Vec<Vec<f64>>,
    /// By difference of levels in steps: its prior, uniform in the logarithm from the least that counts to all of the grid.
    differences: Vec<f64>,
}

impl Noise {
    /// The standard deviation between boots, with what these nodes show added to what is known.
    pub(crate) fn seen(&self, nodes: &[&[f64]]) -> f64 {
        if self.known_by.is_infinite() {
            return self.boots;
        }
        let freedom: f64 = nodes.iter().map(|values| float(values.len().saturating_sub(1))).sum();
        // Boots that strayed must not make all others look noisy; the second pass knows better which these are.
        let pass = |limit: f64| {
            let squares = nodes.iter().flat_map(|values| {
                let middle = median(values);
                let spare = float(values.len()) / float(values.len().max(2) - 1);
                values.iter().map(move |value| spare * (value - middle).powi(2).min(limit * limit))
            });
            let squares: f64 = squares.sum::<f64>() * f64::from(u8::from(freedom > 0.0));
            // Squares about medians with `spare` come to n for n - 1 degrees of freedom.
            let share: f64 = nodes.iter().map(|values| float(values.len())).sum::<f64>().max(1.0);
            let seen = squares / share;
            ((self.known_by * self.boots.powi(2) + freedom * seen) / (self.known_by + freedom).max(1e-9))
                .sqrt()
        };
        pass(3.0 * pass(f64::INFINITY))
    }
}

impl Grid {
    pub(crate) fn new(nodes: &[&[f64]], noise: &Noise) -> Self {
        let boots = noise.seen(nodes);
        let spread = (boots.powi(2) + noise.builds.powi(2)).sqrt();
        // Numbers that do not vary at all are told apart by what counts.
        let spread = if spread > 0.0 { spread } else { noise.least.max(f64::MIN_POSITIVE) / BEYOND };
        let middles: Vec<f64> = nodes.iter().map(|values| median(values)).collect();
        let low = middles.iter().copied().fold(f64::INFINITY, f64::min) - BEYOND * spread;
        let high = middles.iter().copied().fold(f64::NEG_INFINITY, f64::max) + BEYOND * spread;
        let step = (spread / FINE).max((high - low) / MOST);
        let points = whole((high - low) / step) + 1;
        let boots = boots.max(step / 2.0);
        let rows = nodes.iter().map(|values| row(values, (low, step, points), boots, noise.builds)).collect();
        let least = whole((noise.least / step).ceil()).max(1);
        let mut differences: Vec<f64> =
            (0..points).map(|steps| if steps < least { 0.0 } else { 1.0 / float(steps) }).collect();
        let all: f64 = differences.iter().sum();
        if all > 0.0 {
            differences.iter_mut().for_each(|weight| *weight /= all);
        }
        Self { low, step, rows, differences }
    }

    /// Every node has one level.
    pub(crate) fn undivided(&self) -> Division {
        let all = self.sum(|_| true);
        let good = all.as_ref().map(|all| self.level(&weights(all).1));
        Division { log_evidence: all.map_or(0.0, |all| log_sum(&all)), good, bad: None }
    }

    /// Nodes for which `bad` holds have a level that is worse by at least what counts.
    pub(crate) fn divided(&self, bad: &[bool]) -> Division {
        match (self.sum(|node| !bad[node]), self.sum(|node| bad[node])) {
            (Some(good), Some(bad)) => self.of_both(&good, &bad),
            (Some(only), None) => Division {
                log_evidence: log_sum(&only),
                good: Some(self.level(&weights(&only).1)),
                bad: None,
            },
            (None, Some(only)) => Division {
                log_evidence: log_sum(&only),
                good: None,
                bad: Some(self.level(&weights(&only).1)),
            },
            (None, None) => Division { log_evidence: 0.0, good: None, bad: None },
        }
    }

    fn of_both(&self, good: &[f64], bad: &[f64]) -> Division {
        let ((of_good, good), (of_bad, bad)) = (weights(good), weights(bad));
        let mut sum = 0.0;
        let (mut goods, mut bads) = (vec![0.0; good.len()], vec![0.0; good.len()]);
        for (at, weight) in present(&good) {
            for (worse, other) in present(&bad).filter(|(worse, _)| *worse > at) {
                let together = weight * other * self.differences[worse - at];
                sum += together;
                goods[at] += together;
                bads[worse] += together;
            }
        }
        if sum <= 0.0 {
            return Division { log_evidence: f64::NEG_INFINITY, good: None, bad: None };
        }
        Division {
            log_evidence: of_good + of_bad + sum.ln(),
            good: Some(self.level(&goods)),
            bad: Some(self.level(&bads)),
        }
    }

    /// The rows of some nodes, together; none of none.
    fn sum(&self, which: impl Fn(usize) -> bool) -> Option<Vec<f64>> {
        let mut sum: Option<Vec<f64>> = None;
        for (_, row) in self.rows.iter().enumerate().filter(|(node, _)| which(*node)) {
            match &mut sum {
                Some(sum) => sum.iter_mut().zip(row).for_each(|(sum, term)| *sum += term),
                None => sum = Some(row.clone()),
            }
        }
        sum
    }

    fn level(&self, weights: &[f64]) -> Level {
        let all: f64 = weights.iter().sum();
        let at = |point: usize| self.low + self.step * float(point);
        let moment = |of: &dyn Fn(f64) -> f64| -> f64 {
            weights.iter().enumerate().map(|(point, weight)| weight * of(at(point))).sum::<f64>() / all
        };
        let mean = moment(&|level| level);
        Level { mean, variance: moment(&|level| (level - mean).powi(2)) }
    }
}

/// The logarithm of the likelihood of one node's values at each level.
fn row(values: &[f64], (low, step, points): (f64, f64, usize), boots: f64, builds: f64) -> Vec<f64> {
    let mut row: Vec<f64> = (0..points)
        .map(|point| {
            let level = low + step * float(point);
            values.iter().map(|value| log_density((value - level) / boots) - boots.ln()).sum()
        })
        .collect();
    if builds > 0.0 {
        // What the build itself adds is drawn once for all boots of the node.
        let reach = whole((BEYOND * builds / step).ceil());
        let kernel: Vec<f64> =
            (0..=reach).map(|steps| (-0.5 * (float(steps) * step / builds).powi(2)).exp()).collect();
        let all: f64 = 2.0 * kernel.iter().sum::<f64>() - kernel[0];
        let (highest, plain) = weights(&row);
        let mixed = (0..points).map(|point| {
            let near = point.saturating_sub(reach)..(point + reach + 1).min(points);
            near.map(|other| plain[other] * kernel[other.abs_diff(point)]).sum::<f64>() / all
        });
        row = mixed.map(|weight| highest + weight.max(f64::MIN_POSITIVE).ln()).collect();
    }
    row
}

/// Of the contaminated normal, but for a constant.
fn log_density(z: f64) -> f64 {
    let square = z * z;
    if square > 40.0 {
        return -0.5 * square / (WIDE * WIDE) + (STRAY / WIDE).ln();
    }
    ((1.0 - STRAY) * (-0.5 * square).exp() + STRAY / WIDE * (-0.5 * square / (WIDE * WIDE)).exp()).ln()
}

/// The highest of some logarithms, and the exponentials of all against it; what is next to nothing becomes nothing.
fn weights(logs: &[f64]) -> (f64, Vec<f64>) {
    let highest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weight = |log: &f64| if highest - log > NOTHING { 0.0 } else { (log - highest).exp() };
    (highest, logs.iter().map(weight).collect())
}

fn log_sum(logs: &[f64]) -> f64 {
    let (highest, weights) = weights(logs);
    highest + weights.iter().sum::<f64>().ln()
}

fn present(weights: &[f64]) -> impl Iterator<Item = (usize, f64)> + '_ {
    weights.iter().copied().enumerate().filter(|(_, weight)| *weight > 0.0)
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of boots and of grid points")]
fn float(n: usize) -> f64 {
    n as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of grid points")]
fn whole(n: f64) -> usize {
    n as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOISE: Noise = Noise { boots: 0.02, known_by: f64::INFINITY, builds: 0.0, least: 0.01 };

    #[test]
    fn the_right_division_is_the_likeliest_and_its_levels_are_found() {
        let nodes: [&[f64]; 3] = [&[0.00, 0.01, -0.01, 0.0], &[0.06, 0.05, 0.07], &[0.06, 0.062]];
        let grid = Grid::new(&nodes, &NOISE);
        let right = grid.divided(&[false, true, true]);
        let late = grid.divided(&[false, false, true]);
        assert!(right.log_evidence > late.log_evidence + 5.0);
        assert!(right.log_evidence > grid.undivided().log_evidence + 5.0);
        let (good, bad) = (right.good.unwrap(), right.bad.unwrap());
        assert!(good.mean.abs() < 0.003 && (bad.mean - 0.06).abs() < 0.005, "{good:?} {bad:?}");
        assert!((bad.variance.sqrt() - 0.02 / 5_f64.sqrt()).abs() < 0.002, "{bad:?}");
    }

    #[test]
    fn equal_nodes_are_likeliest_undivided_and_a_gain_is_no_loss() {
        let grid = Grid::new(&[&[0.0, 0.01, -0.01], &[0.003, -0.002, 0.0]], &NOISE);
        assert!(grid.undivided().log_evidence > grid.divided(&[false, true]).log_evidence);
        let gain = Grid::new(&[&[0.1; 3], &[0.0; 3]], &NOISE);
        assert!(gain.divided(&[false, true]).log_evidence < gain.divided(&[true, false]).log_evidence - 10.0);
    }

    #[test]
    fn one_boot_that_strayed_does_not_decide() {
        let nodes: [&[f64]; 2] = [&[0.0, 0.01, -0.01, 0.0], &[0.0, 0.25, 0.01, -0.01]];
        let grid = Grid::new(&nodes, &NOISE);
        assert!(grid.undivided().log_evidence > grid.divided(&[false, true]).log_evidence);
    }

    #[test]
    fn noise_between_builds_is_not_taken_for_an_effect() {
        let nodes: [&[f64]; 2] = [&[0.0; 8], &[0.012; 8]];
        let ratio = |noise: &Noise| {
            let grid = Grid::new(&nodes, noise);
            grid.divided(&[false, true]).log_evidence - grid.undivided().log_evidence
        };
        let exact = Noise { boots: 0.0, known_by: f64::INFINITY, builds: 0.0001, least: 0.001 };
        assert!(ratio(&exact) > 10.0);
        let noisy = Noise { builds: 0.01, least: 0.005, ..exact };
        assert!(ratio(&noisy) < 1.0, "{}", ratio(&noisy));
    }

    #[test]
    fn what_is_seen_is_added_to_what_is_known() {
        let guess = Noise { known_by: 2.0, ..NOISE };
        let values: Vec<f64> = (0..40).map(|n| 0.005 * if n % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let seen = guess.seen(&[&values]);
        assert!((0.004..0.008).contains(&seen), "{seen}");
        assert_eq!(NOISE.seen(&[&values]), 0.02);
        assert!((guess.seen(&[&[1.0], &[2.0]]) - 0.02).abs() < 1e-12, "single boots say nothing of noise");
    }
}
