//! Any number of arms in randomised blocks: whether they differ at all, and which pairs do.
//!
//! Values are aligned (each block loses its mean) and ranked together (Hodges and Lehmann 1962, Ann. Math. Statist. 33:482), so that, unlike
//! Friedman's ranks within blocks, differences between blocks count and few arms lose nothing. The statistic is the sum of squares
//! of the arms' rank sums; under "the arms do not differ" each order of a block's values over the arms is as likely as any other, and
//! the p-value is that of this permutation within blocks: all of them where they are few, seeded draws where they are many, with the
//! data as one draw more (Dwass 1957, Ann. Math. Statist. 28:181).

use crate::{HolmStep, SignedRanks, StatsError, draws::Draws, holm, summary::all_finite};

/// Permutations that are all looked at; beyond, as many are drawn.
const ALL: usize = 50_000;
const SEED: u64 = 0xa11_a235;

/// A pair of arms, and what the blocks say of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The positions of both, the smaller first.
    pub arms: (usize, usize),
    /// Two-sided p-value of "no difference" by signed ranks, and Holm's step over all pairs.
    pub p: f64,
    /// Of all pairs together.
    pub step: HolmStep,
}

/// The p-value of "no arm differs from another". Each block holds one value for each arm, all of them present. 1 without
/// blocks or with a single arm.
///
/// # Errors
/// A value that is not finite.
///
/// # Panics
/// If blocks have different numbers of arms.
pub fn arms_differ(blocks: &[Vec<f64>]) -> Result<f64, StatsError> {
    let (arms, flat) = flat(blocks)?;
    if arms < 2 {
        return Ok(1.0);
    }
    let aligned: Vec<f64> = flat
        .chunks(arms)
        .flat_map(|block| {
            let mean = block.iter().sum::<f64>() / float(arms);
            block.iter().map(move |value| value - mean)
        })
        .collect();
    let mut ranks = midranks(&aligned);
    let observed = statistic(&ranks, arms);
    // Midranks are halves, and their sums exact; the tolerance is for the sum of squares.
    let is_as_large = |ranks: &[f64]| statistic(ranks, arms) >= observed * (1.0 - 1e-12);
    let orders = (1..=arms).product::<usize>();
    let all = blocks.iter().try_fold(1_usize, |all, _| all.checked_mul(orders).filter(|all| *all <= ALL));
    if let Some(all) = all {
        let mut as_large = 0;
        visit(&mut ranks, arms, 0, &mut |ranks| as_large += usize::from(is_as_large(ranks)));
        return Ok(float(as_large) / float(all));
    }
    let mut draws = Draws::new(SEED);
    let as_large = (0..ALL)
        .filter(|_| {
            ranks.chunks_mut(arms).for_each(|block| draws.shuffle(block));
            is_as_large(&ranks)
        })
        .count();
    Ok(float(1 + as_large) / float(1 + ALL))
}

/// Compares all arms with each other, at family-wise level `alpha`.
///
/// # Errors
/// A value that is not finite.
///
/// # Panics
/// If blocks have different numbers of arms.
pub fn pairs(blocks: &[Vec<f64>], alpha: f64) -> Result<Vec<Pair>, StatsError> {
    let (arms, _) = flat(blocks)?;
    let of = |first: usize, second: usize| {
        let differences: Vec<f64> = blocks.iter().map(|block| block[second] - block[first]).collect();
        SignedRanks::new(&differences).p_equal(0.0)
    };
    let pairs: Vec<((usize, usize), f64)> = (0..arms)
        .flat_map(|first| (first + 1..arms).map(move |second| (first, second)))
        .map(|(first, second)| ((first, second), of(first, second)))
        .collect();
    let p: Vec<f64> = pairs.iter().map(|(_, p)| *p).collect();
    let steps = holm(&p, alpha);
    Ok(pairs.into_iter().zip(steps).map(|((arms, p), step)| Pair { arms, p, step }).collect())
}

fn flat(blocks: &[Vec<f64>]) -> Result<(usize, Vec<f64>), StatsError> {
    let arms = blocks.first().map_or(0, Vec::len);
    assert!(blocks.iter().all(|block| block.len() == arms), "a block holds a value for each arm");
    let flat: Vec<f64> = blocks.iter().flatten().copied().collect();
    all_finite(&flat)?;
    Ok((arms, flat))
}

/// Calls `look` with every order of every block.
fn visit(ranks: &mut [f64], arms: usize, at: usize, look: &mut impl FnMut(&[f64])) {
    if at == ranks.len() {
        look(ranks);
        return;
    }
    let (place, end) = (at % arms, at - at % arms + arms);
    if place + 1 == arms {
        visit(ranks, arms, at + 1, look);
        return;
    }
    for other in at..end {
        ranks.swap(at, other);
        visit(ranks, arms, at + 1, look);
        ranks.swap(at, other);
    }
}

