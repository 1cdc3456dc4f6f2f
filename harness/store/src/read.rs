//! Reading runs: one, the newest, all.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use measure::{SampleTable, TrialRecord};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{FORMAT, RunFile, StoreError, finished, samples};

/// A run as it is on disk: what was planned, and the trials that are finished.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The run's folder.
    pub folder: PathBuf,
    /// `run.json`.
    pub file: RunFile,
    /// Finished trials in the order of the schedule; what they measured is in `samples`.
    pub trials: Vec<TrialRecord>,
    /// The samples of the finished trials.
    pub samples: SampleTable,
    /// The budget in seconds, if the run stopped because it was used up.
    pub budget_s: Option<u64>,
}

/// Where a run says that it stopped for its budget.
pub(crate) const BUDGET: &str = "budget.json";

/// What stands there.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spent {
    /// Seconds that the run was given.
    pub(crate) budget_s: u64,
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

    let (mut trials, mut expected) = (BTreeMap::<u32, TrialRecord>::new(), BTreeMap::new());
    for (index, folder) in trial_folders(folder)? {
        let path = folder.join("trial.json");
        if path.is_file() {
            let text = fs::read(&path).map_err(StoreError::io("reading", &path))?;
            let (record, samples) = finished::parse(&path, &text)?;
            expected.extend(samples.map(|samples| (index, samples)));
            trials.insert(index, record);
        }
    }
    let counts = |index| trials.get(&index).is_some_and(|trial| trial.end.can_have_samples());
    let path = folder.join("samples.jsonl");
    let samples = samples::read(&path, &counts)?;
    finished::check(&path, &expected, &samples)?;
    let path = folder.join(BUDGET);
    let spent: Option<Spent> = match fs::read(&path) {
        Ok(text) => Some(parse(&path, &text)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(StoreError::io("reading", &path)(error)),
    };
    let budget_s = spent.map(|spent| spent.budget_s);
    Ok(Stored { folder: folder.to_owned(), file, trials: trials.into_values().collect(), samples, budget_s })
}

/// The folders of all runs in `results`, oldest first: names begin with the time at which a run was started.
///
/// # Errors
/// If the folder itself cannot be read. A folder that does not exist holds no runs.
pub fn list(results: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut folders = folders(results)?;
    folders.retain(|folder| folder.join("run.json").is_file());
    Ok(folders)
}

/// Every folder in `results`, sorted by name.
pub(crate) fn folders(results: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match fs::read_dir(results) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io("reading", results)(error)),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.map_err(StoreError::io("reading", results))?.path();
        // A link to a folder will do: runs can be kept elsewhere.
        if path.is_dir() {
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

pub(crate) fn trial_folders(run: &Path) -> Result<Vec<(u32, PathBuf)>, StoreError> {
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

/// A file of its own form beside a run; none if it is not there.
pub(crate) fn versioned<T: DeserializeOwned>(path: &Path, supported: u32) -> Result<Option<T>, StoreError> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("reading", path)(error)),
    };
    let Version { format: found } = parse(path, &text)?;
    if found > supported {
        return Err(StoreError::Newer { path: path.to_owned(), found, supported });
    }
    parse(path, &text).map(Some)
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
