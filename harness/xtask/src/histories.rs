//! `cargo xtask histories`: git histories of a real kernel with something bad in them, for `assay bisect` to find unattended.
//!
//! The bad commit is patches/planted-slowdown. All others add a function that is built, linked, and never called, each to another file: real changes of what is booted, which do no work.

mod tree;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use self::tree::Tree;
use crate::{
    run::{self, Run},
    setup,
};

/// Which search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Which {
    /// 64 commits with a merge, a revert, one that does not build and one that panics, by exact counts.
    Exact,
    /// 16 commits with a large slowdown, by the clock.
    Timed,
    /// A series of six patches, by exact counts.
    Series,
}

/// What a commit of a history does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Adds a function that nobody calls.
    Harmless,
    /// The same, and taken back later.
    Mistaken,
    /// Takes that back.
    Revert,
    /// Leaves the main line here; what follows is on a topic branch.
    Branch,
    /// Back to the main line.
    Main,
    /// Merges the topic branch.
    Merge,
    /// Does not build, until the next mends it.
    Broken,
    /// Panics while it boots, until the next mends it.
    Panics,
    /// Builds, or boots, again.
    Mended,
    /// What is looked for: so many loops for each KiB that TCP receives.
    Slower(u32),
}

use Change::{Branch, Broken, Harmless, Main, Mended, Merge, Mistaken, Panics, Revert, Slower};

/// Loops of which exact counts tell a hundred times less, and those of which the clock tells some at a glance.
const FEW: u32 = 200;
const MANY: u32 = 4000;

/// A history as runs of changes. In the exact one, what does not build or boot is where a search that halves comes by: the merge is 28th of
/// 64, the culprit 42nd, and the 45th panics.
const fn history(which: Which) -> &'static [(usize, Change)] {
    match which {
        Which::Exact => &[
            (12, Harmless),
            (1, Branch),
            (6, Harmless),
            (1, Main),
            (8, Harmless),
            (1, Broken),
            (1, Merge),
            (1, Mended),
            (10, Harmless),
            (1, Mistaken),
            (1, Harmless),
            (1, Slower(FEW)),
            (2, Harmless),
            (1, Panics),
            (1, Mended),
            (7, Harmless),
            (1, Revert),
            (10, Harmless),
        ],
        Which::Timed => &[(10, Harmless), (1, Slower(MANY)), (5, Harmless)],
        Which::Series => &[(3, Harmless), (1, Slower(FEW)), (2, Harmless)],
    }
}

impl Which {
    fn branch(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Timed => "timed",
            Self::Series => "series",
        }
    }

    fn scenario(self) -> &'static str {
        match self {
            Self::Exact | Self::Series => "scenarios/culprit-exact.yaml",
            Self::Timed => "scenarios/culprit-timed.yaml",
        }
    }
}

/// Makes the histories in `folder`, unless they are there, and looks for what is bad in those that are asked for, all by default.
pub(crate) fn histories(source: &Path, folder: &Path, only: &[Which], assay: Option<PathBuf>) -> Result<()> {
    let assay = match assay {
        Some(assay) => assay,
        None => {
            setup::everything()?;
            run::assay()
        }
    };
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let folder = folder.canonicalize().with_context(|| format!("resolving {}", folder.display()))?;
    let tree = Tree::of(source, folder.join("linux"))?;
    let mut failed = Vec::new();
    for which in Which::value_variants().iter().filter(|which| only.is_empty() || only.contains(which)) {
        let culprit = make(&tree, *which)?;
        println!("{}: the culprit is {culprit}", which.branch());
        if !find(&assay, &tree, *which, &culprit)? {
            failed.push(which.branch());
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("not found in: {}", failed.join(", ")) }
}

/// Makes one history on a branch of its own; gives its culprit's subject.
fn make(tree: &Tree, which: Which) -> Result<String> {
    let subject = "tcp: Account for payload that was received";
    if tree.has(which.branch())? {
        return Ok(subject.to_owned());
    }
    tree.git(&["checkout", "--quiet", "-B", "making", "good"])?;
    let mut number = 0;
    for (times, change) in history(which) {
        for _ in 0..*times {
            number += 1;
            match change {
                Harmless => tree.add_function(number)?,
                Mistaken => {
                    tree.add_function(number)?;
                    tree.git(&["tag", "--force", "mistaken"])?;
                }
                Revert => tree.git(&["revert", "--no-edit", "mistaken"])?,
                Branch => tree.git(&["checkout", "--quiet", "-B", "topic"])?,
                Main => tree.git(&["checkout", "--quiet", "making"])?,
                Merge => tree.git(&["merge", "--quiet", "--no-ff", "-m", "Merge branch 'topic'", "topic"])?,
                Broken => {
                    tree.append("net/ipv4/tcp_cong.c", tree::BROKEN, "tcp: Ask for a sum that there is not")?;
                    tree.git(&["tag", "--force", "bad"])?;
                }
                Panics => {
                    tree.append("net/core/dev.c", tree::PANICS, "net: Refuse to boot")?;
                    tree.git(&["tag", "--force", "bad"])?;
                }
                Mended => tree.git(&["revert", "--no-edit", "bad"])?,
                Slower(loops) => tree.slow_down(*loops, subject)?,
            }
        }
    }
    tree.git(&["branch", which.branch()])?;
    Ok(subject.to_owned())
}

/// Runs `assay bisect`, and says whether it named the culprit alone.
fn find(assay: &Path, tree: &Tree, which: Which, culprit: &str) -> Result<bool> {
    let began = Instant::now();
    let bisect = Run::new(assay).args(["bisect", which.scenario()]);
    let bisect = match which {
        Which::Exact | Which::Timed => bisect
            .args(["--tree"])
            .args([tree.path()])
            .args(["--range", &format!("good..{}", which.branch())]),
        Which::Series => bisect.args(["--git"]).args([tree.path()]).args(["--series", "good..series"]),
    };
    let (code, told) = bisect.told()?;
    println!("{told}");
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    let mut verdict = told.lines().take_while(|line| !line.is_empty());
    let is_right = code == Some(0)
        && verdict.next().is_some_and(|line| line.ends_with("it is the culprit:"))
        && verdict.next().is_some_and(|line| line.ends_with(culprit))
        && verdict.next().is_none();
    println!(
        "{}: {} after {minutes:.0} minutes",
        which.branch(),
        if is_right { "found" } else { "NOT FOUND" }
    );
    Ok(is_right)
}
