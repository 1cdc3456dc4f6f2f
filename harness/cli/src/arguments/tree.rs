//! Running a scenario on the kernel tree that the user stands in.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The working tree as the candidate, and its merge-base with upstream as the base.
#[derive(Debug, Default, Args)]
pub(crate) struct TreeFlags {
    /// Compare a kernel's working tree, uncommitted changes included, with its merge-base with upstream [default: the tree
    /// that the current folder is in, unless the scenario has a series of its own].
    #[expect(clippy::option_option, reason = "clap's form of an option with an optional value")]
    #[arg(
        long,
        value_name = "DIR",
        num_args = 0..=1,
        require_equals = true,
        conflicts_with_all = ["base", "series"]
    )]
    pub(crate) tree: Option<Option<PathBuf>>,
    /// Run the scenario as it is, in a kernel tree as well.
    #[arg(long, conflicts_with = "tree")]
    pub(crate) no_tree: bool,
    /// What the working tree's merge-base is taken with [default: the branch's upstream, else origin's main branch, else the
    /// newest tag before HEAD].
    #[arg(long, value_name = "REF", conflicts_with_all = ["no_tree", "base", "series"])]
    pub(crate) against: Option<String>,
    /// How the tree's kernels are configured.
    #[arg(long, value_enum, default_value_t = TreeConfig::Lab, conflicts_with_all = ["no_tree", "base", "series"])]
    pub(crate) config: TreeConfig,
}

/// Where the configuration of a tree's kernels comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TreeConfig {
    /// As the base in `kernels/` whose version is nearest.
    #[default]
    Lab,
    /// The tree's own `.config`, and what Assay needs on top.
    Tree,
}

impl TreeFlags {
    /// Whether the user wants the tree, or left it to the current folder.
    pub(crate) fn is_asked(&self) -> bool {
        self.tree.is_some() || self.against.is_some() || self.config == TreeConfig::Tree
    }
}
