//! One run's folder: writing it, taking it up again, reading it.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use measure::{Sample, TrialRecord};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{FORMAT, RunFile, StoreError, durable};

/// A line of `samples.jsonl`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    trial: u32,
    arm: String,
    block: u32,
    traced: bool,
    sample: Sample,
}

/// A run as it is on disk: what was planned, and the trials that are finished.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The run's folder.
    pub folder: PathBuf,
    /// `run.json`.
    pub file: RunFile,
    /// Finished trials in the order of the schedule, with their samples.
    pub trials: Vec<TrialRecord>,
}

/// A run that this process writes to. Holds the run's lock; no other process can write as long as this lives.
#[derive(Debug)]
pub struct Run {
    folder: PathBuf,
    samples: File,
    _lock: Flock<File>,
}

impl Run {
    /// Makes a new run, named by `file.run`, in `results`. Its folder may be there already, with the logs of its builds.
    ///
    /// # Errors
    /// If there is such a run already, or its folder cannot be written.
    pub fn create(results: &Path, file: &RunFile) -> Result<Self, StoreError> {
        let folder = results.join(&file.run);
        fs::create_dir_all(&folder).map_err(StoreError::io("creating", &folder))?;
        let lock = lock(&folder)?;
        let trials = folder.join("trials");
        // A run that is there already is noticed here.
        fs::create_dir(&trials).map_err(StoreError::io("creating", &trials))?;
        let text = serde_json::to_vec_pretty(file).expect("a run file has string keys only");
        durable::publish(&folder.join("run.json"), &text)?;
        let samples = open_samples(&folder)?;
        durable::sync_folder(results)?;
        Ok(Self { folder, samples, _lock: lock })
    }

    /// Takes up an interrupted run: what unfinished trials left is removed, what is finished is given back.
    ///
    /// # Errors
    /// If there is no such run, another process writes to it, or it was written by a newer Assay.
    pub fn resume(folder: &Path) -> Result<(Self, Stored), StoreError> {
        if !folder.join("run.json").is_file() {
            return Err(StoreError::NoSuchRun { path: folder.to_owned() });
        }
        let lock = lock(folder)?;
        let stored = read(folder)?;
        let finished: Vec<u32> = stored.trials.iter().map(|trial| trial.index).collect();
        for (index, path) in trial_folders(folder)? {
            if !finished.contains(&index) {
                fs::remove_dir_all(&path).map_err(StoreError::io("removing", &path))?;
            }
        }
        let mut lines = Vec::new();
        for trial in &stored.trials {
            append_lines(&mut lines, trial);
        }
        durable::publish(&folder.join("samples.jsonl"), &lines)?;
        let samples = open_samples(folder)?;
        Ok((Self { folder: folder.to_owned(), samples, _lock: lock }, stored))
    }

    /// The run's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// An empty folder for the trial at `index`, with `raw/` in it.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn trial_folder(&self, index: u32) -> Result<PathBuf, StoreError> {
        let folder = self.folder.join("trials").join(index.to_string());
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(StoreError::io("removing", &folder))?;
        }
        let raw = folder.join("raw");
        fs::create_dir_all(&raw).map_err(StoreError::io("creating", &raw))?;
        Ok(folder)
    }

    /// Makes a finished trial durable: its samples first, then the record that says that they count.
    ///
    /// # Errors
    /// If it cannot be written; the trial then does not count.
    pub fn finish_trial(&mut self, trial: &TrialRecord) -> Result<(), StoreError> {
        let path = self.folder.join("samples.jsonl");
        let mut lines = Vec::new();
        append_lines(&mut lines, trial);
        self.samples.write_all(&lines).map_err(StoreError::io("writing", &path))?;
        self.samples.sync_all().map_err(StoreError::io("syncing", &path))?;
        let folder = self.folder.join("trials").join(trial.index.to_string());
        fs::create_dir_all(&folder).map_err(StoreError::io("creating", &folder))?;
        let text = serde_json::to_vec_pretty(trial).expect("a trial record has string keys only");
        durable::publish(&folder.join("trial.json"), &text)?;
        durable::sync_folder(&self.folder.join("trials"))
    }

    /// Keeps a text beside the run, such as its report.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep(&self, name: &str, text: &str) -> Result<PathBuf, StoreError> {
        let path = self.folder.join(name);
        durable::publish(&path, text.as_bytes())?;
        Ok(path)
    }
}

/// Reads a run, finished or not.
///
/// # Errors
/// If there is none, it is newer than this program, or a finished file of it is damaged.
pub fn read(folder: &Path) -> Result<Stored, StoreError> {
    let path = folder.join("run.json");
    if !path.is_file() {
        return Err(StoreError::NoSuchRun { path: folder.to_owned() });
    }
    let text = fs::read(&path).map_err(StoreError::io("reading", &path))?;
    refuse_newer(&path, &text)?;
    let file: RunFile = parse(&path, &text)?;

    let mut trials = BTreeMap::new();
    for (index, folder) in trial_folders(folder)? {
        let path = folder.join("trial.json");
        if path.is_file() {
            let text = fs::read(&path).map_err(StoreError::io("reading", &path))?;
            let record: TrialRecord = parse(&path, &text)?;
            trials.insert(index, record);
        }
    }
    attach_samples(&folder.join("samples.jsonl"), &mut trials)?;
    Ok(Stored { folder: folder.to_owned(), file, trials: trials.into_values().collect() })
}

