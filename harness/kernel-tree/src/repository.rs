//! The git repository of a kernel tree, asked and never changed.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use subprocess::{Output, Supervisor, Tool};

use crate::{
    KernelTree, TreeError,
    error::{io, tool},
};

/// Walking the history of a kernel, from a slow disk.
const DEADLINE: Duration = Duration::from_secs(600);

/// Settings that would run a program, or change the form of what is read here. The rest is as the developer has it: what
/// they have git ignore, for one.
const SETTINGS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.splitIndex=false",
    // The user named this folder; whose it is does not matter.
    "safe.directory=*",
    "color.ui=false",
    "diff.noprefix=false",
    "diff.mnemonicPrefix=false",
    "diff.context=3",
    "diff.interHunkContext=0",
    "format.useAutoBase=false",
    "log.showSignature=false",
];

/// A kernel tree that is the top of a git repository's working tree.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    root: PathBuf,
    supervisor: Supervisor,
}

impl Repository {
    /// The repository that `tree` is the top of.
    pub(crate) fn of(tree: &KernelTree, supervisor: &Supervisor) -> Result<Self, TreeError> {
        let repository = Self { root: tree.root().to_owned(), supervisor: supervisor.clone() };
        let none = || TreeError::NoRepository { tree: tree.root().to_owned() };
        let top = repository.ask(&["rev-parse", "--show-toplevel"])?.ok_or_else(none)?;
        let top = fs::canonicalize(&top).map_err(io("find", top))?;
        if top == repository.root { Ok(repository) } else { Err(none()) }
    }

    /// The top of the tree.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// git in this repository.
    pub(crate) fn git(&self, arguments: &[&str]) -> Tool {
        let mut git = Tool::new("git").arg("-C").arg(&self.root);
        for setting in SETTINGS {
            git = git.args(["-c", setting]);
        }
        git.args(arguments)
            .pass_env("HOME")
            .pass_env("XDG_CONFIG_HOME")
            // Else `git status` and its like write the index that they refreshed.
            .env("GIT_OPTIONAL_LOCKS", "0")
            .deadline(DEADLINE)
    }

    /// Runs git, which must succeed.
    pub(crate) fn run(&self, git: Tool, what: &str) -> Result<Vec<u8>, TreeError> {
        git.run(&self.supervisor)
            .map(|output| output.stdout)
            .map_err(tool(format!("{what} in {}", self.root.display())))
    }

    /// Runs git, whose exit status is an answer.
    pub(crate) fn try_run(&self, git: Tool) -> Result<Output, TreeError> {
        git.run_unchecked(&self.supervisor).map_err(tool(format!("run git in {}", self.root.display())))
    }

    /// The one line that git answers; nothing if it fails.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<Option<String>, TreeError> {
        let output = self.try_run(self.git(arguments))?;
        let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok((output.ended.is_success() && !line.is_empty()).then_some(line))
    }

    /// The commit that a ref stands for.
    pub(crate) fn commit(&self, reference: &str) -> Result<Option<String>, TreeError> {
        self.ask(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &format!("{reference}^{{commit}}"),
        ])
    }

    /// A commit in words: by the nearest tag, else shortened.
    pub(crate) fn describe(&self, commit: &str) -> Result<String, TreeError> {
        let described = self.ask(&["describe", "--tags", "--always", "--abbrev=12", commit])?;
        Ok(described.unwrap_or_else(|| commit.chars().take(12).collect()))
    }
}
