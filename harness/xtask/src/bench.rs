//! The project's figures. Each is a ratio between two things timed in the same run: these machines are shared, so an
//! absolute time says little.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    run::{self, Run},
    setup, synthetic,
};

/// Pairs of runs; the median of their ratios is quoted.
const PAIRS: usize = 5;

/// A figure of the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Figure {
    /// `assay exec` against virtme-ng.
    Exec,
    /// From `assay run` to the first boot, everything cached.
    Start,
    /// A one-file patch against a cold build; takes a cold build.
    Build,
    /// A report on a million samples.
    Samples,
}

pub(crate) fn bench(only: &[Figure]) -> Result<()> {
    setup::everything()?;
    let folder = run::target().join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let asked = |figure| only.is_empty() || only.contains(&figure);
    if asked(Figure::Samples) {
        million_samples(&folder)?;
    }
    if asked(Figure::Exec) {
        exec_against_virtme_ng(&folder)?;
    }
    if asked(Figure::Start) {
        cached_start()?;
    }
    if asked(Figure::Build) {
        one_file_patch(&folder)?;
    }
    Ok(())
}

/// `assay report` on a million samples: time, memory, and Python's JSON parser on the same file.
fn million_samples(folder: &Path) -> Result<()> {
    const SECONDS: f64 = 2.0;
    const MIB: u64 = 300;
    let run = synthetic::run_folder(folder)?;
    let ours = || -> Result<run::Peak> {
        let peak = Run::new(run::assay()).args(["report"]).args([&run]).peak()?;
        // The gate on throughput fails, so that much was understood.
        if peak.code != 1 {
            bail!("assay report ended with {} and not with 1", peak.code);
        }
        Ok(peak)
    };
    let parse = "import json, sys\nfor line in open(sys.argv[1], 'rb'): json.loads(line)";
    let theirs = || Run::new("python3").args(["-c", parse]).args([run.join("samples.jsonl")]).quiet().ok();
    ours()?;
    let (mut pairs, mut kib) = (Vec::new(), 0);
    for _ in 0..PAIRS {
        let peak = ours()?;
        kib = kib.max(peak.kib);
        pairs.push((peak.took, theirs()?));
    }
    let what = format!("assay report on {} samples / Python parsing them", synthetic::SAMPLES);
    report(&what, "all formats written; json.loads of each line", &pairs, 1.0);
    let mut seconds: Vec<f64> = pairs.iter().map(|(ours, _)| ours.as_secs_f64()).collect();
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    let word = |within| if within { "within" } else { "MISSES" };
    println!("  median {median:.2} s: {} {SECONDS} s", word(median <= SECONDS));
    println!("  peak memory {} MiB: {} {MIB} MiB", kib / 1024, word(kib <= MIB * 1024));
    fs::remove_dir_all(run.parent().unwrap_or(&run)).context("removing the run")
}

/// What virtme-ng needs of the host. It finds the guest's port to the host with the host's udev.
const FOR_VIRTME_NG: &[(&str, &str)] =
    &[("python3-venv", "virtme-ng, for this figure only"), ("udev", "virtme-ng, for this figure only")];

/// `assay exec -- uname -r` against virtme-ng, the same kernel and QEMU, both under TCG.
fn exec_against_virtme_ng(folder: &Path) -> Result<()> {
    setup::packages(FOR_VIRTME_NG)?;
    let kernel = kernel("debian-6.12", &[])?;
    let venv = folder.join("venv");
    let vng = venv.join("bin/vng");
    if !vng.exists() {
        Run::new("python3").args(["-m", "venv"]).args([&venv]).ok()?;
        Run::new(venv.join("bin/pip")).args(["install", "--quiet", "virtme-ng"]).ok()?;
    }
    let qemu = qemu_wrapper(folder)?;
    let ours = || -> Result<Duration> {
        Run::new(run::assay()).args(["exec", "--accel", "tcg", "--", "uname", "-r"]).quiet().ok()
    };
    // virtme-ng finds its own programs on the path.
    let path = std::env::join_paths(
        std::iter::once(venv.join("bin"))
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    )?;
    if !["/lib/systemd/systemd-udevd", "/usr/lib/systemd/systemd-udevd"]
        .iter()
        .any(|udevd| Path::new(udevd).exists())
    {
        bail!("virtme-ng needs the host's udevd, which is not installed (package udev or systemd-udev)");
    }
    let theirs = || -> Result<Duration> {
        Run::new(&vng)
            .env("PATH", &path)
            .args(["--disable-kvm", "--qemu"])
            .args([&qemu])
            .args(["--run"])
            .args([kernel.image()?])
            .args(["--memory", "512M", "--cpus", "1", "--exec", "uname -r"])
            .quiet()
            .ok()
    };
    ours()?;
    theirs()?;
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        pairs.push((ours()?, theirs()?));
    }
    let version = Run::new(&vng).args(["--version"]).output()?;
    report(
        "assay exec -- uname -r / virtme-ng, TCG",
        &format!("{}, 1 vCPU, 512 MiB, same kernel and QEMU", version.trim()),
        &pairs,
        0.35,
    );
    Ok(())
}

