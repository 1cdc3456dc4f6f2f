//! Stages of a long chore: each is timed, and the sum is held against a budget.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Stages that ran so far.
#[derive(Debug)]
pub(crate) struct Stages {
    budget: Duration,
    started: Instant,
    done: Vec<(&'static str, Duration)>,
}

impl Stages {
    pub(crate) fn new(budget_minutes: u64) -> Self {
        Self { budget: Duration::from_secs(budget_minutes * 60), started: Instant::now(), done: Vec::new() }
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

    /// Prints minutes per stage; more than the budget is a failure.
    pub(crate) fn finish(self) -> Result<()> {
        self.print();
        let total = self.started.elapsed();
        if total > self.budget {
            bail!("{:.1} minutes, the budget is {}", minutes(total), self.budget.as_secs() / 60);
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
