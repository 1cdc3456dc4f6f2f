//! `trial.json`: a trial's record, and how many lines of `samples.jsonl` belong to it.

use std::{collections::BTreeMap, path::Path};

use measure::{SampleTable, TrialRecord};
use serde::Serialize;
use serde_json::Value;

use crate::StoreError;

/// The key of the number of samples.
const SAMPLES: &str = "samples";

/// What is written once a trial is finished.
#[derive(Debug, Serialize)]
pub(crate) struct Finished<'a> {
    #[serde(flatten)]
    pub(crate) record: &'a TrialRecord,
    /// Lines of `samples.jsonl`. What is cut off there is then missed, and is not taken for a trial that measured less.
    pub(crate) samples: usize,
}

/// The record, and the number of samples if it was written by an Assay that counted them.
pub(crate) fn parse(path: &Path, text: &[u8]) -> Result<(TrialRecord, Option<u64>), StoreError> {
    let damaged = |source: serde_json::Error| StoreError::Damaged {
        path: path.to_owned(),
        // Where the text is JSON and no record, there is no line.
        line: source.line().max(1),
        source,
    };
    let mut value: Value = serde_json::from_slice(text).map_err(damaged)?;
    let samples = value.as_object_mut().and_then(|fields| fields.remove(SAMPLES));
    let record = serde_json::from_value(value).map_err(damaged)?;
    Ok((record, samples.and_then(|samples| samples.as_u64())))
}

/// Finds a finished trial of which samples are missing, or has more than it measured.
pub(crate) fn check(
    path: &Path,
    expected: &BTreeMap<u32, u64>,
    samples: &SampleTable,
) -> Result<(), StoreError> {
    let mut found: BTreeMap<u32, u64> = BTreeMap::new();
    for entry in samples.entries() {
        *found.entry(entry.trial).or_default() += 1;
    }
    for (trial, expected) in expected {
        let found = found.get(trial).copied().unwrap_or(0);
        if found != *expected {
            return Err(StoreError::Incomplete {
                path: path.to_owned(),
                trial: *trial,
                found,
                expected: *expected,
            });
        }
    }
    Ok(())
}
