//! What is known of one trial once it is over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Complaint, Dims, GuestFacts, Perturbation, TestOutcome, Timeline, TrialEnd};

/// One boot of one arm, as it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialRecord {
    /// Position in the run's schedule, from 0.
    pub index: u32,
    /// The block that it belongs to; traced boots have blocks of their own.
    pub block: u32,
    /// The arm's name.
    pub arm: String,
    /// Whether tracing collectors ran: nothing timed comes from such a boot.
    pub traced: bool,
    /// When it was powered on, in seconds since 1970; absent in records of an Assay that did not look, and of what others measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<u64>,
    /// Which replicate it is, where the evidence is exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perturbation: Option<Perturbation>,
    /// How it ended.
    pub end: TrialEnd,
    /// What each guest said of itself, by the guest's name.
    pub facts: BTreeMap<String, GuestFacts>,
    /// Seconds from power-on until every agent answered; absent if one never did.
    pub boot_seconds: Option<f64>,
    /// Seconds from power-on to power-off.
    pub took_seconds: f64,
    /// What could not be measured, and why.
    pub unavailable: Vec<String>,
    /// Warnings of the kernel (`WARNING: ...`) on a console, with the guest's name.
    pub warnings: Vec<String>,
    /// What the kernels complained about, the fatal complaint of a crash among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub complaints: Vec<Complaint>,
    /// What each test of the kernel's own said, in the order in which they ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestOutcome>,
    /// Workloads that ran to their end on another path than the one that was asked for: none of their numbers count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub voids: Vec<Void>,
    /// Boots of this trial that the emulator spoilt, why each, in order: they were made again, and nothing of them counts. What they left is in folders
    /// `set-aside-1`, ... of the trial.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<String>,
    /// What tools said of parts of a workload: where values vary within a boot, and whether a level changes there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<Within>,
    /// Of a traced boot: what its levels did over time, workload by workload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timelines: Vec<Timeline>,
}

/// One metric of one workload of one boot, part by part. The boot's own value is a sample; these are not independent of each other, and
/// nothing is judged by them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Within {
    /// The metric's name.
    pub metric: String,
    /// The dimensions of the sample that these are parts of, the workload's name among them.
    pub dims: Dims,
    /// What each value is of.
    pub parts: Parts,
    /// In the order of time, in the metric's unit; always finite.
    pub values: Vec<f64>,
}

/// Parts of a workload in a boot.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Parts {
    /// Intervals of one run, of so many seconds each.
    Intervals {
        /// Their length.
        seconds: f64,
    },
    /// Runs of a command, one after the other.
    Runs,
}

impl Within {
    /// Most values of one workload: an interval of a long test is a mean of several of the tool's.
    pub const MOST: usize = 1_000;

    /// Parts of a sample; nothing where there are fewer than two, or one is not finite: then there is nothing to see within.
    #[must_use]
    pub fn new(metric: &str, dims: Dims, parts: Parts, values: Vec<f64>) -> Option<Self> {
        if values.len() < 2 || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let together = values.len().div_ceil(Self::MOST);
        #[expect(clippy::cast_precision_loss, reason = "few of them")]
        let of = together as f64;
        let (parts, values) = match parts {
            Parts::Intervals { seconds } if together > 1 => {
                let means = values.chunks_exact(together).map(|some| some.iter().sum::<f64>() / of);
                (Parts::Intervals { seconds: seconds * of }, means.collect())
            }
            _ => (parts, values.into_iter().take(Self::MOST).collect()),
        };
        Some(Self { metric: metric.to_owned(), dims, parts, values })
    }
}

/// A workload whose numbers say nothing about what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Void {
    /// Its name in the plan.
    pub workload: String,
    /// Why: one sentence, without a full stop.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_tests_are_kept_in_coarser_intervals() {
        let values: Vec<f64> = (0..2500).map(f64::from).collect();
        let within =
            Within::new("throughput", Dims::new(), Parts::Intervals { seconds: 1.0 }, values).unwrap();
        assert_eq!((within.values.len(), within.values[1]), (833, 4.0));
        assert_eq!(within.parts, Parts::Intervals { seconds: 3.0 });
    }

    #[test]
    fn one_part_says_nothing_of_what_is_within() {
        let within = |values: &[f64]| Within::new("score", Dims::new(), Parts::Runs, values.to_vec());
        assert_eq!((within(&[1.0]), within(&[1.0, f64::NAN])), (None, None));
        assert!(within(&[1.0, 2.0]).is_some());
    }
}
