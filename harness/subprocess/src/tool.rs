//! What to run: the description of one host command.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use crate::environment;
use crate::privileges::sandbox_ids;
use crate::run::{self, Output};
use crate::wire::{Identity, StartRequest};
use crate::{Argv, Child, RunAs, Supervisor, ToolError};

/// How much of a command's standard output is kept unless [`Tool::max_output`] says otherwise.
const DEFAULT_MAX_OUTPUT: usize = 64 << 20;

/// What a command reads as its standard input.
#[derive(Debug, Clone, Default)]
pub enum Input {
    /// Nothing.
    #[default]
    Null,
    /// These bytes.
    Bytes(Vec<u8>),
    /// The contents of this file.
    File(PathBuf),
}

/// Where one standard stream of a [`Child`] goes to or comes from.
#[derive(Debug, Default)]
pub enum Stream {
    /// `/dev/null`.
    #[default]
    Null,
    /// This open file.
    File(File),
    /// This descriptor: a pipe, a socket.
    Fd(OwnedFd),
}

/// The three standard streams of a [`Child`]. All `/dev/null` by default.
#[derive(Debug, Default)]
pub struct Stdio {
    pub stdin: Stream,
    pub stdout: Stream,
    pub stderr: Stream,
}

/// Something of which a child may use only so much (`setrlimit`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Resource {
    /// Bytes of address space of one process.
    AddressSpace,
    /// Bytes of a core dump.
    CoreSize,
    /// Bytes of a file that it writes.
    FileSize,
    /// Open descriptors of one process.
    OpenFiles,
    /// Processes and threads of its user.
    Processes,
}

/// A host command: what to run, with what, where, as whom, for how long.
///
/// The environment is clean: `PATH` (the caller's, with the sbin folders added), `LC_ALL=C` and `TZ=UTC`, and what
/// [`env`](Tool::env) and [`pass_env`](Tool::pass_env) add. The file mode creation mask is 022.
#[derive(Debug, Clone)]
pub struct Tool {
    pub(crate) argv: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    dir: Option<PathBuf>,
    run_as: RunAs,
    limits: BTreeMap<Resource, u64>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) stdin: Input,
    pub(crate) stdout_file: Option<PathBuf>,
    pub(crate) log: Option<PathBuf>,
    pub(crate) max_output: usize,
}

