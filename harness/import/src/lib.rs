//! What others measured: their tools' output and their scripts' tables, as a plan without a machine, and trials.
//!
//! ```text
//! bytes -> lines without escapes -> parts (figures of one tool under one heading) -> arms, workloads, repeats
//! ```
//!
//! A reader takes one side's output, of any version, cut off or damaged: what cannot be read is told by line, and the rest is
//! kept. (`workload`'s parsers do the opposite with our own tools: they refuse what is not exactly what was asked for.) Every
//! figure has the provenance `imported`, and the dimension `tool` says what wrote it.
//!
//! Invariant: pure. Text in, data out; sizes are bounded ([`limits`]); nothing is dropped without a word.

#![deny(missing_docs)]

mod arrange;
mod bpftrace;
mod derive;
mod document;
mod format;
mod iperf3_json;
mod iperf3_text;
pub mod limits;
mod pcm_iio;
mod perf_report;
mod perf_stat;
mod perf_trace;
mod reading;
mod run_metrics;
mod run_name;
mod sockperf;
mod sysstat;
mod table;
mod text;

pub use arrange::{Arranged, Source, arrange};
pub use format::Format;
pub use reading::{Complaint, Figure, Part, Reading};
pub use run_name::{RunName, run_name};

/// Reads a file. Its format is told by its content, unless `format` says it.
#[must_use]
pub fn read(bytes: &[u8], format: Option<Format>) -> Reading {
    let mut reading = Reading::default();
    let lines = text::lines(bytes, &mut reading);
    match format.unwrap_or_else(|| Format::of(&lines)) {
        Format::Iperf3Json => iperf3_json::read(&lines, &mut reading),
        Format::PcmIio => pcm_iio::read(&lines, &mut reading),
        Format::PerfStat => perf_stat::read(&lines, &mut reading),
        Format::Sysstat => sysstat::read(&lines, &mut reading),
        // A text may hold several of the others, under headings.
        of_lines => document::read(&lines, (of_lines != Format::Notes).then_some(of_lines), &mut reading),
    }
    reading.settle();
    reading
}
