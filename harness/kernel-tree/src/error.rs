//! What keeps a kernel tree from being used.

use std::{io, path::PathBuf};

/// A user's or a host's error. Nothing here is a finding about a kernel.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// There is no kernel to boot yet.
    #[error(
        "no kernel is built in {folder}: {missing} is not there; build it, or name another with --build DIR or --base NAME:\n  {command}"
    )]
    NotBuilt {
        /// The folder that kbuild writes to.
        folder: PathBuf,
        /// The file that was looked for.
        missing: String,
        /// What builds it.
        command: String,
    },
    /// A folder that was named is no build's.
    #[error("{folder} is no build folder of a kernel: {reason}")]
    NoBuildFolder {
        /// As it was named.
        folder: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration lacks what a guest needs: several lines, all that is missing and what sets it.
    #[error("{0}")]
    Unsuitable(#[from] crate::needs::Unsuitable),
    /// The kernel tree is in no git repository.
    #[error(
        "{tree} is in no git repository, so what was changed in it cannot be told (remedy: `git init` and a commit of the unchanged tree, or --no-tree)"
    )]
    NoRepository {
        /// The kernel tree.
        tree: PathBuf,
    },
    /// There is nothing to compare with.
    #[error(
        "{tree} has no upstream branch, no origin and no tag to be compared with (remedy: --against REF)"
    )]
    NothingToCompareWith {
        /// The kernel tree.
        tree: PathBuf,
    },
    /// A ref does not exist.
    #[error("{tree} has no commit `{reference}`")]
    NoSuchCommit {
        /// The kernel tree.
        tree: PathBuf,
        /// As it was asked for.
        reference: String,
    },
    /// A range with nothing in it.
    #[error("{tree}: {range} holds no commit that leads to its end (is the first one the good one?)")]
    EmptyRange {
        /// The kernel tree.
        tree: PathBuf,
        /// Both ends, in full.
        range: String,
    },
    /// Two histories do not meet.
    #[error("{tree}: HEAD and {reference} have no common commit{}", if *shallow { " (the clone is shallow; remedy: git fetch --unshallow, or --against a commit that is there)" } else { "" })]
    NoMergeBase {
        /// The kernel tree.
        tree: PathBuf,
        /// What was compared with.
        reference: String,
        /// Whether history is cut off, which may be the reason.
        shallow: bool,
    },
    /// The working tree is what it is compared with.
    #[error(
        "{tree}: nothing is changed: no commit and no edit since {base}, the merge-base with {reference} (remedy: --against an older commit)"
    )]
    NothingChanged {
        /// The kernel tree.
        tree: PathBuf,
        /// The commit, described.
        base: String,
        /// What was compared with.
        reference: String,
    },
    /// A merge, rebase or cherry-pick waits for the user.
    #[error("{tree}: conflicts are not resolved yet: {paths}")]
    Unmerged {
        /// The kernel tree.
        tree: PathBuf,
        /// The first few files.
        paths: String,
    },
    /// The changes are larger than any patch is.
    #[error("{tree}: the changes since {base} are more than {} MiB of patch (remedy: --against a nearer commit)", limit >> 20)]
    TooMuch {
        /// The kernel tree.
        tree: PathBuf,
        /// The commit, described.
        base: String,
        /// In bytes.
        limit: usize,
    },
    /// The Makefile of a commit has no version.
    #[error("{tree}: the Makefile of {commit} has no VERSION and PATCHLEVEL")]
    NoVersion {
        /// The kernel tree.
        tree: PathBuf,
        /// The commit.
        commit: String,
    },
    /// make failed.
    #[error("make failed in {folder}: {ended}")]
    MakeFailed {
        /// The folder that kbuild writes to.
        folder: PathBuf,
        /// How make ended.
        ended: String,
    },
    /// The file system refused something.
    #[error("cannot {what} {path}")]
    Io {
        /// The verb: `read`, `find`.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A host command failed.
    #[error("cannot {what}")]
    Tool {
        /// What it was run for, as a phrase.
        what: String,
        /// The command and how it ended.
        source: Box<subprocess::ToolError>,
    },
}

impl TreeError {
    /// Whether it is the user's to mend (exit code 2) and not the host's (69).
    #[must_use]
    pub fn is_users(&self) -> bool {
        !matches!(self, Self::Io { .. } | Self::Tool { .. })
    }
}

/// Says what was done to which path.
pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> TreeError {
    let path = path.into();
    move |source| TreeError::Io { what, path, source }
}

/// Says what a tool was run for.
pub(crate) fn tool(what: impl Into<String>) -> impl FnOnce(subprocess::ToolError) -> TreeError {
    let what = what.into();
    move |source| TreeError::Tool { what, source: Box::new(source) }
}
