//! Unpacked bundles in the cache: each under its digest, whole or not there.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    sys::statvfs::statvfs,
};

use crate::{BundleError, Damage, Limits, Manifest, Reader, digest_of};

/// Another process unpacks the same bundle.
const DEADLINE: Duration = Duration::from_secs(600);
/// Between two tries for a lock. `flock` has no deadline of its own and no event to wait for.
const POLL: Duration = Duration::from_millis(50);
/// Unpacked bundles that nobody uses and that are kept for a replay that is to go on.
const KEPT: usize = 2;
/// Left free beside what is unpacked.
const MARGIN: u64 = 64 << 20;

const UNFINISHED: &str = "unfinished";
const LOCK: &str = "lock";

/// A folder of unpacked bundles.
#[derive(Clone, Debug)]
pub struct Shelf {
    root: PathBuf,
}

/// An unpacked bundle, every member of which was held against its checksum by this process. It stays as long as this lives.
#[derive(Debug)]
pub struct Opened {
    root: PathBuf,
    /// Where its members are.
    pub folder: PathBuf,
    /// What it holds.
    pub manifest: Manifest,
    /// sha256 of its manifest.
    pub digest: String,
    lock: Flock<File>,
}

impl Shelf {
    /// Opens the shelf, making it if need be, and removes what dead processes left unfinished.
    ///
    /// # Errors
    /// If the folder cannot be used.
    pub fn open(root: &Path) -> Result<Self, BundleError> {
        fs::create_dir_all(root)
            .and_then(|()| fs::set_permissions(root, Permissions::from_mode(0o755)))
            .map_err(BundleError::io("creating", root))?;
        let shelf = Self { root: root.to_owned() };
        shelf.sweep()?;
        Ok(shelf)
    }

