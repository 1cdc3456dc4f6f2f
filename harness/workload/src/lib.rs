//! What runs on the machines, and pure parsers of what comes back.
//!
//! A [`plan::Workload`] and two [`machine::Endpoint`]s go in, an [`Outcome`] comes out: samples, the tools' own output,
//! and the [`measure::Window`] that `collect` reduces. Which arguments run on which side, and what their output means,
//! are pure functions in [`iperf3`], [`sockperf`], [`command`], [`ktap`] and [`stream`]; only [`run`] talks to guests.
//!
//! Samples carry neither the workload's name nor anything about the machine: the runner adds those dimensions.
//!
//! Invariant: knows neither how machines boot nor what collectors make of a window.

#![deny(missing_docs)]

pub mod command;
mod drive;
mod error;
mod findings;
pub mod iperf3;
pub mod ktap;
mod recipe;
pub mod sockperf;
pub mod stream;

pub use drive::{Around, Outcome, files_now, module_symbols, run, write_setting};
pub use error::{Failure, ParseError, WorkloadError};
pub use findings::Findings;
pub use recipe::carrier_files;
