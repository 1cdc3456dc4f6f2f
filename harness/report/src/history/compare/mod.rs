//! An arm of one run against an arm of another, or of the same one.
//!
//! Arms of one run were booted in randomised blocks, so they are judged as a report judges them. Boots of two runs were made at
//! different times, and nothing in them tells what the times did from what the kernels did. Where a calibration covers both times, it
//! does: what times do by themselves is then part of the interval, and gates are judged. Else there is an estimate to look at, and the
//! verdict is `unclear` whatever the numbers are.

mod between;
mod differences;
mod numbers;
mod text;

use measure::{Better, Dims, Provenance, SampleTable, TrialRecord, Unit};
use plan::Plan;
use serde::Serialize;
use stats::{Effect, Judgement, StatsError, Summary, Verdict};

use crate::{AssembleError, Model, Noise, Outcome, SeriesKey};

pub use text::{compare_markdown, compare_text};

/// One side of a comparison.
#[derive(Clone, Debug)]
pub struct Comparing<'a> {
    /// The run's report.
    pub model: &'a Model,
    /// The run's plan.
    pub plan: &'a Plan,
    /// Its trials.
    pub trials: &'a [TrialRecord],
    /// What they measured.
    pub samples: &'a SampleTable,
    /// Name of the arm.
    pub arm: &'a str,
    /// Further facts that a result depends on, by name, such as the checksum of the guest's root.
    pub facts: Vec<(&'static str, String)>,
}

/// Which series are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this workload only.
    pub workload: Option<String>,
    /// Of this metric only.
    pub metric: Option<String>,
    /// With these dimensions.
    pub dims: Dims,
}

impl Filter {
    fn takes(&self, key: &SeriesKey) -> bool {
        self.workload.as_ref().is_none_or(|workload| key.workload.as_ref() == Some(workload))
            && self.metric.as_ref().is_none_or(|metric| key.metric == *metric)
            && self
                .dims
                .iter()
                .all(|(name, value)| key.dims.get(name).or_else(|| key.at.get(name)) == Some(value))
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Two arms side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// [`super::HISTORY_FORMAT`] of the writer.
    pub format: u32,
    /// What is compared with.
    pub first: ComparedSide,
    /// What is compared.
    pub second: ComparedSide,
    /// Whether chance alone decided which boot is whose.
    pub times: Times,
    /// What follows: of the gates within one run, else `unclear`.
    pub outcome: Outcome,
    /// Why, one sentence each.
    pub reasons: Vec<String>,
    /// What is known of the times of two runs, or why it is not known, in a sentence; null within one run.
    pub calibration: Option<String>,
    /// Everything but the numbers in which the sides differ.
    pub differences: Vec<Difference>,
    /// What is not compared, and why.
    pub refused: Vec<Refused>,
    /// The gates of the first run's plan on these two arms; between runs, those that the calibration covers.
    pub gates: Vec<VersusGate>,
    /// Everything else that both sides measured.
    pub rows: Vec<VersusRow>,
    /// Series that only the first side has.
    pub only_first: usize,
    /// Series that only the second side has.
    pub only_second: usize,
    /// Whether one filter or another left series out.
    #[serde(skip)]
    pub(crate) filtered: bool,
}

/// An arm of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComparedSide {
    /// Name of the run.
    pub run: String,
    /// The arm.
    pub arm: String,
    /// When the run was started, RFC 3339.
    pub started: String,
    /// Base, series, options and parameters in a line.
    pub kernel: String,
    /// Boots of the arm that ran all workloads.
    pub boots: usize,
}

/// What is known of the times at which the two sides were booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Times {
    /// Both arms were booted in the same randomised blocks.
    SameBlocks,
    /// They belong to different runs, and no calibration says how much runs of one kernel differ between these times.
    NotCalibrated,
    /// They belong to different runs, and a calibration says how far the levels of such times lie apart by themselves: that is part of every interval.
    Calibrated,
}

/// Something other than the numbers in which the sides differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What.
    pub what: String,
    /// On the first side.
    pub first: String,
    /// On the second side.
    pub second: String,
}

/// Something that is not compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// A workload or a series.
    pub what: String,
    /// In what the sides differ.
    pub why: String,
}

/// A gate of the plan on the two arms.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VersusGate {
    /// What is judged.
    #[serde(flatten)]
    pub series: SeriesKey,
    /// Unit of the values.
    pub unit: Unit,
    /// Which way it is better.
    pub better: Better,
    /// Where the numbers come from.
    pub provenance: Vec<Provenance>,
    /// The first side's values.
    pub first: Option<Summary>,
    /// The second side's values.
    pub second: Option<Summary>,
    /// The relative change that matters.
    pub margin: f64,
    /// What the data says.
    pub judgement: Judgement,
}

