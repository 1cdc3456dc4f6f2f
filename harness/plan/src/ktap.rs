//! The kernel's own tests as a workload.

use serde::{Deserialize, Serialize};

/// Kernel selftests (`tools/testing/selftests`), built from a kernel's tree and run one program at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ktap {
    /// Folders of `tools/testing/selftests`, all of whose programs run.
    pub collections: Vec<String>,
    /// Programs of other collections that run as well: names such as `net:tls`, or shell patterns over them.
    pub tests: Vec<String>,
    /// Collections that are built and do not run: what tests call is theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build: Vec<String>,
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
    /// The NIC that tests of drivers get.
    #[serde(default)]
    pub nic: TestNic,
}

impl Ktap {
    /// The collections that are built: those that run, those that single programs are of, and those that are only built.
    #[must_use]
    pub fn built_collections(&self) -> Vec<String> {
        let of_tests =
            self.tests.iter().filter_map(|test| test.split_once(':')).map(|(name, _)| name.to_owned());
        let all: std::collections::BTreeSet<String> =
            self.collections.iter().chain(&self.build).cloned().chain(of_tests).collect();
        all.into_iter().collect()
    }
}

/// The NIC that tests of drivers get (`tools/testing/selftests/drivers/net/README.rst`): one of a pair of linked devices,
/// whose peer is in a namespace of its own. Both are made anew for each program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestNic {
    /// None: these tests make netdevsim devices then, or skip.
    #[default]
    None,
    /// The software NIC of the series `zcsim`.
    Zcsim,
    /// A pair of virtual Ethernet devices.
    Veth,
}

impl TestNic {
    /// The kind of the link, as `ip link add type` takes it.
    #[must_use]
    pub fn link_kind(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Zcsim => Some("zcsim"),
            Self::Veth => Some("veth"),
        }
    }
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
    /// A test that fails in the baseline, or kills its kernel, passes in the candidate, and none fails newly.
    Fixed,
}
