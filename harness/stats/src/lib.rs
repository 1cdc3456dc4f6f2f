//! Pure statistics: from one number per arm and block to a verdict.
//!
//! *Data in.* For each comparison a list of [`Block`]s. A block is one boot of every arm, so it holds one value of the
//! metric for the baseline and one for the candidate. The unit of replication is the boot: intervals within one boot
//! are correlated, and must be reduced to one value before they come here.
//!
//! *Effects.* The effect of block b is `d_b = ln(candidate_b / baseline_b)`; estimates and interval ends are printed as
//! relative changes `exp(d) - 1`. The logarithm makes a halving and a doubling equally far from "no change" and takes
//! out whatever slows a whole block down (a busy host, a drifting clock).
//!
//! *Tests.* Blocks are run in randomised order, so under "the candidate is the baseline shifted by `s`" each `d_b - s`
//! is as likely as its negative. Every p-value comes from that permutation within blocks and from nothing else: no
//! normality, no equal variances, and a boot that the host slowed down counts no more than its rank (see [`SignedRanks`]).
//!
//! *Verdicts.* [`judge`] holds up to a few gates to a family-wise level; [`explore`] looks at all the rest under a false
//! discovery rate.
//!
//! *Between runs.* Sets of boots that share no block have [`UnpairedShifts`] and [`median_interval`]: estimates to look at, from which
//! no verdict follows, unless it is known what the times do by themselves: then [`judge_between`] makes it part of the interval.
//!
//! *Identical arms.* [`false_alarms`] counts how often they look different, in boots as they were made.
//!
//! *Tests that pass or fail.* [`contrast`] compares how often each of many tests fails in two arms.
//!
//! *Before a run.* [`components`] says where values vary, [`PowerCurve`] and [`blocks_for`] what a number of boots can show.
//!
//! *Before its end.* [`Looks`] makes p-values and intervals that hold for looks after every block.
//!
//! *Over time.* [`change_point`] finds a change in a series, [`drift`] a level that wanders, [`two_groups`] boots that fall into two,
//! and [`change_within`] a level that changes within boots.
//!
//! What is drawn is drawn from seeds that stand in the code: the same input gives the same output on every machine. Values that are not finite are an error, values for
//! which a method is undefined give a reason instead of a number.
//!
//! Invariant: no I/O, no clock, no knowledge of metrics, kernels or files.

#![deny(missing_docs)]

mod alarms;
mod arms;
mod between;
mod block;
mod change;
mod components;
mod contrast;
mod draws;
mod drift;
mod expected;
mod explore;
mod fisher;
mod gate;
mod groups;
mod judge;
mod looks;
mod median;
mod multiplicity;
mod null;
mod parts;
mod power;
mod quantile;
mod quantiles;
mod resolution;
mod signed_rank;
mod summary;
mod unpaired;

pub use alarms::{Alarms, false_alarms};
pub use arms::{Pair, arms_differ, pairs};
pub use between::{BetweenRuns, TimeNoise, between, judge_between};
pub use block::{Block, Differences, NotComparable, Scale, Side};
pub use change::{Change, change_point};
pub use components::{Component, Components, Nested, components};
pub use contrast::{Class, Contrast, Tally, contrast};
pub use draws::Draws;
pub use drift::{Drifting, drift};
pub use expected::Course;
pub use explore::{Exploration, explore};
pub use fisher::{PassFail, fisher_exact};
pub use gate::{Better, Claim, Comparison, Effect, Judgement, Note, Verdict};
pub use groups::{Groups, two_groups};
pub use judge::{judge, judge_at};
pub use looks::{Looks, LooksOfShape};
pub use median::median_interval;
pub use multiplicity::{HolmStep, benjamini_hochberg, holm};
pub use parts::change_within;
pub use power::{PowerCurve, blocks_for, blocks_for_on};
pub use quantile::{Quantile, quantile};
pub use quantiles::{share_interval, student_t};
pub use resolution::{MOST_NEEDED, boots_needed, smallest_p};
pub use signed_rank::{Interval, SignedRanks, attainable_level};
pub use summary::{Summary, summarise};
pub use unpaired::UnpairedShifts;

/// What makes an analysis impossible: mistakes of the caller, never properties of a kernel.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StatsError {
    /// A value is NaN or infinite.
    #[error("value {value} of the {side} in block {block} is not finite")]
    NotFinite {
        /// Whose value.
        side: Side,
        /// Counted from 0, as in the input.
        block: usize,
        /// The value.
        value: f64,
    },
    /// A value of a plain list is NaN or infinite.
    #[error("value {value} at position {position} is not finite")]
    NotFiniteAt {
        /// Counted from 0.
        position: usize,
        /// The value.
        value: f64,
    },
    /// A family-wise level that cannot be judged at.
    #[error("level {alpha} is not between 0 and 0.5")]
    BadLevel {
        /// What was asked for.
        alpha: f64,
    },
    /// A margin that leaves nothing to judge.
    #[error("margin {margin} of comparison {comparison} is not between 0 and 1")]
    BadMargin {
        /// Counted from 0, as in the input.
        comparison: usize,
        /// What was asked for.
        margin: f64,
    },
}
