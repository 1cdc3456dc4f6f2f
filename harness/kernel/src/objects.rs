//! Objects of unpatched bases: an arm starts from a copy of them, so that it compiles only what its patches touch.
//!
//! A series is untrusted, so what was built from one is never anybody else's starting point.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::time::TimeSpec;
use serde::{Deserialize, Serialize};
use subprocess::Supervisor;

use crate::{
    KernelError,
    cache::Layout,
    error::{io, tool},
    folder,
    lock::{self, Lock},
    sandbox::{INPUT, OBJECTS, Sandbox},
};

/// Copying half a gigabyte, on a slow disk.
const DEADLINE: Duration = Duration::from_secs(1800);

/// Made anew by every link, and large: not worth keeping.
const RELINKED: &[&str] = &["vmlinux", "vmlinux.o", "vmlinux.unstripped", "System.map", "draft.config"];
/// Beginnings of more of those.
const RELINKED_PREFIXES: &[&str] = &[".tmp_vmlinux"];

/// What is known of kept objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    /// Steps of make that they took.
    steps: u64,
}

/// Objects of the cache, kept there as long as this lives.
#[derive(Debug)]
pub(crate) struct Objects {
    folder: PathBuf,
    _lock: Lock,
}

/// The objects called `id`, if they are there.
pub(crate) fn find(layout: &Layout, id: &str) -> Result<Option<Objects>, KernelError> {
    let place = layout.objects(id);
    let Some(lock) = lock::try_shared(&layout.lock("objects", id))? else {
        return Ok(None);
    };
    if !place.join("facts.json").is_file() {
        return Ok(None);
    }
    // Only gc reads this time.
    let _ = folder::touch(&place.join("used"));
    Ok(Some(Objects { folder: place, _lock: lock }))
}

/// Keeps `build`, the object tree of a finished build, by way of `scratch`, a folder to be made beside it.
pub(crate) fn keep(
    layout: &Layout,
    id: &str,
    scratch: &Path,
    build: &Path,
    steps: u64,
) -> Result<(), KernelError> {
    folder::create(scratch)?;
    let objects = scratch.join("build");
    fs::rename(build, &objects).map_err(io("move", build))?;
    for entry in fs::read_dir(&objects).map_err(io("list", &objects))? {
        let entry = entry.map_err(io("list", &objects))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let relinked =
            RELINKED.contains(&name.as_str()) || RELINKED_PREFIXES.iter().any(|p| name.starts_with(p));
        if relinked && !entry.file_type().map_err(io("examine", entry.path()))?.is_dir() {
            fs::remove_file(entry.path()).map_err(io("remove", entry.path()))?;
        }
    }
    let whole = fs::File::open(scratch).map_err(io("open", scratch))?;
    nix::unistd::syncfs(&whole).map_err(crate::error::sys("sync", scratch))?;
    folder::write_durably(&scratch.join("used"), b"")?;
    let facts = serde_json::to_vec(&Facts { steps }).expect("a number serialises");
    folder::write_durably(&scratch.join("facts.json"), &facts)?;
    // If another builder was faster, its objects are as good.
    folder::publish(scratch, &layout.objects(id)).map(|_| ())
}

/// How many steps a build of this base took, if it was ever built and its objects are still there.
pub(crate) fn steps(layout: &Layout, id: &str) -> Option<u64> {
    let text = fs::read(layout.objects(id).join("facts.json")).ok()?;
    serde_json::from_slice::<Facts>(&text).ok().map(|facts| facts.steps)
}

impl Objects {
    /// Copies them into `to` with their times, which tell make what is up to date.
    pub(crate) fn copy(&self, supervisor: &Supervisor, to: &Path) -> Result<(), KernelError> {
        Sandbox::new()
            .read(&self.folder.join("build"), INPUT)
            .write(to, OBJECTS)
            .tool("/", ["cp", "--archive", "--reflink=auto", "/in/.", "/build/"])
            .deadline(DEADLINE)
            .run(supervisor)
            .map(|_| ())
            .map_err(tool("copy the base's objects"))
    }
}

/// Makes patched files newer than any object, whenever they were patched. Files that are still shared with the
/// pristine tree are left alone.
pub(crate) fn outdate(tree: &Path, touched: &[PathBuf]) -> Result<(), KernelError> {
    use std::os::unix::fs::MetadataExt as _;
    for path in touched {
        let path = tree.join(path);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() && metadata.nlink() == 1 => {
                folder::set_modified(&path, &TimeSpec::UTIME_NOW)?;
            }
            // A link, a folder, or a file that the patch removed.
            _ => {}
        }
    }
    Ok(())
}
