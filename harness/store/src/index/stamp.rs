//! Whether a run's folder is still what was indexed.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use crate::{StoreError, read::trial_folders};

/// Size and time of everything that a report is made from. Nanoseconds, since a run grows many times in a second on the fake machine;
/// the number of the file, since a restored copy may bring its times along.
pub(super) fn stamp(run: &Path) -> Result<String, StoreError> {
    let mut stamp = String::new();
    for name in ["run.json", "samples.jsonl"] {
        stamp.push_str(&of(&run.join(name))?);
        stamp.push(' ');
    }
    // A record appears without a trace in the times of the folders above it.
    let (mut trials, mut newest) = (0_u64, 0_i128);
    let folders = if run.join("trials").is_dir() { trial_folders(run)? } else { Vec::new() };
    for (_, folder) in folders {
        let path = folder.join("trial.json");
        if let Some(metadata) = metadata(&path)? {
            trials += 1;
            newest = newest.max(nanoseconds(&metadata));
        }
    }
    stamp.push_str(&format!("{trials}:{newest}"));
    Ok(stamp)
}

fn of(path: &Path) -> Result<String, StoreError> {
    Ok(match metadata(path)? {
        Some(metadata) => format!("{}:{}:{}", metadata.ino(), metadata.len(), nanoseconds(&metadata)),
        None => "-".to_owned(),
    })
}

fn metadata(path: &Path) -> Result<Option<Metadata>, StoreError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("looking at", path)(error)),
    }
}

fn nanoseconds(metadata: &Metadata) -> i128 {
    i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())
}
