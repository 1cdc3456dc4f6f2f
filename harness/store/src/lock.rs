//! Locks between processes: `flock` on files that are never removed while they can be waited on.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

/// How long a writer waits for somebody who only looked whether the lock is free.
const A_LOOK: Duration = Duration::from_millis(500);

/// A lock. The kernel releases it with the value, or with the process, however that ends.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Whether the file that is locked is still the one at `path`.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        let (Ok(ours), Ok(there)) = (self.file.metadata(), fs::metadata(path)) else { return false };
        (ours.dev(), ours.ino()) == (there.dev(), there.ino())
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

/// The lock of a run's writer, on a file that is made if it is not there; none if another process writes.
pub(crate) fn exclusive(path: &Path) -> io::Result<Option<Lock>> {
    let file = open(path)?;
    match file.try_lock() {
        Ok(()) => return Ok(Some(Lock { file })),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // flock(2) has no deadline, so another thread waits for it. After the deadline nobody receives what that gets, and the
    // lock is released as soon as it is held.
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().name("lock".into()).spawn(move || sender.send(file.lock().map(|()| file)))?;
    match receiver.recv_timeout(A_LOOK) {
        Ok(locked) => Ok(Some(Lock { file: locked? })),
        Err(_) => Ok(None),
    }
}

/// The lock, if nobody holds it now.
pub(crate) fn exclusive_now(path: &Path) -> io::Result<Option<Lock>> {
    taken(open(path)?, File::try_lock)
}

/// A lock that others may share, if nobody holds it alone now.
pub(crate) fn shared_now(path: &Path) -> io::Result<Option<Lock>> {
    taken(open(path)?, File::try_lock_shared)
}

/// Whether a process holds the lock alone. Makes no file.
pub(crate) fn is_held(path: &Path) -> io::Result<bool> {
    match File::open(path) {
        Ok(file) => Ok(taken(file, File::try_lock_shared)?.is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn taken(file: File, take: impl Fn(&File) -> Result<(), TryLockError>) -> io::Result<Option<Lock>> {
    match take(&file) {
        Ok(()) => Ok(Some(Lock { file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_excludes_until_it_is_dropped_and_a_look_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert!(!is_held(&path).unwrap());
        let held = exclusive(&path).unwrap().unwrap();
        assert!(is_held(&path).unwrap());
        assert!(exclusive_now(&path).unwrap().is_none() && shared_now(&path).unwrap().is_none());
        drop(held);
        let looking = shared_now(&path).unwrap().unwrap();
        assert!(!is_held(&path).unwrap());
        let waiting = thread::spawn({
            let path = path.clone();
            move || exclusive(&path).unwrap().is_some()
        });
        drop(looking);
        assert!(waiting.join().unwrap());
    }
}
