//! The command line.

mod bundle;
mod calibrate;
mod culprit;
mod guest;
mod help;
mod history;
mod import;
mod kernel;
mod profile;
mod series;
mod size;
mod tree;
mod tune;

use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCandidates;

pub(crate) use bundle::{Bundle, Replay};
pub(crate) use calibrate::Calibrate;
pub(crate) use culprit::Bisect;
pub(crate) use guest::{Flavour, GuestFlags, InnerNic, Level, Root, ShareFlag, config_option};
pub(crate) use history::{Compare, CompareFormat, Runs, Trend};
pub(crate) use import::Import;
pub(crate) use kernel::{Kernel, KernelChoice};
pub(crate) use profile::Profile;
pub(crate) use series::{Series, SeriesChoice, SeriesFlags};
pub(crate) use size::Size;
pub(crate) use tree::{TreeConfig, TreeFlags};
pub(crate) use tune::{Partition, Smt, Tune};

use crate::terminal;

/// Tests Linux kernel patches: builds a baseline and a patched kernel, boots both, runs network workloads on them,
/// and says what the patch changed.
#[derive(Debug, Parser)]
#[command(
    name = "assay",
    version,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_long_help = help::ASSAY
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) output: terminal::Flags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    /// The command line of this process.
    pub(crate) fn understand() -> Result<Self, clap::Error> {
        let command = Self::command().color(terminal::wish(std::env::args_os()));
        Self::from_arg_matches(&command.try_get_matches()?)
    }
}

