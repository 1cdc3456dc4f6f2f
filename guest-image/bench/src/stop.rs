//! The end before the end: a deadline, or a signal.
//!
//! All waits of a side are for sockets. A thread that sleeps until the deadline or a signal shuts them, and every wait returns;
//! what has been set up is then put back on the way out, in its order.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
        socket::{Shutdown, shutdown},
    },
};

use crate::error::Failure;

#[derive(Debug, Default)]
struct Shared {
    reason: Option<String>,
    sockets: Vec<OwnedFd>,
}

/// The sockets that a stop shuts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<Mutex<Shared>>);

impl Stop {
    /// Watches from now on. Has to be called before any other thread is made, since those inherit which signals are held back.
    pub(crate) fn watch(deadline: Duration) -> Result<Self, Failure> {
        let mut signals = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            signals.add(signal);
        }
        signals.thread_block().map_err(|errno| Failure::call("holding back signals", errno))?;
        let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)
            .map_err(|errno| Failure::call("reading signals", errno))?;
        let stop = Self::default();
        let watched = stop.clone();
        let end = Instant::now() + deadline;
        thread::Builder::new()
            .name("stop".to_owned())
            .spawn(move || {
                let reason = wait(&signals, end).unwrap_or_else(|| {
                    format!("not done after its deadline of {} s", deadline.as_secs_f64())
                });
                watched.now(reason);
            })
            .map_err(|error| Failure::call("starting a thread", error))?;
        Ok(stop)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shuts the socket with the others, now if that has happened already.
    pub(crate) fn add(&self, socket: impl AsFd) -> io::Result<()> {
        let socket = socket.as_fd().try_clone_to_owned()?;
        let mut shared = self.shared();
        if shared.reason.is_some() {
            let _ = shutdown(socket.as_raw_fd(), Shutdown::Both);
        }
        shared.sockets.push(socket);
        Ok(())
    }

    /// Ends every wait. The first reason stands.
    pub(crate) fn now(&self, reason: String) {
        let mut shared = self.shared();
        shared.reason.get_or_insert(reason);
        for socket in &shared.sockets {
            // One that is not connected any more is as good as shut.
            let _ = shutdown(socket.as_raw_fd(), Shutdown::Both);
        }
    }

    /// Lets go of the sockets, so that closing them elsewhere closes them.
    pub(crate) fn forget(&self) {
        self.shared().sockets.clear();
    }

    /// What a failure really was: what follows from a stop is the stop.
    pub(crate) fn explain(&self, failure: Failure) -> Failure {
        match (&self.shared().reason, failure) {
            (Some(reason), Failure::Failed(_)) => Failure::Failed(reason.clone()),
            (_, failure) => failure,
        }
    }
}

/// The signal that came, as a reason; none if the end came first.
fn wait(signals: &SignalFd, end: Instant) -> Option<String> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        // Rounded up, or the last wait would spin.
        let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        let mut waiting = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        if poll(&mut waiting, timeout).is_ok_and(|ready| ready > 0)
            && let Ok(Some(signal)) = signals.read_signal()
        {
            let signal =
                i32::try_from(signal.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
            return Some(format!("ended by {}", signal.map_or("a signal", Signal::as_str)));
        }
    }
}
