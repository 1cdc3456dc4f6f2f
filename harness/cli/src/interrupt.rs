//! Ctrl-C, SIGTERM and SIGHUP: one way out, whatever is going on.
//!
//! Who has something to bring to its end awaits [`asked_to_stop`]; while nobody does (a kernel is being built, packages are
//! being fetched), the signal ends the program at once, and the supervisor ends every child.

use std::{
    process,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::{Context, Result};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{Failure, INTERRUPTED};

/// How many await the signal.
static AWAITED: AtomicUsize = AtomicUsize::new(0);

/// From now on the signals end the program with the exit status of an interruption, unless somebody awaits them.
pub(crate) fn install(json: bool) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("installing signal handlers")?;
    let wait = move || {
        for _ in signals.forever() {
            if AWAITED.load(Ordering::SeqCst) == 0 {
                let stopped =
                    Failure::Interrupted("interrupted: what is built or fetched so far is kept".into());
                stopped.tell(json);
                process::exit(INTERRUPTED.into());
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(wait).context("starting a thread")?;
    Ok(())
}

/// Resolves when somebody asks us to stop. From then on the trial that runs is ended, and everything before it is kept.
pub(crate) async fn asked_to_stop() {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let streams = kinds.map(signal);
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = streams else {
        // The signals then end us as if nobody awaited them.
        return std::future::pending().await;
    };
    let awaited = Awaited::begin();
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    // Whoever was waiting now brings things to their end; neither this signal nor another one may cut that short.
    std::mem::forget(awaited);
}

/// Somebody awaits the signal.
struct Awaited;

impl Awaited {
    fn begin() -> Self {
        AWAITED.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        AWAITED.fetch_sub(1, Ordering::SeqCst);
    }
}
