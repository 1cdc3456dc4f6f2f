//! Looking at a run after every block, and stopping when all is decided, without more false claims than one look would make.
//!
//! *What is tested.* A claim with p-value `p_k` after k of at most N blocks is the more surprising the smaller `p_k / g_k` is, where
//! `g_k = (k / N)^SHAPE` makes early looks ask for more. The p-value that holds for all looks together is that of the smallest such ratio:
//!
//! ```text
//! P(k, p) = P(min over j <= N of p_j / g_j  <=  p / g_k)
//! ```
//!
//! under "each block's difference is as likely as its negative, and the blocks differ by chance alone". Under it the order of the absolute
//! differences is any with equal probability, and the signs are fair coins, whatever the distribution of the noise: so the
//! distribution on the right is that of one fixed random walk of signed ranks for each N, the same for every metric and machine. Whoever stops
//! when P is at most `a`, after whichever block, is wrong with probability at most `a`; it grows with `p`, so Holm's procedure and intervals are
//! made from it as from any p-value. The interval after block k is that of signed ranks at the level c with `P(k, c) = a`: a repeated confidence
//! interval (Jennison and Turnbull 1989, JRSS B 51:305), which covers at every look at once. Testing with one shape of boundary for
//! all levels is Wang and Tsiatis's way (1987, Biometrics 43:193), on the scale of p-values; that Holm's procedure may be applied at each look is due to
//! Maurer and Bretz (2013, Stat. Biopharm. Res. 5:311), since the levels grow with each other.
//!
//! *How it is computed.* From [`PATHS`] seeded paths, and with the data as one path more: `(1 + paths as extreme) / (1 + paths)`, which
//! is a valid p-value of itself, however few the paths (Dwass 1957, Ann. Math. Statist. 28:181; Barnard 1963, JRSS B 25:294).
//!
//! *What it needs more than a fixed number of boots.* That blocks are exchangeable. Were the noise to grow from block to block, so that every
//! absolute difference is larger than all before it, the looks would be less alike than they are for exchangeable blocks, and errors more:
//! `cargo xtask simulate` says by how much in the worst case. A level that drifts does no harm, since differences within blocks lose it.
//!
//! *Why this and not another way.* The same simulation compares it with a bound for each look and with an e-value that is bet on signs.

use std::sync::{Arc, OnceLock};

use crate::{
    draws::Draws,
    null::{Null, Score},
};

/// How much earlier looks are held to less: by simulation a value with few expected blocks at equal power, for few blocks as for many.
const SHAPE: f64 = 1.5;
/// Paths that the distribution is made from.
const PATHS: usize = 160_000;
/// Seed of the paths.
const SEED: u64 = 0x5eed_1e55;

/// Looks after every block of a run that ends with its `most`-th block at the latest.
#[derive(Clone, Debug)]
pub struct Looks {
    most: usize,
    /// The smallest ratio of each path, sorted.
    smallest: Arc<[f64]>,
}

static KNOWN: [OnceLock<Arc<[f64]>>; Looks::MOST_BLOCKS + 1] =
    [const { OnceLock::new() }; Looks::MOST_BLOCKS + 1];

impl Looks {
    /// The most blocks that a run which stops early may have.
    pub const MOST_BLOCKS: usize = 64;

    /// Looks of a run of at most `most` blocks; none if that is more than [`Looks::MOST_BLOCKS`].
    #[must_use]
    pub fn new(most: usize) -> Option<Self> {
        let known = KNOWN.get(most)?;
        Some(Self { most, smallest: Arc::clone(known.get_or_init(|| paths(most, SHAPE, SEED))) })
    }

    /// With another shape, for comparison.
    #[must_use]
    pub fn with_shape(most: usize, shape: f64) -> LooksOfShape {
        LooksOfShape { most, shape, smallest: paths(most, shape, SEED) }
    }

    /// The p-value over all looks of a p-value `p` of signed ranks after `blocks` blocks.
    #[must_use]
    pub fn p(&self, blocks: usize, p: f64) -> f64 {
        over_all(&self.smallest, p / weight(blocks, self.most, SHAPE))
    }

    /// The level of one look, after `blocks` blocks, that is `level` over all looks: what a p-value of signed ranks is compared with.
    #[must_use]
    pub fn level(&self, blocks: usize, level: f64) -> f64 {
        at_once(&self.smallest, level) * weight(blocks, self.most, SHAPE)
    }

    /// The most blocks that there can be.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most
    }

    /// The fewest blocks with which anything can be decided at `level`; none if not even all of them suffice.
    #[must_use]
    pub fn first(&self, level: f64) -> Option<usize> {
        (1..=self.most).find(|blocks| Null::of(*blocks).p(Score::default()) <= self.level(*blocks, level))
    }
}

