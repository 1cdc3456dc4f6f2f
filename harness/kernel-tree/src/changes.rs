//! What a working tree changes, as a base and patches on top of it.

use std::{fs, path::Path};

use subprocess::{Supervisor, Tool, ToolError};

use crate::{
    Against, KernelTree, TreeError, Version,
    against::{choose, merge_base},
    error::io,
    repository::Repository,
    snapshot::Snapshot,
};

/// With more commits than these, their names would say less than they cost: each is applied by itself.
const MOST_COMMITS: usize = 64;
/// Largest patch in bytes. What scenarios take as well.
pub(crate) const LARGEST: usize = 64 << 20;
/// The name of a last patch on top of commits.
const UNCOMMITTED: &str = "uncommitted-changes";

/// Patches that any git can apply, whatever the developer's settings are. A renamed file is removed and made: what is compiled
/// anew is then told by names alone.
pub(crate) const FORM: &[&str] = &[
    "--binary",
    "--full-index",
    "--no-renames",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    // `format.noprefix` counts as set whatever its value is, so that it cannot be unset by another.
    "--src-prefix=a/",
    "--dst-prefix=b/",
];

/// Begins the changes of each file.
const DIFF: &[u8] = b"\ndiff --git ";

/// A working tree as it differs from upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The merge-base: a commit, in full.
    pub base: String,
    /// The same by the nearest tag: `v6.12`, `v6.12-3-g0123456789ab`.
    pub described: String,
    /// The kernel version of the merge-base.
    pub version: Version,
    /// What the merge-base is with.
    pub against: Against,
    /// The branch's name as a file name, or that of HEAD's commit.
    pub name: String,
    /// The names of files, `0001-subject.patch` and on, and what is in them. Applied in this order to `base` they give the
    /// working tree.
    pub patches: Vec<(String, Vec<u8>)>,
    /// Commits since the merge-base.
    pub commits: usize,
    /// Files that differ from HEAD, untracked ones included.
    pub uncommitted: usize,
    /// What was left out, and what was put together.
    pub notes: Vec<String>,
}

impl Changes {
    /// What was changed in `tree` since its merge-base with `asked`, or with its upstream as far as that can be told. Untracked
    /// files below `ours`, an absolute path, are the harness' own and no changes. Nothing in the tree is written to.
    ///
    /// # Errors
    /// When there is nothing to compare with, nothing that differs, or a conflict that is not resolved.
    pub fn of(
        tree: &KernelTree,
        asked: Option<&str>,
        ours: &Path,
        supervisor: &Supervisor,
    ) -> Result<Self, TreeError> {
        let repository = Repository::of(tree, supervisor)?;
        let against = choose(&repository, asked)?;
        let base = merge_base(&repository, &against)?;
        let described = repository.describe(&base)?;
        let snapshot = Snapshot::take(&repository, ours)?;
        let git = Range { repository: &repository, snapshot: &snapshot, base: &base, described: &described };
        if git.tree_of(&base)? == snapshot.tree {
            let (base, reference) = (described, against.reference);
            return Err(TreeError::NothingChanged { tree: tree.root().to_owned(), base, reference });
        }
        let commits = git.count(&[])?;
        let uncommitted = git.files_between("HEAD", &snapshot.tree)?;
        let name = git.name()?;
        let mut notes = snapshot.notes.clone();
        let linear = git.count(&["--merges"])? == 0;
        let mut patches = Vec::new();
        if (1..=MOST_COMMITS).contains(&commits) && linear {
            patches = git.commits()?;
            if uncommitted > 0 {
                let file = format!("{:04}-{UNCOMMITTED}.patch", commits + 1);
                patches.push((file, git.difference("HEAD", "uncommitted changes")?));
            }
        } else {
            if commits > 0 {
                let why = if linear { "more than can be told apart" } else { "merges among them" };
                notes.push(format!("the {commits} commits are one patch: {why}"));
            }
            let subject = if commits > 0 { name.as_str() } else { "uncommitted changes" };
            let file = if commits > 0 { name.as_str() } else { UNCOMMITTED };
            patches.push((format!("0001-{file}.patch"), git.difference(&base, subject)?));
        }
        let version = git.version(tree)?;
        Ok(Self { described, version, against, name, patches, commits, uncommitted, notes, base })
    }

    /// The changes in a few words: `2 commits and 3 uncommitted files`.
    #[must_use]
    pub fn summary(&self) -> String {
        let counted =
            |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
        let commits = counted(self.commits, "commit", "commits");
        let uncommitted = counted(self.uncommitted, "uncommitted file", "uncommitted files");
        match (self.commits, self.uncommitted) {
            (_, 0) => commits,
            (0, _) => uncommitted,
            _ => format!("{commits} and {uncommitted}"),
        }
    }
}

