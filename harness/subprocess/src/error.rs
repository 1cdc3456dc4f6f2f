//! What can go wrong: with the supervisor, and with one command.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Argv, Ended};

/// The supervisor itself could not be started or used. Always the machine's or the harness's fault.
#[derive(Debug, thiserror::Error)]
pub enum SubprocessError {
    /// The supervisor process could not be started.
    #[error("starting the supervisor process `{argv}`")]
    Start {
        /// What was run.
        argv: Argv,
        #[source]
        source: io::Error,
    },
    /// What was started does not speak as a supervisor of this version does.
    #[error("`{argv}` did not answer as a supervisor: {reason}")]
    Handshake {
        /// What was run.
        argv: Argv,
        reason: String,
    },
    /// The supervisor ended before the harness did; the children it had were ended with it.
    #[error("the supervisor process (pid {pid}) ended, and with it every child it had")]
    Lost {
        /// The process id it had.
        pid: i32,
    },
    /// The supervisor did not answer.
    #[error("the supervisor process (pid {pid}) did not {awaited} within {} s", after.as_secs())]
    Silent {
        pid: i32,
        /// What was waited for, as a verb phrase.
        awaited: &'static str,
        after: Duration,
    },
    /// A request could not be sent.
    #[error("sending a request to the supervisor process (pid {pid})")]
    Send {
        pid: i32,
        #[source]
        source: io::Error,
    },
}

/// One command could not be run, or did not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// There is no such program.
    #[error("`{}` is not an executable on this machine (searched {})", program.display(), path.display())]
    NotFound { program: OsString, path: OsString },
    /// The folder to run in is not there.
    #[error("cannot run `{argv}` in {}", folder.display())]
    Folder {
        argv: Argv,
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The operating system refused to start it.
    #[error("cannot start `{argv}`: {reason}")]
    Spawn { argv: Argv, reason: String },
    /// Its standard input could not be prepared.
    #[error("preparing the standard input of `{argv}`")]
    Input {
        argv: Argv,
        #[source]
        source: io::Error,
    },
    /// Its output could not be read.
    #[error("reading the output of `{argv}`")]
    Capture {
        argv: Argv,
        #[source]
        source: io::Error,
    },
    /// The file that its standard output goes to could not be created.
    #[error("creating {}", path.display())]
    OutputFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Its log could not be written.
    #[error("writing the log {}", path.display())]
    Log {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It ended, and not with status 0.
    #[error("`{argv}` {ended}{tail}")]
    Failed { argv: Argv, ended: Ended, tail: Tail },
    /// It was ended, with all it had started, because its time was up.
    #[error("`{argv}` was ended after its deadline of {} s{tail}", deadline.as_secs_f64())]
    DeadlinePassed { argv: Argv, deadline: Duration, tail: Tail },
    /// It wrote more than the caller is ready to keep, and was ended.
    #[error("`{argv}` wrote more than {limit} bytes to its standard output and was ended")]
    TooMuchOutput { argv: Argv, limit: usize },
    /// It ended, but processes it started do not die: they hang in the kernel, or belong to another user.
    #[error("`{argv}` ended, but processes it started could not be killed: {pids:?}")]
    Survived { argv: Argv, pids: Vec<i32> },
    /// The supervisor failed: says nothing about the command.
    #[error("running `{argv}`")]
    Supervisor {
        argv: Argv,
        #[source]
        source: SubprocessError,
    },
}

/// How many lines of a command's output an error quotes.
const TAIL_LINES: usize = 12;

/// The last lines that a failed command wrote, as an error quotes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail(pub String);

impl Tail {
    /// The end of the standard error, or, where that is empty, of the standard output.
    pub(crate) fn of(stdout: &[u8], stderr: &[u8]) -> Tail {
        let said = if stderr.trim_ascii().is_empty() { stdout } else { stderr };
        let text = String::from_utf8_lossy(said);
        let lines: Vec<&str> = text.trim_end().lines().collect();
        Tail(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
    }
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.lines().count() {
            0 => Ok(()),
            1 => write!(f, ": {}", self.0),
            _ => write!(f, ":\n{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_prefers_standard_error_and_keeps_the_end() {
        let many: String = (1..=30).map(|n| format!("line {n}\n")).collect();
        let tail = Tail::of(b"progress", many.as_bytes());
        assert!(tail.0.starts_with("line 19\n"), "{}", tail.0);
        assert!(tail.0.ends_with("line 30"));
        assert_eq!(Tail::of(b"only this\n", b" \n").to_string(), ": only this");
        assert_eq!(Tail::default().to_string(), "");
    }
}
