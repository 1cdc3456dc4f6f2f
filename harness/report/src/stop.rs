//! Runs that stop when all is decided.

use plan::{Plan, Stop};
use serde::{Deserialize, Serialize};
use stats::{Course, Looks, Verdict};

use crate::{Gate, Model, number};

/// How such a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stopped {
    /// Blocks that were made.
    pub blocks: u32,
    /// The most that there could have been.
    pub most: u32,
    /// Whether every gate was decided.
    pub decided: bool,
}

/// What a plan's gates are looked at with; nothing if all boots are made in any case.
pub(crate) fn looks(plan: &Plan) -> Option<Looks> {
    let most = usize::try_from(plan.design.boots).ok()?;
    (plan.design.stop == Stop::WhenDecided).then(|| Looks::new(most))?
}

/// Whether there is nothing left for more boots to decide.
pub(crate) fn is_decided(gates: &[Gate]) -> bool {
    !gates.is_empty() && gates.iter().all(|gate| gate.judgement.verdict != Verdict::Unclear)
}

/// Whether every gate of the run is decided, so that one which stops then makes no more boots.
#[must_use]
pub fn decided(model: &Model) -> bool {
    is_decided(&model.gates)
}

/// How many blocks a plan is expected to take that stops when all is decided, in a sentence; nothing if it does not.
///
/// Changes are told in what boots themselves vary by, since nobody knows yet how much that is.
#[must_use]
pub fn expected_blocks(plan: &Plan) -> Option<String> {
    let looks = looks(plan)?;
    let comparisons: usize = plan.gates.iter().map(|gate| plan.comparisons(gate).count()).sum();
    let comparisons = u32::try_from(comparisons).ok().filter(|count| *count > 0)?;
    // The first of several gates is held to this level, so all of them may take a little fewer blocks, and the last of them a little more.
    let level = plan.design.alpha / f64::from(comparisons);
    let (course, most) = (Course::new(&looks, level), plan.design.boots);
    let first = looks.first(level)?;
    let design = course.detectable(0.9)?;
    Some(format!(
        "Stops when all is decided, after {first} blocks at the earliest and {most} at the latest. A change that lies beyond its margin by {design:.1} of what \
         differences within blocks vary by is found nine times in ten, after {:.0} blocks on average; twice that takes {:.0}.",
        course.blocks(design),
        course.blocks(2.0 * design),
    ))
}

impl Stopped {
    /// How a plan's run ended, of which all blocks are whole that were begun; nothing if it goes on, or does not stop early.
    pub(crate) fn of(plan: &Plan, blocks: u32, finished: bool, gates: &[Gate]) -> Option<Self> {
        let decided = is_decided(gates);
        let stops = plan.design.stop == Stop::WhenDecided;
        (stops && (finished || decided)).then_some(Self { blocks, most: plan.design.boots, decided })
    }

    /// In a sentence.
    pub(crate) fn in_words(self) -> String {
        let Self { blocks, most, decided } = self;
        let how = "every gate was looked at after each block, and p-values and intervals hold for all looks together";
        if decided {
            format!("Decided after {blocks} of at most {}: {how}.", number::counted(most, "block"))
        } else {
            format!("Not decided after all {}: {how}.", number::counted(most, "block"))
        }
    }
}
