//! Fuzzing of everything that reads what others wrote, and how much of each parser it reaches.

mod coverage;
mod parsers;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::sys::{resource, time::TimeValLike};

use crate::run::{self, Run};

/// Longest input. Real files are longer; what breaks a parser is not.
const LONGEST: u32 = 64 << 10;
/// Most seconds of one input: a parser that is slower than this can be made to hang.
const SLOWEST: u32 = 10;
/// Most memory of a target, in MiB.
const MEMORY: u32 = 2048;
/// Longest run between two looks at how much of the processors it had.
const ROUND: Duration = Duration::from_secs(600);

/// Where targets are built and what they find is kept, below `target`.
fn place(name: &str) -> PathBuf {
    run::target().join("fuzz").join(name)
}

fn project() -> PathBuf {
    run::top().join("tests/fuzz")
}

/// Runs targets, all of them if none is named, until each has used `minutes` of `jobs` processors without a finding; then writes
/// the table of coverage. No minutes: the table alone.
pub(crate) fn fuzz(targets: &[String], minutes: u64, jobs: u32) -> Result<()> {
    let all = all_targets()?;
    if let Some(unknown) = targets.iter().find(|target| !all.contains(target)) {
        bail!("there is no target {unknown} (expected {})", all.join(", "));
    }
    let chosen = if targets.is_empty() { &all } else { targets };
    if minutes > 0 {
        let toolchain = toolchain()?;
        cargo_fuzz()?;
        for target in chosen {
            build(toolchain, target)?;
        }
        for target in chosen {
            let done = spend(target, Duration::from_secs(60 * minutes) * jobs, jobs)?;
            println!("fuzz: {target}: no finding in {:.1} CPU minutes", done.as_secs_f64() / 60.0);
        }
    }
    coverage::table(&all)
}

fn all_targets() -> Result<Vec<String>> {
    let folder = project().join("libfuzzer/targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
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

/// Runs a target in rounds until it has used `wanted` of the processors: on a machine that others use, too, that is not the time
/// that has passed.
fn spend(target: &str, wanted: Duration, jobs: u32) -> Result<Duration> {
    let (found, artifacts) = (place("corpus").join(target), place("artifacts").join(target));
    // What a target that is ended leaves there goes with it. In memory where that can be: a disk would be waited for.
    let memory = Path::new("/dev/shm");
    let scratch = if memory.is_dir() {
        memory.join(format!("assay-fuzz-{}", std::process::id()))
    } else {
        place("scratch")
    };
    for folder in [&found, &artifacts, &scratch] {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let mut used = Duration::ZERO;
    while used < wanted {
        let round = ((wanted - used) / jobs).clamp(Duration::from_secs(5), ROUND);
        println!(
            "fuzz: {target}: {:.1} of {:.0} CPU minutes",
            used.as_secs_f64() / 60.0,
            wanted.as_secs_f64() / 60.0
        );
        let before = children_time()?;
        let began = Instant::now();
        let ended = Run::new("nice")
            .args(["-n", "19"])
            .args([binary(target)])
            .args([
                format!("-fork={jobs}"),
                format!("-max_total_time={}", round.as_secs()),
                format!("-timeout={SLOWEST}"),
                format!("-rss_limit_mb={MEMORY}"),
                format!("-max_len={LONGEST}"),
                format!("-artifact_prefix={}/", artifacts.display()),
            ])
            .args([&found, &project().join("corpus").join(target)])
            .env("TMPDIR", &scratch)
            .ended()?;
        used += children_time()?.saturating_sub(before);
        if ended.code != Some(0) {
            bail!(
                "{target} has a finding; it is in {}. Copy it to tests/fuzz/corpus/{target}, and `cargo test -p fuzz` shows it",
                artifacts.display()
            );
        }
        if began.elapsed() < round / 2 {
            bail!("{target} ended before its time without a finding");
        }
    }
    fs::remove_dir_all(&scratch).with_context(|| format!("removing {}", scratch.display()))?;
    Ok(used)
}

/// Processor time of all children that have ended, theirs included.
fn children_time() -> Result<Duration> {
    let usage =
        resource::getrusage(resource::UsageWho::RUSAGE_CHILDREN).context("reading the time of children")?;
    let microseconds = (usage.user_time() + usage.system_time()).num_microseconds();
    Ok(Duration::from_micros(u64::try_from(microseconds).unwrap_or(0)))
}

/// Everything that a target reads of its corpora.
fn corpora() -> [PathBuf; 2] {
    [project().join("corpus"), place("corpus")]
}

/// Whether a folder holds anything.
fn is_filled(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}