/// Where things are.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Folders")]
pub(crate) struct Places {
    /// Folder of runs. In a kernel tree it is ~/.local/state/assay/results, which is no part of the tree.
    #[arg(long, global = true, value_name = "DIR", default_value_os_t = crate::places::results())]
    pub(crate) results: PathBuf,
    /// Kernels, packages and images that can be had again [default: /var/cache/assay for root, else ~/.cache/assay].
    #[arg(long, global = true, value_name = "DIR", env = "ASSAY_CACHE", hide_env_values = true)]
    pub(crate) cache: Option<PathBuf>,
    /// Folder with `kernels/` and `patches/` [default: the nearest one above the scenario, the
    /// current folder, or `assay` itself].
    #[arg(long, global = true, value_name = "DIR", env = "ASSAY_PROJECT", hide_env_values = true)]
    pub(crate) project: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answer a scenario's question: build, boot, measure, compare.
    ///
    /// Builds a kernel for each arm, boots all arms several times in randomised blocks, runs the workloads, and says better,
    /// worse, same or unclear for each gate. The report is printed and kept with the run.
    #[command(after_long_help = help::RUN)]
    Run(Run),
    /// Print what a scenario would do, with every default decided, and do nothing.
    #[command(after_long_help = help::PLAN)]
    Plan {
        #[command(flatten)]
        question: Question,
        /// Also say what a run with this budget has time for: 90s, 30m, 2h.
        #[arg(long, value_name = "TIME", value_parser = crate::budget::time)]
        budget: Option<std::time::Duration>,
        /// As JSON instead of YAML.
        #[arg(long)]
        json: bool,
    },
    /// Run a command in a guest that boots a kernel; its exit status is ours.
    #[command(after_long_help = help::EXEC)]
    Exec(Exec),
    /// An interactive terminal in a guest that boots a kernel; `Ctrl-] q` ends it. Its exit status is ours.
    #[command(after_long_help = help::SHELL)]
    Shell(Shell),
    /// Start gdb on a guest that `exec --gdb` or `shell --gdb` booted, with its kernel's symbols.
    #[command(after_long_help = help::GDB)]
    Gdb {
        /// Process id of that `assay` [default: the only one there is].
        #[arg(long, value_name = "PID")]
        pid: Option<u32>,
        /// For gdb, after those that attach it: `-- -batch -ex 'info threads' -ex bt`.
        #[arg(last = true)]
        arguments: Vec<std::ffi::OsString>,
    },
    /// Kernels: bases, builds and the cache.
    #[command(after_long_help = help::KERNEL)]
    Kernel {
        #[command(subcommand)]
        command: Kernel,
    },
    /// Series of patches: mailboxes, folders, ranges of commits.
    #[command(after_long_help = help::SERIES)]
    Series {
        #[command(subcommand)]
        command: Series,
    },
    /// Print the report of a run.
    #[command(after_long_help = help::REPORT)]
    Report {
        /// Folder of the run, or its name in the results folder [default: the newest].
        #[arg(add = ArgValueCandidates::new(crate::complete::runs))]
        run: Option<PathBuf>,
        /// How.
        #[arg(long, value_enum, default_value_t = Format::Terminal)]
        format: Format,
        /// As JSON: `--format json`.
        #[arg(long, conflicts_with = "format")]
        json: bool,
        /// Print only the path of the report's file in that format.
        #[arg(long)]
        path: bool,
        /// Write it to this file instead of standard output.
        #[arg(long, short, value_name = "FILE", conflicts_with = "path")]
        output: Option<PathBuf>,
        /// Instead of the report: a table of the numbers that this run and RUN both have, measured and imported ones alike, each column
        /// with its provenance. May be given more than once. Nothing is tested.
        #[arg(long, value_name = "RUN", conflicts_with_all = ["path", "output"], add = ArgValueCandidates::new(crate::complete::runs))]
        beside: Vec<PathBuf>,
    },
    /// Read what others measured into runs: output of their tools, tables of their scripts, folders of either.
    ///
    /// Each file or folder becomes a run with the provenance `imported`, which `runs`, `report` and `trend` read like any other.
    /// What a file is, its content tells. What cannot be read of it is told by line, and the rest is kept. Nothing is ever tested
    /// against a number that was imported.
    #[command(after_long_help = help::IMPORT)]
    Import(Import),
    /// Say which functions of the kernel executed how many instructions, and where two arms differ.
    ///
    /// Of a run with `evidence: exact`. Rows add up to the total; functions are matched over renames and over the copies and
    /// parts that compilers make; string instructions are a table of their own.
    #[command(after_long_help = help::PROFILE)]
    Profile(Profile),
    /// Write a run into one file: plan, patches, sources' identities, kernels, samples, logs, report.
    ///
    /// `assay replay` repeats it on another machine. Nothing in it names this one: folders are words, and neither its name nor its
    /// users' are recorded.
    #[command(after_long_help = help::BUNDLE)]
    Bundle(Bundle),
    /// Repeat the run in a bundle, and say whether it comes to the same.
    ///
    /// The replay is a run of its own, in the results folder. A stranger's bundle is taken for what it is: every byte is held
    /// against its checksum before it is used, its plan can name no file of this machine, and its kernels are built and booted
    /// in the sandboxes that every series is.
    #[command(after_long_help = help::REPLAY)]
    Replay(Replay),
    /// List the runs in the results folder, newest first: how far each got and what it found.
    #[command(after_long_help = help::RUNS)]
    Runs(Runs),
    /// Put an arm of one run beside an arm of another, or of the same one.
    ///
    /// Boots of one run were made in turns and can be compared. Between runs, time and arm are confounded: differences are
    /// shown, and the answer is unclear, unless `assay calibrate` has measured what such times do by themselves.
    #[command(after_long_help = help::COMPARE)]
    Compare(Compare),
    /// Measure what nothing does: how often identical arms look different here, and what differences mean nothing.
    ///
    /// Boots the baseline of a scenario as two arms, block by block as a run does, and says how often such arms look different, where
    /// numbers vary (within a boot, between boots, blocks and times), and what a number of boots can show. What is measured stays in the cache:
    /// plans say what their boots can show, reports quote it, and once boots of three times are there, `assay compare` judges runs of such times.
    /// So run it again at other hours and on other days.
    ///
    /// With --exact: null patches (room at the end of a struct, functions with other names, files linked in another order, a function that nobody
    /// calls) are made from the base's tree, built, and compared with the baseline under the scenario's replicates. Verdicts of
    /// the same kernel, machine and workload then take no smaller margin, and reports say so.
    #[command(after_long_help = help::CALIBRATE)]
    Calibrate(Calibrate),
    /// Find the commit of a range, or the patch of a series, that made things worse.
    ///
    /// Builds and boots what tells most for the time that it takes, and ends when one commit is probable enough: by a gate's metric (timed
    /// or exact), by tests that fail, or by crashes. Noise needs no threshold, and what does not build is passed over. Every boot is kept, and an
    /// interrupted search goes on with --resume.
    #[command(after_long_help = help::BISECT)]
    Bisect(Bisect),
    /// Print one metric over all runs, in the order of time.
    #[command(after_long_help = help::TREND)]
    Trend(Trend),
    /// Look at this machine: what it can do for kernel work, what that means, and the commands that change it.
    #[command(after_long_help = help::DOCTOR)]
    Doctor {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say how large rings, device memory, socket buffers and batches must be for a stream, and why.
    ///
    /// Each size has its rule, the reason, and the source; commands that set them come last. Nothing is changed and nothing of this
    /// machine is looked at.
    #[command(after_long_help = help::SIZE)]
    Size(Size),
    /// Make this machine a quiet bench: show what would be set and why, set it, put it back.
    ///
    /// Without --apply nothing is changed. With it, how everything was is written down first, so that --restore can put it
    /// back after a crash, too. With a command, everything is put back when the command ends, however it ends.
    #[command(after_long_help = help::TUNE)]
    Tune(Tune),
    /// Print the hook that makes a shell complete `assay`: bases, series and runs too.
    #[command(after_long_help = help::COMPLETIONS)]
    Completions {
        /// Which shell.
        #[arg(value_enum)]
        shell: crate::complete::Shell,
    },
    /// Print the JSON schema of scenario files, with which editors complete and check them.
    #[command(after_long_help = help::SCHEMA)]
    Schema,
    /// Write the manual: one man page a command.
    #[command(name = "man", after_long_help = help::MANUAL)]
    Manual {
        /// Where to write the pages [default: print that of `assay`].
        folder: Option<PathBuf>,
    },
    /// The process that starts and ends every child.
    #[command(name = "__supervise", hide = true)]
    Supervise,
    /// The program and first arguments of the QEMU that machines run in, as JSON.
    #[command(name = "__qemu", hide = true)]
    Qemu,
    /// A folder with what a guest boots, for tests: `kernel`, `initramfs`, `root`, and the tool root `qemu`.
    #[command(name = "__boot-folder", hide = true)]
    BootFolder { base: String, folder: PathBuf },
    /// Helper processes of machines.
    #[command(name = "__machine", hide = true)]
    Machine {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
}

impl Command {
    /// Whether the answer is to be JSON; errors are, then, as well.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Self::Run(run) => run.format.or_json(run.json) == Format::Json,
            Self::Report { format, json, .. } => format.or_json(*json) == Format::Json,
            Self::Import(import) => import.json,
            Self::Profile(profile) => profile.format.or_json(profile.json) == Format::Json,
            Self::Plan { json, .. } | Self::Doctor { json } => *json,
            Self::Kernel { command } => command.wants_json(),
            Self::Series { command: Series::Show { json, .. } | Series::Check { json, .. } } => *json,
            Self::Bundle(bundle) => bundle.json,
            Self::Replay(replay) => replay.json,
            Self::Runs(runs) => runs.json,
            Self::Compare(compare) => compare.json || compare.format == CompareFormat::Json,
            Self::Calibrate(calibrate) => calibrate.json,
            Self::Bisect(bisect) => bisect.json,
            Self::Trend(trend) => trend.json,
            Self::Tune(tune) => tune.json,
            Self::Size(size) => size.json,
            Self::Exec(_)
            | Self::Shell(_)
            | Self::Gdb { .. }
            | Self::Completions { .. }
            | Self::Schema
            | Self::Manual { .. }
            | Self::Supervise
            | Self::Qemu
            | Self::BootFolder { .. }
            | Self::Machine { .. } => false,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) question: Question,
    /// Go on with this interrupted run: its folder, or its name in the results folder.
    #[arg(
        long,
        value_name = "RUN",
        conflicts_with_all = ["scenario", "base", "arm", "replicate", "series", "git", "tree", "no_tree", "against", "config"],
        add = ArgValueCandidates::new(crate::complete::runs)
    )]
    pub(crate) resume: Option<PathBuf>,
    /// End within this time, builds included: 90s, 30m, 2h. Whole blocks are made as long as there is time, of a matrix at a balanced
    /// part of its places; the report says what is left out, and --resume makes it.
    #[arg(long, value_name = "TIME", value_parser = crate::budget::time)]
    pub(crate) budget: Option<std::time::Duration>,
    /// The log of a power meter at the plug, to which its program appends lines `TIME,WATTS`, with seconds since 1970 or RFC 3339 times: for
    /// `collect: [power]`
    #[arg(long, value_name = "FILE")]
    pub(crate) power_log: Option<PathBuf>,
    /// How the report is printed; every form of it is kept in the run's folder.
    #[arg(long, value_enum, default_value_t = Format::Terminal)]
    pub(crate) format: Format,
    /// As JSON: `--format json`.
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// Exit as `git bisect run` wants it: 0 all gates hold, 1 one fails, 125 unclear or cannot be tested.
    #[arg(long)]
    pub(crate) bisect: bool,
}

