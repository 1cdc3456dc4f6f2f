//! What puts the levels of a machine on one axis: their clocks, read before and after a workload, and how much QEMU has been asked for
//! while it runs.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::Mutex,
    time::{Duration, Instant},
};

use machine::{MachineError, Running, Session, Traced};
use measure::{ClockReading, LevelsWindow};
use tokio::time::{MissedTickBehavior, interval};

use crate::round::locked;

/// Readings of one clock, of which the one that was answered soonest counts: the others waited for something.
const READINGS: usize = 15;
/// How often QEMU's counts are looked at.
const LOOK: Duration = Duration::from_millis(10);
/// A time of CLOCK_MONOTONIC has fewer characters.
const LIMIT: u32 = 64;

type Clocks = BTreeMap<String, Result<ClockReading, String>>;

/// A window whose levels share an axis.
pub(crate) struct Axis<'a> {
    running: &'a Running,
    zero: Instant,
    before: Clocks,
    seen: Mutex<BTreeMap<String, Vec<(u64, u64)>>>,
}

impl<'a> Axis<'a> {
    /// Begins one: from here on QEMU's invalidations are counted.
    pub(crate) async fn start(running: &'a Running) -> Result<Self, MachineError> {
        let zero = Instant::now();
        let before = clocks(running, zero).await;
        running.trace_window_start(Traced::Invalidations).await?;
        let axis = Self { running, zero, before, seen: Mutex::default() };
        axis.look()?;
        Ok(axis)
    }

    /// Does the work, and looks at QEMU's counts while it is done.
    pub(crate) async fn beside<T>(&self, work: impl Future<Output = T>) -> Result<T, MachineError> {
        let mut work = pin!(work);
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                _ = ticks.tick() => self.look()?,
            }
        }
    }

    /// Ends it.
    pub(crate) async fn stop(self) -> Result<LevelsWindow, MachineError> {
        // What was still in the pipe at the last look is in these counts.
        let counts = self.running.trace_window_stop().await?;
        let now = nanoseconds(self.zero.elapsed());
        let mut invalidations = std::mem::take(&mut *locked(&self.seen));
        for (guest, looks) in &mut invalidations {
            looks.extend(counts.get(guest).map(|trace| (now, trace.events.values().sum())));
        }
        let mut after = clocks(self.running, self.zero).await;
        let pair = |(guest, before): (String, Result<ClockReading, String>)| {
            let after = after.remove(&guest).unwrap_or_else(|| Err("it has gone".to_owned()));
            let both = before.and_then(|before| Ok([before, after?]));
            (guest, both)
        };
        Ok(LevelsWindow { clocks: self.before.into_iter().map(pair).collect(), invalidations })
    }

    fn look(&self) -> Result<(), MachineError> {
        let now = nanoseconds(self.zero.elapsed());
        for (guest, count) in self.running.trace_seen()? {
            locked(&self.seen).entry(guest.to_owned()).or_default().push((now, count));
        }
        Ok(())
    }
}

async fn clocks(running: &Running, zero: Instant) -> Clocks {
    let mut clocks = Clocks::new();
    for (guest, session) in running.guests() {
        clocks.insert(guest.to_owned(), clock(session, zero).await);
    }
    clocks
}

/// The guest's clock, as well as it can be told from here.
async fn clock(session: &Session, zero: Instant) -> Result<ClockReading, String> {
    let source = [collect::CLOCK.to_owned()];
    let mut best: Option<ClockReading> = None;
    for _ in 0..READINGS {
        let asked = nanoseconds(zero.elapsed());
        let mut answer = session.read(&source, LIMIT).await.map_err(|error| error.to_string())?;
        let answered = nanoseconds(zero.elapsed());
        let text = answer.remove(collect::CLOCK).ok_or("the agent did not read its clock")??;
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        let guest_ns = text.parse().map_err(|_| format!("`{text}` is no time"))?;
        let error_ns = (answered - asked).div_ceil(2);
        if best.is_none_or(|best| error_ns < best.error_ns) {
            best = Some(ClockReading { guest_ns, host_ns: asked + error_ns, error_ns });
        }
    }
    best.ok_or_else(|| "its clock was not read".to_owned())
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
