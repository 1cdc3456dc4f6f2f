//! What is done with hostile input: one function for each target, called by libFuzzer (`tests/fuzz/libfuzzer`) and by an
//! ordinary test over the kept corpora (`tests/fuzz/corpus`).
//!
//! A target reads several parsers' inputs; the first section of an input names the parser. Besides not panicking, a
//! parser has to be what is asserted here: what was written is read again, errors name a place, and what comes out is
//! bounded.

pub mod bundle;
pub mod console;
pub mod counters;
pub mod documents;
pub mod host;
pub mod imports;
pub mod instructions;
pub mod mail;
pub mod runs;
pub mod sections;
pub mod tools;
pub mod wire;

mod scratch;

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// What one input may take of a processor, in an optimised build: a parser that is slower can be made to hang.
pub const SLOWEST: Duration = Duration::from_secs(10);

/// Runs a target on one input, for no longer than `most` of processor time. Time that passes says nothing of a parser on a machine that others use.
///
/// # Panics
/// If the target does, or took longer.
pub fn in_time(target: Target, input: &[u8], most: Duration) {
    let used = || -> Duration {
        clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("a process has such a clock").into()
    };
    let before = used();
    target(input);
    let took = used().saturating_sub(before);
    assert!(took < most, "one input took {took:?} of a processor, and may take {most:?}");
}

/// A target: what reads its input.
pub type Target = fn(&[u8]);

/// The targets by the names of their corpora.
pub const TARGETS: &[(&str, Target)] = &[
    ("wire", wire::run),
    ("mail", mail::run),
    ("tools", tools::run),
    ("counters", counters::run),
    ("console", console::run),
    ("documents", documents::run),
    ("host", host::run),
    ("bundle", bundle::run),
    ("runs", runs::run),
    ("instructions", instructions::run),
    ("imports", imports::run),
];