/// From the command to the first boot with everything cached, against one second.
fn cached_start() -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..PAIRS {
        let started = Run::new(run::assay())
            .args(["run", "scenarios/iommu-hooks.yaml"])
            .time_to_line("booting")
            .context("everything must be cached: run cargo xtask demo first")?;
        times.push((started, Duration::from_secs(1)));
    }
    report("assay run, all cached: command to first boot / 1 s", "scenarios/iommu-hooks.yaml", &times, 1.0);
    Ok(())
}

/// A one-file patch against the cold build of its base, both in a cache of their own.
fn one_file_patch(folder: &Path) -> Result<()> {
    let cache = folder.join("cache");
    if cache.exists() {
        fs::remove_dir_all(&cache).with_context(|| format!("removing {}", cache.display()))?;
    }
    let cache_arguments = ["--cache", cache.to_str().context("the target folder's path is not UTF-8")?];
    // The source is fetched and unpacked first: what is compared is building, all of it.
    let base = kernel("debian-6.12", &cache_arguments)?;
    let patched = series("debian-6.12", "planted-slowdown", &cache_arguments)?;
    let pair = (patched.built_in()?, base.built_in()?);
    report("one-file patch / cold build of its base", "debian-6.12, planted-slowdown", &[pair], 0.10);
    fs::remove_dir_all(&cache).with_context(|| format!("removing {}", cache.display()))
}

/// What `assay kernel build --json` prints.
struct Built(Value);

impl Built {
    fn image(&self) -> Result<&str> {
        self.0["image"].as_str().context("the build names its image")
    }

    fn built_in(&self) -> Result<Duration> {
        match self.0["build_seconds"].as_f64() {
            Some(seconds) if seconds > 0.0 => Ok(Duration::from_secs_f64(seconds)),
            _ => bail!("{} was not built in this run", self.0["key"]),
        }
    }
}

fn kernel(base: &str, arguments: &[&str]) -> Result<Built> {
    let text = Run::new(run::assay()).args(["kernel", "build", base, "--json"]).args(arguments).output()?;
    Ok(Built(serde_json::from_str(&text).context("reading the build's answer")?))
}

fn series(base: &str, series: &str, arguments: &[&str]) -> Result<Built> {
    let text = Run::new(run::assay())
        .args(["kernel", "build", base, "--json", "--series", series])
        .args(arguments)
        .output()?;
    Ok(Built(serde_json::from_str(&text).context("reading the build's answer")?))
}

/// A program that starts the QEMU that assay uses, for tools that want one program.
fn qemu_wrapper(folder: &Path) -> Result<PathBuf> {
    let argv: Vec<String> = serde_json::from_str(&Run::new(run::assay()).args(["__qemu"]).output()?)
        .context("reading QEMU's argv")?;
    let quoted: Vec<String> = argv.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
    let path = folder.join("qemu-system-x86_64");
    fs::write(&path, format!("#!/bin/sh\nexec {} \"$@\"\n", quoted.join(" ")))
        .with_context(|| format!("writing {}", path.display()))?;
    let mut permissions = fs::metadata(&path).context("looking at the wrapper")?.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(&path, permissions).context("making the wrapper executable")?;
    Ok(path)
}

fn report(what: &str, how: &str, pairs: &[(Duration, Duration)], at_most: f64) {
    let mut ratios: Vec<f64> =
        pairs.iter().map(|(ours, other)| ours.as_secs_f64() / other.as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    let word = if median <= at_most { "within" } else { "MISSES" };
    println!("{what} ({how})");
    for (ours, other) in pairs {
        println!("  {:8.3} s  {:8.3} s", ours.as_secs_f64(), other.as_secs_f64());
    }
    println!(
        "  ratio {median:.3} (min {:.3}, max {:.3}, n {}): {word} {at_most}",
        ratios[0],
        ratios[ratios.len() - 1],
        ratios.len()
    );
}
