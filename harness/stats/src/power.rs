//! What a number of boots can show, before they are made.

use crate::{Interval, SignedRanks, draws::Draws};

/// Simulated sets of differences.
const DRAWS: usize = 2_000;
/// With more blocks than this noise that was seen is drawn less often.
const MANY: u32 = 24;
const DRAWS_OF_MANY: usize = 400;
/// Seed of the simulation.
const SEED: u64 = 0x0090_3e12;
/// Beyond so many blocks nobody boots for one question.
const MOST: u32 = 100;

/// How often a design finds a change, by its size: from seeded simulation of the very test that judges, on normal noise.
///
/// With differences `noise + shift` the test refutes "no shift" at a level exactly where the shift is larger than what the noise alone would
/// have as the lower end of its interval, negated. So one simulation of the noise answers for every shift.
#[derive(Clone, Debug)]
pub struct PowerCurve {
    /// The smallest shift that each set of differences would have shown, in standard deviations of a difference; sorted.
    needed: Vec<f64>,
}

impl PowerCurve {
    /// Of `blocks` blocks at a one-sided `level`; none if so few cannot refute anything at that level.
    #[must_use]
    pub fn new(blocks: u32, level: f64) -> Option<Self> {
        let mut draws = Draws::new(SEED ^ u64::from(blocks));
        let mut needed = Vec::with_capacity(DRAWS);
        for _ in 0..DRAWS {
            let noise: Vec<f64> = (0..blocks).map(|_| draws.normal()).collect();
            let Interval { low, .. } = SignedRanks::new(&noise).interval(level)?;
            needed.push(-low);
        }
        needed.sort_unstable_by(f64::total_cmp);
        Some(Self { needed })
    }

    /// The same on noise like these differences, which each may as well have been the other way round: drawn from them with replacement (Efron and
    /// Tibshirani 1993, "An Introduction to the Bootstrap", section 25.3), so that boots which a host slows now and then count as what they
    /// are. Shifts are then in the differences' own unit. None if there are no differences, or as above.
    #[must_use]
    pub fn on(differences: &[f64], blocks: u32, level: f64) -> Option<Self> {
        if differences.is_empty() {
            return None;
        }
        let mut draws = Draws::new(SEED ^ u64::from(blocks));
        // A comparison of many blocks takes long to look at, and so many are asked for roughly.
        let sets = if blocks > MANY { DRAWS_OF_MANY } else { DRAWS };
        let mut needed = Vec::with_capacity(sets);
        for _ in 0..sets {
            let mut noise = || {
                let drawn = differences[draws.below(differences.len())];
                if draws.coin() { drawn } else { -drawn }
            };
            let noise: Vec<f64> = (0..blocks).map(|_| noise()).collect();
            needed.push(-SignedRanks::new(&noise).interval(level)?.low);
        }
        needed.sort_unstable_by(f64::total_cmp);
        Some(Self { needed })
    }

    /// The probability that a shift is found which lies so far beyond what is tested, in standard deviations of a block's difference.
    #[must_use]
    pub fn power(&self, shift: f64) -> f64 {
        share(self.needed.partition_point(|needed| *needed < shift), self.needed.len())
    }

    /// The shift that is found with this probability, in standard deviations of a block's difference.
    #[must_use]
    pub fn detectable(&self, power: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a position among a few thousand"
        )]
        let position = (power.clamp(0.0, 1.0) * self.needed.len() as f64).ceil() as usize;
        self.needed[position.clamp(1, self.needed.len()) - 1]
    }
}

/// The fewest blocks that find a shift of `shift` standard deviations of a block's difference, beyond what is tested, with
/// probability `power` at a one-sided `level`; none if a hundred do not.
#[must_use]
pub fn blocks_for(shift: f64, level: f64, power: f64) -> Option<u32> {
    if shift <= 0.0 || shift.is_nan() {
        return None;
    }
    fewest(|blocks| PowerCurve::new(blocks, level).is_some_and(|curve| curve.power(shift) >= power))
}

/// The same on noise like these differences, as [`PowerCurve::on`]; `shift` is in their unit.
#[must_use]
pub fn blocks_for_on(differences: &[f64], shift: f64, level: f64, power: f64) -> Option<u32> {
    if shift <= 0.0 || shift.is_nan() {
        return None;
    }
    fewest(|blocks| {
        PowerCurve::on(differences, blocks, level).is_some_and(|curve| curve.power(shift) >= power)
    })
}

