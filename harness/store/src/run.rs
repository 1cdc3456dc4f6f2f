//! One run's folder: writing it, and taking it up again.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use measure::TrialRecord;

use crate::{
    Claim, RunFile, StoreError, Stored,
    claim::writers_lock,
    durable,
    finished::Finished,
    lock::Lock,
    read::{BUDGET, Spent, read, trial_folders},
    samples,
};

/// A run that this process writes to. Holds the run's lock; no other process can write as long as this lives.
#[derive(Debug)]
pub struct Run {
    folder: PathBuf,
    samples: File,
    _lock: Lock,
}

impl Run {
    /// Begins the run whose folder was claimed.
    ///
    /// # Errors
    /// If its folder cannot be written.
    pub fn create(claim: Claim, file: &RunFile) -> Result<Self, StoreError> {
        let Claim { folder, lock, .. } = claim;
        let trials = folder.join("trials");
        fs::create_dir(&trials).map_err(StoreError::io("creating", &trials))?;
        let text = serde_json::to_vec_pretty(file).expect("a run file has string keys only");
        durable::publish(&folder.join("run.json"), &text)?;
        let samples = open_samples(&folder)?;
        durable::sync_folder(folder.parent().expect("a run's folder is in a results folder"))?;
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
        let lock = writers_lock(folder)?;
        let stored = read(folder)?;
        let finished: Vec<u32> = stored.trials.iter().map(|trial| trial.index).collect();
        for (index, path) in trial_folders(folder)? {
            if !finished.contains(&index) {
                fs::remove_dir_all(&path).map_err(StoreError::io("removing", &path))?;
            }
        }
        samples::keep(&folder.join("samples.jsonl"), &|index| finished.contains(&index))?;
        match fs::remove_file(folder.join(BUDGET)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("removing", folder.join(BUDGET))(error));
            }
            _ => {}
        }
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
        samples::append(&mut lines, trial);
        self.samples.write_all(&lines).map_err(StoreError::io("writing", &path))?;
        self.samples.sync_all().map_err(StoreError::io("syncing", &path))?;
        let folder = self.folder.join("trials").join(trial.index.to_string());
        fs::create_dir_all(&folder).map_err(StoreError::io("creating", &folder))?;
        let finished = Finished { record: trial, samples: trial.end.samples().len() };
        let text = serde_json::to_vec_pretty(&finished).expect("a trial record has string keys only");
        durable::publish(&folder.join("trial.json"), &text)?;
        durable::sync_folder(&self.folder.join("trials"))
    }

    /// Notes that the run stopped because its budget of so many seconds was used up: what it lacks is left out, not lost.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn note_budget(&self, seconds: u64) -> Result<(), StoreError> {
        let note = Spent { budget_s: seconds };
        let text = serde_json::to_vec_pretty(&note).expect("a number is written into memory");
        durable::publish(&self.folder.join(BUDGET), &text)
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

