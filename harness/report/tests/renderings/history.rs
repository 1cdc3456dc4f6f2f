//! What lists of runs, comparisons and trends look like.

use std::collections::BTreeSet;

use measure::{Better, Dims, SampleTable, TrialRecord, Unit};
use plan::{Amount, Plan, WorkloadKind};
use report::{
    ArmLine, CompareError, Compared, Comparing, Filter, GateLine, HISTORY_FORMAT, Model, Outcome, RunLine,
    RunList, RunState, SeriesKey, Terminal, TrendInput, compare, compare_json, compare_markdown,
    compare_text, runs_json, runs_text, trend, trend_json, trend_text,
};
use serde_json::Value;

use crate::{PLAIN, lab::Lab};

/// A run that can be compared.
struct Run {
    plan: Plan,
    trials: Vec<TrialRecord>,
    samples: SampleTable,
    model: Model,
}

fn run(name: &str, started: &str, lab: Lab) -> Run {
    let (plan, trials) = (lab.plan.clone(), lab.trials.clone());
    let samples = SampleTable::of(&trials);
    let mut model = lab.model();
    (model.run.name, model.run.started) = (name.into(), started.into());
    Run { plan, trials, samples, model }
}

fn first() -> Run {
    let lab = Lab::new(&["hooks"]).boots("baseline", 0.0, 0.0, 1.0).boots("hooks", -0.05, 0.001, 1.0);
    run("20260101-120000-hooks", "2026-01-01T12:00:00Z", lab)
}

/// The same scenario a week later, on a host with another kernel.
fn second() -> Run {
    let lab = Lab::new(&["hooks"]).boots("baseline", 0.08, -0.03, 1.0).boots("hooks", 0.02, -0.03, 1.0);
    let mut run = run("20260108-120000-hooks", "2026-01-08T12:00:00Z", lab);
    run.model.host.kernel = Some("6.12.57-amd64".into());
    run.model.host.bench.insert("load".into(), "3.71".into());
    run
}

fn side<'a>(run: &'a Run, arm: &'a str) -> Comparing<'a> {
    let facts = vec![("guest root (sha256)", "0123456789ab".to_owned())];
    Comparing { model: &run.model, plan: &run.plan, trials: &run.trials, samples: &run.samples, arm, facts }
}

fn compared(first: Comparing<'_>, second: Comparing<'_>) -> Compared {
    compare(&first, &second, &Filter::default(), None).expect("the arms can be compared")
}

#[test]
fn runs_of_different_times_are_unclear_by_design() {
    let (first, second) = (first(), second());
    let compared = compared(side(&first, "hooks"), side(&second, "hooks"));
    assert_eq!((compared.outcome, compared.gates.len()), (Outcome::Unclear, 0));
    // The difference is as clear as it can be: that is not what the verdict depends on.
    let throughput = compared.rows.iter().find(|row| row.series.metric == "throughput").unwrap();
    assert!(throughput.effect.unwrap().interval.unwrap().low > 0.05 && throughput.q.is_none());
    let text = compare_text(&compared, PLAIN);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    insta::assert_snapshot!("compare-between.terminal", text);
    insta::assert_snapshot!("compare-between.markdown", compare_markdown(&compared));
    insta::assert_snapshot!("compare-between.json", compare_json(&compared));
}

#[test]
fn arms_of_one_run_are_judged_within_their_blocks() {
    let run = first();
    let compared = compared(side(&run, "baseline"), side(&run, "hooks"));
    assert_eq!(compared.outcome, Outcome::Fails);
    // The same judgement as in the run's own report.
    let judgements: Vec<_> = compared.gates.iter().map(|gate| &gate.judgement).collect();
    let reported: Vec<_> = run.model.gates.iter().map(|gate| &gate.judgement).collect();
    assert_eq!(judgements, reported);
    insta::assert_snapshot!("compare-within.terminal", compare_text(&compared, PLAIN));
    insta::assert_snapshot!("compare-within.markdown", compare_markdown(&compared));
}

#[test]
fn swapping_the_sides_turns_every_change_around() {
    let (first, second) = (first(), second());
    let there = compared(side(&first, "hooks"), side(&second, "hooks"));
    let back = compared(side(&second, "hooks"), side(&first, "hooks"));
    for (there, back) in there.rows.iter().zip(&back.rows) {
        let (there, back) = (there.effect.unwrap(), back.effect.unwrap());
        if there.scale == stats::Scale::Relative {
            assert!((there.estimate.ln_1p() + back.estimate.ln_1p()).abs() < 1e-9, "{there:?} {back:?}");
        } else {
            assert!((there.estimate + back.estimate).abs() < 1e-9, "{there:?} {back:?}");
        }
    }
}

