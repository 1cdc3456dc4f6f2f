//! Stages of a long chore: each is timed, and the sum is held against a budget and a limit.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Stages that ran so far.
#[derive(Debug)]
pub(crate) struct Stages {
    /// What it should take on a machine that is ours alone; more is said.
    budget: Duration,
    /// What is given to it; more is a failure.
    limit: Duration,
    started: Instant,
    done: Vec<(&'static str, Duration)>,
}

impl Stages {
    pub(crate) fn new(budget_minutes: u64, limit_minutes: u64) -> Self {
        let of = |minutes: u64| Duration::from_secs(minutes * 60);
        Self {
            budget: of(budget_minutes),
            limit: of(limit_minutes),
            started: Instant::now(),
            done: Vec::new(),
        }
    }

    /// Runs one stage.
    pub(crate) fn stage<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!(
            "== {name} (minute {:.1} of {})",
            minutes(self.started.elapsed()),
            self.budget.as_secs() / 60
        );
        let started = Instant::now();
        let result = work().with_context(|| format!("stage {name:?}"));
        self.done.push((name, started.elapsed()));
        if result.is_err() {
            self.print();
        }
        result
    }

    /// Prints minutes per stage. More than the limit is a failure; more than the budget is not, as how fast a machine is that
    /// others share says nothing of the code.
    pub(crate) fn finish(self) -> Result<()> {
        self.print();
        let total = self.started.elapsed();
        if total > self.limit {
            bail!("{:.1} minutes, the limit is {:.0}", minutes(total), minutes(self.limit));
        }
        if total > self.budget {
            println!(
                "OVER THE BUDGET of {:.0} minutes, by {:.1}",
                minutes(self.budget),
                minutes(total - self.budget)
            );
        }
        Ok(())
    }

    fn print(&self) {
        println!("minutes per stage:");
        for (name, took) in &self.done {
            println!("  {:6.1}  {name}", minutes(*took));
        }
        println!("  {:6.1}  in all, of {}", minutes(self.started.elapsed()), self.budget.as_secs() / 60);
    }
}

fn minutes(time: Duration) -> f64 {
    time.as_secs_f64() / 60.0
}
