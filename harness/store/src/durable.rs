//! Writes that survive a crash of this process or of the machine.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
};

use crate::StoreError;

/// Writes `bytes` under `path` so that a reader sees either all of them or what was there before.
pub(crate) fn publish(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    publish_with(path, |file| file.write_all(bytes))
}

/// The same for what `write` writes, which need not fit into memory.
pub(crate) fn publish_with(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<(), StoreError> {
    let unfinished = path.with_extension("unfinished");
    let file = File::create(&unfinished).map_err(StoreError::io("creating", &unfinished))?;
    let mut file = BufWriter::new(file);
    write(&mut file).map_err(StoreError::io("writing", &unfinished))?;
    let file =
        file.into_inner().map_err(|error| StoreError::io("writing", &unfinished)(error.into_error()))?;
    file.sync_all().map_err(StoreError::io("syncing", &unfinished))?;
    fs::rename(&unfinished, path).map_err(StoreError::io("publishing", path))?;
    sync_folder(path.parent().expect("a published file has a folder"))
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(StoreError::io("syncing", folder))
}