#[test]
fn workloads_that_do_different_things_are_refused() {
    let (first, mut second) = (first(), second());
    for workload in &mut second.plan.workloads {
        if let WorkloadKind::Iperf3(iperf3) = &mut workload.kind {
            iperf3.amount = Amount::Seconds(4);
        }
    }
    let compared = compared(side(&first, "hooks"), side(&second, "hooks"));
    insta::assert_snapshot!(
        format!("{}: {}", compared.refused[0].what, compared.refused[0].why),
        @"workload tcp: iperf3 over TCP, 1 flow, client to server, 8 s after 1 s of warm-up, 128 KiB per write, cubic; and iperf3 over TCP, 1 flow, client to server, 4 s after 1 s of warm-up, 128 KiB per write, cubic"
    );
    assert!(compared.rows.iter().all(|row| row.series.workload.as_deref() != Some("tcp")));
    assert!(compared.rows.iter().any(|row| row.series.workload.as_deref() == Some("rr")));
    let only_tcp = Filter { workload: Some("tcp".into()), ..Filter::default() };
    let error = compare(&side(&first, "hooks"), &side(&second, "hooks"), &only_tcp, None).unwrap_err();
    assert!(matches!(&error, CompareError::NothingLeft { refused } if refused.len() == 1), "{error}");
}

#[test]
fn numbers_of_different_sources_are_refused() {
    let first = first();
    let lab = Lab::new(&["hooks"]).boots("baseline", 0.0, 0.0, 1.0).boots("hooks", 0.0, 0.0, 1.0).fake();
    let second = run("20260108-120000-fake", "2026-01-08T12:00:00Z", lab);
    let error =
        compare(&side(&first, "hooks"), &side(&second, "hooks"), &Filter::default(), None).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("tcp throughput client-to-server: numbers from different sources are not compared: iperf3 and fake"),
        "{text}"
    );
}

#[test]
fn arms_that_are_not_there_are_named_with_those_that_are() {
    let run = first();
    let error = compare(&side(&run, "baseline"), &side(&run, "hoks"), &Filter::default(), None).unwrap_err();
    assert_eq!(error.to_string(), "20260101-120000-hooks has no arm `hoks` (it has baseline, hooks)");
    let error = compare(&side(&run, "hooks"), &side(&run, "hooks"), &Filter::default(), None).unwrap_err();
    assert_eq!(error.to_string(), "20260101-120000-hooks: hooks would be compared with itself");
}

#[test]
fn a_filter_shows_single_cores_too() {
    let (first, second) = (first(), second());
    let filter = Filter {
        metric: Some("cpu-busy".into()),
        dims: Dims::from([("core".into(), "1".into())]),
        ..Filter::default()
    };
    let compared = compare(&side(&first, "hooks"), &side(&second, "hooks"), &filter, None).unwrap();
    assert_eq!(compared.rows.len(), 1);
    assert!(compare_text(&compared, PLAIN).contains("cpu-busy server core 1"));
}

fn line(run: &str, state: RunState, made: u32, age_seconds: f64) -> RunLine {
    let arm = |name: &str, release: &str, boots| ArmLine {
        name: name.into(),
        side: name.into(),
        kernel: "debian-6.12".into(),
        release: Some(release.into()),
        source_version: Some("6.12.57-1".into()),
        build_failure: None,
        boots,
        boots_failed: 0,
    };
    let gate = |gate: &str, verdict: &str| GateLine {
        arm: "hooks".into(),
        gate: gate.into(),
        verdict: verdict.into(),
    };
    RunLine {
        imported: false,
        run: run.into(),
        state,
        started: Some("2026-01-01T12:00:00Z".into()),
        age_seconds: Some(age_seconds),
        scenario: Some("hooks".into()),
        question: Some("Do the hooks disturb?".into()),
        assay: Some("0.1.0".into()),
        host: Some("Example CPU; 6.1.0-40-amd64; 10.0.2; tcg".into()),
        trials_made: Some(made),
        trials_planned: Some(16),
        outcome: Some(if made == 16 { Outcome::Holds } else { Outcome::Unclear }),
        exit: Some(if made == 16 { 0 } else { 3 }),
        arms: vec![arm("baseline", "6.12.57", made / 2), arm("hooks", "6.12.57", made / 2)],
        gates: vec![gate("tcp throughput", "same"), gate("rr latency p50", "same")],
    }
}

fn list() -> RunList {
    let mut broken = line("20260104-120000-failures", RunState::Complete, 10, 90_000.0);
    broken.outcome = Some(Outcome::Fails);
    broken.gates.clear();
    broken.arms[1].boots_failed = 2;
    broken.arms[1].boots = 2;
    let mut stale = broken.arms[0].clone();
    (stale.name, stale.side) = ("stale".into(), "stale".into());
    (stale.release, stale.source_version, stale.boots) = (None, None, 0);
    stale.build_failure = Some("does not apply: 0001-net-mend.patch".into());
    broken.arms.push(stale);
    let mut damaged = line("20260102-120000-hooks", RunState::Complete, 0, 0.0);
    damaged.state = RunState::Damaged {
        reason: "results/20260102-120000-hooks/samples.jsonl:7: not what Assay writes".into(),
    };
    damaged = RunLine {
        started: None,
        age_seconds: None,
        trials_made: None,
        trials_planned: None,
        outcome: None,
        exit: None,
        arms: vec![],
        gates: vec![],
        ..damaged
    };
    RunList {
        format: HISTORY_FORMAT,
        results: "results".into(),
        runs: vec![
            line("20260106-120000-hooks", RunState::Running, 3, 60.0),
            line("20260105-120000-hooks", RunState::Complete, 16, 7300.0),
            broken,
            line("20260103-120000-hooks", RunState::Interrupted, 5, 180_000.0),
            damaged,
        ],
        not_shown: 4,
        building: vec!["20260106-120500-hooks".into()],
        leftovers: vec!["20251231-100000-hooks".into()],
    }
}

