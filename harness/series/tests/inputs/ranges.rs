//! Ranges of commits: what git writes, git can apply again.

use series::shelve;

use crate::support::Repository;

/// Three commits with everything that a commit can have.
fn history() -> Repository {
    let repository = Repository::new();
    repository.write("a.c", b"int a;\n\tint b;\n");
    repository.write("gone", b"bye\n");
    repository.write("moved", b"one\ntwo\nthree\n");
    repository.commit("base");
    repository.write("a.c", b"int a;\n\tint c;\n");
    repository.write("latin", b"caf\xe9\r\n");
    repository.commit(
        "net: Größe\n\nWhy.\n\nFrom here on it is better.\n\nSigned-off-by: Jörg Čapek <joerg@example.org>",
    );
    repository.write("data.bin", &[0, 1, 2, 255, 0, 10]);
    repository.write("empty", b"");
    repository.git(&["rm", "--quiet", "gone"]);
    repository.git(&["mv", "moved", "here"]);
    repository.commit("net: second");
    repository.git(&["update-index", "--chmod=+x", "a.c"]);
    repository.git(&["commit", "--quiet", "--message", "[net] third: mode only"]);
    repository
}

#[test]
fn what_is_shelved_applies_to_the_same_tree() {
    let repository = history();
    let series = repository.read("HEAD~3..HEAD").unwrap();
    assert_eq!((series.kind, series.name.as_str()), ("range", "main"), "the branch");
    let subjects: Vec<&str> = series.patches.iter().map(|patch| patch.subject.as_str()).collect();
    // As `git am` takes subjects, brackets and all.
    assert_eq!(subjects, ["net: Größe", "net: second", "third: mode only"]);
    assert_eq!(series.patches[0].author.as_ref().unwrap().to_string(), "Jörg Čapek <joerg@example.org>");
    let cache = tempfile::tempdir().unwrap();
    let shelved = shelve(&series, cache.path(), &mut |_| ()).unwrap();
    let tree = repository.git(&["rev-parse", "HEAD^{tree}"]);
    let message = repository.git(&["log", "-1", "--format=%an <%ae>%n%aI%n%B", "HEAD~2"]);
    repository.git(&["checkout", "--quiet", "--force", "-b", "again", "HEAD~3"]);
    for patch in &shelved.patches {
        repository.git(&["am", "--quiet", "--keep-cr", patch.path.to_str().unwrap()]);
    }
    assert_eq!(repository.git(&["rev-parse", "HEAD^{tree}"]), tree);
    assert_eq!(repository.git(&["log", "-1", "--format=%an <%ae>%n%aI%n%B", "HEAD~2"]), message);
}

#[test]
fn one_commit() {
    let repository = history();
    let series = repository.read("HEAD~1^!").unwrap();
    assert_eq!((series.name.as_str(), series.patches.len()), ("net-second", 1));
}

#[test]
fn the_users_configuration_of_git_changes_nothing() {
    let repository = history();
    let plain = repository.read("HEAD~3..HEAD").unwrap();
    for (key, value) in [
        ("diff.noprefix", "true"),
        ("diff.mnemonicPrefix", "true"),
        ("diff.renames", "copies"),
        ("diff.external", "/bin/false"),
        ("format.attach", "yes"),
        ("format.coverLetter", "true"),
        ("format.signature", "me"),
        ("format.subjectPrefix", "RFC"),
        ("format.outputDirectory", "/nowhere"),
        ("format.thread", "deep"),
        ("color.ui", "always"),
        ("log.showSignature", "true"),
        ("diff.context", "1"),
    ] {
        repository.git(&["config", key, value]);
    }
    assert_eq!(repository.read("HEAD~3..HEAD").unwrap(), plain);
}

#[test]
fn what_is_no_range_of_patches_is_told() {
    let repository = history();
    let refused = |range: &str| repository.read(range).unwrap_err();
    assert!(refused("HEAD..HEAD").contains("holds no commit"), "{}", refused("HEAD..HEAD"));
    assert!(refused("gone..HEAD").contains("is neither a file nor a range of commits"));
    assert!(refused("HEAD~1...HEAD").contains("two dots"));
    assert!(refused("--output=/tmp/x..HEAD").contains("no range"));
    repository.git(&["checkout", "--quiet", "--force", "-b", "side", "HEAD~1"]);
    repository.write("side", b"x\n");
    repository.commit("side");
    repository.git(&["merge", "--quiet", "--no-edit", "main"]);
    assert!(refused("HEAD~2..HEAD").contains("has a merge in it"), "{}", refused("HEAD~2..HEAD"));
}
