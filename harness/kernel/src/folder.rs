//! Folders of the cache: made readable for everybody, linked, removed and made durable.
//!
//! What a sandboxed build left behind is untrusted: nothing here follows a symbolic link.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Component, Path, PathBuf},
};

use nix::{
    fcntl::{AT_FDCWD, AtFlags, OFlag},
    sys::{
        stat::{UtimensatFlags, utimensat},
        time::TimeSpec,
    },
    unistd::{Gid, Uid, fchownat},
};

use crate::{
    KernelError,
    error::{io, sys},
};

/// Whose a folder is to be; the caller's own if none.
pub(crate) type Owner = Option<(Uid, Gid)>;

/// Makes a folder, and those above it, that everybody may read whatever the caller's umask is.
pub(crate) fn create(path: &Path) -> Result<(), KernelError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made
            .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)))
            .map_err(io("create", path)),
    }
}

/// Makes a folder that `owner` may write to.
pub(crate) fn create_for(path: &Path, owner: Owner) -> Result<(), KernelError> {
    create(path)?;
    give(path, owner)
}

/// Gives a file, folder or symbolic link to `owner`.
pub(crate) fn give(path: &Path, owner: Owner) -> Result<(), KernelError> {
    match owner {
        None => Ok(()),
        Some((uid, gid)) => fchownat(AT_FDCWD, path, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)
            .map_err(sys("change the owner of", path)),
    }
}

/// Writes a file so that it is wholly there or not at all, and survives a power cut.
pub(crate) fn write_durably(path: &Path, contents: &[u8]) -> Result<(), KernelError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io("create a file in", folder))?;
    file.write_all(contents)
        .and_then(|()| file.as_file().set_permissions(Permissions::from_mode(0o644)))
        .and_then(|()| file.as_file().sync_all())
        .map_err(io("write", path))?;
    file.persist(path).map_err(|error| io("write", path)(error.error))?;
    sync(folder)
}

/// Opens a regular file that an untrusted process may have left: never through a symbolic link, never a device.
pub(crate) fn open_regular(path: &Path) -> Result<File, KernelError> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(io("open", path))?;
    let kind = file.metadata().map_err(io("examine", path))?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    Err(KernelError::Unexpected { what: path.display().to_string(), reason: "not a regular file".to_owned() })
}

/// Reads such a file, of at most `limit` bytes.
pub(crate) fn read_regular(path: &Path, limit: u64) -> Result<Vec<u8>, KernelError> {
    use io::Read as _;
    let mut contents = Vec::new();
    open_regular(path)?.take(limit + 1).read_to_end(&mut contents).map_err(io("read", path))?;
    if contents.len() as u64 > limit {
        let reason = format!("more than {limit} bytes");
        return Err(KernelError::Unexpected { what: path.display().to_string(), reason });
    }
    Ok(contents)
}

/// Makes the entries of a folder durable.
pub(crate) fn sync(folder: &Path) -> Result<(), KernelError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("sync", folder))
}

/// Moves a finished folder to its place. `false` if somebody else's is there already; `from` then stays.
pub(crate) fn publish(from: &Path, to: &Path) -> Result<bool, KernelError> {
    match fs::rename(from, to) {
        Ok(()) => {
            if let Some(parent) = to.parent() {
                sync(parent)?;
            }
            Ok(true)
        }
        Err(error)
            if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) =>
        {
            Ok(false)
        }
        Err(error) => Err(io("publish", to)(error)),
    }
}

/// Removes a folder with all that is in it, folders that a build has closed to their owner included.
pub(crate) fn remove(path: &Path) -> Result<(), KernelError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            visit(path, &mut |folder, metadata| match metadata.is_dir() {
                true => {
                    fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(io("open up", folder))
                }
                false => Ok(()),
            })?;
            fs::remove_dir_all(path).map_err(io("remove", path))
        }
        removed => removed.map_err(io("remove", path)),
    }
}

