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
