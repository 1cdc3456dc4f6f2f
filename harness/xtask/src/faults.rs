//! The fault matrix, with what it needs.

use anyhow::Result;

use crate::{
    run::{self, Run},
    setup,
};

/// Where the table of the whole matrix is kept.
const TABLE: &str = "tests/FAULTS.md";

pub(crate) fn faults(short: bool, seed: u64, names: &[String]) -> Result<()> {
    setup::everything()?;
    matrix(short, seed, names)
}

/// With everything set up.
pub(crate) fn matrix(short: bool, seed: u64, names: &[String]) -> Result<()> {
    run::cargo().args(["build", "--release", "--locked", "-p", "faults"]).ok()?;
    let run = Run::new(run::target().join("release/faults")).env("ASSAY_BIN", run::assay());
    let run = run.args(["--seed", &seed.to_string()]);
    let run = match (names, short) {
        ([list], _) if list == "list" => run.args(["--list"]),
        (names, true) => run.args(["--short"]).args(names),
        ([], false) => run.args(["--table", TABLE]),
        (names, false) => run.args(names),
    };
    run.ok()?;
    Ok(())
}
