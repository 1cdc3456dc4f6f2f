//! Numbers of several runs in one table, each column with its provenance: for reading, and nothing is tested.

use std::collections::BTreeSet;

use measure::{Provenance, Unit};
use serde::Serialize;
use stats::Summary;

use crate::{
    Model, Row, SeriesKey, describe, number,
    table::{Align, hang, markdown, plain},
};

/// Columns that fit beside each other on a terminal.
const COLUMNS: usize = 6;
/// What is said below every such table.
const NOTE: &str = "Medians, beside each other and not tested: runs of different places and times differ in more than their kernels.";

/// The table as data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Beside {
    /// Each arm and workload of each run that has one of the numbers.
    pub columns: Vec<BesideColumn>,
    /// What at least two runs have.
    pub rows: Vec<BesideRow>,
}

/// Whose numbers a column holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BesideColumn {
    /// The run.
    pub run: String,
    /// The arm.
    pub arm: String,
    /// The workload; none for what every boot yields.
    pub workload: Option<String>,
    /// Where its numbers come from.
    pub provenance: Vec<Provenance>,
    /// How they were measured, in a line.
    pub machine: String,
}

/// One number of all columns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BesideRow {
    /// What it is: metric and dimensions.
    pub label: String,
    /// Unit of its values.
    pub unit: Unit,
    /// One for each column; null where it has none.
    pub values: Vec<Option<Summary>>,
}

/// A number of a column.
struct Cell {
    column: BesideColumn,
    label: String,
    unit: Unit,
    summary: Summary,
}

/// Puts the numbers that at least two of the runs have beside each other.
#[must_use]
pub fn beside(models: &[&Model]) -> Beside {
    let cells: Vec<Vec<Cell>> = models.iter().map(|model| cells(model)).collect();
    let mut labels: Vec<(&str, Unit)> = Vec::new();
    for cell in cells.iter().flatten() {
        let of = (cell.label.as_str(), cell.unit);
        let runs =
            cells.iter().filter(|cells| cells.iter().any(|other| (other.label.as_str(), other.unit) == of));
        if !labels.contains(&of) && runs.count() > 1 {
            labels.push(of);
        }
    }
    let mut columns: Vec<BesideColumn> = Vec::new();
    let same = |one: &BesideColumn, other: &BesideColumn| {
        (&one.run, &one.arm, &one.workload) == (&other.run, &other.arm, &other.workload)
    };
    for cell in cells.iter().flatten().filter(|cell| labels.contains(&(cell.label.as_str(), cell.unit))) {
        match columns.iter_mut().find(|column| same(column, &cell.column)) {
            Some(column) => {
                let all: BTreeSet<Provenance> =
                    column.provenance.iter().chain(&cell.column.provenance).copied().collect();
                column.provenance = all.into_iter().collect();
            }
            None => columns.push(cell.column.clone()),
        }
    }
    let rows = labels.into_iter().map(|(label, unit)| {
        let of = |column: &BesideColumn| {
            let is = |cell: &&Cell| same(column, &cell.column) && cell.label == label && cell.unit == unit;
            cells.iter().flatten().find(is).map(|cell| cell.summary)
        };
        BesideRow { label: label.to_owned(), unit, values: columns.iter().map(of).collect() }
    });
    let rows = rows.collect();
    Beside { columns, rows }
}

