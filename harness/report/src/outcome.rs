//! What the run as a whole says, and why.

use std::collections::BTreeSet;

use measure::{BuildEnd, CrashKind, Dims};
use plan::{Expectation, TestExpectation};
use serde::{Deserialize, Serialize};
use stats::Verdict;

use crate::{
    Arm, End, Gate, Model, Suite, SuiteComparison, Trial, describe, number,
    places::{self, asked},
    suite::words,
    void,
};

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
    let without = places_without_baseline(model);
    let mut found: Vec<(Outcome, String)> = without.iter().map(|(_, failure)| failure.clone()).collect();
    // Without a baseline there is nothing to hold a candidate's failures or gates against.
    for arm in model.candidates().filter(|arm| has_baseline(&without, &arm.at)) {
        let known = model.baseline_of(arm).map(signs).unwrap_or_default();
        found.extend(candidate_failures(model, arm, &known));
    }
    found.extend(gates_without_values(model, &without));
    found.extend(reasons_of_gates(model));
    found.extend(reasons_of_tests(model, &without));
    found.extend(void::reasons(model));
    // A build that fails does so at every place.
    let mut told = BTreeSet::new();
    found.retain(|(_, reason)| told.insert(reason.clone()));
    if !model.run.finished {
        let (made, planned) = (model.run.boots_made, model.run.boots_planned);
        if model.run.left_out.is_empty() {
            let reason = format!("the run is not finished: {made} of {planned} boots were made");
            found.push((Outcome::Unclear, reason));
        } else {
            // Time decided what was left out, not the data, so that what is there is judged like any other run.
            let outcome = if found.is_empty() { Outcome::Unclear } else { Outcome::Holds };
            found.push((outcome, format!("its budget had time for {made} of {planned} boots")));
        }
    }
    if found.is_empty() {
        let none = match (model.plan.flavour.is_plain(), model.candidates().next().is_some()) {
            (true, _) if model.is_imported() => "imported: there is nothing to judge",
            (true, _) => "no gate was asked for, and no arm failed",
            (false, true) => "no kernel complains of anything that the baseline's does not",
            (false, false) => "the kernel complains of nothing",
        };
        found.push((Outcome::Holds, none.to_owned()));
    }
    found.sort_by_key(|(outcome, _)| std::cmp::Reverse(*outcome));
    let outcome = found.first().map_or(Outcome::Holds, |(outcome, _)| *outcome);
    Conclusion { outcome, reasons: found.into_iter().map(|(_, reason)| reason).collect() }
}

/// Places of the matrix whose baseline yields nothing to compare with, with the reason.
type Without<'a> = Vec<(&'a Dims, (Outcome, String))>;

fn places_without_baseline(model: &Model) -> Without<'_> {
    let alone = model.candidates().next().is_none();
    let failed = |arm| baseline_failure(model, arm, alone);
    model.baselines().filter_map(|baseline| Some((&baseline.at, failed(baseline)?))).collect()
}

fn has_baseline(without: &Without<'_>, at: &Dims) -> bool {
    let is_there = |place: &Dims| place.iter().all(|(name, value)| at.get(name) == Some(value));
    !without.iter().any(|(place, _)| is_there(place))
}

/// The gates' part in the result, with the reasons as [`conclude`] gives them: one for each verdict among gates that differ in
/// their places only.
pub(crate) fn reasons_of_gates(model: &Model) -> Vec<(Outcome, String)> {
    let without = places_without_baseline(model);
    let mut reasons = Vec::new();
    for gates in asked(&model.gates) {
        let is_judged =
            |gate: &&Gate| has_baseline(&without, &gate.series.at) && ending(model, gate).is_none();
        let judged: Vec<&Gate> = gates.iter().filter(is_judged).collect();
        reasons.extend(places::verdicts(&judged).into_iter().map(|(gate, verdict)| {
            let (what, expected) = (places::label(&gate.series), describe::expectation(gate.expect));
            (gate_outcome(gate), format!("{what}, {}: {verdict} (expected: {expected})", gate.arm))
        }));
    }
    reasons
}

