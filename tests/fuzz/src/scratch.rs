//! A folder for parsers that read files.

use std::{
    fs,
    path::{Component, Path},
};

use tempfile::TempDir;

/// A folder that is removed with this value.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

/// Writes a file below `folder`, at those parts of `name` that lead downwards. A name that cannot be a file's makes none.
pub(crate) fn write(folder: &Path, name: &str, content: &[u8]) {
    let parts = Path::new(name).components().filter(|part| matches!(part, Component::Normal(_)));
    let path = folder.join(parts.collect::<std::path::PathBuf>());
    if let Some(parent) = path.parent()
        && path != folder
        && fs::create_dir_all(parent).is_ok()
    {
        let _ = fs::write(path, content);
    }
}

/// Copies the files below `from` to `to`.
pub(crate) fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder of ours") {
        let path = entry.expect("a folder of ours").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name of ours");
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::create_dir_all(to).expect("a folder of ours");
            write(to, name, &fs::read(&path).expect("a file of ours"));
        }
    }
}
