//! From the schedule to finished trials.

use std::{
    collections::BTreeMap,
    future::Future,
    path::Path,
    path::PathBuf,
    pin::Pin,
    time::{Instant, SystemTime},
};

use machine::{BootFiles, Host, MachineError};
use measure::{KernelImage, TrialEnd, TrialRecord};
use plan::{Plan, Stop};
use subprocess::Supervisor;
use workload::WorkloadError;

use crate::{Budget, Event, Pace, Trial, exact::Rehearsals, schedule, trial::run_trial};

/// Boots of an arm that may fail before it was ever measured; then the rest are left out. One failure could be chance,
/// and each may cost a whole boot deadline.
const FAILURES_BEFORE_GIVING_UP: u32 = 2;

/// All that trials need, ready.
#[derive(Debug)]
pub struct Setup<'a> {
    /// What to do.
    pub plan: &'a Plan,
    /// What to boot, by arm. An arm without an entry takes part in no trial.
    pub boot_files: &'a BTreeMap<String, BootFiles>,
    /// What was built for each arm: where the symbols are.
    pub images: &'a BTreeMap<String, KernelImage>,
    /// Starts and ends every child.
    pub supervisor: &'a Supervisor,
    /// What this host can do.
    pub host: &'a Host,
    /// A private folder for sockets.
    pub runtime: &'a Path,
    /// What the trials may take; all that they need if there is none.
    pub budget: Option<&'a Budget>,
    /// `libinsncount.so`, where the plan's evidence is exact.
    pub counting: Option<&'a Path>,
    /// The host's meters, and the clock by which one of them keeps its log.
    pub power: Power<'a>,
    /// The counters that the host's processors keep of their IOMMUs.
    pub counters: &'a pmu::Counters,
    /// `assay-bench`, where the plan has streams and guests to run them in.
    pub bench: Option<&'a Path>,
}

/// What tells how much the host takes.
#[derive(Clone, Copy, Debug)]
pub struct Power<'a> {
    /// Every meter that it has.
    pub meters: &'a power::Meters,
    /// The wall clock.
    pub now: fn() -> SystemTime,
}

/// Why the caller could not keep something: the run stops.
pub type KeepError = Box<dyn std::error::Error + Send + Sync>;

/// Who keeps what happens.
pub trait Keeper {
    /// An empty folder for a trial's consoles, with `raw/` in it for the tools' own output.
    ///
    /// # Errors
    /// If there can be none.
    fn folder(&mut self, trial: &Trial) -> Result<PathBuf, KeepError>;

    /// Something happened.
    ///
    /// # Errors
    /// If a finished trial could not be kept.
    fn event(&mut self, event: Event<'_>) -> Result<(), KeepError>;

    /// Whether every gate is decided by the trials that were kept. Asked before a block begins, where the plan stops then.
    ///
    /// # Errors
    /// If what was kept cannot be judged.
    fn is_decided(&mut self) -> Result<bool, KeepError>;
}

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Every trial was made, or left out for a reason that was told.
    Complete,
    /// The caller asked to stop. The trial that was running does not count.
    Interrupted,
    /// The budget has no time for another block, or its places are done and others are not.
    OutOfBudget,
}

/// The infrastructure failed; says nothing about any kernel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A machine could not be made or driven.
    #[error("trial {index} ({arm})")]
    Machine {
        /// Position in the schedule.
        index: u32,
        /// The arm.
        arm: String,
        /// Why not.
        source: Box<MachineError>,
    },
    /// The host's part of a workload failed.
    #[error("trial {index} ({arm})")]
    Workload {
        /// Position in the schedule.
        index: u32,
        /// The arm.
        arm: String,
        /// Why.
        source: Box<WorkloadError>,
    },
    /// What was counted cannot be used.
    #[error("trial {index} ({arm}): the instruction counts: {message}")]
    Counts {
        /// Position in the schedule.
        index: u32,
        /// The arm.
        arm: String,
        /// Why not.
        message: String,
    },
    /// What happened could not be kept.
    #[error("keeping trial {index} ({arm})")]
    Keep {
        /// Position in the schedule.
        index: u32,
        /// The arm.
        arm: String,
        /// Why not.
        source: KeepError,
    },
}

impl RunError {
    pub(crate) fn workload(trial: &Trial, source: WorkloadError) -> Self {
        Self::Workload { index: trial.index, arm: trial.arm.clone(), source: Box::new(source) }
    }

    /// For `map_err` on the keeper's answers.
    pub(crate) fn keep(trial: &Trial) -> impl FnOnce(KeepError) -> Self {
        let (index, arm) = (trial.index, trial.arm.clone());
        move |source| Self::Keep { index, arm, source }
    }
}

