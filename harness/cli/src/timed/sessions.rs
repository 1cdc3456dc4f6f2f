//! Sessions of identical arms that were made on this machine: kept in the cache, and what follows from them with every run that is read by it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use plan::{Evidence, Plan};
use report::{NOISE_FORMAT, Noise, SESSION_FORMAT, Session};

use crate::{failure::Failure, kept, lab::Lab};

/// What a run is read by, beside `run.json`.
pub(crate) const FILE: &str = "noise.json";

/// The sessions of a cache.
pub(crate) struct Sessions {
    folder: PathBuf,
}

impl Sessions {
    pub(crate) fn of(lab: &Lab) -> Self {
        Self { folder: lab.cache().join("calibrations").join("timed") }
    }

    /// Keeps one; what the same run left before is replaced.
    pub(crate) fn add(&self, session: &Session) -> Result<PathBuf, Failure> {
        let path = self.folder.join(format!("{}.json", session.run));
        kept::write(&path, session)?;
        Ok(path)
    }

    /// What all sessions of a plan's machine and workloads say that were made on a host like this; nothing if there is none, or where nothing is timed.
    /// Under any QEMU if none is named.
    pub(crate) fn find(
        &self,
        plan: &Plan,
        host: &store::Host,
        qemu: Option<&str>,
    ) -> Result<Option<Noise>, Failure> {
        if plan.evidence() == Evidence::Exact || !plan.dimensions.is_empty() || !plan.flavour().is_plain() {
            return Ok(None);
        }
        let is_usable = |found: &Session| found.format == SESSION_FORMAT && found.is_sound();
        let all = kept::all::<Session>(&self.folder)?.into_iter().filter(is_usable);
        self.together(all.filter(|session| session.is_of(plan, &host.cpu, host.cpus, qemu)).collect())
    }

    /// What these sessions say. That takes seconds of simulation, and every plan asks: it is kept for as long as the sessions are the same.
    fn together(&self, sessions: Vec<Session>) -> Result<Option<Noise>, Failure> {
        let mut runs: Vec<&str> = sessions.iter().map(|session| session.run.as_str()).collect();
        runs.sort_unstable();
        let Some(newest) = runs.last() else { return Ok(None) };
        let folder = self.folder.join("known");
        let path = folder.join(format!("{newest}.json"));
        let boots = |sessions: &[Session]| sessions.iter().map(|session| session.boots).sum::<usize>();
        if let Some(known) = kept::read::<Noise>(&path)?.filter(|known| {
            let mut of_known: Vec<&str> = known.sessions.iter().map(|session| session.run.as_str()).collect();
            of_known.sort_unstable();
            // A session that was interrupted is kept anew once it was taken up.
            of_known == runs
                && known.boots() == boots(&sessions)
                && known.format == NOISE_FORMAT
                && known.is_sound()
        }) {
            return Ok(Some(known));
        }
        let noise = Noise::of(sessions).context("putting calibrations together")?;
        if let Some(noise) = &noise {
            kept::write(&path, noise)?;
        }
        Ok(noise)
    }
}

/// Keeps with a run what it is read by.
pub(crate) fn keep(folder: &Path, noise: &Noise) -> Result<(), Failure> {
    kept::write(&folder.join(FILE), noise)
}

/// What the run in `folder` is read by, if something is.
pub(crate) fn of_run(folder: &Path) -> Result<Option<Noise>, Failure> {
    let found = kept::read::<Noise>(&folder.join(FILE))?;
    Ok(found.filter(|found| found.format == NOISE_FORMAT && found.is_sound()))
}