#[test]
fn a_list_says_how_far_each_run_got_and_what_it_found() {
    insta::assert_snapshot!("runs.terminal", runs_text(&list(), PLAIN));
    insta::assert_snapshot!("runs.json", runs_json(&list()));
    let narrow = runs_text(&list(), Terminal { columns: 80, ..PLAIN });
    assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
    assert!(
        narrow.split_whitespace().collect::<Vec<_>>().join(" ").contains("stale: does not apply"),
        "nothing is cut: {narrow}"
    );
}

fn points() -> Vec<TrendInput> {
    let series = |dims: &[(&str, &str)]| SeriesKey {
        workload: Some("tcp".into()),
        metric: "throughput".into(),
        dims: dims.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        at: Dims::new(),
    };
    let input = |day: u32, release: &str, middle: f64, boots: u32, machine: &str| TrendInput {
        run: format!("202601{day:02}-120000-hooks"),
        scenario: "hooks".into(),
        started: format!("2026-01-{day:02}T12:00:00Z"),
        finished: day != 8,
        arm: "baseline".into(),
        kernel: release.into(),
        series: series(&[("direction", "client-to-server")]),
        runs: Some("iperf3 over TCP, 1 flow".into()),
        machine: machine.into(),
        unit: Unit::BitsPerSecond,
        better: Better::Higher,
        provenance: "iperf3".into(),
        values: (0..boots).map(|boot| middle * (1.0 + 0.004 * f64::from(boot % 5) - 0.008)).collect(),
    };
    vec![
        input(7, "6.12.61", 602e6, 9, "two guests"),
        input(1, "6.12.57", 557e6, 8, "two guests"),
        input(3, "6.12.57", 561e6, 4, "two guests"),
        input(5, "6.12.60", 1.012e9, 8, "two guests"),
        input(8, "6.12.61", 1.4e9, 3, "one guest, loopback"),
        TrendInput { values: vec![], ..input(9, "6.12.61", 0.0, 0, "two guests") },
    ]
}

#[test]
fn a_machine_is_what_its_guests_ran_under_too() {
    let mut arm = first().model.arms.remove(0);
    assert!(report::machine_in_words(&arm).ends_with("ran under tcg"), "{}", report::machine_in_words(&arm));
    for facts in arm.guests.values_mut() {
        facts.accel = "kvm".into();
    }
    assert!(report::machine_in_words(&arm).ends_with("ran under kvm"));
}

#[test]
fn a_trend_is_in_the_order_of_time_and_of_like_with_like() {
    let trend = trend("throughput", points(), None).unwrap();
    let shape: Vec<_> = trend.groups.iter().map(|group| group.points.len()).collect();
    assert_eq!(shape, [4, 1], "another machine's numbers stand apart, and a run without values is no point");
    let runs: Vec<&str> = trend.groups[0].points.iter().map(|point| &point.run[6..8]).collect();
    assert_eq!(runs, ["01", "03", "05", "07"]);
    assert!(trend.groups[0].points[1].interval.is_none(), "four boots know no interval");
    let text = trend_text(&trend, PLAIN);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    insta::assert_snapshot!("trend.terminal", text);
    insta::assert_snapshot!("trend.json", trend_json(&trend));
}

const DOCUMENT: &str = include_str!("../../HISTORY.md");

fn keys(value: &Value, within: &str, found: &mut BTreeSet<String>) {
    match value {
        // Dimensions and places are data, not schema.
        Value::Object(_) if ["dims", "at"].contains(&within) => {}
        Value::Object(entries) => {
            for (key, value) in entries {
                found.insert(key.clone());
                keys(value, key, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, within, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_key_is_described() {
    let (first, second) = (first(), second());
    let documents = [
        runs_json(&list()),
        trend_json(&trend("throughput", points(), None).unwrap()),
        compare_json(&compared(side(&first, "hooks"), side(&second, "hooks"))),
        compare_json(&compared(side(&first, "baseline"), side(&first, "hooks"))),
    ];
    let mut found = BTreeSet::new();
    for document in &documents {
        keys(&serde_json::from_str(document).unwrap(), "", &mut found);
    }
    let missing: Vec<_> = found.iter().filter(|key| !DOCUMENT.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "not in HISTORY.md: {missing:?}");
}
