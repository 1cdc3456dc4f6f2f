//! What all threads of the agent share: the way back to the host, and the commands that run.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use protocol::{Awaited, CHUNK, FileContent, FrameError, FromAgent, Id, Moment};

use crate::{console, interact::Feed, played::Played, read::Reading};

/// Requests that may be open at once; each has a thread.
const MOST_OPEN: usize = 128;

/// One conversation with the host.
pub(crate) struct Session {
    outlet: Mutex<Outlet>,
    /// Rings when something was answered that is kept.
    kept: Condvar,
    /// Process groups of the commands that run, by request. A leader is reaped only after its entry is gone, so a
    /// group that is found here still belongs to the command.
    running: Mutex<BTreeMap<Id, Pid>>,
    open: Mutex<usize>,
    /// Commands that are fed while they run, by request.
    feeds: Mutex<BTreeMap<Id, Arc<Feed>>>,
}

/// Where answers go.
enum Outlet {
    /// To the host.
    Host(Box<dyn Write + Send>),
    /// They are kept until there is a host.
    Kept(Played),
}

/// A command is fed until this is dropped.
pub(crate) struct Fed<'a> {
    session: &'a Session,
    id: Id,
}

impl Drop for Fed<'_> {
    fn drop(&mut self) {
        lock(&self.session.feeds).remove(&self.id);
    }
}

/// Counts as an open request until it is dropped.
pub(crate) struct Open<'a>(&'a Session);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        *lock(&self.0.open) -= 1;
    }
}

impl Session {
    pub(crate) fn new(writer: impl Write + Send + 'static) -> Self {
        Self::with(Outlet::Host(Box::new(writer)))
    }

    /// One that keeps what it answers until [`Session::tell`] gives it a host.
    pub(crate) fn without_host() -> Self {
        Self::with(Outlet::Kept(Played::default()))
    }

    fn with(outlet: Outlet) -> Self {
        Self {
            outlet: Mutex::new(outlet),
            kept: Condvar::new(),
            running: Mutex::default(),
            open: Mutex::default(),
            feeds: Mutex::default(),
        }
    }

    /// Sends one message; blocks while the host does not read. A host that cannot be answered is gone: then this
    /// ends the process.
    pub(crate) fn send(&self, message: &FromAgent) {
        let sent = match &mut *lock(&self.outlet) {
            Outlet::Host(writer) => protocol::write_frame(writer, message),
            Outlet::Kept(played) => played.keep(message),
        };
        self.kept.notify_all();
        if let Err(error) = sent {
            self.give_up(&error);
        }
    }

    /// Waits until so much of an answer has been kept.
    pub(crate) fn wait_for(&self, id: Id, awaited: Awaited) {
        let mut outlet = lock(&self.outlet);
        while matches!(&*outlet, Outlet::Kept(played) if !played.has(id, awaited)) {
            outlet = self.kept.wait(outlet).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Tells a host that it is ready, all that has been kept, and that this is all. What is answered from here on goes
    /// to the host as it comes.
    pub(crate) fn tell(&self, mut writer: impl Write + Send + 'static, ready: &FromAgent) {
        let mut outlet = lock(&self.outlet);
        let told = match &*outlet {
            Outlet::Kept(played) => protocol::write_frame(&mut writer, ready)
                .and_then(|()| writer.write_all(played.frames()).map_err(FrameError::from))
                .and_then(|()| protocol::write_frame(&mut writer, &FromAgent::Played)),
            Outlet::Host(_) => Ok(()),
        };
        *outlet = Outlet::Host(Box::new(writer));
        drop(outlet);
        if let Err(error) = told {
            self.give_up(&error);
        }
    }

    fn give_up(&self, error: &FrameError) -> ! {
        console::say_error("answering the host", error);
        self.kill_all();
        std::process::exit(i32::from(crate::EXIT_BROKEN));
    }

    /// Sends `Done`, or `Failed` with the reason.
    pub(crate) fn finish(&self, id: Id, result: Result<(), String>) {
        self.send(&match result {
            Ok(()) => FromAgent::Done(id),
            Err(reason) => FromAgent::Failed(id, reason),
        });
    }

    /// Sends files as they were read, in parts.
    pub(crate) fn send_files(&self, id: Id, moment: Moment, readings: Vec<Reading>) {
        for Reading { path, content } in readings {
            let file = |content| FromAgent::File { id, path: path.clone(), moment, content };
            match content {
                Err(reason) => self.send(&file(FileContent::Unreadable(reason))),
                Ok(bytes) if bytes.is_empty() => self.send(&file(FileContent::Part { bytes, last: true })),
                Ok(bytes) => {
                    let parts = bytes.len().div_ceil(CHUNK);
                    for (index, part) in bytes.chunks(CHUNK).enumerate() {
                        let content = FileContent::Part { bytes: part.to_vec(), last: index + 1 == parts };
                        self.send(&file(content));
                    }
                }
            }
        }
    }

    /// Counts one more open request, unless there are too many.
    pub(crate) fn open(&self) -> Result<Open<'_>, String> {
        let mut open = lock(&self.open);
        if *open >= MOST_OPEN {
            return Err(format!("{MOST_OPEN} requests are open already"));
        }
        *open += 1;
        Ok(Open(self))
    }

    /// Notes that a command runs, under a request that names no other running one.
    pub(crate) fn started(&self, id: Id, group: Pid) -> Result<(), String> {
        match lock(&self.running).entry(id) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(group);
                Ok(())
            }
            std::collections::btree_map::Entry::Occupied(_) => {
                Err(format!("request {id} runs a command already"))
            }
        }
    }

    /// Notes that a command has ended. To be called before its leader is reaped.
    pub(crate) fn ended(&self, id: Id) {
        lock(&self.running).remove(&id);
    }

    /// What comes for this request goes to `feed`. Its command runs, so no other has the same number.
    pub(crate) fn feeds(&self, id: Id, feed: &Arc<Feed>) -> Fed<'_> {
        lock(&self.feeds).insert(id, Arc::clone(feed));
        Fed { session: self, id }
    }

    /// The feed of a command, unless it has ended.
    pub(crate) fn feed(&self, id: Id) -> Option<Arc<Feed>> {
        lock(&self.feeds).get(&id).cloned()
    }

    /// Signals the process group of a running command.
    pub(crate) fn signal(&self, id: Id, signal: i32) -> Result<(), String> {
        let signal = Signal::try_from(signal).map_err(|_invalid| format!("{signal} is not a signal"))?;
        let running = lock(&self.running);
        let group = running.get(&id).ok_or_else(|| format!("request {id} runs no command"))?;
        killpg(*group, signal).map_err(|errno| errno.desc().to_owned())
    }

    /// Ends every command that still runs.
    pub(crate) fn kill_all(&self) {
        for group in lock(&self.running).values() {
            // A group that has just ended is what is wanted.
            let _ = killpg(*group, Signal::SIGKILL);
        }
    }
}

/// A panic aborts the process, so no lock is ever seen poisoned.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
