//! What a guest boots from besides its kernel: the initramfs with the agent, and the read-only root disk.
//!
//! Both are content-addressed files of a cache, published atomically, the same bytes for the same input, readable for
//! an unprivileged QEMU. Nothing in them comes from the host's file system but the agent and the modules of a prebuilt
//! kernel.
//!
//! Kernel command line of a guest that has a root disk: `assay.root=/dev/vda`. Without it the initramfs stays the root.
//! A disk with the kernel's modules is `assay.modules=/dev/vdb`.
//!
//! Invariant: knows no machine and no workload.

mod erofs;
mod error;
mod folder_disk;
mod initramfs;
mod modules;
mod progress;
mod root_disk;
mod shelf;

use std::path::{Path, PathBuf};

use debian::Packages;
use folder_disk::Place;
use subprocess::Supervisor;

pub use error::BootImageError;
pub use initramfs::Initramfs;
pub use modules::KernelModules;
pub use progress::Progress;
pub use root_disk::{Purpose, RootDisk};

/// The cache of images.
#[derive(Clone, Debug)]
pub struct BootImages {
    shelf: shelf::Shelf,
    roots: PathBuf,
    supervisor: Supervisor,
}

impl BootImages {
    /// Opens the cache below `cache_root`, making it if it is not there.
    ///
    /// # Errors
    /// If its folders cannot be made.
    pub fn open(cache_root: &Path, supervisor: &Supervisor) -> Result<Self, BootImageError> {
        let shelf = shelf::Shelf::open(&cache_root.join("boot-images"))?;
        Ok(Self { shelf, roots: cache_root.join("roots"), supervisor: supervisor.clone() })
    }

    /// The initramfs with the agent's binary at `agent` as its init, and with the modules that a modular kernel needs.
    /// Takes milliseconds, and no network.
    ///
    /// # Errors
    /// If the agent cannot be read, a module is missing or damaged, or the cache cannot be written.
    pub fn initramfs(
        &self,
        agent: &Path,
        modules: Option<&KernelModules>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Initramfs, BootImageError> {
        initramfs::obtain(&self.shelf, agent, modules, &self.supervisor, progress)
    }

    /// The root disk, if it has been made and is intact. Reads it once to verify it; no network.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn lookup_root_disk(
        &self,
        purpose: Purpose,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Option<RootDisk>, BootImageError> {
        root_disk::lookup(&self.shelf, purpose.recipe(), progress)
    }

    /// The root disk: found, or made of the newest package versions that the mirror serves (seconds, once the packages
    /// are fetched). Another process that makes it at the same time is waited for.
    ///
    /// # Errors
    /// If the packages cannot be had, a tool fails, or the cache cannot be written.
    pub fn root_disk(
        &self,
        purpose: Purpose,
        packages: &Packages,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<RootDisk, BootImageError> {
        root_disk::obtain(&self.shelf, purpose.recipe(), packages, &self.supervisor, progress)
    }

    /// A disk with all modules of a kernel. `tree` is the folder `lib/modules/RELEASE` of a cached kernel, which never
    /// changes. Seconds the first time, and network for the tool that writes it if that is not here yet.
    ///
    /// # Errors
    /// If the tool cannot be had or fails, or the cache cannot be written.
    pub fn modules_disk(
        &self,
        tree: &Path,
        packages: &Packages,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<PathBuf, BootImageError> {
        self.folder((tree, Place::Disk), "the disk of a kernel's modules", packages, progress)
    }

    /// The same as a file of an initramfs, for guests without disks.
    ///
    /// # Errors
    /// As for [`BootImages::modules_disk`].
    pub fn packed_modules(
        &self,
        tree: &Path,
        packages: &Packages,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<PathBuf, BootImageError> {
        self.folder((tree, Place::Initramfs), "the image of a kernel's modules", packages, progress)
    }

    /// A disk with unpacked packages. `root` is the folder of one of a cache, which never changes.
    ///
    /// # Errors
    /// As for [`BootImages::modules_disk`].
    pub fn tools_disk(
        &self,
        root: &Path,
        packages: &Packages,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<PathBuf, BootImageError> {
        self.folder((root, Place::Disk), "the disk of unpacked tools", packages, progress)
    }

    /// A disk with installed tests. `folder` is one of a cache, which never changes.
    ///
    /// # Errors
    /// As for [`BootImages::modules_disk`].
    pub fn tests_disk(
        &self,
        folder: &Path,
        packages: &Packages,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<PathBuf, BootImageError> {
        self.folder((folder, Place::Disk), "the disk of installed tests", packages, progress)
    }

    fn folder(
        &self,
        folder: (&Path, Place),
        what: &str,
        packages: &Packages,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<PathBuf, BootImageError> {
        folder_disk::obtain(&self.shelf, folder, what, &self.roots, packages, &self.supervisor, progress)
    }
}