impl Tool {
    /// A command without arguments. A `program` without a slash is looked for on the search path.
    pub fn new(program: impl AsRef<OsStr>) -> Tool {
        Tool {
            argv: vec![program.as_ref().to_owned()],
            env: environment::clean(),
            dir: None,
            run_as: RunAs::Caller,
            limits: BTreeMap::new(),
            deadline: None,
            stdin: Input::Null,
            stdout_file: None,
            log: None,
            max_output: DEFAULT_MAX_OUTPUT,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Tool {
        self.argv.push(arg.as_ref().to_owned());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Tool {
        self.argv.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Tool {
        self.env.insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Passes an environment variable on from the harness, if it is set there: `HOME` for a tool that needs it.
    #[must_use]
    pub fn pass_env(self, name: impl AsRef<OsStr>) -> Tool {
        match env::var_os(name.as_ref()) {
            Some(value) => self.env(name, value),
            None => self,
        }
    }

    /// Runs it in this folder; otherwise in the harness's own.
    #[must_use]
    pub fn in_dir(mut self, dir: impl AsRef<Path>) -> Tool {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// What it reads as its standard input; nothing by default. For [`run`](Tool::run) only: [`start`](Tool::start)
    /// takes its streams from its [`Stdio`].
    #[must_use]
    pub fn stdin(mut self, input: Input) -> Tool {
        self.stdin = input;
        self
    }

    /// Writes its standard output to this file, which is created or emptied, instead of keeping it: for output that is
    /// a file's contents. [`Output::stdout`] stays empty. For [`run`](Tool::run) only.
    #[must_use]
    pub fn stdout_file(mut self, path: impl AsRef<Path>) -> Tool {
        self.stdout_file = Some(path.as_ref().to_owned());
        self
    }

    /// Appends its standard output and error to this file as they come, in one stream.
    ///
    /// [`Output`] then holds the last [`max_output`](Tool::max_output) bytes of each, however much was written.
    #[must_use]
    pub fn log(mut self, path: impl AsRef<Path>) -> Tool {
        self.log = Some(path.as_ref().to_owned());
        self
    }

    /// As whom it runs; as the caller by default.
    #[must_use]
    pub fn run_as(mut self, run_as: RunAs) -> Tool {
        self.run_as = run_as;
        self
    }

    /// Lets it, and what it starts, use only so much of `resource`.
    #[must_use]
    pub fn limit(mut self, resource: Resource, value: u64) -> Tool {
        self.limits.insert(resource, value);
        self
    }

    /// How many bytes of its standard output to keep (64 MiB by default).
    ///
    /// Without a [`log`](Tool::log), a command that writes more is ended with [`ToolError::TooMuchOutput`]: half of an
    /// answer is none. Of its standard error the last so many bytes are kept.
    #[must_use]
    pub fn max_output(mut self, bytes: usize) -> Tool {
        self.max_output = bytes;
        self
    }

    /// Ends it, with all it started, this long after its start. The supervisor keeps the deadline, so it holds even
    /// when the harness is busy.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Tool {
        self.deadline = Some(deadline);
        self
    }

    /// The command line, for messages and tests.
    pub fn argv(&self) -> Argv {
        Argv(self.argv.clone())
    }

    /// Runs it to its end, and that of all it started.
    ///
    /// # Errors
    /// When it cannot be run, ends with anything but status 0, or passes its deadline.
    pub fn run(self, supervisor: &Supervisor) -> Result<Output, ToolError> {
        let argv = self.argv();
        let output = run::to_end(self, supervisor)?;
        if output.ended.is_success() {
            return Ok(output);
        }
        let tail = crate::error::Tail::of(&output.stdout, &output.stderr);
        Err(ToolError::Failed { argv, ended: output.ended, tail })
    }

    /// Runs it to its end, whatever its exit status: for commands whose status is an answer.
    ///
    /// # Errors
    /// When it cannot be run, or passes its deadline.
    pub fn run_unchecked(self, supervisor: &Supervisor) -> Result<Output, ToolError> {
        run::to_end(self, supervisor)
    }

    /// Starts it and returns while it runs. [`stdin`](Tool::stdin), [`log`](Tool::log) and
    /// [`max_output`](Tool::max_output) do not apply: its streams are in `stdio`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(self, supervisor: &Supervisor, stdio: Stdio) -> Result<Child, ToolError> {
        let request = self.request()?;
        Child::start(supervisor, self.argv(), request, stdio)
    }

    /// Everything about it that the supervisor needs to know, with paths that mean the same in any folder.
    fn request(&self) -> Result<StartRequest, ToolError> {
        let here = || env::current_dir();
        let folder = |source| ToolError::Folder {
            argv: self.argv(),
            folder: self.dir.clone().unwrap_or_else(|| PathBuf::from(".")),
            source,
        };
        let dir = match &self.dir {
            Some(dir) => std::path::absolute(dir).map_err(folder)?,
            None => here().map_err(folder)?,
        };
        let mut argv = self.argv.clone();
        if argv[0].as_bytes().contains(&b'/') {
            argv[0] = std::path::absolute(&argv[0]).map_err(folder)?.into_os_string();
        }
        let identity = match self.run_as {
            RunAs::Caller => Identity::Caller,
            RunAs::Unprivileged => {
                Identity::Unprivileged { ids: sandbox_ids().map(|(uid, gid)| (uid.as_raw(), gid.as_raw())) }
            }
            RunAs::UnprivilegedInGroup(group) => {
                Identity::Unprivileged { ids: sandbox_ids().map(|(uid, _)| (uid.as_raw(), group.as_raw())) }
            }
        };
        Ok(StartRequest {
            argv,
            env: self.env.clone().into_iter().collect(),
            dir,
            identity,
            limits: self.limits.clone(),
            deadline: self.deadline,
        })
    }
}

impl Input {
    /// The input as something a child can have as its standard input.
    pub(crate) fn open(&self) -> io::Result<Stream> {
        match self {
            Input::Null => Ok(Stream::Null),
            Input::File(path) => Ok(Stream::File(File::open(path)?)),
            Input::Bytes(bytes) => {
                // A file in memory rather than a pipe: nobody has to feed it while the command runs.
                let mut file = File::from(memfd_create(c"stdin", MFdFlags::MFD_CLOEXEC)?);
                file.write_all(bytes)?;
                file.rewind()?;
                Ok(Stream::File(file))
            }
        }
    }
}