/// Calls `each` for `path` and all below it, a folder before what it holds. Symbolic links are not followed.
pub(crate) fn visit(
    path: &Path,
    each: &mut dyn FnMut(&Path, &fs::Metadata) -> Result<(), KernelError>,
) -> Result<(), KernelError> {
    let metadata = fs::symlink_metadata(path).map_err(io("examine", path))?;
    each(path, &metadata)?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path).map_err(io("list", path))? {
            visit(&entry.map_err(io("list", path))?.path(), each)?;
        }
    }
    Ok(())
}

/// Bytes that a folder takes on disk. A file with several names counts once for each.
pub(crate) fn size(path: &Path) -> Result<u64, KernelError> {
    let mut bytes = 0;
    visit(path, &mut |_, metadata| {
        bytes += metadata.blocks() * 512;
        Ok(())
    })?;
    Ok(bytes)
}

/// Sets the modification time of a file, a folder or a symbolic link itself.
pub(crate) fn set_modified(path: &Path, time: &TimeSpec) -> Result<(), KernelError> {
    utimensat(AT_FDCWD, path, time, time, UtimensatFlags::NoFollowSymlink)
        .map_err(sys("set the time of", path))
}

/// Sets the modification time of a file of ours to now.
pub(crate) fn touch(path: &Path) -> Result<(), KernelError> {
    set_modified(path, &TimeSpec::UTIME_NOW)
}

/// Copies a tree with hard links: new folders, the same files. Whoever then changes a file must replace it.
pub(crate) fn link_tree(from: &Path, to: &Path, owner: Owner) -> Result<(), KernelError> {
    create_for(to, owner)?;
    for entry in fs::read_dir(from).map_err(io("list", from))? {
        let entry = entry.map_err(io("list", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().map_err(io("examine", &source))?.is_dir() {
            link_tree(&source, &target, owner)?;
        } else {
            fs::hard_link(&source, &target).map_err(io("link", &target))?;
        }
    }
    Ok(())
}

/// `path` without `.` and with every `..` resolved by name; nothing if it is absolute or leaves its start.
pub(crate) fn beneath(path: &Path) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => inside.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !inside.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(inside)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_share_files_and_not_folders() {
        let room = tempfile::tempdir().unwrap();
        let (from, to) = (room.path().join("from"), room.path().join("to"));
        fs::create_dir_all(from.join("drivers/net")).unwrap();
        fs::write(from.join("drivers/net/a.c"), "one").unwrap();
        symlink("net", from.join("drivers/link")).unwrap();
        link_tree(&from, &to, None).unwrap();
        let inode = |path: PathBuf| fs::symlink_metadata(path).unwrap().ino();
        assert_eq!(inode(from.join("drivers/net/a.c")), inode(to.join("drivers/net/a.c")));
        assert_ne!(inode(from.join("drivers")), inode(to.join("drivers")));
        assert_eq!(fs::read_link(to.join("drivers/link")).unwrap(), Path::new("net"));
    }

    #[test]
    fn untrusted_files_are_not_read_through_links_or_from_pipes() {
        let room = tempfile::tempdir().unwrap();
        fs::write(room.path().join("secret"), "s").unwrap();
        symlink("secret", room.path().join("link")).unwrap();
        nix::unistd::mkfifo(&room.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read_regular(&room.path().join("link"), 10).is_err());
        assert!(read_regular(&room.path().join("pipe"), 10).is_err());
        assert_eq!(read_regular(&room.path().join("secret"), 1).unwrap(), b"s");
        assert!(read_regular(&room.path().join("secret"), 0).is_err());
    }

    #[test]
    fn paths_that_leave_are_told() {
        assert_eq!(beneath(Path::new("a/./b/../c")), Some("a/c".into()));
        assert_eq!(beneath(Path::new("a/../../c")), None);
        assert_eq!(beneath(Path::new("/etc/passwd")), None);
    }

    #[test]
    fn publishing_twice_keeps_the_first() {
        let room = tempfile::tempdir().unwrap();
        for name in ["one", "two"] {
            fs::create_dir(room.path().join(name)).unwrap();
            fs::write(room.path().join(name).join("f"), name).unwrap();
        }
        let place = room.path().join("place");
        assert!(publish(&room.path().join("one"), &place).unwrap());
        assert!(!publish(&room.path().join("two"), &place).unwrap());
        assert_eq!(fs::read_to_string(place.join("f")).unwrap(), "one");
    }
}
