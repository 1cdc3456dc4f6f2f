//! What can go wrong with packages.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use subprocess::ToolError;

use crate::Served;

/// Packages could not be resolved, fetched or unpacked. Says nothing about any kernel.
#[derive(Debug, thiserror::Error)]
pub enum DebianError {
    /// A request without suites or without packages.
    #[error("a request names no suite or no package")]
    Nothing,
    /// A word that cannot be a name of its kind.
    #[error("`{word}` is not the name of a {what}")]
    Word {
        /// `package`, `suite` or `version`.
        what: &'static str,
        word: String,
    },
    /// A package is wanted from a suite that the request leaves out.
    #[error("package {package} is wanted from suite {suite}, which is not among {}", suites.join(", "))]
    ForeignSuite { package: String, suite: String, suites: Vec<String> },
    /// The machine's apt configuration names no Debian archive.
    #[error(
        "this machine's apt configuration ({}) names no Debian {archive}; set {variable} to the address of one, \
         and {} to the file with its keys if they are not in {}",
        searched.display(), crate::mirror::KEYRING_VARIABLE, crate::mirror::DEFAULT_KEYRINGS[0]
    )]
    NoMirror {
        /// `archive` or `security archive`.
        archive: &'static str,
        searched: PathBuf,
        /// The environment variable that would name one.
        variable: &'static str,
    },
    /// No suite that was asked has a package of this name.
    #[error("no package {package} in {}", suites.join(", "))]
    NoSuchPackage { package: String, suites: Vec<String> },
    /// The package is there, but not in the version or from the suite that is wanted: Debian keeps only the newest.
    #[error("package {package} {wanted} is no longer served by {}; served: {}", suites.join(", "), listed(served))]
    NotServed {
        package: String,
        /// `version V`, `from suite S`, or both.
        wanted: String,
        suites: Vec<String>,
        served: Vec<Served>,
    },
    /// apt found no set of packages that fits.
    #[error("apt cannot resolve {}: {reason}", packages.join(" "))]
    Unresolvable { packages: Vec<String>, reason: String },
    /// A tool of apt or dpkg failed.
    #[error("{doing}")]
    Tool {
        /// What it was run for.
        doing: String,
        #[source]
        source: ToolError,
    },
    /// A tool of apt said something unknown.
    #[error("apt said something that is not understood about {about}: `{line}`")]
    Output { about: String, line: String },
    /// What came is not what the signed list says.
    #[error("{} is not the file that the archive's signed list names (sha256 {found}, expected {expected})", path.display())]
    Checksum { path: PathBuf, expected: String, found: String },
    /// A root was changed after it was made.
    #[error("{} is damaged: {reason}", path.display())]
    DamagedRoot { path: PathBuf, reason: &'static str },
    /// A path that apt's configuration format cannot express.
    #[error("{} cannot be a package folder: apt's configuration has no way to write quotes or line ends", path.display())]
    Unquotable { path: PathBuf },
    /// Another process holds the lock for too long.
    #[error("another process has held {} for {} s", path.display(), after.as_secs())]
    Locked { path: PathBuf, after: Duration },
    /// A file or folder could not be used.
    #[error("{doing} {}", path.display())]
    File {
        /// What was being done, as a gerund: `reading`.
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

fn listed(served: &[Served]) -> String {
    let all: Vec<String> = served.iter().map(|one| format!("{} ({})", one.version, one.suite)).collect();
    all.join(", ")
}

/// Names the file of an I/O error.
pub(crate) trait At<T> {
    /// `doing` is a gerund: `reading`.
    fn at(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T, DebianError>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T, DebianError> {
        self.map_err(|error| DebianError::File { doing, path: path.into(), source: error.into() })
    }
}
