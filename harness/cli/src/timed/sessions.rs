//! Sessions of identical arms that were made on this machine: kept in the cache, and what follows from them with every run that is read by it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use plan::{Evidence, Plan};
use report::{NOISE_FORMAT, Noise, SESSION_FORMAT, Session};
use serde::{Serialize, de::DeserializeOwned};

use crate::{failure::Failure, lab::Lab};

/// What a run is read by, beside `run.json`.
pub(crate) const FILE: &str = "noise.json";

/// Most bytes of one: a thousand boots of sixteen series have a tenth of it.
const MOST: u64 = 16 << 20;

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
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("creating {}", self.folder.display()))?;
        let path = self.folder.join(format!("{}.json", session.run));
        write(&path, session)?;
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
        let all = self.all()?;
        let of_plan: Vec<Session> =
            all.into_iter().filter(|session| session.is_of(plan, &host.cpu, host.cpus, qemu)).collect();
        self.together(of_plan)
    }

    /// What these sessions say. That takes seconds of simulation, and every plan asks: it is kept for as long as the sessions are the same.
    fn together(&self, sessions: Vec<Session>) -> Result<Option<Noise>, Failure> {
        let mut runs: Vec<&str> = sessions.iter().map(|session| session.run.as_str()).collect();
        runs.sort_unstable();
        let Some(newest) = runs.last() else { return Ok(None) };
        let folder = self.folder.join("known");
        let path = folder.join(format!("{newest}.json"));
        let boots = |sessions: &[Session]| sessions.iter().map(|session| session.boots).sum::<usize>();
        if let Some(known) = read::<Noise>(&path)?.filter(|known| {
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
            std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
            write(&path, noise)?;
        }
        Ok(noise)
    }

    fn all(&self) -> Result<Vec<Session>, Failure> {
        let reading = || format!("reading {}", self.folder.display());
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
            Err(error) => return Err(anyhow::Error::from(error).context(reading()).into()),
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry.with_context(reading)?.path();
            if path.extension().is_some_and(|ending| ending == "json") {
                let found = read::<Session>(&path)?;
                all.extend(found.filter(|found| found.format == SESSION_FORMAT && found.is_sound()));
            }
        }
        Ok(all)
    }
}

/// Keeps with a run what it is read by.
pub(crate) fn keep(folder: &Path, noise: &Noise) -> Result<(), Failure> {
    write(&folder.join(FILE), noise)
}

/// What the run in `folder` is read by, if something is.
pub(crate) fn of_run(folder: &Path) -> Result<Option<Noise>, Failure> {
    Ok(read::<Noise>(&folder.join(FILE))?.filter(|found| found.format == NOISE_FORMAT && found.is_sound()))
}

/// Written beside its place and renamed there: a report may be made at any time.
fn write(path: &Path, document: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_vec_pretty(document).context("writing a calibration as JSON")?;
    let draft = path.with_extension(format!("unfinished-{}", std::process::id()));
    std::fs::write(&draft, text)
        .and_then(|()| std::fs::rename(&draft, path))
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(())
}

/// Nothing if there is none, or it is of a later Assay, or it is damaged: a report then does without.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Failure> {
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
