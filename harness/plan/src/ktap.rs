//! The kernel's own tests as a workload.

use serde::{Deserialize, Serialize};

/// Kernel selftests (`tools/testing/selftests`), built from a kernel's tree and run one program at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ktap {
    /// Folders of `tools/testing/selftests` that are built, and whose programs run unless `tests` names some of them.
    pub collections: Vec<String>,
    /// Programs that run, as `net:tls`; every one of the collections if empty.
    pub tests: Vec<String>,
    /// Programs that do not run: shell patterns over names such as `net:fcnal-test.sh`.
    pub skip: Vec<String>,
    /// Known flakes: shell patterns over names of programs and subtests. They run and are shown, and decide nothing.
    pub flakes: Vec<String>,
    /// Longest time that one program may take, in seconds.
    pub timeout_s: u32,
    /// Longest time that all of them may take together, in seconds.
    pub deadline_s: u32,
    /// Whose tree the tests come from.
    pub from: TestsFrom,
}

/// Whose tree tests are built from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestsFrom {
    /// Each arm's own, patches included: a series may bring tests or change them.
    Arm,
    /// The arm's base, unpatched: arms of one base run the very same programs.
    Base,
}

/// Something that must hold of the outcomes of tests, between the baseline and every other arm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestGate {
    /// The workload's name in the plan.
    pub workload: String,
    /// What must hold.
    pub expect: TestExpectation,
}

/// What must hold of the outcomes of tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestExpectation {
    /// No test fails in the candidate that does not fail in the baseline.
    NoNewFailures,
}
