//! Why a bundle cannot be read or written.

use std::path::{Path, PathBuf};

/// A bundle could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The file is none, is not whole, or is not what it says: its maker's or its carrier's fault.
    #[error("{} cannot be used", path.display())]
    Damaged {
        /// The bundle.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        damage: Damage,
    },
    /// The bundle itself cannot be opened.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The bundle.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file system of this machine refused.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was being done, such as "writing".
        doing: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file that goes into a bundle is no longer what it was.
    #[error("{} is not what the run used: {reason}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What is different.
        reason: String,
    },
    /// What is to be bundled cannot be.
    #[error("{path}: {reason}")]
    NotBundled {
        /// The member.
        path: String,
        /// Why not.
        reason: String,
    },
    /// There is not enough room for what the bundle holds.
    #[error(
        "{} has {free_mib} MiB left, and the bundle holds {needed_mib} MiB (remedy: --cache DIR)",
        folder.display()
    )]
    NoRoom {
        /// Where it would go.
        folder: PathBuf,
        /// Of its file system.
        free_mib: u64,
        /// Of the members that are wanted.
        needed_mib: u64,
    },
}

/// What is wrong with a file that should be a bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// Another kind of file, or nothing.
    #[error("it is no bundle of Assay: {reason}")]
    NotABundle {
        /// What it lacks.
        reason: String,
    },
    /// From an Assay that knows more.
    #[error("it has format {found}; this Assay reads up to {supported}")]
    Newer {
        /// Its format.
        found: u32,
        /// What this program can read.
        supported: u32,
    },
    /// It ends before all is there, or a byte of it was flipped.
    #[error("it is cut short or damaged {place}: {reason}")]
    Broken {
        /// Where.
        place: String,
        /// The decompressor's words, or ours.
        reason: String,
    },
    /// A member that does not stay in its folder, stands for another, or is no plain file.
    #[error("the member `{member}` {reason}")]
    Hostile {
        /// Its name, with what is not printable escaped.
        member: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More than anybody's run takes.
    #[error("{what}: more than {limit}, the most that is taken")]
    TooLarge {
        /// What there is too much of.
        what: String,
        /// How much would be taken.
        limit: String,
    },
    /// A member is not what the manifest says.
    #[error("the member `{member}` has sha256 {found}, not {declared} as its manifest says")]
    WrongChecksum {
        /// Its name.
        member: String,
        /// By the manifest.
        declared: String,
        /// Of what is there.
        found: String,
    },
    /// A member without which there is no bundle.
    #[error("it has no `{member}`")]
    Missing {
        /// Its name.
        member: String,
    },
}

impl BundleError {
    /// For `map_err` on I/O.
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }

    pub(crate) fn damaged(path: &Path, damage: Damage) -> Self {
        Self::Damaged { path: path.to_owned(), damage }
    }

    /// Whether the one who named or made the file has to mend it, and not this machine.
    #[must_use]
    pub fn is_the_users(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. } | Self::Unreadable { .. } | Self::Changed { .. } | Self::NotBundled { .. }
        )
    }
}