/// What is asked: a scenario, and what takes the place of parts of it.
#[derive(Debug, Default, Args)]
pub(crate) struct Question {
    /// The scenario: a file, or the name of one in the project's `scenarios/` [default, with a series or in a kernel tree: net].
    pub(crate) scenario: Option<PathBuf>,
    /// The base of every arm, in place of the scenario's: the name of a file in `kernels/`.
    #[arg(long, add = ArgValueCandidates::new(crate::complete::bases))]
    pub(crate) base: Option<String>,
    /// What all arms' kernels are built for, in place of the scenario's: `debug` has KASAN, lockdep and more; what kernels
    /// complain about is then the result, and nothing timed is compared.
    #[arg(long, value_enum)]
    pub(crate) flavour: Option<Flavour>,
    #[command(flatten)]
    pub(crate) series: SeriesFlags,
    /// The arm that gets the series [default: `candidate`, else the only one that is not the baseline].
    #[arg(long)]
    pub(crate) arm: Option<String>,
    /// With exact evidence: only this replicate of each arm, by its name in reports, such as `p3`. Given more than once, as many blocks
    /// of boots; the same one twice is to come to the same twice.
    #[arg(long, value_name = "N", value_parser = crate::replicate::number)]
    pub(crate) replicate: Vec<u32>,
    #[command(flatten)]
    pub(crate) tree: TreeFlags,
}

