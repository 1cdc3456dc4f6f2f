//! What a working tree is compared with.

use std::fmt;

use crate::{TreeError, repository::Repository};

/// Branches that are upstream by their name.
const MAIN_BRANCHES: &[&str] = &["origin/master", "origin/main"];

/// The ref that a working tree's merge-base is taken with, and why that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Against {
    /// A branch, a tag or a commit.
    pub reference: String,
    /// Why.
    pub why: Why,
}

/// Why a working tree is compared with some ref.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The user said so.
    Asked,
    /// It is what the branch follows.
    Upstream,
    /// It is where origin is cloned from, or origin's main branch.
    Origin,
    /// There is no remote branch, and it is the newest tag in HEAD's history.
    NewestTag,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "as asked",
            Self::Upstream => "the branch's upstream",
            Self::Origin => "origin's main branch",
            Self::NewestTag => "the newest tag before HEAD",
        })
    }
}

/// The ref that was asked for; else the branch's upstream, else origin's main branch, else the newest tag that is an
/// ancestor of HEAD.
pub(crate) fn choose(repository: &Repository, asked: Option<&str>) -> Result<Against, TreeError> {
    if let Some(reference) = asked {
        return Ok(Against { reference: reference.to_owned(), why: Why::Asked });
    }
    let upstream = repository.ask(&["rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}"])?;
    if let Some(reference) = upstream {
        return Ok(Against { reference, why: Why::Upstream });
    }
    if let Some(reference) = repository.ask(&["rev-parse", "--abbrev-ref", "origin/HEAD"])?
        && repository.commit(&reference)?.is_some()
    {
        return Ok(Against { reference, why: Why::Origin });
    }
    for reference in MAIN_BRANCHES {
        if repository.commit(&format!("refs/remotes/{reference}"))?.is_some() {
            return Ok(Against { reference: (*reference).to_owned(), why: Why::Origin });
        }
    }
    match repository.ask(&["describe", "--tags", "--abbrev=0", "HEAD"])? {
        Some(reference) => Ok(Against { reference, why: Why::NewestTag }),
        None => Err(TreeError::NothingToCompareWith { tree: repository.root().to_owned() }),
    }
}

/// The commit at which HEAD and the ref part.
pub(crate) fn merge_base(repository: &Repository, against: &Against) -> Result<String, TreeError> {
    let (tree, reference) = (repository.root().to_owned(), against.reference.clone());
    let Some(commit) = repository.commit(&against.reference)? else {
        return Err(TreeError::NoSuchCommit { tree, reference });
    };
    match repository.ask(&["merge-base", "HEAD", &commit])? {
        Some(base) => Ok(base),
        None => {
            let shallow =
                repository.ask(&["rev-parse", "--is-shallow-repository"])?.as_deref() == Some("true");
            Err(TreeError::NoMergeBase { tree, reference, shallow })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KernelTree, toy::Toy};

    fn repository(toy: &Toy) -> Repository {
        Repository::of(&KernelTree::containing(toy.root()).unwrap().unwrap(), &toy.supervisor).unwrap()
    }

    fn chosen(toy: &Toy) -> (String, Why) {
        let against = choose(&repository(toy), None).unwrap();
        (against.reference, against.why)
    }

    #[test]
    fn the_nearest_idea_of_upstream_is_taken() {
        let toy = Toy::new();
        toy.init();
        let first = toy.git(&["rev-parse", "HEAD"]);
        toy.commit("second");
        let error = choose(&repository(&toy), None).unwrap_err();
        assert!(error.to_string().contains("--against REF"), "{error}");

        toy.git(&["tag", "v6.12.7", &first]);
        assert_eq!(chosen(&toy), ("v6.12.7".into(), Why::NewestTag));
        toy.git(&["update-ref", "refs/remotes/origin/main", &first]);
        assert_eq!(chosen(&toy), ("origin/main".into(), Why::Origin));
        toy.git(&["update-ref", "refs/remotes/origin/net-next", &first]);
        toy.git(&["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/net-next"]);
        assert_eq!(chosen(&toy), ("origin/net-next".into(), Why::Origin));
        toy.git(&["branch", "upstream", &first]);
        toy.git(&["branch", "--quiet", "--set-upstream-to=upstream"]);
        assert_eq!(chosen(&toy), ("upstream".into(), Why::Upstream));
        let asked = choose(&repository(&toy), Some("HEAD~1")).unwrap();
        assert_eq!(asked, Against { reference: "HEAD~1".into(), why: Why::Asked });
        assert_eq!(merge_base(&repository(&toy), &asked).unwrap(), first);
    }

    #[test]
    fn upstream_may_have_gone_on() {
        let toy = Toy::new();
        toy.init();
        let parting = toy.git(&["rev-parse", "HEAD"]);
        toy.git(&["checkout", "--quiet", "-b", "upstream"]);
        toy.commit("upstream goes on");
        toy.git(&["checkout", "--quiet", "-b", "mine", &parting]);
        toy.commit("mine");
        let against = Against { reference: "upstream".into(), why: Why::Asked };
        assert_eq!(merge_base(&repository(&toy), &against).unwrap(), parting);
        toy.git(&["checkout", "--quiet", "--orphan", "other"]);
        toy.commit("unrelated");
        let error = merge_base(&repository(&toy), &against).unwrap_err();
        assert!(matches!(error, TreeError::NoMergeBase { shallow: false, .. }), "{error}");
        let against = Against { reference: "nowhere".into(), why: Why::Asked };
        assert!(matches!(merge_base(&repository(&toy), &against), Err(TreeError::NoSuchCommit { .. })));
    }

    #[test]
    fn a_tree_without_a_repository_of_its_own_is_refused() {
        let toy = Toy::new();
        let tree = KernelTree::containing(toy.root()).unwrap().unwrap();
        assert!(matches!(Repository::of(&tree, &toy.supervisor), Err(TreeError::NoRepository { .. })));
        // A repository around it has other paths in its patches.
        toy.git_in(toy.room(), &["init", "--quiet"]);
        assert!(matches!(Repository::of(&tree, &toy.supervisor), Err(TreeError::NoRepository { .. })));
    }
}
