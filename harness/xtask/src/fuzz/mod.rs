//! Fuzzing of everything that reads what others wrote, for how long it was done, and how much of each parser the corpora reach.

mod coverage;
mod parsers;
mod record;
mod spend;

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, bail};

use crate::run::{self, Run};
use parsers::TARGETS;

/// Where targets are built and what they find is kept, below `target`.
fn place(name: &str) -> PathBuf {
    run::target().join("fuzz").join(name)
}

fn project() -> PathBuf {
    run::top().join("tests/fuzz")
}

/// Runs targets, all of them if none is named, until each has used `minutes` of `jobs` processors without a finding.
pub(crate) fn fuzz(named: &[String], minutes: u64, jobs: u32) -> Result<()> {
    let all: Vec<&str> = TARGETS.iter().map(|(target, _)| *target).collect();
    if let Some(unknown) = named.iter().find(|target| !all.contains(&target.as_str())) {
        bail!("there is no target {unknown} (expected {})", all.join(", "));
    }
    let chosen =
        TARGETS.iter().filter(|(target, _)| named.is_empty() || named.iter().any(|name| name == target));
    let wanted = Duration::from_secs(60 * minutes) * jobs;
    let mut due = Vec::new();
    for (target, parsers) in chosen {
        let sources = record::sources(target, parsers)?;
        let spent = record::read()?.remove(*target).unwrap_or_default();
        if spent.sources != sources || spent.cpu < wanted || spent.findings > 0 {
            due.push((*target, sources));
        }
    }
    if due.is_empty() {
        println!("fuzz: every target has had its {minutes} minutes of {jobs} processors");
        return Ok(());
    }
    let toolchain = toolchain()?;
    cargo_fuzz()?;
    for (target, _) in &due {
        build(toolchain, target)?;
    }
    for (target, sources) in due {
        spend::spend(target, sources, wanted, jobs)?;
    }
    Ok(())
}

/// Writes the table of what the kept corpora reach.
pub(crate) fn coverage() -> Result<()> {
    coverage::table()
}

/// The toolchain that instruments: a nightly if there is one, or the stable one, told to do what nightlies do.
fn toolchain() -> Result<&'static str> {
    let nightly = Run::new("rustup").args(["run", "nightly", "rustc", "--version"]).quiet().ended();
    Ok(match nightly {
        Ok(ended) if ended.code == Some(0) => "nightly",
        Ok(_) | Err(_) => "stable",
    })
}

/// Cargo of that toolchain, which finds its own compiler.
fn cargo(toolchain: &str) -> Run {
    let run = Run::new("rustup").args(["run", toolchain, "cargo"]);
    if toolchain == "stable" { run.env("RUSTC_BOOTSTRAP", "1") } else { run }
}

fn cargo_fuzz() -> Result<()> {
    let is_there = run::cargo().args(["fuzz", "--version"]).quiet().ended()?.code == Some(0);
    if !is_there {
        println!("fuzz: installing cargo-fuzz");
        run::cargo().args(["install", "--locked", "cargo-fuzz"]).ok()?;
    }
    Ok(())
}

/// Without AddressSanitizer: nearly all of the code is safe Rust, and twice as many inputs find more.
fn build(toolchain: &str, target: &str) -> Result<()> {
    cargo(toolchain)
        .args(["fuzz", "build", "--sanitizer", "none", "--fuzz-dir"])
        .args([project().join("libfuzzer")])
        .args(["--target-dir"])
        .args([place("build")])
        .args([target])
        .ok()?;
    Ok(())
}

fn binary(target: &str) -> PathBuf {
    place("build").join("x86_64-unknown-linux-gnu/release").join(target)
}
