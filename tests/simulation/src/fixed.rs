//! A fixed number of boots, judged as `assay run` judges them.

use stats::{Better, Comparison, Draws, SignedRanks, Verdict, attainable_level, judge};

use crate::{ALPHA, MARGIN, Share, World, Z_ALPHA, Z_POWER, float, world::mean};

/// What so many boots of a world yield.
#[derive(Clone, Copy, Debug)]
pub struct Fixed {
    /// Where values vary.
    pub world: World,
    /// Boots of each arm.
    pub boots: usize,
    /// `worse` although the change is just the margin.
    pub false_worse: Share,
    /// `better` or `worse` although the arms are identical.
    pub false_alarms: Share,
    /// `same` although the change is just the margin.
    pub false_same: Share,
    /// The 95 % interval holds the truth.
    pub covered: Share,
    /// The coverage that the interval's steps allow.
    pub nominal_coverage: f64,
    /// `worse` where it is, by the design effect.
    pub found: Share,
    /// The same by the test that knows the variances.
    pub oracle: Share,
    /// The same by the most powerful of all permutations within blocks where noise is normal: sign flips of the mean. Up to 12 boots.
    pub ceiling: Option<Share>,
}

impl Fixed {
    /// Power beside that of the test that knows the variances.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.found.value() / self.oracle.value()
    }
}

/// Simulates one cell. The design effect is the change beyond the margin that a normal test which knows the variances finds in 90 of 100.
#[must_use]
pub fn fixed(world: World, boots: usize, data_sets: usize, seed: u64) -> Fixed {
    let of_mean = world.of_mean_difference(boots);
    let effect = (Z_ALPHA + Z_POWER) * of_mean;
    let mut draws = Draws::new(seed);
    let mut cell = Fixed {
        world,
        boots,
        false_worse: Share::default(),
        false_alarms: Share::default(),
        false_same: Share::default(),
        covered: Share::default(),
        nominal_coverage: 1.0 - 2.0 * attainable_level(boots, 0.025),
        found: Share::default(),
        oracle: Share::default(),
        ceiling: (boots <= 12).then(Share::default),
    };
    let boundary = (-MARGIN).ln_1p();
    for _ in 0..data_sets {
        let pairs = world.draw(&mut draws, boots);
        let verdict = |shift: f64| {
            let comparison =
                Comparison { blocks: pairs.blocks(shift), better: Better::Higher, margin: MARGIN };
            judge(&[comparison], ALPHA).expect("finite values, a level and a margin that mean something")[0]
                .verdict
        };
        let at_boundary = verdict(boundary);
        cell.false_worse.add(at_boundary == Verdict::Worse);
        cell.false_same.add(at_boundary == Verdict::Same);
        cell.false_alarms.add(matches!(verdict(0.0), Verdict::Worse | Verdict::Better));
        cell.found.add(verdict(boundary - effect) == Verdict::Worse);
        let differences = pairs.differences();
        cell.oracle.add(mean(&differences) - effect < -Z_ALPHA * of_mean);
        if let Some(ceiling) = &mut cell.ceiling {
            let shifted: Vec<f64> = differences.iter().map(|d| d - effect).collect();
            ceiling.add(flips_refute(&shifted));
        }
        let interval = SignedRanks::new(&differences).interval(0.025);
        cell.covered.add(interval.is_none_or(|interval| (interval.low..=interval.high).contains(&0.0)));
    }
    cell
}

/// Whether "the mean is not below zero" is refuted by all sign flips. Given the absolute differences, this is the most powerful test of
/// it against a shift of normal noise (Lehmann and Stein 1949, Ann. Math. Statist. 20:28), so no permutation within blocks finds more.
fn flips_refute(differences: &[f64]) -> bool {
    let flips = 1_u32 << differences.len();
    let above: f64 = differences.iter().filter(|d| **d > 0.0).sum();
    let as_small = (0..flips).filter(|flip| {
        let sum: f64 =
            differences.iter().enumerate().filter(|(b, _)| flip >> b & 1 == 1).map(|(_, d)| d.abs()).sum();
        sum <= above * (1.0 + 1e-12)
    });
    float(as_small.count()) / f64::from(flips) <= ALPHA
}
