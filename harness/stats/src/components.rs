//! Where values vary: between boots, between runs of one boot, between intervals of one run.
//!
//! The model is `value = mean + boot + run + interval`, each part random with a variance of its own. Estimates are those of the nested
//! analysis of variance, whose expected mean squares hold for unequal numbers as well (Searle, Casella and McCulloch 1992, "Variance Components",
//! section 5.3 and appendix F). Variances are not negative, but these estimates can be, where a level adds nothing that can be seen:
//! such a one is said to be zero ([`Component::truncated`]), and its sum of squares is pooled with the one below (Thompson 1962, Ann. Math. Statist. 33:273), which
//! for equal numbers gives the estimates of restricted maximum likelihood.

use serde::{Deserialize, Serialize};

use crate::{StatsError, summary::all_finite};

/// Values by boot, run within the boot, and interval within the run.
pub type Nested = Vec<Vec<Vec<f64>>>;

/// One variance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// In squares of the values' unit.
    pub variance: f64,
    /// Degrees of freedom of its mean square.
    pub freedom: usize,
    /// Whether its estimate was negative, so that it is said to be zero.
    pub truncated: bool,
}

/// Variance by component. A level that has one member in each member of the level above cannot be told from it: its component
/// is none, and the one above holds both.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Components {
    /// Between boots; none with a single boot.
    pub boot: Option<Component>,
    /// Between runs of a boot; none if no boot has two.
    pub run: Option<Component>,
    /// Between intervals of a run; none if no run has two.
    pub interval: Option<Component>,
    /// Of all values.
    pub mean: f64,
}

impl Components {
    /// The variance of one boot's mean, if it has so many runs of so many intervals.
    #[must_use]
    pub fn of_boot(&self, runs: u32, intervals: u32) -> f64 {
        let variance = |component: Option<Component>| component.map_or(0.0, |component| component.variance);
        let runs = f64::from(runs.max(1));
        variance(self.boot)
            + variance(self.run) / runs
            + variance(self.interval) / (runs * f64::from(intervals.max(1)))
    }

    /// The standard deviation of a block's difference between two arms that spread alike.
    #[must_use]
    pub fn of_difference(&self, runs: u32, intervals: u32) -> f64 {
        (2.0 * self.of_boot(runs, intervals)).sqrt()
    }
}

/// Sum of squares, degrees of freedom, and coefficients of the variances below and at this level in the expected mean square.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    squares: f64,
    freedom: usize,
}

