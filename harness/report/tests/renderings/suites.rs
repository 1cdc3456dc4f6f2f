//! What the kernel's own tests look like.

use measure::{TestOutcome, TestResult, TrialEnd};
use plan::{Ktap, TestExpectation, TestGate, TestNic, TestsFrom, Workload, WorkloadKind};
use report::{Model, Outcome};

use crate::{check, lab::Lab};

const BOOTS: u32 = 3;

/// Three boots a side; `candidate` says how a test ended in its boot so-and-so.
fn boots(candidates: &[&str], candidate: impl Fn(&str, u32) -> TestResult) -> Model {
    let mut lab = Lab::new(candidates).without_gates();
    let ktap = Ktap {
        collections: vec!["net".into(), "iommu".into()],
        tests: vec![],
        build: vec![],
        skip: vec![],
        flakes: vec!["net:flaky.sh".into()],
        timeout_s: 45,
        deadline_s: 1800,
        from: TestsFrom::Arm,
        nic: TestNic::None,
    };
    lab.plan.workloads =
        vec![Workload { name: "selftests".into(), cell: None, kind: WorkloadKind::Ktap(ktap) }];
    lab.plan.design.boots = BOOTS;
    if !candidates.is_empty() {
        lab.plan.test_gates =
            vec![TestGate { workload: "selftests".into(), expect: TestExpectation::NoNewFailures }];
    }
    for block in 0..BOOTS {
        for arm in std::iter::once(&"baseline").chain(candidates) {
            lab.push(arm, block, TrialEnd::Measured { samples: vec![] });
            let tests = TESTS.iter().map(|(test, result, message)| {
                let result = if *arm == "baseline" { *result } else { candidate(test, block) };
                let message = if result.passed() == Some(true) { "" } else { *message };
                TestOutcome {
                    workload: "selftests".into(),
                    test: (*test).into(),
                    result,
                    seconds: None,
                    message: message.into(),
                }
            });
            lab.trials.last_mut().expect("one was pushed").tests = tests.collect();
        }
    }
    lab.model()
}

/// What the baseline says of each, in every boot.
const TESTS: [(&str, TestResult, &str); 9] = [
    ("iommu:iommufd", TestResult::Pass, "exit=1"),
    ("iommu:iommufd / iommufd.simple_close", TestResult::Pass, ""),
    ("iommu:iommufd / iommufd_ioas.get_hw_info", TestResult::Pass, ""),
    ("net:fcnal-test.sh", TestResult::Timeout, "45 seconds"),
    ("net:flaky.sh", TestResult::Fail, "exit=1"),
    ("net:gro.sh", TestResult::Fail, "exit=1"),
    ("net:tls", TestResult::NotBuilt, "tls.c:1679:9: error: too many arguments"),
    ("net:tun", TestResult::Pass, "exit=1"),
    ("net:udpgso.sh", TestResult::Skip, ""),
];

fn as_before(test: &str) -> TestResult {
    TESTS.iter().find(|(name, ..)| *name == test).map_or(TestResult::Missing, |(_, result, _)| *result)
}

/// A run in which the candidate breaks two tests of one program, and another fails once.
pub(crate) fn compared() -> Model {
    boots(&["broken"], |test, block| match test {
        "iommu:iommufd" | "iommu:iommufd / iommufd_ioas.get_hw_info" => TestResult::Fail,
        "net:tun" if block == 1 => TestResult::Fail,
        "net:flaky.sh" if block < 2 => TestResult::Pass,
        _ => as_before(test),
    })
}

#[test]
fn tests_that_the_candidate_breaks() {
    check("tests", &compared(), Outcome::Fails);
}

#[test]
fn tests_that_say_the_same() {
    check("tests-same", &boots(&["hooks"], |test, _| as_before(test)), Outcome::Holds);
}

#[test]
fn tests_of_a_single_arm() {
    check("tests-alone", &boots(&[], |test, _| as_before(test)), Outcome::Holds);
}

/// A baseline that dies in a test, and a candidate in which that test ends so.
fn with_a_fix(candidate: TestResult) -> Model {
    const TEST: &str = "net:killer.sh";
    let mut lab = Lab::new(&["fix"]).without_gates();
    let ktap = Ktap {
        collections: vec!["net".into()],
        tests: vec![],
        build: vec![],
        skip: vec![],
        flakes: vec![],
        timeout_s: 45,
        deadline_s: 1800,
        from: TestsFrom::Base,
        nic: TestNic::None,
    };
    lab.plan.workloads =
        vec![Workload { name: "selftests".into(), cell: None, kind: WorkloadKind::Ktap(ktap) }];
    lab.plan.design.boots = BOOTS;
    lab.plan.test_gates = vec![TestGate { workload: "selftests".into(), expect: TestExpectation::Fixed }];
    for block in 0..BOOTS {
        let measured = TrialEnd::Measured { samples: vec![] };
        for (arm, end, result) in
            [("baseline", crate::lab::panic(), TestResult::Fail), ("fix", measured, candidate)]
        {
            // One that dies in its first two boots gets no third.
            if arm == "baseline" && block == 2 {
                continue;
            }
            lab.push(arm, block, end);
            lab.trials.last_mut().expect("one was pushed").tests = vec![TestOutcome {
                workload: "selftests".into(),
                test: TEST.into(),
                result,
                seconds: None,
                message: String::new(),
            }];
        }
    }
    lab.model()
}

#[test]
fn a_baseline_that_dies_of_what_is_fixed_fails_nothing() {
    let conclusion = report::conclude(&with_a_fix(TestResult::Pass));
    assert_eq!(conclusion.outcome, Outcome::Holds, "{:?}", conclusion.reasons);
    assert!(
        conclusion.reasons.iter().any(|reason| reason.contains("1 test fixed")),
        "{:?}",
        conclusion.reasons
    );
}

#[test]
fn a_fix_that_is_none_fails() {
    let conclusion = report::conclude(&with_a_fix(TestResult::Fail));
    assert_eq!(conclusion.outcome, Outcome::Fails);
    let words = conclusion.reasons.join("\n");
    assert!(words.contains("no test that fails in the baseline passes here"), "{words}");
}
