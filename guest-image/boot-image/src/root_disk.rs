//! The guest's read-only root disk, made of Debian packages.
//!
//! An erofs image on a virtio disk is read lazily, page by page as programs touch it, so that its size costs a boot
//! nothing; in an initramfs every byte is copied at every boot.

mod recipe;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
};

use debian::{Package, Packages, Request};
use serde::{Deserialize, Serialize};
use subprocess::Supervisor;

use crate::{
    BootImageError, Progress,
    erofs::ErofsUtils,
    error::At,
    progress::Listener,
    shelf::{Shelf, digest},
};
use recipe::Recipe;

const EXTENSION: &str = "erofs";

/// A root disk in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootDisk {
    /// Readable for everybody.
    pub path: PathBuf,
    /// Of the file, in hexadecimal; also its key in the cache.
    pub sha256: String,
    /// Names and versions of the packages in it, sorted.
    pub packages: Vec<(String, String)>,
}

/// What a root disk was made of.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    sha256: String,
    packages: Vec<(String, String)>,
}

/// What a guest is for, which decides what its root holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Measuring, and looking around: small, since every boot reads from it.
    Lab,
    /// Measuring without a disk: the same in an initramfs.
    Closed,
    /// The kernel's own tests, which call whatever a distribution has.
    Selftests,
}

impl Purpose {
    pub(crate) fn recipe(self) -> &'static Recipe {
        match self {
            Self::Lab => &recipe::LAB,
            Self::Closed => &recipe::CLOSED,
            Self::Selftests => &recipe::SELFTESTS,
        }
    }
}

/// The root disk of the current recipe, if it has been made. Needs no network.
pub(crate) fn lookup(
    shelf: &Shelf,
    recipe: &Recipe,
    progress: &mut Listener<'_>,
) -> Result<Option<RootDisk>, BootImageError> {
    let Some(Entry { sha256, packages }) = shelf.entry::<Entry>(&recipe.digest()?)? else { return Ok(None) };
    Ok(shelf.image(&sha256, EXTENSION, progress)?.map(|path| RootDisk { path, sha256, packages }))
}

/// Finds the root disk, or makes it of the newest versions that the mirror serves.
pub(crate) fn obtain(
    shelf: &Shelf,
    recipe: &Recipe,
    packages: &Packages,
    supervisor: &Supervisor,
    progress: &mut Listener<'_>,
) -> Result<RootDisk, BootImageError> {
    if let Some(found) = lookup(shelf, recipe, progress)? {
        return Ok(found);
    }
    let key = recipe.digest()?;
    let lock = shelf.lock(&key, "the guest's root disk", progress)?;
    // Somebody else may have made it while we waited.
    if let Some(found) = lookup(shelf, recipe, progress)? {
        return Ok(found);
    }
    progress(Progress::Resolving);
    let contents = packages.resolve(&request(recipe.packages, recipe.omitted))?;
    let tools = packages.resolve(&request(&[ErofsUtils::PACKAGE], &[]))?;
    let work = shelf.workplace(&key, &lock)?;
    progress(Progress::Fetching {
        packages: contents.len() + tools.len(),
        bytes: contents.iter().chain(&tools).map(|package| package.bytes).sum(),
    });
    let contents_fetched = packages.fetch(&contents, &mut |_| {})?;
    let tools_fetched = packages.fetch(&tools, &mut |_| {})?;
    progress(Progress::Writing);
    let tree = unpacked(&contents_fetched, &work.path().join("tree"), supervisor)?;
    let utils = ErofsUtils { root: unpacked(&tools_fetched, &work.path().join("tools"), supervisor)? };
    tree::finish(&tree, recipe, supervisor)?;
    let image = work.path().join("image");
    utils.make(&tree, &image, recipe.compressed, supervisor)?;
    let (sha256, path) = shelf.publish(&image, EXTENSION)?;
    let packages = names_and_versions(&contents);
    shelf.record(&key, &Entry { sha256: sha256.clone(), packages: packages.clone() })?;
    Ok(RootDisk { path, sha256, packages })
}

fn unpacked(fetched: &[PathBuf], into: &Path, supervisor: &Supervisor) -> Result<PathBuf, BootImageError> {
    fs::create_dir(into).at("create", into)?;
    debian::unpack(fetched, into, supervisor)?;
    Ok(into.to_owned())
}

fn request(names: &[&str], omitted: &[&str]) -> Request {
    Request::with_dependencies(recipe::SUITE, names, omitted)
}

fn names_and_versions(packages: &[Package]) -> Vec<(String, String)> {
    let mut list: Vec<_> =
        packages.iter().map(|package| (package.name.clone(), package.version.clone())).collect();
    list.sort();
    list
}

impl Recipe {
    /// The digest of all that decides what is in the image, except the versions that the mirror serves.
    fn digest(&self) -> Result<String, BootImageError> {
        use recipe::{FILES, FOLDERS, LINKS, SUITE, VERSION};
        let Self { packages, omitted, pruned, alternatives, compressed } = self;
        let mut text = format!(
            "root disk {VERSION}\n{SUITE}\n{packages:?}\n{omitted:?}\n{pruned:?}\n{FOLDERS:?}\n{FILES:?}\n{LINKS:?}"
        );
        if !alternatives.is_empty() {
            text.push_str(&format!("\n{alternatives:?}"));
        }
        if *compressed {
            text.push_str("\ncompressed");
        }
        digest(text.as_bytes()).at("hash", Path::new("the recipe"))
    }
}
