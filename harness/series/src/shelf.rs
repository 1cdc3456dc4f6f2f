//! Series in the cache: a folder of patches by the checksum of its contents, so that a plan can name it for ever.

use std::{
    fs::{self, File, Permissions, TryLockError},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use plan::PatchFile;
use sha2::{Digest, Sha256};
use subprocess::LockHolder;

use crate::{
    error::{SeriesError, cache},
    value::Series,
};

/// As `git format-patch` names it; not applied.
const COVER_LETTER: &str = "0000-cover-letter.patch";
/// Beginning of the names of what is being written.
const UNFINISHED: &str = "unfinished-";
/// Writing a series takes milliseconds.
const DEADLINE: Duration = Duration::from_secs(60);
/// Between two tries. `flock` has no deadline of its own and no event to wait for.
const POLL: Duration = Duration::from_millis(50);

/// Writes a series into `root` unless it is there, and gives it as a plan names it: `root/SHA256/NAME/0001-....patch`.
///
/// Another process that writes is waited for, and named to `waiting`.
///
/// # Errors
/// When the cache cannot be used.
pub fn shelve(
    series: &Series,
    root: &Path,
    waiting: &mut dyn FnMut(LockHolder),
) -> Result<plan::Series, SeriesError> {
    shelve_files(&series.name, &files(series), root, waiting)
}

/// The same for patches that are no mails, or that nobody has to be told more of: names of files, in order, and what is in
/// them. `name` and the names must be plain.
///
/// # Errors
/// When the cache cannot be used.
pub fn shelve_files(
    name: &str,
    files: &[(String, Vec<u8>)],
    root: &Path,
    waiting: &mut dyn FnMut(LockHolder),
) -> Result<plan::Series, SeriesError> {
    let root = std::path::absolute(root).map_err(cache("find", root))?;
    create(&root)?;
    let folder = root.join(checksum(name, files)).join(name);
    let _lock = lock(&root.join("lock"), waiting)?;
    sweep(&root)?;
    if !is_whole(&folder, files) {
        publish(&root, &folder, files)?;
    }
    let patches = files
        .iter()
        .filter(|(name, _)| name != COVER_LETTER)
        .map(|(name, text)| PatchFile { path: folder.join(name), sha256: hexadecimal(&Sha256::digest(text)) })
        .collect();
    Ok(plan::Series { name: name.to_owned(), folder: folder.clone(), patches })
}

/// Names and contents.
type Files = Vec<(String, Vec<u8>)>;

fn files(series: &Series) -> Files {
    let cover = series.cover_text().map(|text| (COVER_LETTER.to_owned(), text));
    let patches = series.patches.iter().map(|patch| (patch.file.clone(), patch.text.clone()));
    cover.into_iter().chain(patches).collect()
}

fn checksum(name: &str, files: &[(String, Vec<u8>)]) -> String {
    let mut digest = Sha256::new();
    let mut add = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    };
    add(name.as_bytes());
    for (name, text) in files {
        add(name.as_bytes());
        add(text);
    }
    hexadecimal(&digest.finalize())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn create(folder: &Path) -> Result<(), SeriesError> {
    fs::create_dir_all(folder)
        .and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o755)))
        .map_err(cache("create", folder))
}

/// Whether the folder holds exactly these files, as they should be.
fn is_whole(folder: &Path, files: &[(String, Vec<u8>)]) -> bool {
    let count = fs::read_dir(folder).map_or(0, Iterator::count);
    count == files.len()
        && files.iter().all(|(name, text)| fs::read(folder.join(name)).is_ok_and(|found| found == *text))
}

/// Writes the folder beside its place, makes it durable and moves it there.
fn publish(root: &Path, folder: &Path, files: &[(String, Vec<u8>)]) -> Result<(), SeriesError> {
    let place = folder.parent().unwrap_or(root);
    let draft = root.join(format!("{UNFINISHED}{}", std::process::id()));
    let inside = draft.join(folder.file_name().unwrap_or_default());
    create(&inside)?;
    for (name, text) in files {
        let path = inside.join(name);
        let mut file = File::create(&path).map_err(cache("create", &path))?;
        file.write_all(text)
            .and_then(|()| file.set_permissions(Permissions::from_mode(0o644)))
            .and_then(|()| file.sync_all())
            .map_err(cache("write", &path))?;
    }
    for folder in [&inside, &draft] {
        sync(folder)?;
    }
    fs::set_permissions(&draft, Permissions::from_mode(0o755)).map_err(cache("open up", &draft))?;
    // What is there is not what it should be, or it would have been taken.
    if place.exists() {
        fs::remove_dir_all(place).map_err(cache("remove the damaged", place))?;
    }
    fs::rename(&draft, place).map_err(cache("publish", place))?;
    sync(root)
}

fn sync(folder: &Path) -> Result<(), SeriesError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(cache("sync", folder))
}

/// Removes what killed processes left. Whoever holds the lock is the only one who writes.
fn sweep(root: &Path) -> Result<(), SeriesError> {
    for entry in fs::read_dir(root).map_err(cache("list", root))? {
        let path: PathBuf = entry.map_err(cache("list", root))?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(UNFINISHED)) {
            fs::remove_dir_all(&path).map_err(cache("remove", &path))?;
        }
    }
    Ok(())
}

/// The lock of the whole shelf, held until it is dropped or the process ends in any way.
fn lock(path: &Path, waiting: &mut dyn FnMut(LockHolder)) -> Result<File, SeriesError> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(cache("open the lock", path))?;
    let begin = Instant::now();
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(cache("lock", path)(error)),
            Err(TryLockError::WouldBlock) if begin.elapsed() > DEADLINE => {
                return Err(SeriesError::LockDeadline { path: path.to_owned(), seconds: DEADLINE.as_secs() });
            }
            Err(TryLockError::WouldBlock) => {
                if !told {
                    waiting(LockHolder::of(&file));
                    told = true;
                }
                pause();
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "polls the condition `the lock is free` until a deadline")]
fn pause() {
    std::thread::sleep(POLL);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_says_so_once() {
        let room = tempfile::tempdir().unwrap();
        let root = room.path().join("series");
        let patches = [("0001-a.patch".to_owned(), b"a".to_vec())];
        shelve_files("s", &patches, &root, &mut |_| panic!("nobody holds the lock")).unwrap();
        let held = lock(&root.join("lock"), &mut |_| ()).unwrap();
        let mut held = Some(held);
        let mut told = 0;
        // Whoever is told lets go of it.
        let mut waiting = |_| {
            told += 1;
            held.take();
        };
        shelve_files("s", &patches, &root, &mut waiting).unwrap();
        assert_eq!(told, 1);
    }
}
