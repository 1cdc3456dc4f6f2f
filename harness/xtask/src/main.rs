//! Developer chores: `cargo xtask demo` shows the main job, `cargo xtask test` passes the tests, each with its set-up.
//!
//! Invariant: calls the `assay` binary as a user would; links none of its crates.

mod bench;
mod check;
mod crashes;
mod demo;
mod faults;
mod fuzz;
mod histories;
mod install;
mod run;
mod screenshots;
mod setup;
mod simulate;
mod stages;
mod synthetic;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Developer chores for Assay", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what is missing on this machine and build `assay` and its guest agent.
    Setup,
    /// Build `assay` and install it for this user: program, data, completions for bash, zsh and fish, man pages.
    Install {
        /// Below which folder; ~/.local if none is named.
        #[arg(long, value_name = "DIR")]
        prefix: Option<std::path::PathBuf>,
    },
    /// All set-up, a first result from a prebuilt kernel, then scenarios/iommu-hooks.yaml. Prints the report's path last.
    Demo,
    /// All set-up, then the tests; minutes per stage are printed and held against a budget.
    Test {
        /// Also the second base, byte-identical rebuilds, KVM within a guest, and the long scenarios.
        #[arg(long)]
        all: bool,
    },
    /// The fault matrix: breaks what Assay depends on, and looks at what the user sees, what is left behind and what is lost.
    /// The whole one, with nothing named, writes tests/FAULTS.md.
    Faults {
        /// Fewer rounds, coarser sweeps, no real guests: a minute.
        #[arg(long)]
        short: bool,
        /// Without those that boot real guests: they need a quiet machine.
        #[arg(long)]
        no_guests: bool,
        /// Passes over what this very `assay` has survived in a whole matrix before.
        #[arg(long)]
        go_on: bool,
        /// Decides the moments at which faults hit.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Only these; `list` lists them.
        names: Vec<String>,
    },
    /// How often verdicts are wrong, and how often they find what is there, beside the rules of others: minutes of simulation, which write
    /// tests/SIMULATION.md.
    Simulate,
    /// Format, lints, documentation, licences.
    Check,
    /// The project's figures, as ratios within one run.
    Bench {
        /// Only this one; may be given more than once.
        #[arg(long, value_enum)]
        only: Vec<bench::Figure>,
    },
    /// Fuzzing: every parser of what others wrote, until each target has used its processor time without a finding. It goes on
    /// from what tests/fuzz/TIME.md says. Installs cargo-fuzz.
    Fuzz {
        /// Only these; all of tests/fuzz/libfuzzer/targets if none is named.
        targets: Vec<String>,
        /// How long each target has every one of its processors.
        #[arg(long, default_value_t = 10)]
        minutes: u64,
        /// How many processors.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=256))]
        jobs: u32,
        /// Instead, how much of each parser the kept corpora reach: tests/fuzz/COVERAGE.md. Installs LLVM's tools.
        #[arg(long, conflicts_with_all = ["targets", "minutes", "jobs"])]
        coverage: bool,
    },
    /// Runs a command and prints its exit status, time and peak memory.
    #[command(name = "__peak", hide = true)]
    Peak {
        #[arg(required = true, last = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Provokes every kind of crash in real guests of both bases, and stores their consoles in tests/fixtures/console: two kernels a
    /// base are built for it, one of them of the debug flavour, and on 6.12 one with the detector of data races.
    Crashes {
        /// Only on this base; may be given more than once.
        #[arg(long)]
        base: Vec<String>,
        /// Only this one; may be given more than once.
        #[arg(long)]
        only: Vec<String>,
        /// The built `assay`, so that nothing is set up.
        #[arg(long, value_name = "FILE")]
        assay: Option<std::path::PathBuf>,
    },
    /// Git histories of a real kernel with a slowdown in them, for `assay bisect` to find unattended: 64 commits by exact counts, 16 by the clock, a series of six patches. An hour or two
    /// of builds and boots.
    Histories {
        /// Sources of 6.12, such as Debian's linux-source-6.12 unpacked.
        #[arg(long, value_name = "DIR")]
        source: std::path::PathBuf,
        /// Where the git tree is made; one that is there is taken again.
        #[arg(long, value_name = "DIR")]
        folder: std::path::PathBuf,
        /// Only these; all by default.
        #[arg(long, value_enum)]
        only: Vec<histories::Which>,
        /// The `assay` to run, in place of one that is built now.
        #[arg(long, value_name = "FILE")]
        assay: Option<std::path::PathBuf>,
    },
    /// Pictures of the HTML report in headless Chromium: in target/screenshots to be looked at, and the README's.
    Screenshots,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Setup => setup::everything().map(|_| ()),
        Chore::Install { prefix } => install::install(prefix),
        Chore::Demo => demo::demo(),
        Chore::Test { all } => test::test(all),
        Chore::Faults { short, no_guests, go_on, seed, names } => {
            faults::faults(&faults::Form { short, no_guests, go_on, seed }, &names)
        }
        Chore::Simulate => simulate::simulate(),
        Chore::Check => check::check(),
        Chore::Bench { only } => bench::bench(&only),
        Chore::Fuzz { coverage: true, .. } => fuzz::coverage(),
        Chore::Fuzz { targets, minutes, jobs, .. } => fuzz::fuzz(&targets, minutes, jobs),
        Chore::Peak { command } => run::peak(&command),
        Chore::Crashes { base, only, assay } => crashes::crashes(&base, &only, assay),
        Chore::Histories { source, folder, only, assay } => {
            histories::histories(&source, &folder, &only, assay)
        }
        Chore::Screenshots => screenshots::screenshots(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
