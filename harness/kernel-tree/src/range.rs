//! A range of commits, with all its merges, to be searched.

use std::collections::BTreeMap;

use subprocess::{Supervisor, ToolError};

use crate::{
    KernelTree, TreeError, Version,
    changes::{FORM, LARGEST},
    repository::Repository,
};

/// Between fields, and before each commit: bytes that stand in no subject.
const FIELD: char = '\u{1f}';
const COMMIT: char = '\u{1e}';

/// A good commit, a bad one, and all that lies between.
#[derive(Debug)]
pub struct Range {
    repository: Repository,
    /// The good end: a commit, in full.
    pub good: String,
    /// The same by the nearest tag.
    pub described: String,
    /// The kernel version of the good end.
    pub version: Version,
    /// What the bad end has and the good one has not, each after its parents; the last one is the bad end.
    pub commits: Vec<RangeCommit>,
}

/// A commit of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeCommit {
    /// In full.
    pub hash: String,
    /// The first line of its message.
    pub subject: String,
    /// Its parents, counted from 1 in the order of the range; 0 is any commit outside.
    pub parents: Vec<usize>,
    /// The tree that it stands for: equal ones are the same source.
    pub tree: String,
    /// What it touched; of merges nothing.
    pub files: Vec<String>,
}

impl Range {
    /// The range `good..bad` of a repository whose working tree `tree` is.
    ///
    /// # Errors
    /// When a commit does not exist, or the bad one has nothing that the good one lacks.
    pub fn of(tree: &KernelTree, good: &str, bad: &str, supervisor: &Supervisor) -> Result<Self, TreeError> {
        let repository = Repository::of(tree, supervisor)?;
        let commit = |reference: &str| -> Result<String, TreeError> {
            repository.commit(reference)?.ok_or_else(|| TreeError::NoSuchCommit {
                tree: tree.root().to_owned(),
                reference: reference.to_owned(),
            })
        };
        let (good, bad) = (commit(good)?, commit(bad)?);
        let format = format!("--format={COMMIT}%H{FIELD}%P{FIELD}%T{FIELD}%s");
        let range = format!("{good}..{bad}");
        let log = repository.git(&["log", "--topo-order", "--reverse", "--name-only", &format, &range, "--"]);
        let log = repository.run(log, "list the commits of a range")?;
        let commits = parse(&String::from_utf8_lossy(&log));
        if commits.last().is_none_or(|last| last.hash != bad) {
            return Err(TreeError::EmptyRange { tree: tree.root().to_owned(), range });
        }
        let described = repository.describe(&good)?;
        let makefile = repository.git(&["cat-file", "blob", &format!("{good}:Makefile")]);
        let makefile = repository.run(makefile, "read the Makefile")?;
        let version = Version::of_makefile(&String::from_utf8_lossy(&makefile)).ok_or_else(|| {
            TreeError::NoVersion { tree: tree.root().to_owned(), commit: described.clone() }
        })?;
        Ok(Self { repository, good, described, version, commits })
    }

    /// What leads from the good end to a commit, as one patch that depends on their source alone; nothing if they are the same source.
    ///
    /// # Errors
    /// When git fails, or the patch is larger than any that is taken.
    pub fn patch(&self, commit: &RangeCommit) -> Result<Option<Vec<u8>>, TreeError> {
        let git = self.repository.git(&["diff-tree", "-r", "--patch"]).args(FORM);
        let git = git.args([&self.good, &commit.tree]).max_output(LARGEST);
        match self.repository.run(git, "compare trees") {
            Err(TreeError::Tool { source, .. }) if matches!(*source, ToolError::TooMuchOutput { .. }) => {
                let (tree, base) = (self.repository.root().to_owned(), self.described.clone());
                Err(TreeError::TooMuch { tree, base, limit: LARGEST })
            }
            Err(other) => Err(other),
            Ok(difference) if difference.is_empty() => Ok(None),
            Ok(difference) => {
                let mut patch =
                    format!("Subject: [PATCH] all since {}\n\n---\n", self.described).into_bytes();
                patch.extend(difference);
                Ok(Some(patch))
            }
        }
    }
}

fn parse(log: &str) -> Vec<RangeCommit> {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut commits = Vec::new();
    for text in log.split(COMMIT).skip(1) {
        let (head, files) = text.split_once('\n').unwrap_or((text, ""));
        let mut fields = head.splitn(4, FIELD);
        let mut field = || fields.next().unwrap_or_default();
        let (hash, parents, tree, subject) = (field(), field(), field(), field());
        let mut parents: Vec<usize> =
            parents.split(' ').map(|parent| numbers.get(parent).copied().unwrap_or(0)).collect();
        parents.sort_unstable();
        parents.dedup();
        numbers.insert(hash, commits.len() + 1);
        commits.push(RangeCommit {
            hash: hash.to_owned(),
            subject: subject.to_owned(),
            parents,
            tree: tree.to_owned(),
            files: files.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect(),
        });
    }
    commits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_numbered_and_parents_outside_are_none() {
        let log = "\u{1e}aa\u{1f}xx\u{1f}t1\u{1f}net: a\u{1f}b\n\nnet/a.c\nnet/b.c\n\u{1e}bb\u{1f}xx\u{1f}t2\u{1f}b\n\nDocumentation/b.rst\n\u{1e}cc\u{1f}aa bb\u{1f}t3\u{1f}Merge\n";
        let commits = parse(log);
        assert_eq!(
            commits.iter().map(|commit| &commit.parents[..]).collect::<Vec<_>>(),
            [&[0][..], &[0], &[1, 2]]
        );
        assert_eq!((commits[0].subject.as_str(), commits[0].files.len()), ("net: a\u{1f}b", 2));
        assert!(commits[2].files.is_empty() && commits[2].tree == "t3");
    }
}
