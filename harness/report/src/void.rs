//! Cells whose path was not taken: shown with the reason, and never compared.

use measure::{Dims, TrialRecord};
use plan::Plan;
use serde::{Deserialize, Serialize};

use crate::{Model, Outcome, describe, number};

/// A workload of one arm whose numbers say nothing about what was asked, in some or all of its boots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoidCell {
    /// The side of the comparison.
    pub arm: String,
    /// What the scenario calls the workload.
    pub workload: String,
    /// Their places in the matrix: the value of each dimension.
    #[serde(default, skip_serializing_if = "Dims::is_empty")]
    pub at: Dims,
    /// Each reason, with the number of boots that had it.
    pub reasons: Vec<(String, u32)>,
    /// Boots in which it was void.
    pub boots: u32,
    /// Boots in which it ran.
    pub of: u32,
}

/// The void cells of a run, in the order of the plan.
pub(crate) fn voids(plan: &Plan, trials: &[TrialRecord]) -> Vec<VoidCell> {
    let mut cells = Vec::new();
    for arm in &plan.arms {
        for workload in &plan.workloads {
            let of_arm = || trials.iter().filter(|trial| trial.arm == arm.name);
            let found = of_arm().flat_map(|trial| &trial.voids).filter(|void| void.workload == workload.name);
            let mut reasons: Vec<(String, u32)> = Vec::new();
            for void in found {
                let reason = digitless(&void.reason);
                match reasons.iter_mut().find(|(known, _)| digitless(known) == reason) {
                    Some((_, boots)) => *boots += 1,
                    None => reasons.push((void.reason.clone(), 1)),
                }
            }
            let boots = reasons.iter().map(|(_, boots)| *boots).sum();
            if boots > 0 {
                let dims = arm.dims().iter().chain(workload.dims());
                cells.push(VoidCell {
                    arm: arm.side().to_owned(),
                    workload: workload.group().to_owned(),
                    at: dims.map(|(name, value)| (name.clone(), value.clone())).collect(),
                    reasons,
                    boots,
                    of: u32::try_from(of_arm().count()).unwrap_or(u32::MAX),
                });
            }
        }
    }
    cells
}

/// Counts differ from boot to boot where the reason is the same.
fn digitless(reason: &str) -> String {
    reason.chars().filter(|c| !c.is_ascii_digit()).collect()
}

impl VoidCell {
    /// `a: rx at receive devmem`.
    pub(crate) fn name(&self) -> String {
        let at =
            if self.at.is_empty() { String::new() } else { format!(" at {}", describe::place(&self.at)) };
        format!("{}: {}{at}", self.arm, self.workload)
    }

    /// `3 of 3 boots`.
    pub(crate) fn share(&self) -> String {
        format!("{} of {}", self.boots, number::counted(self.of, "boot"))
    }

    /// Why, the reasons one after the other.
    pub(crate) fn why(&self) -> String {
        self.reasons.iter().map(|(reason, _)| reason.as_str()).collect::<Vec<_>>().join("; ")
    }

    /// `a: rx at receive devmem: void in 3 of 3 boots: 0 of 10 bytes went without a copy`.
    pub(crate) fn sentence(&self) -> String {
        format!("{}: void in {}: {}", self.name(), self.share(), self.why())
    }
}

/// What void cells make of the run. A candidate that leaves a path which the baseline takes has lost it; otherwise the
/// question was not answered.
pub(crate) fn reasons(model: &Model) -> Vec<(Outcome, String)> {
    let baseline = model.baseline_side();
    let reason = |cell: &VoidCell| {
        let same_of_baseline = |other: &&VoidCell| {
            other.arm == baseline && other.workload == cell.workload && other.at == cell.at
        };
        let lost = cell.arm != baseline && !model.voids.iter().any(|other| same_of_baseline(&other));
        if lost {
            (Outcome::Fails, format!("{}, which the baseline's is not", cell.sentence()))
        } else {
            (Outcome::Unclear, cell.sentence())
        }
    };
    model.voids.iter().map(reason).collect()
}
