//! Series that the user names, and the command that looks at them.

use std::path::PathBuf;

use super::help;
use clap::{Args, Subcommand};
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};

/// Series to put on top of a base.
#[derive(Debug, Default, Args)]
pub(crate) struct SeriesFlags {
    /// A series: a name in `patches/`, a folder of patches, an mbox (also gzip), a maildir, a mail, a diff, `-` for
    /// standard input, or a range of commits `A..B`. May be given more than once.
    #[arg(long, add = ArgValueCompleter::new(crate::complete::series))]
    pub(crate) series: Vec<String>,
    /// The repository of a range of commits [default: the current folder's].
    #[arg(long, value_name = "DIR")]
    pub(crate) git: Option<PathBuf>,
}

impl SeriesFlags {
    /// Whether no series is named.
    pub(crate) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Series {
    /// Print what was understood of a series: its cover letter, its patches in order, trailers that replies add, and
    /// what was left out.
    #[command(after_long_help = help::SERIES_SHOW)]
    Show {
        #[command(flatten)]
        choice: SeriesChoice,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check a series on every base that it names: each patch applies, passes the base's checkpatch and builds; the last one
    /// boots.
    #[command(after_long_help = help::SERIES_CHECK)]
    Check {
        #[command(flatten)]
        choice: SeriesChoice,
        /// Do not boot the kernel with all patches.
        #[arg(long)]
        no_boot: bool,
        /// Only apply the patches and run checkpatch: nothing is compiled.
        #[arg(long, conflicts_with = "no_boot")]
        no_build: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// One series.
#[derive(Debug, Args)]
pub(crate) struct SeriesChoice {
    /// A name in `patches/`, a folder of patches, an mbox (also gzip), a maildir, a mail, a diff, `-` for standard input,
    /// or a range of commits `A..B`.
    #[arg(add = ArgValueCompleter::new(crate::complete::series))]
    pub(crate) series: String,
    /// The repository of a range of commits [default: the current folder's].
    #[arg(long, value_name = "DIR")]
    pub(crate) git: Option<PathBuf>,
    /// A base: the name of a file in `kernels/`. May be given more than once [default: those that the series names, else
    /// debian-6.12].
    #[arg(long, add = ArgValueCandidates::new(crate::complete::bases))]
    pub(crate) base: Vec<String>,
}
