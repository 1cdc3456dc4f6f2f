//! The tests, with all that they need.

use anyhow::Result;

use crate::{
    check,
    run::{self, Run},
    setup,
    stages::Stages,
};

/// What the machine must be able to do once set up: a test that would skip for want of one of these fails instead.
const EXPECTED: &str = "boot,sandbox,mirror";

pub(crate) fn test(all: bool) -> Result<()> {
    let mut stages = Stages::new(if all { 180 } else { 45 });
    stages.stage("set-up", setup::everything)?;
    stages.stage("format, lints, documentation", check::check)?;
    stages.stage("kernels of the tests: 6.12 and its arms", || {
        for series in [None, Some("iommu-hooks"), Some("planted-slowdown")] {
            build_kernel("debian-6.12", series)?;
        }
        Ok(())
    })?;
    if all {
        stages.stage("kernels of the long tests: 7.3 and its arms", || {
            for series in [None, Some("iommu-hooks")] {
                build_kernel("debian-7.3", series)?;
            }
            Ok(())
        })?;
    }
    stages.stage("tests", || nextest(all))?;
    stages.finish()
}

fn build_kernel(base: &str, series: Option<&str>) -> Result<()> {
    let run = Run::new(run::assay()).args(["kernel", "build", base]);
    let run = if let Some(series) = series { run.args(["--series", series]) } else { run };
    run.ok()?;
    Ok(())
}

/// cargo-nextest where it is installed: it gives every test a process and a deadline. Otherwise cargo's own runner.
fn nextest(all: bool) -> Result<()> {
    let installed = Run::new("sh").args(["-c", "command -v cargo-nextest || true"]).output()?;
    let run = if installed.trim().is_empty() {
        println!("cargo-nextest is not installed: cargo test runs the tests, without deadlines of their own");
        run::cargo().args(["test", "--locked", "--workspace"])
    } else {
        run::cargo().args(["nextest", "run", "--locked", "--workspace", "--profile", "ci"])
    };
    let run = run.env("ASSAY_BIN", run::assay()).env("EXPECT_CAPABILITIES", EXPECTED);
    if all { run.env("ASSAY_LONG_TESTS", "1") } else { run }.ok()?;
    Ok(())
}
