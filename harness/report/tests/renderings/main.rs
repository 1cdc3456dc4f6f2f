//! What reports look like, for each kind of result.

mod complaints;
mod documented;
mod history;
mod lab;
mod matrix;
mod over_time;
mod pages;
mod profiles;
mod read_with_it;
mod stopped;
mod streams;
mod suites;
mod voids;
mod within;

use std::path::PathBuf;

use lab::Lab;
use measure::{ApplyFailure, BuildEnd, CrashKind, CrashReport, TrialEnd};
use report::{Colour, Detail, Model, Outcome, Terminal, conclude, json, markdown, overall, terminal};

const PLAIN: Terminal = Terminal { colour: Colour::Never, columns: 100, detail: Detail::Short };

fn baseline(candidates: &[&str]) -> Lab {
    Lab::new(candidates).boots("baseline", 0.0, 0.0, 1.0)
}

/// Checks the outcome, and both texts against their snapshots.
fn check(name: &str, model: &Model, outcome: Outcome) {
    assert_eq!(overall(model), outcome, "{:?}", conclude(model));
    let text = terminal(model, PLAIN);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    insta::assert_snapshot!(format!("{name}.terminal"), text);
    insta::assert_snapshot!(format!("{name}.markdown"), markdown(model));
}

#[test]
fn all_same() {
    let model = baseline(&["hooks"]).boots("hooks", 0.001, -0.002, 1.0).model();
    check("same", &model, Outcome::Holds);
    insta::assert_snapshot!("same.json", json(&model).unwrap());
}

#[test]
fn throughput_is_worse() {
    let model = baseline(&["slow"]).boots("slow", -0.051, 0.001, 1.0).model();
    check("worse", &model, Outcome::Fails);
}

#[test]
fn too_noisy_to_tell() {
    let model = baseline(&["hooks"]).boots("hooks", 0.004, 0.018, 9.0).model();
    check("unclear", &model, Outcome::Unclear);
}

#[test]
fn the_candidate_panics() {
    let model = baseline(&["broken"]).ended("broken", 0..2, &lab::panic()).model();
    check("panics", &model, Outcome::Fails);
}

#[test]
fn the_candidate_hangs() {
    let report = CrashReport {
        kind: CrashKind::BootHang,
        guest: "client".into(),
        title: "no agent answered within 60 s".into(),
        excerpt: "[    0.702] clocksource: Switched to clocksource tsc\n".into(),
        cpus: vec![],
    };
    let end = TrialEnd::Crashed { report, samples: vec![] };
    let model = baseline(&["stuck"]).ended("stuck", 0..2, &end).model();
    check("hangs", &model, Outcome::Fails);
}

#[test]
fn the_series_does_not_apply() {
    let failure = ApplyFailure {
        patch: "stale/0002-iommu-vt-d-mark-the-critical-section.patch".into(),
        file: Some("drivers/iommu/intel/dmar.c".into()),
        line: Some(1421),
        hunk: Some("@@ -1421,3 +1421,4 @@ restart:\n \traw_spin_lock_irqsave(&qi->q_lock, flags);\n+\tmark();\n \t/*\n".into()),
        message: "error: patch failed: drivers/iommu/intel/dmar.c:1421".into(),
    };
    let model = baseline(&["stale"]).built("stale", BuildEnd::DoesNotApply(failure)).model();
    check("does-not-apply", &model, Outcome::Fails);
}

#[test]
fn the_series_does_not_compile() {
    let end = BuildEnd::DoesNotCompile {
        errors: "net/core/page_pool.c:512:9: error: 'undeclared' undeclared (first use in this function)\n"
            .into(),
        log: PathBuf::from("builds/typo.log"),
    };
    let model = baseline(&["typo"]).built("typo", end).model();
    check("does-not-compile", &model, Outcome::Fails);
}

#[test]
fn identical_arms() {
    let model = baseline(&["twin"]).boots("twin", 0.0, 0.0, 1.0).model();
    check("identical", &model, Outcome::Holds);
}

#[test]
fn fake_numbers() {
    let model = baseline(&["hooks"]).boots("hooks", 0.0, 0.0, 1.0).fake().model();
    check("fake", &model, Outcome::Holds);
}

#[test]
fn a_single_arm_without_gates() {
    let model = baseline(&[]).model();
    check("single", &model, Outcome::Holds);
}

#[test]
fn two_candidates_without_gates() {
    let lab = baseline(&["good", "slow"]).boots("good", 0.0, 0.0, 1.0).boots("slow", -0.2, 0.3, 1.0);
    check("explored", &lab.without_gates().model(), Outcome::Holds);
}

#[test]
fn an_unfinished_run_does_not_hold() {
    let mut lab = baseline(&["hooks"]).boots("hooks", 0.001, -0.002, 1.0);
    lab.finished = false;
    lab.trials.pop();
    let conclusion = conclude(&lab.model());
    assert_eq!(conclusion.outcome, Outcome::Unclear);
    assert_eq!(conclusion.reasons[0], "the run is not finished: 15 of 16 boots were made");
}