/// Looks with a shape that is not the one in use: what the simulation compares.
#[derive(Clone, Debug)]
pub struct LooksOfShape {
    most: usize,
    shape: f64,
    smallest: Arc<[f64]>,
}

impl LooksOfShape {
    /// As [`Looks::level`].
    #[must_use]
    pub fn level(&self, blocks: usize, level: f64) -> f64 {
        at_once(&self.smallest, level) * weight(blocks, self.most, self.shape)
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of blocks and of paths")]
fn float(n: usize) -> f64 {
    n as f64
}

fn weight(blocks: usize, most: usize, shape: f64) -> f64 {
    (float(blocks) / float(most)).powf(shape)
}

fn over_all(smallest: &[f64], ratio: f64) -> f64 {
    let as_extreme = smallest.partition_point(|path| *path <= ratio * (1.0 + 1e-12));
    float(1 + as_extreme) / float(1 + smallest.len())
}

/// The ratio below which a look decides.
fn at_once(smallest: &[f64], level: f64) -> f64 {
    // The data is one path more.
    let paths = (level * float(1 + smallest.len()) * (1.0 + 1e-12)).floor();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most the number of paths"
    )]
    let paths = paths as usize;
    let Some(allowed) = paths.checked_sub(1) else { return 0.0 };
    // Just short of the first path that is one too many, by more than ratios are rounded.
    smallest.get(allowed).map_or(f64::INFINITY, |one_too_many| one_too_many * (1.0 - 1e-9))
}

/// The smallest ratio of each of many paths.
fn paths(most: usize, shape: f64, seed: u64) -> Arc<[f64]> {
    let nulls: Vec<Arc<Null>> = (0..=most).map(Null::of).collect();
    let mut draws = Draws::new(seed);
    let mut smallest: Vec<f64> = (0..PATHS)
        .map(|_| {
            // Signs in the order of the absolute differences.
            let mut signs: Vec<bool> = Vec::with_capacity(most);
            (1..=most).fold(f64::INFINITY, |smallest, blocks| {
                signs.insert(draws.below(blocks), draws.coin());
                let ranks = (1..=blocks).filter(|rank| signs[rank - 1]);
                let p = nulls[blocks].p(ranks.sum());
                smallest.min(p / weight(blocks, most, shape))
            })
        })
        .collect();
    smallest.sort_unstable_by(f64::total_cmp);
    smallest.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_look_is_as_if_there_were_none() {
        // One block has p-values 1/2 and 1 only.
        let looks = Looks::new(1).unwrap();
        assert!((looks.p(1, 0.5) - 0.5).abs() < 0.01);
        assert_eq!(looks.p(1, 1.0), 1.0);
    }

    #[test]
    fn p_over_all_looks_is_more_than_that_of_the_look_and_less_than_the_sum() {
        let looks = Looks::new(12).unwrap();
        for p in [0.01, 0.05] {
            let over_all = looks.p(12, p);
            assert!(over_all >= p && over_all <= 12.0 * p + 0.01, "{p}: {over_all}");
        }
        assert_eq!(looks.p(6, 1.0), 1.0);
    }

    #[test]
    fn the_level_of_a_look_is_the_largest_that_keeps_the_level_over_all() {
        for most in [6, 12, 20] {
            let looks = Looks::new(most).unwrap();
            for level in [0.05, 0.025, 0.05 / 3.0, 0.0025] {
                for blocks in 1..=most {
                    let at_once = looks.level(blocks, level);
                    assert!(looks.p(blocks, at_once) <= level * (1.0 + 1e-12), "{most} {level} {blocks}");
                    assert!(looks.p(blocks, at_once * (1.0 + 1e-6)) > level, "{most} {level} {blocks}");
                }
            }
        }
    }

    #[test]
    fn levels_grow_with_each_other_and_with_the_blocks() {
        let looks = Looks::new(16).unwrap();
        let mut before = 0.0;
        for thousandths in 1..=100_u32 {
            let level = looks.level(9, f64::from(thousandths) / 1000.0);
            assert!(level >= before);
            before = level;
        }
        for blocks in 2..=16 {
            assert!(looks.level(blocks, 0.05) >= looks.level(blocks - 1, 0.05));
        }
    }

    #[test]
    fn the_first_block_that_can_decide_is_known() {
        let looks = Looks::new(12).unwrap();
        let first = looks.first(0.05).unwrap();
        assert!(0.5_f64.powi(i32::try_from(first).unwrap()) <= looks.level(first, 0.05));
        assert!((5..=7).contains(&first), "{first}");
        assert_eq!(Looks::new(4).unwrap().first(0.05), None);
        assert!(Looks::new(65).is_none());
    }
}
