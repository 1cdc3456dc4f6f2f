//! Whether a run that repeats another says the same.
//!
//! For each gate: two intervals for one change should meet, and lead to one verdict. Intervals that do not meet differ
//! whatever the verdicts are; a verdict that one of the two runs could not reach leaves it unclear; two verdicts that exclude
//! each other differ. Builds and boots: what every boot of an arm had then, every boot should have now.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use stats::{Interval, Verdict};

use crate::{Arm, End, Gate, Model, Outcome, build_failure, describe, number};

/// Whether two runs say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agrees {
    /// They do.
    Yes,
    /// One of them does not say enough.
    Unclear,
    /// They do not.
    No,
}

impl Agrees {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Yes => "agrees",
            Self::Unclear => "unclear",
            Self::No => "does not agree",
        }
    }

    /// The exit code of `assay replay`.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Yes => 0,
            Self::No => 1,
            Self::Unclear => 3,
        }
    }
}

/// A run beside the one that it repeats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// The gravest of all claims.
    pub agrees: Agrees,
    /// What both runs say something about.
    pub claims: Vec<AgreementClaim>,
}

/// One thing that both runs say something about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AgreementClaim {
    /// A gate or an arm.
    pub what: String,
    /// What the first run says.
    pub then: String,
    /// What the second says.
    pub now: String,
    /// Whether that is the same.
    pub agrees: Agrees,
    /// Why not, if it is not.
    pub reason: Option<String>,
}

/// Holds `now` against `then`, for the arms that both have.
#[must_use]
pub fn agreement(then: &Model, now: &Model) -> Agreement {
    let mut claims = Vec::new();
    for arm in &now.arms {
        if let Some(before) = then.arms.iter().find(|before| before.name == arm.name) {
            claims.push(of_arm(before, arm));
        }
    }
    for gate in &now.gates {
        let same = |before: &&Gate| before.series == gate.series && before.arm == gate.arm;
        if let Some(before) = then.gates.iter().find(same) {
            claims.push(of_gate(before, gate));
        }
    }
    claims.extend(of_suites(then, now));
    if !now.run.finished || !then.run.finished {
        let said = |model: &Model| {
            format!("{} of {} boots were made", model.run.boots_made, model.run.boots_planned)
        };
        claims.push(AgreementClaim {
            what: "the run as a whole".to_owned(),
            then: said(then),
            now: said(now),
            agrees: Agrees::Unclear,
            reason: Some("a run that is not finished proves little".to_owned()),
        });
    }
    let agrees = claims.iter().map(|claim| claim.agrees).max().unwrap_or(Agrees::Unclear);
    Agreement { agrees, claims }
}

fn interval(gate: &Gate) -> Option<Interval> {
    gate.judgement.effect.as_ref().and_then(|effect| effect.interval)
}

fn of_gate(then: &Gate, now: &Gate) -> AgreementClaim {
    let (before, after) = (then.judgement.verdict, now.judgement.verdict);
    let (agrees, reason) = match (interval(then), interval(now)) {
        (Some(a), Some(b)) if a.high < b.low || b.high < a.low => {
            (Agrees::No, Some("the intervals do not meet".to_owned()))
        }
        // Nothing was measured in either: that is the arms' part.
        (None, None) => (Agrees::Yes, None),
        (Some(_), None) | (None, Some(_)) => {
            (Agrees::Unclear, Some("only one of the two has an interval".to_owned()))
        }
        (Some(_), Some(_)) if before == after => (Agrees::Yes, None),
        (Some(_), Some(_)) if before == Verdict::Unclear || after == Verdict::Unclear => {
            (Agrees::Unclear, Some("the intervals meet, and only one of the two decides".to_owned()))
        }
        (Some(_), Some(_)) => (Agrees::No, Some("the verdicts are not the same".to_owned())),
    };
    AgreementClaim {
        what: format!("{}, {}", describe::label(&now.series), now.arm),
        then: said_of_gate(then),
        now: said_of_gate(now),
        agrees,
        reason,
    }
}

fn said_of_gate(gate: &Gate) -> String {
    let verdict = gate.judgement.verdict;
    match &gate.judgement.effect {
        Some(effect) => {
            let change = number::effect(effect, gate.unit);
            format!("{verdict}, {change}")
        }
        None => format!("{verdict}, nothing to compare"),
    }
}