fn open_samples(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join("samples.jsonl");
    OpenOptions::new().create(true).append(true).open(&path).map_err(StoreError::io("creating", &path))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use measure::{Dims, Provenance, Sample, TrialEnd, metric};
    use plan::{Design, Plan};

    use super::*;
    use crate::{FORMAT, Host, newest};

    fn run_file() -> RunFile {
        RunFile {
            command: "assay run scenarios/null.yaml".into(),
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
                design: Design::of(1),
                gates: vec![],
                test_gates: vec![],
                known_complaints: vec![],
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
            perturbation: None,
            end: TrialEnd::Measured { samples },
            facts: BTreeMap::new(),
            boot_seconds: Some(1.5),
            took_seconds: 9.0,
            unavailable: vec![],
            warnings: vec![],
            complaints: vec![],
            tests: vec![],
            voids: vec![],
            set_aside: vec![],
            within: vec![],
            timelines: vec![],
            began: None,
        }
    }

    fn create(results: &Path, file: &RunFile) -> Run {
        Run::create(Claim::new(results, &file.run).unwrap(), file).unwrap()
    }

    /// The stored trials, each with its samples.
    fn trials(stored: Stored) -> Vec<TrialRecord> {
        let mut trials = stored.trials;
        for trial in &mut trials {
            trial.end.samples_mut().unwrap().extend(stored.samples.of_trial(trial.index));
        }
        trials
    }

    #[test]
    fn gives_back_what_it_was_given() {
        let results = tempfile::tempdir().unwrap();
        let mut run = create(results.path(), &run_file());
        let given = [trial(0, &[1.0, 0.1 + 0.2]), trial(1, &[])];
        for trial in &given {
            run.trial_folder(trial.index).unwrap();
            run.finish_trial(trial).unwrap();
        }
        let stored = read(run.folder()).unwrap();
        assert_eq!(stored.file, run_file());
        assert_eq!(trials(stored), given);
    }

    #[test]
    fn keeps_finished_trials_however_the_files_are_cut() {
        let results = tempfile::tempdir().unwrap();
        let mut run = create(results.path(), &run_file());
        run.trial_folder(0).unwrap();
        run.finish_trial(&trial(0, &[1.0, 2.0])).unwrap();
        let folder = run.folder().to_owned();
        drop(run);
        let kept = fs::read(folder.join("samples.jsonl")).unwrap();

        // A second trial dies between the first byte of its samples and its record.
        let mut lines = Vec::new();
        samples::append(&mut lines, &trial(1, &[3.0, 4.0]));
        for cut in 0..=lines.len() {
            let mut text = kept.clone();
            text.extend_from_slice(&lines[..cut]);
            fs::write(folder.join("samples.jsonl"), &text).unwrap();
            fs::create_dir_all(folder.join("trials/1/raw")).unwrap();
            assert_eq!(trials(read(&folder).unwrap()), [trial(0, &[1.0, 2.0])], "cut at {cut}");

            let (mut run, stored) = Run::resume(&folder).unwrap();
            assert_eq!(stored.trials.len(), 1);
            assert!(!folder.join("trials/1").exists());
            run.trial_folder(1).unwrap();
            run.finish_trial(&trial(1, &[5.0])).unwrap();
            assert_eq!(trials(read(&folder).unwrap())[1], trial(1, &[5.0]), "cut at {cut}");
            drop(run);
            fs::remove_dir_all(folder.join("trials/1")).unwrap();
        }
    }

    #[test]
    fn damage_within_a_finished_file_is_named_with_its_line() {
        let results = tempfile::tempdir().unwrap();
        let mut run = create(results.path(), &run_file());
        run.finish_trial(&trial(0, &[1.0, 2.0])).unwrap();
        let path = run.folder().join("samples.jsonl");
        let text = fs::read_to_string(&path).unwrap().replacen("2.0", "2.0.0", 1);
        fs::write(&path, text).unwrap();
        assert!(matches!(read(run.folder()), Err(StoreError::Damaged { line: 2, .. })));
    }

    #[test]
    fn samples_that_are_cut_off_are_missed_wherever_the_cut_is() {
        let results = tempfile::tempdir().unwrap();
        let mut run = create(results.path(), &run_file());
        run.finish_trial(&trial(0, &[1.0, 2.0])).unwrap();
        run.finish_trial(&trial(1, &[3.0])).unwrap();
        let path = run.folder().join("samples.jsonl");
        let whole = fs::read(&path).unwrap();
        // The end of the last line is no part of its sample.
        for cut in 0..whole.len() - 1 {
            fs::write(&path, &whole[..cut]).unwrap();
            let missed = read(run.folder()).unwrap_err();
            assert!(
                matches!(missed, StoreError::Incomplete { .. } | StoreError::Damaged { .. }),
                "cut at {cut}: {missed}"
            );
        }
        fs::write(&path, whole).unwrap();
        assert_eq!(read(run.folder()).unwrap().trials.len(), 2);
    }

    #[test]
    fn records_of_before_samples_were_counted_are_read() {
        let results = tempfile::tempdir().unwrap();
        let mut run = create(results.path(), &run_file());
        run.finish_trial(&trial(0, &[1.0])).unwrap();
        let path = run.folder().join("trials/0/trial.json");
        let older = fs::read_to_string(&path).unwrap().replace(",\n  \"samples\": 1", "");
        assert!(!older.contains("samples"), "{older}");
        fs::write(&path, older).unwrap();
        assert_eq!(trials(read(run.folder()).unwrap()), [trial(0, &[1.0])]);
    }

    #[test]
    fn a_budget_that_was_used_up_is_noted_until_the_run_goes_on() {
        let results = tempfile::tempdir().unwrap();
        let run = create(results.path(), &run_file());
        run.note_budget(7200).unwrap();
        let folder = run.folder().to_owned();
        drop(run);
        assert_eq!(read(&folder).unwrap().budget_s, Some(7200));
        let (_run, stored) = Run::resume(&folder).unwrap();
        assert_eq!(stored.budget_s, Some(7200), "as it was before");
        assert_eq!(read(&folder).unwrap().budget_s, None);
    }

    #[test]
    fn refuses_a_newer_run_and_a_second_writer() {
        let results = tempfile::tempdir().unwrap();
        let run = create(results.path(), &run_file());
        assert!(matches!(Run::resume(run.folder()), Err(StoreError::Busy { .. })));

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
        let run = create(results.path(), &run_file());
        let path = run.folder().join("run.json");
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("dimensions"), "what is not there takes no room");
        let formats = [format!("\"format\": {FORMAT}"), format!("\"format\": {}", plan::FORMAT)];
        let older = formats.iter().fold(text, |text, format| text.replace(format, "\"format\": 1"));
        assert_eq!(older.matches("\"format\": 1").count(), 2, "both the run's and the plan's");
        fs::write(&path, older).unwrap();
        assert_eq!(read(run.folder()).unwrap().file.plan.arms, run_file().plan.arms);
    }

    #[test]
    fn runs_from_before_the_bench_was_recorded_are_read() {
        let results = tempfile::tempdir().unwrap();
        let mut file = run_file();
        let old = create(results.path(), &file).folder().to_owned();
        assert!(!fs::read_to_string(old.join("run.json")).unwrap().contains("bench"));
        assert_eq!(read(&old).unwrap().file.host.bench, None);
        file.run = "20260102-000000-test".into();
        let load = Some(0.25);
        file.host.bench = Some(crate::Bench { turbo: Some(false), load, ..crate::Bench::default() });
        let new = create(results.path(), &file).folder().to_owned();
        assert_eq!(read(&new).unwrap().file.host, file.host);
    }

    #[test]
    fn the_newest_run_is_the_one_started_last() {
        let results = tempfile::tempdir().unwrap();
        assert!(matches!(newest(results.path()), Err(StoreError::NoSuchRun { .. })));
        for run in ["20260101-000000-a", "20260102-000000-a"] {
            create(results.path(), &RunFile { run: run.into(), ..run_file() });
        }
        assert!(newest(results.path()).unwrap().ends_with("20260102-000000-a"));
    }
}
