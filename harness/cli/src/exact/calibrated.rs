//! Calibrations that were made: kept in the cache, and with every run that is judged by one.

use std::path::{Path, PathBuf};

use measure::BuildEnd;
use plan::{Evidence, Plan};
use report::{CALIBRATION_FORMAT, Calibration};

use crate::{failure::Failure, kept, lab::Lab};

/// The calibration that a run is judged by, beside `run.json`.
pub(crate) const FILE: &str = "calibration.json";

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
        let path = self.folder.join(format!("{}.json", calibration.run));
        kept::write(&path, calibration)?;
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
        let all = kept::all::<Calibration>(&self.folder)?.into_iter();
        let of_plan = all.filter(|found| is_usable(found) && found.is_of(plan, &image.key, qemu));
        Ok(of_plan.max_by(|one, other| one.started.cmp(&other.started)))
    }
}

/// Keeps with a run what it is judged by.
pub(crate) fn keep(folder: &Path, calibration: &Calibration) -> Result<(), Failure> {
    kept::write(&folder.join(FILE), calibration)
}

/// What the run in `folder` is judged by, if something is.
pub(crate) fn of_run(folder: &Path) -> Result<Option<Calibration>, Failure> {
    // Counted in the worlds of its time, as the run was.
    Ok(kept::read(&folder.join(FILE))?
        .filter(|found: &Calibration| found.format <= CALIBRATION_FORMAT && found.is_sound()))
}

/// Not of another Assay, and not damaged.
fn is_usable(found: &Calibration) -> bool {
    found.format == CALIBRATION_FORMAT && found.is_sound()
}
