//! `assay exec` in a kernel tree: a toy tree, whose make puts a real kernel there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use tests::{Room, can_boot, said};

const MAKEFILE: &str = "VERSION = 6
PATCHLEVEL = 12
all:
\t@test ! -e broken
\t@cp $(KERNEL)/config .config
\t@cp $(KERNEL)/image vmlinux
\t@mkdir -p include/config && echo $(RELEASE) > include/config/kernel.release
olddefconfig:
\t@true
";

struct Tree {
    folder: tempfile::TempDir,
    /// A folder of the cache with a kernel that was built there.
    kernel: PathBuf,
    release: String,
}

impl Tree {
    fn new() -> Self {
        let built = Room::new()
            .sharing_command()
            .args(["kernel", "build", "debian-6.12", "--json"])
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", said(&built));
        let built: serde_json::Value = serde_json::from_slice(&built.stdout).unwrap();
        let image = Path::new(built["image"].as_str().unwrap());
        let tree = Self {
            folder: tempfile::tempdir().unwrap(),
            kernel: image.parent().unwrap().to_owned(),
            release: built["release"].as_str().unwrap().to_owned(),
        };
        for (name, text) in [
            ("Makefile", MAKEFILE),
            ("Kbuild", ""),
            ("MAINTAINERS", ""),
            ("scripts/config", ""),
            (".gitignore", "/vmlinux\n/.config\n/include/\n"),
        ] {
            tree.write(name, text);
        }
        tree.run("git", &["init", "--quiet"]);
        tree
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[expect(clippy::disallowed_methods, reason = "a test starts programs by itself")]
    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        std::process::Command::new(program)
            .args(arguments)
            .current_dir(self.folder.path())
            .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@example.org")])
            .envs([("GIT_COMMITTER_NAME", "A"), ("GIT_COMMITTER_EMAIL", "a@example.org")])
            .env("ASSAY", tests::assay())
            .env("KERNEL", &self.kernel)
            .env("RELEASE", &self.release)
            .output()
            .unwrap()
    }

    fn commit(&self, subject: &str) {
        self.run("git", &["add", "--all"]);
        let output = self.run("git", &["commit", "--quiet", "--message", subject]);
        assert!(output.status.success(), "{}", said(&output));
    }

    fn exec(&self, arguments: &[&str]) -> Output {
        let assay = tests::assay();
        self.run(assay.to_str().unwrap(), &[&["exec"], arguments].concat())
    }
}

#[test]
fn the_kernel_that_is_built_in_a_tree_boots() {
    if !can_boot() {
        return;
    }
    let tree = Tree::new();
    let output = tree.exec(&["--make", "--", "uname", "-r"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{}\n", tree.release));
    // Without make, from below, and with the kernel's own end as the answer.
    tree.write("net/README", "");
    let crash = |flags: &str| {
        let script =
            format!("cd net && exec \"$ASSAY\" exec {flags} -- sh -c 'echo c > /proc/sysrq-trigger'");
        tree.run("sh", &["-c", &script])
    };
    let output = crash("--bisect");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("sysrq triggered crash"), "{}", said(&output));
    assert_eq!(crash("--bisect --crash skip").status.code(), Some(125));
}

#[test]
fn git_bisect_finds_the_commit_and_steps_over_one_that_does_not_build() {
    if !can_boot() {
        return;
    }
    let tree = Tree::new();
    for (subject, value, broken) in [
        ("one", "1", false),
        ("two", "2", false),
        ("broken", "2", true),
        ("mended", "2", false),
        ("three", "3", false),
        ("four", "4", false),
    ] {
        tree.write("value", value);
        let path = tree.folder.path().join("broken");
        if broken {
            fs::write(path, "").unwrap();
        } else if path.exists() {
            fs::remove_file(path).unwrap();
        }
        tree.commit(subject);
    }
    tree.run("git", &["bisect", "start", "HEAD", "HEAD~5"]);
    let test = r#""$ASSAY" exec --make --bisect -- test "$(cat value)" -lt 3"#;
    let output = tree.run("git", &["bisect", "run", "sh", "-c", test]);
    assert!(output.status.success(), "{}", said(&output));
    let found = tree.run("git", &["show", "--no-patch", "--format=%s", "refs/bisect/bad"]);
    assert_eq!(String::from_utf8_lossy(&found.stdout), "three\n", "{}", said(&output));
    assert!(said(&output).contains("is the first bad commit"), "{}", said(&output));
}
