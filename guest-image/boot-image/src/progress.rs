//! What is being done, as data: whoever shows it knows its own terminal.

use std::path::PathBuf;

use subprocess::LockHolder;

/// What is being done, for whoever watches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// The versions of the packages are looked up.
    Resolving,
    /// The packages are fetched.
    Fetching {
        /// How many.
        packages: usize,
        /// Their size in bytes; what was fetched before is in it.
        bytes: u64,
    },
    /// The packages are unpacked and the image is written.
    Writing,
    /// Another process makes the same image, and is waited for.
    Waiting {
        /// What it makes.
        what: String,
        /// Who it is.
        holder: LockHolder,
    },
    /// An image in the cache is not what it was; it is made anew.
    Damaged {
        /// Where it was, under its SHA-256.
        image: PathBuf,
        /// The SHA-256 that it has.
        found: String,
        /// Where it is now.
        aside: PathBuf,
    },
}

/// Whom progress is told.
pub(crate) type Listener<'a> = dyn FnMut(Progress) + 'a;
