//! Locks between processes: `flock` on files that are never removed, so that two processes never lock two files of
//! one name.

use std::{
    fs::{File, TryLockError},
    path::Path,
    time::{Duration, Instant},
};

use subprocess::LockHolder;

use crate::{
    KernelError,
    error::io,
    progress::{Listener, note},
};

/// Between two tries. `flock` has no deadline of its own and no event to wait for.
const POLL: Duration = Duration::from_millis(100);

/// A lock, held until it is dropped or the process ends in any way.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Opens the lock file, making it if it is not there.
fn open(path: &Path) -> Result<File, KernelError> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(io("open the lock", path))
}

/// The lock, if nobody holds it now.
pub(crate) fn try_exclusive(path: &Path) -> Result<Option<Lock>, KernelError> {
    let file = open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(io("lock", path)(error)),
    }
}

/// A lock that others may share, if nobody holds it alone now.
pub(crate) fn try_shared(path: &Path) -> Result<Option<Lock>, KernelError> {
    let file = open(path)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(io("lock", path)(error)),
    }
}

/// The lock, waiting for its holder at most until `deadline`.
pub(crate) fn exclusive(
    path: &Path,
    what: &str,
    deadline: Duration,
    listener: &mut Listener<'_>,
) -> Result<Lock, KernelError> {
    let begin = Instant::now();
    let mut told = false;
    loop {
        if let Some(lock) = try_exclusive(path)? {
            return Ok(lock);
        }
        if !told {
            let holder = LockHolder::of(&open(path)?);
            note(listener, format!("Waiting for {holder}, which is at work on {what}."));
            told = true;
        }
        let waited = begin.elapsed();
        if waited > deadline {
            return Err(KernelError::LockDeadline { what: what.to_owned(), path: path.to_owned(), waited });
        }
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "polls the condition `the lock is free` until a deadline")]
fn pause() {
    std::thread::sleep(POLL);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Progress;

    #[test]
    fn a_second_holder_waits_and_says_for_what() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("l");
        let first = try_exclusive(&path).unwrap().unwrap();
        assert!(try_exclusive(&path).unwrap().is_none());
        assert!(try_shared(&path).unwrap().is_none());
        let mut notes = Vec::new();
        let error = exclusive(&path, "the tree x", Duration::ZERO, &mut |p| notes.push(p)).unwrap_err();
        assert!(error.to_string().contains("the tree x"), "{error}");
        let [Progress::Note { message }] = notes.as_slice() else { panic!("{notes:?}") };
        assert!(message.starts_with("Waiting for another process"), "{message}");
        drop(first);
        exclusive(&path, "the tree x", Duration::ZERO, &mut |_| ()).unwrap();
    }

    #[test]
    fn shared_locks_keep_an_exclusive_one_out() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("l");
        let _one = try_shared(&path).unwrap().unwrap();
        let _two = try_shared(&path).unwrap().unwrap();
        assert!(try_exclusive(&path).unwrap().is_none());
    }
}
