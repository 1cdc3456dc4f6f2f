//! Space in the folders that Assay writes to.

use std::path::{Path, PathBuf};

use nix::{
    sys::statvfs::statvfs,
    unistd::{AccessFlags, access},
};

/// A folder that Assay writes to, or will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// What for, such as `cache`.
    pub purpose: &'static str,
    /// The folder.
    pub path: PathBuf,
    /// Whether this user can write to it, or make it.
    pub writable: bool,
    /// Bytes that this user may still write there; otherwise why that is not known.
    pub free: Result<u64, String>,
}

impl Space {
    pub(super) fn of(purpose: &'static str, path: PathBuf) -> Self {
        // Where the folder is not made yet, its nearest ancestor says how it will be.
        let there = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
        let writable = there.is_dir() && access(there, AccessFlags::W_OK).is_ok();
        let free = statvfs(there)
            .map(|space| space.blocks_available() * space.fragment_size())
            .map_err(|errno| format!("statvfs: {}", errno.desc()));
        Self { purpose, writable, free, path }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_made_yet_is_as_its_nearest_ancestor() {
        let room = tempfile::tempdir().unwrap();
        let space = Space::of("cache", room.path().join("not/yet"));
        assert!(space.writable);
        assert!(space.free.unwrap() > 0);
        std::fs::write(room.path().join("file"), "").unwrap();
        assert!(!Space::of("cache", room.path().join("file/below")).writable);
    }
}