    /// Unpacks the members of a bundle that are `wanted`, or finds that they are there already; either way every one of them is
    /// read and held against its checksum.
    ///
    /// # Errors
    /// If the bundle is damaged or hostile, or there is no room; nothing of it is then left.
    pub fn take(
        &self,
        bundle: &Path,
        limits: &Limits,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Opened, BundleError> {
        let reader = Reader::open(bundle, limits)?;
        let (manifest, digest) = (reader.manifest().clone(), reader.digest().to_owned());
        let folder = self.root.join(&digest);
        let lock = self.lock(&digest, FlockArg::LockExclusiveNonblock, Duration::ZERO)?;
        let lock = match lock {
            Some(lock) => {
                self.unpack_unless_there(reader, &folder, wanted)?;
                lock.relock(FlockArg::LockSharedNonblock)
                    .map_err(|errno| BundleError::io("locking", &folder)(errno.into()))?;
                lock
            }
            // Another process unpacks it, or uses it.
            None => self
                .lock(&digest, FlockArg::LockSharedNonblock, DEADLINE)?
                .ok_or_else(|| BundleError::io("waiting for", &folder)(io::ErrorKind::TimedOut.into()))?,
        };
        if !is_whole(&folder, &manifest, wanted)? {
            let busy = io::Error::new(io::ErrorKind::ResourceBusy, "another process uses other parts of it");
            return Err(BundleError::io("unpacking", &folder)(busy));
        }
        Ok(Opened { root: self.root.clone(), folder, manifest, digest, lock })
    }

    /// An unpacked bundle by its digest, if it is still here and whole.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn find(
        &self,
        digest: &str,
        manifest: Manifest,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Opened>, BundleError> {
        let folder = self.root.join(digest);
        if !folder.is_dir() {
            return Ok(None);
        }
        let Some(lock) = self.lock(digest, FlockArg::LockSharedNonblock, DEADLINE)? else { return Ok(None) };
        if !is_whole(&folder, &manifest, wanted)? {
            return Ok(None);
        }
        let digest = digest.to_owned();
        Ok(Some(Opened { root: self.root.clone(), folder, manifest, digest, lock }))
    }

    fn unpack_unless_there(
        &self,
        reader: Reader,
        folder: &Path,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<(), BundleError> {
        if is_whole(folder, reader.manifest(), wanted)? {
            return Ok(());
        }
        for stale in [folder.to_owned(), folder.with_extension(UNFINISHED)] {
            remove(&stale)?;
        }
        self.require_room(reader.manifest(), wanted)?;
        let draft = folder.with_extension(UNFINISHED);
        fs::create_dir(&draft)
            .and_then(|()| fs::set_permissions(&draft, Permissions::from_mode(0o755)))
            .map_err(BundleError::io("creating", &draft))?;
        let unpacked = reader
            .unpack(&draft, wanted)
            .and_then(|()| fs::rename(&draft, folder).map_err(BundleError::io("publishing", folder)));
        if unpacked.is_err() {
            // What is wrong with the bundle is told, not that its leavings could not be removed: the next sweep tries again.
            let _ = remove(&draft);
            let _ = fs::remove_file(folder.with_extension(LOCK));
        }
        unpacked
    }

    fn require_room(&self, manifest: &Manifest, wanted: &dyn Fn(&str) -> bool) -> Result<(), BundleError> {
        let sizes = manifest.members.iter().filter(|member| wanted(&member.path)).map(|member| member.size);
        let needed = sizes.fold(MARGIN, u64::saturating_add);
        let room =
            statvfs(&self.root).map_err(|errno| BundleError::io("looking at", &self.root)(errno.into()))?;
        let free = room.blocks_available().saturating_mul(room.fragment_size());
        if needed > free {
            let (free_mib, needed_mib) = (free >> 20, needed >> 20);
            return Err(BundleError::NoRoom { folder: self.root.clone(), free_mib, needed_mib });
        }
        Ok(())
    }

    /// The lock of a bundle; nothing if it was not to be had within `patience`.
    fn lock(
        &self,
        digest: &str,
        how: FlockArg,
        patience: Duration,
    ) -> Result<Option<Flock<File>>, BundleError> {
        let path = self.root.join(digest).with_extension(LOCK);
        let began = Instant::now();
        loop {
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .map_err(BundleError::io("creating", &path))?;
            match Flock::lock(file, how) {
                // Whoever removes a bundle removes its lock, too, and then another file has the name.
                Ok(lock) if is_at(&lock, &path) => return Ok(Some(lock)),
                Ok(_) => continue,
                Err((_, Errno::EWOULDBLOCK)) if began.elapsed() >= patience => return Ok(None),
                Err((_, Errno::EWOULDBLOCK)) => pause(),
                Err((_, errno)) => return Err(BundleError::io("locking", &path)(errno.into())),
            }
        }
    }

    /// Removes what nobody is at work on: unfinished folders, and finished ones but the newest.
    fn sweep(&self) -> Result<(), BundleError> {
        let mut unused = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(BundleError::io("reading", &self.root))? {
            let path = entry.map_err(BundleError::io("reading", &self.root))?.path();
            if path.extension().is_none_or(|extension| extension != LOCK) {
                continue;
            }
            let digest = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let Some(lock) = self.lock(&digest, FlockArg::LockExclusiveNonblock, Duration::ZERO)? else {
                continue;
            };
            remove(&path.with_extension(UNFINISHED))?;
            let folder = path.with_extension("");
            match fs::metadata(&folder).and_then(|found| found.modified()) {
                Ok(time) => unused.push((time, folder, lock)),
                Err(_) => fs::remove_file(&path).map_err(BundleError::io("removing", &path))?,
            }
        }
        unused.sort_by_key(|(time, ..)| std::cmp::Reverse(*time));
        for (_, folder, _lock) in unused.into_iter().skip(KEPT) {
            remove(&folder)?;
            let lock = folder.with_extension(LOCK);
            fs::remove_file(&lock).map_err(BundleError::io("removing", lock))?;
        }
        Ok(())
    }
}

impl Opened {
    /// Where a member is.
    ///
    /// # Errors
    /// If the bundle has none of this name.
    pub fn path(&self, member: &str) -> Result<PathBuf, Damage> {
        match self.manifest.member(member) {
            Some(member) => Ok(self.folder.join(&member.path)),
            None => Err(Damage::Missing { member: crate::member::shown(member.as_bytes()) }),
        }
    }

    /// Removes it from this machine, unless another process uses it.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn discard(self) -> Result<(), BundleError> {
        if self.lock.relock(FlockArg::LockExclusiveNonblock).is_err() {
            return Ok(());
        }
        remove(&self.folder)?;
        let path = self.root.join(&self.digest).with_extension(LOCK);
        fs::remove_file(&path).map_err(BundleError::io("removing", path))
    }
}

/// Whether every wanted member is there and right.
fn is_whole(folder: &Path, manifest: &Manifest, wanted: &dyn Fn(&str) -> bool) -> Result<bool, BundleError> {
    for member in manifest.members.iter().filter(|member| wanted(&member.path)) {
        let path = folder.join(&member.path);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(BundleError::io("reading", path)(error)),
        };
        let (found, _) = digest_of(&mut file).map_err(BundleError::io("reading", &path))?;
        if found != member.sha256 {
            return Ok(false);
        }
    }
    Ok(folder.is_dir())
}

fn is_at(file: &File, path: &Path) -> bool {
    let same =
        |at: fs::Metadata| file.metadata().is_ok_and(|held| (held.dev(), held.ino()) == (at.dev(), at.ino()));
    fs::metadata(path).is_ok_and(same)
}

fn remove(path: &Path) -> Result<(), BundleError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BundleError::io("removing", path)(error))
        }
        _ => Ok(()),
    }
}

#[expect(clippy::disallowed_methods, reason = "polls the condition `the lock is free` until a deadline")]
fn pause() {
    std::thread::sleep(POLL);
}
