//! `assay trend`.

use std::process::ExitCode;

use report::{SeriesKey, TrendInput};
use store::{SeriesQuery, StoredSeries};

use super::{consult, from_word, screen};
use crate::{
    arguments::{self, Places},
    failure::Failure,
    hints::meant,
};

pub(crate) fn trend(places: &Places, flags: &arguments::Trend) -> Result<ExitCode, Failure> {
    let query = SeriesQuery {
        metric: flags.metric.clone(),
        workload: flags.workload.clone(),
        arm: flags.arm.clone(),
        scenario: flags.scenario.clone(),
        dims: flags.dim.iter().cloned().collect(),
    };
    let (found, metrics) = consult(places, false, |index| Ok((index.series(&query)?, index.metrics()?)))?;
    if found.is_empty() {
        return Err(Failure::user(nothing(places, flags, &metrics)));
    }
    let inputs = found.into_iter().filter_map(input).collect();
    let trend = report::trend(&flags.metric, inputs, flags.last)?;
    print!("{}", if flags.json { report::trend_json(&trend) } else { report::trend_text(&trend, screen()) });
    let worse = flags.gate.map_or_else(Vec::new, |level| report::trend_worse(&trend, level));
    for line in &worse {
        eprintln!("changed for the worse: {line}");
    }
    Ok(if worse.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn nothing(places: &Places, flags: &arguments::Trend, metrics: &[String]) -> String {
    let results = places.results.display();
    if metrics.is_empty() {
        format!("assay: no run in {results} measured anything")
    } else if metrics.contains(&flags.metric) {
        format!("assay: runs in {results} have `{}`, but none with all that was asked for", flags.metric)
    } else {
        let question = meant(&flags.metric, metrics.iter().map(String::as_str));
        format!(
            "assay: no run in {results} has `{}`{question} (they have {})",
            flags.metric,
            metrics.join(", ")
        )
    }
}

/// Nothing if the index was written by a version with other units, which its own version number rules out.
fn input(found: StoredSeries) -> Option<TrendInput> {
    let StoredSeries { run, scenario, started, finished, arm, series } = found;
    Some(TrendInput {
        run,
        scenario,
        started,
        finished,
        kernel: arm.release.unwrap_or(arm.kernel),
        arm: arm.name,
        machine: arm.machine,
        unit: from_word(&series.unit)?,
        better: from_word(&series.better)?,
        series: SeriesKey {
            workload: series.workload,
            metric: series.metric,
            dims: series.dims,
            at: series.at,
        },
        runs: series.runs,
        provenance: series.provenance,
        values: series.values,
    })
}
