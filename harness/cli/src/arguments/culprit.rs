//! Flags of `assay bisect`.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use super::{SeriesFlags, TreeConfig};

#[derive(Debug, Args)]
pub(crate) struct Bisect {
    /// The scenario that tells good from bad: a file, or the name of one in the project's `scenarios/` [default: net].
    #[arg(required_unless_present_any = ["resume", "series", "range"])]
    pub(crate) scenario: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) series: SeriesFlags,
    /// The commits of a kernel tree after GOOD and up to BAD.
    #[arg(long, value_name = "GOOD..BAD", conflicts_with = "series", value_parser = range)]
    pub(crate) range: Option<(String, String)>,
    /// Options of the kernel's configuration: a fragment, or a whole `.config`, of which those are searched that differ from the kernel's without them. The good end
    /// is the arm without them. May be given several times.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["series", "range", "cmdline"])]
    pub(crate) options: Vec<PathBuf>,
    /// One more option, as in a scenario's `config`: `LKDTM=y`, `NR_CPUS=8`. May be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = super::config_option, conflicts_with_all = ["series", "range", "cmdline"])]
    pub(crate) option: Vec<plan::ConfigOption>,
    /// Words of the kernel's command line, in one argument; a word may have spaces within double quotes. The good end is the arm without them. Nothing is built between them.
    #[arg(long, value_name = "WORDS", conflicts_with_all = ["series", "range"])]
    pub(crate) cmdline: Option<String>,
    /// Look for the smallest set of patches, options or words that does it together, in a search for each of them.
    #[arg(long)]
    pub(crate) subset: bool,
    /// The tree [default: the one that the current folder is in].
    #[arg(long, value_name = "DIR", requires = "range")]
    pub(crate) tree: Option<PathBuf>,
    /// How the tree's kernels are configured.
    #[arg(long, value_enum, default_value_t = TreeConfig::Lab, requires = "range")]
    pub(crate) config: TreeConfig,
    /// The base of the series, in place of the scenario's: the name of a file in `kernels/`.
    #[arg(long, conflicts_with = "range", add = ArgValueCandidates::new(crate::complete::bases))]
    pub(crate) base: Option<String>,
    /// The arm that gets what is searched [default: `candidate`, else the only one that is not the baseline].
    #[arg(long)]
    pub(crate) arm: Option<String>,
    /// Bad is a boot in which the kernel crashes or hangs, whatever the scenario's gates are.
    #[arg(long)]
    pub(crate) crash: bool,
    /// Which of the scenario's gates on metrics tells good from bad, from 1.
    #[arg(long, value_name = "N", conflicts_with = "crash")]
    pub(crate) gate: Option<usize>,
    /// Ends when the culprit is this probable.
    #[arg(long, value_name = "P", default_value_t = 0.95, value_parser = probability, conflicts_with = "resume")]
    pub(crate) confidence: f64,
    /// The time that it may take from now on: 90s, 30m, 2h. A commit that is not expected to be built and booted within it is not begun.
    #[arg(long, value_name = "TIME", value_parser = crate::budget::time)]
    pub(crate) budget: Option<Duration>,
    /// Go on with a search that was interrupted or ran out of its budget: its folder.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["scenario", "series", "range", "options", "option", "cmdline", "subset", "base", "crash", "gate", "arm"])]
    pub(crate) resume: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

fn range(text: &str) -> Result<(String, String), String> {
    let ends = text.split_once("..").filter(|(good, bad)| {
        let is_name = |name: &str| !name.is_empty() && !name.starts_with(['.', '-']);
        is_name(good) && is_name(bad)
    });
    let (good, bad) = ends.ok_or("expected two commits, such as v6.12..HEAD")?;
    Ok((good.to_owned(), bad.to_owned()))
}

fn probability(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|probability| (0.5..=0.9999).contains(probability))
        .ok_or_else(|| "expected a probability from 0.5 to 0.9999".to_owned())
}
