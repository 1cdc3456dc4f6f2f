//! `assay run` and `assay exec` as somebody in a kernel tree calls them: a toy tree that is really built, on the fake machine.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]
#![expect(clippy::disallowed_methods, reason = "a test starts programs by itself")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tests::{Room, said, top};

/// kbuild's interface as far as it is used. The boot image is the text by which the fake machine knows a kernel, and two objects
/// tell what was compiled anew.
const MAKEFILE: &str = "VERSION = 6
PATCHLEVEL = 12
SUBLEVEL = 7
EXTRAVERSION =

KCONFIG_CONFIG ?= $(O)/.config

tinyconfig:
\t@echo 'CONFIG_64BIT=y' > $(KCONFIG_CONFIG)
olddefconfig:
\t@true
vmlinux: $(O)/speed.o $(O)/other.o
\t@echo '  LD      vmlinux'
\t@cp $(O)/speed.o $(O)/vmlinux
\t@touch $(O)/System.map
\t@mkdir -p $(O)/include/config && echo 6.12.7-toy > $(O)/include/config/kernel.release
bzImage: vmlinux
\t@mkdir -p $(O)/arch/x86/boot
\t@printf '\\177ELF Linux version 6.12.0-fake ' | cat - $(O)/speed.o > $(O)/arch/x86/boot/bzImage
$(O)/%.o: %.c
\t@echo '  CC      $*.o'
\t@grep -q error $< && { echo \"$<:1:1: error: it says so\" >&2; exit 1; } || cp $< $@
.PHONY: tinyconfig olddefconfig vmlinux bzImage
";

const SCENARIO: &str = "# Does the working tree move less?
schema: 1
base: toy
machine: { fake: SCRIPT }
arms:
  baseline: {}
  candidate: {}
workloads:
  tcp: { tool: iperf3, duration: 2s, warmup: 0s }
collect: []
boots: 6
gates:
  - { workload: tcp, metric: throughput, margin: 5% }
";

/// A toy tree in a repository, and a project whose base it is.
struct Place {
    room: Room,
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { room: Room::new(), folder: tempfile::tempdir().unwrap() };
        for name in ["MAINTAINERS", "Kbuild", "Kconfig", "scripts/config"] {
            place.write(name, "");
        }
        place.write("Makefile", MAKEFILE);
        place.write("speed.c", "steady");
        place.write("other.c", "one");
        place.git(&["init", "--quiet"]);
        place.commit("first");
        place.git(&["tag", "v6.12.7"]);
        let base = format!(
            "schema: 1\nversion: \"6.12\"\nsource: {{ kind: git, repository: {}, ref: v6.12.7 }}\nconfig: {{ fragments: [] }}\n",
            place.tree().display()
        );
        let script = top().join("tests/fixtures/fake/script.json");
        for (name, text) in [
            ("kernels/toy.yaml", base.as_str()),
            ("scenarios/question.yaml", &SCENARIO.replace("SCRIPT", script.to_str().unwrap())),
        ] {
            let path = place.folder.path().join("project").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        place
    }

    fn tree(&self) -> PathBuf {
        self.folder.path().join("linux")
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.tree().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .arg("-C")
            .arg(self.tree())
            .args(["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn commit(&self, subject: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "-m", subject]);
    }

    /// `assay run` of the scenario, called in the tree.
    fn run(&self, arguments: &[&str]) -> Output {
        let scenario = self.folder.path().join("project/scenarios/question.yaml");
        let _ = fs::remove_dir_all(self.room.results());
        self.room
            .command()
            .current_dir(self.tree())
            .arg("run")
            .arg(scenario)
            .args(arguments)
            .output()
            .unwrap()
    }

    /// The log of the candidate's build in the last run.
    fn candidates_log(&self) -> String {
        let logs = self.room.run().join("builds");
        let find = |path: &Path| path.file_name().unwrap().to_str().unwrap().contains('+');
        let logs: Vec<PathBuf> = fs::read_dir(logs).unwrap().map(|log| log.unwrap().path()).collect();
        fs::read_to_string(logs.iter().find(|path| find(path)).unwrap()).unwrap()
    }
}

#[test]
fn a_dirty_tree_is_compared_with_its_merge_base_by_one_command() {
    let place = Place::new();
    place.git(&["checkout", "--quiet", "-b", "less/copying"]);
    place.write("other.c", "two");
    place.commit("other: two");
    place.write("speed.c", "slower");
    let output = place.run(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    for part in [
        "(less-copying: 1 commit and 1 uncommitted file); base: v6.12.7, its merge-base with v6.12.7 (the newest tag",
        "configured as toy",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("candidate: worse"), "{text}");
    assert_eq!(place.git(&["status", "--porcelain"]), " M speed.c\n");

    // One more edit compiles one file: the base's objects are there.
    place.write("speed.c", "steady");
    let output = place.run(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let log = place.candidates_log();
    assert!(log.contains("CC      other.o") && !log.contains("CC      speed.o"), "{log}");
}

#[test]
fn a_run_of_a_tree_is_repeated_as_it_was_when_the_tree_has_gone_on() {
    let place = Place::new();
    place.write("speed.c", "slower");
    assert_eq!(place.run(&[]).status.code(), Some(1));
    place.write("speed.c", "steady");
    let run = place.room.run();
    let output = place.room.command().arg("run").arg("--resume").arg(&run).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
}

#[test]
fn a_tree_is_left_out_where_nobody_wants_it() {
    let place = Place::new();
    place.write("speed.c", "slower");
    let output = place.run(&["--no-tree"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("working tree"), "{}", said(&output));
}

#[test]
fn a_scenario_is_found_by_its_name_though_the_tree_has_a_folder_of_that_name() {
    let place = Place::new();
    place.write("question/x.c", "");
    let plan = |name: &str| {
        let project = place.folder.path().join("project");
        let command = &mut place.room.command();
        command.current_dir(place.tree()).arg("--project").arg(project).args(["plan", name]).output().unwrap()
    };
    let output = plan("question");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("uncommitted-changes.patch"),
        "{}",
        said(&output)
    );
    assert_eq!(plan("no-such").status.code(), Some(2));
}

#[test]
fn what_cannot_be_compared_is_the_users_to_mend() {
    let place = Place::new();
    let said_of = |arguments: &[&str]| {
        let output = place.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(said_of(&[]).contains("no commit and no edit since v6.12.7"));
    assert!(said_of(&["--against", "nowhere"]).contains("no commit `nowhere`"));
    let elsewhere = format!("--tree={}", place.folder.path().display());
    assert!(said_of(&[&elsewhere]).contains("is in no kernel tree"));
    place.write("speed.c", "slower");
    assert!(said_of(&["--config", "tree"]).contains("cannot read"));
}

#[test]
fn the_trees_own_configuration_is_taken_with_what_it_lacks() {
    let place = Place::new();
    place.write(".gitignore", "/.config\n");
    place.commit("ignore");
    place.write(".config", "CONFIG_64BIT=y\nCONFIG_OWN=y\n");
    place.write("speed.c", "slower");
    let scenario = place.folder.path().join("project/scenarios/question.yaml");
    let output = place
        .room
        .command()
        .current_dir(place.tree())
        .arg("plan")
        .arg(scenario)
        .args(["--config", "tree"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let plan = String::from_utf8_lossy(&output.stdout);
    assert!(plan.contains("CONFIG_OWN=y") && plan.contains("CONFIG_VIRTIO_BLK=y"), "{plan}");
    assert!(plan.contains("name: v6.12.7"), "{plan}");
}

#[test]
fn a_bisection_is_told_good_bad_and_cannot_be_tested() {
    let place = Place::new();
    let bisect = |text: &str| {
        place.write("speed.c", text);
        let output = place.run(&["--bisect"]);
        output.status.code().unwrap_or_else(|| panic!("{}", said(&output)))
    };
    assert_eq!(bisect("slower"), 1);
    assert_eq!(bisect("error"), 125);
    assert_eq!(bisect("panics"), 1);
    assert_eq!(bisect("steady-too"), 0);
}

#[test]
fn exec_says_what_a_tree_lacks() {
    let place = Place::new();
    let exec = |arguments: &[&str]| {
        place
            .room
            .command()
            .current_dir(place.tree())
            .arg("exec")
            .args(arguments)
            .args(["--", "true"])
            .output()
            .unwrap()
    };
    let output = exec(&[]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("no kernel is built in"), "{}", said(&output));
    let output = exec(&["--bisect"]);
    assert_eq!(output.status.code(), Some(125), "{}", said(&output));
    place.write(".config", "CONFIG_X86_64=y\n");
    let output = exec(&[]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    for part in ["CONFIG_VIRTIO_PCI is not set", "CONFIG_DEVTMPFS is not set", "scripts/config --file"] {
        assert!(said(&output).contains(part), "{part} in {}", said(&output));
    }
    let output = exec(&["--bisect", "--accel", "none"]);
    assert_eq!(output.status.code(), Some(129), "a mistake is no bad commit: {}", said(&output));
}
