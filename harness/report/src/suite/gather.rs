//! Puts the outcomes of all boots together.

use std::collections::{BTreeMap, BTreeSet};

use measure::{TestOutcome, TestResult, TrialRecord};
use plan::{Arm, Ktap, Patterns, Plan, Workload, WorkloadKind};
use stats::{Class, Contrast, Tally, contrast};

use super::{Suite, SuiteComparison, SuiteCounts, TestRow, judge};

/// What one test did in all boots of one arm.
#[derive(Clone, Debug, Default)]
struct Record {
    tally: Tally,
    not_built: bool,
    /// The first words of a failure, else of a skip.
    failure: String,
    excuse: String,
}

impl Record {
    fn add(&mut self, outcome: &TestOutcome) {
        match outcome.result.passed() {
            Some(true) => self.tally.counts.passed += 1,
            Some(false) => self.tally.counts.failed += 1,
            None => self.tally.silent += 1,
        }
        self.not_built |= outcome.result == TestResult::NotBuilt;
        let words = match outcome.result.passed() {
            Some(true) => return,
            Some(false) => &mut self.failure,
            None => &mut self.excuse,
        };
        if words.is_empty() {
            *words = match (outcome.result, outcome.message.as_str()) {
                (TestResult::Fail, message) => message.to_owned(),
                (result, "") => result.word().to_owned(),
                (result, message) => format!("{}: {message}", result.word()),
            };
        }
    }

    fn message(&self) -> &str {
        if self.failure.is_empty() { &self.excuse } else { &self.failure }
    }
}

/// Test to what it did.
type OfArm<'a> = BTreeMap<&'a str, Record>;

/// Every workload of a plan that runs tests, if any boot said anything.
pub(crate) fn gather(plan: &Plan, trials: &[TrialRecord]) -> Vec<Suite> {
    plan.workloads
        .iter()
        .filter_map(|workload| match &workload.kind {
            WorkloadKind::Ktap(params) => Some(suite(plan, workload, params, trials)),
            WorkloadKind::Iperf3(_)
            | WorkloadKind::Sockperf(_)
            | WorkloadKind::Command(_)
            | WorkloadKind::Stream(_)
            | WorkloadKind::Imported(_) => None,
        })
        .collect()
}

fn suite(plan: &Plan, workload: &Workload, params: &Ktap, trials: &[TrialRecord]) -> Suite {
    // The scenario's reader has refused patterns that are none.
    let flakes = Patterns::new(&params.flakes).unwrap_or_default();
    let of_arm = |arm: &Arm| -> (u32, OfArm<'_>) {
        let mut records = OfArm::new();
        let mut boots = 0;
        for trial in trials.iter().filter(|trial| trial.arm == arm.name) {
            let outcomes = trial.tests.iter().filter(|outcome| outcome.workload == workload.name);
            let mut said = false;
            for outcome in outcomes {
                records.entry(outcome.test.as_str()).or_default().add(outcome);
                said = true;
            }
            boots += u32::from(said);
        }
        (boots, records)
    };
    let counts = plan.arms.iter().flat_map(|arm| {
        let (boots, records) = of_arm(arm);
        counts(&arm.name, boots, &records)
    });
    let comparisons = plan.candidates().filter_map(|arm| {
        let baseline = plan.baseline_of(arm)?;
        let (before, after) = (of_arm(baseline), of_arm(arm));
        Some(compare(plan, workload, baseline, arm, before, after, &flakes))
    });
    let comparisons: Vec<SuiteComparison> = comparisons.collect();
    let failures = match (&comparisons[..], plan.baseline()) {
        ([], Some(only)) => failures(&of_arm(only).1, &flakes),
        _ => Vec::new(),
    };
    Suite { workload: workload.name.clone(), counts: counts.collect(), comparisons, failures }
}

