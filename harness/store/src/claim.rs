//! The name of a run that is about to be made: what happens before there is a plan to store.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    StoreError,
    lock::{self, Lock},
};

/// What a folder holds from the moment when its name is claimed until the run begins with its `run.json`.
const BEFORE_A_RUN: [&str; 12] = [
    "builds",
    "calibration.json",
    "environment.json",
    "environment.unfinished",
    "imported.json",
    "imported.unfinished",
    "inputs",
    "lock",
    "noise.json",
    "replay.json",
    "replay.unfinished",
    "run.unfinished",
];
/// Made immediately before that, and empty until then.
const TRIALS: &str = "trials";

/// A folder for a new run, locked: kernels are built for it, and their logs go there. As long as this lives, nobody takes the
/// folder for the leftover of a build that was interrupted.
#[derive(Debug)]
pub struct Claim {
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
    pub(crate) lock: Lock,
}

impl Claim {
    /// Makes the folder `name` in `results`, or one with a number where another run began in the same second.
    ///
    /// # Errors
    /// If no folder can be made.
    pub fn new(results: &Path, name: &str) -> Result<Self, StoreError> {
        fs::create_dir_all(results).map_err(StoreError::io("creating", results))?;
        for number in 1_u32.. {
            let name = if number == 1 { name.to_owned() } else { format!("{name}-{number}") };
            let folder = results.join(&name);
            match fs::create_dir(&folder) {
                Ok(()) => {
                    // Between the two, another process may have taken the folder for a leftover and removed it, and a third may
                    // have made it again and gone.
                    match writers_lock(&folder) {
                        Ok(lock) if lock.is_at(&folder.join("lock")) && is_new(&folder)? => {
                            return Ok(Self { folder, name, lock });
                        }
                        Ok(_) | Err(StoreError::Busy { .. }) => {}
                        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => return Err(error),
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(StoreError::io("creating", &folder)(error)),
            }
        }
        unreachable!("a folder holds fewer runs than there are numbers")
    }

    /// The run's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The run's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The lock that a run's writer holds.
pub(crate) fn writers_lock(folder: &Path) -> Result<Lock, StoreError> {
    let path = folder.join("lock");
    lock::exclusive(&path)
        .map_err(StoreError::io("locking", &path))?
        .ok_or_else(|| StoreError::Busy { path: folder.to_owned() })
}

/// Whether a process writes to this run, or builds for it, right now.
///
/// # Errors
/// If that cannot be told.
pub fn is_busy(folder: &Path) -> Result<bool, StoreError> {
    let path = folder.join("lock");
    lock::is_held(&path).map_err(StoreError::io("looking at", &path))
}

/// The folders in `results` that interrupted builds left: no run ever began in them, and nobody is building for one. Each has the
/// name of a run and holds logs of builds, or nothing.
///
/// # Errors
/// If a folder cannot be read. A results folder that does not exist has none.
pub fn leftovers(results: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = Vec::new();
    for path in crate::read::folders(results)? {
        if is_leftover(&path)? && !is_busy(&path)? {
            found.push(path);
        }
    }
    Ok(found)
}

/// The folders in `results` for which kernels are being built right now.
///
/// # Errors
/// If a folder cannot be read. A results folder that does not exist has none.
pub fn building(results: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = Vec::new();
    for path in crate::read::folders(results)? {
        if is_leftover(&path)? && is_busy(&path)? {
            found.push(path);
        }
    }
    Ok(found)
}

/// Removes a folder that is (still) what [`leftovers`] finds; says whether it did. Nothing is removed while somebody builds.
///
/// # Errors
/// If it cannot be removed.
pub fn remove_leftover(folder: &Path) -> Result<bool, StoreError> {
    let path = folder.join("lock");
    // Before anything is made in a folder that is none of ours.
    if !is_leftover(folder)? {
        return Ok(false);
    }
    let lock = match lock::exclusive_now(&path) {
        // Whoever removes a folder removes its lock last, and then another file may have the name.
        Ok(Some(lock)) if lock.is_at(&path) => lock,
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(StoreError::io("locking", &path)(error)),
    };
    if !is_leftover(folder)? {
        return Ok(false);
    }
    for entry in fs::read_dir(folder).map_err(StoreError::io("reading", folder))? {
        let entry = entry.map_err(StoreError::io("reading", folder))?.path();
        let removed = match fs::symlink_metadata(&entry) {
            _ if entry == path => Ok(()),
            Ok(found) if found.is_dir() => fs::remove_dir_all(&entry),
            _ => fs::remove_file(&entry),
        };
        removed.map_err(StoreError::io("removing", entry))?;
    }
    fs::remove_file(&path).map_err(StoreError::io("removing", &path))?;
    drop(lock);
    match fs::remove_dir(folder) {
        Ok(()) => Ok(true),
        // Somebody claimed it as it became empty, and has it now.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::io("removing", folder)(error)),
    }
}

fn is_leftover(folder: &Path) -> Result<bool, StoreError> {
    let named = folder.file_name().and_then(|name| name.to_str()).is_some_and(is_run_name);
    if !named || folder.is_symlink() {
        return Ok(false);
    }
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(StoreError::io("reading", folder)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(StoreError::io("reading", folder))?;
        let kind = entry.file_type().map_err(StoreError::io("looking at", entry.path()))?;
        let is_expected = if entry.file_name() == TRIALS {
            kind.is_dir() && is_empty(&entry.path())?
        } else {
            !kind.is_symlink() && BEFORE_A_RUN.iter().any(|name| entry.file_name() == *name)
        };
        if !is_expected {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether there is nothing in a folder but its lock.
fn is_new(folder: &Path) -> Result<bool, StoreError> {
    let mut names = fs::read_dir(folder).map_err(StoreError::io("reading", folder))?;
    Ok(names.all(|entry| entry.is_ok_and(|entry| entry.file_name() == "lock")))
}

fn is_empty(folder: &Path) -> Result<bool, StoreError> {
    Ok(fs::read_dir(folder).map_err(StoreError::io("reading", folder))?.next().is_none())
}

/// `20260101-235959-scenario`, as `assay run` names runs.
fn is_run_name(name: &str) -> bool {
    let mut parts = name.splitn(3, '-');
    let digits = |part: Option<&str>, count| {
        part.is_some_and(|part| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    digits(parts.next(), 8) && digits(parts.next(), 6) && parts.next().is_some_and(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn a_claimed_folder_is_no_leftover_until_its_claim_is_dropped() {
        let results = tempfile::tempdir().unwrap();
        let claim = Claim::new(results.path(), "20260101-000000-a").unwrap();
        let second = Claim::new(results.path(), "20260101-000000-a").unwrap();
        assert_eq!((claim.name(), second.name()), ("20260101-000000-a", "20260101-000000-a-2"));
        fs::create_dir(claim.folder().join("builds")).unwrap();
        let folder = claim.folder().to_owned();
        assert_eq!(leftovers(results.path()).unwrap(), Vec::<PathBuf>::new());
        assert_eq!(building(results.path()).unwrap().len(), 2);
        assert!(!remove_leftover(&folder).unwrap() && folder.join("builds").exists());
        // As a full disk leaves it: everything was made but `run.json`.
        fs::create_dir(claim.folder().join("trials")).unwrap();
        fs::write(claim.folder().join("run.unfinished"), "{").unwrap();
        drop(claim);
        assert_eq!(leftovers(results.path()).unwrap(), std::slice::from_ref(&folder));
        assert!(remove_leftover(&folder).unwrap() && !folder.exists());
        assert!(second.folder().exists());
    }

    #[test]
    fn a_sweep_beside_a_claim_takes_nothing_away() {
        let results = tempfile::tempdir().unwrap();
        let name = "20260101-000000-a";
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        for number in 1..8 {
                            let name = if number == 1 { name.into() } else { format!("{name}-{number}") };
                            remove_leftover(&results.path().join(name)).unwrap();
                        }
                    }
                });
            }
            let makers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..200 {
                            let claim = Claim::new(results.path(), name).unwrap();
                            fs::create_dir(claim.folder().join("builds")).unwrap();
                            fs::write(claim.folder().join("environment.json"), "{}").unwrap();
                            assert!(claim.lock.is_at(&claim.folder().join("lock")));
                        }
                    })
                })
                .collect();
            let ends: Vec<_> = makers.into_iter().map(thread::ScopedJoinHandle::join).collect();
            done.store(true, Ordering::Relaxed);
            ends.into_iter().for_each(|end| end.unwrap());
        });
    }

    #[test]
    fn nothing_but_logs_of_builds_is_ever_a_leftover() {
        let results = tempfile::tempdir().unwrap();
        let folder = |name: &str, files: &[&str]| {
            let folder = results.path().join(name);
            fs::create_dir(&folder).unwrap();
            files.iter().for_each(|file| fs::write(folder.join(file), "x").unwrap());
        };
        folder("20260101-000000-run", &["builds", "run.json"]);
        folder("20260101-000000-trials", &["builds", "trials"]);
        folder("20260101-000000-notes", &["lock", "notes.txt"]);
        folder("my-own-folder", &["builds"]);
        folder("20260101-000000-", &["builds"]);
        fs::write(results.path().join("20260101-000000-file"), "x").unwrap();
        std::os::unix::fs::symlink("/", results.path().join("20260101-000000-link")).unwrap();
        folder("20260101-000000-link-within", &[]);
        std::os::unix::fs::symlink("/", results.path().join("20260101-000000-link-within/builds")).unwrap();
        assert_eq!(leftovers(results.path()).unwrap(), Vec::<PathBuf>::new());
        for name in ["20260101-000000-run", "my-own-folder", "20260101-000000-link-within"] {
            assert!(!remove_leftover(&results.path().join(name)).unwrap(), "{name}");
        }
        assert!(!results.path().join("my-own-folder/lock").exists());
    }
}
