//! The fault matrix: breaks what Assay depends on, one thing at a time, and looks at what the user sees, what is left
//! behind, and whether finished trials are kept.
//!
//! Invariant: calls the built `assay` as a user would; each fault has a world of its own (processes, network, mounts, temporary
//! folders), so that nothing escapes the count and nothing of the machine's is at stake.

mod catalogue;
mod census;
mod child;
mod fault;
mod finished;
mod kept;
mod round;
mod scene;
mod table;
mod world;

use std::{
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::{fault::Fault, round::Outcome, scene::Scene};

#[derive(Parser)]
#[command(about = "Breaks what Assay depends on, and looks at what comes of it")]
struct Arguments {
    /// Only these; all if none is named.
    names: Vec<String>,
    /// Fewer rounds and coarser sweeps, and no real guests.
    #[arg(long)]
    short: bool,
    /// Decides the moments at which faults hit.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes the table to this file; for the whole matrix only.
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Also shows all that the commands which met a fault said.
    #[arg(long)]
    verbose: bool,
    /// Passes over the faults that this very `assay` has survived in a whole matrix before: it takes long.
    #[arg(long)]
    go_on: bool,
    /// Without those that boot real guests, which need built kernels and a quiet machine; the table then names them as not run.
    #[arg(long)]
    no_guests: bool,
    /// Lists the faults.
    #[arg(long)]
    list: bool,
    /// We are the first process of a world for this one fault.
    #[arg(long, hide = true)]
    inside: bool,
}

fn main() -> ExitCode {
    match matrix(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every fault was survived.
fn matrix(arguments: &Arguments) -> Result<bool> {
    let known = catalogue::all();
    for name in &arguments.names {
        ensure!(
            known.iter().any(|fault| fault.name == name),
            "there is no fault `{name}`; --list names them"
        );
    }
    let is_root = nix::unistd::geteuid().is_root();
    let asked = |fault: &&Fault| {
        let named = arguments.names.iter().any(|name| fault.name == name);
        let left_out = arguments.short && fault.short == 0
            || arguments.no_guests && fault.scene == Scene::Guests
            || !is_root && catalogue::needs_root(fault);
        named || arguments.names.is_empty() && !left_out
    };
    let faults: Vec<&Fault> = known.iter().filter(asked).collect();
    if arguments.list {
        for fault in faults {
            println!("{:<28} {}", fault.name, fault.injected);
        }
        return Ok(true);
    }
    if arguments.inside {
        let [fault] = faults[..] else { anyhow::bail!("a world is for one fault") };
        let outcome = round::all(fault, arguments.short, arguments.seed);
        println!("{}", serde_json::to_string(&outcome).context("writing the outcome")?);
        return Ok(true);
    }
    let form = if arguments.short { "short form" } else { "whole matrix" };
    println!("{} faults, {form}, seed {}", faults.len(), arguments.seed);
    if !is_root {
        let left_out = known.iter().filter(|fault| catalogue::needs_root(fault)).map(|fault| fault.name);
        println!("left out, since only root can inject them: {}", left_out.collect::<Vec<_>>().join(", "));
    }
    let mut rows = Vec::new();
    for (index, fault) in faults.iter().enumerate() {
        let kept = if arguments.go_on { kept::read(fault.name)? } else { None };
        let outcome = match kept {
            Some(outcome) => outcome,
            None => in_a_world(fault, arguments)?,
        };
        println!("{}", table::progress(index + 1, faults.len(), &outcome));
        if !arguments.short && outcome.failed.is_none() {
            kept::write(&outcome)?;
        }
        rows.push((*fault, outcome));
    }
    let failed = rows.iter().filter(|(_, outcome)| outcome.failed.is_some()).count();
    let kept: usize = rows.iter().map(|(_, outcome)| outcome.kept).sum();
    println!(
        "{} of {} faults survived; {kept} finished trials kept, none lost where none failed",
        rows.len() - failed,
        rows.len()
    );
    if let Some(path) = &arguments.table {
        ensure!(!arguments.short && arguments.names.is_empty(), "the table is of the whole matrix");
        ensure!(failed == 0, "no table is written of a matrix that fails");
        let is_run = |fault: &&Fault| rows.iter().any(|(run, _)| run.name == fault.name);
        let missing: Vec<&Fault> = known.iter().filter(|fault| !is_run(fault)).collect();
        std::fs::write(path, table::markdown(&rows, &missing))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(failed == 0)
}

/// Runs a fault in namespaces of its own. When we end, for whatever reason, its first process is killed, and with it all others.
#[expect(clippy::disallowed_methods, reason = "a world is entered through unshare(1), which ends it with us")]
fn in_a_world(fault: &Fault, arguments: &Arguments) -> Result<Outcome> {
    let us = std::env::current_exe().context("finding this program")?;
    let mut command = Command::new("setpriv");
    command.args([
        "--pdeathsig",
        "KILL",
        "--",
        "unshare",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount",
        "--mount-proc",
    ]);
    command.args(["--net", "--ipc", "--uts"]);
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-current-user", "--keep-caps"]);
    }
    if arguments.verbose {
        command.env(round::VERBOSE, "1");
    }
    command.arg("--").arg(us).args(["--inside", "--seed", &arguments.seed.to_string()]);
    if arguments.short {
        command.arg("--short");
    }
    let output = command
        .arg(fault.name)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("starting unshare")?;
    ensure!(output.status.success(), "{}: its world ended with {}", fault.name, output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("reading what came of {}", fault.name))
}
