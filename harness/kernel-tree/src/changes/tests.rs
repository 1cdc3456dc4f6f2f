use std::{
    collections::BTreeMap,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use proptest::prelude::*;

use super::*;
use crate::toy::Toy;

fn changes(toy: &Toy) -> Result<Changes, TreeError> {
    let tree = KernelTree::containing(toy.root()).unwrap().unwrap();
    Changes::of(&tree, Some("v6.12.7"), &tree.root().join("results"), &toy.supervisor)
}

/// A repository with a tag to be compared with.
fn tagged() -> Toy {
    let toy = Toy::new();
    toy.init();
    toy.git(&["tag", "v6.12.7"]);
    toy
}

fn names(changes: &Changes) -> Vec<&str> {
    changes.patches.iter().map(|(name, _)| name.as_str()).collect()
}

/// The tree object that the patches make of the base, in a clone.
fn applied(toy: &Toy, changes: &Changes) -> String {
    let clone = tempfile::tempdir_in(toy.room()).unwrap();
    let clone = clone.path();
    toy.git(&["clone", "--quiet", "--no-checkout", ".", clone.to_str().unwrap()]);
    toy.git_in(clone, &["checkout", "--quiet", "--detach", &changes.base]);
    for (name, text) in &changes.patches {
        let patch = clone.join(".git").join(name);
        fs::write(&patch, text).unwrap();
        toy.git_in(clone, &["apply", "--whitespace=nowarn", patch.to_str().unwrap()]);
    }
    toy.git_in(clone, &["add", "--all", "--force"]);
    toy.git_in(clone, &["write-tree"])
}

/// The tree object of the working tree; adds all of it to the index.
fn expected(toy: &Toy) -> String {
    toy.git(&["add", "--all"]);
    toy.git(&["write-tree"])
}

/// Everything in a folder with time and size.
fn listing(folder: &Path) -> BTreeMap<PathBuf, (i64, i64, u64)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            found.extend(listing(&path));
        }
        found.insert(path, (metadata.mtime(), metadata.mtime_nsec(), metadata.size()));
    }
    found
}

#[test]
fn commits_keep_their_names_and_the_rest_is_one_more_patch() {
    let toy = tagged();
    toy.git(&["checkout", "--quiet", "-b", "net/faster"]);
    toy.write("net/ipv4/tcp.c", "int tcp(void)\n{\n\treturn 2;\n}\n");
    toy.commit("tcp: return two");
    toy.write("net/ipv4/new.c", "int new;\n");
    toy.commit("tcp: a new file");
    let clean = changes(&toy).unwrap();
    assert_eq!(names(&clean), ["0001-tcp-return-two.patch", "0002-tcp-a-new-file.patch"]);
    assert_eq!((clean.name.as_str(), clean.summary().as_str()), ("net-faster", "2 commits"));
    assert_eq!((clean.described.as_str(), clean.version.to_string().as_str()), ("v6.12.7", "6.12"));

    toy.write("net/ipv4/tcp.c", "int tcp(void)\n{\n\treturn 3;\n}\n");
    toy.write("net/ipv4/untracked.c", "int untracked;\n");
    toy.write("net/ipv4/ignored.o", "object");
    let dirty = changes(&toy).unwrap();
    assert_eq!(names(&dirty)[2], "0003-uncommitted-changes.patch");
    assert_eq!(dirty.summary(), "2 commits and 2 uncommitted files");
    let last = String::from_utf8_lossy(&dirty.patches[2].1);
    assert!(last.contains("untracked.c") && !last.contains("ignored.o"), "{last}");
    assert_eq!(applied(&toy, &dirty), expected(&toy));
}

#[test]
fn nothing_of_the_developers_is_touched() {
    let toy = tagged();
    toy.write("net/ipv4/tcp.c", "int tcp(void);\n");
    toy.git(&["add", "."]);
    toy.write("net/ipv4/tcp.c", "int tcp(void) { return 0; }\n");
    toy.write("net/ipv4/untracked.c", "int untracked;\n");
    fs::remove_file(toy.root().join("net/ipv4/unused.c")).unwrap();
    let before = listing(toy.root());
    let changes = changes(&toy).unwrap();
    assert_eq!(listing(toy.root()), before);
    assert_eq!(names(&changes), ["0001-uncommitted-changes.patch"]);
    assert_eq!(applied(&toy, &changes), expected(&toy));
}

#[test]
fn settings_of_the_developer_change_nothing() {
    let toy = tagged();
    toy.write("net/ipv4/tcp.c", "int tcp(void);\n");
    toy.commit("tcp: less");
    toy.write("net/ipv4/unused.c", "");
    let plain = changes(&toy).unwrap();
    for (name, value) in [
        ("diff.noprefix", "true"),
        ("diff.external", "/bin/false"),
        ("diff.renames", "copies"),
        ("diff.context", "0"),
        ("color.ui", "always"),
        ("format.noprefix", "true"),
        ("format.coverLetter", "true"),
        ("format.attach", "x"),
        ("format.subjectPrefix", "RFC"),
        ("format.suffix", ".txt"),
        ("format.thread", "deep"),
        ("core.fsmonitor", "/bin/false"),
    ] {
        toy.git(&["config", name, value]);
    }
    assert_eq!(changes(&toy).unwrap(), plain);
}

