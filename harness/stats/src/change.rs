//! One change in a series of values: where it most likely is, and whether there is one.
//!
//! Values are ranked, and the statistic is the largest distance, over all places where the series could be cut, of the first part's mean rank
//! from what chance gives it, in its standard deviations (Pettitt 1979, Appl. Statist. 28:126, with every cut on one scale as in
//! James, James and Siegmund 1987, Biometrika 74:71). Under "no change" every order of the values is as likely as any other: the p-value is
//! that of this permutation, over all orders where they are few, and over seeded draws, with the data as one more, where they are many
//! (Dwass 1957, Ann. Math. Statist. 28:181). It holds for all cuts together.
//!
//! What it needs is that values next to each other are no more alike than others. Values of runs of different days are so if nothing else changed;
//! intervals of one boot often are not, so that a change within a boot is a lead.

use serde::{Deserialize, Serialize};

use crate::{StatsError, arms::midranks, draws::Draws, summary::all_finite};

/// Values with fewer orders than draws: all of them are looked at.
const ALL_ORDERS: usize = 7;
const DRAWS: usize = 20_000;
const SEED: u64 = 0xc4a9_6e55;

/// A place at which a series changes, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// How many values lie before it.
    pub at: usize,
    /// The median before it.
    pub before: f64,
    /// The median after it.
    pub after: f64,
    /// Of "nothing changes anywhere".
    pub p: f64,
}

/// The most likely place of a change, with at least `least` values on either side; none with too few values, or if all are equal.
///
/// # Errors
/// A value that is not finite.
pub fn change_point(values: &[f64], least: usize) -> Result<Option<Change>, StatsError> {
    all_finite(values)?;
    let least = least.max(1);
    if values.len() < 2 * least {
        return Ok(None);
    }
    let mut ranks = midranks(values);
    let (at, observed) = largest(&ranks, least);
    if observed <= 0.0 {
        return Ok(None);
    }
    let is_as_large = |ranks: &[f64]| largest(ranks, least).1 >= observed * (1.0 - 1e-12);
    let p = if values.len() <= ALL_ORDERS {
        let (mut as_large, mut all) = (0, 0);
        orders(&mut ranks, 0, &mut |ranks| {
            all += 1;
            as_large += usize::from(is_as_large(ranks));
        });
        float(as_large) / float(all)
    } else {
        let mut draws = Draws::new(SEED);
        let as_large = (0..DRAWS)
            .filter(|_| {
                draws.shuffle(&mut ranks);
                is_as_large(&ranks)
            })
            .count();
        float(1 + as_large) / float(1 + DRAWS)
    };
    Ok(Some(Change { at, before: median(&values[..at]), after: median(&values[at..]), p }))
}

/// The cut with the largest standardised distance of its first part's rank sum from the mean.
fn largest(ranks: &[f64], least: usize) -> (usize, f64) {
    let n = float(ranks.len());
    let middle = (n + 1.0) / 2.0;
    let mut sum = 0.0;
    let mut best = (least, 0.0);
    for (before, rank) in ranks.iter().enumerate() {
        let k = float(before + 1);
        sum += rank - middle;
        if before + 1 < least || before + 1 + least > ranks.len() {
            continue;
        }
        let distance = sum.abs() / (k * (n - k)).sqrt();
        // Rounding must not decide between cuts that are equally far.
        if distance > best.1 * (1.0 + 1e-12) {
            best = (before + 1, distance);
        }
    }
    best
}

fn orders(values: &mut [f64], at: usize, look: &mut impl FnMut(&[f64])) {
    if at + 1 >= values.len() {
        look(values);
        return;
    }
    for other in at..values.len() {
        values.swap(at, other);
        orders(values, at + 1, look);
        values.swap(at, other);
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len() - 1;
    sorted[last / 2] / 2.0 + sorted[last.div_ceil(2)] / 2.0
}

#[expect(clippy::cast_precision_loss, reason = "numbers of values and draws")]
fn float(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_step_is_found_where_it_is() {
        let mut draws = Draws::new(1);
        let values: Vec<f64> =
            (0..30).map(|i| 100.0 + draws.normal() - if i < 18 { 0.0 } else { 5.0 }).collect();
        let change = change_point(&values, 2).unwrap().unwrap();
        assert_eq!(change.at, 18);
        assert!(change.p < 0.001 && change.before > 99.0 && change.after < 96.0, "{change:?}");
    }

    #[test]
    fn six_values_in_two_halves_have_2_of_20_ways() {
        // The cut in the middle is the most extreme of all, and its two halves may be in either order: 2 of C(6, 3) = 20.
        let change = change_point(&[1.0, 2.0, 3.0, 11.0, 12.0, 13.0], 3).unwrap().unwrap();
        assert_eq!((change.at, change.before, change.after), (3, 2.0, 12.0));
        assert!((change.p - 0.1).abs() < 1e-12, "{change:?}");
    }

    #[test]
    fn without_a_change_p_is_seldom_small() {
        let mut draws = Draws::new(2);
        let small = (0..200)
            .filter(|_| {
                let values: Vec<f64> = (0..12).map(|_| draws.normal()).collect();
                change_point(&values, 2).unwrap().unwrap().p <= 0.05
            })
            .count();
        assert!(small <= 22, "{small} of 200");
    }

    #[test]
    fn too_few_or_equal_values_change_nowhere() {
        assert_eq!(change_point(&[], 1), Ok(None));
        assert_eq!(change_point(&[1.0, 2.0, 3.0], 2), Ok(None));
        assert_eq!(change_point(&[4.0; 9], 2), Ok(None));
        assert!(change_point(&[1.0, f64::NAN], 1).is_err());
    }

    proptest! {
        #[test]
        fn neither_unit_nor_sign_nor_direction_of_time_matter(
            values in proptest::collection::vec(0..50_i32, 4..8), scale in 0.5..4.0_f64,
        ) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let turned: Vec<f64> = values.iter().rev().map(|v| 7.0 - scale * v).collect();
            let (a, b) = (change_point(&values, 1).unwrap(), change_point(&turned, 1).unwrap());
            prop_assert_eq!(a.is_some(), b.is_some());
            if let (Some(a), Some(b)) = (a, b) {
                prop_assert!((a.p - b.p).abs() < 1e-9, "{:?} {:?}", a, b);
            }
        }
    }
}