/// A series that both sides have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VersusRow {
    /// What it is.
    #[serde(flatten)]
    pub series: SeriesKey,
    /// Unit of the values.
    pub unit: Unit,
    /// Which way it is better.
    pub better: Better,
    /// Where the numbers come from.
    pub provenance: Vec<Provenance>,
    /// The first side's values.
    pub first: Summary,
    /// The second side's values.
    pub second: Summary,
    /// From the first side to the second, with a 95 % interval for this row alone; null if there is none.
    pub effect: Option<Effect>,
    /// Within one run, p of "no difference" adjusted for everything explored together (Benjamini-Hochberg); null between runs.
    pub q: Option<f64>,
    /// `unclear`: exploratory, and between runs that no calibration covers, by design.
    pub verdict: Verdict,
}

/// Why two arms cannot be compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// A run has no such arm.
    #[error("{run} has no arm `{arm}` (it has {})", known.join(", "))]
    NoSuchArm {
        /// The run.
        run: String,
        /// What was asked for.
        arm: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Both sides are the same arm of the same run.
    #[error("{run}: {arm} would be compared with itself")]
    Itself {
        /// The run.
        run: String,
        /// The arm.
        arm: String,
    },
    /// A run is one of kernels that are not built to be timed.
    #[error("{run} is of kernels of the {} flavour, and nothing that is timed under them is compared", flavour.word())]
    NotTimed {
        /// The run.
        run: String,
        /// What its kernels are built for.
        flavour: plan::Flavour,
    },
    /// A run was imported: nobody knows in which order and beside what it was measured.
    #[error(
        "{run} was imported, and what was measured elsewhere is shown beside other runs (`assay report --beside`), never tested against one"
    )]
    Imported {
        /// The run.
        run: String,
    },
    /// Nothing is left that may be compared.
    #[error("nothing can be compared: {}", in_words(refused))]
    NothingLeft {
        /// What was refused.
        refused: Vec<Refused>,
    },
    /// The records of a run contradict themselves.
    #[error("the samples of {run} cannot be put together")]
    Assemble {
        /// The run.
        run: String,
        /// Why not.
        source: AssembleError,
    },
    /// The numbers cannot be analysed.
    #[error("the samples cannot be compared")]
    Stats {
        /// Why not.
        #[from]
        source: StatsError,
    },
}

fn in_words(refused: &[Refused]) -> String {
    if refused.is_empty() {
        return "the sides have no series of numbers in common".to_owned();
    }
    let words: Vec<_> = refused.iter().map(|refused| format!("{}: {}", refused.what, refused.why)).collect();
    words.join("\n  ")
}

/// Compares two arms; those of two runs by what is known of identical arms of their machine and workloads, if something is.
///
/// # Errors
/// If an arm is not there, or nothing is left that may be compared.
pub fn compare(
    first: &Comparing<'_>,
    second: &Comparing<'_>,
    filter: &Filter,
    noise: Option<&Noise>,
) -> Result<Compared, CompareError> {
    if let Some(side) = [first, second].into_iter().find(|side| side.plan.is_imported()) {
        return Err(CompareError::Imported { run: side.model.run.name.clone() });
    }
    for side in [first, second] {
        if !side.model.arms.iter().any(|arm| arm.name == side.arm) {
            let known = side.model.arms.iter().map(|arm| arm.name.clone()).collect();
            let run = side.model.run.name.clone();
            return Err(CompareError::NoSuchArm { run, arm: side.arm.to_owned(), known });
        }
    }
    let same_run = first.model.run.name == second.model.run.name;
    if same_run && first.arm == second.arm {
        let run = first.model.run.name.clone();
        return Err(CompareError::Itself { run, arm: first.arm.to_owned() });
    }
    if let Some(side) = [first, second].into_iter().find(|side| !side.plan.flavour().is_plain()) {
        let run = side.model.run.name.clone();
        return Err(CompareError::NotTimed { run, flavour: side.plan.flavour() });
    }
    let between = if same_run { None } else { Some(between::Between::of(first, second, noise)) };
    let times = match &between {
        None => Times::SameBlocks,
        Some(between) if between.covers_something() => Times::Calibrated,
        Some(_) => Times::NotCalibrated,
    };
    let numbers = numbers::numbers(first, second, filter, between.as_ref())?;
    if numbers.rows.is_empty() && numbers.gates.is_empty() {
        return Err(CompareError::NothingLeft { refused: numbers.refused });
    }
    let (outcome, reasons) = numbers::conclude(&numbers, first.plan, times);
    Ok(Compared {
        format: super::HISTORY_FORMAT,
        first: side(first),
        second: side(second),
        times,
        outcome,
        reasons,
        calibration: between.map(|between| between.in_words()),
        differences: differences::differences(first, second),
        refused: numbers.refused,
        gates: numbers.gates,
        rows: numbers.rows,
        only_first: numbers.only_first,
        only_second: numbers.only_second,
        filtered: !filter.is_empty(),
    })
}

fn side(of: &Comparing<'_>) -> ComparedSide {
    let arm = of.model.arms.iter().find(|arm| arm.name == of.arm);
    ComparedSide {
        run: of.model.run.name.clone(),
        arm: of.arm.to_owned(),
        started: of.model.run.started.clone(),
        kernel: arm.map(crate::describe::arm).unwrap_or_default(),
        boots: arm.map_or(0, crate::Arm::measured),
    }
}

/// The comparison as JSON.
#[must_use]
pub fn compare_json(compared: &Compared) -> String {
    super::json(compared)
}
