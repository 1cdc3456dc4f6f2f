//! What system calls cost, as `perf trace -s` prints it: a table for each side of each workload, a line for each call.

use std::collections::BTreeMap;

use measure::{Dims, metric};
use stats::Summary;

use crate::{Model, Row, describe, number, table::Align};

/// The columns of `perf trace -s` and their metrics; the decimals are its own, too.
const COLUMNS: [(&str, &str, usize); 7] = [
    (metric::SYSCALL_CALLS.name, "calls", 0),
    (metric::SYSCALL_ERRORS.name, "errors", 0),
    (metric::SYSCALL_TIME.name, "total (msec)", 3),
    (metric::SYSCALL_SHORTEST.name, "min (msec)", 3),
    (metric::SYSCALL_MEAN.name, "avg (msec)", 3),
    (metric::SYSCALL_LONGEST.name, "max (msec)", 3),
    (metric::SYSCALL_DEVIATION.name, "stddev (%)", 2),
];

/// Where the total stands, by which lines are ordered.
const TOTAL: usize = 2;

pub(crate) const HEADING: &str = "System calls";

pub(crate) const LEGEND: &str = "From each program's start to its end, waiting included, in boots of their own that nothing else is \
                                 timed in; medians over these boots. stddev is that of the mean, as perf trace -s has it.";

/// The calls of one side of one workload, at one place of the matrix.
pub(crate) struct Table {
    /// Workload, side, place.
    pub(crate) title: String,
    /// Costly calls first.
    lines: Vec<Line>,
    /// Whether lines say whose they are.
    arms: bool,
}

struct Line {
    syscall: String,
    arm: String,
    cells: [Option<f64>; COLUMNS.len()],
}

/// Whether a row stands in one of these tables, and so nowhere else.
pub(crate) fn is_here(row: &Row) -> bool {
    COLUMNS.iter().any(|(metric, ..)| *metric == row.series.metric)
}

pub(crate) fn tables(model: &Model) -> Vec<Table> {
    type Place<'a> = (Option<&'a str>, &'a Dims, &'a str);
    type Lines<'a> = BTreeMap<(&'a str, &'a str), Line>;
    let mut places: Vec<(Place<'_>, Lines<'_>)> = Vec::new();
    let baseline = model.baseline_side();
    for row in &model.explored {
        let Some(column) = COLUMNS.iter().position(|(metric, ..)| *metric == row.series.metric) else {
            continue;
        };
        let dim = |name: &str| row.series.dims.get(name).map_or("", String::as_str);
        let place = (row.series.workload.as_deref(), &row.series.at, dim("side"));
        let index = places.iter().position(|(known, _)| *known == place).unwrap_or_else(|| {
            places.push((place, BTreeMap::new()));
            places.len() - 1
        });
        let candidates =
            row.candidates.iter().map(|candidate| (candidate.arm.as_str(), candidate.values.as_ref()));
        for (arm, summary) in std::iter::once((baseline, row.baseline.as_ref())).chain(candidates) {
            let Some(Summary { median, .. }) = summary else { continue };
            let line = places[index].1.entry((dim("syscall"), arm)).or_insert_with(|| Line {
                syscall: dim("syscall").to_owned(),
                arm: arm.to_owned(),
                cells: [None; COLUMNS.len()],
            });
            line.cells[column] = Some(*median);
        }
    }
    let arms = !model.candidate_sides().is_empty();
    places
        .into_iter()
        .map(|(place, lines)| Table::of(place, lines.into_values().collect(), arms, baseline))
        .collect()
}

impl Table {
    fn of(
        (workload, at, side): (Option<&str>, &Dims, &str),
        mut lines: Vec<Line>,
        arms: bool,
        baseline: &str,
    ) -> Self {
        let mut costs: BTreeMap<String, f64> = BTreeMap::new();
        for line in &lines {
            let cost = costs.entry(line.syscall.clone()).or_default();
            *cost = cost.max(line.cells[TOTAL].unwrap_or(0.0));
        }
        lines.sort_by(|one, other| {
            let cost = |line: &Line| costs.get(&line.syscall).copied().unwrap_or(0.0);
            let by_name = one.syscall.cmp(&other.syscall);
            let baseline_first = (one.arm != baseline).cmp(&(other.arm != baseline));
            cost(other).total_cmp(&cost(one)).then(by_name).then(baseline_first)
        });
        let place = if at.is_empty() { String::new() } else { format!(" at {}", describe::place(at)) };
        Self { title: format!("{} {side}{place}", workload.unwrap_or_default()), lines, arms }
    }

    /// A heading, and a row for each call, the costliest `most` of them.
    pub(crate) fn rows(&self, most: usize) -> Vec<Vec<String>> {
        let names = ["syscall"].into_iter().chain(self.arms.then_some("arm"));
        let mut rows = vec![names.chain(COLUMNS.map(|(_, name, _)| name)).map(ToOwned::to_owned).collect()];
        let mut shown: Vec<&str> = Vec::new();
        for line in &self.lines {
            if shown.last() != Some(&line.syscall.as_str()) {
                if shown.len() == most {
                    break;
                }
                shown.push(&line.syscall);
            }
            let cells = line.cells.iter().zip(COLUMNS).map(|(cell, (_, _, decimals))| match cell {
                Some(value) => format!("{value:.decimals$}"),
                None => "-".to_owned(),
            });
            let names = [line.syscall.clone()].into_iter().chain(self.arms.then(|| line.arm.clone()));
            rows.push(names.chain(cells).collect());
        }
        rows
    }

    /// How many calls `rows(most)` leaves out.
    pub(crate) fn left_out(&self, most: usize) -> Option<String> {
        let mut names: Vec<&str> = self.lines.iter().map(|line| line.syscall.as_str()).collect();
        names.dedup();
        let more = names.len().saturating_sub(most);
        (more > 0).then(|| format!("{} less costly in report.json", number::counted(more, "other")))
    }

    pub(crate) fn align(&self) -> Vec<Align> {
        let words = 1 + usize::from(self.arms);
        std::iter::repeat_n(Align::Left, words).chain([Align::Right; COLUMNS.len()]).collect()
    }
}
