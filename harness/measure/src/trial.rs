//! What is known of one trial once it is over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Complaint, GuestFacts, Perturbation, TestOutcome, TrialEnd};

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
