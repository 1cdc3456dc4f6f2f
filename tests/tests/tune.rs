//! `assay tune` as a program: what it leaves behind when it is killed, and how it ends.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tests::{Room, said};

const SWAPPINESS: &str = "proc/sys/vm/swappiness";
const GOVERNOR: &str = "sys/devices/system/cpu/cpufreq/policy0/scaling_governor";

/// A machine's tree, and where its state is kept.
struct Machine {
    room: Room,
    tree: TempDir,
    state: TempDir,
}

impl Machine {
    fn new() -> Self {
        let tree = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("proc/sys/kernel/random/boot_id", "0b6f8f0f3c11"),
            ("sys/devices/system/cpu/online", "0-3"),
            (SWAPPINESS, "60"),
            (GOVERNOR, "powersave"),
        ] {
            let file = tree.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        Self { room: Room::new(), tree, state: tempfile::tempdir().unwrap() }
    }

    fn tune(&self, arguments: &[&str]) -> Command {
        let mut command = self.room.command();
        command.arg("tune").arg("--host-root").arg(self.tree.path()).args(arguments);
        command.env("ASSAY_STATE", self.state.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.tune(arguments).output().unwrap()
    }

    /// Tunes, starts a command that stays, and waits until it runs.
    fn measuring(&self) -> Child {
        let started = self.tree.path().join("started");
        let script = format!("echo > {}; exec sleep 1000", started.display());
        let child = self
            .tune(&["--apply", "--", "sh", "-c", &script])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("the command runs", || started.exists());
        self.assert_reads("0", "performance");
        child
    }

    fn assert_reads(&self, swappiness: &str, governor: &str) {
        assert_eq!(read(self.tree.path(), SWAPPINESS), swappiness);
        assert_eq!(read(self.tree.path(), GOVERNOR), governor);
    }
}

fn read(tree: &Path, path: &str) -> String {
    fs::read_to_string(tree.join(path)).unwrap()
}

/// A condition that comes true soon, or the test fails.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "after 30 s: {what}");
        std::thread::yield_now();
    }
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

#[test]
fn without_apply_nothing_is_changed() {
    let machine = Machine::new();
    let output = machine.run(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("frequency governor: powersave -> performance"), "{}", said(&output));
    machine.assert_reads("60", "powersave");
    assert_eq!(fs::read_dir(machine.state.path()).unwrap().count(), 0);
}

#[test]
fn a_commands_exit_status_is_ours_and_everything_is_put_back() {
    let machine = Machine::new();
    let script = format!("cat {}; exit 7", machine.tree.path().join(SWAPPINESS).display());
    let output = machine.run(&["--apply", "--", "sh", "-c", &script]);
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0", "it ran on the tuned machine");
    machine.assert_reads("60", "powersave");
    let output = machine.run(&["--apply", "--", "no-such-program"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    machine.assert_reads("60", "powersave");
}

#[test]
fn ctrl_c_ends_the_command_and_puts_everything_back() {
    let machine = Machine::new();
    let mut child = machine.measuring();
    signal(&child, Signal::SIGINT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    machine.assert_reads("60", "powersave");
}

#[test]
fn after_kill_9_the_next_one_says_so_and_restore_puts_it_back() {
    let machine = Machine::new();
    let mut child = machine.measuring();
    let output = machine.run(&["--restore"]);
    assert_eq!(output.status.code(), Some(2), "not while something is measured: {}", said(&output));
    child.kill().unwrap();
    child.wait().unwrap();
    machine.assert_reads("0", "performance");

    let output = machine.run(&[]);
    assert!(said(&output).contains("this machine is tuned since"), "{}", said(&output));
    let output = machine.run(&["--apply"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("assay tune --restore"), "{}", said(&output));

    let output = machine.run(&["--restore"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    machine.assert_reads("60", "powersave");
    let output = machine.run(&["--restore"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("not tuned"), "{}", said(&output));
}

#[test]
fn what_somebody_else_has_written_is_an_exit_status_of_1() {
    let machine = Machine::new();
    assert_eq!(machine.run(&["--apply"]).status.code(), Some(0));
    fs::write(machine.tree.path().join(SWAPPINESS), "10").unwrap();
    let output = machine.run(&["--restore"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    machine.assert_reads("10", "powersave");
    let output = machine.run(&["--restore", "--force"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    machine.assert_reads("60", "powersave");
}

#[test]
fn a_damaged_note_of_what_was_tuned_stops_no_run() {
    let state = tempfile::tempdir().unwrap();
    fs::write(state.path().join("tune.json"), "{ \"since\"").unwrap();
    let room = Room::new();
    let mut command = room.command();
    command.args(["run", "tests/fixtures/fake/scenarios/twins.yaml"]).env("ASSAY_STATE", state.path());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("whether this machine is tuned is unknown"), "{}", said(&output));
    let record = fs::read_to_string(room.run().join("run.json")).unwrap();
    assert!(record.contains("\"tuned\": \"unknown: "), "{record}");
}
