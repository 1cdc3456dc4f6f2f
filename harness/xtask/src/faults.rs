//! The fault matrix, with what it needs.

use anyhow::Result;

use crate::{
    run::{self, Run},
    setup,
};

/// Where the table of the whole matrix is kept.
const TABLE: &str = "tests/FAULTS.md";

/// Which matrix is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Form {
    pub(crate) short: bool,
    pub(crate) no_guests: bool,
    pub(crate) go_on: bool,
    pub(crate) seed: u64,
}

pub(crate) fn faults(form: &Form, names: &[String]) -> Result<()> {
    setup::everything()?;
    matrix(form, names)
}

/// With everything set up.
pub(crate) fn matrix(form: &Form, names: &[String]) -> Result<()> {
    run::cargo().args(["build", "--release", "--locked", "-p", "faults"]).ok()?;
    let mut run = Run::new(run::target().join("release/faults")).env("ASSAY_BIN", run::assay());
    run = run.args(["--seed", &form.seed.to_string()]);
    for (is_asked, flag) in
        [(form.short, "--short"), (form.no_guests, "--no-guests"), (form.go_on, "--go-on")]
    {
        run = if is_asked { run.args([flag]) } else { run };
    }
    let run = match names {
        [list] if list == "list" => run.args(["--list"]),
        [] if !form.short => run.args(["--table", TABLE]),
        names => run.args(names),
    };
    run.ok()?;
    Ok(())
}