/// The folders of all runs in `results`, oldest first: names begin with the time at which a run was started.
///
/// # Errors
/// If the folder itself cannot be read. A folder that does not exist holds no runs.
pub fn list(results: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match fs::read_dir(results) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io("reading", results)(error)),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.map_err(StoreError::io("reading", results))?.path();
        if path.join("run.json").is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// The run in `results` that was started last.
///
/// # Errors
/// If the folder cannot be read or holds no run.
pub fn newest(results: &Path) -> Result<PathBuf, StoreError> {
    list(results)?.pop().ok_or_else(|| StoreError::NoSuchRun { path: results.to_owned() })
}

fn lock(folder: &Path) -> Result<Flock<File>, StoreError> {
    let path = folder.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(StoreError::io("creating", &path))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| {
        if errno == nix::errno::Errno::EWOULDBLOCK {
            StoreError::Busy { path: folder.to_owned() }
        } else {
            StoreError::io("locking", &path)(errno.into())
        }
    })
}

fn open_samples(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join("samples.jsonl");
    OpenOptions::new().create(true).append(true).open(&path).map_err(StoreError::io("creating", &path))
}

fn append_lines(lines: &mut Vec<u8>, trial: &TrialRecord) {
    for sample in trial.end.samples() {
        let line = Line {
            trial: trial.index,
            arm: trial.arm.clone(),
            block: trial.block,
            traced: trial.traced,
            sample: sample.clone(),
        };
        serde_json::to_writer(&mut *lines, &line).expect("a sample serialises into memory");
        lines.push(b'\n');
    }
}

/// Gives every finished trial its samples back. A line that does not parse is damage, unless it is the last one and
/// has no end: that is what an interrupted append looks like, and its trial is not finished.
fn attach_samples(path: &Path, trials: &mut BTreeMap<u32, TrialRecord>) -> Result<(), StoreError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::io("reading", path)(error)),
    };
    for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let Some(line) = line.strip_suffix(b"\n") else { break };
        let line: Line = serde_json::from_slice(line).map_err(|source| StoreError::Damaged {
            path: path.to_owned(),
            line: number + 1,
            source,
        })?;
        if let Some(samples) = trials.get_mut(&line.trial).and_then(|trial| trial.end.samples_mut()) {
            samples.push(line.sample);
        }
    }
    Ok(())
}

fn trial_folders(run: &Path) -> Result<Vec<(u32, PathBuf)>, StoreError> {
    let path = run.join("trials");
    let mut folders = Vec::new();
    for entry in fs::read_dir(&path).map_err(StoreError::io("reading", &path))? {
        let entry = entry.map_err(StoreError::io("reading", &path))?;
        if let Some(index) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
            folders.push((index, entry.path()));
        }
    }
    folders.sort();
    Ok(folders)
}

/// A newer format may have any shape, so only the version is read before it is refused.
fn refuse_newer(path: &Path, text: &[u8]) -> Result<(), StoreError> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    #[derive(Deserialize)]
    struct PlanVersion {
        plan: Version,
    }
    let newer = |found: u32, supported: u32| {
        (found > supported).then(|| StoreError::Newer { path: path.to_owned(), found, supported })
    };
    let run: Version = parse(path, text)?;
    if let Some(newer) = newer(run.format, FORMAT) {
        return Err(newer);
    }
    let PlanVersion { plan } = parse(path, text)?;
    newer(plan.format, plan::FORMAT).map_or(Ok(()), Err)
}