fn counts(arm: &str, boots: u32, records: &OfArm<'_>) -> Vec<SuiteCounts> {
    let mut collections: BTreeMap<&str, SuiteCounts> = BTreeMap::new();
    for (test, record) in records {
        let collection = test.split_once(':').map_or(*test, |(collection, _)| collection);
        let counts = collections.entry(collection).or_insert_with(|| SuiteCounts {
            collection: collection.to_owned(),
            arm: arm.to_owned(),
            boots,
            pass: 0,
            fail: 0,
            vary: 0,
            skip: 0,
            not_built: 0,
        });
        let field = match (record.tally.counts.passed, record.tally.counts.failed) {
            (0, 0) if record.not_built => &mut counts.not_built,
            (0, 0) => &mut counts.skip,
            (_, 0) => &mut counts.pass,
            (0, _) => &mut counts.fail,
            (_, _) => &mut counts.vary,
        };
        *field += 1;
    }
    collections.into_values().collect()
}

fn compare(
    plan: &Plan,
    workload: &Workload,
    baseline: &Arm,
    arm: &Arm,
    (baseline_boots, before): (u32, OfArm<'_>),
    (candidate_boots, after): (u32, OfArm<'_>),
    flakes: &Patterns,
) -> SuiteComparison {
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let of = |records: &OfArm<'_>, name: &str| records.get(name).cloned().unwrap_or_default();
    // A known flake is tested by itself: it must not make it harder to see anything else.
    let (flaky, steady): (Vec<&str>, Vec<&str>) =
        names.into_iter().partition(|name| flakes.matches_test(name));
    let mut rows: Vec<TestRow> = Vec::new();
    for (names, known_flake) in [(steady, false), (flaky, true)] {
        let records: Vec<(Record, Record)> =
            names.iter().map(|name| (of(&before, name), of(&after, name))).collect();
        let tallies: Vec<(Tally, Tally)> = records.iter().map(|(b, a)| (b.tally, a.tally)).collect();
        let contrasts = contrast(&tallies);
        rows.extend(
            names
                .iter()
                .zip(&records)
                .zip(contrasts)
                .map(|((name, (before, after)), contrast)| row(name, before, after, contrast, known_flake)),
        );
    }
    let mut classes = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.known_flake) {
        *classes.entry(row.class).or_default() += 1;
    }
    let expected = plan.test_gates.iter().find(|gate| gate.workload == workload.group());
    let boots = [baseline_boots, candidate_boots];
    let gate = expected.map(|gate| judge::judge(gate.expect, &rows, boots, plan.design.alpha));
    // An arm that has not booted yet differs in nothing.
    let differs = |row: &TestRow| {
        !boots.contains(&0)
            && matches!(
                row.class,
                Class::NewlyFailing
                    | Class::Fixed
                    | Class::SometimesFailing
                    | Class::Flaky
                    | Class::OneArmOnly
            )
    };
    let mut differing: Vec<TestRow> = rows.iter().filter(|row| differs(row)).cloned().collect();
    differing.sort_by(|a, b| {
        let key = |row: &TestRow| (row.known_flake, row.class);
        let by_q = a.q.unwrap_or(1.0).total_cmp(&b.q.unwrap_or(1.0));
        key(a).cmp(&key(b)).then(by_q).then_with(|| a.test.cmp(&b.test))
    });
    rows.retain(|row| row.class == Class::AlwaysFails);
    SuiteComparison {
        baseline: baseline.name.clone(),
        arm: arm.name.clone(),
        at: arm.dims().clone(),
        differing,
        common_failures: rows,
        classes,
        gate,
    }
}

fn row(name: &str, before: &Record, after: &Record, contrast: Contrast, known_flake: bool) -> TestRow {
    let message = if after.message().is_empty() { before.message() } else { after.message() };
    TestRow {
        test: name.to_owned(),
        class: contrast.class,
        baseline: before.tally,
        candidate: after.tally,
        p: contrast.p,
        q: contrast.q,
        known_flake,
        message: message.to_owned(),
    }
}

/// What fails where nothing is compared.
fn failures(records: &OfArm<'_>, flakes: &Patterns) -> Vec<TestRow> {
    let failing = records.iter().filter(|(_, record)| record.tally.counts.failed > 0);
    let row = |(name, record): (&&str, &Record)| {
        let class = if record.tally.counts.passed == 0 { Class::AlwaysFails } else { Class::Flaky };
        let contrast = Contrast { class, p: None, q: None };
        row(name, record, &Record::default(), contrast, flakes.matches_test(name))
    };
    failing.map(row).collect()
}