fn cells(model: &Model) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut see = |key: &SeriesKey, unit, provenance: &[Provenance], side: &str, summary: Option<Summary>| {
        let Some(summary) = summary else { return };
        let is_there = |arm: &&crate::Arm| {
            arm.side == side && arm.at.iter().all(|(name, value)| key.at.get(name) == Some(value))
        };
        let Some(arm) = model.arms.iter().find(is_there) else { return };
        // The arm has its place in its name; what is left of the place is the workload's.
        let at: Vec<String> = key
            .at
            .iter()
            .filter(|(name, _)| !arm.at.contains_key(*name))
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        let workload = key.workload.as_ref().map(|name| match at.is_empty() {
            true => name.clone(),
            false => format!("{name} at {}", at.join(", ")),
        });
        let bare = SeriesKey { workload: None, at: measure::Dims::new(), ..key.clone() };
        cells.push(Cell {
            column: BesideColumn {
                run: model.run.name.clone(),
                arm: arm.name.clone(),
                workload,
                provenance: provenance.to_vec(),
                machine: describe::machine_in_words(arm),
            },
            label: describe::label(&bare),
            unit,
            summary,
        });
    };
    let baseline = model.baseline_side();
    for Row { series, unit, provenance, baseline: of_baseline, candidates, .. } in &model.explored {
        see(series, *unit, provenance, baseline, *of_baseline);
        for candidate in candidates {
            see(series, *unit, provenance, &candidate.arm, candidate.values);
        }
    }
    for gate in &model.gates {
        see(&gate.series, gate.unit, &gate.provenance, baseline, gate.baseline);
        see(&gate.series, gate.unit, &gate.provenance, &gate.arm, gate.candidate);
    }
    // A baseline is in the gate of every candidate.
    let mut known: BTreeSet<(String, String, Option<String>, String)> = BTreeSet::new();
    cells.retain(|cell| {
        let column = &cell.column;
        known.insert((column.run.clone(), column.arm.clone(), column.workload.clone(), cell.label.clone()))
    });
    cells
}

fn provenance(column: &BesideColumn) -> String {
    column.provenance.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn whose(column: &BesideColumn) -> String {
    let workload = column.workload.as_deref().unwrap_or("every boot");
    format!("{}, {}, {workload}", column.run, column.arm)
}

fn cell(row: &BesideRow, column: usize) -> String {
    row.values[column].as_ref().map_or_else(|| "-".to_owned(), |summary| number::median(summary, row.unit))
}

/// For a terminal.
#[must_use]
pub fn beside_text(beside: &Beside) -> String {
    if beside.rows.is_empty() {
        return "These runs have no number of one name and one unit.\n".to_owned();
    }
    let mut lines = Vec::new();
    for (number, column) in beside.columns.iter().enumerate() {
        let lead = format!("  {:>2}  {}: ", number + 1, provenance(column));
        lines.extend(hang(&lead, &format!("{}; {}", whose(column), column.machine), 100));
    }
    for first in (0..beside.columns.len()).step_by(COLUMNS) {
        let shown = first..(first + COLUMNS).min(beside.columns.len());
        let mut heading = vec![String::new()];
        heading.extend(
            shown.clone().map(|column| format!("{} {}", column + 1, provenance(&beside.columns[column]))),
        );
        let rows = beside.rows.iter().map(|row| {
            std::iter::once(row.label.clone()).chain(shown.clone().map(|column| cell(row, column))).collect()
        });
        let rows: Vec<Vec<String>> = std::iter::once(heading).chain(rows).collect();
        lines.push(String::new());
        let align: Vec<Align> = std::iter::once(Align::Left).chain(shown.map(|_| Align::Right)).collect();
        lines.extend(plain(&rows, &align).into_iter().map(|line| format!("  {line}")));
    }
    lines.push(String::new());
    lines.extend(hang("", NOTE, 100));
    lines.join("\n") + "\n"
}

/// For mail.
#[must_use]
pub fn beside_markdown(beside: &Beside) -> String {
    let mut heading = vec!["metric".to_owned()];
    heading.extend(beside.columns.iter().map(|column| format!("{} ({})", whose(column), provenance(column))));
    let rows = beside.rows.iter().map(|row| {
        std::iter::once(row.label.clone()).chain((0..beside.columns.len()).map(|column| cell(row, column)))
    });
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(rows.map(Iterator::collect)).collect();
    let align: Vec<Align> =
        std::iter::once(Align::Left).chain(beside.columns.iter().map(|_| Align::Right)).collect();
    format!("{}\n\n{NOTE}\n", markdown(&rows, &align).join("\n"))
}

/// For programs.
#[must_use]
pub fn beside_json(beside: &Beside) -> String {
    serde_json::to_string_pretty(beside).expect("the table has string keys only") + "\n"
}
