//! The index says what the folders hold, whatever happens to its file.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;

/// A results folder whose runs are nothing but a `run.json` with a number in it.
struct Results {
    folder: tempfile::TempDir,
    reads: AtomicU32,
}

impl Results {
    fn with(runs: &[(&str, &str)]) -> Self {
        let results = Self { folder: tempfile::tempdir().unwrap(), reads: AtomicU32::new(0) };
        runs.iter().for_each(|(name, value)| results.write(name, value));
        results
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn index(&self) -> PathBuf {
        Index::path(self.path())
    }

    fn write(&self, run: &str, value: &str) {
        fs::create_dir_all(self.path().join(run)).unwrap();
        fs::write(self.path().join(run).join("run.json"), value).unwrap();
    }

    fn consult<T>(&self, question: impl Fn(&Index) -> rusqlite::Result<T>) -> T {
        self.asked(false, question)
    }

    fn asked<T>(&self, anew: bool, question: impl Fn(&Index) -> rusqlite::Result<T>) -> T {
        let mut read = |folder: &Path| {
            self.reads.fetch_add(1, Ordering::SeqCst);
            let text = fs::read_to_string(folder.join("run.json")).unwrap();
            text.parse().map(contents).map_err(|_| format!("{text} is no number"))
        };
        consult(&mut Ask { results: self.path(), anew, read: &mut read }, question).unwrap()
    }

    /// Every run's name with its number, newest first.
    fn runs(&self) -> Vec<(String, Result<f64, String>)> {
        let runs = self.consult(|index| index.runs(None, None));
        let mut values: BTreeMap<String, f64> = BTreeMap::new();
        for found in self.consult(|index| index.series(&throughput())) {
            values.insert(found.run, found.series.values[0]);
        }
        let state = |entry: RunEntry| {
            let value = match entry.state {
                State::Read(_) => Ok(values[&entry.name]),
                State::Damaged { reason } => Err(reason),
            };
            (entry.name, value)
        };
        runs.into_iter().map(state).collect()
    }

    fn reads(&self) -> u32 {
        self.reads.swap(0, Ordering::SeqCst)
    }
}

fn throughput() -> SeriesQuery {
    SeriesQuery { metric: "throughput".into(), ..SeriesQuery::default() }
}

fn arm(name: &str) -> ArmEntry {
    ArmEntry {
        name: name.into(),
        side: name.split('@').next().unwrap().into(),
        is_baseline: name.starts_with("baseline"),
        kernel: "debian-6.12".into(),
        release: Some("6.12.57".into()),
        source_version: None,
        build_failure: None,
        machine: "fake".into(),
        boots: 3,
        boots_failed: 1,
    }
}

fn contents(value: f64) -> Contents {
    let series = |arm: &str, core: &str, value: f64| SeriesEntry {
        arm: arm.into(),
        workload: Some("tcp".into()),
        runs: Some("iperf3".into()),
        metric: "throughput".into(),
        unit: "bits-per-second".into(),
        better: "higher".into(),
        dims: [("core".to_owned(), core.to_owned())].into(),
        at: [("vcpus".to_owned(), "2".to_owned())].into(),
        provenance: "fake".into(),
        values: vec![value, -0.0, 5e-324],
    };
    Contents {
        scenario: if value < 10.0 { "small".into() } else { "large".into() },
        question: "?".into(),
        started: "2026-01-01T00:00:00Z".into(),
        assay: "0.1.0".into(),
        host: "none".into(),
        finished: true,
        trials_made: 6,
        trials_planned: 6,
        outcome: "fails".into(),
        exit: 1,
        arms: vec![arm("baseline@vcpus=2"), arm("candidate@vcpus=2")],
        gates: vec![GateEntry {
            arm: "candidate".into(),
            label: "tcp throughput".into(),
            verdict: "worse".into(),
        }],
        series: vec![series("baseline@vcpus=2", "0", value), series("candidate@vcpus=2", "0", value * 2.0)],
    }
}

#[test]
fn gives_back_what_it_was_given() {
    let results = Results::with(&[("20260101-a", "7")]);
    let entry = results.consult(|index| index.runs(None, None)).remove(0);
    let expected = Contents { series: vec![], ..contents(7.0) };
    assert_eq!(entry, RunEntry { name: "20260101-a".into(), state: State::Read(Box::new(expected)) });
    let series = |query: SeriesQuery| {
        let found = results.consult(|index| index.series(&query));
        found.into_iter().map(|found| (found.arm.name, found.series)).collect::<Vec<_>>()
    };
    let [baseline, candidate] = <[SeriesEntry; 2]>::try_from(contents(7.0).series).unwrap();
    assert_eq!(series(throughput()), [("baseline@vcpus=2".to_owned(), baseline)]);
    let of_candidate = SeriesQuery { arm: Some("candidate".into()), ..throughput() };
    assert_eq!(series(of_candidate.clone()), [("candidate@vcpus=2".to_owned(), candidate)]);
    let core =
        |core: &str| SeriesQuery { dims: [("core".into(), core.into())].into(), ..of_candidate.clone() };
    assert_eq!((series(core("0")).len(), series(core("1")).len()), (1, 0));
    let vcpus = |vcpus: &str| SeriesQuery { dims: [("vcpus".into(), vcpus.into())].into(), ..throughput() };
    assert_eq!((series(vcpus("2")).len(), series(vcpus("4")).len()), (1, 0));
    let by_name = SeriesQuery { arm: Some("candidate@vcpus=2".into()), ..throughput() };
    assert_eq!(series(by_name).len(), 1);
    assert_eq!(results.consult(Index::metrics), ["throughput"]);
}

#[test]
fn a_run_is_read_again_when_it_changed_and_only_then() {
    let results = Results::with(&[("20260101-a", "1"), ("20260102-b", "2")]);
    let all = |runs: &[(&str, f64)]| -> Vec<_> {
        runs.iter().map(|(name, value)| ((*name).to_owned(), Ok(*value))).collect()
    };
    assert_eq!(results.runs(), all(&[("20260102-b", 2.0), ("20260101-a", 1.0)]));
    assert_eq!(results.reads(), 2);
    assert_eq!(results.runs().len(), 2);
    assert_eq!(results.reads(), 0);
    results.write("20260101-a", "11");
    results.write("20260103-c", "3");
    assert_eq!(results.runs(), all(&[("20260103-c", 3.0), ("20260102-b", 2.0), ("20260101-a", 11.0)]));
    assert_eq!(results.reads(), 2);
    // A trial that ends is a change, although no folder above its record shows it.
    fs::create_dir_all(results.path().join("20260101-a/trials/0")).unwrap();
    assert_eq!(results.runs().len(), 3);
    results.reads();
    fs::write(results.path().join("20260101-a/trials/0/trial.json"), "{}").unwrap();
    assert_eq!((results.runs().len(), results.reads()), (3, 1));
    fs::remove_dir_all(results.path().join("20260102-b")).unwrap();
    assert_eq!(results.runs(), all(&[("20260103-c", 3.0), ("20260101-a", 11.0)]));
    assert_eq!(results.reads(), 0);
    results.asked(true, |index| index.count(None));
    assert_eq!(results.reads(), 2);
}

#[test]
fn a_run_that_cannot_be_read_is_there_with_the_reason() {
    let results = Results::with(&[("20260101-a", "1"), ("20260102-b", "rubbish")]);
    let reason = Err("rubbish is no number".to_owned());
    let expected = [("20260102-b".to_owned(), reason), ("20260101-a".to_owned(), Ok(1.0))];
    assert_eq!(results.runs(), expected);
    results.write("20260102-b", "2");
    assert_eq!(results.runs()[0], ("20260102-b".to_owned(), Ok(2.0)));
}

#[test]
fn one_scenario_and_a_limit() {
    let results = Results::with(&[("20260101-a", "1"), ("20260102-b", "20"), ("20260103-c", "3")]);
    let names = |scenario, limit| -> Vec<String> {
        let runs = results.consult(|index| index.runs(scenario, limit));
        runs.into_iter().map(|entry| entry.name).collect()
    };
    assert_eq!(names(Some("small"), None), ["20260103-c", "20260101-a"]);
    assert_eq!(names(Some("small"), Some(1)), ["20260103-c"]);
    assert_eq!(names(None, Some(2)), ["20260103-c", "20260102-b"]);
    assert_eq!(results.consult(|index| index.count(Some("small"))), 2);
}

#[test]
fn whatever_is_in_the_indexs_place_the_answer_is_the_same() {
    let results = Results::with(&[("20260101-a", "1"), ("20260102-b", "2")]);
    let expected = results.runs();
    let whole = fs::read(results.index()).unwrap();
    let foreign = {
        let path = results.path().join("foreign");
        Connection::open(&path)
            .unwrap()
            .execute_batch("CREATE TABLE run (x); CREATE TABLE other (y)")
            .unwrap();
        fs::read(path).unwrap()
    };
    let mut places = vec![b"rubbish".to_vec(), vec![0; 70_000], Vec::new(), foreign];
    places.extend((0..whole.len()).step_by(4096 + 512).map(|length| whole[..length].to_vec()));
    for (number, place) in places.iter().enumerate() {
        fs::write(results.index(), place).unwrap();
        assert_eq!(results.runs(), expected, "place {number} of {} bytes", place.len());
        // What was put there is whole again.
        results.reads();
        assert_eq!((results.runs(), results.reads()), (expected.clone(), 0), "place {number}");
    }
    fs::remove_file(results.index()).unwrap();
    assert_eq!(results.runs(), expected);
}

#[test]
fn an_index_of_another_version_is_made_anew() {
    let results = Results::with(&[("20260101-a", "1")]);
    let expected = results.runs();
    let connection = Connection::open(results.index()).unwrap();
    connection.execute("UPDATE run SET scenario = 'something else'", []).unwrap();
    connection.pragma_update(None, "user_version", VERSION + 1).unwrap();
    drop(connection);
    results.reads();
    assert_eq!((results.runs(), results.reads()), (expected, 1));
    assert_eq!(results.consult(|index| index.count(Some("something else"))), 0);
}

#[test]
fn where_nothing_can_be_kept_memory_answers() {
    let results = Results::with(&[("20260101-a", "1")]);
    fs::create_dir(results.path().join("index.lock")).unwrap();
    assert_eq!(results.runs(), [("20260101-a".to_owned(), Ok(1.0))]);
    assert!(!results.index().exists());
    fs::remove_dir(results.path().join("index.lock")).unwrap();
    fs::create_dir(results.index()).unwrap();
    assert_eq!(results.runs(), [("20260101-a".to_owned(), Ok(1.0))]);
    assert!(results.index().is_dir());
}

#[test]
fn a_damaged_index_that_another_process_uses_is_left_alone() {
    let results = Results::with(&[("20260101-a", "1")]);
    let expected = results.runs();
    fs::write(results.index(), "rubbish").unwrap();
    let other = lock::shared_now(&results.path().join("index.lock")).unwrap().unwrap();
    assert_eq!(results.runs(), expected);
    assert_eq!(fs::read(results.index()).unwrap(), b"rubbish");
    drop(other);
    assert_eq!(results.runs(), expected);
    assert_ne!(fs::read(results.index()).unwrap(), b"rubbish");
}

#[test]
fn nothing_is_written_where_no_run_is() {
    let results = Results::with(&[]);
    assert_eq!(results.runs(), []);
    assert_eq!(fs::read_dir(results.path()).unwrap().count(), 0);
    assert_eq!(crate::list(&results.path().join("nowhere")).unwrap(), Vec::<PathBuf>::new());
}

#[test]
fn many_at_once_get_the_same_answer() {
    let results = Results::with(&[("20260101-a", "1"), ("20260102-b", "2"), ("20260103-c", "3")]);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| results.runs())).collect();
        for thread in threads {
            let values: Vec<_> =
                thread.join().unwrap().into_iter().map(|(_, value)| value.unwrap()).collect();
            assert_eq!(values, [3.0, 2.0, 1.0]);
        }
    });
    results.reads();
    assert_eq!((results.runs().len(), results.reads()), (3, 0));
}
