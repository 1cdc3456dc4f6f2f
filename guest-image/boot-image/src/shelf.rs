//! Where images lie: each under its own SHA-256, never changed; and an index that says which one answers which recipe.
//!
//! A reader needs no lock: images and index entries are written under a temporary name, synced, and renamed. A lock on
//! the recipe keeps two processes from doing the same work twice.

use std::{
    fs::{self, File, Permissions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use subprocess::LockHolder;

use crate::{BootImageError, Progress, error::At, progress::Listener};

/// Making the largest image takes well under a minute once its packages are fetched.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// Between two tries for a lock. `flock` has no deadline of its own and no event to wait for.
const POLL: Duration = Duration::from_millis(50);

/// A folder of images.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    images: PathBuf,
    index: PathBuf,
    work: PathBuf,
}

/// A lock on one recipe, held until it is dropped or the process ends in any way.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Shelf {
    /// Opens the shelf, making its folders, and removes what makers that were killed have left.
    pub(crate) fn open(folder: &Path) -> Result<Self, BootImageError> {
        let shelf =
            Self { images: folder.join("images"), index: folder.join("index"), work: folder.join("work") };
        for folder in [folder, &shelf.images, &shelf.index, &shelf.work] {
            // An unprivileged QEMU reads the images, whatever the caller's umask is.
            fs::create_dir_all(folder).at("create", folder)?;
            let mode = if folder == shelf.work { 0o700 } else { 0o755 };
            fs::set_permissions(folder, Permissions::from_mode(mode)).at("set the permissions of", folder)?;
        }
        Ok(shelf)
    }

    /// The index entry of a recipe, if there is one. One of another form, as another version wrote it, counts as none: the
    /// image is made anew.
    pub(crate) fn entry<T: DeserializeOwned>(&self, recipe: &str) -> Result<Option<T>, BootImageError> {
        let path = self.entry_path(recipe);
        match fs::read(&path) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).at("read", &path),
        }
    }

    /// The image with this SHA-256, verified; none if it is not there. One that is damaged is set aside under another
    /// name, where it can be looked at, and counts as not there.
    pub(crate) fn image(
        &self,
        sha256: &str,
        extension: &str,
        progress: &mut Listener<'_>,
    ) -> Result<Option<PathBuf>, BootImageError> {
        let path = self.images.join(format!("{sha256}.{extension}"));
        let found = match File::open(&path) {
            Ok(file) => digest(file).at("read", &path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).at("open", &path),
        };
        if found == sha256 {
            return Ok(Some(path));
        }
        let aside = path.with_extension(format!("{extension}.damaged"));
        match fs::rename(&path, &aside) {
            // Another process has found it as well.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => {
                other.at("set aside", &path)?;
                progress(Progress::Damaged { image: path, found, aside });
                Ok(None)
            }
        }
    }

    /// Publishes a finished image under its SHA-256, which is returned with its path. The file is moved; it must be in
    /// a folder that [`Shelf::workplace`] gave.
    pub(crate) fn publish(&self, image: &Path, extension: &str) -> Result<(String, PathBuf), BootImageError> {
        let file = File::open(image).at("open", image)?;
        file.set_permissions(Permissions::from_mode(0o644)).at("set the permissions of", image)?;
        file.sync_all().at("sync", image)?;
        let sha256 = digest(file).at("read", image)?;
        let path = self.images.join(format!("{sha256}.{extension}"));
        fs::rename(image, &path).at("publish", &path)?;
        sync_folder(&self.images)?;
        Ok((sha256, path))
    }

    /// Makes `entry` the answer to a recipe.
    pub(crate) fn record(&self, recipe: &str, entry: &impl Serialize) -> Result<(), BootImageError> {
        let path = self.entry_path(recipe);
        let mut text = serde_json::to_vec_pretty(entry)
            .map_err(|source| BootImageError::Manifest { path: path.clone(), source })?;
        text.push(b'\n');
        let mut file = tempfile::NamedTempFile::new_in(&self.index).at("create a file in", &self.index)?;
        let write = |file: &mut tempfile::NamedTempFile| {
            file.write_all(&text)?;
            file.as_file().set_permissions(Permissions::from_mode(0o644))?;
            file.as_file().sync_all()
        };
        write(&mut file).at("write", &path)?;
        file.persist(&path).map_err(|error| error.error).at("publish", &path)?;
        sync_folder(&self.index)
    }

    /// Removes entries of one kind, and their images: those for which `of_nobody` gives the image. Entries of other kinds are not
    /// of this form, and stay. A guest that still runs keeps its open file.
    pub(crate) fn remove_entries<T: DeserializeOwned>(
        &self,
        extension: &str,
        of_nobody: impl Fn(&T) -> Option<String>,
    ) -> Result<(), BootImageError> {
        for entry in fs::read_dir(&self.index).at("list", &self.index)? {
            let path = entry.at("list", &self.index)?.path();
            // Another process may be removing it.
            let Ok(text) = fs::read(&path) else { continue };
            let Some(sha256) = serde_json::from_slice(&text).ok().as_ref().and_then(&of_nobody) else {
                continue;
            };
            for path in [path, self.images.join(format!("{sha256}.{extension}"))] {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(error).at("remove", &path);
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The lock on a recipe; waits for another process that makes the same image.
    pub(crate) fn lock(
        &self,
        recipe: &str,
        what: &str,
        progress: &mut Listener<'_>,
    ) -> Result<Lock, BootImageError> {
        let path = self.index.join(format!("{recipe}.lock"));
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.at("open", &path)?;
        let begin = Instant::now();
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::WouldBlock) if begin.elapsed() < PATIENCE => {
                    if !told {
                        progress(Progress::Waiting { what: what.to_owned(), holder: LockHolder::of(&file) });
                        told = true;
                    }
                    pause();
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(BootImageError::Busy {
                        what: what.into(),
                        lock: path,
                        after: begin.elapsed(),
                    });
                }
                Err(TryLockError::Error(error)) => return Err(error).at("lock", &path),
            }
        }
    }

    /// An empty folder to work in, on the same file system as the images. What a maker of the same recipe left
    /// when it was killed is removed first; the lock shows that none is at work.
    pub(crate) fn workplace(&self, recipe: &str, _lock: &Lock) -> Result<Workplace, BootImageError> {
        let folder = self.work.join(recipe);
        remove(&folder)?;
        fs::create_dir(&folder).at("create", &folder)?;
        Ok(Workplace(folder))
    }

    fn entry_path(&self, recipe: &str) -> PathBuf {
        self.index.join(format!("{recipe}.json"))
    }
}

