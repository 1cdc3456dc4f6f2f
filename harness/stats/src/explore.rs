//! All comparisons that no gate names: leads to follow, not verdicts.

use serde::{Deserialize, Serialize};

use crate::{Block, Differences, Effect, NotComparable, SignedRanks, StatsError, benjamini_hochberg};

/// Exploratory intervals have 95 % confidence, each for itself.
const LEVEL: f64 = 0.025;
/// Comparisons from which on another thread pays.
const MANY: usize = 200;

/// What one exploratory comparison shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exploration {
    /// With a 95 % interval for this comparison alone; none if the arms are not comparable. Relative where all values are
    /// positive, absolute otherwise.
    pub effect: Option<Effect>,
    /// Why there is no effect.
    pub not_comparable: Option<NotComparable>,
    /// Two-sided p-value of "no difference", unadjusted.
    pub p: Option<f64>,
    /// That p-value adjusted for the false discovery rate among everything explored together (Benjamini-Hochberg).
    pub q: Option<f64>,
    /// Blocks with a value of both arms.
    pub used: usize,
    /// Blocks that lack a value of one arm or of both.
    pub left_out: usize,
}

/// Explores comparisons together: each entry holds the blocks of one comparison. In the order of the input.
///
/// # Errors
/// A value that is not finite.
pub fn explore(comparisons: &[Vec<Block>]) -> Result<Vec<Exploration>, StatsError> {
    let mut explored = look_at_all(comparisons)?;
    let p: Vec<f64> = explored.iter().filter_map(|exploration| exploration.p).collect();
    let mut adjusted = benjamini_hochberg(&p).into_iter();
    for exploration in explored.iter_mut().filter(|exploration| exploration.p.is_some()) {
        exploration.q = adjusted.next();
    }
    Ok(explored)
}

/// Each comparison by itself, on all processors where there are many: a large run has thousands of series.
fn look_at_all(comparisons: &[Vec<Block>]) -> Result<Vec<Exploration>, StatsError> {
    let look_at = |some: &[Vec<Block>]| some.iter().map(|blocks| look(blocks)).collect::<Result<Vec<_>, _>>();
    let threads = if comparisons.len() < MANY {
        1
    } else {
        std::thread::available_parallelism().map_or(1, |threads| threads.get())
    };
    if threads == 1 {
        return look_at(comparisons);
    }
    let parts = std::thread::scope(|scope| {
        let look_at = &look_at;
        let threads: Vec<_> = comparisons
            .chunks(comparisons.len().div_ceil(threads))
            .map(|some| scope.spawn(move || look_at(some)))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("exploring does not panic")).collect::<Vec<_>>()
    });
    let mut all = Vec::with_capacity(comparisons.len());
    for part in parts {
        all.extend(part?);
    }
    Ok(all)
}

fn look(blocks: &[Block]) -> Result<Exploration, StatsError> {
    let differences = Differences::relative_or_absolute(blocks)?;
    let tested = differences.map(|differences| {
        let ranks = SignedRanks::new(&differences.values);
        (Effect::new(&differences, ranks.interval(LEVEL), &ranks, LEVEL), ranks.p_equal(0.0))
    });
    let left_out = blocks.iter().filter(|block| !block.is_complete()).count();
    Ok(Exploration {
        effect: tested.ok().map(|(effect, _)| effect),
        not_comparable: tested.err(),
        p: tested.ok().map(|(_, p)| p),
        q: None,
        used: blocks.len() - left_out,
        left_out,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scale;

    #[test]
    fn adjusts_over_what_could_be_tested_only() {
        let shifted: Vec<Block> = (0..8).map(|b| Block::both(10.0, 11.0 + f64::from(b) / 100.0)).collect();
        let alike: Vec<Block> =
            (0..8).map(|b| Block::both(10.0, 10.0 * (f64::from(b % 2) - 0.5).exp())).collect();
        let nothing = vec![Block::default(); 8];
        let explored = explore(&[shifted, nothing, alike]).unwrap();
        // Two tests, the smaller p is 2 / 2^8: adjusted by two and not by three.
        assert_eq!(explored[0].p, Some(2.0 / 256.0));
        assert_eq!(explored[0].q, Some(4.0 / 256.0));
        assert_eq!((explored[1].p, explored[1].q, explored[1].left_out), (None, None, 8));
        assert_eq!(explored[1].not_comparable, Some(NotComparable::NoBlocks));
        assert!(explored[2].q.unwrap() > 0.5);
    }

    #[test]
    fn many_comparisons_are_each_what_they_are_alone() {
        let blocks = |n: usize| -> Vec<Block> {
            // Different numbers of blocks, in an order that no thread shares.
            (0..3 + n % 7).map(|b| Block::both(10.0, 10.0 + ((n * 31 + b * 17) % 13) as f64 - 6.0)).collect()
        };
        let many: Vec<Vec<Block>> = (0..3 * MANY + 1).map(blocks).collect();
        let together = explore(&many).unwrap();
        for (blocks, together) in many.iter().zip(&together) {
            let alone = explore(std::slice::from_ref(blocks)).unwrap().remove(0);
            assert_eq!(Exploration { q: None, ..alone }, Exploration { q: None, ..together.clone() });
        }
        let p: Vec<f64> = together.iter().filter_map(|exploration| exploration.p).collect();
        let q: Vec<f64> = together.iter().filter_map(|exploration| exploration.q).collect();
        assert_eq!(q, benjamini_hochberg(&p));
    }

    #[test]
    fn counts_that_can_be_zero_are_compared_by_difference() {
        let blocks: Vec<Block> = (0..7).map(|b| Block::both(0.0, f64::from(b))).collect();
        let exploration = explore(&[blocks]).unwrap().remove(0);
        let effect = exploration.effect.unwrap();
        assert_eq!((effect.scale, effect.estimate, effect.confidence), (Scale::Absolute, 3.0, 0.95));
    }

    #[test]
    fn a_metric_that_never_changes_is_no_difference() {
        let exploration = explore(&[vec![Block::both(0.0, 0.0); 9]]).unwrap().remove(0);
        let effect = exploration.effect.unwrap();
        assert_eq!((exploration.p, effect.estimate), (Some(1.0), 0.0));
    }
}
