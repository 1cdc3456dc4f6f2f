//! Real kernels in real guests, driven by the `assay` command.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs by itself and ends at what it did not expect"
)]

#[path = "boot/attachments.rs"]
mod attachments;
#[path = "boot/bundles.rs"]
mod bundles;
#[path = "boot/collectors.rs"]
mod collectors;
#[path = "boot/crashes.rs"]
mod crashes;
#[path = "boot/first_process.rs"]
mod first_process;
#[path = "common/forge.rs"]
mod forge;
#[path = "boot/nested.rs"]
mod nested;
#[path = "boot/streams.rs"]
mod streams;
#[path = "boot/terminal.rs"]
mod terminal;
#[path = "boot/void_cells.rs"]
mod void_cells;

#[path = "boot/kernel_tree.rs"]
mod kernel_tree;

use std::{
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tests::{Process, Room, can_boot, descendants, long_tests, said, top};

fn exec(arguments: &[&str]) -> Output {
    Room::new().sharing_command().arg("exec").args(arguments).output().unwrap()
}

fn run(room: &Room, scenario: &str) -> Command {
    let mut command = room.sharing_command();
    command.arg("run").arg(format!("scenarios/{scenario}.yaml"));
    command
}

/// The arm called `name` in a JSON report.
fn arm<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["model"]["arms"].as_array().unwrap().iter().find(|arm| arm["name"] == name).unwrap()
}

/// How the boots of an arm ended: `measured`, `crashed`, ...
fn ends(arm: &Value) -> Vec<&str> {
    arm["trials"].as_array().unwrap().iter().map(|trial| trial["end"]["end"].as_str().unwrap()).collect()
}

#[test]
fn an_emulated_guest_does_not_measure_its_own_clock() {
    if !can_boot() {
        return;
    }
    // Measured on a busy host it was wrong by up to 25 times, and with it every figure.
    let output = exec(&["--accel", "tcg", "--", "cat", "/proc/cmdline"]);
    let line = String::from_utf8_lossy(&output.stdout);
    let told = line.split(' ').find_map(|word| word.strip_prefix("tsc_early_khz="));
    let khz: u32 = told.unwrap_or_else(|| panic!("{}", said(&output))).trim().parse().unwrap();
    assert!((100_000..20_000_000).contains(&khz), "{line}");
}

#[test]
fn a_command_runs_in_a_guest_and_its_exit_status_is_ours() {
    if !can_boot() {
        return;
    }
    let output = exec(&["--", "uname", "-r"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("6.12."), "{}", said(&output));
    let output = exec(&["--", "sh", "-c", "echo to-stderr >&2; exit 7"]);
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("to-stderr"));
}

