//! What is removed from the cache, and what stays.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{
    Layout,
    entry::{USED, read_manifest},
};
use crate::{KernelError, error::io, folder, lock};

/// Another collection takes no longer than removing everything.
const DEADLINE: Duration = Duration::from_secs(1800);

/// What a collection keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Keys of images that stay, however old.
    pub keys: BTreeSet<String>,
    /// Bytes that the rest may take: the most recently used stays as far as it fits. What live processes use stays too.
    pub bytes: u64,
}

/// What a collection removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// Bytes on disk.
    pub bytes: u64,
    /// What went, as `image <key>`, `tree <id>`, `objects <id>`, `selftests <key>`, `repository <id>`, `damaged <name>`.
    pub removed: Vec<String>,
}

/// Something that can go.
#[derive(Debug)]
struct Candidate {
    kind: &'static str,
    name: String,
    path: PathBuf,
    used: SystemTime,
    bytes: u64,
}

/// Removes what [`Keep`] does not keep. Trees, objects, tests and repositories count as much as images: they cost time, and no result needs
/// them.
pub(crate) fn collect(layout: &Layout, keep: &Keep) -> Result<Freed, KernelError> {
    let _alone =
        lock::exclusive(&layout.lock("gc", "run"), "removing from the cache", DEADLINE, &mut |_| ())?;
    let mut freed = Freed::default();
    for damaged in list(&layout.damaged(), "damaged")? {
        remove(layout, damaged, &mut freed)?;
    }
    let mut candidates = list(&layout.images(), "image")?;
    candidates.retain(|image| !keep.keys.contains(&image.name));
    candidates.extend(list(&layout.trees(), "tree")?);
    candidates.extend(list(&layout.all_objects(), "objects")?);
    candidates.extend(list(&layout.all_selftests(), "selftests")?);
    candidates.extend(list(&layout.repositories(), "repository")?);
    candidates.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.name.cmp(&b.name)));
    let mut room = keep.bytes;
    for candidate in candidates {
        match room.checked_sub(candidate.bytes) {
            Some(rest) => room = rest,
            None => remove(layout, candidate, &mut freed)?,
        }
    }
    forget_requests(layout)?;
    Ok(freed)
}

/// Removes images that were taken from build folders and serve nobody any more: of folders that are gone all, of `folder` all but
/// the last `count` that were used. What live processes use stays.
pub(crate) fn supersede(layout: &Layout, folder: &str, count: usize) -> Result<(), KernelError> {
    let _alone =
        lock::exclusive(&layout.lock("gc", "run"), "removing from the cache", DEADLINE, &mut |_| ())?;
    let mut older = Vec::new();
    for image in list(&layout.images(), "image")? {
        // A base's name has no slash.
        match read_manifest(&image.path) {
            Ok(stored) if stored.base == folder => older.push(image),
            Ok(stored) if stored.base.starts_with('/') && !Path::new(&stored.base).is_dir() => {
                remove(layout, image, &mut Freed::default())?;
            }
            Ok(_) | Err(_) => {}
        }
    }
    older.sort_by_key(|image| std::cmp::Reverse(image.used));
    for image in older.into_iter().skip(count) {
        remove(layout, image, &mut Freed::default())?;
    }
    Ok(())
}

fn list(folder: &Path, kind: &'static str) -> Result<Vec<Candidate>, KernelError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(io("list", folder))? {
        let path = entry.map_err(io("list", folder))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
        let stamp = [path.join(USED), path.clone()].into_iter().find_map(|path| fs::metadata(path).ok());
        let used = stamp.and_then(|metadata| metadata.modified().ok()).unwrap_or(SystemTime::UNIX_EPOCH);
        found.push(Candidate { kind, name, bytes: folder::size(&path)?, path, used });
    }
    Ok(found)
}

/// Removes a candidate unless somebody uses it. It leaves its place in one step, so that nobody meets half of it.
fn remove(layout: &Layout, candidate: Candidate, freed: &mut Freed) -> Result<(), KernelError> {
    let Some(_lock) = lock::try_exclusive(&layout.lock(candidate.kind, &candidate.name))? else {
        return Ok(());
    };
    let doomed = tempfile::Builder::new()
        .prefix("removed-")
        .tempdir_in(layout.damaged())
        .map_err(io("create a folder in", layout.damaged()))?
        .keep();
    fs::rename(&candidate.path, doomed.join("it")).map_err(io("remove", &candidate.path))?;
    folder::remove(&doomed)?;
    freed.bytes += candidate.bytes;
    freed.removed.push(format!("{} {}", candidate.kind, candidate.name));
    Ok(())
}

/// Removes requests whose image is gone.
fn forget_requests(layout: &Layout) -> Result<(), KernelError> {
    let folder = layout.request("");
    for entry in fs::read_dir(&folder).map_err(io("list", &folder))? {
        let path = entry.map_err(io("list", &folder))?.path();
        let key = fs::read_to_string(&path).map_err(io("read", &path))?;
        if !layout.image(key.trim()).is_dir() {
            fs::remove_file(&path).map_err(io("remove", &path))?;
        }
    }
    Ok(())
}
