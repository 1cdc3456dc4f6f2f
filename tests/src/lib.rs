//! What end-to-end tests share: the built `assay`, and folders that go away with the test.
#![expect(
    clippy::disallowed_methods,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a test starts programs by itself and ends at what it did not expect"
)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The project's top folder.
#[must_use]
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The built `assay`: `ASSAY_BIN`, or the one beside the test in cargo's target folder.
#[must_use]
pub fn assay() -> PathBuf {
    if let Some(path) = std::env::var_os("ASSAY_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap();
    let built = test.ancestors().map(|folder| folder.join("assay")).find(|path| path.is_file());
    built.expect("assay is built: cargo build -p cli")
}

/// Folders for one test: results, and a cache where the test must not share one.
#[derive(Debug)]
pub struct Room {
    folder: tempfile::TempDir,
}

impl Room {
    /// Empty folders.
    #[must_use]
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Where runs go.
    #[must_use]
    pub fn results(&self) -> PathBuf {
        self.folder.path().join("results")
    }

    /// `assay` with a cache of its own.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = self.sharing_command();
        command.arg("--cache").arg(self.folder.path().join("cache"));
        command
    }

    /// `assay` with the machine's cache, in which kernels are that take long to build.
    #[must_use]
    pub fn sharing_command(&self) -> Command {
        let mut command = Command::new(assay());
        command.current_dir(top()).arg("--results").arg(self.results()).stdin(std::process::Stdio::null());
        command
    }

    /// The only run in the results.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        let runs: Vec<_> =
            std::fs::read_dir(self.results()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.into_iter().next().unwrap()
    }

    /// The report of the only run, as JSON.
    #[must_use]
    pub fn report(&self) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.run().join("report.json")).unwrap()).unwrap()
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::new()
    }
}

/// Both streams and the status, for a message.
#[must_use]
pub fn said(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Whether real guests can boot here: the kernels are built and QEMU is there. Where they are required, they are.
#[must_use]
pub fn can_boot() -> bool {
    allowed("ASSAY_TEST_BOOT", "boots real guests")
}

/// Whether tests of many minutes are asked for.
#[must_use]
pub fn long_tests() -> bool {
    let asked = std::env::var_os("ASSAY_TEST_LONG").is_some();
    if !asked {
        eprintln!("SKIPPED: takes many minutes: cargo xtask test --all");
    }
    asked
}

fn allowed(variable: &str, what: &str) -> bool {
    let given = std::env::var_os(variable).is_some();
    if !given {
        assert!(std::env::var_os("ASSAY_TEST_REQUIRE").is_none(), "a required test would be skipped");
        eprintln!("SKIPPED: {what}, and {variable} is not set: cargo xtask test");
    }
    given
}

/// A process that cannot be mistaken for a later one with the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    id: u32,
    /// In clock ticks after boot: field 22 of `/proc/PID/stat`.
    started: String,
}

impl Process {
    fn with_id(id: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The second field is the name in parentheses, which may hold anything.
        let fields = stat.rsplit_once(") ")?.1;
        // A zombie does nothing any more.
        let lives = !fields.starts_with('Z');
        lives.then(|| Self { id, started: fields.split(' ').nth(19).unwrap_or_default().to_owned() })
    }

    /// Whether it still runs.
    #[must_use]
    pub fn lives(&self) -> bool {
        Self::with_id(self.id).as_ref() == Some(self)
    }
}

/// Every living descendant of a process.
#[must_use]
pub fn descendants(id: u32) -> Vec<Process> {
    let mut found = Vec::new();
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    for thread in threads {
        let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
            found.extend(Process::with_id(child));
            found.extend(descendants(child));
        }
    }
    found
}