#[derive(Debug, Args)]
pub(crate) struct Exec {
    #[command(flatten)]
    pub(crate) guest: GuestFlags,
    /// Exit as `git bisect run` wants it: 0 good, 1 to 124 bad, 125 cannot be tested (no kernel, or the machine's failure).
    #[arg(long)]
    pub(crate) bisect: bool,
    /// With --bisect, what a kernel that crashes is.
    #[arg(long, value_enum, default_value_t = Crash::Bad, requires = "bisect")]
    pub(crate) crash: Crash,
    /// Seconds that the command may take; without end with `--gdb`.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    pub(crate) deadline: u32,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Shell {
    #[command(flatten)]
    pub(crate) guest: GuestFlags,
    /// Instead of the shell: a command and its arguments.
    #[arg(last = true)]
    pub(crate) command: Vec<String>,
}

/// What a kernel that crashes means to a bisection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Crash {
    /// It is what is looked for.
    Bad,
    /// It hides what is looked for.
    Skip,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For a terminal.
    #[value(alias = "text")]
    Terminal,
    /// For a cover letter.
    Markdown,
    /// For programs.
    Json,
    /// A page that needs nothing else. On a terminal its path is printed instead of the page.
    Html,
    /// The "Run Metrics" block of IOMMU studies, for each boot and workload.
    RunMetrics,
}

impl Format {
    /// This form, or JSON if that is asked for.
    pub(crate) fn or_json(self, json: bool) -> Self {
        if json { Self::Json } else { self }
    }

    /// Every form that is kept beside a run.
    pub(crate) const ALL: [Self; 4] = [Self::Terminal, Self::Markdown, Self::Json, Self::Html];
}
