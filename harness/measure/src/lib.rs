//! The vocabulary of what was seen: [`Sample`]s with metric, unit, direction, dimensions and provenance; and how
//! builds and trials ended.
//!
//! Invariant: plain data; knows neither tools nor statistics. The waist between what yields samples and what judges
//! them.

#![deny(missing_docs)]

mod collector;
mod complaint;
mod end;
pub mod metric;
mod perturbation;
pub mod run_metrics;
mod sample;
mod table;
mod test;
mod timeline;
mod trial;
mod window;

pub use collector::{Around, Collector};
pub use complaint::{Complaint, ComplaintKind, Frame, SourceLine};
pub use end::{ApplyFailure, BuildEnd, CpuState, CrashKind, CrashReport, GuestFacts, KernelImage, TrialEnd};
pub use metric::{Better, Definition, MetricDef, Unit, YieldedBy};
pub use perturbation::Perturbation;
pub use sample::{Dims, Provenance, RawFile, Sample};
pub use table::{Entry, SampleKind, SampleTable};
pub use test::{TestOutcome, TestResult};
pub use timeline::{ClockReading, LevelsWindow, Timeline, TimelineRow};
pub use trial::{Parts, TrialRecord, Void, Within};
pub use window::{
    Files, GuestTrace, HardwareCount, HardwareWindow, InstructionCounts, KvmCounts, KvmWindow, Metered,
    Payload, PowerReadings, SideFiles, Sides, TraceCounts, Traffic, Window,
};
