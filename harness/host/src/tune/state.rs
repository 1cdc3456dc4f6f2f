//! The state file: how everything was before it was changed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::{Attributes, Change, TuneError};

/// Version of the state file.
const FORMAT: u32 = 1;

/// What was written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Version of this file's layout.
    pub format: u32,
    /// `/proc/sys/kernel/random/boot_id` of the boot that the settings belong to.
    pub boot_id: String,
    /// When, RFC 3339.
    pub since: String,
    /// Every change that was about to be made, in that order.
    pub changes: Vec<Change>,
}

/// How the machine stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing is to be put back.
    Untuned,
    /// This is to be put back.
    Tuned(State),
    /// This was never put back, and a boot has done it since.
    Rebooted(State),
}

/// Where the state is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFile {
    path: PathBuf,
}

/// Held while the machine is changed, or a command runs on it. The kernel lets go of it when its holder dies.
#[derive(Debug)]
pub(super) struct Lock {
    _file: Flock<File>,
}

/// Names this boot.
///
/// # Errors
/// If the kernel does not say.
pub fn boot_id(files: &dyn Attributes) -> Result<String, TuneError> {
    files.read("/proc/sys/kernel/random/boot_id").map_err(|source| TuneError::BootId { source })
}

impl State {
    pub(super) fn new(boot_id: String, since: String, changes: Vec<Change>) -> Self {
        Self { format: FORMAT, boot_id, since, changes }
    }
}

impl StateFile {
    /// In this folder, which is made when it is needed.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join("tune.json") }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the machine of this boot stands.
    ///
    /// # Errors
    /// If the file cannot be read, or is not one.
    pub fn status(&self, boot_id: &str) -> Result<Status, TuneError> {
        Ok(match self.read()? {
            None => Status::Untuned,
            Some(state) if state.boot_id == boot_id => Status::Tuned(state),
            Some(state) => Status::Rebooted(state),
        })
    }

    fn read(&self) -> Result<Option<State>, TuneError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let damaged = |source| TuneError::Damaged { path: self.path.clone(), source };
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io("reading")(error)),
        };
        // A newer format may have any shape, so only its version is read.
        let Version { format } = serde_json::from_slice(&text).map_err(damaged)?;
        if format > FORMAT {
            return Err(TuneError::Newer { path: self.path.clone(), found: format, supported: FORMAT });
        }
        serde_json::from_slice(&text).map(Some).map_err(damaged)
    }

    /// Waits for nobody.
    pub(super) fn lock(&self) -> Result<Lock, TuneError> {
        let folder = self.folder();
        fs::create_dir_all(folder).map_err(|source| TuneError::Io {
            doing: "creating",
            path: folder.to_owned(),
            source,
        })?;
        let path = self.path.with_extension("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| TuneError::Io { doing: "opening", path: path.clone(), source })?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Lock { _file: file }),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => Err(TuneError::Busy { path }),
            Err((_, errno)) => Err(TuneError::Io { doing: "locking", path, source: errno.into() }),
        }
    }

    /// Returns once the state would survive a power cut.
    pub(super) fn write(&self, state: &State) -> Result<(), TuneError> {
        let text = serde_json::to_vec_pretty(state).expect("a state serialises into memory");
        let unfinished = self.path.with_extension("unfinished");
        let written = || -> io::Result<()> {
            let mut file = File::create(&unfinished)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&unfinished, &self.path)?;
            self.sync()
        };
        written().map_err(self.io("writing"))
    }

    pub(super) fn remove(&self) -> Result<(), TuneError> {
        match fs::remove_file(&self.path) {
            Ok(()) => self.sync().map_err(self.io("removing")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.io("removing")(error)),
        }
    }

    fn folder(&self) -> &Path {
        self.path.parent().expect("the file is in a folder")
    }

    /// Makes the folder's names durable.
    fn sync(&self) -> io::Result<()> {
        File::open(self.folder())?.sync_all()
    }

    fn io(&self, doing: &'static str) -> impl FnOnce(io::Error) -> TuneError {
        let path = self.path.clone();
        move |source| TuneError::Io { doing, path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_since_then_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::in_folder(folder.path());
        assert_eq!(file.status("a").unwrap(), Status::Untuned);
        let state = State::new("a".into(), "2026-01-01T00:00:00Z".into(), vec![]);
        file.write(&state).unwrap();
        assert_eq!(file.status("a").unwrap(), Status::Tuned(state.clone()));
        assert_eq!(file.status("b").unwrap(), Status::Rebooted(state));
        file.remove().unwrap();
        file.remove().unwrap();
        assert_eq!(file.status("a").unwrap(), Status::Untuned);
    }

    #[test]
    fn damage_and_newer_formats_are_refused_and_half_written_files_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::in_folder(folder.path());
        fs::write(folder.path().join("tune.unfinished"), "{\"for").unwrap();
        assert_eq!(file.status("a").unwrap(), Status::Untuned);
        fs::write(file.path(), "{\"format\": 2, \"anything\": []}").unwrap();
        assert!(matches!(file.status("a"), Err(TuneError::Newer { found: 2, supported: 1, .. })));
        fs::write(file.path(), "{\"format\": 1").unwrap();
        assert!(matches!(file.status("a"), Err(TuneError::Damaged { .. })));
    }

    #[test]
    fn only_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::in_folder(&folder.path().join("made/when/needed"));
        let held = file.lock().unwrap();
        assert!(matches!(file.lock(), Err(TuneError::Busy { .. })));
        drop(held);
        file.lock().unwrap();
    }
}
