//! Boots that an emulator spoils are made again, are kept beside the trial, and are told; what always comes back is the kernel's.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::{fs, path::Path};

use tests::{Room, said};

/// What a kernel says that ran into a breakpoint which its memory did not have any more, or has.
fn console(before: &str) -> String {
    format!(
        "[    0.912345] Oops: int3: 0000 [#1] SMP NOPTI\n\
         [    0.912345] RIP: 0010:set_next_task_fair+0x41/0x230\n\
         [    0.912345] Code: 48 89 e5 41 54 {before} <1f> 44 00 00 5b 5d\n\
         [    0.912345] ---[ end trace 0000000000000000 ]---\n\
         [    0.912345] Kernel panic - not syncing: Fatal exception\n"
    )
}

/// A kernel that boots beside one whose console this is.
/// Only the first `times` boots of a trial say it, if that is a number.
fn project(folder: &Path, console: &str, times: Option<u32>) {
    fs::create_dir_all(folder.join("kernels")).unwrap();
    for name in ["steady", "dies"] {
        fs::write(folder.join("kernels").join(name), format!("\u{7f}ELF Linux version 6.12.0-fake {name}\n"))
            .unwrap();
        let base =
            format!("schema: 1\nversion: \"6.12\"\nsource: {{ kind: prebuilt-image, image: {name} }}\n");
        fs::write(folder.join(format!("kernels/{name}.yaml")), base).unwrap();
    }
    let dies =
        serde_json::json!({ "boot": { "outcome": "stops", "console": { "text": console }, "times": times } });
    let script = serde_json::json!({
        "release": "6.12.0-fake",
        "commands": [{ "match": ["true"], "delay_ms": 1 }, { "match": ["sh"] }, { "match": ["mkdir"] }],
        "kernels": { "\u{7f}ELF Linux version 6.12.0-fake dies": dies },
    });
    fs::write(folder.join("script.json"), script.to_string()).unwrap();
    let scenario = "# Does it boot?\nschema: 1\nmachine: { fake: script.json }\narms:\n  baseline: { base: steady }\n  \
                    candidate: { base: dies }\nworkloads:\n  nothing: { tool: command, run: [\"true\"] }\ncollect: []\nboots: 2\n";
    fs::write(folder.join("question.yaml"), scenario).unwrap();
}

/// What a run of it says, and the folders of boots that were set aside, for each of the candidate's trials.
fn run(console: &str, times: Option<u32>, status: i32) -> (Room, String, Vec<usize>) {
    let folder = tempfile::tempdir().unwrap();
    project(folder.path(), console, times);
    let room = Room::new();
    let output = room.command().arg("run").arg(folder.path().join("question.yaml")).output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{}", said(&output));
    let report = room.report();
    let arms = report["model"]["arms"].as_array().unwrap().clone();
    let mut aside = Vec::new();
    for arm in &arms {
        for trial in arm["trials"].as_array().unwrap() {
            let told = trial["set_aside"].as_array().map_or(0, Vec::len);
            let kept = room.run().join("trials").join(trial["index"].to_string());
            let is_aside = |name: &str| name.starts_with("set-aside-");
            let names = fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().file_name());
            let folders = names.filter(|name| is_aside(&name.to_string_lossy())).count();
            assert_eq!(told, folders);
            if arm["name"] == "candidate" {
                aside.push(told);
            } else {
                assert_eq!(told, 0);
            }
        }
    }
    (room, said(&output), aside)
}

#[test]
fn a_boot_that_the_emulator_spoils_is_made_again_and_what_always_comes_back_is_the_kernels() {
    let (room, said, aside) = run(&console("0f"), None, 1);
    assert_eq!(aside, [2, 2], "{said}");
    assert!(said.contains("set aside, and made again: a vCPU executed a breakpoint"), "{said}");
    assert!(said.contains("candidate: 4 boots set aside and made again"), "{said}");
    assert!(said.contains("breakpoint in set_next_task_fair"), "{said}");
    let first = fs::read_dir(room.run().join("trials")).unwrap().map(|entry| entry.unwrap().path());
    let kept = first.map(|trial| trial.join("set-aside-1")).find(|kept| kept.is_dir()).unwrap();
    let console = fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().path());
    let console = console.into_iter().find(|path| path.to_string_lossy().ends_with(".console.log")).unwrap();
    assert!(fs::read_to_string(console).unwrap().contains("Oops: int3"));
}

#[test]
fn a_boot_that_is_spoilt_once_and_then_is_well_counts_and_blames_nobody() {
    let (room, said, aside) = run(&console("0f"), Some(1), 0);
    assert_eq!(aside, [1, 1], "{said}");
    assert!(said.contains("candidate: 2 boots set aside and made again"), "{said}");
    assert!(!said.contains("breakpoint in set_next_task_fair"), "{said}");
    let report = room.report();
    let arms = report["model"]["arms"].as_array().unwrap().iter();
    let ends = arms.flat_map(|arm| arm["trials"].as_array().unwrap()).map(|trial| &trial["end"]["end"]);
    assert_eq!(ends.collect::<Vec<_>>(), ["measured"; 4], "{said}");
}

#[test]
fn a_breakpoint_that_is_there_is_the_kernels_at_once() {
    let (_, said, aside) = run(&console("cc"), None, 1);
    assert_eq!(aside, [0, 0], "{said}");
    assert!(!said.contains("set aside"), "{said}");
}
