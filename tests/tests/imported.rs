//! `assay import`, and everything that reads what it makes, by the program itself.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::{fs, process::Output};

use serde_json::Value;
use tests::{Room, said, top};

const SEEDS: &str = "tests/fixtures/imported";

fn assay(room: &Room, arguments: &[&str]) -> Output {
    room.command().args(arguments).output().unwrap()
}

/// Standard output of a command that ends with this status.
fn text(room: &Room, arguments: &[&str], ends_with: i32) -> String {
    let output = assay(room, arguments);
    assert_eq!(output.status.code(), Some(ends_with), "{}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The run that a file becomes.
fn import(room: &Room, file: &str, ends_with: i32) -> String {
    let document: Value = serde_json::from_str(&text(room, &["import", "--json", file], ends_with)).unwrap();
    document["imports"][0]["run"].as_str().unwrap().to_owned()
}

#[test]
fn nested_runs_come_out_as_they_went_in() {
    let room = Room::new();
    let seed = format!("{SEEDS}/run-metrics.md");
    let run = import(&room, &seed, 0);
    let report = text(&room, &["report", &run], 0);
    for metric in ["throughput", "cpu-not-idle", "drop-rate", "acks-per-page", "iotlb-misses-per-page"] {
        assert!(report.contains(metric), "{metric} in\n{report}");
    }
    for walk in ["163.8", "161.4", "174.2", "359.1", "325.9"] {
        assert!(report.contains(walk), "{walk} in\n{report}");
    }
    // The blocks of the seed, byte for byte; and read again they are the same numbers.
    let blocks = text(&room, &["report", &run, "--format", "run-metrics"], 0);
    let original = fs::read_to_string(top().join(&seed)).unwrap();
    let blocks_of = |text: &str| -> Vec<String> {
        let lines: Vec<&str> = text.lines().collect();
        let starts = (0..lines.len()).filter(|at| lines[*at].ends_with("Run Metrics -------"));
        starts.map(|at| lines[at..at + 12].join("\n")).collect()
    };
    assert_eq!(blocks_of(&original).len(), 5);
    assert_eq!(blocks_of(&blocks), blocks_of(&original));
    let again = room.results().join("again.txt");
    fs::write(&again, &blocks).unwrap();
    let again = import(&room, again.to_str().unwrap(), 0);
    let samples = |run: &str| fs::read_to_string(room.results().join(run).join("samples.jsonl")).unwrap();
    assert_eq!(samples(&again), samples(&run));
    // What was imported stands in the lists as what it is.
    let list = text(&room, &["runs"], 0);
    assert!(list.contains("imported") && !list.contains("holds"), "{list}");
    let trend = text(&room, &["trend", "page-walk-time", "--dim", "flows=16"], 0);
    assert!(trend.contains("359 IIO clocks"), "{trend}");
}

#[test]
fn nothing_is_imported_twice() {
    let room = Room::new();
    let file = format!("{SEEDS}/firecracker.md");
    let run = import(&room, &file, 0);
    let said = text(&room, &["import", &file], 0);
    assert!(said.contains(&format!("imported before, into {run}")), "{said}");
    assert_eq!(fs::read_dir(room.results()).unwrap().count(), 1);
}

#[test]
fn imported_and_measured_numbers_stand_side_by_side_and_are_never_tested() {
    let room = Room::new();
    let measured = assay(&room, &["run", "tests/fixtures/fake/scenarios/twins.yaml"]);
    assert_eq!(measured.status.code(), Some(0), "{}", said(&measured));
    let measured = room.run().file_name().unwrap().to_str().unwrap().to_owned();
    let imported = import(&room, &format!("{SEEDS}/run-metrics.md"), 0);
    let table = text(&room, &["report", &measured, "--beside", &imported], 0);
    for words in ["fake: ", "imported: ", "throughput client-to-server", "43.5 Gbit/s", "not tested"] {
        assert!(table.contains(words), "{words} in\n{table}");
    }
    let arm = "6.12.9-iommufd-extra-hooks@flows=1";
    for pair in [[&measured, &imported], [&imported, &measured]] {
        let output = assay(&room, &["compare", pair[0], pair[1], "--arm", arm, "--arm", arm]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(message.contains("was imported") && message.contains("never tested"), "{message}");
    }
    for command in [["run", "--resume", &imported], ["bundle", &imported, "--no-images"]] {
        let output = assay(&room, &command);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(String::from_utf8_lossy(&output.stderr).contains("was imported"), "{}", said(&output));
    }
}

#[test]
fn a_measured_run_prints_the_block_and_says_what_it_has_no_number_of() {
    let room = Room::new();
    let output = assay(&room, &["run", "tests/fixtures/fake/scenarios/twins.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let blocks = text(&room, &["report", "--format", "run-metrics"], 0);
    assert!(blocks.contains("\tIOTLB Miss: unavailable: no hardware counter was read"), "{blocks}");
    assert!(
        !blocks.lines().any(|line| line.ends_with(": 0") || line.ends_with("IOTLB Miss: 0.0")),
        "{blocks}"
    );
    let throughput = blocks.lines().find_map(|line| line.strip_prefix("Throughput: ")).unwrap().to_owned();
    let file = room.results().join("ours.txt");
    fs::write(&file, &blocks).unwrap();
    let run = import(&room, file.to_str().unwrap(), 0);
    let again = text(&room, &["report", &run, "--format", "run-metrics"], 0);
    assert_eq!(again.lines().find_map(|line| line.strip_prefix("Throughput: ")), Some(throughput.as_str()));
    assert_eq!(blocks.matches("Run Metrics").count(), again.matches("Run Metrics").count());
}

#[test]
fn damage_is_told_by_line_and_the_rest_is_kept() {
    let room = Room::new();
    let seed = fs::read_to_string(top().join(SEEDS).join("run-metrics.md")).unwrap();
    let file = room.results().join("damaged.md");
    fs::create_dir_all(room.results()).unwrap();
    let damaged = seed.replacen("CPU Util: 72.67", "CPU Util: 7\u{1b}[2J2.x", 1).replacen(
        "Drop rate: 9",
        "Drop-rat: 9",
        1,
    );
    fs::write(&file, damaged).unwrap();
    let said = text(&room, &["import", file.to_str().unwrap()], 1);
    assert!(said.contains("damaged.md:8: CPU Util is no number: `72.x`"), "{said}");
    assert!(said.contains("damaged.md:27: `Drop-rat` is no key of the block"), "{said}");
    assert!(said.contains("48 numbers") && said.contains("5 arms") && !said.contains('\u{1b}'), "{said}");
    let report = text(&room, &["report"], 0);
    assert!(report.contains("163.8") && report.contains("2 lines could not be read"), "{report}");
}

#[test]
fn run_directories_say_of_what_their_files_are() {
    let room = Room::new();
    let runs = room.results().join("study");
    let name = "2025-10-03-16-32-21-6.12.9-no-map-contention-flow04-host-strict-guest-off-ringbuf-512_sokcetbuf1_4cores";
    for (repeat, gbits) in [(0, "2.41"), (1, "2.51")] {
        let folder = runs.join(format!("{name}-RUN-{repeat}"));
        fs::create_dir_all(&folder).unwrap();
        let row = |end: &str| format!("[  5]   0.00-30.00  sec  8.42 GBytes  {gbits} Gbits/sec   {end}\n");
        fs::write(folder.join("iperf.log"), format!("{}{}", row("7 sender"), row("receiver"))).unwrap();
    }
    std::os::unix::fs::symlink("/etc/passwd", runs.join("link")).unwrap();
    let said = text(&room, &["import", runs.to_str().unwrap()], 1);
    assert!(said.contains("link: passed over: no regular file"), "{said}");
    assert!(said.contains("1 arm, 2 repeats"), "{said}");
    let report: Value = serde_json::from_str(&text(&room, &["report", "--json"], 0)).unwrap();
    let arm = &report["model"]["arms"][0];
    assert_eq!(arm["base"], "6.12.9-no-map-contention");
    let facts = &arm["machine"]["facts"];
    assert_eq!(
        (&facts["cores"], &facts["guest IOMMU"], &facts["ring"]),
        (&"4".into(), &"off".into(), &"512".into())
    );
}

#[test]
fn what_holds_no_number_is_refused() {
    let room = Room::new();
    let output = assay(&room, &["import", "README.md", "/nowhere"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let output = assay(&room, &["import", "Cargo.toml"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(!room.results().exists() || fs::read_dir(room.results()).unwrap().count() == 0);
}
