//! What these tests have in common.

#![expect(clippy::unwrap_used, reason = "allowed in tests, which helpers of tests are not recognised as")]

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use series::{Input, Series};
use subprocess::{Supervisor, Tool};

pub(crate) fn supervisor() -> Supervisor {
    Supervisor::for_tests()
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../tests/fixtures/series", name].iter().collect()
}

/// The series that a user's words lead to, or the problems with it.
pub(crate) fn read(text: &str, git: Option<&Path>, supervisor: &Supervisor) -> Result<Series, String> {
    let input = Input::look(text, git).map_err(|error| error.to_string())?;
    input.read(supervisor).map_err(|error| error.to_string())
}

/// A repository in a folder of its own.
pub(crate) struct Repository {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) supervisor: Supervisor,
}

impl Repository {
    pub(crate) fn new() -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap(), supervisor: supervisor() };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let identity = ["user.name=Jörg Čapek", "user.email=joerg@example.org", "commit.gpgSign=false"];
        let output = Tool::new("git")
            .args(identity.iter().flat_map(|option| ["-c", option]))
            .args(arguments)
            .in_dir(self.folder.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_DATE", "2026-11-20T10:00:00+0100")
            .env("GIT_COMMITTER_DATE", "2026-11-20T10:00:00+0100")
            .deadline(Duration::from_secs(60))
            .run(&self.supervisor)
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn write(&self, name: &str, contents: &[u8]) {
        std::fs::write(self.folder.path().join(name), contents).unwrap();
    }

    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub(crate) fn read(&self, range: &str) -> Result<Series, String> {
        read(range, Some(self.folder.path()), &self.supervisor)
    }
}
