//! Terminal text, markdown, JSON and HTML from one model of a run.
//!
//! *Data in.* A plan, how its builds ended, and the records of its trials, as [`Evidence`]. [`assemble`] selects the samples
//! that belong together, one value for each boot, has `stats` judge them, and yields a [`Model`].
//! Several runs are put side by side by [`compare`] and [`trend`].
//! *Data out.* Strings, and the [`Outcome`] that decides the exit code.
//!
//! Invariant: no I/O, no clock, no terminal; a rendering shows what the model says and decides nothing.

#![deny(missing_docs)]

mod agreement;
mod along;
mod assemble;
mod beside;
mod calibration;
mod curve;
mod describe;
mod explored;
mod facts;
mod findings;
mod history;
mod html;
mod json;
mod levels;
mod markdown;
mod model;
mod noise;
mod number;
mod outcome;
mod paint;
mod places;
mod plot;
mod profile;
mod reachable;
mod remarks;
mod run_metrics;
mod series;
mod shape;
mod stop;
mod suite;
mod syscalls;
mod table;
mod terminal;
mod timeline;
mod verdict;
mod void;

pub use agreement::{Agreement, AgreementClaim, Agrees, agreement, agreement_text};
pub use assemble::{AssembleError, Evidence, assemble};
pub use beside::{Beside, BesideColumn, BesideRow, beside, beside_json, beside_markdown, beside_text};
pub use calibration::{CALIBRATION_FORMAT, CalibratedMetric, Calibration};
pub use curve::{Curve, CurvePoint, CurveSide};
pub use describe::{kernel_in_words, label, machine_in_words};
pub use findings::stack;
pub use history::{
    ArmLine, CompareError, Compared, ComparedSide, Comparing, Difference, Filter, GateLine, HISTORY_FORMAT,
    Refused, RunLine, RunList, RunState, Times, Trend, TrendChange, TrendGroup, TrendInput, TrendPoint,
    VersusGate, VersusRow, compare, compare_json, compare_markdown, compare_text, runs_json, runs_text,
    trend, trend_json, trend_text, trend_worse,
};
pub use html::html;
pub use json::{Document, FORMAT, json};
pub use markdown::markdown;
pub use model::{
    Arm, BootValue, CalibrationSummary, End, Gate, Host, Model, PatchSummary, PlanSummary, Row, RowCandidate,
    RunSummary, SeriesKey, SeriesSummary, Trial, Unavailable, WithinChange, WorkloadSummary,
};
pub use noise::{
    CHANGES, DESIGNS, Judged, NOISE_FORMAT, Noise, SESSION_FORMAT, SeriesNoise, Session, SessionBlock,
    SessionSeries, SessionSummary, Spread, TWINS, TimeLevel, WithinBoots, noise_json, noise_text, plan_lines,
};
pub use outcome::{Conclusion, Outcome, build_failure, conclude, gate_outcome, overall};
pub use paint::Colour;
pub use profile::{
    ProfilePage, Profiled, ROWS_IN_REPORTS, STRING_ROWS_IN_REPORTS, profile_html, profile_json,
    profile_markdown, profile_text,
};
pub use reachable::unreachable;
pub use remarks::remarks;
pub use run_metrics::run_metrics;
pub use series::{ArmSeries, arm_series};
pub use stop::{Stopped, decided, expected_blocks};
pub use suite::{Suite, SuiteComparison, SuiteCounts, SuiteGate, TestRow};
pub use terminal::{Detail, Terminal, terminal};
pub use timeline::LevelsOverTime;
pub use void::VoidCell;
