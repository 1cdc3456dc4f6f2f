//! Guests whose first process means ill, in real boots: what `hostile.rs` shows of the fake machine, where the kernel, QEMU and
//! the wires between are real.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;
use tests::{Room, assay, can_boot, said, top};

/// What the first process does, and words that the user must see of it.
const DOES: &[(&str, &str)] = &[
    ("MUTE", "CRASHED: the agent did not answer before the boot deadline"),
    ("FLOODS", "CRASHED: "),
    ("GARBAGE", "a frame "),
    ("OVERSIZE", "a frame "),
    ("HALF", "CRASHED: the agent did not answer before the boot deadline"),
    ("EXITS", "CRASHED: Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000700"),
];

const SCENARIO: &str = "\
# What becomes of a guest whose first process means ill?
schema: 1
base: debian-6.12
machine: { topology: loopback }
arms: { hostile: {} }
workloads:
  nothing: { tool: command, run: [\"true\"] }
collect: []
boots: 1
boot-deadline: 15s
";

/// A folder with `assay` and its helpers, and this first process in the place of the agent.
fn with_first_process(does: &str) -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("assay-").tempdir_in(assay().parent().unwrap()).unwrap();
    for name in ["assay", "assay-machine", "assay-supervise"] {
        let program = assay().with_file_name(name);
        if program.exists() {
            fs::hard_link(program, folder.path().join(name)).unwrap();
        }
    }
    let compiled = Command::new("cc")
        .args(["-static", "-Os", &format!("-DDOES={does}"), "-o"])
        .arg(folder.path().join("assay-agent"))
        .arg(top().join("tests/fixtures/hostile/first-process.c"))
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", said(&compiled));
    folder
}

/// Removes the image with such a first process from the machine's cache.
fn forget_image(run: &Path) {
    let text = fs::read_to_string(run.join("environment.json")).unwrap();
    let environment: Value = serde_json::from_str(&text).unwrap();
    let image = PathBuf::from(environment["boots"]["hostile"]["initramfs"]["path"].as_str().unwrap());
    fs::remove_file(image).unwrap();
}

#[test]
fn whatever_the_first_process_does_is_a_result_within_the_boot_deadline() {
    if !can_boot() {
        return;
    }
    for (does, words) in DOES {
        let (room, programs) = (Room::new(), with_first_process(does));
        let scenario = programs.path().join("hostile.yaml");
        fs::write(&scenario, SCENARIO).unwrap();
        let began = Instant::now();
        let output = Command::new(programs.path().join("assay"))
            .current_dir(top())
            .arg("--results")
            .arg(room.results())
            .args(["--project", ".", "run"])
            .arg(&scenario)
            .output()
            .unwrap();
        let (took, shown) = (began.elapsed(), said(&output));
        forget_image(&room.run());
        assert_eq!(output.status.code(), Some(1), "{does}: {shown}");
        assert!(shown.contains(words), "{does}: {words:?} is not in\n{shown}");
        assert!(!shown.contains('\u{1b}'), "{does}: {shown:?}");
        assert!(shown.len() < 64 * 1024, "{does}: {} bytes are shown", shown.len());
        // The deadline, where QEMU says the CPUs are, and as much again for a busy machine.
        assert!(took < Duration::from_secs(60), "{does}: {took:?}\n{shown}");
        let console = room.run().join("trials/0/guest.console.log");
        let size = fs::metadata(&console).map_or(0, |about| about.len());
        assert!(size <= 65 << 20, "{does}: {size} bytes of console");
    }
}
