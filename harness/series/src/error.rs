//! What can go wrong, and whose it is.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use subprocess::ToolError;

/// A series could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// What was given is no series that could be applied as it stands.
    #[error("{0}")]
    Unusable(Problems),
    /// A file or folder that was named cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The cache cannot be used.
    #[error("cannot {what} {}", path.display())]
    Cache {
        /// What was attempted.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another process holds the lock of the cache for longer than writing a series takes.
    #[error("the lock {} was not free within {seconds} s", path.display())]
    LockDeadline {
        /// The lock's file.
        path: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// git could not be run.
    #[error("cannot have git {what}")]
    Git {
        /// What it was to do.
        what: String,
        /// Why not.
        #[source]
        source: Box<ToolError>,
    },
}

/// Everything that is wrong with one input: never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// What was given, as it was given.
    pub input: String,
    /// Each in a sentence without a full stop.
    pub problems: Vec<String>,
}

impl fmt::Display for Problems {
    /// One line for each problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}: {problem}", self.input)?;
        }
        Ok(())
    }
}

/// Whose a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What was given is to be mended.
    User,
    /// The machine is.
    Infrastructure,
}

impl SeriesError {
    /// Whose it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unusable(_) | Self::Read { .. } => Fault::User,
            Self::Cache { .. } | Self::LockDeadline { .. } | Self::Git { .. } => Fault::Infrastructure,
        }
    }

    pub(crate) fn unusable(input: &str, problem: impl Into<String>) -> Self {
        Self::Unusable(Problems { input: input.to_owned(), problems: vec![problem.into()] })
    }
}

/// For `map_err`: a file of the user's.
pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> SeriesError {
    let path = path.to_owned();
    move |source| SeriesError::Read { path, source }
}

/// For `map_err`: a file of the cache.
pub(crate) fn cache(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SeriesError {
    let path = path.to_owned();
    move |source| SeriesError::Cache { what, path, source }
}