/// Estimates the components; none if there is no value, or no level with two members.
///
/// # Errors
/// A value that is not finite.
pub fn components(values: &[Vec<Vec<f64>>]) -> Result<Option<Components>, StatsError> {
    let runs: Vec<&[f64]> =
        values.iter().flatten().map(Vec::as_slice).filter(|run| !run.is_empty()).collect();
    let all: Vec<f64> = runs.iter().copied().flatten().copied().collect();
    all_finite(&all)?;
    let boots: Vec<Vec<&[f64]>> = values
        .iter()
        .map(|boot| boot.iter().map(Vec::as_slice).filter(|run| !run.is_empty()).collect::<Vec<_>>())
        .filter(|boot| !boot.is_empty())
        .collect();
    let total = count(all.len());
    if all.is_empty() {
        return Ok(None);
    }
    let grand = mean(&all);
    let of_boot = |boot: &[&[f64]]| -> Vec<f64> { boot.iter().copied().flatten().copied().collect() };
    let (mut between_boots, mut between_runs, mut within) =
        (Line::default(), Line::default(), Line::default());
    // Searle's sums: of squared sizes of boots, of squared sizes of runs over their boot's size and over the total.
    let (mut boots_squared, mut runs_by_boot, mut runs_squared) = (0.0, 0.0, 0.0);
    for boot in &boots {
        let boot_values = of_boot(boot);
        let (size, boot_mean) = (count(boot_values.len()), mean(&boot_values));
        between_boots.squares += size * (boot_mean - grand).powi(2);
        boots_squared += size * size;
        for run in boot {
            let (run_size, run_mean) = (count(run.len()), mean(run));
            between_runs.squares += run_size * (run_mean - boot_mean).powi(2);
            runs_by_boot += run_size * run_size / size;
            runs_squared += run_size * run_size;
            within.squares += run.iter().map(|value| (value - run_mean).powi(2)).sum::<f64>();
        }
    }
    between_boots.freedom = boots.len() - 1;
    between_runs.freedom = runs.len() - boots.len();
    within.freedom = all.len() - runs.len();
    if between_boots.freedom + between_runs.freedom + within.freedom == 0 {
        return Ok(None);
    }
    let per = |sum: f64, freedom: usize| if freedom == 0 { 0.0 } else { sum / count(freedom) };
    let run_in_runs = per(total - runs_by_boot, between_runs.freedom);
    let run_in_boots = per(runs_by_boot - runs_squared / total, between_boots.freedom);
    let boot_in_boots = per(total - boots_squared / total, between_boots.freedom);

    let mut interval = level(within, 0.0, 1.0);
    let mut run = level(between_runs, variance(interval), run_in_runs);
    if let (Some(found), Some(below)) = (&run, &mut interval)
        && found.truncated
    {
        *below = pooled(&[within, between_runs]);
    }
    let boot_below = variance(interval) + run_in_boots * variance(run);
    let boot = level(between_boots, boot_below, boot_in_boots);
    if boot.is_some_and(|boot| boot.truncated) {
        match (&mut run, &mut interval) {
            // With equal numbers this is the restricted likelihood's; with unequal ones close to it.
            (Some(run), _) if run.variance > 0.0 => {
                let both = pooled(&[between_runs, between_boots]);
                run.variance = ((both.variance - variance(interval)) / run_in_runs).max(0.0);
            }
            (Some(_), Some(interval)) => *interval = pooled(&[within, between_runs, between_boots]),
            (None, Some(interval)) => *interval = pooled(&[within, between_boots]),
            (_, None) => {}
        }
    }
    Ok(Some(Components { boot, run, interval, mean: grand }))
}

fn variance(component: Option<Component>) -> f64 {
    component.map_or(0.0, |component| component.variance)
}

/// The component of a level from its mean square: what the levels below do not explain, over its coefficient.
fn level(line: Line, below: f64, coefficient: f64) -> Option<Component> {
    let Line { squares, freedom } = line;
    (freedom > 0 && coefficient > 0.0).then(|| {
        let estimate = (squares / count(freedom) - below) / coefficient;
        Component { variance: estimate.max(0.0), freedom, truncated: estimate < 0.0 }
    })
}

fn pooled(lines: &[Line]) -> Component {
    let freedom = lines.iter().map(|line| line.freedom).sum();
    let squares: f64 = lines.iter().map(|line| line.squares).sum();
    Component { variance: squares / count(freedom), freedom, truncated: false }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values.len())
}