/// How the boots of an arm failed: in how many, by what it looked like.
fn failures(arm: &Arm) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for trial in &arm.trials {
        let sign = match &trial.end {
            End::Measured => None,
            End::Crashed { report } => {
                let fatal = trial.complaints.iter().find(|complaint| complaint.fatal);
                let title = fatal.map_or(report.title.as_str(), |complaint| complaint.title.as_str());
                Some(format!("{}: {title}", describe::crash(report.kind)))
            }
            End::WorkloadFailed { workload, .. } => Some(format!("workload {workload} fails")),
            End::NotTestable { .. } => Some("not testable".to_owned()),
        };
        let survived = trial.complaints.iter().filter(|complaint| !complaint.fatal);
        let signs: BTreeSet<String> =
            sign.into_iter().chain(survived.map(|complaint| complaint.title.clone())).collect();
        for sign in signs {
            *found.entry(sign).or_default() += 1;
        }
    }
    found
}

fn of_arm(then: &Arm, now: &Arm) -> AgreementClaim {
    let said = |arm: &Arm| match arm.build.as_ref().and_then(build_failure) {
        Some(failure) => failure,
        None => {
            let failures = failures(arm);
            let boots = number::counted(arm.trials.len(), "boot");
            let signs: Vec<String> =
                failures.iter().map(|(sign, count)| format!("{sign} in {count} of {boots}")).collect();
            if signs.is_empty() { format!("{boots} measured") } else { signs.join("; ") }
        }
    };
    let build = |arm: &Arm| arm.build.as_ref().and_then(build_failure);
    let (agrees, reason) = if build(then) != build(now) {
        (Agrees::No, Some("it builds in one of the two only, or fails otherwise".to_owned()))
    } else {
        of_failures((then, &failures(then)), (now, &failures(now)))
    };
    AgreementClaim { what: format!("arm {}", now.name), then: said(then), now: said(now), agrees, reason }
}

/// What happened in every boot of one run and in none of the other differs; what happened in some of either may be chance.
fn of_failures(
    (then, before): (&Arm, &BTreeMap<String, usize>),
    (now, after): (&Arm, &BTreeMap<String, usize>),
) -> (Agrees, Option<String>) {
    let mut worst = (Agrees::Yes, None);
    let signs: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for sign in signs {
        let in_then = before.get(sign).copied().unwrap_or(0);
        let in_now = after.get(sign).copied().unwrap_or(0);
        let always = |count: usize, arm: &Arm| count > 0 && count == arm.trials.len();
        let differs = always(in_then, then) && in_now == 0 || always(in_now, now) && in_then == 0;
        let found = if differs {
            (Agrees::No, Some(format!("{sign}: in every boot of one run, and in none of the other")))
        } else if (in_then == 0) == (in_now == 0) {
            (Agrees::Yes, None)
        } else {
            (Agrees::Unclear, Some(format!("{sign}: in some boots of one run only")))
        };
        if found.0 > worst.0 {
            worst = found;
        }
    }
    worst
}

fn of_suites(then: &Model, now: &Model) -> Vec<AgreementClaim> {
    let mut claims = Vec::new();
    for suite in &now.suites {
        let Some(before) = then.suites.iter().find(|before| before.workload == suite.workload) else {
            continue;
        };
        for comparison in &suite.comparisons {
            let earlier = before
                .comparisons
                .iter()
                .find(|other| other.arm == comparison.arm && other.at == comparison.at);
            let (Some(gate), Some(earlier)) =
                (&comparison.gate, earlier.and_then(|earlier| earlier.gate.as_ref()))
            else {
                continue;
            };
            let agrees = match (earlier.outcome, gate.outcome) {
                (a, b) if a == b => Agrees::Yes,
                (Outcome::Unclear, _) | (_, Outcome::Unclear) => Agrees::Unclear,
                _ => Agrees::No,
            };
            claims.push(AgreementClaim {
                what: format!("{}, {}", suite.workload, comparison.arm),
                then: format!("{}: {}", earlier.outcome.word(), earlier.reasons.join("; ")),
                now: format!("{}: {}", gate.outcome.word(), gate.reasons.join("; ")),
                agrees,
                reason: (agrees != Agrees::Yes).then(|| "the tests do not say the same".to_owned()),
            });
        }
    }
    claims
}

/// For a terminal: each claim with both answers, and the answer last.
#[must_use]
pub fn agreement_text(agreement: &Agreement) -> String {
    let mut text = String::new();
    for claim in &agreement.claims {
        text.push_str(&format!("{}: {}", claim.what, claim.agrees.words()));
        if let Some(reason) = &claim.reason {
            text.push_str(&format!(": {reason}"));
        }
        text.push_str(&format!("\n  then  {}\n  now   {}\n", claim.then, claim.now));
    }
    text.push_str(agreement.agrees.words());
    text.push('\n');
    text
}
