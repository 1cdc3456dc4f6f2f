//! The whole of `assay run` on the fake machine: supervisor, sockets, sessions, store, statistics, report, exit codes.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tests::{Room, said};

const FAKE: &str = "tests/fixtures/fake/scenarios";

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

fn run(room: &Room, scenario: &str) -> Command {
    let mut command = room.command();
    command.arg("run").arg(format!("{FAKE}/{scenario}.yaml"));
    command
}

#[test]
fn a_power_log_that_is_none_is_refused_before_anything_runs() {
    let room = Room::new();
    let log = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(log.path(), "1767323045,200\nwatts: 210\n").unwrap();
    let output = run(&room, "counters").arg("--power-log").arg(log.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains(":2: `watts: 210` is no reading"), "{}", said(&output));
}

#[test]
fn a_slower_kernel_is_worse_and_the_exit_status_is_1() {
    let room = Room::new();
    let output = run(&room, "slower").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("candidate: worse"), "{text}");
    for file in [
        "run.json",
        "samples.jsonl",
        "report.txt",
        "report.md",
        "report.json",
        "report.html",
        "trials/11/trial.json",
    ] {
        assert!(room.run().join(file).is_file(), "{file}");
    }
    let again = room.command().arg("report").output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(String::from_utf8(again.stdout).unwrap(), text, "the stored run gives the same report");
}

