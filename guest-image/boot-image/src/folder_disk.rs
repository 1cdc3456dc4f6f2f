//! A folder of a cache as a read-only image, on a disk or in an initramfs: a kernel's modules, which the agent mounts at `/lib/modules/RELEASE`, so that
//! `modprobe` and the kernel's own requests find there whatever is not in the initramfs; and tests.

use std::path::{Path, PathBuf};

use debian::{Packages, Request, Reuse, Wanted};
use serde::{Deserialize, Serialize};
use subprocess::Supervisor;

use crate::{
    BootImageError,
    erofs::ErofsUtils,
    error::At,
    progress::Listener,
    shelf::{Shelf, digest},
};

/// Changes when the same folder gives another image.
const VERSION: u32 = 1;
/// The suite of the tools.
const SUITE: &str = "trixie";
const EXTENSION: &str = "erofs";

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    sha256: String,
    /// Whose modules they are.
    tree: PathBuf,
}

/// Where an image is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A disk.
    Disk,
    /// A file of an initramfs, every byte of which is copied at every boot: it is compressed.
    Initramfs,
}

/// The image of `tree`, a folder in a cache which never changes, so that its path stands for what is in it. `what` it is
/// is for messages; `roots` is where tools are unpacked.
pub(crate) fn obtain(
    shelf: &Shelf,
    (tree, place): (&Path, Place),
    what: &str,
    roots: &Path,
    packages: &Packages,
    supervisor: &Supervisor,
    progress: &mut Listener<'_>,
) -> Result<PathBuf, BootImageError> {
    let compressed = place == Place::Initramfs;
    let kind = if compressed { ", compressed" } else { "" };
    let recipe = format!("modules disk {VERSION}{kind}\n{}", tree.display());
    let recipe = digest(recipe.as_bytes()).at("hash", Path::new("the recipe"))?;
    let lookup = |progress: &mut Listener<'_>| -> Result<Option<PathBuf>, BootImageError> {
        let Some(Entry { sha256, .. }) = shelf.entry::<Entry>(&recipe)? else { return Ok(None) };
        shelf.image(&sha256, EXTENSION, progress)
    };
    if let Some(found) = lookup(progress)? {
        return Ok(found);
    }
    let lock = shelf.lock(&recipe, what, progress)?;
    if let Some(found) = lookup(progress)? {
        return Ok(found);
    }
    let tools = Request {
        suites: vec![SUITE.to_owned()],
        packages: vec![Wanted::new(ErofsUtils::PACKAGE)],
        with_dependencies: true,
        recommends: false,
        omit: vec![],
    };
    let utils = ErofsUtils { root: packages.root(roots, &tools, Reuse::Last, &mut |_| {})?.path };
    let work = shelf.workplace(&recipe, &lock)?;
    let image = work.path().join("image");
    utils.make(tree, &image, compressed, supervisor)?;
    let (sha256, path) = shelf.publish(&image, EXTENSION)?;
    shelf.record(&recipe, &Entry { sha256, tree: tree.to_owned() })?;
    // Whose kernel has left the cache serves nobody.
    shelf.remove_entries(EXTENSION, |entry: &Entry| (!entry.tree.is_dir()).then(|| entry.sha256.clone()))?;
    Ok(path)
}
