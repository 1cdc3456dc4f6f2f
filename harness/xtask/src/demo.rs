//! The main job on real input.

use anyhow::{Result, bail};

use crate::{
    run::{self, Run},
    setup,
    stages::Stages,
};

/// Exit statuses of `assay run` that are verdicts: gates hold, one fails, unclear.
const VERDICTS: [i32; 3] = [0, 1, 3];

pub(crate) fn demo() -> Result<()> {
    let mut stages = Stages::new(40, 90);
    stages.stage("set-up", setup::everything)?;
    stages.stage("a first result, from a prebuilt kernel", || verdict("scenarios/quick.yaml"))?;
    stages
        .stage("do the marker hooks disturb what they measure?", || verdict("scenarios/iommu-hooks.yaml"))?;
    stages.finish()?;
    Run::new(run::assay()).args(["report", "--path", "--format", "html"]).ok()?;
    Ok(())
}

/// Runs a scenario; any verdict will do, an error will not.
fn verdict(scenario: &str) -> Result<()> {
    let ended = Run::new(run::assay()).args(["run", scenario]).ended()?;
    match ended.code {
        Some(code) if VERDICTS.contains(&code) => Ok(()),
        Some(code) => bail!("assay run {scenario} ended with {code}"),
        None => bail!("assay run {scenario} was killed"),
    }
}
