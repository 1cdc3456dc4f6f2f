//! What came of faults in earlier parts of a whole matrix, kept beside `assay` in cargo's target folder.

use std::{fs, path::PathBuf, time::UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::round::Outcome;

/// A folder for this very `assay`: one that was built later has survived nothing yet.
fn folder() -> Result<PathBuf> {
    let assay = tests::assay();
    let built = fs::metadata(&assay).and_then(|about| about.modified()).context("looking at assay")?;
    let stamp = built.duration_since(UNIX_EPOCH).context("a time after 1970")?.as_millis();
    Ok(assay.with_file_name("faults-survived").join(stamp.to_string()))
}

/// What came of a fault, if it was survived.
pub(crate) fn read(name: &str) -> Result<Option<Outcome>> {
    let path = folder()?.join(format!("{name}.json"));
    match fs::read(&path) {
        Ok(text) => {
            Ok(Some(serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))?))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

/// Keeps what came of a fault that was survived.
pub(crate) fn write(outcome: &Outcome) -> Result<()> {
    let folder = folder()?;
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let path = folder.join(format!("{}.json", outcome.name));
    let text = serde_json::to_vec(outcome).context("writing an outcome")?;
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}
