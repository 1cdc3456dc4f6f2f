//! Where values vary.

use stats::{Block, Draws};

use crate::{Drift, float};

/// Spread of intervals within a boot, on the log scale: one per cent.
pub const WITHIN: f64 = 0.01;
/// Intervals of a boot.
pub const INTERVALS: usize = 10;
/// The margin of the gates.
pub const MARGIN: f64 = 0.02;
/// Spreads between boots, in spreads within a boot.
pub const BOOT_SPREADS: [f64; 5] = [0.0, 0.25, 0.5, 1.0, 2.0];

/// Boots that fall into two groups.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Modes {
    /// How often a boot is slow.
    pub slow: f64,
    /// How much slower it then is, on the log scale.
    pub by: f64,
}

/// Where values vary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct World {
    /// Spread between boots, in spreads within a boot.
    pub boot: f64,
    /// The level wanders from boot to boot.
    pub drift: Option<Drift>,
    /// Boots fall into two groups.
    pub modes: Option<Modes>,
}

/// One data set: boots of two arms in randomised blocks. Values are logarithms; intervals by boot.
#[derive(Clone, Debug)]
pub struct Pairs {
    /// The baseline's boots, by block.
    pub baseline: Vec<Vec<f64>>,
    /// The candidate's.
    pub candidate: Vec<Vec<f64>>,
}

impl World {
    /// Only what boots and intervals do.
    #[must_use]
    pub fn plain(boot: f64) -> Self {
        Self { boot, drift: None, modes: None }
    }

    /// The standard deviation of a boot's mean, without drift and modes.
    #[must_use]
    pub fn of_boot(&self) -> f64 {
        WITHIN * (self.boot * self.boot + 1.0 / float(INTERVALS)).sqrt()
    }

    /// Boots one after the other, of so many intervals each.
    pub(crate) fn sequence(&self, draws: &mut Draws, boots: usize, intervals: usize) -> Vec<Vec<f64>> {
        let mut walk = self.drift.map(|drift| drift.walk(draws, self.of_boot()));
        let mut boot = || -> Vec<f64> {
            let mut level = walk.as_mut().map_or(0.0, |walk| walk.next(draws));
            level += self.boot * WITHIN * draws.normal();
            if let Some(modes) = self.modes
                && draws.uniform() <= modes.slow
            {
                level -= modes.by;
            }
            (0..intervals).map(|_| level + WITHIN * draws.normal()).collect()
        };
        (0..boots).map(|_| boot()).collect()
    }

    /// Identical arms in randomised blocks.
    #[must_use]
    pub fn draw(&self, draws: &mut Draws, blocks: usize) -> Pairs {
        let mut pairs = Pairs { baseline: Vec::with_capacity(blocks), candidate: Vec::with_capacity(blocks) };
        let mut boots = self.sequence(draws, 2 * blocks, INTERVALS).into_iter();
        while let (Some(first), Some(second)) = (boots.next(), boots.next()) {
            let (baseline, candidate) = if draws.coin() { (first, second) } else { (second, first) };
            pairs.baseline.push(baseline);
            pairs.candidate.push(candidate);
        }
        pairs
    }

    /// The standard deviation of the mean over blocks of their differences, which the test that knows the variances is told: from
    /// many data sets of a seed of its own, so that it holds for drift and modes as well.
    #[must_use]
    pub fn of_mean_difference(&self, blocks: usize) -> f64 {
        const DATA_SETS: usize = 10_000;
        let mut draws = Draws::new(0x0_5ac1e);
        let squares: f64 =
            (0..DATA_SETS).map(|_| mean(&self.draw(&mut draws, blocks).differences()).powi(2)).sum();
        (squares / float(DATA_SETS)).sqrt()
    }
}

impl Pairs {
    /// The block's differences, of the means of boots.
    #[must_use]
    pub fn differences(&self) -> Vec<f64> {
        self.candidate.iter().zip(&self.baseline).map(|(c, b)| mean(c) - mean(b)).collect()
    }

    /// As a comparison gets them: one value for each boot, with the candidate changed by so much on the log scale.
    #[must_use]
    pub fn blocks(&self, shift: f64) -> Vec<Block> {
        let boot = |values: &[f64], shift: f64| (mean(values) + shift).exp();
        self.baseline
            .iter()
            .zip(&self.candidate)
            .map(|(b, c)| Block::both(boot(b, 0.0), boot(c, shift)))
            .collect()
    }
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / float(values.len())
}
