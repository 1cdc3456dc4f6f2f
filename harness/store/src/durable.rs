//! Writes that survive a crash of this process or of the machine.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use crate::StoreError;

/// Writes `bytes` under `path` so that a reader sees either all of them or what was there before.
pub(crate) fn publish(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let unfinished = path.with_extension("unfinished");
    let mut file = File::create(&unfinished).map_err(StoreError::io("creating", &unfinished))?;
    file.write_all(bytes).map_err(StoreError::io("writing", &unfinished))?;
    file.sync_all().map_err(StoreError::io("syncing", &unfinished))?;
    fs::rename(&unfinished, path).map_err(StoreError::io("publishing", path))?;
    sync_folder(path.parent().expect("a published file has a folder"))
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(StoreError::io("syncing", folder))
}
