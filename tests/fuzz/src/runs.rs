//! Runs on disk, and the index over a folder of them.

use std::path::Path;

use store::{ArmEntry, Ask, Contents, Environment, Index, Replay, SeriesEntry, SeriesQuery, State};

use crate::{scratch, sections::split};

/// The run's name.
const NAME: &str = "20260101-000000-x";

/// One input: files of a run in sections named by their paths; `index.sqlite` is that of the folder around it.
pub fn run(input: &[u8]) {
    let results = scratch::folder();
    let folder = results.path().join(NAME);
    let mut is_indexed = false;
    for (name, content) in split(input) {
        let is_index = name == "index.sqlite";
        is_indexed |= is_index;
        scratch::write(if is_index { results.path() } else { &folder }, name, content);
    }
    if !folder.is_dir() {
        return;
    }
    stored(&folder);
    if let Ok(Some(environment)) = Environment::of_run(&folder) {
        environment.keep(&folder).expect("it can be written");
        assert_eq!(Environment::of_run(&folder).expect("what was written can be read"), Some(environment));
    }
    if let Ok(Some(replay)) = Replay::of_run(&folder) {
        replay.keep(&folder).expect("it can be written");
        assert_eq!(Replay::of_run(&folder).expect("what was written can be read"), Some(replay));
    }
    if is_indexed {
        index(results.path());
    }
}

fn stored(folder: &Path) {
    let stored = match store::read(folder) {
        Ok(stored) => stored,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let json = serde_json::to_vec(&stored.file).expect("it was read");
    let again: store::RunFile = serde_json::from_slice(&json).expect("what was written can be read");
    assert_eq!(again, stored.file);
    for trial in &stored.trials {
        let json = serde_json::to_vec(trial).expect("it was read");
        let again: measure::TrialRecord =
            serde_json::from_slice(&json).expect("what was written can be read");
        assert_eq!(&again, trial);
    }
    for entry in stored.samples.entries() {
        assert!(entry.value.is_finite(), "{}", entry.value);
    }
}

/// Whatever the index was, what it then says is what the runs say.
fn index(results: &Path) {
    let is_run = results.join(NAME).join("run.json").is_file();
    let mut ask = Ask { results, anew: false, read: &mut |folder| contents(folder) };
    let answered = store::consult(&mut ask, |index: &Index| {
        let query = SeriesQuery { metric: "x".to_owned(), ..SeriesQuery::default() };
        let _metrics = index.metrics()?;
        Ok((index.runs(None, Some(10))?, index.count(None)?, index.series(&query)?))
    });
    let (runs, count, series) = answered.expect("an index in memory answers where none can be kept");
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    assert_eq!((names, count), if is_run { (vec![NAME], 1) } else { (vec![], 0) });
    if let [run] = runs.as_slice() {
        let is_read = matches!(run.state, State::Read(_));
        assert_eq!(is_read, store::read(&results.join(NAME)).is_ok());
        assert_eq!(series.len(), usize::from(is_read), "the series of a run that was read");
    }
}

fn contents(folder: &Path) -> Result<Contents, String> {
    let stored = store::read(folder).map_err(|error| error.to_string())?;
    let series = SeriesEntry {
        arm: "a".to_owned(),
        workload: None,
        runs: None,
        metric: "x".to_owned(),
        unit: "1".to_owned(),
        better: "higher".to_owned(),
        dims: [("k".to_owned(), "v".to_owned())].into(),
        at: Default::default(),
        provenance: "fake".to_owned(),
        values: stored.samples.entries().iter().map(|entry| entry.value).collect(),
    };
    let arm = ArmEntry {
        name: "a".to_owned(),
        side: "a".to_owned(),
        is_baseline: true,
        kernel: "k".to_owned(),
        release: None,
        source_version: None,
        build_failure: None,
        machine: "fake".to_owned(),
        boots: 1,
        boots_failed: 0,
    };
    Ok(Contents {
        scenario: stored.file.plan.name.clone(),
        question: stored.file.plan.question.clone(),
        started: stored.file.started.clone(),
        assay: stored.file.assay.clone(),
        host: stored.file.host.cpu,
        finished: true,
        trials_made: 1,
        trials_planned: 1,
        outcome: "holds".to_owned(),
        exit: 0,
        arms: vec![arm],
        gates: vec![],
        series: vec![series],
    })
}