#[test]
fn the_report_goes_where_it_is_wanted_and_names_the_command_that_was_given() {
    let room = Room::new();
    let output = run(&room, "twins").args(["--arm", "candidate"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let elsewhere = tempfile::tempdir().unwrap();
    let page = elsewhere.path().join("page.html");
    let report =
        |to: &Path| room.command().args(["report", "--format", "html", "--output"]).arg(to).output().unwrap();
    let written = report(&page);
    assert_eq!(written.status.code(), Some(0), "{}", said(&written));
    assert!(written.stdout.is_empty());
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(text.contains("<html") && text.contains(&format!("assay run {FAKE}/twins.yaml --arm candidate")));
    let nowhere = report(&elsewhere.path().join("no/page.html"));
    assert_eq!(nowhere.status.code(), Some(2), "{}", said(&nowhere));
}

#[test]
fn twins_are_the_same_and_the_exit_status_is_0() {
    let room = Room::new();
    let output = run(&room, "twins").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn counters_around_a_workload_come_to_the_report_and_what_a_kernel_lacks_with_the_reason() {
    let room = Room::new();
    // A meter at the plug that writes 200 W every tenth of a millisecond, the next 30 s included.
    let meter = tempfile::NamedTempFile::new().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a meter's program has a clock of its own")]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    let line = |tenths: u32| format!("{:.4},200\n", now + f64::from(tenths) / 10_000.0);
    std::fs::write(meter.path(), (0..300_000).map(line).collect::<String>()).unwrap();
    let output = run(&room, "counters").arg("--power-log").arg(meter.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let report = room.report();
    let median = |metric: &str, dims: &[(&str, &str)]| {
        let rows = report["model"]["explored"].as_array().unwrap().iter().filter(|row| {
            row["series"]["metric"] == metric
                && dims.iter().all(|(name, value)| row["series"]["dims"][name] == **value)
        });
        let medians: Vec<f64> = rows.map(|row| row["baseline"]["median"].as_f64().unwrap()).collect();
        let [one] = medians[..] else { panic!("{metric} {dims:?}: {medians:?}") };
        one
    };
    // 5.0 s by the guest's own clock, whatever its tools and the host say.
    let all = median("interrupts", &[("core", "all")]);
    assert!((all - 1110.1).abs() < 0.1, "{all}");
    let cores = median("interrupts", &[("core", "0")]) + median("interrupts", &[("core", "1")]);
    assert!((all - cores).abs() < 1e-6, "{all} {cores}");
    assert!(median("interrupts-by-source", &[("source", "eth0-rx-1")]) > 300.0);
    assert!(median("softirqs", &[("kind", "NET_RX")]) > 700.0);
    let packets = median("softnet-packets-per-page", &[]) / median("softnet-packets", &[("core", "all")]);
    let interrupts = median("nic-interrupts-per-page", &[]);
    assert!(packets > 0.0 && interrupts > 0.0, "{packets} {interrupts}");
    assert!(median("memory-available", &[]) > 4e8);
    assert_eq!(median("power", &[("meter", "external")]), 200.0);
    let gigabits = median("throughput", &[]) / 1e9;
    // Of an even number of boots the median is a mean, and the mean of squares is not the square of the mean.
    let ratio = median("roi-power", &[]) * 200.0 / gigabits.powi(2);
    assert!((ratio - 1.0).abs() < 1e-3, "{ratio}");
    let unavailable = report["model"]["unavailable"].to_string();
    for reason in ["idle-residency", "cpuidle driver: none", "page-allocations", "CONFIG_VM_EVENT_COUNTERS"] {
        assert!(unavailable.contains(reason), "{reason}: {unavailable}");
    }
}

/// The places of a gate or a row whose values are named here.
fn at<'a>(entries: &'a serde_json::Value, values: &[(&str, &str)]) -> Vec<&'a serde_json::Value> {
    let entries = entries.as_array().unwrap().iter();
    entries
        .filter(|entry| values.iter().all(|(name, value)| entry["series"]["at"][name] == **value))
        .collect()
}

#[test]
fn a_matrix_is_judged_place_by_place_also_after_an_interruption() {
    let room = Room::new();
    let child = run(&room, "matrix").stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    eventually("a few trials are finished", || {
        std::fs::read_dir(room.results()).is_ok_and(|mut runs| {
            runs.any(|run| run.is_ok_and(|run| run.path().join("trials/5/trial.json").exists()))
        })
    });
    signal(&child, Signal::SIGKILL);
    child.wait_with_output().unwrap();
    let output = room.command().arg("run").arg("--resume").arg(room.run()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));

    let report = room.report();
    let model = &report["model"];
    assert_eq!(model["run"]["boots_made"], 8 * 4, "eight blocks of two arms at two places");
    let (once, twice) = (("fake", "../script.json"), ("fake", "../script-twice.json"));
    let verdict = |gates: &[&serde_json::Value]| -> Vec<String> {
        gates.iter().map(|gate| gate["judgement"]["verdict"].as_str().unwrap().to_owned()).collect()
    };
    // Of the latency half is judged: at messages of 1K.
    assert_eq!(model["gates"].as_array().unwrap().len(), 4);
    assert_eq!(verdict(&at(&model["gates"], &[once])), ["worse", "better"]);
    assert_eq!(verdict(&at(&model["gates"], &[twice])), ["same", "same"]);
    assert_eq!(at(&model["gates"], &[("message", "1K")]).len(), 2);
    for gate in model["gates"].as_array().unwrap() {
        assert_eq!(gate["judgement"]["used"], 8, "every block has both sides: {gate}");
        assert_eq!(gate["arm"], "candidate");
    }
    let names: Vec<_> = model["plan"]["dimensions"].as_array().unwrap().iter().map(|d| &d["name"]).collect();
    assert_eq!(names, ["fake", "message"]);
    let along = |name: &str| {
        let of = |curve: &&serde_json::Value| curve["dimension"] == name && curve["gated"] == true;
        model["curves"].as_array().unwrap().iter().filter(of).count()
    };
    // Throughput, and latency at 1K; latency with each script.
    assert_eq!((along("fake"), along("message")), (2, 2));

    let samples = std::fs::read_to_string(room.run().join("samples.jsonl")).unwrap();
    let fields = [r#""fake":"../script-twice.json""#, r#""message":"64""#, r#""workload":"rtt""#];
    assert!(samples.lines().any(|line| fields.iter().all(|field| line.contains(field))), "{samples}");
    let raw = room.run().join("trials/0/raw");
    for workload in ["tcp", "rtt@message=64", "rtt@message=1K"] {
        let of_workload = |file: std::io::Result<std::fs::DirEntry>| {
            file.unwrap().file_name().to_str().unwrap().starts_with(&format!("{workload}."))
        };
        assert!(std::fs::read_dir(&raw).unwrap().any(of_workload), "{workload}");
    }
}

#[test]
fn kernels_that_fail_are_results_and_the_baselines_data_is_kept() {
    let room = Room::new();
    let output = run(&room, "failures").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let samples = std::fs::read_to_string(room.run().join("samples.jsonl")).unwrap();
    assert!(samples.lines().any(|line| line.contains(r#""arm":"baseline""#)), "{samples}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Kernel panic"), "{text}");
}

#[test]
fn every_problem_of_a_scenario_is_told_at_once_and_the_exit_status_is_2() {
    let room = Room::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("kernels")).unwrap();
    let scenario = folder.path().join("bad.yaml");
    std::fs::write(&scenario, "schema: 1\nbase: nowhere\nbootz: 3\narms: { a: {}, b: { series: none } }\n")
        .unwrap();
    let output = room.command().arg("run").arg(&scenario).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let text = String::from_utf8(output.stderr).unwrap();
    for problem in ["bad.yaml:1:", "bad.yaml:3: bootz", "nowhere", "none", "workloads"] {
        assert!(text.contains(problem), "{problem} in {text}");
    }
    assert!(!room.results().exists(), "nothing was begun");
}

#[test]
fn a_run_that_is_not_there_is_the_users_mistake() {
    let room = Room::new();
    for arguments in [["report", "no-such-run"], ["run", "--resume=no-such-run"]] {
        let output = room.command().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    }
}

#[test]
fn ctrl_c_keeps_finished_trials_and_says_how_to_go_on() {
    let room = Room::new();
    let child = run(&room, "slower").stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    eventually("a trial is finished", || {
        std::fs::read_dir(room.results()).is_ok_and(|mut runs| {
            runs.any(|run| run.is_ok_and(|run| run.path().join("trials/0/trial.json").exists()))
        })
    });
    signal(&child, Signal::SIGINT);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    // The run may have been quicker than the signal.
    if output.status.code() == Some(130) {
        assert!(text.contains("assay run --resume"), "{text}");
    } else {
        assert_eq!(output.status.code(), Some(1), "{text}");
    }
    resume(&room);
}

#[test]
fn a_run_is_written_by_one_process_at_a_time() {
    let room = Room::new();
    assert_eq!(run(&room, "slower").output().unwrap().status.code(), Some(1));
    let lock = std::fs::File::open(room.run().join("lock")).unwrap();
    let _held = nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusive).unwrap();
    let output = room.command().arg("run").arg("--resume").arg(room.run()).output().unwrap();
    assert_eq!(output.status.code(), Some(69), "{}", said(&output));
}

#[test]
fn runs_that_begin_in_the_same_second_have_folders_of_their_own() {
    let room = Room::new();
    // The first run fills the cache, so that the others begin at once.
    assert_eq!(run(&room, "slower").output().unwrap().status.code(), Some(1));
    let together: Vec<_> = (0..4)
        .map(|_| run(&room, "slower").stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
        .collect();
    for child in together {
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    }
    assert_eq!(std::fs::read_dir(room.results()).unwrap().count(), 5);
}

/// Takes the only run up and finishes it.
fn resume(room: &Room) {
    let output = room.command().arg("run").arg("--resume").arg(room.run()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let report = room.report();
    assert_eq!(report["model"]["run"]["boots_made"], 12, "{report}");
}

#[test]
fn a_run_stops_when_all_is_decided_and_says_so() {
    for (scenario, verdict, code) in [("decided", "worse", 1), ("decided-same", "same", 0)] {
        let room = Room::new();
        let output = run(&room, scenario).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        let model = &room.report()["model"];
        let stopped = &model["run"]["stopped"];
        let blocks = stopped["blocks"].as_u64().unwrap();
        assert!((5..20).contains(&blocks), "{stopped}");
        assert_eq!((&stopped["most"], &stopped["decided"]), (&20.into(), &true.into()));
        assert_eq!(model["run"]["boots_made"], 2 * blocks, "whole blocks");
        assert_eq!(model["run"]["finished"], true);
        assert!(
            model["gates"].as_array().unwrap().iter().all(|gate| gate["judgement"]["verdict"] == verdict)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        let told = format!("Decided after {blocks} of at most 20 blocks");
        assert!(text.contains(&told), "{text}");
        let again = room.command().arg("run").arg("--resume").arg(room.run()).output().unwrap();
        assert_eq!(again.status.code(), Some(code), "{}", said(&again));
        assert_eq!(room.report()["model"]["run"]["boots_made"], 2 * blocks, "there is nothing to go on with");
    }
}

#[test]
fn a_run_that_stops_when_all_is_decided_comes_to_the_same_end_after_kill_9() {
    let whole = Room::new();
    assert_eq!(run(&whole, "decided").output().unwrap().status.code(), Some(1));
    for trial in [2, 7] {
        let room = Room::new();
        let child = run(&room, "decided").stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        eventually("a trial is finished", || {
            std::fs::read_dir(room.results()).is_ok_and(|mut runs| {
                runs.any(|run| {
                    run.is_ok_and(|run| run.path().join(format!("trials/{trial}/trial.json")).exists())
                })
            })
        });
        signal(&child, Signal::SIGKILL);
        child.wait_with_output().unwrap();
        let output = room.command().arg("run").arg("--resume").arg(room.run()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let (report, expected) = (room.report(), whole.report());
        assert_eq!(report["model"]["run"]["stopped"], expected["model"]["run"]["stopped"]);
        assert_eq!(report["model"]["gates"], expected["model"]["gates"]);
    }
}

#[test]
fn a_plan_that_stops_early_says_how_many_blocks_it_expects() {
    let room = Room::new();
    let output = room.command().arg("plan").arg(format!("{FAKE}/decided.yaml")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("# Stops when all is decided, after 8 blocks at the earliest and 20 at the latest"),
        "{text}"
    );
    assert!(text.contains("# At most about"), "{text}");
}

#[test]
fn a_program_of_the_users_own_is_measured_and_gated_like_any_other() {
    let room = Room::new();
    let output = run(&room, "command").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("requests request-rate, candidate: worse"), "{text}");
    assert!(text.contains("there is no JSON document"), "{text}");
    assert!(text.contains("exit-status"), "{text}");
    for run in ["1", "2", "3"] {
        let written = room.run().join(format!("trials/0/raw/requests.{run}.stdout"));
        assert!(std::fs::read_to_string(&written).unwrap().contains("rate: "), "{}", written.display());
    }
}

#[test]
fn a_test_that_a_series_breaks_is_told_from_those_that_fail_anyway() {
    let room = Room::new();
    let output = run(&room, "selftests").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("fail newly: net:netlink-dumps"), "{text}");
    assert!(text.contains("net:tun"), "a known flake that fails is shown: {text}");
    assert!(room.run().join("trials/0/raw/selftests.net-tun.tap").is_file());
    let again = room.command().arg("report").output().unwrap();
    assert_eq!(String::from_utf8(again.stdout).unwrap(), text, "the stored run gives the same report");
}

#[test]
fn one_boot_of_each_arm_decides_nothing_about_tests() {
    let room = Room::new();
    let output = run(&room, "selftests-once").output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("differ, one boot each"), "{text}");
}

#[test]
fn a_budget_makes_whole_blocks_and_every_form_of_the_report_says_what_it_left_out() {
    let room = Room::new();
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("long.yaml");
    let text = std::fs::read_to_string(tests::top().join(FAKE).join("slower.yaml")).unwrap();
    let script = tests::top().join("tests/fixtures/fake/script.json");
    let long = text.replace("boots: 6", "boots: 1000").replace("../script.json", script.to_str().unwrap());
    std::fs::write(&scenario, long).unwrap();
    let question = ["--project", "tests/fixtures/fake"];
    let scenario = scenario.to_str().unwrap();

    let output = room.command().args(question).args(["plan", scenario, "--budget", "4s"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("# A budget of 4 s: there is time for about"), "{text}");

    let began = Instant::now();
    let output = room.command().args(question).args(["run", scenario, "--budget", "4s"]).output().unwrap();
    // What is there is judged; on a slow machine that may be too little to decide.
    assert!(matches!(output.status.code(), Some(1 | 3)), "{}", said(&output));
    assert!(began.elapsed() < Duration::from_secs(30), "the whole run takes minutes");
    let made = room.report()["model"]["run"]["boots_made"].as_u64().unwrap();
    assert!(made > 0 && made < 2000, "{made}");
    for form in ["report.txt", "report.md", "report.json", "report.html"] {
        let text = std::fs::read_to_string(room.run().join(form)).unwrap();
        for part in
            ["The budget of 4 s was used up", "of every arm (baseline, candidate)", "assay run --resume"]
        {
            // Lines are broken where they are long.
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains(part), "{form}: {part}");
        }
    }

    let run = room.run();
    let again = room.command().args(["run", "--budget", "3s", "--resume"]).arg(&run).output().unwrap();
    assert!(matches!(again.status.code(), Some(1 | 3)), "{}", said(&again));
    let report = room.report();
    assert!(report["model"]["run"]["boots_made"].as_u64().unwrap() > made, "it went on");
    assert!(report["model"]["run"]["left_out"][0].as_str().unwrap().starts_with("The budget of 3 s"));
}

#[test]
fn numbers_of_a_path_that_was_not_taken_are_compared_with_nothing() {
    let room = Room::new();
    let output = run(&room, "streams").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let report = room.report();
    let voids = report["model"]["voids"].as_array().unwrap();
    let cells: Vec<(&str, &str, u64)> = voids
        .iter()
        .map(|void| {
            let (arm, receive) = (void["arm"].as_str().unwrap(), void["at"]["receive"].as_str().unwrap());
            (arm, receive, void["boots"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(cells, [("candidate", "devmem", 7), ("candidate", "zcrx", 7)]);
    let of = |receive: &str| {
        let gates = report["model"]["gates"].as_array().unwrap();
        gates.iter().find(|gate| gate["series"]["at"]["receive"] == receive).unwrap()
    };
    assert_eq!(of("plain")["judgement"]["verdict"], "same");
    for receive in ["devmem", "zcrx"] {
        assert!(of(receive)["candidate"].is_null() && !of(receive)["baseline"].is_null(), "{receive}");
    }
    // Nothing of a void cell is anywhere, what was collected around it included.
    let rows = report["model"]["explored"].as_array().unwrap();
    let void = rows.iter().filter(|row| row["series"]["at"]["receive"] == "zcrx");
    assert!(void.flat_map(|row| row["candidates"].as_array().unwrap()).all(|one| one["values"].is_null()));
    let reasons = report["conclusion"]["reasons"].to_string();
    assert!(
        reasons.contains("tcp-data-split is disabled") && reasons.contains("0 of 8388608 bytes"),
        "{reasons}"
    );
    for file in ["report.txt", "report.md", "report.html"] {
        let text = std::fs::read_to_string(room.run().join(file)).unwrap();
        assert!(text.contains("tcp-data-split is"), "{file}");
    }
    let raw = room.run().join("trials/0/raw");
    assert!(raw.join("rx@receive=devmem.assay-bench-server.json").is_file(), "what it wrote is kept");
}
