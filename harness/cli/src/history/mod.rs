//! `assay runs`, `assay compare` and `assay trend`: what many runs say.

mod compare;
mod runs;
mod trend;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use report::ArmSeries;
use store::{ArmEntry, Ask, Contents, GateEntry, Index, SeriesEntry, SqliteError};

use crate::{arguments::Places, failure::Failure, progress::Progress, reports, terminal};

pub(crate) use compare::compare;
pub(crate) use runs::runs;
pub(crate) use trend::trend;

/// In the place of an outcome: nothing is judged.
const IMPORTED: &str = "imported";
/// So long nobody wonders what goes on.
const SILENT: Duration = Duration::from_secs(1);

/// Asks the index of the results folder, after it was brought up to date.
fn consult<T>(
    places: &Places,
    anew: bool,
    question: impl Fn(&Index) -> Result<T, SqliteError>,
) -> Result<T, Failure> {
    let (mut progress, started) = (Progress::new(), Instant::now());
    let mut read = |folder: &Path| {
        // Mostly there is nothing to read, or a run or two.
        if started.elapsed() > SILENT {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            progress.status("reading runs", &name);
        }
        contents(folder).map_err(|failure| failure.in_a_line())
    };
    let answer = store::consult(&mut Ask { results: &places.results, anew, read: &mut read }, question);
    progress.clear();
    Ok(answer?)
}

/// What the index keeps of a run: made from the same model as its report.
fn contents(folder: &Path) -> Result<Contents, Failure> {
    let stored = store::read(folder)?;
    let model = reports::model(&stored)?;
    let conclusion = report::conclude(&model);
    let host = [&model.host.cpu, &model.host.kernel, &model.host.qemu, &model.host.accel];
    let arms = model.arms.iter().map(|arm| {
        let image = match &arm.build {
            Some(measure::BuildEnd::Built(image)) => Some(image),
            _ => None,
        };
        ArmEntry {
            name: arm.name.clone(),
            side: arm.side.clone(),
            is_baseline: arm.side == model.baseline_side(),
            kernel: report::kernel_in_words(arm),
            release: image.map(|image| image.release.clone()),
            source_version: image.map(|image| image.source_version.clone()),
            build_failure: arm.build.as_ref().and_then(report::build_failure),
            machine: report::machine_in_words(arm),
            boots: count(arm.trials.len()),
            boots_failed: count(arm.trials.len() - arm.measured()),
        }
    });
    let gates = model.gates.iter().map(|gate| GateEntry {
        arm: gate.arm.clone(),
        label: report::label(&gate.series),
        verdict: gate.judgement.verdict.to_string(),
    });
    let series = report::arm_series(&stored.file.plan, &stored.trials, &stored.samples)?;
    Ok(Contents {
        scenario: model.plan.scenario.clone(),
        question: model.plan.question.clone(),
        started: model.run.started.clone(),
        assay: model.run.assay.clone(),
        host: host.into_iter().flatten().cloned().collect::<Vec<_>>().join("; "),
        finished: model.run.finished,
        trials_made: model.run.boots_made,
        trials_planned: model.run.boots_planned,
        outcome: if model.is_imported() { IMPORTED } else { conclusion.outcome.word() }.to_owned(),
        exit: conclusion.outcome.exit_code(),
        arms: arms.collect(),
        gates: gates.collect(),
        series: series.into_iter().map(|series| series_entry(&model, series)).collect(),
    })
}

fn count(boots: usize) -> u32 {
    u32::try_from(boots).unwrap_or(u32::MAX)
}

fn series_entry(model: &report::Model, series: ArmSeries) -> SeriesEntry {
    let runs = model.workload_of(&series.key);
    let provenance: Vec<_> = series.provenance.iter().map(ToString::to_string).collect();
    SeriesEntry {
        arm: series.arm,
        runs: runs.map(|workload| workload.runs.clone()),
        workload: series.key.workload,
        metric: series.key.metric,
        unit: to_word(series.unit),
        better: to_word(series.better),
        dims: series.key.dims,
        at: series.key.at,
        provenance: provenance.join(", "),
        values: series.by_block.into_iter().map(|(_, value)| value).collect(),
    }
}

/// A unit enum as its JSON has it.
fn to_word(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("units and directions are plain words, not {other:?}"),
    }
}

/// What [`to_word`] wrote; nothing if another version did.
fn from_word<T: serde::de::DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}

/// What standard output can show.
fn screen() -> report::Terminal {
    let colour = if terminal::colours() { report::Colour::Always } else { report::Colour::Never };
    report::Terminal { colour, columns: terminal::width(), detail: report::Detail::Short }
}
