//! Flags of `assay profile`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCandidates;

use super::Format;

#[derive(Debug, Args)]
pub(crate) struct Profile {
    /// Folder of the run, or its name in the results folder [default: the newest].
    #[arg(add = ArgValueCandidates::new(crate::complete::runs))]
    pub(crate) run: Option<PathBuf>,
    /// This arm; without --baseline by itself [default: every candidate, against its baseline].
    #[arg(long, value_name = "ARM")]
    pub(crate) arm: Option<String>,
    /// What it is compared with.
    #[arg(long, value_name = "ARM")]
    pub(crate) baseline: Option<String>,
    /// Only this workload.
    #[arg(long, value_name = "NAME")]
    pub(crate) workload: Option<String>,
    /// What rows are.
    #[arg(long, value_enum, default_value_t = By::Function)]
    pub(crate) by: By,
    /// So many rows, those with the largest differences, and one for all others.
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(crate) top: usize,
    /// How. JSON has every row, whatever --top says.
    #[arg(long, value_enum, default_value_t = Format::Terminal)]
    pub(crate) format: Format,
    /// As JSON: `--format json`.
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// The sampled stacks of one arm, for other tools that draw flame graphs: `outermost;...;innermost BASELINE ARM`, in
    /// instructions, or one number without a baseline.
    #[arg(long, conflicts_with_all = ["format", "json"])]
    pub(crate) folded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// Kernel functions with all copies and parts that the compiler made of them, and programs.
    Function,
    /// Parts of the kernel, by the folder of the function's source file.
    Subsystem,
    /// Whose work the kernel did: system calls and threads, softirqs, interrupts.
    Context,
    /// The kernel, and each program's user space.
    Program,
}

impl From<By> for profile::By {
    fn from(by: By) -> Self {
        match by {
            By::Function => Self::Function,
            By::Subsystem => Self::Subsystem,
            By::Context => Self::Context,
            By::Program => Self::Program,
        }
    }
}
