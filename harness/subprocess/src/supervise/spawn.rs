//! The start of one child: what lies between fork and exec.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{self, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Pid, getpid, getppid};

use crate::environment;
use crate::tool::Resource;
use crate::wire::{Identity, StartFailure, StartRequest};

/// Starts the child with `files` as its standard streams, `/dev/null` where there is none.
#[expect(clippy::disallowed_methods, reason = "the one place where children are started")]
pub(super) fn spawn(
    request: &StartRequest,
    files: [Option<File>; 3],
) -> Result<(duct::Handle, Pid), StartFailure> {
    let (program, arguments) = request
        .argv
        .split_first()
        .ok_or_else(|| StartFailure::Other { reason: "the command line is empty".into() })?;
    let [stdin, stdout, stderr] = files;
    let expression =
        duct::cmd(program, arguments).full_env(request.env.clone()).dir(&request.dir).unchecked();
    let expression = match stdin {
        Some(file) => expression.stdin_file(file),
        None => expression.stdin_null(),
    };
    let expression = match stdout {
        Some(file) => expression.stdout_file(file),
        None => expression.stdout_null(),
    };
    let expression = match stderr {
        Some(file) => expression.stderr_file(file),
        None => expression.stderr_null(),
    };
    let preparation =
        Preparation { supervisor: getpid(), identity: request.identity, limits: request.limits.clone() };
    let expression = expression.before_spawn(move |command| {
        preparation.attach(command);
        Ok(())
    });
    let handle = expression.start().map_err(|error| explain(request, &error))?;
    let pid =
        handle.pids().first().copied().ok_or_else(|| StartFailure::Other { reason: "no process".into() })?;
    Ok((handle, Pid::from_raw(pid.cast_signed())))
}

/// What the new process does to itself before it becomes the command.
#[derive(Clone)]
struct Preparation {
    supervisor: Pid,
    identity: Identity,
    limits: BTreeMap<Resource, u64>,
}

impl Preparation {
    #[expect(unsafe_code, reason = "std has no safe way to set process attributes before exec")]
    fn attach(&self, command: &mut Command) {
        command.process_group(0);
        if let Identity::Unprivileged { ids: Some((uid, gid)) } = self.identity {
            // With a user id and no group list given, std also drops every supplementary group.
            command.uid(uid).gid(gid);
        }
        let preparation = self.clone();
        // SAFETY: the supervisor has one thread, so no lock can be held by another at the fork; the closure only
        // makes system calls on values that it owns.
        unsafe { command.pre_exec(move || preparation.apply()) };
    }

    /// Runs in the new process, after std has changed user and folder.
    fn apply(&self) -> io::Result<()> {
        // The mask is inherited, and the supervisor blocks what it reads from its signalfd.
        SigSet::empty().thread_set_mask()?;
        // What it starts stays below it: see the module `family`.
        prctl::set_child_subreaper(true)?;
        // After the change of user, which clears it.
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if getppid() != self.supervisor {
            // The supervisor died before the signal was asked for.
            return Err(Errno::ESRCH.into());
        }
        if let Identity::Unprivileged { .. } = self.identity {
            prctl::set_no_new_privs()?;
        }
        for (resource, value) in &self.limits {
            setrlimit(resource.number(), *value, *value)?;
        }
        Ok(())
    }
}

impl Resource {
    fn number(self) -> resource::Resource {
        match self {
            Resource::AddressSpace => resource::Resource::RLIMIT_AS,
            Resource::CoreSize => resource::Resource::RLIMIT_CORE,
            Resource::FileSize => resource::Resource::RLIMIT_FSIZE,
            Resource::OpenFiles => resource::Resource::RLIMIT_NOFILE,
            Resource::Processes => resource::Resource::RLIMIT_NPROC,
        }
    }
}

/// Which of the things that a start needs was missing: the system call only says that something was.
fn explain(request: &StartRequest, error: &io::Error) -> StartFailure {
    if let Err(error) = std::fs::read_dir(&request.dir)
        && let Some(errno) = error.raw_os_error()
    {
        return StartFailure::Folder { folder: request.dir.clone(), errno };
    }
    let program = request.argv[0].clone();
    let path =
        request.env.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.clone()).unwrap_or_default();
    if !environment::finds(&program, &path) {
        return StartFailure::NotFound { program, path };
    }
    StartFailure::Other { reason: error.to_string() }
}
