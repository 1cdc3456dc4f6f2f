//! Documents that are kept for later runs, or with a run: what calibrations found.

use std::path::Path;

use anyhow::Context;
use serde::{Serialize, de::DeserializeOwned};

use crate::failure::Failure;

/// Most bytes of one: a hundred patches and as many metrics, or a thousand boots of sixteen series, have a tenth of it.
const MOST: u64 = 16 << 20;

/// Written beside its place and renamed there: a report may be made at any time. Folders on the way are made.
pub(crate) fn write(path: &Path, document: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_vec_pretty(document).context("writing a calibration as JSON")?;
    let draft = path.with_extension(format!("unfinished-{}", std::process::id()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    std::fs::write(&draft, text)
        .and_then(|()| std::fs::rename(&draft, path))
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(())
}

/// Nothing if there is none, or it is of a later Assay, or it is damaged: whoever asks does without, and says so.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Failure> {
    let reading = || format!("reading {}", path.display());
    let size = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(anyhow::Error::from(error).context(reading()).into()),
    };
    if size > MOST {
        return Ok(None);
    }
    let text = std::fs::read(path).with_context(reading)?;
    Ok(serde_json::from_slice::<T>(&text).ok())
}

/// All that can be read of a folder, which need not be there.
pub(crate) fn all<T: DeserializeOwned>(folder: &Path) -> Result<Vec<T>, Failure> {
    let reading = || format!("reading {}", folder.display());
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(anyhow::Error::from(error).context(reading()).into()),
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.with_context(reading)?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            all.extend(read::<T>(&path)?);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_found_and_what_is_damaged_or_foreign_is_passed_over() {
        let room = tempfile::tempdir().unwrap();
        let folder = room.path().join("calibrations");
        assert_eq!(all::<Vec<u32>>(&folder).unwrap(), Vec::<Vec<u32>>::new());
        write(&folder.join("a.json"), &vec![1_u32, 2]).unwrap();
        std::fs::write(folder.join("b.json"), "[1,").unwrap();
        std::fs::write(folder.join("c.unfinished-7"), "[3]").unwrap();
        std::fs::write(folder.join("d.json"), "{}").unwrap();
        assert_eq!(all::<Vec<u32>>(&folder).unwrap(), [vec![1, 2]]);
        assert_eq!(read::<Vec<u32>>(&folder.join("absent.json")).unwrap(), None);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 4);
    }
}
