//! Gives the runner's events to the store and to the person who waits.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use measure::TrialEnd;
use runner::{Event, KeepError, Keeper, Trial};
use store::Run;

use crate::{
    progress::{Progress, rough},
    reports,
};

/// Keeps a run's trials and shows how far it is.
pub(crate) struct RunKeeper<'a> {
    pub(crate) run: &'a mut Run,
    pub(crate) progress: &'a mut Progress,
    /// Trials that are to be made in all.
    pub(crate) total: usize,
    /// Trials that were there when this process began.
    pub(crate) before: usize,
    /// The arm of every trial that is finished.
    pub(crate) made: Vec<String>,
    pub(crate) started: Instant,
    /// Boots that the plan has for each arm.
    pub(crate) boots_per_arm: usize,
    /// The most blocks of timed boots that there are.
    pub(crate) most_blocks: u32,
    /// Boots that are left out because their arm was given up.
    pub(crate) left_out: usize,
    /// What each block is called where the evidence is exact.
    pub(crate) replicates: Vec<Option<String>>,
    /// When the run's budget is used up, if it has one.
    pub(crate) until: Option<Instant>,
}

impl RunKeeper<'_> {
    /// What is left at the mean pace of the trials that this process made.
    fn left(&self) -> String {
        let made = self.made.len() - self.before;
        if made == 0 {
            return String::new();
        }
        let left = self.total.saturating_sub(self.made.len() + self.left_out);
        let seconds = self.started.elapsed().as_secs_f64() / made as f64 * left as f64;
        let left = Duration::from_secs_f64(seconds);
        let budget = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        match budget.filter(|budget| *budget < left) {
            Some(budget) => {
                format!(", about {} to be made, {} of the budget left", rough(left), rough(budget))
            }
            None => format!(", about {} left", rough(left)),
        }
    }

    fn position(&self, trial: &Trial) -> String {
        let kind = if trial.traced { ", traced" } else { "" };
        let block = match self.replicates.get(trial.block as usize) {
            Some(Some(replicate)) => replicate.clone(),
            _ => format!("block {}", trial.block + 1),
        };
        format!("trial {}/{} {} ({block}{kind})", trial.index + 1, self.total, trial.arm)
    }
}

impl Keeper for RunKeeper<'_> {
    fn folder(&mut self, trial: &Trial) -> Result<PathBuf, KeepError> {
        Ok(self.run.trial_folder(trial.index)?)
    }

    fn event(&mut self, event: Event<'_>) -> Result<(), KeepError> {
        match event {
            Event::Booting { trial } => {
                self.progress.status(&self.position(trial), &format!("booting{}", self.left()));
            }
            Event::Up { trial, seconds } => {
                self.progress
                    .status(&self.position(trial), &format!("up after {seconds:.1} s{}", self.left()));
            }
            Event::Workload { trial, name } => {
                self.progress.status(&self.position(trial), &format!("{name}{}", self.left()));
            }
            Event::SetAside { trial, why } => {
                self.progress.line(format!("{}: set aside, and made again: {why}", self.position(trial)));
            }
            Event::Ended { trial, record } => {
                self.run.finish_trial(record)?;
                self.made.push(record.arm.clone());
                self.progress.line(format!(
                    "{}: {} in {:.1} s{}",
                    self.position(trial),
                    end(&record.end),
                    record.took_seconds,
                    self.left()
                ));
            }
            Event::Decided { blocks } => {
                self.progress.line(format!(
                    "decided after {blocks} of at most {} blocks: no more are made",
                    self.most_blocks
                ));
            }
            Event::GivenUp { arm, failures } => {
                let made = self.made.iter().filter(|made| *made == arm).count();
                self.left_out += self.boots_per_arm.saturating_sub(made);
                self.progress
                    .line(format!("{arm}: failed {failures} boots of {made}; its other boots are left out"));
            }
        }
        Ok(())
    }

    fn is_decided(&mut self) -> Result<bool, KeepError> {
        // From what is on disk, like the report that will say so.
        let stored = store::read(self.run.folder())?;
        let model = reports::model(&stored).map_err(|failure| failure.in_a_line())?;
        Ok(report::decided(&model))
    }
}

fn end(end: &TrialEnd) -> String {
    match end {
        TrialEnd::Measured { .. } => "measured".into(),
        TrialEnd::Crashed { report, .. } => format!("CRASHED: {}", report.title),
        TrialEnd::WorkloadFailed { workload, message, .. } => format!("{workload} FAILED: {message}"),
        TrialEnd::NotTestable { message } => format!("not testable: {message}"),
    }
}
