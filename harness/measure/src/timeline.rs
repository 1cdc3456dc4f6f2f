//! What the levels of a machine did over time, on one axis.
//!
//! *Written* by the runner, which reads clocks, and by `collect`, which puts what kernels and QEMU counted on the host's axis. *Read* by
//! `report`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Dims, Unit};

/// A guest's clock and the host's at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ClockReading {
    /// The guest's CLOCK_MONOTONIC, in nanoseconds.
    pub guest_ns: u64,
    /// Nanoseconds of the host's axis: the middle between a question and its answer.
    pub host_ns: u64,
    /// Half the time from that question to its answer: the clock was read within so much of the middle.
    pub error_ns: u64,
}

/// What is known of a window besides files, so that its levels can be put on one axis. The axis is the host's clock; its zero lies
/// before the first reading.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LevelsWindow {
    /// Each guest's clock before and after the workload, by the guest's name, or why it could not be read.
    pub clocks: BTreeMap<String, Result<[ClockReading; 2], String>>,
    /// How often QEMU's emulated IOMMU had been asked for an invalidation until each of these moments of the axis, by the guest's name;
    /// empty where a guest has no such IOMMU.
    pub invalidations: BTreeMap<String, Vec<(u64, u64)>>,
}

/// What every level did over one workload of a traced boot. Tracing slows a machine down: shapes and what comes with what are telling,
/// absolute rates are those of a traced machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeline {
    /// The workload's name and its place in the matrix.
    pub dims: Dims,
    /// Length of an interval in seconds.
    pub seconds: f64,
    /// By how much each guest's clock may be off, in seconds.
    pub clock_errors: BTreeMap<String, f64>,
    /// In the order of levels, from QEMU to the innermost guest's kernel.
    pub rows: Vec<TimelineRow>,
}

/// One thing that one level did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimelineRow {
    /// Whose: a guest's name for its kernel, `qemu of` a guest for the devices that it sees.
    pub level: String,
    /// What: `maps`, `unmaps`, `invalidations`, `exits`, `received`.
    pub what: String,
    /// Of the values.
    pub unit: Unit,
    /// In each interval from the axis' zero on; always finite.
    pub values: Vec<f64>,
}
