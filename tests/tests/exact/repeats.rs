//! A replicate is the same whenever, wherever and beside whatever it runs; and what differs is named.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::Value;
use tests::{Room, can_boot, long_tests, said, top};

/// Runs a scenario of two arms that are alike, and gives its folder.
fn run(room: &Room, scenario: &str, replicates: &[&str]) -> PathBuf {
    let before: Vec<PathBuf> = runs(room);
    let replicates = replicates.iter().flat_map(|number| ["--replicate", number]);
    let output = room.sharing_command().args(["run", scenario]).args(replicates).output().unwrap();
    // With few blocks the gate is unclear, whatever the counts are.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", said(&output));
    runs(room).into_iter().find(|run| !before.contains(run)).unwrap()
}

fn runs(room: &Room) -> Vec<PathBuf> {
    fs::read_dir(room.results()).map_or_else(|_| vec![], |all| all.map(|run| run.unwrap().path()).collect())
}

fn compare(room: &Room, runs: &[&Path], flags: &[&str]) -> Output {
    room.sharing_command().args(["compare", "--exact"]).args(runs).args(flags).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}

#[test]
fn a_replicate_repeats_here_and_from_a_bundle_and_what_differs_is_named() {
    if !can_boot() {
        return;
    }
    let room = Room::new();
    let first = run(&room, "scenarios/null-exact.yaml", &["p3"]);
    let alike = compare(&room, &[&first], &["--json"]);
    assert_eq!(alike.status.code(), Some(0), "{}", said(&alike));
    let alike = json(&alike);
    assert_eq!((&alike["compared"], &alike["differing"]), (&Value::from(1), &Value::from(0)));
    assert_eq!(alike["replicates"][0]["replicate"], 3);
    assert!(alike["replicates"][0]["others"][0]["functions"].as_u64().unwrap() > 500, "{alike}");

    // From elsewhere: nothing of this project is there but what is in the bundle.
    let bundle = room.results().with_file_name("run.bundle.tar.zst");
    let output = room.sharing_command().arg("bundle").arg(&first).arg("-o").arg(&bundle).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let elsewhere = tempfile::tempdir().unwrap();
    let mut replay = room.sharing_command();
    replay.current_dir(&elsewhere).env_remove("ASSAY_PROJECT").arg("replay").arg(&bundle).arg("--json");
    let replayed = json(&replay.output().unwrap());
    let claims = replayed["claims"].as_array().unwrap();
    for arm in ["a", "b"] {
        let what = format!("arm {arm}, p3");
        let claim = claims
            .iter()
            .find(|claim| claim["what"] == what.as_str())
            .unwrap_or_else(|| panic!("{replayed}"));
        assert_eq!(claim["agrees"], "yes", "{claim}");
        assert_eq!(claim["now"], "the same in every count");
    }

    // One instruction more in one function of one boot.
    let counts = first.join("trials/1/raw/insncount.jsonl");
    let text = fs::read_to_string(&counts).unwrap();
    let changed = one_more(&text);
    fs::write(&counts, changed).unwrap();
    let differs = compare(&room, &[&first], &[]);
    assert_eq!(differs.status.code(), Some(1), "{}", said(&differs));
    let words = String::from_utf8_lossy(&differs.stdout).into_owned();
    assert!(words.contains("DIFFERS first in ") && words.contains("0 of 1 comparisons"), "{words}");
    assert!(!words.contains("more differ"), "only one does: {words}");
}

/// The file with one executed instruction more, in the first kernel code of its first window.
fn one_more(text: &str) -> String {
    let (mut code, mut end) = (false, false);
    let lines = text.lines().map(|line| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        if !code && value["code"].is_object() {
            let count = &mut value["code"]["count"][0];
            *count = (count.as_u64().unwrap() + 1).into();
            code = true;
        } else if !end && value["end"].is_object() {
            let executed = &mut value["end"]["executed"];
            *executed = (executed.as_u64().unwrap() + 1).into();
            end = true;
        } else {
            return format!("{line}\n");
        }
        format!("{value}\n")
    });
    lines.collect()
}

#[test]
fn what_has_no_replicates_is_refused() {
    let room = Room::new();
    let refused =
        room.sharing_command().args(["plan", "scenarios/null.yaml", "--replicate", "p3"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("times do not repeat"), "{}", said(&refused));
    let refused =
        room.sharing_command().args(["calibrate", "--exact", "scenarios/null.yaml"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
}

/// Keeps all processors busy as long as it lives.
struct Busy<'a>(&'a AtomicBool);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[test]
fn long_ten_boots_of_one_replicate_are_the_same_alone_and_on_a_busy_machine() {
    if !can_boot() || !long_tests() {
        return;
    }
    for scenario in ["null-exact", "null-exact-nics"] {
        let room = Room::new();
        let path = top().join("scenarios").join(scenario).with_extension("yaml");
        // Five blocks of two arms.
        let alone = run(&room, path.to_str().unwrap(), &["p3"; 5]);
        let on = AtomicBool::new(true);
        let busy = std::thread::scope(|scope| {
            let _busy = Busy(&on);
            let processors = std::thread::available_parallelism().unwrap().get();
            for _ in 0..processors {
                scope.spawn(|| {
                    while on.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            run(&room, path.to_str().unwrap(), &["p3"; 5])
        });
        let output = compare(&room, &[&alone, &busy], &["--json"]);
        assert_eq!(output.status.code(), Some(0), "{scenario}: {}", said(&output));
        let compared = json(&output);
        assert_eq!((&compared["compared"], &compared["differing"]), (&Value::from(19), &Value::from(0)));
    }
}