#[test]
fn merges_and_long_ranges_are_one_patch() {
    let toy = tagged();
    toy.git(&["checkout", "--quiet", "-b", "side"]);
    toy.write("net/ipv4/side.c", "int side;\n");
    toy.commit("side");
    toy.git(&["checkout", "--quiet", "main"]);
    toy.write("net/ipv4/main.c", "int main;\n");
    toy.commit("main");
    toy.git(&["merge", "--quiet", "--no-edit", "side"]);
    let merged = changes(&toy).unwrap();
    assert_eq!(names(&merged), ["0001-main.patch"]);
    assert_eq!(merged.notes, ["the 3 commits are one patch: merges among them"]);
    assert_eq!(applied(&toy, &merged), expected(&toy));
}

#[test]
fn what_is_no_source_is_left_out_with_a_note() {
    let toy = tagged();
    toy.write("net/ipv4/untracked.c", "int untracked;\n");
    toy.write("results/run/report.html", "of the last run");
    toy.write("vmcore", vec![0; usize::try_from(9_u64 << 20).unwrap()]);
    let inner = toy.root().join("tools/inner");
    fs::create_dir_all(&inner).unwrap();
    toy.git_in(&inner, &["init", "--quiet"]);
    fs::write(inner.join("file"), "").unwrap();
    toy.git_in(&inner, &["add", "."]);
    toy.git_in(&inner, &["commit", "--quiet", "-m", "inner"]);
    let found = changes(&toy).unwrap();
    assert_eq!(
        found.notes,
        ["left out: tools/inner/, a repository of its own", "left out: vmcore, untracked and 9 MiB"]
    );
    assert_eq!(found.uncommitted, 1);
}

#[test]
fn trees_that_cannot_be_compared_say_why() {
    let toy = tagged();
    let error = changes(&toy).unwrap_err();
    assert!(error.to_string().contains("no commit and no edit since v6.12.7"), "{error}");

    toy.git(&["checkout", "--quiet", "-b", "other"]);
    toy.write("net/ipv4/tcp.c", "int other;\n");
    toy.commit("other");
    toy.git(&["checkout", "--quiet", "main"]);
    toy.write("net/ipv4/tcp.c", "int mine;\n");
    toy.commit("mine");
    let tree = KernelTree::containing(toy.root()).unwrap().unwrap();
    let repository = Repository::of(&tree, &toy.supervisor).unwrap();
    let merge = repository.git(&["-c", "user.name=A", "-c", "user.email=a@b", "merge", "--quiet", "other"]);
    assert!(!repository.try_run(merge).unwrap().ended.is_success());
    let error = changes(&toy).unwrap_err();
    assert!(
        error.is_users() && error.to_string().contains("conflicts are not resolved yet: net/ipv4/tcp.c"),
        "{error}"
    );
}

#[test]
fn a_branch_is_named_so_that_a_folder_can_be() {
    assert_eq!(file_name("net/zero-copy"), "net-zero-copy");
    assert_eq!(file_name("../../etc"), "etc");
    assert_eq!(file_name("ä"), "branch");
    let toy = tagged();
    toy.write("net/ipv4/tcp.c", "");
    let commit = toy.commit("detached");
    toy.git(&["checkout", "--quiet", "--detach"]);
    assert_eq!(changes(&toy).unwrap().name, format!("commit-{}", &commit[..12]));
}

/// What happens to one file.
#[derive(Clone, Debug)]
enum Edit {
    Write(Vec<u8>),
    Delete,
    Rename,
    Executable(bool),
    Link,
    Commit,
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        3 => "([a-c ]{0,8}\r?\n){0,6}[a-c]{0,2}".prop_map(|text| Edit::Write(text.into_bytes())),
        2 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Edit::Write),
        2 => Just(Edit::Delete),
        2 => Just(Edit::Rename),
        2 => any::<bool>().prop_map(Edit::Executable),
        1 => Just(Edit::Link),
        2 => Just(Edit::Commit),
    ]
}

/// Names that need quoting, and names that hide others: `a` may be a file or a folder.
const FILES: &[&str] =
    &["net/ipv4/tcp.c", "net/a", "net/a/b", "Documentation/ü \"x\"\t.rst", "-x", "Kbuild.new"];

fn perform(toy: &Toy, file: &str, edit: &Edit) {
    let path = toy.root().join(file);
    // Whatever cannot be done in this order is not done; every state that is reached is a fair one.
    let _ = match edit {
        Edit::Write(content) => {
            fs::create_dir_all(path.parent().unwrap()).and_then(|()| fs::write(&path, content))
        }
        Edit::Delete => fs::remove_file(&path),
        Edit::Rename => fs::rename(&path, path.with_extension("renamed")),
        Edit::Executable(yes) => {
            fs::set_permissions(&path, fs::Permissions::from_mode(if *yes { 0o755 } else { 0o644 }))
        }
        Edit::Link => symlink("tcp.c", &path),
        Edit::Commit => {
            toy.commit("some commit");
            Ok(())
        }
    };
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 40, ..ProptestConfig::default() })]

    /// Whatever was done to a tree, the patches turn the merge-base into the very same one.
    #[test]
    fn the_patches_make_the_working_tree_of_the_base(
        edits in prop::collection::vec((prop::sample::select(FILES), edit()), 1..10)
    ) {
        let toy = tagged();
        for (file, edit) in &edits {
            perform(&toy, file, edit);
        }
        match changes(&toy) {
            Ok(changes) => prop_assert_eq!(applied(&toy, &changes), expected(&toy)),
            Err(TreeError::NothingChanged { .. }) => {
                let base = toy.git(&["rev-parse", "v6.12.7^{tree}"]);
                prop_assert_eq!(expected(&toy), base);
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
    }
}