/// A folder to work in; removed when dropped.
#[derive(Debug)]
pub(crate) struct Workplace(PathBuf);

impl Workplace {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // What stays is removed before the next use.
        let _ = remove(&self.0);
    }
}

fn remove(folder: &Path) -> Result<(), BootImageError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at("remove", folder),
        _ => Ok(()),
    }
}

fn sync_folder(folder: &Path) -> Result<(), BootImageError> {
    File::open(folder).and_then(|folder| folder.sync_all()).at("sync", folder)
}

#[expect(clippy::disallowed_methods, reason = "polls the condition `the lock is free` until a deadline")]
fn pause() {
    std::thread::sleep(POLL);
}

/// SHA-256 of all that can be read, in hexadecimal.
pub(crate) fn digest(mut source: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(hexadecimal(&hash.finalize())),
            Ok(count) => hash.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_image(shelf: &Shelf, content: &[u8]) -> (String, PathBuf) {
        let lock = shelf.lock("r", "it", &mut |_| ()).unwrap();
        let work = shelf.workplace("r", &lock).unwrap();
        let file = work.path().join("image");
        fs::write(&file, content).unwrap();
        shelf.publish(&file, "img").unwrap()
    }

    #[test]
    fn an_image_is_found_under_its_digest_and_readable_for_all() {
        let room = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(room.path()).unwrap();
        let (sha256, path) = with_image(&shelf, b"abc");
        assert_eq!(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(shelf.image(&sha256, "img", &mut |_| ()).unwrap(), Some(path.clone()));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(shelf.image(&"0".repeat(64), "img", &mut |_| ()).unwrap(), None);
    }

    #[test]
    fn a_damaged_image_is_set_aside_and_not_used() {
        let room = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(room.path()).unwrap();
        let (sha256, path) = with_image(&shelf, b"abc");
        fs::write(&path, b"abd").unwrap();
        assert_eq!(shelf.image(&sha256, "img", &mut |_| ()).unwrap(), None);
        assert!(!path.exists());
        assert_eq!(fs::read(path.with_extension("img.damaged")).unwrap(), b"abd");
        assert_eq!(with_image(&shelf, b"abc").1, path, "it can be made again");
    }

    #[test]
    fn an_index_entry_of_another_form_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(folder.path()).unwrap();
        shelf.record("recipe", &"of another form").unwrap();
        assert_eq!(shelf.entry::<u32>("recipe").unwrap(), None);
    }

    #[test]
    fn an_index_entry_is_replaced_whole() {
        let room = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(room.path()).unwrap();
        assert_eq!(shelf.entry::<String>("r").unwrap(), None);
        shelf.record("r", &"one").unwrap();
        shelf.record("r", &"two").unwrap();
        assert_eq!(shelf.entry::<String>("r").unwrap().as_deref(), Some("two"));
        let left = fs::read_dir(&shelf.index).unwrap().count();
        assert_eq!(left, 1, "no temporary file stays");
    }

    #[test]
    fn what_a_killed_maker_left_does_not_mix_with_new_work() {
        let room = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(room.path()).unwrap();
        let lock = shelf.lock("r", "it", &mut |_| ()).unwrap();
        let killed = shelf.workplace("r", &lock).unwrap();
        fs::write(killed.path().join("half"), "").unwrap();
        std::mem::forget(killed);
        let work = shelf.workplace("r", &lock).unwrap();
        assert_eq!(fs::read_dir(work.path()).unwrap().count(), 0);
        let path = work.path().to_owned();
        drop(work);
        assert!(!path.exists());
    }

    #[test]
    fn a_second_maker_waits_for_the_first() {
        let room = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(room.path()).unwrap();
        let first = shelf.lock("r", "it", &mut |_| ()).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let other = shelf.clone();
        let second = std::thread::spawn(move || {
            let lock = other.lock("r", "it", &mut |event| sender.send(Some(event)).unwrap()).unwrap();
            sender.send(None).unwrap();
            drop(lock);
        });
        let told = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(matches!(told, Some(Progress::Waiting { what, .. }) if what == "it"));
        assert!(receiver.recv_timeout(3 * POLL).is_err(), "the first still holds it, and it is told once");
        drop(first);
        assert_eq!(receiver.recv_timeout(Duration::from_secs(10)).unwrap(), None);
        second.join().unwrap();
    }
}
