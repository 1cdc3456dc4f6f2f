//! Calibrations that were made: kept in the cache, and with every run that is judged by one.

use std::path::{Path, PathBuf};

use anyhow::Context;
use measure::BuildEnd;
use plan::{Evidence, Plan};
use report::{CALIBRATION_FORMAT, Calibration};

use crate::{failure::Failure, lab::Lab};

/// The calibration that a run is judged by, beside `run.json`.
pub(crate) const FILE: &str = "calibration.json";

/// Most bytes of one: a hundred patches and as many metrics have a tenth of it.
const MOST: u64 = 16 << 20;

/// The calibrations of a cache.
pub(crate) struct Calibrations {
    folder: PathBuf,
}

impl Calibrations {
    pub(crate) fn of(lab: &Lab) -> Self {
        Self { folder: lab.cache().join("calibrations") }
    }

    /// Keeps one; what the same run left before is replaced.
    pub(crate) fn add(&self, calibration: &Calibration) -> Result<PathBuf, Failure> {
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("creating {}", self.folder.display()))?;
        let path = self.folder.join(format!("{}.json", calibration.run));
        write(&path, calibration)?;
        Ok(path)
    }

    /// The newest that says something about this plan, whose baseline was built like this.
    pub(crate) fn find(
        &self,
        plan: &Plan,
        baseline: Option<&BuildEnd>,
        qemu: &str,
    ) -> Result<Option<Calibration>, Failure> {
        let (Evidence::Exact, Some(BuildEnd::Built(image))) = (plan.evidence(), baseline) else {
            return Ok(None);
        };
        let reading = || format!("reading {}", self.folder.display());
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(anyhow::Error::from(error).context(reading()).into()),
        };
        let mut newest: Option<Calibration> = None;
        for entry in entries {
            let path = entry.with_context(reading)?.path();
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            let Some(found) = read(&path)?.filter(|found| found.is_of(plan, &image.key, qemu)) else {
                continue;
            };
            if newest.as_ref().is_none_or(|newest| newest.started < found.started) {
                newest = Some(found);
            }
        }
        Ok(newest)
    }
}

/// Keeps with a run what it is judged by.
pub(crate) fn keep(folder: &Path, calibration: &Calibration) -> Result<(), Failure> {
    write(&folder.join(FILE), calibration)
}

/// What the run in `folder` is judged by, if something is.
pub(crate) fn of_run(folder: &Path) -> Result<Option<Calibration>, Failure> {
    read(&folder.join(FILE))
}

/// Written beside its place and renamed there: a report may be made at any time.
fn write(path: &Path, calibration: &Calibration) -> Result<(), Failure> {
    let text = serde_json::to_vec_pretty(calibration).context("writing a calibration as JSON")?;
    let draft = path.with_extension(format!("unfinished-{}", std::process::id()));
    std::fs::write(&draft, text)
        .and_then(|()| std::fs::rename(&draft, path))
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(())
}

/// Nothing if there is none, or it is of a later Assay, or it is damaged: a verdict is then made without, and says so.
fn read(path: &Path) -> Result<Option<Calibration>, Failure> {
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
    let found = serde_json::from_slice::<Calibration>(&text).ok();
    Ok(found.filter(|found| found.format == CALIBRATION_FORMAT && found.is_sound()))
}
