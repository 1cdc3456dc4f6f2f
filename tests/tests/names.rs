//! Names that people give to folders, files, questions, series and words of commands: they go through a whole run and every form
//! of its report as they are; where a name has to be plain, others are refused with what would be right.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs by itself and ends at what it did not expect"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tests::{Room, assay, said};

/// Spaces, quotes, a dash in front, markup, what a shell acts upon, and more than ASCII.
const STRANGE: &str = "-it's \"q\" <script>alert(1)<b> $(id) `x` | ü 日本";
/// The words after the workload's program.
const WORDS: [&str; 6] = ["a b", "<script>alert(1)</script>", "it's", "\"$(id)\"", "--日本", "|*_`"];

/// What names of arms, workloads and runs may be.
const PLAIN: &str = "1 to 40 letters, digits, `-`, `_` and `.`";

/// Two kernels that do the same, and a scenario about them; all with strange names.
fn project(top: &Path) -> PathBuf {
    let folder = top.join(STRANGE);
    fs::create_dir_all(folder.join("kernels")).unwrap();
    for name in ["a.b-c_9", "other"] {
        fs::write(folder.join("kernels/image"), "\u{7f}ELF Linux version 6.12.0-fake same\n").unwrap();
        let base = "schema: 1\nversion: \"6.12\"\nsource: { kind: prebuilt-image, image: image }\n";
        fs::write(folder.join(format!("kernels/{name}.yaml")), base).unwrap();
    }
    let script = serde_json::json!({
        "release": "6.12.0-fake",
        "commands": [{ "match": ["true"], "delay_ms": 1 }, { "match": ["sh"] }, { "match": ["mkdir"] }],
    });
    fs::write(folder.join(format!("{STRANGE}.json")), script.to_string()).unwrap();
    fs::write(folder.join(format!("{STRANGE}.sh")), "#!/bin/sh\n").unwrap();
    let run = [&["true"][..], &WORDS].concat();
    // JSON is YAML.
    let document = serde_json::json!({
        "schema": 1,
        "machine": { "fake": format!("./{STRANGE}.json") },
        "arms": { "a.b-c_9": { "base": "a.b-c_9" }, "Z": { "base": "other" } },
        "workloads": {
            "w.0-x_Y": {
                "tool": "command",
                "run": run,
                "files": [format!("./{STRANGE}.sh")],
            },
        },
        "collect": [],
        "boots": 2,
    });
    // It names the run.
    let scenario = folder.join("na-m.e_s.yaml");
    fs::write(&scenario, format!("# Is {STRANGE} the same?\n{document}\n")).unwrap();
    scenario
}

