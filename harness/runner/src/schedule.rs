//! The order of boots: a pure function of the plan.

use plan::Plan;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha12Rng;

/// One boot that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Position in the schedule, from 0.
    pub index: u32,
    /// The block that it belongs to, from 0; traced boots come after all timed ones, in blocks of their own.
    pub block: u32,
    /// The arm's name.
    pub arm: String,
    /// Whether tracing collectors run, and nothing is timed.
    pub traced: bool,
}

/// Every boot of the plan, in order. A block is one boot of every arm, in an order drawn for that block from the
/// plan's seed: drift between blocks then falls on all arms alike (randomised complete blocks).
#[must_use]
pub fn schedule(plan: &Plan) -> Vec<Trial> {
    let mut random = ChaCha12Rng::seed_from_u64(plan.design.seed);
    let mut trials = Vec::new();
    let mut index = 0;
    for block in 0..plan.design.boots + plan.design.traced_boots {
        let mut arms: Vec<&str> = plan.arms.iter().map(|arm| arm.name.as_str()).collect();
        arms.shuffle(&mut random);
        for arm in arms {
            trials.push(Trial { index, block, arm: arm.to_owned(), traced: block >= plan.design.boots });
            index += 1;
        }
    }
    trials
}

#[cfg(test)]
mod tests {
    use plan::{Arm, Base, ConfigStart, Design, FakeMachine, KernelConfig, KernelSpec, Machine, Source};

    use super::*;

    fn plan(seed: u64) -> Plan {
        let arm = |name: &str| Arm {
            name: name.into(),
            cell: None,
            kernel: KernelSpec {
                base: Base {
                    name: "image".into(),
                    version: "6.12".into(),
                    source: Source::PrebuiltImage { image: "/image".into(), modules: None, config: None },
                    config: KernelConfig {
                        start: ConfigStart::Tinyconfig,
                        fragments: vec![],
                        tree_fragments: Vec::new(),
                    },
                    flavour: plan::Flavour::Plain,
                },
                series: vec![],
                options: vec![],
            },
            cmdline: vec![],
            machine: Machine::Fake(FakeMachine { script: "/script".into() }),
        };
        Plan {
            format: plan::FORMAT,
            name: "test".into(),
            question: "In which order?".into(),
            dimensions: Vec::new(),
            arms: vec![arm("a"), arm("b"), arm("c")],
            workloads: vec![],
            collectors: vec![],
            design: Design { traced_boots: 2, seed, ..Design::of(40) },
            gates: vec![],
            test_gates: vec![],
            known_complaints: vec![],
        }
    }

    #[test]
    fn every_block_has_every_arm_once_and_traced_boots_come_last() {
        let trials = schedule(&plan(1));
        assert_eq!(trials.len(), 42 * 3);
        for (block, trials) in trials.chunks(3).enumerate() {
            let mut arms: Vec<_> = trials.iter().map(|trial| trial.arm.as_str()).collect();
            arms.sort_unstable();
            assert_eq!(arms, ["a", "b", "c"]);
            assert!(trials.iter().all(|trial| trial.block as usize == block));
            assert!(trials.iter().all(|trial| trial.traced == (block >= 40)));
        }
        assert!(trials.iter().zip(0..).all(|(trial, index)| trial.index == index));
    }

    #[test]
    fn the_seed_decides_the_order() {
        assert_eq!(schedule(&plan(1)), schedule(&plan(1)));
        assert_ne!(schedule(&plan(1)), schedule(&plan(2)));
    }

    #[test]
    fn no_arm_is_always_first() {
        let trials = schedule(&plan(1));
        for arm in ["a", "b", "c"] {
            let first = trials.chunks(3).filter(|block| block[0].arm == arm).count();
            assert!((5..25).contains(&first), "{arm} is first in {first} of 42 blocks");
        }
    }
}
