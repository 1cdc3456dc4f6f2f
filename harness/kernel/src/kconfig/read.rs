//! Kconfig files of a tree. The tree may be patched, so no file is read through a link that leads out of it.

use std::path::Path;

use super::parse::Kconfig;
use crate::folder;

/// Larger than any Kconfig file there is.
const MAX_BYTES: u64 = 4 << 20;

/// Reads the Kconfig files of `tree`, as far as they can be read: they only serve to explain.
pub(crate) fn read(tree: &Path, architecture: &str) -> Kconfig {
    let root = tree.canonicalize();
    Kconfig::parse("Kconfig", architecture, &|path| {
        let inside = folder::beneath(Path::new(path))?;
        let whole = tree.join(inside).canonicalize().ok()?;
        if !whole.starts_with(root.as_ref().ok()?) {
            return None;
        }
        folder::read_regular(&whole, MAX_BYTES).ok().map(|text| String::from_utf8_lossy(&text).into_owned())
    })
}
