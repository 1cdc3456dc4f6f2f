//! The process that a guest lives in: its console, its standard error, its socket to the agent, and its end.

use std::{
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use measure::{CrashKind, CrashReport};
use subprocess::{Child, Ended, Stdio, Stream, Supervisor, Tool, sandbox_ids};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{oneshot, watch},
};

use crate::{
    MachineError,
    console::{Console, Found, Seen},
    errors::ErrorStream,
    relay::Relay,
};

/// How long the supervisor may take to end a process tree.
const END_DEADLINE: Duration = Duration::from_secs(30);

/// What a process wrote before its end is in the pipe already; this only bounds a reader that is starved.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// QEMU ends itself with these words when a guest jumps to where there is no memory: the kernel's doing.
const GUEST_JUMPED_AWAY: &str = "Trying to execute code outside RAM or ROM";

/// How it is with a guest, as far as it can be seen from outside.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    /// It runs.
    Runs,
    /// It powered off, as it was asked to.
    Off,
    /// The kernel crashed. The process may still be there.
    Crashed(CrashReport),
    /// The process failed for a reason that is not the guest's.
    Failed(Arc<MachineError>),
}

/// Why a machine stops, as its emulator says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The guest was reset: by itself, or since it could not even take a double fault.
    Reset,
    /// It powered itself off.
    PowerOff,
    /// The host's doing.
    Otherwise,
}

/// What a crash of the kernel means for its guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnCrash {
    /// The guest has ended.
    Ends,
    /// It stays until its process ends: somebody looks at it with a debugger.
    Stays,
}

/// Where a guest's process is.
#[derive(Debug)]
pub(crate) enum Life {
    /// On this host.
    Here(Child),
    /// In another guest.
    Within(Relay),
}

/// How it is known that a process has ended.
#[derive(Debug)]
pub(crate) enum Exited {
    /// Whoever started it says so.
    Reported(Result<Ended, subprocess::ToolError>),
    /// It was in another guest, which has ended like this.
    WithOuter(Fate),
}

/// A guest's process. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    life: Life,
    fate: watch::Receiver<Fate>,
    /// Set once the supervisor has reported that it, and all it started, are gone.
    gone: watch::Receiver<bool>,
    seen: watch::Receiver<Seen>,
    /// Set before the guest is asked to power off: its end is then no crash.
    leaving: Arc<AtomicBool>,
    errors: ErrorStream,
}

impl Process {
    /// Starts `tool`: its standard output is the console, kept in `folder/NAME.console.log`, and what it says on its
    /// standard error is kept in `folder/NAME.stderr.log`. On `stopped` comes why the machine stops, from whoever knows.
    pub(crate) async fn start(
        name: &str,
        tool: Tool,
        folder: &Path,
        supervisor: &Supervisor,
        on_crash: OnCrash,
        stopped: watch::Receiver<Option<Stopped>>,
    ) -> Result<Self, MachineError> {
        let (console, console_end) = Console::create(&folder.join(format!("{name}.console.log")))?;
        let (errors, errors_end) = ErrorStream::create(&folder.join(format!("{name}.stderr.log")))?;
        let child = start(name, tool, console_end, errors_end, supervisor.clone()).await?;
        let (exited, exit) = oneshot::channel();
        child.on_exit(move |ended| {
            // Nobody listens any more if the machine was dropped: then its end is of no interest.
            let _ = exited.send(Exited::Reported(ended));
        });
        Ok(Self::watched(name, Life::Here(child), exit, (console, errors), on_crash, stopped))
    }

