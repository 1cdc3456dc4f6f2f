//! The tests, with all that they need.

use anyhow::Result;

use crate::{
    check,
    faults::{self, Form},
    run::{self, Run},
    setup,
    stages::Stages,
};

pub(crate) fn test(all: bool) -> Result<()> {
    let mut stages = if all { Stages::new(180, 240) } else { Stages::new(45, 90) };
    stages.stage("set-up", setup::everything)?;
    stages.stage("format, lints, documentation", check::check)?;
    stages.stage("kernels: 6.12 and its arms", || {
        for series in [None, Some("iommu-hooks"), Some("planted-slowdown")] {
            build_kernel("debian-6.12", series)?;
        }
        Ok(())
    })?;
    if all {
        stages.stage("kernels: 7.3 and its arm", || {
            for series in [None, Some("iommu-hooks")] {
                build_kernel("debian-7.3", series)?;
            }
            Ok(())
        })?;
    }
    stages.stage("tests", || nextest(all))?;
    stages.stage("faults", || faults::matrix(&Form { short: !all, seed: 1, ..Form::default() }, &[]))?;
    stages.finish()
}

fn build_kernel(base: &str, series: Option<&str>) -> Result<()> {
    let run = Run::new(run::assay()).args(["kernel", "build", base]);
    let run = if let Some(series) = series { run.args(["--series", series]) } else { run };
    run.ok()?;
    Ok(())
}

/// cargo-nextest where it is installed: it gives every test a process and a deadline. Otherwise cargo's own runner.
/// Every capability that tests ask for is given to them, and `ASSAY_TEST_REQUIRE` turns a skipped test into a failed one.
fn nextest(all: bool) -> Result<()> {
    let boot = run::target().join("boot");
    Run::new(run::assay()).args(["__boot-folder", "debian-6.12"]).args([&boot]).ok()?;
    let installed = Run::new("sh").args(["-c", "command -v cargo-nextest || true"]).output()?;
    let run = if installed.trim().is_empty() {
        println!("cargo-nextest is not installed: cargo test runs the tests, without deadlines of their own");
        run::cargo().args(["test", "--locked", "--workspace"])
    } else {
        run::cargo().args(["nextest", "run", "--locked", "--workspace", "--profile", "ci"])
    };
    let run = run
        .env("ASSAY_BIN", run::assay())
        .env("ASSAY_TEST_BOOT", boot)
        .env("ASSAY_TEST_MIRROR", run::target().join("test-mirror"))
        .env("ASSAY_TEST_REQUIRE", "1");
    if all { run.env("ASSAY_TEST_LONG", "1") } else { run }.ok()?;
    Ok(())
}
