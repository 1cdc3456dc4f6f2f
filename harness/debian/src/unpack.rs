//! Packages to files.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use subprocess::{Input, Supervisor, Tool};

use crate::DebianError;
use crate::error::At as _;

/// Folders whose older names are links into `usr` (merged /usr).
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];
/// The largest packages, a kernel's sources among them, take seconds.
const DEADLINE: Duration = Duration::from_mins(10);

/// Unpacks `.deb` files into the folder `into`, which exists: only their files, no maintainer scripts. Needs no root.
///
/// Files belong to whoever unpacks, set-user-id bits are dropped, and everything is readable for everybody. What a
/// package has in `/bin`, `/sbin`, `/lib` and `/lib64` lands in `/usr`, to which these are links.
///
/// # Errors
/// When a file is not a package, or the folder cannot be written.
pub fn unpack(debs: &[PathBuf], into: &Path, supervisor: &Supervisor) -> Result<(), DebianError> {
    unpack_each(debs, into, supervisor, &mut |_, _| {})
}

/// Calls `before` with each package's position and file.
pub(crate) fn unpack_each(
    debs: &[PathBuf],
    into: &Path,
    supervisor: &Supervisor,
    before: &mut dyn FnMut(usize, &Path),
) -> Result<(), DebianError> {
    merge_usr(into)?;
    let parent = into.parent().unwrap_or(into);
    let archive = tempfile::NamedTempFile::new_in(parent).at("creating a file in", parent)?;
    for (position, deb) in debs.iter().enumerate() {
        before(position, deb);
        let failed = |source| DebianError::Tool { doing: format!("unpacking {}", deb.display()), source };
        // Not `dpkg-deb --extract`: it replaces a link to a folder by a folder, and with it merged /usr.
        Tool::new("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(deb)
            .stdout_file(archive.path())
            .deadline(DEADLINE)
            .run(supervisor)
            .map_err(failed)?;
        Tool::new("tar")
            .args(["--extract", "--keep-directory-symlink", "--no-same-owner", "--no-same-permissions"])
            .arg("--directory")
            .arg(into)
            .stdin(Input::File(archive.path().to_owned()))
            .deadline(DEADLINE)
            .run(supervisor)
            .map_err(failed)?;
    }
    open_to_all(into)
}

/// Makes the links of merged /usr, unless they are there already.
fn merge_usr(root: &Path) -> Result<(), DebianError> {
    for name in MERGED {
        let (target, link) = (Path::new("usr").join(name), root.join(name));
        fs::create_dir_all(root.join(&target)).at("creating", root.join(&target))?;
        match symlink(&target, &link) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && link.is_symlink() => {}
            Err(error) => return Err(error).at("creating the link", link),
        }
    }
    Ok(())
}

/// Lets everybody read what the owner may: some packages keep folders to root, and who reads here need not be that.
fn open_to_all(path: &Path) -> Result<(), DebianError> {
    let metadata = path.symlink_metadata().at("reading", path)?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let mode = metadata.permissions().mode();
    let readable = if metadata.is_dir() { 0o755 } else { 0o444 | (mode & 0o100) >> 3 | (mode & 0o100) >> 6 };
    if mode & readable != readable {
        fs::set_permissions(path, Permissions::from_mode(mode | readable)).at("opening to others", path)?;
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path).at("reading", path)? {
            open_to_all(&entry.at("reading", path)?.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_usr_is_made_once_and_refused_over_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        merge_usr(folder.path()).unwrap();
        merge_usr(folder.path()).unwrap();
        fs::write(folder.path().join("bin/tool"), "").unwrap();
        assert!(folder.path().join("usr/bin/tool").is_file());

        let other = tempfile::tempdir().unwrap();
        fs::create_dir(other.path().join("lib")).unwrap();
        assert!(matches!(merge_usr(other.path()), Err(DebianError::File { .. })));
    }

    #[test]
    fn everything_is_readable_and_programs_stay_programs() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("private");
        fs::create_dir(&below).unwrap();
        let (program, data) = (below.join("program"), below.join("data"));
        for (file, mode) in [(&program, 0o700), (&data, 0o640)] {
            fs::write(file, "").unwrap();
            fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(&below, Permissions::from_mode(0o700)).unwrap();
        symlink("/nowhere", below.join("dangling")).unwrap();
        open_to_all(folder.path()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&below), mode(&program), mode(&data)), (0o755, 0o755, 0o644));
    }
}
