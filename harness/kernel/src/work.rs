//! Private folders in which something is made before it is published. A dead builder's are removed by whoever comes
//! next: its lock is free.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    KernelError,
    cache::Layout,
    error::io,
    folder,
    lock::{self, Lock},
};

/// Creating and sweeping take no longer than a few removals of trees.
const DEADLINE: Duration = Duration::from_secs(600);

/// A private folder; it and all in it go when it is dropped.
#[derive(Debug)]
pub(crate) struct Work {
    path: PathBuf,
    /// Released after the folder is gone: fields are dropped after `drop`.
    _alive: Lock,
}

impl Work {
    /// Makes a folder.
    pub(crate) fn new(layout: &Layout) -> Result<Self, KernelError> {
        let _creation = creation(layout)?;
        let path = tempfile::Builder::new()
            .prefix("")
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(layout.work())
            .map_err(io("create a folder in", layout.work()))?
            .keep();
        // The umask has had its say.
        fs::set_permissions(&path, Permissions::from_mode(0o755)).map_err(io("open up", &path))?;
        match lock::try_exclusive(&path.join(ALIVE))? {
            Some(alive) => Ok(Self { path, _alive: alive }),
            None => Err(KernelError::Unexpected {
                what: path.display().to_string(),
                reason: "a new folder is locked by another process".to_owned(),
            }),
        }
    }

    /// A path within the folder.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Locked by the builder as long as it lives.
const ALIVE: &str = "alive";

impl Drop for Work {
    fn drop(&mut self) {
        // What is left is removed by the next sweep.
        let _ = folder::remove(&self.path);
    }
}

/// Held while a folder is made and while folders are swept: a sweep never meets a folder without its holder.
fn creation(layout: &Layout) -> Result<Lock, KernelError> {
    lock::exclusive(&layout.lock("work", "creation"), "the cache's work folders", DEADLINE, &mut |_| ())
}

/// Removes the folders of dead builders; says which. If another process creates or sweeps, it is left to that one.
pub(crate) fn sweep(layout: &Layout) -> Result<Vec<PathBuf>, KernelError> {
    let Some(_creation) = lock::try_exclusive(&layout.lock("work", "creation"))? else {
        return Ok(Vec::new());
    };
    let folder = layout.work();
    let mut dead = Vec::new();
    for entry in fs::read_dir(&folder).map_err(io("list", &folder))? {
        let path = entry.map_err(io("list", &folder))?.path();
        if is_dead(&path)? {
            folder::remove(&path)?;
            dead.push(path);
        }
    }
    Ok(dead)
}

fn is_dead(path: &Path) -> Result<bool, KernelError> {
    match lock::try_exclusive(&path.join(ALIVE)) {
        Ok(lock) => Ok(lock.is_some()),
        // Its builder removed it while we looked.
        Err(KernelError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dead_builders_are_swept() {
        let room = tempfile::tempdir().unwrap();
        let layout = Layout::open(room.path()).unwrap();
        let alive = Work::new(&layout).unwrap();
        fs::write(alive.at("x"), "").unwrap();
        // As a killed builder leaves it: the folder with its lock file, held by nobody.
        let dead = layout.work().join("dead");
        fs::create_dir_all(dead.join("build/sub")).unwrap();
        fs::write(dead.join(ALIVE), "").unwrap();
        fs::set_permissions(dead.join("build/sub"), Permissions::from_mode(0o000)).unwrap();
        assert_eq!(sweep(&layout).unwrap(), vec![dead.clone()]);
        assert!(!dead.exists());
        assert!(alive.at("x").exists());
        let path = alive.path.clone();
        drop(alive);
        assert!(!path.exists());
    }
}
