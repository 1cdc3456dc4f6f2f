//! Whether boots fall into two groups.
//!
//! The statistic is that of Engelman and Hartigan (1969, JASA 64:1647): over all cuts of the sorted values the largest ratio of the sum of squares
//! between the two parts to that within them, which does not depend on unit or level. Its distribution for values of one normal group comes from
//! seeded draws, with the data as one more (Dwass 1957, Ann. Math. Statist. 28:181). Parts of a single boot are not looked at: a boot far out is not a group.
//!
//! *What few boots can tell.* Under eight boots nothing is said. With twelve, two equal groups are found nine times in ten if they lie eight of their own
//! standard deviations apart, and with twenty if five. A group of one boot in ten stays unseen for longer. One skewed group of many boots, as a
//! busy host makes it, can look like two: the p-value is for "one normal group", and what it shows is a lead.

use serde::{Deserialize, Serialize};

use crate::{StatsError, draws::Draws, summary::all_finite};

const DRAWS: usize = 4_000;
const SEED: u64 = 0x0002_6409;
/// Fewer boots cannot tell groups from chance.
const FEWEST: usize = 8;
/// Boots of the smaller group.
const LEAST: usize = 2;

/// Two groups of values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    /// How many values are in the lower one.
    pub lower: usize,
    /// How many are in the upper one.
    pub upper: usize,
    /// Mean of the lower one.
    pub low: f64,
    /// Mean of the upper one.
    pub high: f64,
    /// Of "one normal group".
    pub p: f64,
}

/// The two groups into which values fall most clearly; none with fewer than eight values, or if all are equal.
///
/// # Errors
/// A value that is not finite.
pub fn two_groups(values: &[f64]) -> Result<Option<Groups>, StatsError> {
    all_finite(values)?;
    if values.len() < FEWEST {
        return Ok(None);
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    if sorted.first() == sorted.last() {
        return Ok(None);
    }
    let (cut, observed) = clearest(&sorted);
    let mut draws = Draws::new(SEED ^ values.len() as u64);
    let mut drawn = vec![0.0; values.len()];
    let as_clear = (0..DRAWS)
        .filter(|_| {
            drawn.iter_mut().for_each(|value| *value = draws.normal());
            drawn.sort_unstable_by(f64::total_cmp);
            clearest(&drawn).1 >= observed * (1.0 - 1e-12)
        })
        .count();
    Ok(Some(Groups {
        lower: cut,
        upper: sorted.len() - cut,
        low: mean(&sorted[..cut]),
        high: mean(&sorted[cut..]),
        p: float(1 + as_clear) / float(1 + DRAWS),
    }))
}

/// The cut of sorted values with the largest ratio, and the part of the sum of squares that lies between its parts, which grows with the ratio.
fn clearest(sorted: &[f64]) -> (usize, f64) {
    let n = float(sorted.len());
    let centre = mean(sorted);
    let whole: f64 = sorted.iter().map(|value| (value - centre).powi(2)).sum();
    let mut below = 0.0;
    let mut best = (LEAST, 0.0);
    for (index, value) in sorted.iter().enumerate() {
        below += value - centre;
        let k = float(index + 1);
        if index + 1 >= LEAST && index + 1 + LEAST <= sorted.len() {
            let between = below * below * n / (k * (n - k)) / whole;
            if between > best.1 {
                best = (index + 1, between);
            }
        }
    }
    best
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / float(values.len())
}

#[expect(clippy::cast_precision_loss, reason = "numbers of boots and draws")]
fn float(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(boots: usize, apart: f64, seed: u64) -> usize {
        let mut draws = Draws::new(seed);
        let round = |draws: &mut Draws| {
            let values: Vec<f64> =
                (0..boots).map(|b| draws.normal() + if b % 2 == 0 { 0.0 } else { apart }).collect();
            two_groups(&values).unwrap().unwrap().p <= 0.05
        };
        (0..100).filter(|_| round(&mut draws)).count()
    }

    #[test]
    fn one_group_is_seldom_taken_for_two_and_two_far_apart_are_found() {
        assert!(found(12, 0.0, 1) <= 12, "{}", found(12, 0.0, 1));
        assert!(found(12, 8.0, 2) >= 90, "{}", found(12, 8.0, 2));
        assert!(found(20, 5.0, 3) >= 85, "{}", found(20, 5.0, 3));
    }

    #[test]
    fn groups_are_the_two_that_one_sees() {
        let values = [10.0, 10.1, 9.9, 12.0, 12.1, 10.05, 9.95, 11.9, 10.0, 12.05];
        let groups = two_groups(&values).unwrap().unwrap();
        assert_eq!((groups.lower, groups.upper), (6, 4));
        assert!(groups.p < 0.01 && (groups.low - 10.0).abs() < 0.01 && groups.high > 12.0, "{groups:?}");
    }

    #[test]
    fn few_or_equal_values_are_no_groups() {
        assert_eq!(two_groups(&[1.0, 1.0, 1.0, 9.0, 9.0, 9.0, 9.0]), Ok(None));
        assert_eq!(two_groups(&[3.0; 12]), Ok(None));
        assert!(two_groups(&[f64::NAN]).is_err());
    }

    proptest! {
        #[test]
        fn neither_unit_nor_level_nor_order_nor_sign_matter(
            values in proptest::collection::vec(0.0..50.0_f64, 8..14), scale in 0.5..4.0_f64,
        ) {
            let turned: Vec<f64> = values.iter().rev().map(|v| 7.0 - scale * v).collect();
            let (a, b) = (two_groups(&values).unwrap().unwrap(), two_groups(&turned).unwrap().unwrap());
            prop_assert!((a.p - b.p).abs() < 2e-3, "{:?} {:?}", a, b);
        }
    }
}
