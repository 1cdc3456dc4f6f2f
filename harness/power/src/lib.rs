//! What the host takes while a workload runs, from every meter that it has.
//!
//! *Data in.* Energy counters of the powercap framework, read twice; the platform's own meter (IPMI DCMI), asked again and again while
//! the window lasts; the log of a meter at the plug, which somebody else writes. *Data out.* [`measure::PowerReadings`]: the mean power
//! over the window by each meter, or why it has none. A meter that stands still has none: no host takes 0 W.
//!
//! All of them meter the whole host, guests and harness and whatever else runs there.

#![deny(missing_docs)]

mod dcmi;
mod log;
mod powercap;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use measure::PowerReadings;
use subprocess::Supervisor;

use crate::{dcmi::Sampler, powercap::Zones};

pub use log::LogError;

/// The host's meters.
#[derive(Clone, Debug)]
pub struct Meters {
    /// `/sys`, or a folder like it.
    sys: PathBuf,
    /// `/dev`, or a folder like it.
    dev: PathBuf,
    log: Option<PathBuf>,
}

/// A window that has begun. Dropping it ends what was started for it.
#[derive(Debug)]
pub struct Metering<'a> {
    meters: &'a Meters,
    begun: Instant,
    /// When that was on the clock that the log's writer has, too.
    since: SystemTime,
    zones: Result<Zones, String>,
    sampler: Result<Sampler, String>,
}

impl Meters {
    /// Those of this host, and the meter that writes `log`.
    ///
    /// # Errors
    /// If the log cannot be read, or a line of it is none: better now than after hours.
    pub fn of_this_host(log: Option<&Path>) -> Result<Self, LogError> {
        if let Some(log) = log {
            log::check(log)?;
        }
        Ok(Self { sys: "/sys".into(), dev: "/dev".into(), log: log.map(Path::to_owned) })
    }

    /// Begins a window. `now` is the wall clock, which the harness reads in one place.
    #[must_use]
    pub fn start(&self, now: SystemTime, supervisor: &Supervisor) -> Metering<'_> {
        let sampler = dcmi::sample(&self.dev, supervisor);
        Metering {
            meters: self,
            begun: Instant::now(),
            since: now,
            zones: powercap::read(&self.sys),
            sampler,
        }
    }
}

impl Metering<'_> {
    /// Ends the window. Each meter has a name, such as `package-0`, `psys`, `dcmi` or `external`; what is not there at all is called by
    /// its kind, with the reason.
    #[must_use]
    pub fn stop(self) -> PowerReadings {
        let elapsed = self.begun.elapsed();
        let mut readings = PowerReadings::new();
        match self.zones.and_then(|before| Ok((before, powercap::read(&self.meters.sys)?))) {
            Ok((before, after)) => readings.extend(powercap::power(before, &after, elapsed)),
            Err(why) => drop(readings.insert("powercap".to_owned(), Err(why))),
        }
        readings.insert("dcmi".to_owned(), self.sampler.and_then(Sampler::mean));
        if let Some(log) = &self.meters.log {
            readings.insert("external".to_owned(), log::mean(log, self.since, elapsed));
        }
        readings
    }
}

/// Watts as they are kept.
fn milliwatts(watts: f64) -> Option<u64> {
    let milliwatts = (watts * 1e3).round();
    // More than a megawatt is no host.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    (milliwatts.is_finite() && (1.0..=1e9).contains(&milliwatts)).then_some(milliwatts as u64)
}

/// The mean of some readings.
fn mean(watts: &[f64]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a number of readings")]
    (!watts.is_empty()).then(|| watts.iter().sum::<f64>() / watts.len() as f64)
}

/// How long one reading of a slow meter may take.
const READING: Duration = Duration::from_secs(5);
