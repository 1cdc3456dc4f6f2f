//! Twenty gates at once, whose metrics vary together.

use stats::{Better, Block, Comparison, Draws, Verdict, explore, judge};

use crate::{ALPHA, MARGIN, Share, World, world::Pairs};

/// Gates of a run.
const METRICS: usize = 20;
/// Correlation of two metrics of one boot.
const CORRELATION: f64 = 0.5;

/// What twenty gates yield.
#[derive(Clone, Copy, Debug)]
pub struct Many {
    /// Where values vary.
    pub world: World,
    /// Boots of each arm.
    pub boots: usize,
    /// Any of twenty `worse`, although each change is just the margin.
    pub any_false_worse: Share,
    /// Any alarm among twenty, each judged as if it were alone: what Holm's procedure is there for.
    pub any_unadjusted: Share,
    /// Any discovery among twenty identical metrics that no gate names, at a false discovery rate of 5 %.
    pub any_false_discovery: Share,
    /// Gates called `worse` of those that are, by an effect that a test which knows the variances and uses Holm's first level would find in 90 of 100.
    pub found: Share,
}

/// Simulates one cell.
#[must_use]
pub fn many(world: World, boots: usize, data_sets: usize, seed: u64) -> Many {
    let mut draws = Draws::new(seed);
    let (boundary, own, shared) = ((-MARGIN).ln_1p(), (1.0 - CORRELATION).sqrt(), CORRELATION.sqrt());
    // The quantile of 0.05 / 20.
    let effect = (2.807_033_768 + crate::Z_POWER) * world.of_mean_difference(boots);
    let mut cell = Many {
        world,
        boots,
        any_false_worse: Share::default(),
        any_unadjusted: Share::default(),
        any_false_discovery: Share::default(),
        found: Share::default(),
    };
    for _ in 0..data_sets {
        let common = world.draw(&mut draws, boots);
        let metrics: Vec<Pairs> = (0..METRICS)
            .map(|_| {
                let own_part = world.draw(&mut draws, boots);
                let mix = |own_boots: &[Vec<f64>], common: &[Vec<f64>]| -> Vec<Vec<f64>> {
                    own_boots
                        .iter()
                        .zip(common)
                        .map(|(a, b)| a.iter().zip(b).map(|(a, b)| own * a + shared * b).collect())
                        .collect()
                };
                Pairs {
                    baseline: mix(&own_part.baseline, &common.baseline),
                    candidate: mix(&own_part.candidate, &common.candidate),
                }
            })
            .collect();
        let gates = |shift: f64| -> Vec<Comparison> {
            metrics
                .iter()
                .map(|pairs| Comparison {
                    blocks: pairs.blocks(shift),
                    better: Better::Higher,
                    margin: MARGIN,
                })
                .collect()
        };
        let worse = |gates: &[Comparison]| -> usize {
            let judged =
                judge(gates, ALPHA).expect("finite values, a level and a margin that mean something");
            judged.iter().filter(|judgement| judgement.verdict == Verdict::Worse).count()
        };
        let at_boundary = gates(boundary);
        cell.any_false_worse.add(worse(&at_boundary) > 0);
        cell.any_unadjusted.add(at_boundary.iter().any(|gate| worse(std::slice::from_ref(gate)) > 0));
        let identical: Vec<Vec<Block>> = metrics.iter().map(|pairs| pairs.blocks(0.0)).collect();
        let explored = explore(&identical).expect("finite values");
        cell.any_false_discovery.add(explored.iter().any(|found| found.q.is_some_and(|q| q <= ALPHA)));
        let found = worse(&gates(boundary - effect));
        cell.found.of += found;
        cell.found.all += METRICS;
    }
    cell
}