#[test]
fn a_baseline_that_fails_leaves_nothing_to_compare() {
    let lab = Lab::new(&["hooks"]).ended("baseline", 0..2, &lab::panic()).boots("hooks", 0.0, 0.0, 1.0);
    let conclusion = conclude(&lab.model());
    assert_eq!(conclusion.outcome, Outcome::Fails);
    insta::assert_snapshot!(conclusion.reasons.join("\n"), @"the baseline: panic (Kernel panic - not syncing: planted at boot) in 2 of 2 boots, so nothing can be compared");
}

#[test]
fn a_crash_that_the_baseline_has_as_well_is_not_the_candidates() {
    let mut lab = baseline(&["hooks"]).boots("hooks", 0.0, 0.0, 1.0);
    for trial in lab.trials.iter_mut().filter(|trial| trial.block == 3) {
        trial.end = lab::panic();
    }
    let conclusion = conclude(&lab.model());
    assert_eq!(conclusion.outcome, Outcome::Unclear);
    assert!(conclusion.reasons[0].ends_with("and the baseline has the same"), "{conclusion:?}");
}

#[test]
fn what_cannot_be_tested_is_unclear_and_not_a_failure() {
    let end = TrialEnd::NotTestable { message: "net.ipv4.tcp_fancy: no such sysctl".into() };
    let model = baseline(&["hooks"]).ended("hooks", 0..2, &end).model();
    assert_eq!(overall(&model), Outcome::Unclear);
    assert_eq!([Outcome::Holds, Outcome::Fails, Outcome::Unclear].map(Outcome::exit_code), [0, 1, 3]);
}

#[test]
fn narrow_terminals_and_colour() {
    let model = baseline(&["slow"]).boots("slow", -0.051, 0.001, 1.0).model();
    let narrow = terminal(&model, Terminal { columns: 72, ..PLAIN });
    assert!(narrow.lines().all(|line| line.chars().count() <= 72), "{narrow}");
    assert!(!narrow.contains('\u{1b}'));
    let coloured = terminal(&model, Terminal { colour: Colour::Always, ..PLAIN });
    assert!(coloured.contains("\u{1b}[1;31mworse\u{1b}[0m"), "{coloured}");
    let stripped = ["1", "2", "0", "1;31", "1;32", "1;33"]
        .iter()
        .fold(coloured, |text, code| text.replace(&format!("\u{1b}[{code}m"), ""));
    assert_eq!(stripped, terminal(&model, PLAIN));
}

#[test]
fn full_detail_shows_every_core() {
    let model = baseline(&["hooks"]).boots("hooks", 0.0, 0.0, 1.0).model();
    let full = terminal(&model, Terminal { detail: Detail::Full, ..PLAIN });
    assert!(full.contains("cpu-busy server core 1") && !full.contains("left out"), "{full}");
    let short = terminal(&model, PLAIN);
    assert!(
        !short.contains("core 1") && short.contains("2 rows of single cores, flows and the like"),
        "{short}"
    );
}

#[test]
fn the_only_core_is_not_shown_beside_all_cores() {
    let softirq = |lab: Lab| -> Vec<String> {
        let model = lab.model();
        let of = |row: &&report::Row| row.series.metric == "cpu-softirq";
        model.explored.iter().filter(of).map(|row| report::label(&row.series)).collect()
    };
    let lab = |cores| {
        let lab = baseline(&["hooks"]).boots("hooks", 0.0, 0.0, 1.0);
        lab.many_cores(cores, |core| if core == 0 { 1.3 } else { 1.0 })
    };
    let (one, two) = (softirq(lab(1).all_like_core_0()), softirq(lab(2).all_like_core_0()));
    assert_eq!(one, ["tcp cpu-softirq server all cores"]);
    // In a guest with more of them, one that does everything is worth knowing.
    assert_eq!(two.len(), 3, "{two:?}");
}

#[test]
fn of_thousands_of_rows_the_surest_differences_are_shown_and_the_rest_is_counted() {
    let lab = baseline(&["hooks"])
        .boots("hooks", 0.0, 0.0, 1.0)
        .many_cores(900, |core| if core % 3 == 0 { 1.3 } else { 1.0 });
    let model = lab.model();
    let text = terminal(&model, PLAIN);
    assert!(text.lines().count() < 250, "{}", text.lines().count());
    assert!(
        text.contains("left out, ") && text.contains("of them with a difference; report.json has all"),
        "{text}"
    );
    // What is shown of the cores has a difference, and the order of the plan.
    let shown: Vec<u32> = text
        .lines()
        .filter_map(|line| {
            line.split_once("cpu-softirq server core ")?.1.split_whitespace().next()?.parse().ok()
        })
        .collect();
    assert!(shown.len() > 10 && shown.iter().all(|core| core % 3 == 0), "{shown:?}");
    let letter = markdown(&model);
    assert!(letter.contains("300 of ") && letter.contains("270 more are in report.json"), "{letter}");
    assert!(letter.lines().count() < 150, "{}", letter.lines().count());
    let full = terminal(&model, Terminal { detail: Detail::Full, ..PLAIN });
    assert!(full.contains("cpu-softirq server core 899"));
}