fn parse<T: DeserializeOwned>(path: &Path, text: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(text).map_err(|source| StoreError::Damaged {
        path: path.to_owned(),
        line: source.line(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use measure::{Dims, Provenance, TrialEnd, metric};
    use plan::{Design, Plan};

    use super::*;
    use crate::Host;

    fn run_file() -> RunFile {
        RunFile {
            format: FORMAT,
            run: "20260101-000000-test".into(),
            assay: "0.1.0".into(),
            started: "2026-01-01T00:00:00Z".into(),
            plan: Plan {
                format: plan::FORMAT,
                name: "test".into(),
                question: "Does the store keep what it is given?".into(),
                dimensions: Vec::new(),
                arms: vec![],
                workloads: vec![],
                collectors: vec![],
                design: Design { boots: 1, traced_boots: 0, seed: 1, alpha: 0.05, boot_deadline_s: 60 },
                gates: vec![],
            },
            kernels: BTreeMap::new(),
            host: Host::default(),
        }
    }

    fn trial(index: u32, values: &[f64]) -> TrialRecord {
        let samples = values
            .iter()
            .filter_map(|value| Sample::new(&metric::THROUGHPUT, *value, Dims::new(), Provenance::Fake))
            .collect();
        TrialRecord {
            index,
            block: index,
            arm: "baseline".into(),
            traced: false,
            end: TrialEnd::Measured { samples },
            facts: BTreeMap::new(),
            boot_seconds: Some(1.5),
            took_seconds: 9.0,
            unavailable: vec![],
            warnings: vec![],
        }
    }

    #[test]
    fn gives_back_what_it_was_given() {
        let results = tempfile::tempdir().unwrap();
        let mut run = Run::create(results.path(), &run_file()).unwrap();
        let trials = [trial(0, &[1.0, 0.1 + 0.2]), trial(1, &[])];
        for trial in &trials {
            run.trial_folder(trial.index).unwrap();
            run.finish_trial(trial).unwrap();
        }
        let stored = read(run.folder()).unwrap();
        assert_eq!(stored.file, run_file());
        assert_eq!(stored.trials, trials);
    }

    #[test]
    fn keeps_finished_trials_however_the_files_are_cut() {
        let results = tempfile::tempdir().unwrap();
        let mut run = Run::create(results.path(), &run_file()).unwrap();
        run.trial_folder(0).unwrap();
        run.finish_trial(&trial(0, &[1.0, 2.0])).unwrap();
        let folder = run.folder().to_owned();
        drop(run);
        let kept = fs::read(folder.join("samples.jsonl")).unwrap();

        // A second trial dies between the first byte of its samples and its record.
        let mut lines = Vec::new();
        append_lines(&mut lines, &trial(1, &[3.0, 4.0]));
        for cut in 0..=lines.len() {
            let mut text = kept.clone();
            text.extend_from_slice(&lines[..cut]);
            fs::write(folder.join("samples.jsonl"), &text).unwrap();
            fs::create_dir_all(folder.join("trials/1/raw")).unwrap();
            assert_eq!(read(&folder).unwrap().trials, [trial(0, &[1.0, 2.0])], "cut at {cut}");

            let (mut run, stored) = Run::resume(&folder).unwrap();
            assert_eq!(stored.trials.len(), 1);
            assert!(!folder.join("trials/1").exists());
            run.trial_folder(1).unwrap();
            run.finish_trial(&trial(1, &[5.0])).unwrap();
            assert_eq!(read(&folder).unwrap().trials[1], trial(1, &[5.0]), "cut at {cut}");
            drop(run);
            fs::remove_dir_all(folder.join("trials/1")).unwrap();
        }
    }

    #[test]
    fn damage_within_a_finished_file_is_named_with_its_line() {
        let results = tempfile::tempdir().unwrap();
        let mut run = Run::create(results.path(), &run_file()).unwrap();
        run.finish_trial(&trial(0, &[1.0, 2.0])).unwrap();
        let path = run.folder().join("samples.jsonl");
        let text = fs::read_to_string(&path).unwrap().replacen("2.0", "2.0.0", 1);
        fs::write(&path, text).unwrap();
        assert!(matches!(read(run.folder()), Err(StoreError::Damaged { line: 2, .. })));
    }

    #[test]
    fn refuses_a_newer_run_and_a_second_writer() {
        let results = tempfile::tempdir().unwrap();
        let run = Run::create(results.path(), &run_file()).unwrap();
        assert!(matches!(Run::resume(run.folder()), Err(StoreError::Busy { .. })));
        assert!(matches!(Run::create(results.path(), &run_file()), Err(StoreError::Busy { .. })));
        let path = run.folder().join("run.json");
        let newer =
            |found: u32| matches!(read(run.folder()), Err(StoreError::Newer { found: f, .. }) if f == found);
        fs::write(&path, r#"{"format": 1000, "anything": []}"#).unwrap();
        assert!(newer(1000));
        fs::write(&path, r#"{"format": 1, "plan": {"format": 999, "anything": []}}"#).unwrap();
        assert!(newer(999));
    }

    #[test]
    fn reads_a_run_of_before_matrices() {
        let results = tempfile::tempdir().unwrap();
        let run = Run::create(results.path(), &run_file()).unwrap();
        let path = run.folder().join("run.json");
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("dimensions"), "what is not there takes no room");
        let older = text.replace("\"format\": 2", "\"format\": 1");
        assert_eq!(older.matches("\"format\": 1").count(), 2, "both the run's and the plan's");
        fs::write(&path, older).unwrap();
        assert_eq!(read(run.folder()).unwrap().file.plan.arms, run_file().plan.arms);
    }

    #[test]
    fn the_newest_run_is_the_one_started_last() {
        let results = tempfile::tempdir().unwrap();
        assert!(matches!(newest(results.path()), Err(StoreError::NoSuchRun { .. })));
        for run in ["20260101-000000-a", "20260102-000000-a"] {
            Run::create(results.path(), &RunFile { run: run.into(), ..run_file() }).unwrap();
        }
        assert!(newest(results.path()).unwrap().ends_with("20260102-000000-a"));
    }
}