/// From the merge-base to the working tree.
struct Range<'a> {
    repository: &'a Repository,
    snapshot: &'a Snapshot,
    base: &'a str,
    described: &'a str,
}

impl Range<'_> {
    fn git(&self, arguments: &[&str]) -> Tool {
        self.snapshot.with(self.repository.git(arguments))
    }

    fn text(&self, git: Tool, what: &str) -> Result<String, TreeError> {
        let output = self.repository.run(git, what)?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    fn tree_of(&self, commit: &str) -> Result<String, TreeError> {
        self.text(self.git(&["rev-parse", "--verify", &format!("{commit}^{{tree}}")]), "read a commit")
    }

    /// How many commits there are.
    fn count(&self, which: &[&str]) -> Result<usize, TreeError> {
        let range = format!("{}..HEAD", self.base);
        let arguments = [&["rev-list", "--count"], which, &[&range]].concat();
        Ok(self.text(self.git(&arguments), "count commits")?.parse().unwrap_or(0))
    }

    fn files_between(&self, from: &str, to: &str) -> Result<usize, TreeError> {
        let git = self.git(&["diff-tree", "-r", "--no-renames", "--name-only", "-z", from, to]);
        let listed = self.repository.run(git, "compare trees")?;
        Ok(listed.split(|byte| *byte == 0).filter(|name| !name.is_empty()).count())
    }

    /// The branch's name, or that of the commit where there is no branch.
    fn name(&self) -> Result<String, TreeError> {
        let branch = self.repository.ask(&["symbolic-ref", "--short", "--quiet", "HEAD"])?;
        let name = match branch {
            Some(branch) => branch,
            None => format!(
                "commit-{}",
                self.repository.ask(&["rev-parse", "--short=12", "HEAD"])?.unwrap_or_default()
            ),
        };
        Ok(file_name(&name))
    }

    /// A patch for each commit that changes anything, oldest first.
    fn commits(&self) -> Result<Vec<(String, Vec<u8>)>, TreeError> {
        let folder = self.snapshot.scratch().join("patches");
        let range = format!("{}..HEAD", self.base);
        let git = self
            .git(&["format-patch", "--quiet", "--no-signature", "--no-cover-letter", "--no-attach"])
            .args(["--no-thread", "--no-to", "--no-cc", "--no-notes", "--subject-prefix=PATCH"])
            .args(["--suffix=.patch", "--start-number=1"])
            .args(FORM)
            .arg("--output-directory")
            .arg(&folder)
            .arg(&range);
        self.repository.run(git, "write commits as patches")?;
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).map_err(io("list", &folder))? {
            names.push(entry.map_err(io("list", &folder))?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        let (mut patches, mut total) = (Vec::new(), 0);
        for name in names {
            let path = folder.join(&name);
            let text = fs::read(&path).map_err(io("read", path))?;
            total += text.len();
            if total > LARGEST {
                return Err(self.too_much());
            }
            // git apply refuses a patch that is only a message.
            if text.windows(DIFF.len()).any(|window| window == DIFF) {
                patches.push((name, text));
            }
        }
        Ok(patches)
    }

    /// From a commit to the working tree, as one patch with a subject.
    fn difference(&self, from: &str, subject: &str) -> Result<Vec<u8>, TreeError> {
        let git = self
            .git(&["diff-tree", "-r", "--patch"])
            .args(FORM)
            .args([from, &self.snapshot.tree])
            .max_output(LARGEST);
        let difference = match self.repository.run(git, "compare trees") {
            Err(TreeError::Tool { source, .. }) if matches!(*source, ToolError::TooMuchOutput { .. }) => {
                return Err(self.too_much());
            }
            other => other?,
        };
        let mut patch = format!("Subject: [PATCH] {subject}\n\n---\n").into_bytes();
        patch.extend(difference);
        Ok(patch)
    }

    fn too_much(&self) -> TreeError {
        let (tree, base) = (self.repository.root().to_owned(), self.described.to_owned());
        TreeError::TooMuch { tree, base, limit: LARGEST }
    }

    fn version(&self, tree: &KernelTree) -> Result<Version, TreeError> {
        let text = self
            .text(self.git(&["cat-file", "blob", &format!("{}:Makefile", self.base)]), "read the Makefile")?;
        let none =
            || TreeError::NoVersion { tree: tree.root().to_owned(), commit: self.described.to_owned() };
        Version::of_makefile(&text).ok_or_else(none)
    }
}

/// A branch's name as the name of a file: `net/zero-copy` becomes `net-zero-copy`.
fn file_name(branch: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = branch.chars().map(plain).take(64).collect();
    let name = name.trim_matches(['.', '-']);
    if name.is_empty() { "branch".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests;