fn statistic(ranks: &[f64], arms: usize) -> f64 {
    (0..arms).map(|arm| ranks.iter().skip(arm).step_by(arms).sum::<f64>().powi(2)).sum()
}

/// Ranks from 1, with the mean rank for ties.
pub(crate) fn midranks(values: &[f64]) -> Vec<f64> {
    let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let tie = largest * 1e-12;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut begin = 0;
    while begin < order.len() {
        let tied = order[begin..].iter().take_while(|i| values[**i] - values[order[begin]] <= tie).count();
        let rank = float(2 * begin + tied + 1) / 2.0;
        order[begin..begin + tied].iter().for_each(|i| ranks[*i] = rank);
        begin += tied;
    }
    ranks
}

#[expect(clippy::cast_precision_loss, reason = "numbers of boots and permutations")]
fn float(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranks_are_shared_by_ties() {
        assert_eq!(midranks(&[3.0, 1.0, 3.0, 0.5]), [3.5, 2.0, 3.5, 1.0]);
        assert_eq!(midranks(&[]), [0.0; 0]);
    }

    #[test]
    fn three_arms_in_three_blocks_have_216_orders() {
        let blocks = vec![vec![1.0, 2.0, 3.5], vec![11.0, 12.1, 13.0], vec![21.0, 22.2, 23.1]];
        // The same order in every block, in each of 6 ways, is the most extreme.
        assert!((arms_differ(&blocks).unwrap() - 6.0 / 216.0).abs() < 1e-12);
    }

    #[test]
    fn two_arms_are_the_sign_flips() {
        let blocks: Vec<Vec<f64>> =
            (0..8).map(|b| vec![f64::from(b), f64::from(b) + 1.0 + f64::from(b) / 10.0]).collect();
        assert!((arms_differ(&blocks).unwrap() - 2.0 / 256.0).abs() < 1e-12);
    }

    #[test]
    fn equal_arms_are_seldom_told_apart_and_different_ones_often() {
        let mut draws = Draws::new(12);
        let mut found = [0; 2];
        const ROUNDS: u32 = 200;
        for _ in 0..ROUNDS {
            for (found, shift) in found.iter_mut().zip([0.0, 2.0]) {
                let block = |draws: &mut Draws| {
                    let level = 20.0 * draws.normal();
                    vec![level + draws.normal(), level + draws.normal(), level + draws.normal() + shift]
                };
                // 6^5 orders: all are looked at.
                let blocks: Vec<Vec<f64>> = (0..5).map(|_| block(&mut draws)).collect();
                *found += u32::from(arms_differ(&blocks).unwrap() <= 0.05);
            }
        }
        assert!(found[0] <= 22, "{found:?}");
        assert!(found[1] >= 120, "{found:?}");
    }

    #[test]
    fn pairs_are_held_to_one_level_together() {
        let blocks: Vec<Vec<f64>> = (0..9)
            .map(|b| {
                let b = f64::from(b);
                vec![b, b + 0.01 * (b - 4.0), b + 5.0 + b / 7.0]
            })
            .collect();
        let pairs = pairs(&blocks, 0.05).unwrap();
        assert_eq!(pairs.iter().map(|pair| pair.arms).collect::<Vec<_>>(), [(0, 1), (0, 2), (1, 2)]);
        assert_eq!(pairs.iter().map(|pair| pair.step.rejected).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(pairs[1].step.adjusted, 3.0 * 2.0 / 512.0);
    }

    #[test]
    fn nothing_to_compare_is_no_evidence() {
        assert_eq!(arms_differ(&[]), Ok(1.0));
        assert_eq!(arms_differ(&[vec![1.0], vec![2.0]]), Ok(1.0));
        assert_eq!(arms_differ(&[vec![1.0, 1.0], vec![2.0, 2.0]]), Ok(1.0));
        assert!(arms_differ(&[vec![1.0, f64::NAN]]).is_err());
    }

    proptest! {
        #[test]
        fn neither_units_nor_levels_of_blocks_nor_the_order_of_blocks_or_arms_matter(
            blocks in proptest::collection::vec(proptest::collection::vec(-10.0..10.0_f64, 3), 2..5),
            scale in 0.1..10.0_f64, level in -50.0..50.0_f64,
        ) {
            let p = arms_differ(&blocks).unwrap();
            let mut turned: Vec<Vec<f64>> = blocks.iter().enumerate().map(|(b, block)| {
                block.iter().rev().map(|v| -scale * v + level * float(b)).collect()
            }).collect();
            turned.reverse();
            prop_assert!((arms_differ(&turned).unwrap() - p).abs() < 1e-9);
        }
    }
}
