//! What can go wrong with a run's folder.

use std::path::PathBuf;

/// A run could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system refused.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was being done, such as "writing".
        doing: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// There is no such run.
    #[error("there is no run in {}", path.display())]
    NoSuchRun {
        /// Where one was looked for.
        path: PathBuf,
    },
    /// Another process writes to this run.
    #[error("the run in {} is being written by another process", path.display())]
    Busy {
        /// The run's folder.
        path: PathBuf,
    },
    /// Written by a newer Assay.
    #[error("{} has format {found}; this Assay reads up to {supported}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// What this program can read.
        supported: u32,
    },
    /// Not even an index in memory could be asked.
    #[error("the runs in {} cannot be indexed", results.display())]
    Index {
        /// The results folder.
        results: PathBuf,
        /// What SQLite said.
        source: Option<Box<rusqlite::Error>>,
    },
    /// Samples of a finished trial are gone, or there are more than it measured.
    #[error(
        "{}: trial {trial} measured {expected} samples, and {found} are there (remedy: remove trials/{trial} beside it, \
         and `assay run --resume` makes that boot again)",
        path.display()
    )]
    Incomplete {
        /// `samples.jsonl`.
        path: PathBuf,
        /// The trial's index.
        trial: u32,
        /// Samples that it has.
        found: u64,
        /// Samples that its record says it has.
        expected: u64,
    },
    /// A finished file that does not parse.
    #[error("{}:{line}: not what Assay writes", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line in it, from 1.
        line: usize,
        /// What the parser said.
        source: serde_json::Error,
    },
}

impl StoreError {
    /// For `map_err` on I/O.
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}
