//! Flags of the commands that look at many runs.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCandidates;

#[derive(Debug, Args)]
pub(crate) struct Runs {
    /// Only runs of this scenario.
    #[arg(long, value_name = "NAME")]
    pub(crate) scenario: Option<String>,
    /// No more than so many, the newest.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Forget the index, and read every run again. Never needed: it follows the folders.
    #[arg(long)]
    pub(crate) reindex: bool,
    /// Remove what interrupted builds left: folders with nothing but logs of builds in them. Runs are never removed.
    #[arg(long)]
    pub(crate) prune: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Folder of a run, or its name in the results folder.
    #[arg(add = ArgValueCandidates::new(crate::complete::runs))]
    pub(crate) first: PathBuf,
    /// Another one [default: the same, to compare two arms of it].
    #[arg(add = ArgValueCandidates::new(crate::complete::runs))]
    pub(crate) second: Option<PathBuf>,
    /// An arm of both runs; given twice, one of the first and one of the second [default: the arm that both have, or the
    /// candidate of each].
    #[arg(long, value_name = "ARM")]
    pub(crate) arm: Vec<String>,
    /// Exact counts, digit by digit: all boots of one kernel, machine, workload and replicate, of one run or of two. Says for each
    /// whether it differs by 0 in every function, or names the first function that differs.
    #[arg(long, conflicts_with_all = ["workload", "metric", "dim"])]
    pub(crate) exact: bool,
    /// Only this workload.
    #[arg(long, value_name = "NAME")]
    pub(crate) workload: Option<String>,
    /// Only this metric.
    #[arg(long, value_name = "NAME")]
    pub(crate) metric: Option<String>,
    /// Only series with this dimension, such as `percentile=99`. May be given more than once.
    #[arg(long, value_name = "NAME=VALUE", value_parser = dimension)]
    pub(crate) dim: Vec<(String, String)>,
    /// How.
    #[arg(long, value_enum, default_value_t = CompareFormat::Terminal)]
    pub(crate) format: CompareFormat,
    /// As JSON: `--format json`.
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
}

/// Forms of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompareFormat {
    /// For a terminal.
    Terminal,
    /// For mail.
    Markdown,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Trend {
    /// The metric's name, such as `throughput`.
    pub(crate) metric: String,
    /// Only this workload.
    #[arg(long, value_name = "NAME")]
    pub(crate) workload: Option<String>,
    /// This arm of every run that has it [default: the baseline of each].
    #[arg(long, value_name = "ARM")]
    pub(crate) arm: Option<String>,
    /// Only runs of this scenario.
    #[arg(long, value_name = "NAME")]
    pub(crate) scenario: Option<String>,
    /// Only series with this dimension, such as `percentile=99`. May be given more than once.
    #[arg(long, value_name = "NAME=VALUE", value_parser = dimension)]
    pub(crate) dim: Vec<(String, String)>,
    /// Only the newest N runs of each series. With fewer than six no change is looked for, and with fewer than ten none can be sure at 0.01.
    #[arg(long, value_name = "N", value_parser = last)]
    pub(crate) last: Option<usize>,
    /// Exit status 1 if a series changed for the worse, at this level over all series that are looked at.
    #[arg(long, value_name = "LEVEL", num_args = 0..=1, default_missing_value = "0.01", value_parser = level)]
    pub(crate) gate: Option<f64>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

fn last(text: &str) -> Result<usize, String> {
    let last = text.parse::<usize>().ok().filter(|last| (1..=100_000).contains(last));
    last.ok_or_else(|| "expected a number of runs, such as 30".to_owned())
}

fn level(text: &str) -> Result<f64, String> {
    let level = text.parse::<f64>().ok().filter(|level| *level > 0.0 && *level <= 0.2);
    level.ok_or_else(|| "expected a number above 0 and at most 0.2, such as 0.01".to_owned())
}

fn dimension(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("expected NAME=VALUE, such as percentile=99".to_owned()),
    }
}
