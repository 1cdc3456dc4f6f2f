//! The trials of a run that are finished, as bytes on disk.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

/// A trial's record and its lines in `samples.jsonl`.
pub(crate) type Record = (Vec<u8>, Vec<String>);

/// The finished trials of a run by their index; none if there is no run yet.
pub(crate) fn trials(run: &Path) -> Result<BTreeMap<u32, Record>> {
    let mut found = BTreeMap::new();
    let Ok(folders) = fs::read_dir(run.join("trials")) else { return Ok(found) };
    for folder in folders {
        let folder = folder.context("reading trials")?;
        let Some(index) = folder.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Ok(record) = fs::read(folder.path().join("trial.json")) {
            found.insert(index, (record, vec![]));
        }
    }
    let samples = fs::read(run.join("samples.jsonl")).unwrap_or_default();
    for line in String::from_utf8_lossy(&samples).split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        // A cut or damaged line belongs to no finished trial; if it did, the trial's lines would differ afterwards.
        let Ok(sample) = serde_json::from_str::<Value>(line) else { continue };
        let trial = sample["trial"].as_u64().and_then(|trial| u32::try_from(trial).ok());
        if let Some((_, lines)) = trial.and_then(|trial| found.get_mut(&trial)) {
            lines.push(line.to_owned());
        }
    }
    Ok(found)
}

/// The trials of `before` that are not in `after` as they were.
pub(crate) fn lost(before: &BTreeMap<u32, Record>, after: &BTreeMap<u32, Record>) -> Vec<u32> {
    before
        .iter()
        .filter(|(index, record)| after.get(index) != Some(record))
        .map(|(index, _)| *index)
        .collect()
}
