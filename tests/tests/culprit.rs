//! `assay bisect` as a whole: a toy tree that is really built, on the fake machine.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]
#![expect(clippy::disallowed_methods, reason = "a test starts programs by itself")]

#[path = "common/toy.rs"]
mod toy;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tests::said;

use toy::Toy;

/// `assay bisect` in the tree.
struct Place {
    toy: Toy,
}

impl std::ops::Deref for Place {
    type Target = Toy;

    fn deref(&self) -> &Toy {
        &self.toy
    }
}

impl Place {
    fn new() -> Self {
        Self { toy: Toy::new("3%") }
    }

    /// A commit that makes the kernel another one.
    fn speed(&self, text: &str, subject: &str) {
        self.write("speed.c", &format!("{text}\n"));
        self.commit(subject);
    }

    fn command(&self) -> Command {
        let mut command = self.room.command();
        command.current_dir(self.tree()).arg("bisect");
        command
    }

    fn bisect(&self, arguments: &[&str]) -> Output {
        self.command().arg(self.scenario()).args(arguments).output().unwrap()
    }

    /// The folder of the only search, once there is one.
    fn begun(&self) -> Option<PathBuf> {
        let mut all = fs::read_dir(self.room.results().join("bisect")).ok()?;
        Some(all.next()?.unwrap().path())
    }

