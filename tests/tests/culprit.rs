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
    let made = || place.room.results().join("bisect").is_dir() && !visits(&place.search()).is_empty();
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