#[expect(clippy::cast_precision_loss, reason = "a number of values")]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draws::Draws;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
    }

    /// Snedecor and Cochran (1967, "Statistical Methods", example 10.17.1): calcium in turnip leaves, four plants, three leaves of
    /// each, two determinations of each leaf.
    fn turnips() -> Nested {
        [
            [[3.28, 3.09], [3.52, 3.48], [2.88, 2.80]],
            [[2.46, 2.44], [1.87, 1.92], [2.19, 2.19]],
            [[2.77, 2.66], [3.74, 3.44], [2.55, 2.55]],
            [[3.78, 3.87], [4.07, 4.12], [3.31, 3.31]],
        ]
        .map(|plant| plant.map(Vec::from).to_vec())
        .to_vec()
    }

    #[test]
    fn agrees_with_a_textbook() {
        let found = components(&turnips()).unwrap().unwrap();
        let of = |component: Option<Component>| component.unwrap();
        assert_eq!((of(found.boot).freedom, of(found.run).freedom, of(found.interval).freedom), (3, 8, 12));
        // Its mean squares are 2.5201, 0.3288 and 0.00665.
        assert!((of(found.interval).variance - 0.00665).abs() < 0.00001, "{found:?}");
        assert!((of(found.run).variance - 0.1611).abs() < 0.0001, "{found:?}");
        assert!((of(found.boot).variance - 0.3652).abs() < 0.0001, "{found:?}");
    }

    #[test]
    fn what_adds_nothing_is_zero_and_said_to_be() {
        // Boots with equal means, runs that differ.
        let values = vec![vec![vec![1.0, 1.2], vec![3.0, 3.2]], vec![vec![3.1, 3.1], vec![1.1, 1.1]]];
        let found = components(&values).unwrap().unwrap();
        let boot = found.boot.unwrap();
        assert_eq!((boot.variance, boot.truncated), (0.0, true));
        assert!(found.run.unwrap().variance > 1.0);
    }

    #[test]
    fn a_level_of_one_member_is_none_and_in_the_one_above() {
        let values = vec![vec![vec![1.0]], vec![vec![2.0]], vec![vec![4.0]]];
        let found = components(&values).unwrap().unwrap();
        assert_eq!((found.run, found.interval), (None, None));
        assert!(close(found.boot.unwrap().variance, 7.0 / 3.0));
        assert_eq!(components(&[vec![vec![1.0]]]).unwrap(), None);
        assert_eq!(components(&[]).unwrap(), None);
        assert!(components(&[vec![vec![f64::NAN]]]).is_err());
    }

    #[test]
    fn a_known_model_is_found_again() {
        let mut draws = Draws::new(3);
        let mut sums = [0.0; 3];
        const ROUNDS: u32 = 200;
        for _ in 0..ROUNDS {
            let values: Nested = (0..12)
                .map(|_| {
                    let boot = 2.0 * draws.normal();
                    // Unequal numbers.
                    let run = |n: usize| -> Vec<f64> {
                        let run = boot + 0.5 * draws.normal();
                        (0..3 + n).map(|_| run + draws.normal()).collect()
                    };
                    (0..3).map(run).collect()
                })
                .collect();
            let found = components(&values).unwrap().unwrap();
            for (sum, component) in sums.iter_mut().zip([found.boot, found.run, found.interval]) {
                *sum += variance(component) / f64::from(ROUNDS);
            }
        }
        assert!((sums[0] - 4.0).abs() < 0.4, "{sums:?}");
        assert!((sums[1] - 0.25).abs() < 0.05, "{sums:?}");
        assert!((sums[2] - 1.0).abs() < 0.03, "{sums:?}");
    }

    proptest::proptest! {
        #[test]
        fn shifts_do_not_matter_and_scales_are_squared(
            values in proptest::collection::vec(
                proptest::collection::vec(proptest::collection::vec(-10.0..10.0_f64, 1..4), 1..4), 2..6),
            shift in -100.0..100.0_f64, scale in 0.1..10.0_f64,
        ) {
            let moved: Nested = values.iter()
                .map(|boot| boot.iter().map(|run| run.iter().map(|v| v * scale + shift).collect()).collect())
                .collect();
            let (a, b) = (components(&values).unwrap().unwrap(), components(&moved).unwrap().unwrap());
            for (a, b) in [(a.boot, b.boot), (a.run, b.run), (a.interval, b.interval)] {
                proptest::prop_assert_eq!(a.is_some(), b.is_some());
                let (a, b) = (variance(a) * scale * scale, variance(b));
                proptest::prop_assert!((a - b).abs() < 1e-6 * (1.0 + a.abs()), "{} {}", a, b);
            }
        }

        #[test]
        fn the_order_of_boots_runs_and_intervals_does_not_matter(
            values in proptest::collection::vec(
                proptest::collection::vec(proptest::collection::vec(-10.0..10.0_f64, 1..4), 1..4), 2..6),
        ) {
            let mut turned = values.clone();
            turned.reverse();
            turned.iter_mut().for_each(|boot| { boot.reverse(); boot.iter_mut().for_each(|run| run.reverse()); });
            let (a, b) = (components(&values).unwrap().unwrap(), components(&turned).unwrap().unwrap());
            for (a, b) in [(a.boot, b.boot), (a.run, b.run), (a.interval, b.interval)] {
                proptest::prop_assert!((variance(a) - variance(b)).abs() < 1e-9);
            }
        }
    }
}
