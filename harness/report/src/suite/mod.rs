//! What the kernel's own tests said: from outcomes of single boots to what differs between arms.

mod gather;
mod judge;
pub(crate) mod words;

use std::collections::BTreeMap;

use measure::Dims;
use plan::TestExpectation;
use serde::{Deserialize, Serialize};
use stats::{Class, Tally};

use crate::Outcome;

pub(crate) use gather::gather;

/// All tests of one workload, over all arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// The workload's name in the plan.
    pub workload: String,
    /// How many tests of each collection do what in each arm.
    pub counts: Vec<SuiteCounts>,
    /// Each candidate arm against its baseline.
    pub comparisons: Vec<SuiteComparison>,
    /// Tests that fail in at least one boot of the only arm; empty where arms are compared.
    pub failures: Vec<TestRow>,
}

/// The tests of one collection in one arm. A subtest counts as a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteCounts {
    /// The folder below `tools/testing/selftests`.
    pub collection: String,
    /// The arm.
    pub arm: String,
    /// Boots in which anything was said.
    pub boots: u32,
    /// Pass in every boot that says so or otherwise.
    pub pass: u32,
    /// Fail in every such boot.
    pub fail: u32,
    /// Pass in some boots and fail in others.
    pub vary: u32,
    /// Are skipped in every boot.
    pub skip: u32,
    /// Could not be built.
    pub not_built: u32,
}

/// One candidate arm against its baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteComparison {
    /// The baseline's name.
    pub baseline: String,
    /// The candidate's name.
    pub arm: String,
    /// Where in the matrix, if there is one.
    #[serde(default, skip_serializing_if = "Dims::is_empty")]
    pub at: Dims,
    /// Tests whose outcomes differ between the arms, or within one; those that fail newly come first.
    pub differing: Vec<TestRow>,
    /// Tests that fail in every boot of both arms.
    pub common_failures: Vec<TestRow>,
    /// How many tests look how, known flakes left out.
    pub classes: BTreeMap<Class, u32>,
    /// What must hold, if something must.
    pub gate: Option<SuiteGate>,
}

/// What must hold of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteGate {
    /// What must hold.
    pub expect: TestExpectation,
    /// Whether it does.
    pub outcome: Outcome,
    /// Why, as clauses that can stand alone, gravest first.
    pub reasons: Vec<String>,
}

/// One test, in two arms or in one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestRow {
    /// `net:tls`, or `net:tls / SUBTEST`.
    pub test: String,
    /// What its outcomes look like.
    pub class: Class,
    /// What it did in the baseline.
    pub baseline: Tally,
    /// What it did in the candidate; nothing where there is none.
    pub candidate: Tally,
    /// Fisher's exact test, two-sided.
    pub p: Option<f64>,
    /// That p adjusted over all tests whose outcomes vary (Benjamini-Hochberg).
    pub q: Option<f64>,
    /// Whether the scenario knows it as a flake: then it decides nothing.
    pub known_flake: bool,
    /// What it said when it failed, or why it was skipped: the candidate's words before the baseline's.
    pub message: String,
}
