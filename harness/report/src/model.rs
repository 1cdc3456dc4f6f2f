//! The one model that every rendering reads.

use std::{collections::BTreeMap, path::PathBuf};

use measure::{BuildEnd, Complaint, CrashReport, Dims, GuestFacts, Provenance, TrialEnd, Unit};
use plan::{Dimension, Expectation, Flavour, Machine};
use serde::{Deserialize, Serialize};
use stats::{Exploration, Judgement, Summary};

use crate::{Calibration, Curve, LevelsOverTime, Profiled, Stopped, Suite, VoidCell};

/// Everything that a report says, as data. Built by [`crate::assemble`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Which run this is.
    pub run: RunSummary,
    /// What was planned.
    pub plan: PlanSummary,
    /// Where it ran.
    pub host: Host,
    /// In the order of the plan; the first is the baseline.
    pub arms: Vec<Arm>,
    /// Each gate of the plan at each of its places in the matrix on each candidate, in that order.
    pub gates: Vec<Gate>,
    /// Everything else that was measured, grouped by workload.
    pub explored: Vec<Row>,
    /// The same numbers along each dimension of the matrix, gated ones first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curves: Vec<Curve>,
    /// What the kernel's own tests said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suites: Vec<Suite>,
    /// Which functions differ, of a run that counted instructions: the first rows of each candidate's profile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<Profiled>,
    /// Cells whose path was not taken: none of their numbers are anywhere else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub voids: Vec<VoidCell>,
    /// What could not be measured, and why.
    pub unavailable: Vec<Unavailable>,
    /// What the caller wants to be read beside the result.
    pub warnings: Vec<String>,
    /// How far no change in work moves exact counts, if that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationSummary>,
    /// What identical arms do on this machine with these workloads, and what so many boots can show, in sentences; empty where that was not measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub noise: Vec<String>,
    /// Levels that change within boots, in the same place in each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<WithinChange>,
    /// What the levels of a machine did over time, in a traced boot of each arm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timelines: Vec<LevelsOverTime>,
}

/// A level that changes within the boots of one side, in the same place in each of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithinChange {
    /// What changes.
    pub series: SeriesKey,
    /// Whose boots.
    pub side: String,
    /// Unit of the values.
    pub unit: Unit,
    /// Boots whose tool said what their parts did.
    pub boots: usize,
    /// Parts of each.
    pub parts: usize,
    /// Length of a part in seconds; null where a part is a run of a command.
    pub seconds: Option<f64>,
    /// So many parts lie before the change.
    pub at: usize,
    /// The mean before it.
    pub before: f64,
    /// The mean from it on.
    pub after: f64,
    /// Of "nothing changes within boots", over all places of a change.
    pub p: f64,
    /// Every part's mean over all boots, in the order of time.
    pub means: Vec<f64>,
}

/// Which run this is, and how far it got.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSummary {
    /// Its name.
    pub name: String,
    /// Where it lies.
    pub folder: Option<PathBuf>,
    /// When it was started, RFC 3339.
    pub started: String,
    /// Version of the `assay` that ran it.
    pub assay: String,
    /// Whether every boot was made, or left out because its arm had failed before.
    pub finished: bool,
    /// How it came to its end, if it was to stop when all is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// What its budget had no time for, in sentences, with how to go on; empty if it had time for everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Boots that were planned, over all arms, traced ones included.
    pub boots_planned: u32,
    /// Boots that were made.
    pub boots_made: u32,
    /// Seconds spent on building kernels; none of it for kernels from the cache.
    pub build_seconds: f64,
    /// Seconds spent in trials, from power-on to power-off.
    pub trial_seconds: f64,
    /// Commands that repeat the run, one a line.
    pub repeat: Vec<String>,
}

/// What was planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanSummary {
    /// The scenario's name.
    pub scenario: String,
    /// The question that it asks.
    pub question: String,
    /// What the kernels of all arms are built for.
    #[serde(default, skip_serializing_if = "Flavour::is_plain")]
    pub flavour: Flavour,
    /// Gates that are not judged because of it, each in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<String>,
    /// What the scenario lists several values for, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Vec<Dimension>,
    /// Workload's name to what it runs.
    pub workloads: Vec<WorkloadSummary>,
    /// Timed boots of each arm; at most so many, if the run stops when all is decided.
    pub boots: u32,
    /// So many of the first and of the last of these do not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub trim: u32,
    /// Traced boots of each arm.
    pub traced_boots: u32,
    /// Family-wise level of the gates.
    pub alpha: f64,
    /// Seed of the order of boots.
    pub seed: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A workload in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadSummary {
    /// Its name in the plan.
    pub name: String,
    /// What the scenario calls it: its name without its place in the matrix.
    pub group: String,
    /// Its place in the matrix: the value of each dimension.
    #[serde(default, skip_serializing_if = "Dims::is_empty")]
    pub at: Dims,
    /// The tool and its parameters.
    pub runs: String,
}

