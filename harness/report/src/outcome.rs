//! What the run as a whole says, and why.

use std::collections::BTreeSet;

use measure::{BuildEnd, CrashKind};
use plan::Expectation;
use serde::{Deserialize, Serialize};
use stats::Verdict;

use crate::{Arm, End, Gate, Model, describe, number};

/// The run's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every gate holds, and no arm fails.
    Holds,
    /// Nothing fails, but something could not be decided.
    Unclear,
    /// A gate fails, or an arm does.
    Fails,
}

impl Outcome {
    /// The exit code of `assay run` and `assay report`.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Holds => 0,
            Self::Fails => 1,
            Self::Unclear => 3,
        }
    }

    /// The word, as in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Unclear => "unclear",
            Self::Fails => "fails",
        }
    }
}

/// The run's result with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conclusion {
    /// The result: that of the gravest reason.
    pub outcome: Outcome,
    /// One sentence each, without a full stop, gravest first.
    pub reasons: Vec<String>,
}

/// The run's result: fails before unclear before holds.
#[must_use]
pub fn overall(model: &Model) -> Outcome {
    conclude(model).outcome
}

/// The run's result with its reasons.
#[must_use]
pub fn conclude(model: &Model) -> Conclusion {
    let mut found = Vec::new();
    found.extend(
        model.baseline().and_then(|baseline| baseline_failure(baseline, model.candidates().is_empty())),
    );
    // Without a baseline there is nothing to hold a candidate's failures or gates against.
    if found.is_empty() {
        let known = model.baseline().map(signs).unwrap_or_default();
        found.extend(model.candidates().iter().flat_map(|arm| candidate_failures(arm, &known)));
        found.extend(model.gates.iter().map(gate_reason));
    }
    if !model.run.finished {
        let (made, planned) = (model.run.boots_made, model.run.boots_planned);
        let reason = format!("the run is not finished: {made} of {planned} boots were made");
        found.push((Outcome::Unclear, reason));
    }
    if found.is_empty() {
        found.push((Outcome::Holds, "no gate was asked for, and no arm failed".to_owned()));
    }
    found.sort_by_key(|(outcome, _)| std::cmp::Reverse(*outcome));
    let outcome = found.first().map_or(Outcome::Holds, |(outcome, _)| *outcome);
    Conclusion { outcome, reasons: found.into_iter().map(|(_, reason)| reason).collect() }
}

/// Whether a gate holds.
#[must_use]
pub fn gate_outcome(gate: &Gate) -> Outcome {
    match (gate.judgement.verdict, gate.expect) {
        (Verdict::Unclear, _) => Outcome::Unclear,
        (Verdict::Same, Expectation::NotWorse | Expectation::Same)
        | (Verdict::Better, Expectation::NotWorse | Expectation::Better) => Outcome::Holds,
        (Verdict::Worse, _) | (Verdict::Same, Expectation::Better) | (Verdict::Better, Expectation::Same) => {
            Outcome::Fails
        }
    }
}

/// A gate's part in the result, and its reason as [`conclude`] gives it.
pub(crate) fn gate_reason(gate: &Gate) -> (Outcome, String) {
    let (what, verdict) = (describe::label(&gate.series), gate.judgement.verdict);
    let expected = describe::expectation(gate.expect);
    (gate_outcome(gate), format!("{what}, {}: {verdict} (expected: {expected})", gate.arm))
}

/// What an arm's failure looks like, to tell a new one from one that the baseline has as well.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sign {
    Crash(&'static str, String),
    WorkloadFailed(String),
    NotTestable,
}

impl Sign {
    fn of(end: &End) -> Option<Self> {
        match end {
            End::Measured => None,
            // A hang has no words of its own; what the harness says of it may differ from boot to boot.
            End::Crashed { report } if matches!(report.kind, CrashKind::BootHang | CrashKind::Hang) => {
                Some(Self::Crash(describe::crash(report.kind), String::new()))
            }
            End::Crashed { report } => Some(Self::Crash(describe::crash(report.kind), report.title.clone())),
            End::WorkloadFailed { workload, .. } => Some(Self::WorkloadFailed(workload.clone())),
            End::NotTestable { .. } => Some(Self::NotTestable),
        }
    }

    fn phrase(&self) -> String {
        match self {
            Self::Crash(kind, title) if title.is_empty() => (*kind).to_owned(),
            Self::Crash(kind, title) => format!("{kind} ({title})"),
            Self::WorkloadFailed(workload) => format!("failure of workload {workload}"),
            Self::NotTestable => "not testable".to_owned(),
        }
    }
}

/// Every way in which an arm's boots failed.
fn signs(arm: &Arm) -> BTreeSet<Sign> {
    arm.trials.iter().filter_map(|trial| Sign::of(&trial.end)).collect()
}

/// `panic (Kernel panic - ...) in 2 of 12 boots`.
fn in_boots(arm: &Arm, sign: &Sign) -> String {
    let boots = arm.trials.iter().filter(|trial| Sign::of(&trial.end).as_ref() == Some(sign)).count();
    format!("{} in {boots} of {}", sign.phrase(), number::counted(arm.trials.len(), "boot"))
}

/// In what way an arm's build failed.
pub(crate) fn build_failure(build: &BuildEnd) -> Option<String> {
    match build {
        BuildEnd::Built(_) => None,
        BuildEnd::DoesNotApply(failure) => Some(format!("does not apply: {}", failure.patch)),
        BuildEnd::DoesNotCompile { .. } => Some("does not compile".to_owned()),
        BuildEnd::ConfigLost { problems } => {
            Some(format!("lacks options that were asked for: {}", problems.join("; ")))
        }
    }
}

/// The baseline counts as failed if it yields nothing to compare with. A single arm has to stand every boot.
fn baseline_failure(arm: &Arm, alone: bool) -> Option<(Outcome, String)> {
    let so = if alone { "" } else { ", so nothing can be compared" };
    if let Some(failure) = arm.build.as_ref().and_then(build_failure) {
        return Some((Outcome::Fails, format!("{} {failure}{so}", whose(arm, alone))));
    }
    let signs = signs(arm);
    if signs.is_empty() || (arm.measured() > 0 && !alone) {
        return None;
    }
    // What cannot be tested says nothing about the kernel.
    let testable = signs.iter().any(|sign| *sign != Sign::NotTestable);
    let outcome = if testable { Outcome::Fails } else { Outcome::Unclear };
    let phrases: Vec<_> = signs.iter().map(|sign| in_boots(arm, sign)).collect();
    Some((outcome, format!("{}: {}{so}", whose(arm, alone), phrases.join(", "))))
}

fn whose(arm: &Arm, alone: bool) -> String {
    match arm.name.as_str() {
        name if alone => name.to_owned(),
        "baseline" => "the baseline".to_owned(),
        name => format!("the baseline ({name})"),
    }
}

fn candidate_failures(arm: &Arm, known: &BTreeSet<Sign>) -> Vec<(Outcome, String)> {
    if let Some(failure) = arm.build.as_ref().and_then(build_failure) {
        return vec![(Outcome::Fails, format!("{} {failure}", arm.name))];
    }
    let failure = |sign: &Sign| {
        let what = format!("{}: {}", arm.name, in_boots(arm, sign));
        match sign {
            Sign::NotTestable => (Outcome::Unclear, what),
            _ if known.contains(sign) => (Outcome::Unclear, format!("{what}, and the baseline has the same")),
            _ => (Outcome::Fails, format!("{what}, which the baseline does not have")),
        }
    };
    signs(arm).iter().map(failure).collect()
}