fn fewest(finds: impl Fn(u32) -> bool) -> Option<u32> {
    // Power grows with the blocks but for steps of p: doubling first, then the smallest in between.
    let mut enough = 4_u32;
    while !finds(enough) {
        if enough >= MOST {
            return None;
        }
        enough = (enough * 2).min(MOST);
    }
    let (mut few, mut many) = (enough / 2, enough);
    while few + 1 < many {
        let middle = u32::midpoint(few, many);
        if finds(middle) { many = middle } else { few = middle }
    }
    Some(many)
}

#[expect(clippy::cast_precision_loss, reason = "a number of draws")]
fn share(counted: usize, of: usize) -> f64 {
    counted as f64 / of as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_what_a_simulation_of_the_test_finds() {
        let curve = PowerCurve::new(9, 0.05).unwrap();
        let mut draws = Draws::new(4);
        for shift in [0.0, 0.5, 1.0, 1.5] {
            let found = (0..4000)
                .filter(|_| {
                    let differences: Vec<f64> = (0..9).map(|_| shift + draws.normal()).collect();
                    SignedRanks::new(&differences).p_above(0.0) <= 0.05
                })
                .count();
            let found = share(found, 4000);
            assert!((curve.power(shift) - found).abs() < 0.04, "{shift}: {} {found}", curve.power(shift));
        }
        // Without a shift the power is the level.
        assert!((curve.power(0.0) - 0.05).abs() < 0.015);
    }

    #[test]
    fn what_is_detectable_is_found_with_that_power() {
        let curve = PowerCurve::new(12, 0.05).unwrap();
        for power in [0.5, 0.8, 0.9] {
            assert!((curve.power(curve.detectable(power) + 1e-9) - power).abs() < 0.001);
        }
        assert!(curve.detectable(0.9) > curve.detectable(0.5));
    }

    #[test]
    fn noise_that_was_seen_is_as_good_as_normal_noise_where_it_is_normal() {
        let mut draws = Draws::new(12);
        let seen: Vec<f64> = (0..400).map(|_| 0.02 * draws.normal()).collect();
        let (on_seen, normal) =
            (PowerCurve::on(&seen, 12, 0.05).unwrap(), PowerCurve::new(12, 0.05).unwrap());
        let ratio = on_seen.detectable(0.9) / (0.02 * normal.detectable(0.9));
        assert!((0.88..1.12).contains(&ratio), "{ratio}");
        let few = blocks_for_on(&seen, 0.02, 0.05, 0.9).unwrap();
        assert!((8..=14).contains(&few), "{few}");
        assert!(PowerCurve::on(&[], 12, 0.05).is_none() && blocks_for_on(&seen, 0.0, 0.05, 0.9).is_none());
    }

    #[test]
    fn boots_that_are_slowed_now_and_then_cost_ranks_little() {
        let mut draws = Draws::new(13);
        let slowed: Vec<f64> =
            (0..300).map(|n| 0.01 * draws.normal() + if n % 15 == 0 { 0.3 } else { 0.0 }).collect();
        let spread = (slowed.iter().map(|d| d * d).sum::<f64>() / 300.0).sqrt();
        let detectable = PowerCurve::on(&slowed, 12, 0.05).unwrap().detectable(0.9);
        let by_spread = spread * PowerCurve::new(12, 0.05).unwrap().detectable(0.9);
        assert!(detectable < 0.6 * by_spread, "{detectable} {by_spread}");
    }

    #[test]
    fn too_few_blocks_have_no_power_at_all() {
        assert!(PowerCurve::new(4, 0.05).is_none());
        assert!(PowerCurve::new(8, 0.0025).is_none());
    }

    #[test]
    fn smaller_shifts_take_more_blocks() {
        // A test that knew the variance would need (1.645 + 1.282)^2 / shift^2 blocks; ranks need at least as many.
        let needed = [2.0, 1.0, 0.5].map(|shift| blocks_for(shift, 0.05, 0.9).unwrap());
        assert!((5..=7).contains(&needed[0]), "{needed:?}");
        assert!((9..=13).contains(&needed[1]), "{needed:?}");
        assert!((34..=41).contains(&needed[2]), "{needed:?}");
        assert_eq!((blocks_for(0.01, 0.05, 0.9), blocks_for(0.0, 0.05, 0.9)), (None, None));
    }
}
