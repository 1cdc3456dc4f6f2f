//! Whether a run's folder is still what was indexed.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use crate::read::trial_folders;

/// Size and time of everything that a report is made from. Nanoseconds, since a run grows many times in a second on the fake machine;
/// the number of the file, since a restored copy may bring its times along. What cannot be looked at is a stamp as well: whoever reads the
/// run says why, and other runs are none the worse for it.
pub(super) fn stamp(run: &Path) -> String {
    let mut stamp = String::new();
    for name in ["run.json", "samples.jsonl"] {
        stamp.push_str(&of(&run.join(name)));
        stamp.push(' ');
    }
    // A record appears without a trace in the times of the folders above it.
    let (mut trials, mut newest) = (0_u64, 0_i128);
    for (_, folder) in trial_folders(run).unwrap_or_default() {
        if let Ok(metadata) = fs::metadata(folder.join("trial.json")) {
            trials += 1;
            newest = newest.max(nanoseconds(&metadata));
        }
    }
    stamp.push_str(&format!("{trials}:{newest}"));
    stamp
}

fn of(path: &Path) -> String {
    match fs::metadata(path) {
        Ok(metadata) => format!("{}:{}:{}", metadata.ino(), metadata.len(), nanoseconds(&metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => "-".to_owned(),
        Err(_) => "?".to_owned(),
    }
}

fn nanoseconds(metadata: &Metadata) -> i128 {
    i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())
}
