//! Any program: put into the guest, run, and its output read as the scenario says.

mod drive;
mod extract;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, net::IpAddr};

use measure::{Dims, Parts, Provenance, Sample, metric};
use plan::{Command, CommandMetric, OCCURRENCE, Which};

use crate::{Findings, findings::Collected};
pub(crate) use drive::run;
pub use extract::extract;

/// Where the files of all commands are in the guest.
const FILES: &str = "/opt/assay";

/// What one run of a command left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ran {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Files that metrics stand in, by their paths; the inner error says why one could not be read.
    pub files: BTreeMap<String, Result<Vec<u8>, String>>,
    /// Exit status.
    pub status: i32,
    /// From its start to its end by the guest's clock.
    pub seconds: f64,
}

/// The folder that the files of the workload called `name` are in.
#[must_use]
pub fn folder(name: &str) -> String {
    format!("{FILES}/{name}")
}

/// `argv` with its placeholders filled in, and ready to be started: a program that is one of the workload's files is
/// named by its path.
#[must_use]
pub fn argv(argv: &[String], workload: &str, params: &Command, server: IpAddr) -> Vec<String> {
    let folder = folder(workload);
    let port = params.server.as_ref().map_or_else(String::new, |server| server.port.to_string());
    let server = server.to_string();
    let mut filled: Vec<String> = argv
        .iter()
        .map(|word| {
            // One pass, so that nothing that was filled in is taken for a placeholder.
            let mut filled = String::with_capacity(word.len());
            let mut rest = word.as_str();
            while let Some(start) = rest.find('{') {
                let (before, from) = rest.split_at(start);
                filled.push_str(before);
                let known = [("{server}", &server), ("{port}", &port), ("{files}", &folder)];
                match known.into_iter().find(|(name, _)| from.starts_with(name)) {
                    Some((name, value)) => {
                        filled.push_str(value);
                        rest = &from[name.len()..];
                    }
                    None => {
                        filled.push('{');
                        rest = &from[1..];
                    }
                }
            }
            filled.push_str(rest);
            filled
        })
        .collect();
    if let Some(program) = filled.first_mut()
        && params.files.iter().any(|file| file.name == *program)
    {
        *program = format!("{folder}/{program}");
    }
    filled
}

/// Reads the runs of one boot: each metric's median over them.
#[must_use]
pub fn read(params: &Command, runs: &[Ran]) -> Findings {
    let mut collected = Collected::new(Provenance::Command);
    for metric in &params.metrics {
        match over_runs(metric, runs) {
            Ok(values) => {
                for (occurrence, of_runs) in values.into_iter().enumerate() {
                    let occurrence = occurrence.to_string();
                    let dims = [(OCCURRENCE, occurrence.as_str())];
                    let dims: &[_] = if metric.which == Which::Each { &dims } else { &[] };
                    if let Some(value) = median(of_runs.clone()) {
                        collected.add(&metric.definition(), value, dims);
                    }
                    collected.add_within(&metric.definition(), Parts::Runs, of_runs, dims);
                }
            }
            Err(reason) => collected.lack(&metric.definition(), reason),
        }
    }
    let mut findings = collected.findings(measure::Traffic::Unknown);
    if let Some(seconds) = median(runs.iter().map(|run| run.seconds).collect()) {
        findings.samples.extend(Sample::new(&metric::COMMAND_TIME, seconds, Dims::new(), Provenance::Clock));
    }
    if !params.exit.is_single()
        && let Some(status) = runs.iter().map(|run| run.status).max()
    {
        let (dims, provenance) = (Dims::new(), Provenance::Command);
        findings.samples.extend(Sample::new(&metric::EXIT_STATUS, status.into(), dims, provenance));
    }
    findings
}

/// Of each of a metric's values what it was in each run; or why there are none. A metric that one run
/// lacks is not there: its other runs may be the better ones.
fn over_runs(metric: &CommandMetric, runs: &[Ran]) -> Result<Vec<Vec<f64>>, String> {
    let mut columns: Vec<Vec<f64>> = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        let values = extract(metric, run).map_err(|reason| match runs.len() {
            1 => reason,
            several => format!("in run {} of {several}: {reason}", index + 1),
        })?;
        if index > 0 && values.len() != columns.len() {
            let (now, first) = (values.len(), columns.len());
            return Err(format!("run {} yielded {now} values, and the first one {first}", index + 1));
        }
        columns.resize(values.len(), Vec::new());
        for (column, value) in columns.iter_mut().zip(values) {
            column.push(value);
        }
    }
    Ok(columns)
}

/// The middle, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let upper = *values.get(half)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(values[half - 1], upper) })
}
