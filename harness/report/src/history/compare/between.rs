//! What is known of the times of two runs.

use stats::TimeNoise;

use super::Comparing;
use crate::{Noise, SeriesKey};

/// The times of two runs, and what identical arms did at such times.
pub(super) struct Between<'a> {
    noise: Option<&'a Noise>,
    /// The middle of each run, in seconds since 1970; none of a run that does not say when its boots were made.
    times: Option<(u64, u64)>,
}

impl<'a> Between<'a> {
    pub(super) fn of(first: &Comparing<'_>, second: &Comparing<'_>, noise: Option<&'a Noise>) -> Self {
        Self { noise, times: middle(first).zip(middle(second)) }
    }

    /// How far times stray in a series, or why that is not known.
    pub(super) fn of_series(&self, series: &SeriesKey) -> Result<TimeNoise, String> {
        let noise =
            self.noise.ok_or_else(|| "there is none of this machine and these workloads".to_owned())?;
        let (first, second) =
            self.times.ok_or_else(|| "a run does not say when its boots were made".to_owned())?;
        noise.between(series, first, second)
    }

    /// Whether anything can be judged.
    pub(super) fn covers_something(&self) -> bool {
        self.noise.is_some_and(|noise| noise.series.iter().any(|own| self.of_series(&own.series).is_ok()))
    }

    pub(super) fn in_words(&self) -> String {
        let again = |scenario: &str| {
            format!("`assay calibrate {scenario}`, at the times that are to be compared, adds to it")
        };
        match self.noise {
            None => "No calibration of this machine and these workloads: `assay calibrate SCENARIO`, several times between the runs, makes one.".to_owned(),
            Some(noise) => {
                let (boots, sessions) = (noise.boots(), noise.sessions.len());
                let of = format!("Calibration: {boots} boots of identical arms in {}", crate::number::counted(sessions, "session"));
                let why = noise.series.first().map(|own| self.of_series(&own.series));
                match why {
                    Some(Ok(_)) => format!("{of}: how far the levels of these times lie apart by themselves is part of every interval."),
                    Some(Err(why)) => format!("{of} does not cover these runs: {why}; {}.", again(&noise.scenario)),
                    None => format!("{of} has no numbers."),
                }
            }
        }
    }
}

/// The middle of a run's boots of an arm.
fn middle(side: &Comparing<'_>) -> Option<u64> {
    let mut began: Vec<u64> = side
        .trials
        .iter()
        .filter(|trial| !trial.traced && trial.arm == side.arm)
        .map(|trial| trial.began)
        .collect::<Option<_>>()?;
    began.sort_unstable();
    began.get(began.len() / 2).copied()
}
