//! A run as the blocks that scripts of IOMMU studies print: one for each boot and workload.

use std::fmt::Write as _;

use measure::{
    Dims, Unit,
    metric::{self, imported},
    run_metrics::{KEYS, Key},
};
use plan::Machine;

use crate::{Arm, BootValue, Model, SeriesKey, Trial};

/// Why a line has no number.
const NOT_MEASURED: &str = "unavailable: not measured in this run";
const NO_COUNTER: &str = "unavailable: no hardware counter was read";

/// Every value of one boot of one arm, with what it is of.
type Values<'a> = Vec<(&'a SeriesKey, f64)>;

/// The blocks, each with an empty line after it; a sentence if no workload moved anything.
#[must_use]
pub fn run_metrics(model: &Model) -> String {
    let mut text = String::new();
    for arm in &model.arms {
        for trial in arm.trials.iter().filter(|trial| !trial.traced) {
            let values = values(model, arm, trial);
            for workload in workloads(model, arm) {
                let of_workload: Values<'_> = values
                    .iter()
                    .filter(|(key, _)| key.workload.as_deref() == Some(workload))
                    .copied()
                    .collect();
                if throughput(&of_workload).is_some() {
                    block(&mut text, &name(model, arm, trial, workload), &of_workload);
                }
            }
        }
    }
    if text.is_empty() {
        text.push_str("# No workload of this run measured a throughput, which every number for a page is computed with.\n");
    }
    text
}

fn workloads<'a>(model: &'a Model, arm: &Arm) -> Vec<&'a str> {
    let mut groups: Vec<&str> = Vec::new();
    let fits = |at: &Dims| at.iter().all(|(name, value)| arm.at.get(name).is_none_or(|own| own == value));
    for workload in model.plan.workloads.iter().filter(|workload| fits(&workload.at)) {
        if !groups.contains(&workload.group.as_str()) {
            groups.push(&workload.group);
        }
    }
    groups
}

/// The run's own name where it was imported with one; else run, arm, workload and boot.
fn name(model: &Model, arm: &Arm, trial: &Trial, workload: &str) -> String {
    if let Machine::Imported(machine) = &arm.machine
        && let Some(names) = machine.facts.get("run")
    {
        let names: Vec<&str> = names.split(", ").collect();
        let place = usize::try_from(trial.block).unwrap_or(usize::MAX);
        if let Some(name) = names.get(place).or(names.first()) {
            return (*name).to_owned();
        }
    }
    format!("{}-{}-{workload}-boot{}", model.run.name, arm.name, trial.block)
}

/// What one boot yielded, from gates and rows alike.
fn values<'a>(model: &'a Model, arm: &Arm, trial: &Trial) -> Values<'a> {
    let is_there = |key: &SeriesKey| arm.at.iter().all(|(name, value)| key.at.get(name) == Some(value));
    let mut found = Values::new();
    let mut see = |key: &'a SeriesKey, by_boot: &[BootValue]| {
        let value = by_boot.iter().find(|boot| boot.trial == trial.index).map(|boot| boot.value);
        if let Some(value) = value.filter(|_| is_there(key) && !found.iter().any(|(known, _)| *known == key))
        {
            found.push((key, value));
        }
    };
    for gate in &model.gates {
        see(&gate.series, &gate.baseline_by_boot);
        see(&gate.series, &gate.candidate_by_boot);
    }
    for row in &model.explored {
        see(&row.series, &row.baseline_by_boot);
        for candidate in &row.candidates {
            see(&row.series, &candidate.by_boot);
        }
    }
    found
}

/// The value of a metric with these dimensions; of several, as a workload at several places has, the first.
fn find(values: &Values<'_>, metric: &str, dims: &[(&str, &str)]) -> Option<f64> {
    let has = |key: &SeriesKey| {
        key.metric == metric
            && dims.iter().all(|(name, value)| key.dims.get(*name).is_none_or(|own| own == value))
    };
    values.iter().find(|(key, _)| has(key)).map(|(_, value)| *value)
}

fn throughput(values: &Values<'_>) -> Option<f64> {
    let of = |direction| find(values, metric::THROUGHPUT.name, &[("direction", direction)]);
    of("client-to-server").or_else(|| of("server-to-client"))
}

/// 100 - %idle: iowait and steal are busy there. Of the server's side, which receives, or of the one kernel that both sides share.
fn not_idle(values: &Values<'_>) -> Option<f64> {
    if let Some(value) = find(values, imported::CPU_NOT_IDLE.name, &[]) {
        return Some(value);
    }
    ["server", "guest"].into_iter().find_map(|side| {
        let of = |metric: &str| {
            let is = |key: &SeriesKey| {
                key.metric == metric
                    && key.dims.get("side").is_some_and(|own| own == side)
                    && key.dims.get("core").is_some_and(|core| core == "all")
            };
            values.iter().find(|(key, _)| is(key)).map(|(_, value)| *value)
        };
        let parts = [&metric::CPU_BUSY, &metric::CPU_IOWAIT, &metric::CPU_STEAL];
        parts.into_iter().map(|part| of(part.name)).sum::<Option<f64>>()
    })
}

fn value(values: &Values<'_>, key: &Key) -> Option<f64> {
    let name = key.metric.name;
    if name == metric::THROUGHPUT.name {
        return throughput(values).map(|throughput| throughput / key.factor);
    }
    if name == imported::CPU_NOT_IDLE.name {
        return not_idle(values);
    }
    let sides: &[&str] = if key.dims.is_empty() { &[""] } else { &["client", "guest", "server"] };
    sides.iter().find_map(|side| {
        let is = |own: &SeriesKey| {
            own.metric == name && (side.is_empty() || own.dims.get("side").is_some_and(|own| own == side))
        };
        values.iter().find(|(own, _)| is(own)).map(|(_, value)| *value)
    })
}

fn block(text: &mut String, name: &str, values: &Values<'_>) {
    let _ = writeln!(text, "------- {name} Run Metrics -------");
    let mut below = false;
    for key in &KEYS {
        if key.below && !below {
            below = true;
            text.push_str("Per page stats:\n");
        }
        let indent = if key.below { "\t" } else { "" };
        let said = match value(values, key) {
            Some(value) => python(value),
            None if matches!(key.metric.unit, Unit::PerPage | Unit::PerSecond) && key.below => {
                NO_COUNTER.to_owned()
            }
            None => NOT_MEASURED.to_owned(),
        };
        let _ = writeln!(text, "{indent}{}: {said}", key.name);
    }
    text.push('\n');
}

/// A number as the scripts' Python prints it: the shortest that reads back as the same, with an exponent of two digits.
fn python(value: f64) -> String {
    let text = format!("{value:?}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(("+", exponent), |rest| ("-", rest));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None if value != 0.0 && value.abs() < 1e-4 => python_small(value),
        None => text,
    }
}

/// Python turns to exponents below 0.0001, earlier than Rust.
fn python_small(value: f64) -> String {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once("e-").unwrap_or((&text, "0"));
    format!("{digits}e-{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_the_scripts_print_them() {
        let numbers =
            [1.259_85e-5, 9.771e-7, 0.001_822_296_7, 43.481, 1_371_796_173.0, 100.0, 0.0, 0.000_099];
        let expected =
            ["1.25985e-05", "9.771e-07", "0.0018222967", "43.481", "1371796173.0", "100.0", "0.0", "9.9e-05"];
        assert_eq!(numbers.map(python), expected);
    }
}
