//! Flags of the commands that carry runs from one machine to another.

use std::path::PathBuf;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

#[derive(Debug, Args)]
pub(crate) struct Bundle {
    /// Folder of the run, or its name in the results folder [default: the newest].
    #[arg(add = ArgValueCandidates::new(crate::complete::runs))]
    pub(crate) run: Option<PathBuf>,
    /// Where it is written [default: RUN.bundle.tar.zst in the current folder].
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Leave out kernels and boot images: a replay builds them again.
    #[arg(long)]
    pub(crate) no_images: bool,
    /// Instead of making one: print what is in this bundle, run nothing, and leave nothing behind.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["run", "output", "no_images"])]
    pub(crate) show: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The bundle.
    pub(crate) bundle: PathBuf,
    /// Only this arm, beside the baseline. May be given more than once.
    #[arg(long, value_name = "ARM")]
    pub(crate) arm: Vec<String>,
    /// So many timed boots of each arm [default: as many as the run planned].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) boots: Option<u32>,
    /// Build the kernels again although the bundle has them, and say whether they come out the same to the byte.
    #[arg(long)]
    pub(crate) rebuild: bool,
    /// Where a base's source is, if it was a place of the machine where the run was made: a git repository that has the commit,
    /// or a tarball.
    #[arg(long, value_name = "PATH")]
    pub(crate) source: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