/// Gates of candidates that crash: what nobody lives to see measured does not hold.
fn gates_without_values(model: &Model, without: &Without<'_>) -> Vec<(Outcome, String)> {
    let reason = |gate: &Gate| {
        let (what, expected) = (places::label(&gate.series), describe::expectation(gate.expect));
        let end = ending(model, gate)?;
        Some((
            Outcome::Fails,
            format!("{what}, {}: no value, every boot ended in {end} (expected: {expected})", gate.arm),
        ))
    };
    model.gates.iter().filter(|gate| has_baseline(without, &gate.series.at)).filter_map(reason).collect()
}

/// What every boot of a gate's candidate ended in, if none was measured and one crashed.
fn ending(model: &Model, gate: &Gate) -> Option<String> {
    let is_there = |arm: &&Arm| {
        arm.side == gate.arm && arm.at.iter().all(|(name, value)| gate.series.at.get(name) == Some(value))
    };
    let arm = model.candidates().find(is_there).filter(|arm| arm.measured() == 0)?;
    let crash = arm.trials.iter().filter_map(Sign::of_end).find(|sign| matches!(sign, Sign::Crash(..)))?;
    let known = model.baseline_of(arm).map(signs).unwrap_or_default();
    (!known.contains(&crash)).then(|| crash.phrase())
}

/// The part of gates on tests in the result.
fn reasons_of_tests(model: &Model, without: &Without<'_>) -> Vec<(Outcome, String)> {
    let judged = |suite: &Suite, comparison: &SuiteComparison| {
        let gate = comparison.gate.as_ref().filter(|_| has_baseline(without, &comparison.at))?;
        let expected = words::expectation(gate.expect);
        let what = format!("{}, {}", suite.workload, comparison.arm);
        Some((gate.outcome, format!("{what}: {} (expected: {expected})", gate.reasons.join("; "))))
    };
    let of = |suite| move |comparison| judged(suite, comparison);
    model.suites.iter().flat_map(|suite| suite.comparisons.iter().filter_map(of(suite))).collect()
}

/// Whether a gate holds.
#[must_use]
pub fn gate_outcome(gate: &Gate) -> Outcome {
    of_verdict(gate.judgement.verdict, gate.expect)
}

/// Whether a verdict is one that is expected.
pub(crate) fn of_verdict(verdict: Verdict, expect: Expectation) -> Outcome {
    match (verdict, expect) {
        (Verdict::Unclear, _) => Outcome::Unclear,
        (Verdict::Same, Expectation::NotWorse | Expectation::Same)
        | (Verdict::Better, Expectation::NotWorse | Expectation::Better) => Outcome::Holds,
        (Verdict::Worse, _) | (Verdict::Same, Expectation::Better) | (Verdict::Better, Expectation::Same) => {
            Outcome::Fails
        }
    }
}