/// Makes every trial of the plan that is not in `finished` yet, until `stop` resolves.
///
/// # Errors
/// If the infrastructure fails. Trials that ended before were given to the keeper.
pub async fn execute(
    setup: &Setup<'_>,
    finished: &[TrialRecord],
    stop: impl Future<Output = ()>,
    keeper: &mut impl Keeper,
) -> Result<Finish, RunError> {
    let mut stop = std::pin::pin!(stop);
    let mut rehearsals = Rehearsals::default();
    let mut tally = Tally::default();
    for record in finished {
        tally.add(record);
    }
    let mut pace = Pace::of_trials(finished);
    let mut block = None;
    let mut left_out = false;
    let mut looked_at = None;
    let mut is_decided = false;
    let trials = schedule(setup.plan);
    let is_left = |trial: &Trial, tally: &Tally| {
        let done = finished.iter().any(|record| record.index == trial.index);
        !done && setup.boot_files.contains_key(&trial.arm) && !tally.given_up(&trial.arm)
    };
    for trial in &trials {
        let Some(files) = setup.boot_files.get(&trial.arm).filter(|_| is_left(trial, &tally)) else {
            continue;
        };
        // A block that is begun is made whole, so what is finished of it decides nothing yet.
        let is_begun = || finished.iter().any(|record| record.block == trial.block);
        if setup.plan.design.stop == Stop::WhenDecided
            && !is_decided
            && !trial.traced
            && looked_at.replace(trial.block) != Some(trial.block)
            && trial.block > 0
            && !is_begun()
        {
            is_decided = keeper.is_decided().map_err(RunError::keep(trial))?;
            if is_decided {
                keeper.event(Event::Decided { blocks: trial.block }).map_err(RunError::keep(trial))?;
            }
        }
        if is_decided && !trial.traced {
            continue;
        }
        if let Some(budget) = setup.budget {
            let is_in = |trial: &&Trial| budget.has_place_for(setup.plan, &trial.arm);
            if !is_in(&trial) {
                left_out = true;
                continue;
            }
            // A block that is begun is made whole: arms are compared within blocks.
            if block.replace(trial.block) != Some(trial.block) {
                let rest = trials.iter().filter(|other| other.block == trial.block && is_left(other, &tally));
                let rest: Vec<&Trial> = rest.filter(is_in).collect();
                if !budget.has_time_for(&rest, &pace, Instant::now()) {
                    return Ok(Finish::OutOfBudget);
                }
            }
        }
        let began = Instant::now();
        let work = in_time(setup.budget, run_trial(setup, trial, files, &mut rehearsals, keeper));
        let Some(ended) = until(stop.as_mut(), work).await else {
            return Ok(Finish::Interrupted);
        };
        let Some(record) = ended else {
            return Ok(Finish::OutOfBudget);
        };
        let record = record?;
        keeper.event(Event::Ended { trial, record: &record }).map_err(RunError::keep(trial))?;
        tally.add(&record);
        // With all that keeping it took.
        pace.add(&trial.arm, began.elapsed());
        if tally.given_up(&trial.arm) {
            let event = Event::GivenUp { arm: &trial.arm, failures: FAILURES_BEFORE_GIVING_UP };
            keeper.event(event).map_err(RunError::keep(trial))?;
        }
    }
    Ok(if left_out { Finish::OutOfBudget } else { Finish::Complete })
}

/// What `work` yields, or nothing if the budget is used up first.
async fn in_time<T>(budget: Option<&Budget>, work: impl Future<Output = T>) -> Option<T> {
    match budget {
        None => Some(work.await),
        Some(budget) => tokio::time::timeout_at(budget.until.into(), work).await.ok(),
    }
}

/// Whether the other boots of `arm` are left out: it failed in its first ones, and was never measured.
#[must_use]
pub fn given_up(trials: &[TrialRecord], arm: &str) -> bool {
    let mut tally = Tally::default();
    trials.iter().for_each(|trial| tally.add(trial));
    tally.given_up(arm)
}

/// What `work` yields, or nothing if `stop` resolves first; `work` is then dropped, and its machines with it.
async fn until<T>(stop: Pin<&mut impl Future<Output = ()>>, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        () = stop => None,
        result = work => Some(result),
    }
}

/// How often each arm failed, and whether it was ever measured.
#[derive(Default)]
struct Tally {
    arms: BTreeMap<String, (u32, bool)>,
}

impl Tally {
    fn add(&mut self, record: &TrialRecord) {
        let (failures, measured) = self.arms.entry(record.arm.clone()).or_default();
        if matches!(record.end, TrialEnd::Measured { .. }) {
            *measured = true;
        } else {
            *failures += 1;
        }
    }

    fn given_up(&self, arm: &str) -> bool {
        self.arms
            .get(arm)
            .is_some_and(|(failures, measured)| !measured && *failures >= FAILURES_BEFORE_GIVING_UP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(arm: &str, end: TrialEnd) -> TrialRecord {
        TrialRecord {
            index: 0,
            block: 0,
            arm: arm.into(),
            traced: false,
            perturbation: None,
            end,
            facts: BTreeMap::new(),
            boot_seconds: None,
            took_seconds: 1.0,
            unavailable: vec![],
            warnings: vec![],
            complaints: vec![],
            tests: vec![],
            voids: vec![],
            set_aside: vec![],
            within: vec![],
            timelines: vec![],
            began: None,
        }
    }

    #[test]
    fn an_arm_that_was_measured_once_is_never_given_up() {
        let failed = || TrialEnd::NotTestable { message: "no such sysctl".into() };
        let mut tally = Tally::default();
        tally.add(&record("sick", failed()));
        assert!(!tally.given_up("sick"));
        tally.add(&record("sick", failed()));
        assert!(tally.given_up("sick"));
        tally.add(&record("flaky", TrialEnd::Measured { samples: vec![] }));
        for _ in 0..5 {
            tally.add(&record("flaky", failed()));
        }
        assert!(!tally.given_up("flaky"));
    }
}
