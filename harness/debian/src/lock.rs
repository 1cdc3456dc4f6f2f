//! Locks between processes, held while a folder changes.

use std::fs::File;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use subprocess::LockHolder;

use crate::DebianError;
use crate::error::At as _;

/// An exclusive lock. The kernel releases it with the value, or with the process, however that ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock on the file `path`, which is created and never removed: another process may be waiting on it.
    /// Its holder is told to `waiting`.
    pub(crate) fn wait(
        path: &Path,
        deadline: Duration,
        waiting: &mut dyn FnMut(LockHolder),
    ) -> Result<Lock, DebianError> {
        if let Some(lock) = Lock::now(path)? {
            return Ok(lock);
        }
        // flock(2) has no deadline, so another thread waits for it. After the deadline nobody receives what that gets,
        // and the lock is released as soon as it is held.
        let file = open(path)?;
        waiting(LockHolder::of(&file));
        let (sender, receiver) = mpsc::channel();
        thread::Builder::new()
            .name("lock".into())
            .spawn(move || sender.send(file.lock().map(|()| file)))
            .at("waiting for the lock", path)?;
        match receiver.recv_timeout(deadline) {
            Ok(locked) => Ok(Lock { _file: locked.at("locking", path)? }),
            Err(_) => Err(DebianError::Locked { path: path.to_owned(), after: deadline }),
        }
    }

    /// The lock, unless somebody has it.
    pub(crate) fn now(path: &Path) -> Result<Option<Lock>, DebianError> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error).at("locking", path),
        }
    }
}

fn open(path: &Path) -> Result<File, DebianError> {
    File::options().create(true).truncate(false).write(true).open(path).at("opening the lock", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_excludes_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::now(&path).unwrap().unwrap();
        assert!(Lock::now(&path).unwrap().is_none());
        let mut told = 0;
        let error = Lock::wait(&path, Duration::from_millis(30), &mut |_| told += 1).unwrap_err();
        assert!(matches!(error, DebianError::Locked { .. }), "{error}");
        assert_eq!(told, 1);
        let waiting = thread::spawn({
            let path = path.clone();
            move || Lock::wait(&path, Duration::from_secs(30), &mut |_| ()).map(drop)
        });
        drop(held);
        waiting.join().unwrap().unwrap();
    }
}