    /// The folder of the only search.
    fn search(&self) -> PathBuf {
        let mut all = fs::read_dir(self.room.results().join("bisect")).unwrap();
        let search = all.next().unwrap().unwrap().path();
        assert!(all.next().is_none());
        search
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn visits(search: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(search.join("visits.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Nine commits with a merge, of which one does not build, one does not boot, and `tcp: Copy twice` moves less.
fn history(place: &Place) -> String {
    place.speed("steady-too", "tcp: Tidy up");
    place.git(&["checkout", "--quiet", "-b", "topic", "v6.12.7"]);
    place.write("docs.txt", "words\n");
    place.commit("docs: Words");
    place.git(&["checkout", "--quiet", "main"]);
    place.git(&["merge", "--quiet", "--no-ff", "-m", "Merge topic", "topic"]);
    place.speed("error", "tcp: Forget a header");
    place.speed("steady", "tcp: Add the header");
    place.speed("slower", "tcp: Copy twice");
    let culprit = place.git(&["rev-parse", "HEAD"]).trim().to_owned();
    place.speed("panics", "tcp: Forget a lock");
    place.speed("slower", "tcp: Add the lock");
    place.write("docs.txt", "more words\n");
    place.commit("docs: More words");
    culprit
}

#[test]
fn a_commit_is_found_among_merges_and_commits_that_do_not_build_or_boot() {
    let place = Place::new();
    let culprit = history(&place);
    let output = place.bisect(&["--range", "v6.12.7..main"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let told = text(&output);
    assert!(told.contains("it is the culprit:"), "{told}");
    assert!(told.contains(&format!("# first bad commit: [{culprit}] tcp: Copy twice")), "{told}");
    for part in
        ["What was tested", "9 commits or patches", "What this cannot see", "changes of less than 3.00 %"]
    {
        assert!(told.contains(part), "{part} in {told}");
    }
    // git takes the log, and comes to the same; what it then still wants to test was decided by what is the same code.
    let log = told.split("(git bisect replay FILE)\n").nth(1).unwrap();
    let path = place.folder.path().join("log");
    fs::write(&path, log).unwrap();
    place.git(&["bisect", "replay", path.to_str().unwrap()]);
    let suspects = place.git(&["rev-list", "refs/bisect/bad", "--not", "--glob=refs/bisect/good-*"]);
    assert!(suspects.lines().any(|suspect| suspect == culprit), "{suspects}");
}

#[test]
fn a_patch_of_a_series_is_found_and_one_that_does_not_build_is_told_with_the_next() {
    let place = Place::new();
    place.speed("steady-too", "tcp: Tidy up");
    place.speed("error", "tcp: Forget a header");
    place.speed("slower", "tcp: Copy twice, with the header");
    let range = format!("v6.12.7..{}", place.git(&["rev-parse", "main"]).trim());
    let git = place.tree();
    let output = place.bisect(&["--series", &range, "--git", git.to_str().unwrap(), "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["ended"], "found");
    let titles: Vec<&str> = told["culprits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|culprit| culprit["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles, ["tcp: Forget a header", "tcp: Copy twice, with the header"]);
    let untestable = visits(&place.search()).into_iter().find(|visit| visit["node"] == 2).unwrap();
    assert!(untestable["found"]["reason"].as_str().unwrap().contains("it says so"), "{untestable}");
}

#[test]
fn a_search_that_was_killed_goes_on_where_it_was() {
    let place = Place::new();
    let culprit = history(&place);
    let scenario = place.scenario();
    let mut command = place.command();
    command.arg(scenario).args(["--range", "v6.12.7..main"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let made = || place.begun().is_some_and(|search| !visits(&search).is_empty());
    while !made() {
        assert!(Instant::now() < deadline, "after 120 s no visit is made");
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        std::thread::yield_now();
    }
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    let search = place.search();
    let before = visits(&search);
    // As if it had been killed in the middle of a line.
    let path = search.join("visits.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{whole}{{\"node\":3,\"ru")).unwrap();

    let output = place.command().arg("--resume").arg(&search).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(text(&output).contains(&format!("# first bad commit: [{culprit}]")), "{}", said(&output));
    let after = visits(&search);
    assert!(after.len() > before.len());
    assert_eq!(after[..before.len()], before[..], "what was made is not made again");
}

#[test]
fn a_crash_is_looked_for_whatever_the_gates_say() {
    let place = Place::new();
    place.speed("slower", "tcp: Copy twice");
    place.speed("panics", "tcp: Forget a lock");
    place.speed("panics ", "tcp: Go on");
    let output = place.bisect(&["--range", "v6.12.7..main", "--crash"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let told = text(&output);
    assert!(told.contains("] tcp: Forget a lock\n") && told.contains("# first bad commit"), "{told}");
    assert!(told.contains("boots crashed"), "{told}");
}

#[test]
fn a_range_in_which_no_code_changed_holds_no_culprit() {
    let place = Place::new();
    place.write("docs.txt", "words\n");
    place.commit("docs: Words");
    place.write("docs.txt", "more words\n");
    place.commit("docs: More words");
    let output = place.bisect(&["--range", "v6.12.7..main"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(text(&output).contains("nothing in the range did it"), "{}", said(&output));
}

#[test]
fn a_budget_ends_a_search_that_can_go_on() {
    let place = Place::new();
    history(&place);
    // Nothing was built yet: a kernel is expected to take ten minutes, however small this one is.
    let output = place.bisect(&["--range", "v6.12.7..main", "--budget", "60s"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(
        text(&output).contains("Not decided yet: the next visit is expected to take"),
        "{}",
        said(&output)
    );
    assert!(text(&output).contains("assay bisect --resume"), "{}", said(&output));
    assert!(visits(&place.search()).is_empty());
    let output = place.command().arg("--resume").arg(place.search()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // The good end is there now, and costs a second search no more than its boots.
    std::fs::remove_dir_all(place.search()).unwrap();
    let again = place.bisect(&["--range", "v6.12.7..main", "--budget", "60s"]);
    assert!(!visits(&place.search()).is_empty(), "{}", said(&again));
}

#[test]
fn what_cannot_be_searched_is_the_users_to_mend() {
    let place = Place::new();
    let said_of = |arguments: &[&str]| {
        let output = place.bisect(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(said_of(&[]).contains("bisect what?"));
    assert!(said_of(&["--range", "v6.12.7"]).contains("expected two commits"));
    assert!(said_of(&["--range", "v6.12.7..nowhere"]).contains("no commit `nowhere`"));
    assert!(said_of(&["--range", "main..v6.12.7"]).contains("holds no commit"));
    place.speed("slower", "tcp: Copy twice");
    assert!(said_of(&["--range", "v6.12.7..main", "--gate", "7"]).contains("has 1 gates"));
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(output)))
}

fn titles(list: &serde_json::Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["title"].as_str().unwrap()).collect()
}

#[test]
fn an_option_of_a_fragment_is_found() {
    let place = Place::new();
    let fragment = place.folder.path().join("more.config");
    fs::write(
        &fragment,
        "# more\nCONFIG_EXTRA=y\nCONFIG_PARENT=y\nCONFIG_CHILD=y\nCONFIG_SLOW=y\n# CONFIG_OTHER is not set\n",
    )
    .unwrap();
    let fragment = fragment.to_str().unwrap();
    let output = place.bisect(&["--options", fragment, "--option", "LAST=y", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let told = json(&output);
    assert_eq!((told["ended"].as_str(), titles(&told["culprits"])), (Some("found"), vec!["CONFIG_SLOW=y"]));
    assert!(said(&output).contains("6 options; kept in"), "{}", said(&output));
}

#[test]
fn options_that_do_not_stand_are_passed_over_and_told_with_the_next() {
    let place = Place::new();
    // CHILD does not stand before PARENT is there.
    let options =
        ["--option", "EXTRA=y", "--option", "CHILD=y", "--option", "SLOW=y", "--option", "PARENT=y"];
    let output = place.bisect(&[options.as_slice(), &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let told = json(&output);
    assert_eq!(titles(&told["culprits"]), ["CONFIG_CHILD=y", "CONFIG_SLOW=y", "CONFIG_PARENT=y"]);
    for node in [2, 3] {
        let visit = visits(&place.search()).into_iter().find(|visit| visit["node"] == node).unwrap();
        assert!(visit["found"]["reason"].as_str().unwrap().contains("configuration lost"), "{visit}");
    }
    // Alone it stands nowhere: the bad end cannot be tested, and says why.
    let place = Place::new();
    let output = place.bisect(&["--option", "CHILD=y"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(
        text(&output)
            .contains("The bad end cannot be tested: cannot be tested: configuration lost: CONFIG_CHILD"),
        "{}",
        said(&output)
    );
}

#[test]
fn of_a_whole_configuration_only_what_differs_is_searched() {
    let place = Place::new();
    let whole = place.folder.path().join("bad.config");
    fs::write(&whole, "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86 6.12.7 Kernel Configuration\n#\nCONFIG_64BIT=y\n# CONFIG_DEBUG is not set\nCONFIG_HAVE_TOYS=y\nCONFIG_EXTRA=y\nCONFIG_SLOW=y\n").unwrap();
    let output = place.bisect(&["--options", whole.to_str().unwrap(), "--subset"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("2 options; kept in"), "{}", said(&output));
    assert!(text(&output).contains("it is this alone:\n  CONFIG_SLOW=y\n"), "{}", said(&output));
}

#[test]
fn a_word_is_found_without_another_build() {
    let place = Place::new();
    let output = place.bisect(&["--cmdline", "quiet a=\"b c\" slow nosmt", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let told = json(&output);
    assert_eq!((told["ended"].as_str(), titles(&told["culprits"])), (Some("found"), vec!["slow"]));
    let visits = visits(&place.search());
    let images: std::collections::BTreeSet<&str> =
        visits.iter().map(|visit| visit["image"].as_str().unwrap()).collect();
    assert_eq!(images.len(), 1, "all words have one kernel");
}

/// A series of five patches of which the second and the fourth make it slower together, and the others change the image alone.
fn two_together(place: &Place) -> Vec<String> {
    for (file, content, subject) in [
        ("speed.c", "steady\n\n", "tcp: Tidy up"),
        ("one.c", "slow\n", "tcp: Take a lock"),
        ("speed.c", "steady\n\n\n", "tcp: Tidy up more"),
        ("two.c", "slow\n", "tcp: Take the lock twice"),
        ("speed.c", "steady\n\n\n\n", "tcp: Tidy up even more"),
    ] {
        place.write(file, content);
        place.commit(subject);
    }
    let range = format!("v6.12.7..{}", place.git(&["rev-parse", "main"]).trim());
    let tree = place.tree().to_str().unwrap().to_owned();
    vec!["--series".to_owned(), range, "--git".to_owned(), tree]
}

#[test]
fn two_patches_that_only_together_slow_are_both_named() {
    let place = Place::new();
    let series = two_together(&place);
    let mut arguments: Vec<&str> = series.iter().map(String::as_str).collect();
    arguments.push("--subset");
    let output = place.bisect(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let told = text(&output);
    assert!(told.contains("it takes these 2 together, and nothing else:"), "{told}");
    let verdict = told.split("\nStage 1").next().unwrap();
    assert!(verdict.contains("tcp: Take a lock") && verdict.contains("tcp: Take the lock twice"), "{told}");
    assert!(!verdict.contains("Tidy up"), "{told}");
    assert!(told.contains("Stage 2: ") && told.contains("5 commits or patches; "), "{told}");
    // What the first stage knew of both ends is not booted again: no set of patches is visited in two stages for want of it.
    let search = place.search();
    assert!(!visits(&search.join("stage-2")).iter().any(|visit| visit["node"] == 0), "{told}");
}

#[test]
fn a_search_for_a_set_that_was_killed_in_its_second_stage_goes_on_there() {
    let place = Place::new();
    let series = two_together(&place);
    let mut command = place.command();
    command.arg(place.scenario()).args(&series).arg("--subset").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let second = || place.search().join("stage-2");
    let made = || place.begun().is_some_and(|search| !visits(&search.join("stage-2")).is_empty());
    while !made() {
        assert!(Instant::now() < deadline, "after 120 s no visit of the second stage is made");
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        std::thread::yield_now();
    }
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    let search = place.search();
    let before = [visits(&search), visits(&second())];
    // A budget that nothing fits into ends it in the same stage.
    let output = place.command().arg("--resume").arg(&search).args(["--budget", "1s"]).output().unwrap();
    let within_budget = [visits(&search), visits(&second())];
    if output.status.code() == Some(3) {
        assert!(text(&output).contains("Not decided yet."), "{}", said(&output));
    }

    let output = place.command().arg("--resume").arg(&search).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(text(&output).contains("it takes these 2 together"), "{}", said(&output));
    let after = [visits(&search), visits(&second())];
    assert_eq!(after[0], before[0], "the first stage is over");
    assert_eq!(within_budget[0], before[0]);
    assert_eq!(after[1][..before[1].len()], before[1][..], "what was made is not made again");
}

#[test]
fn a_search_of_before_there_were_units_goes_on() {
    let place = Place::new();
    place.speed("steady-too", "tcp: Tidy up");
    place.speed("slower", "tcp: Copy twice");
    place.speed("slower ", "tcp: Go on");
    let range = format!("v6.12.7..{}", place.git(&["rev-parse", "main"]).trim());
    let tree = place.tree();
    let series = ["--series", &range, "--git", tree.to_str().unwrap()];
    let output = place.bisect(&[series.as_slice(), &["--budget", "60s"]].concat());
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    // As the first format had it: nodes alone.
    let search = place.search();
    let path = search.join("bisect.json");
    let mut asked: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(asked["format"], 2);
    asked["format"] = 1.into();
    assert!(asked.as_object_mut().unwrap().remove("units").is_some());
    fs::write(&path, asked.to_string()).unwrap();
    let output = place.command().arg("--resume").arg(&search).arg("--json").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(titles(&json(&output)["culprits"]), ["tcp: Copy twice"]);

    asked["format"] = 3.into();
    fs::write(&path, asked.to_string()).unwrap();
    let output = place.command().arg("--resume").arg(&search).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("of a newer Assay (format 3, this one reads 2)"), "{}", said(&output));
}

#[test]
fn units_that_cannot_be_searched_are_the_users_to_mend() {
    let place = Place::new();
    let said_of = |arguments: &[&str]| {
        let output = place.bisect(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let file = place.folder.path().join("x.config");
    fs::write(&file, "CONFIG_A=y\nA=y\nB\n").unwrap();
    let file = file.to_str().unwrap();
    let told = said_of(&["--options", file, "--options", "/nowhere"]);
    for part in ["x.config:2: `A=y` is neither", "x.config:3: `B` is neither", "cannot read /nowhere"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let told = said_of(&["--cmdline", "root=/dev/sda quiet init=/bin/sh"]);
    assert!(told.contains("`root` is set by") && told.contains("`init` is set by"), "{told}");
    assert!(said_of(&["--cmdline", "a \"b"]).contains("a quote is not closed"));
    assert!(said_of(&["--cmdline", "quiet", "--option", "A=y"]).contains("cannot be used with"));
    assert!(said_of(&["--range", "v6.12.7..main", "--subset"]).contains("do not stand alone"));
    assert!(said_of(&["--subset"]).contains("bisect what?"));
}
