//! Unpacking tar archives, which are untrusted: in a sandbox that can write one new folder.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use subprocess::Supervisor;

use crate::{
    KernelError,
    error::{io, tool},
    folder,
    progress::{Listener, stage},
    sandbox::{self, INPUT, OUTPUT, Sandbox},
    work::Work,
};

/// xz on one slow core.
const DEADLINE: Duration = Duration::from_secs(3600);

/// Unpacks `archive`, a file of ours, which must have one top-level folder; gives that folder's path.
pub(super) fn unpack(
    supervisor: &Supervisor,
    archive: &Path,
    work: &Work,
    listener: &mut Listener<'_>,
) -> Result<PathBuf, KernelError> {
    let name = archive.file_name().unwrap_or(archive.as_os_str()).to_string_lossy().into_owned();
    stage(listener, format!("unpack {name}"));
    // Whatever the umask said: the sandbox's user reads it.
    fs::set_permissions(archive, Permissions::from_mode(0o644)).map_err(io("open up", archive))?;
    let folder = work.at("unpacked");
    folder::create_for(&folder, sandbox::owner())?;
    Sandbox::new()
        .read(archive, INPUT)
        .write(&folder, OUTPUT)
        .tool("/", ["tar", "--extract", "--file", INPUT, "--directory", OUTPUT])
        .args(["--no-same-owner", "--no-same-permissions"])
        .deadline(DEADLINE)
        .run(supervisor)
        .map_err(tool(format!("unpack {}", archive.display())))?;
    let mut entries = Vec::new();
    for entry in fs::read_dir(&folder).map_err(io("list", &folder))? {
        let entry = entry.map_err(io("list", &folder))?;
        entries.push((entry.path(), entry.file_type().map_err(io("examine", entry.path()))?.is_dir()));
    }
    match entries.as_slice() {
        [(path, true)] => Ok(path.clone()),
        _ => Err(KernelError::BadSource {
            location: archive.display().to_string(),
            reason: format!("one top-level folder was expected, but it has {} entries", entries.len()),
        }),
    }
}
