//! Whether the user that guests run as can reach a folder: tried, as that user, before anything boots.

use std::{
    ffi::OsStr,
    io::Write,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use nix::unistd::{AccessFlags, access};
use subprocess::{Ended, RunAs, Supervisor, Tool};

use crate::{Access, Host, MachineError, helper};

/// A few system calls; a network file system may take its time.
const DEADLINE: Duration = Duration::from_secs(20);

/// What keeps the guests' user from a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// This folder on the way may not be passed through.
    Way(PathBuf),
    /// The folder itself may not be read.
    Read(PathBuf),
    /// The folder itself may not be written to.
    Write(PathBuf),
}

/// What keeps the user that guests run as from `folder`, an absolute path; nothing if it can do what `wanted` says.
///
/// # Errors
/// If it could not be tried.
pub fn obstacle(
    folder: &Path,
    wanted: Access,
    host: &Host,
    supervisor: &Supervisor,
) -> Result<Option<Obstacle>, MachineError> {
    let (program, arguments) = host.helper.split_first().ok_or(MachineError::NoHelper)?;
    let wanted = match wanted {
        Access::ReadOnly => "read",
        Access::ReadWrite => "write",
    };
    let output = Tool::new(program)
        .args(arguments)
        .args([OsStr::new(helper::PROBE_ACCESS), OsStr::new(wanted), folder.as_os_str()])
        .run_as(RunAs::Unprivileged)
        .in_dir("/")
        .deadline(DEADLINE)
        .run_unchecked(supervisor)
        .map_err(|source| MachineError::Access { folder: folder.to_owned(), source: Box::new(source) })?;
    let at = || PathBuf::from(OsStr::from_bytes(&output.stdout));
    match output.ended {
        Ended::Exited(0) => Ok(None),
        Ended::Exited(WAY) => Ok(Some(Obstacle::Way(at()))),
        Ended::Exited(READ) => Ok(Some(Obstacle::Read(at()))),
        Ended::Exited(WRITE) => Ok(Some(Obstacle::Write(at()))),
        how => Err(MachineError::AccessProbe {
            folder: folder.to_owned(),
            how,
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        }),
    }
}

// Exit statuses of the helper.
const WAY: i32 = 10;
const READ: i32 = 11;
const WRITE: i32 = 12;

/// The body of the helper: looks, prints the path of what is in the way, and says by its status what that is.
pub(crate) fn probe_child(wanted: &OsStr, folder: &Path) -> ExitCode {
    let (status, path) = match find(folder, wanted == "write") {
        None => return ExitCode::SUCCESS,
        Some(Obstacle::Way(path)) => (WAY, path),
        Some(Obstacle::Read(path)) => (READ, path),
        Some(Obstacle::Write(path)) => (WRITE, path),
    };
    match std::io::stdout().write_all(path.as_os_str().as_bytes()) {
        Ok(()) => ExitCode::from(u8::try_from(status).expect("a status is small")),
        Err(_) => ExitCode::FAILURE,
    }
}

fn find(folder: &Path, write: bool) -> Option<Obstacle> {
    let may = |path: &Path, flags| access(path, flags).is_ok();
    let mut way: Vec<&Path> = folder.ancestors().skip(1).collect();
    way.reverse();
    if let Some(closed) = way.into_iter().find(|path| !may(path, AccessFlags::X_OK)) {
        return Some(Obstacle::Way(closed.to_owned()));
    }
    if !may(folder, AccessFlags::R_OK | AccessFlags::X_OK) {
        return Some(Obstacle::Read(folder.to_owned()));
    }
    (write && !may(folder, AccessFlags::W_OK)).then(|| Obstacle::Write(folder.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_in_the_way_whoever_looks() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("a");
        std::fs::create_dir(&inside).unwrap();
        assert_eq!(find(&inside, true), None);
        assert_eq!(find(&folder.path().join("b"), false), Some(Obstacle::Read(folder.path().join("b"))));
        assert_eq!(find(&folder.path().join("b/c"), false), Some(Obstacle::Way(folder.path().join("b"))));
    }
}
