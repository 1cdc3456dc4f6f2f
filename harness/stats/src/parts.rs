//! Whether a level changes within a boot, in the same place in every boot.
//!
//! Parts of one boot are not independent, and a single boot says little of itself. Boots are: if nothing changes within them, then in each
//! boot every order of its parts is as likely as any other. Values are aligned (each boot loses its mean) and ranked together
//! (Hodges and Lehmann 1962, Ann. Math. Statist. 33:482); the statistic is the largest standardised distance, over all places where a
//! boot could be cut, of the rank sum of the parts before it from what chance gives it, as in [`change_point`](crate::change_point), and
//! its p-value is that of the permutation within boots: seeded draws, with the data as one more (Dwass 1957, Ann. Math. Statist. 28:181).
//! It holds for all cuts together. A level that wanders within boots, but each time otherwise, is no change in this sense.

use crate::{Change, StatsError, arms::midranks, draws::Draws, summary::all_finite};

const DRAWS: usize = 4_000;
const SEED: u64 = 0x0009_a275;
/// With fewer boots or parts no order is unlikely enough.
const FEWEST: usize = 3;

/// The most likely place of a change within boots: the values of each boot's parts in the order of time. Boots are looked at as far as the
/// shortest goes. None with fewer than three boots or three parts, or if no part differs from another.
///
/// # Errors
/// A value that is not finite.
pub fn change_within(boots: &[Vec<f64>]) -> Result<Option<Change>, StatsError> {
    let parts = boots.iter().map(Vec::len).min().unwrap_or(0);
    if boots.len() < FEWEST || parts < FEWEST {
        return Ok(None);
    }
    let mut aligned = Vec::with_capacity(boots.len() * parts);
    for boot in boots {
        all_finite(boot)?;
        let level = mean(&boot[..parts]);
        aligned.extend(boot[..parts].iter().map(|value| value - level));
    }
    let mut ranks = midranks(&aligned);
    let (at, observed) = largest(&ranks, parts);
    if observed <= 0.0 {
        return Ok(None);
    }
    let mut draws = Draws::new(SEED);
    let as_large = (0..DRAWS)
        .filter(|_| {
            ranks.chunks_mut(parts).for_each(|boot| draws.shuffle(boot));
            largest(&ranks, parts).1 >= observed * (1.0 - 1e-12)
        })
        .count();
    let level = |from: usize, to: usize| {
        let of_boots = boots.iter().map(|boot| mean(&boot[from..to])).sum::<f64>();
        of_boots / float(boots.len())
    };
    let p = float(1 + as_large) / float(1 + DRAWS);
    Ok(Some(Change { at, before: level(0, at), after: level(at, parts), p }))
}

/// The cut with the largest standardised distance of its parts' rank sum from the mean of all.
fn largest(ranks: &[f64], parts: usize) -> (usize, f64) {
    let mut sums = vec![0.0; parts];
    for boot in ranks.chunks(parts) {
        sums.iter_mut().zip(boot).for_each(|(sum, rank)| *sum += rank);
    }
    let middle = mean(&sums);
    let n = float(parts);
    let (mut before, mut best) = (0.0, (1, 0.0));
    for (part, sum) in sums[..parts - 1].iter().enumerate() {
        before += sum - middle;
        let k = float(part + 1);
        let distance = before.abs() / (k * (n - k)).sqrt();
        // Rounding must not decide between cuts that are equally far.
        if distance > best.1 * (1.0 + 1e-12) + 1e-9 {
            best = (part + 1, distance);
        }
    }
    best
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / float(values.len())
}

#[expect(clippy::cast_precision_loss, reason = "numbers of parts and draws")]
fn float(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boots(draws: &mut Draws, boots: usize, parts: usize, slow: usize, by: f64) -> Vec<Vec<f64>> {
        let mut boot = || -> Vec<f64> {
            let level = 100.0 + 5.0 * draws.normal();
            (0..parts).map(|part| level + draws.normal() - if part < slow { by } else { 0.0 }).collect()
        };
        (0..boots).map(|_| boot()).collect()
    }

    #[test]
    fn a_warm_up_is_found_under_the_noise_of_boots() {
        let mut draws = Draws::new(7);
        let change = change_within(&boots(&mut draws, 10, 6, 2, 3.0)).unwrap().unwrap();
        assert_eq!(change.at, 2);
        assert!(change.p < 0.001 && (change.after - change.before - 3.0).abs() < 1.0, "{change:?}");
    }

    #[test]
    fn without_a_change_p_is_seldom_small() {
        let mut draws = Draws::new(8);
        let small = (0..200)
            .filter(|_| change_within(&boots(&mut draws, 6, 4, 0, 0.0)).unwrap().unwrap().p <= 0.05)
            .count();
        assert!(small <= 20, "{small} of 200");
    }

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(change_within(&[vec![1.0, 2.0, 3.0], vec![1.0, 2.0, 3.0]]), Ok(None));
        assert_eq!(change_within(&vec![vec![1.0, 2.0]; 9]), Ok(None));
        assert_eq!(change_within(&vec![vec![4.0; 5]; 9]), Ok(None));
        assert!(change_within(&vec![vec![1.0, f64::NAN, 2.0]; 3]).is_err());
    }
}