/// The host, as far as it was recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// The CPU's own name for itself.
    pub cpu: Option<String>,
    /// Online CPUs.
    pub cpus: Option<u32>,
    /// Memory in MiB.
    pub memory_mib: Option<u64>,
    /// `uname -r` of the host.
    pub kernel: Option<String>,
    /// QEMU's version line.
    pub qemu: Option<String>,
    /// `kvm`, or `tcg` and the reason why not KVM.
    pub accel: Option<String>,
    /// How it stood for timed runs when the run began, by what: `governor`, `load`. Empty if nobody looked.
    #[serde(default)]
    pub bench: BTreeMap<String, String>,
}

/// One arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Its name in the plan.
    pub name: String,
    /// The side of the comparison that it belongs to: its name without its place in the matrix.
    pub side: String,
    /// Its place in the matrix: the value of each dimension.
    #[serde(default, skip_serializing_if = "Dims::is_empty")]
    pub at: Dims,
    /// The base's name.
    pub base: String,
    /// The series applied to it.
    pub series: Vec<SeriesSummary>,
    /// `CONFIG_` lines beyond the base's configuration.
    pub options: Vec<String>,
    /// Kernel parameters beyond the machine's own.
    pub cmdline: Vec<String>,
    /// Where it boots.
    pub machine: Machine,
    /// How its build ended; none if it was not built.
    pub build: Option<BuildEnd>,
    /// What its guests said of themselves, by the guest's name.
    pub guests: BTreeMap<String, GuestFacts>,
    /// Its boots, in the order in which they were made.
    pub trials: Vec<Trial>,
}

/// A series in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesSummary {
    /// Its folder's name.
    pub name: String,
    /// How many patches.
    pub patches: usize,
    /// The patches in the order in which they are applied.
    pub files: Vec<PatchSummary>,
}

/// A patch in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchSummary {
    /// Its file's name.
    pub name: String,
    /// Of its file, in hexadecimal.
    pub sha256: String,
}

/// One boot of an arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Position in the run's schedule; `trials/N` in the run's folder.
    pub index: u32,
    /// Its block.
    pub block: u32,
    /// Whether tracing collectors ran.
    pub traced: bool,
    /// Which replicate it is, where the evidence is exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perturbation: Option<measure::Perturbation>,
    /// How it ended.
    pub end: End,
    /// Seconds from power-on until every agent answered; none if one never did.
    pub boot_seconds: Option<f64>,
    /// Seconds from power-on to power-off.
    pub took_seconds: f64,
    /// Warnings of the kernel on a console, each with the guest's name.
    pub kernel_warnings: Vec<String>,
    /// What the kernels complained about, with their stacks; the fatal complaint of a crash among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub complaints: Vec<Complaint>,
    /// Those that they survived and that the plan says are known: they decide nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known_complaints: Vec<Complaint>,
    /// Boots that were made before it for this trial, and that the emulator spoilt: why, one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<String>,
}

/// What one boot yielded of a series; an array of three numbers in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(u32, u32, f64)", into = "(u32, u32, f64)")]
pub struct BootValue {
    /// Position in the run's schedule, as [`Trial::index`].
    pub trial: u32,
    /// Its block.
    pub block: u32,
    /// In the unit of the series.
    pub value: f64,
}

impl From<(u32, u32, f64)> for BootValue {
    fn from((trial, block, value): (u32, u32, f64)) -> Self {
        Self { trial, block, value }
    }
}

impl From<BootValue> for (u32, u32, f64) {
    fn from(boot: BootValue) -> Self {
        (boot.trial, boot.block, boot.value)
    }
}

/// How a boot ended, without its samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "kebab-case", deny_unknown_fields)]
pub enum End {
    /// All workloads ran.
    Measured,
    /// The kernel crashed or the machine hung.
    Crashed {
        /// What was seen.
        report: CrashReport,
    },
    /// A workload failed in a machine that lives.
    WorkloadFailed {
        /// The workload's name in the plan.
        workload: String,
        /// The tool's own words.
        message: String,
    },
    /// The guest cannot run what was asked.
    NotTestable {
        /// Which demand, and what the guest said.
        message: String,
    },
}

impl From<&TrialEnd> for End {
    fn from(end: &TrialEnd) -> Self {
        match end {
            TrialEnd::Measured { .. } => Self::Measured,
            TrialEnd::Crashed { report, .. } => Self::Crashed { report: report.clone() },
            TrialEnd::WorkloadFailed { workload, message, .. } => {
                Self::WorkloadFailed { workload: workload.clone(), message: message.clone() }
            }
            TrialEnd::NotTestable { message } => Self::NotTestable { message: message.clone() },
        }
    }
}

/// What a series of samples is: everything that tells it from others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesKey {
    /// The workload's name; none for what every boot yields.
    pub workload: Option<String>,
    /// The metric's name.
    pub metric: String,
    /// The dimensions by which the metric's samples differ, without those that describe the arm.
    pub dims: Dims,
    /// Its place in the matrix: the value of each dimension that the scenario lists.
    #[serde(default, skip_serializing_if = "Dims::is_empty")]
    pub at: Dims,
}

