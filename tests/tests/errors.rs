//! Errors: what a person reads, with what to type next, and what a program reads with `--json`.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use serde_json::Value;
use tests::{Room, said};

/// What a command says on standard error; it fails with this status and prints nothing else.
fn error(room: &Room, arguments: &[&str], status: i32) -> String {
    let output = room.command().args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{}", said(&output));
    assert!(output.stdout.is_empty(), "{}", said(&output));
    String::from_utf8(output.stderr).unwrap()
}

fn json(room: &Room, arguments: &[&str], status: i32) -> Value {
    let text = error(room, arguments, status);
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(document["error"]["exit"], status, "{text}");
    document["error"].clone()
}

#[test]
fn names_that_are_nearly_right_are_answered_with_what_was_meant() {
    let room = Room::new();
    for (arguments, meant) in [
        (&["plan", "nul"][..], "did you mean `null`?"),
        (&["plan", "scenarios/nul.yaml"], "did you mean `null`?"),
        (&["plan", "net", "--base", "debian-6.1"], "did you mean `debian-6.12`?"),
        (&["plan", "net", "--series", "iommu-hook"], "did you mean `iommu-hooks`?"),
        (&["kernel", "path", "debian-6.1"], "did you mean `debian-6.12`?"),
        (&["series", "show", "planted-slowdwn"], "did you mean `planted-slowdown`?"),
    ] {
        let text = error(&room, arguments, 2);
        assert!(text.contains(meant), "{arguments:?}: {text}");
    }
    let text = error(&room, &["plan", "nothing-like-it"], 2);
    assert!(!text.contains("did you mean") && text.contains("iommu-hooks, "), "{text}");
}

#[test]
fn runs_are_found_by_what_their_names_end_with() {
    let room = Room::new();
    let none = error(&room, &["report"], 2);
    assert!(none.contains("hint: assay run SCENARIO makes one"), "{none}");
    let twins = "tests/fixtures/fake/scenarios/twins.yaml";
    let made = room.command().args(["run", twins]).output().unwrap();
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    let run = room.run().file_name().unwrap().to_str().unwrap().to_owned();
    let wrong = error(&room, &["report", "twin"], 2);
    assert!(wrong.contains(&format!("did you mean `{run}`?")) && wrong.contains("assay runs"), "{wrong}");
    let text = error(&room, &["run", "--resume", "2020"], 2);
    assert!(text.contains("there is no run `2020`"), "{text}");
    let timed = error(&room, &["profile", &run], 2);
    assert!(timed.contains("is a timed run") && timed.contains("evidence: exact"), "{timed}");
    let metric = error(&room, &["trend", "thruput"], 2);
    assert!(metric.contains("they have"), "{metric}");
}

#[test]
fn every_problem_of_a_file_has_its_line_in_json() {
    let room = Room::new();
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("broken.yaml");
    std::fs::write(&scenario, "# Is it broken?\nschema: 1\nbase: debian-6.1\nboot: 7\n").unwrap();
    let project = tests::top();
    let arguments = ["--project", project.to_str().unwrap(), "plan", scenario.to_str().unwrap(), "--json"];
    let error = json(&room, &arguments, 2);
    assert_eq!(error["kind"], "user");
    let problems = error["problems"].as_array().unwrap();
    let at = |line: u64| problems.iter().find(|problem| problem["line"] == line).unwrap();
    assert_eq!(at(4)["file"], scenario.to_str().unwrap());
    assert!(at(4)["message"].as_str().unwrap().contains("boot"), "{problems:?}");
    assert!(at(3)["allowed"].as_str().unwrap().contains("debian-6.12"), "{problems:?}");
}

#[test]
fn whose_failure_it_is_stands_in_the_json() {
    let room = Room::new();
    let missing = json(&room, &["report", "--json"], 2);
    assert_eq!(missing["kind"], "user");
    assert!(missing["hints"][0].as_str().unwrap().contains("assay run"), "{missing}");
    let usage = json(&room, &["runs", "--json", "--limt", "3"], 2);
    assert!(usage["problems"][0]["message"].as_str().unwrap().contains("--limt"), "{usage}");
    let file = tempfile::NamedTempFile::new().unwrap();
    let cache = file.path().join("cache");
    let mut command = room.sharing_command();
    command.args(["--cache", cache.to_str().unwrap(), "plan", "net", "--json"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(69), "{}", said(&output));
    let machine: Value = serde_json::from_slice(&output.stderr).unwrap();
    let machine = &machine["error"];
    assert_eq!(machine["kind"], "infrastructure");
    assert!(!machine["causes"].as_array().unwrap().is_empty(), "{machine}");
}

#[test]
fn results_are_one_json_document_each() {
    let room = Room::new();
    let twins = "tests/fixtures/fake/scenarios/twins.yaml";
    let document = |arguments: &[&str], status: i32| -> Value {
        let output = room.command().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)))
    };
    let run = document(&["run", twins, "--json"], 0);
    assert_eq!(run, document(&["report", "--json"], 0));
    assert_eq!(run, document(&["report", "--format", "json"], 0));
    assert_eq!(document(&["runs", "--prune", "--json"], 0)["removed"], Value::Array(vec![]));
    let kernels = document(&["kernel", "list", "--json"], 0);
    assert!(kernels["bases"].as_array().unwrap().contains(&"debian-6.12".into()), "{kernels}");
    assert_eq!(kernels["built"][0]["base"], "steady", "{kernels}");
    assert_eq!(document(&["kernel", "gc", "--json"], 0)["bytes"], 0);
    document(&["plan", twins, "--json"], 0);
    document(&["tune", "--json"], 0);
    document(&["series", "show", "iommu-hooks", "--json"], 0);
}
