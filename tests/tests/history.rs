//! `assay runs`, `compare` and `trend` on runs of the fake machine.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::{fs, process::Output};

use serde_json::Value;
use tests::{Room, said};

const FAKE: &str = "tests/fixtures/fake/scenarios";

/// A run of a scenario of the fake machine; gives its name.
fn run(room: &Room, scenario: &str, ends_with: i32) -> String {
    let before = names(room);
    let output = room.command().arg("run").arg(format!("{FAKE}/{scenario}.yaml")).output().unwrap();
    assert_eq!(output.status.code(), Some(ends_with), "{}", said(&output));
    names(room).into_iter().find(|name| !before.contains(name)).unwrap()
}

fn names(room: &Room) -> Vec<String> {
    let Ok(entries) = fs::read_dir(room.results()) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("run.json").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn assay(room: &Room, arguments: &[&str]) -> Output {
    room.command().args(arguments).output().unwrap()
}

/// The JSON that a command prints, which ends with this status.
fn json(room: &Room, arguments: &[&str], ends_with: i32) -> Value {
    let output = assay(room, arguments);
    assert_eq!(output.status.code(), Some(ends_with), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_list_follows_what_happens_to_the_folders() {
    let room = Room::new();
    let slower = run(&room, "slower", 1);
    let twins = run(&room, "twins", 0);
    let list = json(&room, &["runs", "--json"], 0);
    let state = |list: &Value, run: &str| -> (String, String) {
        let runs = list["runs"].as_array().unwrap();
        let line = runs.iter().find(|line| line["run"] == run).unwrap();
        (line["state"].as_str().unwrap().into(), line["outcome"].as_str().unwrap_or("none").into())
    };
    assert_eq!(list["runs"][0]["run"], *[&slower, &twins].into_iter().max().unwrap(), "newest first: {list}");
    assert_eq!(state(&list, &slower), ("complete".into(), "fails".into()));
    assert_eq!(state(&list, &twins), ("complete".into(), "holds".into()));

    fs::remove_file(room.results().join(&slower).join("trials/11/trial.json")).unwrap();
    fs::write(room.results().join(&twins).join("run.json"), "{").unwrap();
    let list = json(&room, &["runs", "--json"], 0);
    assert_eq!(state(&list, &slower).0, "interrupted");
    assert_eq!(state(&list, &twins), ("damaged".into(), "none".into()));
    let shown = text(&assay(&room, &["runs"]));
    assert!(
        shown.contains(&format!("assay run --resume {slower}")) && shown.contains("run.json:1"),
        "{shown}"
    );
    assert!(!text(&assay(&room, &["runs", "--scenario", "slower"])).contains("no runs"));

    let resumed = assay(&room, &["run", "--resume", &slower]);
    assert_eq!(resumed.status.code(), Some(1), "{}", said(&resumed));
    assert_eq!(state(&json(&room, &["runs", "--json"], 0), &slower), ("complete".into(), "fails".into()));
    // The index is a cache: without it, and made anew, the answer is the same.
    let expected = json(&room, &["runs", "--json"], 0);
    fs::write(room.results().join("index.sqlite"), "rubbish").unwrap();
    assert_eq!(json(&room, &["runs", "--json"], 0), expected);
    assert_eq!(json(&room, &["runs", "--json", "--reindex"], 0), expected);
}

#[test]
fn nothing_but_leftovers_of_builds_is_pruned() {
    let room = Room::new();
    let kept = run(&room, "twins", 0);
    let leftover = room.results().join("20260101-000000-interrupted");
    fs::create_dir_all(leftover.join("builds")).unwrap();
    fs::write(leftover.join("builds/debian-6.12.log"), "CC init/main.o\n").unwrap();
    let own = room.results().join("20260101-000000-notes");
    fs::create_dir_all(own.join("builds")).unwrap();
    fs::write(own.join("notes.txt"), "mine").unwrap();

    let list = json(&room, &["runs", "--json"], 0);
    assert_eq!(list["leftovers"], serde_json::json!(["20260101-000000-interrupted"]));
    let output = assay(&room, &["runs", "--prune"]);
    assert!(text(&output).contains("20260101-000000-interrupted"), "{}", said(&output));
    assert!(!leftover.exists() && own.join("notes.txt").exists());
    assert_eq!(names(&room), [kept]);
}

#[test]
fn a_verdict_is_drawn_within_a_run_and_never_between_two() {
    let room = Room::new();
    let (first, second) = (run(&room, "slower", 1), run(&room, "slower", 1));
    let within = json(&room, &["compare", &first, "--json"], 1);
    assert_eq!((&within["times"], &within["outcome"]), (&"same-blocks".into(), &"fails".into()), "{within}");
    assert_eq!(within["gates"][0]["judgement"]["verdict"], "worse");

    let between = json(&room, &["compare", &first, &second, "--json"], 3);
    assert_eq!((&between["times"], &between["outcome"]), (&"not-calibrated".into(), &"unclear".into()));
    assert_eq!(
        (&between["first"]["arm"], &between["second"]["arm"]),
        (&"candidate".into(), &"candidate".into())
    );
    // Even where the numbers are as different as those of two arms that were judged.
    let arms = ["compare", &first, &second, "--arm", "baseline", "--arm", "candidate", "--json"];
    let between = json(&room, &arms, 3);
    assert_eq!(between["outcome"], "unclear");
    let shown = text(&assay(&room, &["compare", &first, &second]));
    assert!(shown.contains("no calibration covers these times"), "{shown}");
}

/// Boots identical arms; gives what is then known.
fn calibrate(room: &Room) -> Value {
    let twins = format!("{FAKE}/twins.yaml");
    json(room, &["calibrate", &twins, "--boots", "24", "--json"], 0)
}

#[test]
fn runs_of_calibrated_times_are_judged_and_others_are_not() {
    let room = Room::new();
    let known = calibrate(&room);
    assert_eq!(known["sessions"][0]["boots"], 24, "{known}");
    // Seven, five and one of 12 blocks, each of two gates.
    assert_eq!(
        (&known["judged"]["comparisons"], &known["judged"]["wrong"]),
        (&Value::from(26), &Value::from(0)),
        "{known}"
    );
    let first = run(&room, "slower", 1);
    let of_arms = |second: &str| {
        ["compare", &first, second, "--arm", "baseline", "--arm", "candidate", "--json"]
            .map(ToOwned::to_owned)
    };
    let second = run(&room, "slower", 1);
    let arms = of_arms(&second);
    let arms: Vec<&str> = arms.iter().map(String::as_str).collect();
    // One time says nothing of another.
    let between = json(&room, &arms, 3);
    assert_eq!(between["times"], "not-calibrated", "{between}");
    assert!(between["calibration"].as_str().unwrap().contains("calibrate twins"), "{between}");
    calibrate(&room);
    calibrate(&room);
    let between = json(&room, &arms, 1);
    assert_eq!(
        (&between["times"], &between["outcome"], &between["gates"][0]["judgement"]["verdict"]),
        (&"calibrated".into(), &"fails".into(), &"worse".into()),
        "{between}"
    );
    let alike = json(&room, &["compare", &first, &second, "--arm", "candidate", "--json"], 0);
    assert_eq!((&alike["times"], &alike["outcome"]), (&"calibrated".into(), &"holds".into()), "{alike}");

    // What is known is told before a run and after it.
    let scenario = format!("{FAKE}/slower.yaml");
    let plan = text(&assay(&room, &["plan", &scenario]));
    assert!(plan.contains("Calibrated: 72 boots") && plan.contains("6 boots of each arm"), "{plan}");
    let third = run(&room, "slower", 1);
    for format in ["terminal", "markdown", "json", "html"] {
        let report = text(&assay(&room, &["report", &third, "--format", format]));
        assert!(report.contains("72 boots of"), "{format}: {report}");
    }
    let shown = text(&assay(&room, &["calibrate", &scenario, "--show"]));
    assert!(shown.contains("3 sessions") && shown.contains("False alarms at 5 %"), "{shown}");
}

#[test]
fn an_interrupted_calibration_is_taken_up_and_no_other_run_is_one() {
    let room = Room::new();
    calibrate(&room);
    let name = names(&room).remove(0);
    fs::remove_file(room.results().join(&name).join("trials/23/trial.json")).unwrap();
    let known = json(&room, &["calibrate", "--from", &name, "--json"], 0);
    assert_eq!(known["sessions"][0]["boots"], 23, "{known}");
    assert_eq!(assay(&room, &["run", "--resume", &name]).status.code(), Some(0));
    let known = json(&room, &["calibrate", "--from", &name, "--json"], 0);
    let sessions = known["sessions"].as_array().unwrap();
    assert_eq!(
        (sessions.len(), &sessions[0]["boots"]),
        (1, &Value::from(24)),
        "replaced, not added: {known}"
    );
    let twins = run(&room, "twins", 0);
    let refused = assay(&room, &["calibrate", "--from", &twins]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("no run of identical arms"), "{}", said(&refused));
}

#[test]
fn what_cannot_be_compared_or_found_is_the_users_to_mend() {
    let room = Room::new();
    let name = run(&room, "slower", 1);
    let refused: [(&[&str], &str); 5] = [
        (&["compare", &name, "--arm", "baseline", "--arm", "candidat"], "it has baseline, candidate"),
        (&["compare", &name, "no-such-run"], "no run"),
        (&["compare", &name, "--metric", "goodness"], "nothing can be compared"),
        (&["trend", "goodness"], "throughput"),
        (&["trend", "throughput", "--workload", "nothing"], "none with all that was asked for"),
    ];
    for (arguments, says) in refused {
        let output = assay(&room, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(says), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn a_trend_has_every_run_in_the_order_of_time() {
    let room = Room::new();
    let mut runs = vec![run(&room, "slower", 1), run(&room, "twins", 0), run(&room, "slower", 1)];
    let trend = json(&room, &["trend", "throughput", "--json"], 0);
    let of = |group: &Value| -> Vec<String> {
        let points = group["points"].as_array().unwrap();
        points.iter().map(|point| point["run"].as_str().unwrap().to_owned()).collect()
    };
    let mut seen: Vec<String> = trend["groups"].as_array().unwrap().iter().flat_map(of).collect();
    seen.sort();
    runs.sort();
    assert_eq!(seen, runs, "{trend}");
    let only =
        json(&room, &["trend", "throughput", "--scenario", "slower", "--arm", "candidate", "--json"], 0);
    assert_eq!(only["groups"][0]["points"].as_array().unwrap().len(), 2, "{only}");
    let shown = text(&assay(&room, &["trend", "throughput"]));
    assert!(shown.contains("something changed, not that a kernel did"), "{shown}");
}

#[test]
fn a_results_folder_that_is_not_there_has_no_runs_and_is_not_made() {
    let room = Room::new();
    let output = assay(&room, &["runs"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(text(&output).contains("no runs"), "{}", said(&output));
    assert!(!room.results().exists());
}
