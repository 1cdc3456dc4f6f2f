//! Arms, their repetition, and what must hold.

use serde::{Deserialize, Serialize};

use crate::{Cell, DimensionValues, KernelSpec, Machine};

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Unique within the plan, and fit for a file's name: letters, digits, `-`, `_` and `.`, in a matrix also `@`, `=`, `,`.
    pub name: String,
    /// Its place in the matrix, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<Cell>,
    /// The kernel under test. In a two-machine topology both machines boot it; a level of a nested machine may name another arm's.
    pub kernel: KernelSpec,
    /// Extra kernel parameters, after those that the machine itself needs.
    pub cmdline: Vec<String>,
    /// Where it boots, with this arm's knobs and sysctls merged in.
    pub machine: Machine,
}

/// Repetition and order. The unit of replication is a boot: a block is one boot of every arm, in an order drawn anew
/// for each block from `seed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Design {
    /// Timed boots of each arm; equally the number of blocks. At most so many, if the run stops when all is decided.
    pub boots: u32,
    /// When no more of them are made.
    #[serde(default, skip_serializing_if = "Stop::is_at_the_end")]
    pub stop: Stop,
    /// Boots of each arm in which tracing collectors run; no timed sample comes from them.
    pub traced_boots: u32,
    /// Orders the boots within blocks.
    pub seed: u64,
    /// The level at which gates are judged, family-wise over all gates and candidate arms.
    pub alpha: f64,
    /// Longest time that one boot may take until the agent answers, in seconds.
    pub boot_deadline_s: u32,
    /// Where the evidence is exact: which replicate each block is, by its number. Number 0 is not perturbed; every other begins
    /// its workloads at another moment, with other random numbers and another state of memory. Empty where it is timed, and in
    /// plans of before there were any, whose blocks differ by their random numbers alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replicates: Vec<u32>,
    /// Whether replicates that are perturbed have another wire between two NICs as well. Plans of before it was one of what
    /// differs have it not, and are repeated as they were.
    #[serde(default, skip_serializing_if = "is_false")]
    pub link_delay: bool,
    /// So many of the first and of the last timed boots of each arm are made and do not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub trim: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// When a run makes no more timed boots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// When all are made.
    #[default]
    AtTheEnd,
    /// After the block at which every gate is decided. Its gates are held to their level over the looks after all blocks.
    WhenDecided,
}

impl Stop {
    /// Whether all boots are made in any case.
    #[must_use]
    pub fn is_at_the_end(&self) -> bool {
        *self == Self::AtTheEnd
    }
}

impl Design {
    /// So many timed boots of each arm, all of which count, and nothing else that is out of the ordinary.
    #[must_use]
    pub fn of(boots: u32) -> Self {
        Self {
            boots,
            stop: Stop::AtTheEnd,
            traced_boots: 0,
            seed: 1,
            alpha: 0.05,
            boot_deadline_s: 60,
            replicates: vec![],
            link_delay: false,
            trim: 0,
        }
    }

    /// Whether a timed boot of this block counts.
    #[must_use]
    pub fn counts(&self, block: u32) -> bool {
        self.trim == 0 || (self.trim..self.boots.saturating_sub(self.trim)).contains(&block)
    }

    /// Timed boots of each arm that count.
    #[must_use]
    pub fn counted_boots(&self) -> u32 {
        self.boots.saturating_sub(self.trim.saturating_mul(2))
    }

    /// Makes it `boots` timed boots of each arm. Replicates that are more than before go on counting.
    pub fn set_boots(&mut self, boots: u32) {
        if !self.replicates.is_empty() {
            self.replicates = (0..boots).map(|block| self.replicate(block).unwrap_or(block)).collect();
        }
        self.boots = boots;
    }

    /// The number of the replicate that a block is.
    #[must_use]
    pub fn replicate(&self, block: u32) -> Option<u32> {
        self.replicates.get(usize::try_from(block).ok()?).copied()
    }
}

/// Something that must hold between the baseline and every other arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Which number is judged.
    pub select: MetricSelector,
    /// Where in the matrix: at these values; everywhere if it is empty.
    #[serde(default, skip_serializing_if = "DimensionValues::is_empty")]
    pub at: DimensionValues,
    /// The relative change that matters, as a fraction of the baseline: 0.02 is two per cent.
    pub margin: f64,
    /// Which verdicts let the gate hold.
    pub expect: Expectation,
}

/// Names one series of samples: a metric of a workload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricSelector {
    /// The workload as the scenario file calls it: each of its places in the matrix is one to judge at.
    pub workload: String,
    /// The metric's name, as in `measure::metric`.
    pub metric: String,
    /// Dimensions that the samples must have, such as `percentile: "50"`; others are free but must then be single.
    pub dims: std::collections::BTreeMap<String, String>,
}

/// Which verdicts let a gate hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expectation {
    /// `same` or `better`.
    NotWorse,
    /// `same` only.
    Same,
    /// `better` only.
    Better,
}
