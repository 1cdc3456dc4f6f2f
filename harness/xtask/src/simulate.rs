//! The simulation of the statistics.

use anyhow::Result;

use crate::run::{self, Run};

/// Where its table is kept.
const TABLE: &str = "tests/SIMULATION.md";

/// Makes every cell, on all processors; the table is written once all of them are made.
pub(crate) fn simulate() -> Result<()> {
    run::cargo().args(["build", "--release", "--locked", "-p", "simulation"]).ok()?;
    Run::new(run::target().join("release/simulation")).args(["--table", TABLE]).ok()?;
    println!("{TABLE}");
    Ok(())
}
