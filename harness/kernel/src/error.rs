//! What keeps a kernel from being obtained without saying anything about the series.

use std::{io, path::PathBuf, time::Duration};

/// Whose fault a [`KernelError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The input is to be corrected: exit code 2.
    User,
    /// This host or its network: exit code 69.
    Infrastructure,
}

/// A user's or an infrastructure's error. What a kernel does wrong is a [`measure::BuildEnd`].
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// A patch names a path outside the tree, or one that git keeps for itself.
    #[error("{patch} would write to `{path}`, which is outside the tree: {reason}")]
    PatchEscapes {
        /// The series and file name of the patch.
        patch: String,
        /// The path as the patch has it.
        path: String,
        /// Why it is refused.
        reason: String,
    },
    /// A patch file is not the one that was planned.
    #[error("{path} has changed since it was planned: its sha256 is {found}, the plan says {planned}")]
    PatchChanged {
        /// The patch file.
        path: PathBuf,
        /// As the plan has it.
        planned: String,
        /// As the file is.
        found: String,
    },
    /// None of the versions asked for is served any more.
    #[error("{package}: none of the versions asked for ({asked}) is served by {suites}; served: {served}")]
    NotServed {
        /// The Debian package.
        package: String,
        /// The versions in the order of preference.
        asked: String,
        /// The suites that were looked in.
        suites: String,
        /// What the suites have.
        served: String,
    },
    /// The source is not what the base's file says.
    #[error("base {base}: {reason}")]
    BadBase {
        /// The base's name.
        base: String,
        /// What is wrong with it, and what was expected.
        reason: String,
    },
    /// A file that the user names cannot be used.
    #[error("cannot {what} {path}, which is asked for")]
    UserFile {
        /// The verb: `read`, `copy`.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A source is no kernel tree, or cannot be unpacked as one.
    #[error("{location} is no kernel source: {reason}")]
    BadSource {
        /// The archive or the tree.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file's checksum is not the one asked for.
    #[error("{location} has sha256 {found}, but {expected} was asked for")]
    WrongChecksum {
        /// A path or a URL.
        location: String,
        /// As asked for.
        expected: String,
        /// As it is.
        found: String,
    },
    /// A repository has no such commit.
    #[error("{repository} has no commit `{reference}`{}{reason}", if reason.is_empty() { "" } else { ": " })]
    NoSuchCommit {
        /// The repository that was looked in.
        repository: String,
        /// The branch, tag or commit asked for.
        reference: String,
        /// What git said, if anything.
        reason: String,
    },
    /// A source gives another version than earlier in this run, so arms would not be comparable.
    #[error(
        "base {base}: this run began with {first}, which is not to be had any more; now it would be {now} (remedy: start the run again)"
    )]
    SourceMoved {
        /// The base's name.
        base: String,
        /// The version that the run began with.
        first: String,
        /// The version that is to be had now.
        now: String,
    },
    /// Builds cannot be isolated here, so none is made.
    #[error("kernel builds cannot be sandboxed on this host: {reason} (remedy: {remedy})")]
    Sandbox {
        /// What bubblewrap or the kernel said.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// Programs or headers that a kernel build needs are not there.
    #[error("{missing} not found on this host (Debian: {packages})")]
    MissingTools {
        /// The programs and headers.
        missing: String,
        /// The Debian packages that have them.
        packages: String,
    },
    /// The sandbox's user cannot reach the cache.
    #[error(
        "{cache} cannot be used by an unprivileged build: {blocking} is closed to others (remedy: put the cache elsewhere, or `chmod o+x {blocking}`)"
    )]
    CacheUnreachable {
        /// The cache's root.
        cache: PathBuf,
        /// The folder that others may not enter.
        blocking: PathBuf,
    },
    /// The cache was written by a newer version of this program.
    #[error("{path} says `{found}`, but this version reads only `{known}`")]
    NewerCache {
        /// The file with the version.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What is understood.
        known: String,
    },
    /// Another process holds a lock for too long.
    #[error("waited {} s for {what}, held by another process through {path}", waited.as_secs())]
    LockDeadline {
        /// What is locked.
        what: String,
        /// The lock file.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A build was ended by the host and not by the compiler.
    #[error("the build was ended by this host and not by the compiler: {reason} (log: {log})")]
    BuildInterrupted {
        /// A full disk, too little memory, a deadline.
        reason: String,
        /// The whole output.
        log: PathBuf,
    },
    /// A tool's output or a file of the cache is not as it must be.
    #[error("{what}: {reason}")]
    Unexpected {
        /// Which output or file.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file system refused something.
    #[error("cannot {what} {path}")]
    Io {
        /// The verb: `read`, `create`, ...
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A host command failed.
    #[error("cannot {what}")]
    Tool {
        /// What it was run for, as a phrase.
        what: String,
        /// The command and how it ended.
        source: Box<subprocess::ToolError>,
    },
    /// A Debian package could not be had.
    #[error("cannot get {what} from the Debian mirror")]
    Debian {
        /// The packages.
        what: String,
        /// Why.
        source: Box<debian::DebianError>,
    },
}

impl KernelError {
    /// Whose fault it is, and so which exit code it becomes.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            // We were copying it: what is full or cannot be written to is ours, and the file is not to blame.
            Self::UserFile { source, .. } if is_of_the_copy(source) => Fault::Infrastructure,
            Self::PatchEscapes { .. }
            | Self::PatchChanged { .. }
            | Self::NotServed { .. }
            | Self::BadBase { .. }
            | Self::UserFile { .. }
            | Self::BadSource { .. }
            | Self::NoSuchCommit { .. }
            | Self::WrongChecksum { .. } => Fault::User,
            Self::Sandbox { .. }
            | Self::SourceMoved { .. }
            | Self::MissingTools { .. }
            | Self::CacheUnreachable { .. }
            | Self::NewerCache { .. }
            | Self::LockDeadline { .. }
            | Self::BuildInterrupted { .. }
            | Self::Unexpected { .. }
            | Self::Io { .. }
            | Self::Tool { .. }
            | Self::Debian { .. } => Fault::Infrastructure,
        }
    }
}

fn is_of_the_copy(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem)
}

/// Turns an I/O error into a [`KernelError`] that says what was done to which path.
pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> KernelError {
    let path = path.into();
    move |source| KernelError::Io { what, path, source }
}

/// The same for files that the user named.
pub(crate) fn user_file(
    what: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> KernelError {
    let path = path.into();
    move |source| KernelError::UserFile { what, path, source }
}

/// The same for errors of system calls.
pub(crate) fn sys(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(nix::Error) -> KernelError {
    let path = path.into();
    move |errno| KernelError::Io { what, path, source: errno.into() }
}

/// Says what a tool was run for.
pub(crate) fn tool(what: impl Into<String>) -> impl FnOnce(subprocess::ToolError) -> KernelError {
    let what = what.into();
    move |source| KernelError::Tool { what, source: Box::new(source) }
}