    /// A process that runs: `exit` tells its end, and what it shows comes on the other ends of `console` and `errors`.
    pub(crate) fn watched(
        name: &str,
        life: Life,
        exit: oneshot::Receiver<Exited>,
        (console, errors): (Console, ErrorStream),
        on_crash: OnCrash,
        stopped: watch::Receiver<Option<Stopped>>,
    ) -> Self {
        let (seen_sender, seen) = watch::channel(Seen::default());
        let following = tokio::spawn(console.follow(seen_sender));
        let (fate_sender, fate) = watch::channel(Fate::Runs);
        let (gone_sender, gone) = watch::channel(false);
        let leaving = Arc::new(AtomicBool::new(false));
        let watcher = Watcher {
            name: name.to_owned(),
            is_within: matches!(life, Life::Within(_)),
            seen: seen.clone(),
            leaving: Arc::clone(&leaving),
            errors: errors.clone(),
            on_crash,
            stopped,
        };
        tokio::spawn(async move {
            let (fate, exit) = watcher.until_decided(exit, following).await;
            fate_sender.send_replace(fate);
            if let Some(exit) = exit {
                // The sender is dropped without a word only if the supervisor's reader is gone, and all children with it.
                let _ = exit.await;
            }
            gone_sender.send_replace(true);
        });
        Self { name: name.to_owned(), life, fate, gone, seen, leaving, errors }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its process id on this host, if it is here.
    pub(crate) fn pid(&self) -> Option<i32> {
        match &self.life {
            Life::Here(child) => Some(child.pid()),
            Life::Within(_) => None,
        }
    }

    /// What becomes of it, for those that end with it.
    pub(crate) fn fate(&self) -> watch::Receiver<Fate> {
        self.fate.clone()
    }

    pub(crate) fn errors(&self) -> &ErrorStream {
        &self.errors
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        self.seen.borrow().warnings.clone()
    }

    /// Resolves once the guest no longer runs, with its fate: never [`Fate::Runs`].
    pub(crate) async fn ended(&self) -> Fate {
        let mut fate = self.fate.clone();
        match fate.wait_for(|fate| !matches!(fate, Fate::Runs)).await {
            Ok(fate) => fate.clone(),
            // The watching task ends only after it has decided; this is the runtime being shut down.
            Err(_closed) => Fate::Failed(Arc::new(MachineError::DoesNotEnd {
                guest: self.name.clone(),
                after: Duration::ZERO,
            })),
        }
    }

    /// Resolves with the title of a crash once the console shows one, whatever that means for the guest.
    pub(crate) async fn crash_seen(&self) -> String {
        let mut seen = self.seen.clone();
        let found = seen.wait_for(|seen| seen.crash.is_some()).await;
        match found.ok().and_then(|seen| seen.crash.as_ref().map(|found| found.title.clone())) {
            Some(title) => title,
            // The console has ended without one.
            None => std::future::pending().await,
        }
    }

    /// The end of this guest as an answer to something that failed because of it.
    pub(crate) async fn crash(&self) -> Result<CrashReport, MachineError> {
        match self.ended().await {
            Fate::Crashed(report) => Ok(report),
            Fate::Failed(error) => Err(MachineError::Shared(error)),
            Fate::Off | Fate::Runs => Ok(self.report(CrashKind::Stopped, "the guest powered off".into())),
        }
    }

    /// A report of this guest with what its console shows last.
    pub(crate) fn report(&self, kind: CrashKind, title: String) -> CrashReport {
        CrashReport {
            kind,
            guest: self.name.clone(),
            title,
            excerpt: self.seen.borrow().tail.clone(),
            cpus: vec![],
        }
    }

    /// Waits until the console shows a crash or ends, no longer than `most`.
    pub(crate) async fn last_words(&self, most: Duration) {
        let mut seen = self.seen.clone();
        // Whether there are any is seen in the next report.
        let _ = tokio::time::timeout(most, seen.wait_for(|seen| seen.crash.is_some() || seen.ended)).await;
    }

    /// From now on, its end is no crash.
    pub(crate) fn will_leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Kills it, and waits until it and all it started are gone.
    pub(crate) async fn kill(&self) -> Result<(), MachineError> {
        self.will_leave();
        match &self.life {
            Life::Here(child) => child.kill().map_err(|source| MachineError::Start {
                guest: self.name.clone(),
                source: Box::new(source),
            })?,
            Life::Within(relay) => relay.kill(),
        }
        let mut gone = self.gone.clone();
        let ended = tokio::time::timeout(END_DEADLINE, gone.wait_for(|gone| *gone)).await.is_ok();
        if ended {
            Ok(())
        } else {
            Err(MachineError::DoesNotEnd { guest: self.name.clone(), after: END_DEADLINE })
        }
    }
}

async fn start(
    name: &str,
    tool: Tool,
    stdout: OwnedFd,
    stderr: OwnedFd,
    supervisor: Supervisor,
) -> Result<Child, MachineError> {
    let stdio = Stdio { stdin: Stream::Null, stdout: Stream::Fd(stdout), stderr: Stream::Fd(stderr) };
    // The supervisor answers in milliseconds, but it is another process: not on a thread of the runtime.
    let started = tokio::task::spawn_blocking(move || tool.start(&supervisor, stdio)).await;
    started
        .expect("starting a child does not panic, and the runtime is not shut down while a machine boots")
        .map_err(|source| MachineError::Start { guest: name.to_owned(), source: Box::new(source) })
}

type Exit = oneshot::Receiver<Exited>;

/// Decides what became of a guest.
struct Watcher {
    name: String,
    /// Whether it is in another guest.
    is_within: bool,
    seen: watch::Receiver<Seen>,
    leaving: Arc<AtomicBool>,
    errors: ErrorStream,
    on_crash: OnCrash,
    stopped: watch::Receiver<Option<Stopped>>,
}

impl Watcher {
    /// Waits for a crash on the console or the end of the process, whichever is first. Gives the exit back if the
    /// process has not ended yet.
    async fn until_decided(
        &self,
        mut exit: Exit,
        following: tokio::task::JoinHandle<Result<(), MachineError>>,
    ) -> (Fate, Option<Exit>) {
        let mut seen = self.seen.clone();
        let crash = async {
            let found =
                seen.wait_for(|seen| seen.crash.is_some()).await.ok().and_then(|seen| seen.crash.clone());
            match found {
                Some(found) if self.on_crash == OnCrash::Ends => found,
                // It is held; or the console has ended without a crash, and the exit will tell.
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            found = crash => (Fate::Crashed(self.crashed(found)), Some(exit)),
            ended = &mut exit => (self.of_exit(ended, following).await, None),
        }
    }

    async fn of_exit(
        &self,
        ended: Result<Exited, oneshot::error::RecvError>,
        following: tokio::task::JoinHandle<Result<(), MachineError>>,
    ) -> Fate {
        let failed = |error| Fate::Failed(Arc::new(error));
        let how = match ended {
            Ok(Exited::Reported(Ok(how))) => how,
            Ok(Exited::WithOuter(fate)) => return fate,
            Ok(Exited::Reported(Err(source))) => {
                return failed(MachineError::Start { guest: self.name.clone(), source: Box::new(source) });
            }
            Err(_unreported) => {
                return failed(MachineError::DoesNotEnd { guest: self.name.clone(), after: Duration::ZERO });
            }
        };
        // What it wrote last must be read before it is judged.
        match tokio::time::timeout(DRAIN_DEADLINE, following).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => return failed(error),
            Ok(Err(_)) | Err(_) => {
                let awaited = format!("the end of the console of guest `{}`", self.name);
                return failed(MachineError::Deadline { awaited, after: DRAIN_DEADLINE });
            }
        }
        let stderr = self.errors.drained(DRAIN_DEADLINE).await;
        let seen = self.seen.borrow().clone();
        let left = self.leaving.load(Ordering::Acquire);
        match (seen.crash, how) {
            (Some(found), _) => Fate::Crashed(self.crashed(found)),
            (None, Ended::Exited(0)) if left => Fate::Off,
            (None, Ended::Signalled(_)) if left => Fate::Off,
            (None, Ended::Exited(0)) => Fate::Crashed(CrashReport {
                kind: CrashKind::Stopped,
                guest: self.name.clone(),
                title: self.why_stopped().await.into(),
                excerpt: seen.tail,
                cpus: vec![],
            }),
            (None, _) if stderr.contains(GUEST_JUMPED_AWAY) => Fate::Crashed(CrashReport {
                kind: CrashKind::Stopped,
                guest: self.name.clone(),
                title: "the guest jumped to an address without memory, and QEMU gave up".into(),
                excerpt: format!("{}\n{stderr}", seen.tail),
                cpus: vec![],
            }),
            // Its QEMU asked that guest for something which that one's kernel does not give: a result, as a crash is.
            (None, how) if self.is_within => Fate::Crashed(CrashReport {
                kind: CrashKind::Stopped,
                guest: self.name.clone(),
                title: format!("its QEMU ended: {}", last_line(&seen.tail).unwrap_or(&how.to_string())),
                excerpt: seen.tail,
                cpus: vec![],
            }),
            (None, how) => failed(MachineError::ProcessEnded { guest: self.name.clone(), how, stderr }),
        }
    }

