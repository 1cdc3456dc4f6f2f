//! Fuzzing until a target has had its processor time.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::sys::{resource, time::TimeValLike};

use super::{
    binary, place, project,
    record::{self, Spent},
};
use crate::run::Run;

/// Longest input. Real files are longer; what breaks a parser is not.
const LONGEST: u32 = 64 << 10;
/// Most seconds that may pass over one input. Targets hold themselves to processor time (`fuzz::in_time`); this ends one that never comes back, and is long,
/// since others use the machine and come first.
const SLOWEST: u32 = 600;
/// Most memory of a process, in MiB.
const MEMORY: u32 = 2048;
/// What names of folders for scratch begin with; the number of the process follows.
const SCRATCH: &str = "assay-fuzz-";
/// Between two entries in the record: what is lost if the run is killed.
const ROUND: Duration = Duration::from_secs(120);

/// Runs a target in rounds of one process a processor until it has used `wanted` of them altogether, this time or before: on a
/// machine that others use, too, that is not the time that has passed.
pub(super) fn spend(target: &str, sources: String, wanted: Duration, jobs: u32) -> Result<()> {
    let places = Places::make(target)?;
    loop {
        let mut record = record::read()?;
        let spent = record.entry(target.to_owned()).or_default();
        if spent.sources != sources {
            *spent = Spent { sources: sources.clone(), ..Spent::default() };
        }
        println!("fuzz: {target}: {} of {} CPU seconds", spent.cpu.as_secs(), wanted.as_secs());
        if spent.cpu >= wanted && spent.findings == 0 {
            return Ok(());
        }
        let round = (wanted.saturating_sub(spent.cpu) / jobs).clamp(Duration::from_secs(5), ROUND);
        let (before, began) = (children_time()?, Instant::now());
        let ended = places.round(target, round, jobs)?;
        spent.cpu += children_time()?.saturating_sub(before);
        spent.executions += ended.executions;
        spent.findings += ended.findings;
        record::write(&record)?;
        if ended.findings > 0 {
            bail!(
                "{target} has a finding; it is in {}. Copy it to tests/fuzz/corpus/{target}, and `cargo test -p fuzz` shows it",
                places.artifacts.display()
            );
        }
        if began.elapsed() < round / 2 {
            bail!("{target} ended before its time without a finding; see {}", places.logs.display());
        }
    }
}

/// Processor time of all children that have ended, theirs included.
fn children_time() -> Result<Duration> {
    let usage =
        resource::getrusage(resource::UsageWho::RUSAGE_CHILDREN).context("reading the time of children")?;
    let microseconds = (usage.user_time() + usage.system_time()).num_microseconds();
    Ok(Duration::from_micros(u64::try_from(microseconds).unwrap_or(0)))
}

/// A target's folders.
struct Places {
    found: PathBuf,
    artifacts: PathBuf,
    logs: PathBuf,
    /// What a target that is ended leaves there goes with it. In memory where that can be: a disk would be waited for.
    scratch: PathBuf,
}

/// What came of a round.
struct Ended {
    executions: u64,
    findings: u64,
}

impl Places {
    fn make(target: &str) -> Result<Self> {
        let memory = Path::new("/dev/shm");
        remove_leftovers(memory);
        let scratch = if memory.is_dir() {
            memory.join(format!("{SCRATCH}{}", std::process::id()))
        } else {
            place("scratch")
        };
        let of = |name: &str| place(name).join(target);
        let places = Self { found: of("corpus"), artifacts: of("artifacts"), logs: of("logs"), scratch };
        for folder in [&places.found, &places.artifacts, &places.logs, &places.scratch] {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        Ok(places)
    }

    /// Several processes for a while; what one finds the others load.
    fn round(&self, target: &str, round: Duration, jobs: u32) -> Result<Ended> {
        let before = self.artifacts()?;
        let logs: Vec<PathBuf> = (0..jobs).map(|job| self.logs.join(format!("{job}.log"))).collect();
        std::thread::scope(|scope| {
            let processes: Vec<_> =
                logs.iter().map(|log| scope.spawn(move || self.process(target, round, log))).collect();
            processes.into_iter().try_for_each(|thread| thread.join().expect("a process is waited for"))
        })?;
        let mut ended = Ended { executions: 0, findings: self.artifacts()?.saturating_sub(before) };
        for log in &logs {
            let text = fs::read(log).with_context(|| format!("reading {}", log.display()))?;
            ended.executions += executions(&String::from_utf8_lossy(&text));
        }
        Ok(ended)
    }

    fn process(&self, target: &str, round: Duration, log: &Path) -> Result<()> {
        let file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        // How it ended is told by what it leaves in `artifacts`.
        Run::new("nice")
            .args(["-n", "19"])
            .args([binary(target)])
            .args([
                format!("-max_total_time={}", round.as_secs()),
                format!("-timeout={SLOWEST}"),
                // What passed while others had the machine would be a finding otherwise.
                format!("-report_slow_units={SLOWEST}"),
                format!("-rss_limit_mb={MEMORY}"),
                format!("-max_len={LONGEST}"),
                format!("-artifact_prefix={}/", self.artifacts.display()),
                "-print_final_stats=1".to_owned(),
            ])
            .args([&self.found, &project().join("corpus").join(target)])
            .env("TMPDIR", &self.scratch)
            .errors_to(file)
            .ended()?;
        Ok(())
    }

    /// How many findings are kept.
    fn artifacts(&self) -> Result<u64> {
        let entries =
            fs::read_dir(&self.artifacts).with_context(|| format!("reading {}", self.artifacts.display()))?;
        Ok(entries.count() as u64)
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        // In memory, and of no use: the next start of the machine removes it otherwise.
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

/// Scratch of runs that were killed: their processes are gone.
fn remove_leftovers(memory: &Path) {
    for entry in fs::read_dir(memory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(SCRATCH).and_then(|number| number.parse::<u32>().ok());
        if process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists()) {
            // What cannot be removed is in nobody's way.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// What libFuzzer says at its end, or the last number that it had reached when it was stopped.
fn executions(log: &str) -> u64 {
    let last = |line: &str| {
        let stated = line.strip_prefix("stat::number_of_executed_units:").map(str::trim);
        let pulse = line.strip_prefix('#').and_then(|rest| rest.split(['\t', ' ']).next());
        stated.or(pulse)?.parse().ok()
    };
    log.lines().filter_map(last).next_back().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_of_the_dead_is_removed_and_that_of_the_living_is_not() {
        let memory = tempfile::tempdir().unwrap();
        let of = |name: String| memory.path().join(name);
        let living = of(format!("{SCRATCH}{}", std::process::id()));
        // No process has a number as high (include/linux/threads.h, PID_MAX_LIMIT).
        let (dead, foreign) = (of(format!("{SCRATCH}{}", u32::MAX)), of("else".to_owned()));
        for folder in [&living, &dead, &foreign] {
            fs::create_dir(folder).unwrap();
        }
        remove_leftovers(memory.path());
        assert_eq!([&living, &dead, &foreign].map(|folder| folder.exists()), [true, false, true]);
    }

    #[test]
    fn inputs_are_counted_by_what_libfuzzer_said_last() {
        let log = "INFO: seed corpus: files: 2\n#3\tINITED cov: 12\n#4096\tpulse  cov: 12\n";
        assert_eq!(executions(log), 4096);
        assert_eq!(executions(&format!("{log}Done 5000 runs\nstat::number_of_executed_units: 5000\n")), 5000);
        assert_eq!(executions("no fuzzer"), 0);
    }
}
