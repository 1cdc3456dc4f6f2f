//! What a run that stops when all is decided can show, and how many blocks it will take.

use crate::{Looks, SignedRanks, draws::Draws};

/// Simulated runs.
const DRAWS: usize = 1_000;
const SEED: u64 = 0x00e5_bec7;

/// How often one claim is shown at a look or before it, by size: seeded simulation of the very test, on normal noise.
#[derive(Clone, Debug)]
pub struct Course {
    /// For each run the smallest shift that each look would show, in standard deviations of a difference.
    needed: Vec<Vec<f64>>,
}

impl Course {
    /// Of runs that are looked at so and held to a one-sided `level`.
    #[must_use]
    pub fn new(looks: &Looks, level: f64) -> Self {
        let mut draws = Draws::new(SEED);
        let levels: Vec<f64> = (1..=looks.most()).map(|blocks| looks.level(blocks, level)).collect();
        let run = |_| {
            let noise: Vec<f64> = levels.iter().map(|_| draws.normal()).collect();
            let look = |(block, level): (usize, &f64)| {
                let interval = SignedRanks::new(&noise[..=block]).interval(*level);
                interval.map_or(f64::INFINITY, |interval| -interval.low)
            };
            levels.iter().enumerate().map(look).collect()
        };
        Self { needed: (0..DRAWS).map(run).collect() }
    }

    /// The probability that a shift is shown by the last look, in standard deviations of a block's difference.
    #[must_use]
    pub fn power(&self, shift: f64) -> f64 {
        let shown = self.needed.iter().filter(|run| run.iter().any(|needed| *needed < shift)).count();
        float(shown) / float(self.needed.len())
    }

    /// The shift that is shown with this probability; none if no shift is.
    #[must_use]
    pub fn detectable(&self, power: f64) -> Option<f64> {
        let mut smallest: Vec<f64> =
            self.needed.iter().map(|run| run.iter().copied().fold(f64::INFINITY, f64::min)).collect();
        smallest.sort_unstable_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a position among a thousand"
        )]
        let position = (power.clamp(0.0, 1.0) * float(smallest.len())).ceil() as usize;
        let found = smallest.get(position.saturating_sub(1)).copied();
        found.filter(|shift| shift.is_finite())
    }

    /// The mean number of blocks until a shift is shown, or all are made.
    #[must_use]
    pub fn blocks(&self, shift: f64) -> f64 {
        let until = |run: &Vec<f64>| {
            float(run.iter().position(|needed| *needed < shift).map_or(run.len(), |block| block + 1))
        };
        self.needed.iter().map(until).sum::<f64>() / float(self.needed.len())
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of blocks and of runs")]
fn float(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_changes_are_shown_sooner() {
        let course = Course::new(&Looks::new(12).unwrap(), 0.05);
        let design = course.detectable(0.9).unwrap();
        assert!((course.power(design + 1e-9) - 0.9).abs() < 0.005);
        let blocks = [0.0, design, 2.0 * design, 100.0].map(|shift| course.blocks(shift));
        assert!(blocks[0] > 11.5 && blocks[1] < 10.5 && blocks[2] < 8.0, "{blocks:?}");
        assert_eq!(blocks[3], 7.0);
        assert!(course.power(0.0) <= 0.07);
    }

    #[test]
    fn so_few_blocks_that_nothing_can_be_shown_show_nothing() {
        let course = Course::new(&Looks::new(4).unwrap(), 0.05);
        assert_eq!((course.detectable(0.9), course.power(100.0), course.blocks(100.0)), (None, 0.0, 4.0));
    }
}