    /// Why a machine stopped that nobody had asked to, and whose kernel said nothing.
    async fn why_stopped(&self) -> &'static str {
        let mut stopped = self.stopped.clone();
        let told = tokio::time::timeout(DRAIN_DEADLINE, stopped.wait_for(Option::is_some)).await;
        match told.ok().and_then(Result::ok).and_then(|stopped| *stopped) {
            Some(Stopped::Reset) => {
                "the guest was reset: a triple fault, or a reboot that nobody had asked for"
            }
            Some(Stopped::PowerOff) => "the guest powered itself off",
            Some(Stopped::Otherwise) | None => {
                "the machine stopped by itself: a triple fault, a reset or a power-off"
            }
        }
    }

    fn crashed(&self, found: Found) -> CrashReport {
        CrashReport {
            kind: found.kind,
            guest: self.name.clone(),
            title: found.title,
            excerpt: found.excerpt,
            cpus: vec![],
        }
    }
}

fn last_line(text: &str) -> Option<&str> {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty())
}

/// A unix socket that one process will connect to.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens in `folder`, which only we and the guests' user can enter.
    pub(crate) fn listen(folder: &Path, name: &str) -> Result<Self, MachineError> {
        let path = socket_path(folder, name)?;
        let failed =
            |source| MachineError::Io { action: "listening on the socket", path: path.clone(), source };
        let listener = UnixListener::bind(&path).map_err(failed)?;
        give_to_sandbox(&path).map_err(failed)?;
        Ok(Self { listener, path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the one connection.
    pub(crate) async fn accept(self) -> Result<UnixStream, MachineError> {
        let (stream, _address) = self.listener.accept().await.map_err(|source| MachineError::Io {
            action: "accepting a connection on the socket",
            path: self.path.clone(),
            source,
        })?;
        Ok(stream)
    }
}

/// Bytes of a unix socket's path without its terminating zero.
const SOCKET_PATH: usize = 107;

pub(crate) fn socket_path(folder: &Path, name: &str) -> Result<PathBuf, MachineError> {
    let path = folder.join(name);
    if path.as_os_str().len() > SOCKET_PATH {
        return Err(MachineError::SocketPath { path });
    }
    Ok(path)
}

/// A folder in `runtime` that only we and the user that guests run as can enter; it vanishes with the value.
pub(crate) fn socket_folder(runtime: &Path) -> Result<tempfile::TempDir, MachineError> {
    let failed =
        |source| MachineError::Io { action: "making a private folder in", path: runtime.to_owned(), source };
    let folder = tempfile::Builder::new()
        .prefix("m")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir_in(runtime)
        .map_err(failed)?;
    give_to_sandbox(folder.path()).map_err(failed)?;
    Ok(folder)
}

pub(crate) fn give_to_sandbox(path: &Path) -> std::io::Result<()> {
    if let Some((uid, gid)) = sandbox_ids() {
        nix::unistd::chown(path, Some(uid), Some(gid))?;
    }
    Ok(())
}
