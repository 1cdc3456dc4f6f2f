//! Patches as files of a cache, so that a run can be resumed and repeated when the working tree has long gone on.

use std::{
    fs::{self, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use plan::{PatchFile, Series};
use sha2::{Digest as _, Sha256};

use crate::{Changes, TreeError, error::io};

impl Changes {
    /// The patches as a series of files below `cache`, in a folder that is named after what is in it: the same changes are
    /// the same files. It is whole or not there.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn publish(&self, cache: &Path) -> Result<Series, TreeError> {
        let all = cache.join("series");
        let entry = all.join(self.digest());
        let folder = entry.join(&self.name);
        if !folder.is_dir() {
            fs::create_dir_all(&all).map_err(io("create", &all))?;
            let draft = tempfile::Builder::new()
                .permissions(Permissions::from_mode(0o755))
                .tempdir_in(&all)
                .map_err(io("create a folder in", &all))?;
            self.write(&draft.path().join(&self.name))?;
            match fs::rename(draft.path(), &entry) {
                Ok(()) => {
                    // It is an entry now, and no draft that goes away.
                    let _moved = draft.keep();
                    sync(&all)?;
                }
                // Somebody else was faster, with the same files.
                Err(_) if folder.is_dir() => {}
                Err(error) => return Err(io("publish", entry)(error)),
            }
        }
        let patches = self
            .patches
            .iter()
            .map(|(name, text)| PatchFile { path: folder.join(name), sha256: hex(&Sha256::digest(text)) });
        Ok(Series { name: self.name.clone(), patches: patches.collect(), folder })
    }

    fn write(&self, folder: &Path) -> Result<(), TreeError> {
        fs::create_dir(folder).map_err(io("create", folder))?;
        for (name, text) in &self.patches {
            let path = folder.join(name);
            let write = || -> std::io::Result<()> {
                let mut file = fs::File::create_new(&path)?;
                file.write_all(text)?;
                file.set_permissions(Permissions::from_mode(0o644))?;
                file.sync_all()
            };
            write().map_err(io("write", &path))?;
        }
        sync(folder)
    }

    fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for (name, text) in &self.patches {
            for part in [name.as_bytes(), text] {
                digest.update((part.len() as u64).to_le_bytes());
                digest.update(part);
            }
        }
        hex(&digest.finalize())
    }
}

fn sync(folder: &Path) -> Result<(), TreeError> {
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("sync", folder))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Against, Version, Why};

    fn changes(text: &str) -> Changes {
        Changes {
            base: "0".repeat(40),
            described: "v6.12".into(),
            version: Version { major: 6, minor: 12 },
            against: Against { reference: "v6.12".into(), why: Why::Asked },
            name: "mine".into(),
            patches: vec![("0001-x.patch".into(), text.as_bytes().to_vec())],
            commits: 1,
            uncommitted: 0,
            notes: vec![],
        }
    }

    #[test]
    fn the_same_changes_are_the_same_files_and_others_are_others() {
        let room = tempfile::tempdir().unwrap();
        let first = changes("one").publish(room.path()).unwrap();
        assert_eq!(changes("one").publish(room.path()).unwrap(), first);
        let second = changes("two").publish(room.path()).unwrap();
        assert_ne!(second.folder, first.folder);
        assert_eq!(fs::read_to_string(&first.patches[0].path).unwrap(), "one");
        assert_eq!(first.patches[0].sha256, hex(&Sha256::digest("one")));
        assert_eq!(fs::read_dir(room.path().join("series")).unwrap().count(), 2, "no draft is left");
    }
}
