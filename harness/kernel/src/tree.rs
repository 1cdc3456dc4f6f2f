//! Source trees: pristine ones that are shared, and an arm's own.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use nix::{sys::time::TimeSpec, unistd::syncfs};

use crate::{
    KernelError,
    error::{io, sys},
    folder,
    lock::Lock,
};

/// When every pristine file was last changed, in seconds since 1970: before any object was made, whatever the clock of
/// whoever packed the tree said. make compares times.
const PRISTINE: i64 = 946_684_800;

/// A pristine tree of the cache, kept there as long as this lives.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Identifies the source in keys.
    pub(crate) id: String,
    /// The exact version, for people.
    pub(crate) version: String,
    pub(crate) path: PathBuf,
    pub(crate) _lock: Lock,
}

/// Makes a freshly unpacked tree a pristine one: ours, readable for all, of one age. Refuses what is neither folder,
/// file nor link.
pub(crate) fn settle(root: &Path) -> Result<(), KernelError> {
    let ours = crate::sandbox::owner().map(|_| (nix::unistd::geteuid(), nix::unistd::getegid()));
    let time = TimeSpec::new(PRISTINE, 0);
    folder::visit(root, &mut |path, metadata| {
        folder::give(path, ours)?;
        let kind = metadata.file_type();
        if kind.is_dir() || kind.is_file() {
            let executable = kind.is_dir() || metadata.permissions().mode() & 0o100 != 0;
            let mode = if executable { 0o755 } else { 0o644 };
            fs::set_permissions(path, Permissions::from_mode(mode)).map_err(io("open up", path))?;
        } else if !kind.is_symlink() {
            return Err(KernelError::Unexpected {
                what: path.display().to_string(),
                reason: "a source tree holds only folders, files and links".to_owned(),
            });
        }
        folder::set_modified(path, &time)
    })?;
    // One by one, a hundred thousand files would take minutes.
    let whole = fs::File::open(root).map_err(io("open", root))?;
    syncfs(&whole).map_err(sys("sync", root))
}

/// The version that a tree calls itself: `6.12.9`, with its extra version.
pub(crate) fn version(tree: &Path) -> Result<String, KernelError> {
    let path = tree.join("Makefile");
    if !path.is_file() {
        let reason = "it has no Makefile".to_owned();
        return Err(KernelError::BadSource { location: tree.display().to_string(), reason });
    }
    let text = folder::read_regular(&path, 1 << 20)?;
    let text = String::from_utf8_lossy(&text);
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='));
        line.map(str::trim).filter(|value| !value.is_empty())
    };
    let (Some(version), Some(patchlevel)) = (field("VERSION"), field("PATCHLEVEL")) else {
        let reason = "its Makefile has no VERSION and PATCHLEVEL".to_owned();
        return Err(KernelError::BadSource { location: tree.display().to_string(), reason });
    };
    let sublevel = field("SUBLEVEL").map_or_else(String::new, |sublevel| format!(".{sublevel}"));
    Ok(format!("{version}.{patchlevel}{sublevel}{}", field("EXTRAVERSION").unwrap_or_default()))
}

/// Whether `version` is `wanted` or one of its releases: 6.1 is not 6.12.
pub(crate) fn is_release_of(version: &str, wanted: &str) -> bool {
    version.strip_prefix(wanted).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn reads_the_version_from_the_makefile() {
        let room = tempfile::tempdir().unwrap();
        let text = "# x\nVERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 0\nEXTRAVERSION = -rc2\nNAME = x\n";
        fs::write(room.path().join("Makefile"), text).unwrap();
        assert_eq!(version(room.path()).unwrap(), "7.3.0-rc2");
        fs::write(room.path().join("Makefile"), "all:\n").unwrap();
        assert!(version(room.path()).unwrap_err().to_string().contains("no VERSION and PATCHLEVEL"));
    }

    #[test]
    fn a_prefix_of_digits_is_another_version() {
        assert!(is_release_of("6.12.9", "6.12"));
        assert!(is_release_of("6.12", "6.12"));
        assert!(is_release_of("7.0-rc1", "7.0"));
        assert!(!is_release_of("6.12.9", "6.1"));
    }

    #[test]
    fn pristine_files_are_old_and_readable() {
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("run.sh");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o4700)).unwrap();
        std::os::unix::fs::symlink("nowhere", room.path().join("link")).unwrap();
        settle(room.path()).unwrap();
        let metadata = fs::metadata(&file).unwrap();
        assert_eq!((metadata.mtime(), metadata.mode() & 0o7777), (PRISTINE, 0o755));
        nix::unistd::mkfifo(&room.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(settle(room.path()).is_err());
    }
}
