//! `assay run` and `assay exec` as somebody in a kernel tree calls them: a toy tree that is really built, on the fake machine.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]
#![expect(clippy::disallowed_methods, reason = "a test starts programs by itself")]

#[path = "common/toy.rs"]
mod toy;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use tests::said;

use toy::Toy;

/// `assay run` of the scenario, called in the tree.
trait Runs {
    fn run(&self, arguments: &[&str]) -> Output;
    /// The log of the candidate's build in the last run.
    fn candidates_log(&self) -> String;
}

impl Runs for Toy {
    fn run(&self, arguments: &[&str]) -> Output {
        let _ = fs::remove_dir_all(self.room.results());
        let mut command = self.room.command();
        command.current_dir(self.tree()).arg("run").arg(self.scenario()).args(arguments).output().unwrap()
    }

    fn candidates_log(&self) -> String {
        let logs = self.room.run().join("builds");
        let find = |path: &Path| path.file_name().unwrap().to_str().unwrap().contains('+');
        let logs: Vec<PathBuf> = fs::read_dir(logs).unwrap().map(|log| log.unwrap().path()).collect();
        fs::read_to_string(logs.iter().find(|path| find(path)).unwrap()).unwrap()
    }
}

#[test]
fn a_dirty_tree_is_compared_with_its_merge_base_by_one_command() {
    let place = Toy::new("5%");
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
    place.write("speed.c", "steady\n");
    let output = place.run(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let log = place.candidates_log();
    assert!(log.contains("CC      other.o") && !log.contains("CC      speed.o"), "{log}");
}

#[test]
fn a_run_of_a_tree_is_repeated_as_it_was_when_the_tree_has_gone_on() {
    let place = Toy::new("5%");
    place.write("speed.c", "slower");
    assert_eq!(place.run(&[]).status.code(), Some(1));
    place.write("speed.c", "steady\n");
    let run = place.room.run();
    let output = place.room.command().arg("run").arg("--resume").arg(&run).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
}

#[test]
fn a_tree_is_left_out_where_nobody_wants_it() {
    let place = Toy::new("5%");
    place.write("speed.c", "slower");
    let output = place.run(&["--no-tree"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("working tree"), "{}", said(&output));
}

#[test]
fn a_scenario_is_found_by_its_name_though_the_tree_has_a_folder_of_that_name() {
    let place = Toy::new("5%");
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
    let place = Toy::new("5%");
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
    let place = Toy::new("5%");
    place.write(".gitignore", "/.config\n");
    place.commit("ignore");
    place.write(".config", "CONFIG_64BIT=y\nCONFIG_OWN=y\n");
    place.write("speed.c", "slower");
    let scenario = place.scenario();
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
    let place = Toy::new("5%");
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
    let place = Toy::new("5%");
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