/// What an arm's failure looks like, to tell a new one from one that the baseline has as well.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sign {
    Crash(&'static str, String),
    /// Of a kernel that went on: kind and title.
    Complaint(&'static str, String),
    WorkloadFailed(String),
    NotTestable,
}

impl Sign {
    /// Every sign of one boot.
    fn of(trial: &Trial) -> Vec<Self> {
        let survived = trial.complaints.iter().filter(|complaint| !complaint.fatal);
        let survived =
            survived.map(|complaint| Self::Complaint(complaint.kind.words(), complaint.title.clone()));
        Self::of_end(trial).into_iter().chain(survived).collect()
    }

    fn of_end(trial: &Trial) -> Option<Self> {
        let fatal = trial.complaints.iter().find(|complaint| complaint.fatal);
        match &trial.end {
            End::Measured => None,
            // Its title has no addresses and numbers, which differ from boot to boot.
            End::Crashed { .. } if let Some(complaint) = fatal => {
                Some(Self::Crash(complaint.kind.words(), complaint.title.clone()))
            }
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
            Self::Complaint(kind, title) => format!("{kind} ({title})"),
            Self::WorkloadFailed(workload) => format!("failure of workload {workload}"),
            Self::NotTestable => "not testable".to_owned(),
        }
    }
}

/// Every way in which an arm's boots failed.
fn signs(arm: &Arm) -> BTreeSet<Sign> {
    arm.trials.iter().flat_map(Sign::of).collect()
}

/// `panic (Kernel panic - ...) in 2 of 12 boots`.
fn in_boots(arm: &Arm, sign: &Sign) -> String {
    let boots = arm.trials.iter().filter(|trial| Sign::of(trial).contains(sign)).count();
    format!("{} in {boots} of {}", sign.phrase(), number::counted(arm.trials.len(), "boot"))
}

/// In what way an arm's build failed; none if it did not.
#[must_use]
pub fn build_failure(build: &BuildEnd) -> Option<String> {
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
fn baseline_failure(model: &Model, arm: &Arm, alone: bool) -> Option<(Outcome, String)> {
    let so = match (alone, arm.at.is_empty()) {
        (true, _) => "",
        (false, true) => ", so nothing can be compared",
        (false, false) => ", so nothing can be compared there",
    };
    if let Some(failure) = arm.build.as_ref().and_then(build_failure) {
        let whose = whose(build_name(model, arm), alone);
        return Some((Outcome::Fails, format!("{whose} {failure}{so}")));
    }
    let signs = signs(arm);
    if signs.is_empty() || (arm.measured() > 0 && !alone) {
        return None;
    }
    let of_kernel = |sign: &Sign| matches!(sign, Sign::Crash(..) | Sign::Complaint(..));
    if !alone && signs.iter().all(of_kernel) && is_to_be_fixed(model, arm) {
        return None;
    }
    // What cannot be tested says nothing about the kernel.
    let testable = signs.iter().any(|sign| *sign != Sign::NotTestable);
    let outcome = if testable { Outcome::Fails } else { Outcome::Unclear };
    let phrases: Vec<_> = signs.iter().map(|sign| in_boots(arm, sign)).collect();
    Some((outcome, format!("{}: {}{so}", whose(&arm.name, alone), phrases.join(", "))))
}

/// Whether a gate asks for a fix of what the baseline does: then that gate decides what its crashes mean.
fn is_to_be_fixed(model: &Model, baseline: &Arm) -> bool {
    model
        .suites
        .iter()
        .flat_map(|suite| &suite.comparisons)
        .filter(|comparison| comparison.baseline == baseline.name)
        .filter_map(|comparison| comparison.gate.as_ref())
        .any(|gate| gate.expect == TestExpectation::Fixed)
}

/// What an arm is called where its build is meant: the side, if all its arms have the same build.
pub(crate) fn build_name<'a>(model: &'a Model, arm: &'a Arm) -> &'a str {
    let mut others = model.arms.iter().filter(|other| other.side == arm.side);
    if others.all(|other| other.build == arm.build) { &arm.side } else { &arm.name }
}

fn whose(name: &str, alone: bool) -> String {
    match name {
        name if alone => name.to_owned(),
        "baseline" => "the baseline".to_owned(),
        name => format!("the baseline ({name})"),
    }
}

fn candidate_failures(model: &Model, arm: &Arm, known: &BTreeSet<Sign>) -> Vec<(Outcome, String)> {
    if let Some(failure) = arm.build.as_ref().and_then(build_failure) {
        return vec![(Outcome::Fails, format!("{} {failure}", build_name(model, arm)))];
    }
    let failure = |sign: &Sign| {
        let what = format!("{}: {}", arm.name, in_boots(arm, sign));
        Some(match sign {
            Sign::NotTestable => (Outcome::Unclear, what),
            // Both kernels went on, so both can be compared.
            Sign::Complaint(..) if known.contains(sign) => return None,
            _ if known.contains(sign) => (Outcome::Unclear, format!("{what}, and the baseline has the same")),
            _ => (Outcome::Fails, format!("{what}, which the baseline does not have")),
        })
    };
    signs(arm).iter().filter_map(failure).collect()
}