/// A gate on one candidate at one place of the matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// What is judged.
    pub series: SeriesKey,
    /// Unit of its values.
    pub unit: Unit,
    /// Which way it is better.
    pub better: measure::Better,
    /// Where its numbers come from; several are not compared.
    pub provenance: Vec<Provenance>,
    /// The candidate: the side that is compared with the baseline.
    pub arm: String,
    /// The baseline's values over all its boots.
    pub baseline: Option<Summary>,
    /// The candidate's values over all its boots.
    pub candidate: Option<Summary>,
    /// The baseline's value of each boot, by block.
    pub baseline_by_boot: Vec<BootValue>,
    /// The candidate's value of each boot, by block.
    pub candidate_by_boot: Vec<BootValue>,
    /// The relative change that matters.
    pub margin: f64,
    /// Which verdicts let the gate hold.
    pub expect: Expectation,
    /// Why the numbers were not compared although there are some.
    pub refused: Option<String>,
    /// What the data says.
    pub judgement: Judgement,
}

/// What was known, when it was judged, of how far no change in work moves exact counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationSummary {
    /// The run that measured it.
    pub run: String,
    /// When that was started, RFC 3339.
    pub started: String,
    /// How many patches that change no work it had.
    pub patches: usize,
    /// The largest change that one of them seemed to make, by what it is of. No margin of a gate is below it.
    pub largest: Vec<(SeriesKey, f64)>,
}

impl From<&Calibration> for CalibrationSummary {
    fn from(calibration: &Calibration) -> Self {
        let Calibration { run, started, patches, metrics, .. } = calibration;
        let largest = metrics.iter().map(|metric| (metric.series.clone(), metric.largest)).collect();
        Self { run: run.clone(), started: started.clone(), patches: patches.len(), largest }
    }
}

/// One series that no gate names, over all sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What it is.
    pub series: SeriesKey,
    /// Unit of its values.
    pub unit: Unit,
    /// Which way it is better.
    pub better: measure::Better,
    /// Where its numbers come from.
    pub provenance: Vec<Provenance>,
    /// The baseline's values over all its boots.
    pub baseline: Option<Summary>,
    /// The baseline's value of each boot, by block.
    pub baseline_by_boot: Vec<BootValue>,
    /// Each candidate, in the order of the plan.
    pub candidates: Vec<RowCandidate>,
}

/// One candidate in a [`Row`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowCandidate {
    /// The side of the comparison.
    pub arm: String,
    /// Its values over all its boots.
    pub values: Option<Summary>,
    /// Its value of each boot, by block.
    pub by_boot: Vec<BootValue>,
    /// The comparison with the baseline; none if it was refused.
    pub exploration: Option<Exploration>,
    /// Why it was refused.
    pub refused: Option<String>,
}

/// Something that could not be measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unavailable {
    /// What, and why not.
    pub reason: String,
    /// In how many boots.
    pub boots: u32,
}

impl Model {
    /// Whether its numbers were measured elsewhere: nothing of it can be judged.
    #[must_use]
    pub fn is_imported(&self) -> bool {
        self.arms.iter().any(|arm| matches!(arm.machine, Machine::Imported(_)))
    }

    /// The workload that a series is of; none for what every boot yields.
    #[must_use]
    pub fn workload_of(&self, key: &SeriesKey) -> Option<&WorkloadSummary> {
        self.plan.workloads.iter().find(|workload| {
            Some(&workload.group) == key.workload.as_ref()
                && workload.at.iter().all(|(name, value)| key.at.get(name) == Some(value))
        })
    }

    /// The sides of the comparison in the order of the plan; the first is the baseline.
    #[must_use]
    pub fn sides(&self) -> Vec<&str> {
        let mut sides: Vec<&str> = Vec::new();
        for arm in &self.arms {
            if !sides.contains(&arm.side.as_str()) {
                sides.push(&arm.side);
            }
        }
        sides
    }

    /// The side that every other is compared with.
    #[must_use]
    pub fn baseline_side(&self) -> &str {
        self.arms.first().map_or("baseline", |arm| &arm.side)
    }

    /// The sides that are compared with the baseline.
    #[must_use]
    pub fn candidate_sides(&self) -> Vec<&str> {
        self.sides().into_iter().skip(1).collect()
    }

    /// The arms that others are compared with, one for each place of the matrix.
    pub fn baselines(&self) -> impl Iterator<Item = &Arm> {
        self.arms.iter().filter(|arm| arm.side == self.baseline_side())
    }

    /// The arms that are compared with a baseline.
    pub fn candidates(&self) -> impl Iterator<Item = &Arm> {
        self.arms.iter().filter(|arm| arm.side != self.baseline_side())
    }

    /// The arm that `arm` is compared with: the baseline at the same place.
    #[must_use]
    pub fn baseline_of(&self, arm: &Arm) -> Option<&Arm> {
        self.baselines().find(|baseline| baseline.at == arm.at)
    }
}

impl Arm {
    /// How many of its boots ran all workloads.
    #[must_use]
    pub fn measured(&self) -> usize {
        self.trials.iter().filter(|trial| trial.end == End::Measured).count()
    }
}
