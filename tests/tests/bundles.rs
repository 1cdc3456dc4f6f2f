//! Runs carried elsewhere: bundles made and replayed on the fake machine, and what strangers put into theirs.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs by itself and ends at what it did not expect"
)]

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
#[path = "common/forge.rs"]
mod forge;

use forge::{edit, forged};
use tests::{Room, assay, said};

const FAKE: &str = "tests/fixtures/fake/scenarios";

/// Runs a scenario and bundles it, and gives the bundle.
fn bundled(room: &Room, scenario: &str, flags: &[&str]) -> PathBuf {
    let run = room.command().arg("run").arg(format!("{FAKE}/{scenario}.yaml")).output().unwrap();
    assert!(matches!(run.status.code(), Some(0 | 1)), "{}", said(&run));
    let file = room.results().with_file_name("run.bundle.tar.zst");
    let output = room.command().arg("bundle").args(flags).arg("-o").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    file
}

/// Another machine, as far as one can be had here: another home, cache, results, and a folder with nothing of the project.
struct Elsewhere {
    room: tempfile::TempDir,
}

impl Elsewhere {
    fn new() -> Self {
        let room = tempfile::tempdir().unwrap();
        fs::set_permissions(room.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for folder in ["home", "here"] {
            fs::create_dir(room.path().join(folder)).unwrap();
        }
        Self { room }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(assay());
        command
            .current_dir(self.room.path().join("here"))
            .env("HOME", self.room.path().join("home"))
            .env_remove("ASSAY_PROJECT")
            .arg("--cache")
            .arg(self.room.path().join("cache"))
            .arg("--results")
            .arg(self.room.path().join("results"));
        command
    }

    fn replay(&self, file: &Path, flags: &[&str]) -> Output {
        self.command().arg("replay").arg(file).args(flags).output().unwrap()
    }

    /// The only run here.
    fn run(&self) -> PathBuf {
        let runs: Vec<_> = fs::read_dir(self.room.path().join("results")).unwrap().collect();
        assert_eq!(runs.len(), 1);
        runs.into_iter().next().unwrap().unwrap().path()
    }

    fn bundles_left(&self) -> usize {
        fs::read_dir(self.room.path().join("cache/bundles")).map_or(0, Iterator::count)
    }
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}

#[test]
fn a_run_is_repeated_elsewhere_with_the_same_images_and_agrees() {
    let room = Room::new();
    let file = bundled(&room, "slower", &[]);
    let again = room.results().with_file_name("again");
    let output = room.command().arg("bundle").arg("-o").arg(&again).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(fs::read(&file).unwrap(), fs::read(&again).unwrap(), "the same run gives the same bytes");

    let elsewhere = Elsewhere::new();
    let output = elsewhere.replay(&file, &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let answer = json(&output);
    assert_eq!((&answer["images"], &answer["agrees"]), (&"same".into(), &"yes".into()), "{answer}");
    let text = fs::read_to_string(elsewhere.run().join("report.txt")).unwrap();
    assert!(text.contains("This is a replay of") && text.contains("run.bundle.tar.zst"), "{text}");
    assert!(text.contains("candidate: worse") && text.contains("assay replay "), "{text}");
    assert_eq!(elsewhere.bundles_left(), 0, "what was unpacked is gone");
    assert_eq!(fs::read_dir(elsewhere.room.path().join("home")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(elsewhere.room.path().join("here")).unwrap().count(), 0);
}

/// What a replay comes to is said by whoever takes it up, and only when it is finished.
#[test]
fn an_interrupted_replay_says_whether_it_agrees_when_it_was_taken_up() {
    let room = Room::new();
    let file = bundled(&room, "slower", &[]);
    let taken_up = |elsewhere: &Elsewhere| {
        let output = elsewhere.command().args(["run", "--resume"]).arg(elsewhere.run()).output().unwrap();
        (output.status.code(), said(&output))
    };
    let elsewhere = killed_in_the_middle(&file);
    let (code, text) = taken_up(&elsewhere);
    assert_eq!(code, Some(1), "its own gate fails, as the bundle's: {text}");
    assert!(text.contains("run.bundle.tar.zst repeats ") && text.contains("agrees"), "{text}");
    let agreed = fs::read_to_string(elsewhere.run().join("agreement.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&agreed).unwrap()["agrees"], "yes", "{agreed}");

    // A bundle that is gone meanwhile is told, and costs the run nothing.
    let elsewhere = killed_in_the_middle(&file);
    fs::remove_file(&file).unwrap();
    let (code, text) = taken_up(&elsewhere);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("is not known: ") && text.contains("assay replay FILE"), "{text}");
    assert!(!elsewhere.run().join("agreement.json").exists());
}

/// A replay that kill -9 ended between its first trial and its last. One that was done before it was killed is none, and another is begun.
fn killed_in_the_middle(file: &Path) -> Elsewhere {
    const TRIALS: usize = 12;
    for _ in 0..50 {
        let elsewhere = Elsewhere::new();
        let results = elsewhere.room.path().join("results");
        let finished = || -> usize {
            let runs = fs::read_dir(&results).into_iter().flatten().flatten();
            let trials = runs.flat_map(|run| fs::read_dir(run.path().join("trials")).into_iter().flatten());
            trials.flatten().filter(|trial| trial.path().join("trial.json").exists()).count()
        };
        let mut child = elsewhere.command().arg("replay").arg(file).stderr(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(120);
        while finished() == 0 && child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "after 120 s no trial is finished");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if (1..TRIALS).contains(&finished()) {
            return elsewhere;
        }
    }
    panic!("50 replays were done before they could be killed");
}

#[test]
fn kernels_that_are_built_again_are_said_to_be_the_same_or_not() {
    let room = Room::new();
    let file = bundled(&room, "twins", &[]);
    let elsewhere = Elsewhere::new();
    let output = elsewhere.replay(&file, &["--rebuild", "--boots", "6", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let answer = json(&output);
    assert_eq!(answer["images"], "rebuilt");
    assert_eq!(answer["identical"], serde_json::json!({ "baseline": true, "candidate": true }));
    let text = elsewhere.replay(&file, &["--rebuild"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("rebuilt") && text.contains("came out the same to the byte"), "{text}");
}

#[test]
fn another_user_repeats_it_in_another_home() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: only root can be somebody else");
        return;
    }
    let room = Room::new();
    let file = bundled(&room, "slower", &[]);
    fs::set_permissions(file.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    let elsewhere = Elsewhere::new();
    let somebody = 64_000;
    for folder in ["", "home", "here"] {
        let path = elsewhere.room.path().join(folder);
        std::os::unix::fs::chown(path, Some(somebody), Some(somebody)).unwrap();
    }
    let output = elsewhere.command().arg("replay").arg(&file).uid(somebody).gid(somebody).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("same images") && text.ends_with("agrees\n"), "{text}");
    // Runs of other users keep their sockets there.
    fs::remove_dir(format!("/tmp/assay-{somebody}")).ok();
}

#[test]
fn nothing_in_a_bundle_names_the_machine_or_its_user() {
    let room = Room::new();
    let home = room.results().with_file_name("home-of-jane");
    fs::create_dir_all(&home).unwrap();
    let run =
        room.command().env("HOME", &home).arg("run").arg(format!("{FAKE}/failures.yaml")).output().unwrap();
    assert_eq!(run.status.code(), Some(1), "{}", said(&run));
    let file = home.join("x.bundle");
    let output = room.command().env("HOME", &home).arg("bundle").arg("-o").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let all = zstd::decode_all(fs::File::open(&file).unwrap()).unwrap();
    let text = String::from_utf8_lossy(&all);
    let top = tests::top();
    let names = [home.display().to_string(), room.results().display().to_string(), top.display().to_string()];
    for name in &names {
        let at = text.find(name.as_str());
        assert!(at.is_none(), "{name}: {}", at.map_or("", |at| &text[at.saturating_sub(200)..at + 50]));
    }
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned();
    assert!(host.len() < 5 || !text.contains(&host), "{host}");
}

#[test]
fn a_replay_that_finds_something_else_says_what() {
    let room = Room::new();
    let file = bundled(&room, "slower", &[]);
    // The candidate is the baseline's kernel in this copy of the bundle: the slowdown is gone.
    let forgery = file.with_file_name("forged");
    forged(&file, &forgery, &|folder| {
        let run: Value = serde_json::from_slice(&fs::read(folder.join("run.json")).unwrap()).unwrap();
        let image = |arm: &str| folder.join(run["kernels"][arm]["build"]["image"].as_str().unwrap());
        fs::copy(image("baseline"), image("candidate")).unwrap();
        let same = &run["kernels"]["baseline"]["build"]["image_sha256"];
        edit(&folder.join("run.json"), &|run| {
            run["kernels"]["candidate"]["build"]["image_sha256"] = same.clone();
        });
        edit(&folder.join("environment.json"), &|environment| {
            environment["boots"]["candidate"]["kernel"]["sha256"] = same.clone();
        });
    });
    let elsewhere = Elsewhere::new();
    let output = elsewhere.replay(&forgery, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("does not agree: the intervals do not meet"), "{text}");
}

#[test]
fn an_arm_and_fewer_boots_can_be_chosen_and_too_few_are_unclear() {
    let room = Room::new();
    let file = bundled(&room, "slower", &[]);
    let elsewhere = Elsewhere::new();
    let output = elsewhere.replay(&file, &["--arm", "candidate", "--boots", "2"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let output = elsewhere.replay(&file, &["--arm", "nobody"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("baseline, candidate"), "{}", said(&output));
}

#[test]
fn a_plan_that_asks_for_files_of_this_machine_is_refused() {
    let room = Room::new();
    let file = bundled(&room, "slower", &[]);
    let forgery = file.with_file_name("forged");
    let elsewhere = Elsewhere::new();
    let refused = |words: &[&str], change: &dyn Fn(&mut Value)| {
        forged(&file, &forgery, &|folder| edit(&folder.join("run.json"), change));
        for command in [vec!["replay"], vec!["replay", "--rebuild"], vec!["bundle", "--show"]] {
            let output = elsewhere.command().args(&command).arg(&forgery).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{command:?}: {}", said(&output));
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(words.iter().all(|word| text.contains(word)), "{words:?}: {text}");
            assert_eq!(elsewhere.bundles_left(), 0, "{text}");
        }
    };
    let plan = |run: &mut Value| run["plan"].clone();
    assert!(plan(&mut serde_json::json!({ "plan": 1 })).is_number());
    refused(&["/etc/shadow"], &|run| {
        run["plan"]["arms"][0]["kernel"]["base"]["source"]["image"] = "/etc/shadow".into();
    });
    refused(&["../../../etc/shadow"], &|run| {
        run["plan"]["arms"][0]["machine"]["script"] = "../../../etc/shadow".into();
    });
    refused(&["/home/somebody/.ssh"], &|run| {
        run["plan"]["arms"][0]["kernel"]["series"] = serde_json::json!([{
            "name": "x", "folder": "/home/somebody/.ssh",
            "patches": [{ "path": "/home/somebody/.ssh/id_rsa", "sha256": "0".repeat(64) }],
        }]);
    });
    refused(&["/home/somebody/.netrc"], &|run| {
        run["plan"]["workloads"][0]["kind"] = serde_json::json!({
            "tool": "command", "run": ["cat"], "side": "client", "server": null,
            "files": [{ "path": "/home/somebody/.netrc", "sha256": "0".repeat(64), "name": "n", "executable": false }],
            "env": {}, "stdin": "", "deadline_s": 60, "exit": "any", "repeat": 1, "metrics": [],
        });
    });
    refused(&["/etc/passwd"], &|run| {
        run["kernels"]["baseline"]["build"]["image"] = "/etc/passwd".into();
    });
    refused(&["name is `../../../planted`"], &|run| run["plan"]["name"] = "../../../planted".into());
    refused(&["no name for a file"], &|run| {
        run["plan"]["arms"][0]["name"] = "../planted".into();
        run["kernels"]["../planted"] = run["kernels"]["baseline"].clone();
    });
    refused(&["boots is 4000000000"], &|run| run["plan"]["design"]["boots"] = 4_000_000_000_u32.into());
    refused(&["not what Assay writes"], &|run| run["plan"]["machines"] = 1.into());
    refused(&["has format"], &|run| run["format"] = 1000.into());
    refused(&["ext::"], &|run| {
        run["plan"]["arms"][0]["kernel"]["base"]["source"] =
            serde_json::json!({ "kind": "git", "repository": "ext::sh -c id ://x", "reference": "HEAD" });
    });
}

#[test]
fn a_script_of_a_stranger_reads_no_files() {
    let room = Room::new();
    let file = bundled(&room, "slower", &[]);
    let forgery = file.with_file_name("forged");
    forged(&file, &forgery, &|folder| {
        let run: Value = serde_json::from_slice(&fs::read(folder.join("run.json")).unwrap()).unwrap();
        let script = folder.join(run["plan"]["arms"][0]["machine"]["script"].as_str().unwrap());
        edit(&script, &|script| script["kernel_log"] = serde_json::json!({ "file": "/etc/passwd" }));
    });
    let elsewhere = Elsewhere::new();
    let output = elsewhere.replay(&forgery, &[]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("names the file `/etc/passwd`"), "{}", said(&output));
}

#[test]
fn what_cannot_be_had_here_is_named() {
    let room = Room::new();
    let file = bundled(&room, "slower", &["--no-images"]);
    let elsewhere = Elsewhere::new();
    let output = elsewhere.replay(&file, &[]);
    assert_eq!(output.status.code(), Some(69), "{}", said(&output));
    assert!(
        said(&output).contains("slower: an image that existed when the run was made"),
        "{}",
        said(&output)
    );
    let forgery = file.with_file_name("forged");
    for location in ["/home/jane/linux", "file:///home/jane/linux", "ssh://jane@example.org/linux"] {
        forged(&file, &forgery, &|folder| {
            edit(&folder.join("run.json"), &|run| {
                run["plan"]["arms"][0]["kernel"]["base"]["source"] =
                    serde_json::json!({ "kind": "git", "repository": location, "reference": "main" });
            });
        });
        let output = elsewhere.replay(&forgery, &[]);
        assert!(matches!(output.status.code(), Some(2 | 69)), "{}", said(&output));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains("--source") || text.contains("file://"), "{text}");
    }
}

#[test]
fn a_bundle_cut_short_is_refused_and_leaves_nothing() {
    let room = Room::new();
    let file = bundled(&room, "twins", &[]);
    let bytes = fs::read(&file).unwrap();
    let cut = file.with_file_name("cut");
    let elsewhere = Elsewhere::new();
    for part in [0, 1, 100, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&cut, &bytes[..part]).unwrap();
        let output = elsewhere.replay(&cut, &["--json"]);
        assert_eq!(output.status.code(), Some(2), "{part}: {}", said(&output));
        let error: Value = serde_json::from_slice(&output.stderr).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(&output.stderr);
            serde_json::from_str(&text[text.find('{').unwrap()..]).unwrap()
        });
        assert_eq!(error["error"]["kind"], "user", "{error}");
        assert_eq!(elsewhere.bundles_left(), 0);
    }
    assert!(!elsewhere.room.path().join("results").exists(), "no run was begun");
    let none = elsewhere.replay(Path::new("no-such-file"), &[]);
    assert_eq!(none.status.code(), Some(2), "{}", said(&none));
}