#[test]
fn strange_names_go_through_a_run_and_every_report() {
    let (room, top) = (Room::new(), tempfile::tempdir().unwrap());
    let scenario = project(top.path());
    let folder = scenario.parent().unwrap();
    let results = top.path().join(format!("{STRANGE} results"));
    let command = || {
        let mut command = Command::new(assay());
        // As somebody types it who stands there.
        command.current_dir(folder).arg("--results").arg(&results);
        command.arg("--cache").arg(room.results().with_file_name("cache"));
        command
    };
    let file = format!("../{STRANGE}/na-m.e_s.yaml");
    let output = command().arg("run").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));

    let run: Vec<PathBuf> = fs::read_dir(&results)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    assert_eq!(run.len(), 1, "{run:?}");
    let report = |format: &str| {
        let report = command().args(["report", "--format", format]).arg(&run[0]).output().unwrap();
        assert_eq!(report.status.code(), Some(0), "{format}: {}", said(&report));
        String::from_utf8(report.stdout).unwrap()
    };
    let json: Value = serde_json::from_str(&report("json")).unwrap();
    let question = format!("Is {STRANGE} the same?");
    assert!(json.to_string().contains(&serde_json::to_string(&question).unwrap()[1..30]), "{json:#}");
    let terminal = report("terminal");
    assert!(terminal.contains(&question), "{terminal}");
    let html = report("html");
    assert!(!html.contains("<script>alert") && html.contains("&lt;script&gt;alert(1)&lt;b&gt;"), "{html}");
    let markdown = report("markdown");
    let acts = |line: &str| !line.starts_with("    ") && line.replace("\\<", "").contains("<script");
    assert!(!markdown.lines().any(acts), "{markdown}");
    for (format, text) in [("terminal", &terminal), ("html", &html), ("markdown", &markdown)] {
        for name in ["a.b-c", "w.0-x"] {
            assert!(text.contains(name), "{name} is not in {format}:\n{text}");
        }
    }

    // The command that repeats it is one: a shell splits it into the words that were given.
    let record: Value = serde_json::from_slice(&fs::read(run[0].join("run.json")).unwrap()).unwrap();
    let repeat = record["command"].as_str().unwrap();
    let split = Command::new("sh").args(["-c", &format!("printf '%s\\n' {repeat}")]).output().unwrap();
    assert_eq!(String::from_utf8(split.stdout).unwrap(), format!("assay\nrun\n{file}\n"), "{repeat}");
    let workload = record["plan"]["workloads"][0].to_string();
    let words = serde_json::to_string(&WORDS).unwrap();
    assert!(workload.contains(words.trim_matches(['[', ']'])), "{words} is not in {workload}");

    let listed = command().arg("runs").output().unwrap();
    assert!(listed.status.success() && said(&listed).contains("a.b-c_9"), "{}", said(&listed));
    // And elsewhere.
    let bundle = top.path().join(format!("{STRANGE}.bundle"));
    let output = command().arg("bundle").arg("-o").arg(&bundle).arg(&run[0]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let output = command().arg("replay").arg(&bundle).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn names_that_have_to_be_plain_are_refused_with_what_would_be_right() {
    let (room, top) = (Room::new(), tempfile::tempdir().unwrap());
    let scenario = project(top.path());
    let whole = fs::read_to_string(&scenario).unwrap();
    let long = "x".repeat(41);
    for name in ["-x", ".x", "a b", "a/b", "<b>", "ü", "日本", "a'b", "a\\\"b", "..", long.as_str()] {
        for (plain, key) in [("\"Z\":", "arms"), ("\"w.0-x_Y\":", "workloads")] {
            fs::write(&scenario, whole.replace(plain, &format!("\"{name}\":"))).unwrap();
            let output = room.command().arg("plan").arg(&scenario).output().unwrap();
            let shown = said(&output);
            assert_eq!(output.status.code(), Some(2), "{key} {name:?}: {shown}");
            assert!(shown.contains(PLAIN), "{key} {name:?}: {shown}");
        }
    }
    let named = scenario.with_file_name(format!("{STRANGE}.yaml"));
    fs::write(&named, whole).unwrap();
    let output = room.command().arg("plan").arg(&named).output().unwrap();
    assert!(output.status.code() == Some(2) && said(&output).contains(PLAIN), "{}", said(&output));
}

const MAIL: &str = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: \"It's <script>alert(1)</script>\" <a@example.net>
Date: Sat, 21 Nov 2026 12:00:00 +0000
Subject: [PATCH] -x: \"quoted\" <script>alert(1)</script> $(id) =?utf-8?b?5pel5pys?=

Signed-off-by: A <a@example.net>
---
 a | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

diff --git a/a b/a
index 1111111..2222222 100644
--- a/a
+++ b/a
@@ -1 +1 @@
-one
+two
--
2.39.5

";

#[test]
fn a_series_with_a_strange_name_is_shown_and_gets_a_plain_one() {
    let (room, top) = (Room::new(), tempfile::tempdir().unwrap());
    let mailbox = top.path().join(format!("{STRANGE}.mbox"));
    fs::write(&mailbox, MAIL).unwrap();
    let output = room.command().args(["series", "show", "--json"]).arg(&mailbox).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = shown.to_string();
    assert!(text.contains("日本") && text.contains("<script>alert(1)</script>"), "{shown:#}");
    let plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let series = if shown.is_array() { &shown[0] } else { &shown };
    let name = series["name"].as_str().unwrap();
    assert!(plain(name) && !name.starts_with('-'), "{name}");
    let output = room.command().args(["series", "show"]).arg(&mailbox).output().unwrap();
    assert!(output.status.success() && said(&output).contains("日本"), "{}", said(&output));
}