#[test]
fn a_guest_sees_nothing_of_the_host_and_reaches_no_network() {
    if !can_boot() {
        return;
    }
    // Interfaces with a device behind them, lines of the routing table (its heading is one), disks.
    let script = "ls -d /sys/class/net/*/device | wc -l; wc -l < /proc/net/route; ls /sys/block";
    let output = exec(&["--", "sh", "-c", script]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n1\nvda\n", "{}", said(&output));
}

#[test]
fn every_way_to_fail_is_a_result_of_its_own_and_the_other_arms_keep_their_data() {
    if !can_boot() {
        return;
    }
    let room = Room::new();
    let output = run(&room, "failures").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let report = room.report();

    assert_eq!(ends(arm(&report, "baseline")), ["measured", "measured"], "{}", said(&output));
    assert_eq!(ends(arm(&report, "panics")), ["crashed", "crashed"]);
    assert_eq!(ends(arm(&report, "hangs")), ["crashed", "crashed"]);
    let build = |name| arm(&report, name)["build"]["end"].as_str().unwrap();
    assert_eq!(build("does-not-apply"), "does-not-apply");
    assert_eq!(build("does-not-compile"), "does-not-compile");

    let text = String::from_utf8(output.stdout).unwrap();
    // The stack of the panic has the source's lines.
    for evidence in [
        "Kernel panic",
        "planted_panic+0x",
        " at init/main.c:",
        "drivers/iommu/intel/dmar.c",
        "@@ ",
        "QI_RESERVED_SLOTS",
    ] {
        assert!(text.contains(evidence), "{evidence} is missing in\n{text}");
    }
    let samples = std::fs::read_to_string(room.run().join("samples.jsonl")).unwrap();
    assert!(samples.contains(r#""arm":"baseline""#) && !samples.contains(r#""arm":"panics""#));
}

#[test]
fn ctrl_c_ends_a_build_with_a_word_and_leaves_nothing() {
    if !can_boot() {
        return;
    }
    let mut child = Room::new()
        .sharing_command()
        .args(["kernel", "reproduce", "debian-6.12"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("compile")), "the kernel is built");
    // A supervisor and a build.
    let mut family = descendants(child.id());
    let deadline = Instant::now() + Duration::from_secs(60);
    while family.len() < 2 {
        assert!(Instant::now() < deadline, "no build started within a minute");
        std::thread::yield_now();
        family = descendants(child.id());
    }
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let said: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("interrupted")), "{said:?}");
    let deadline = Instant::now() + Duration::from_secs(30);
    while family.iter().any(Process::lives) {
        assert!(Instant::now() < deadline, "children outlive the harness: {family:?}");
        std::thread::yield_now();
    }
}

#[test]
fn kill_9_in_a_real_boot_leaves_nothing_and_the_run_goes_on() {
    if !can_boot() {
        return;
    }
    let room = Room::new();
    let scenario = top().join("tests/fixtures/scenarios/short.yaml");
    let mut command = room.sharing_command();
    let mut child =
        command.arg("run").arg(&scenario).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let second_trial = || {
        std::fs::read_dir(room.results()).into_iter().flatten().flatten().any(|run| {
            run.path().join("trials/0/trial.json").exists() && run.path().join("trials/1").exists()
        })
    };
    // A supervisor and a guest.
    let mut family = Vec::new();
    while !second_trial() || family.len() < 2 {
        assert!(Instant::now() < deadline, "the second trial's guest did not start within two minutes");
        assert!(child.try_wait().unwrap().is_none(), "the run ended by itself");
        family = descendants(child.id());
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while family.iter().any(Process::lives) {
        assert!(Instant::now() < deadline, "children outlive the harness: {family:?}");
        std::thread::yield_now();
    }

    let output = room.sharing_command().arg("run").arg("--resume").arg(room.run()).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{}", said(&output));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("1 of 4 trials are finished"),
        "{}",
        said(&output)
    );
    assert_eq!(room.report()["model"]["run"]["boots_made"], 4);
}

#[test]
fn a_prebuilt_kernel_gives_a_first_result() {
    if !can_boot() {
        return;
    }
    let room = Room::new();
    let output = run(&room, "quick").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(ends(arm(&room.report(), "debian")), ["measured", "measured"]);
}

#[test]
fn long_identical_arms_are_neither_better_nor_worse() {
    if !can_boot() || !long_tests() {
        return;
    }
    let room = Room::new();
    let output = run(&room, "null").output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", said(&output));
}

#[test]
fn long_a_planted_slowdown_is_worse() {
    if !can_boot() || !long_tests() {
        return;
    }
    let room = Room::new();
    let output = run(&room, "planted-slowdown").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("slower: worse"), "{}", said(&output));
}

#[test]
fn long_a_kernel_builds_to_the_same_bytes_again() {
    if !can_boot() || !long_tests() {
        return;
    }
    let output = Room::new()
        .sharing_command()
        .args(["kernel", "reproduce", "debian-6.12", "--series", "iommu-hooks"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn long_the_second_base_boots_with_its_series() {
    if !can_boot() || !long_tests() {
        return;
    }
    let output = exec(&["--base", "debian-7.3", "--series", "iommu-hooks", "--", "uname", "-r"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("7.3."), "{}", said(&output));
}
