//! What the index keeps of a run. The caller makes it from the run: the store judges nothing.

use measure::Dims;

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEntry {
    /// Name of the run's folder.
    pub name: String,
    /// What is known of it.
    pub state: State,
}

/// What is known of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// It could be read.
    Read(Box<Contents>),
    /// It could not, and why not.
    Damaged {
        /// In words.
        reason: String,
    },
}

/// A run that could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// The scenario's name.
    pub scenario: String,
    /// Its question.
    pub question: String,
    /// When the run was started, RFC 3339.
    pub started: String,
    /// Version of the `assay` that ran it.
    pub assay: String,
    /// The host's CPU, kernel, QEMU and accelerator in a line.
    pub host: String,
    /// Whether every boot was made, or left out because its arm had failed before.
    pub finished: bool,
    /// Boots that were made.
    pub trials_made: u32,
    /// Boots that were planned.
    pub trials_planned: u32,
    /// `holds`, `fails` or `unclear`.
    pub outcome: String,
    /// The exit status that goes with it.
    pub exit: u8,
    /// In the order of the plan; the first is the baseline.
    pub arms: Vec<ArmEntry>,
    /// Each gate on each candidate arm.
    pub gates: Vec<GateEntry>,
    /// Everything that was measured, by arm.
    pub series: Vec<SeriesEntry>,
}

/// One arm of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArmEntry {
    /// Its name in the plan.
    pub name: String,
    /// The side of the comparison that it belongs to: its name without its place in a matrix.
    pub side: String,
    /// Whether that side is the one that others are compared with.
    pub is_baseline: bool,
    /// Base, series, options and parameters in a line.
    pub kernel: String,
    /// `uname -r`, if there is an image.
    pub release: Option<String>,
    /// The exact version of the source, if there is an image.
    pub source_version: Option<String>,
    /// Why there is none, if its build failed.
    pub build_failure: Option<String>,
    /// Where it boots, in a line.
    pub machine: String,
    /// Boots that were made.
    pub boots: u32,
    /// Boots in which not all workloads ran.
    pub boots_failed: u32,
}

/// One gate on one candidate arm.
#[derive(Clone, Debug, PartialEq)]
pub struct GateEntry {
    /// The candidate: the side that is compared with the baseline.
    pub arm: String,
    /// What is judged, as reports call it.
    pub label: String,
    /// `better`, `worse`, `same` or `unclear`.
    pub verdict: String,
}

/// One series of numbers of one arm: a value for each boot.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesEntry {
    /// The arm.
    pub arm: String,
    /// The workload's name; none for what every boot yields.
    pub workload: Option<String>,
    /// The workload's tool and parameters in a line.
    pub runs: Option<String>,
    /// The metric's name.
    pub metric: String,
    /// Unit of the values, as in the report's JSON.
    pub unit: String,
    /// Which way it is better, as in the report's JSON.
    pub better: String,
    /// The dimensions by which the metric's samples differ.
    pub dims: Dims,
    /// The place in the scenario's matrix: of the arm and of the workload.
    pub at: Dims,
    /// Where the numbers come from; several are joined by commas.
    pub provenance: String,
    /// In the order of the blocks.
    pub values: Vec<f64>,
}

/// Which series are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesQuery {
    /// The metric's name.
    pub metric: String,
    /// Of this workload only.
    pub workload: Option<String>,
    /// Of this arm or side only; of every run's baseline if none.
    pub arm: Option<String>,
    /// Of runs of this scenario only.
    pub scenario: Option<String>,
    /// With these dimensions, of the metric or of the matrix.
    pub dims: Dims,
}

/// A series with the run that it is from.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSeries {
    /// The run's name.
    pub run: String,
    /// Its scenario.
    pub scenario: String,
    /// When it was started, RFC 3339.
    pub started: String,
    /// Whether every boot was made.
    pub finished: bool,
    /// The arm.
    pub arm: ArmEntry,
    /// The series.
    pub series: SeriesEntry,
}
