//! What can keep an image from being made. None of it says anything about a kernel.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Why an image could not be made or found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootImageError {
    /// A file or folder could not be read or written.
    #[error("cannot {what} {}", path.display())]
    File {
        /// The verb.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process holds the lock on an image for too long.
    #[error("another process makes {what}, and has not ended within {} s (it holds {})", after.as_secs(), lock.display())]
    Busy {
        /// What it makes.
        what: String,
        /// The lock.
        lock: PathBuf,
        /// How long was waited.
        after: Duration,
    },
    /// A module that the guest cannot boot without is neither built in nor there.
    #[error("the kernel in {} has no module `{module}`, nor is it built in", tree.display())]
    NoModule {
        /// Its name.
        module: String,
        /// The folder with `modules.builtin`.
        tree: PathBuf,
    },
    /// A module is not an ELF file with a `.modinfo` section.
    #[error("{} is not a kernel module: {reason}", path.display())]
    NotAModule {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A file does not fit the initramfs.
    #[error(transparent)]
    Archive(#[from] cpio::ArchiveError),
    /// A manifest could not be put into words.
    #[error("writing the manifest {}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A host command failed.
    #[error(transparent)]
    Tool(#[from] subprocess::ToolError),
    /// The packages of the root disk could not be had.
    #[error("getting the packages of the guest's root disk")]
    Packages(#[from] debian::DebianError),
}

/// Says what was done to which path when it failed.
pub(crate) trait At<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T, BootImageError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, what: &'static str, path: &Path) -> Result<T, BootImageError> {
        self.map_err(|source| BootImageError::File { what, path: path.to_owned(), source })
    }
}
