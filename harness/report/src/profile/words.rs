//! Profiles in words and cells, for every rendering alike.

use profile::{By, Change, Differential, Kind, Line, Numbers, Per, RENAMED, subsystem};

use super::Profiled;
use crate::{describe, number, table::Align};

/// From which q on a difference is no chance.
const DISCOVERY: f64 = 0.05;

/// A table: a heading and rows.
pub(crate) struct Words {
    /// What the columns are, and how they stand.
    pub(crate) heading: Vec<(String, Align)>,
    pub(crate) rows: Vec<WordRow>,
}

/// A row of a table.
pub(crate) struct WordRow {
    pub(crate) cells: Vec<String>,
    /// The sum of other rows.
    pub(crate) is_sum: bool,
    /// In what the function differs between the kernels, and what it may be due to.
    pub(crate) what: Vec<String>,
}

/// `tcp: slower against baseline, by function`.
pub(crate) fn title(profiled: &Profiled) -> String {
    let table = &profiled.table;
    let against = table.baseline.as_ref().map(|baseline| format!(" against {baseline}")).unwrap_or_default();
    let at =
        if profiled.at.is_empty() { String::new() } else { format!(" at {}", describe::place(&profiled.at)) };
    format!("{}{at}: {}{against}, by {}", profiled.workload, table.arm, table.by.word())
}

/// What a function, subsystem, ... is called in the plural.
fn plural(by: By, kind: Kind) -> &'static str {
    match (by, kind) {
        (By::Function, Kind::Kernel) => "functions",
        (By::Subsystem, Kind::Kernel) => "subsystems",
        (By::Context, Kind::Kernel) => "contexts",
        (By::Program, _) | (_, Kind::User) => "programs",
        (_, Kind::Idle) => "rows",
    }
}

/// How the numbers of a table are to be read, in sentences.
pub(crate) fn legend(table: &Differential) -> Vec<String> {
    let blocks = number::counted(table.blocks.len(), "block");
    let unit = match table.per {
        Per::Kib => "per KiB of payload",
        Per::Window => "in the workload's window",
    };
    let kernel = match table.per {
        Per::Kib => " `kernel` is kernel-instructions-per-kib.",
        Per::Window => "",
    };
    let mut sentences =
        vec![format!("Instructions {unit}: means over {blocks}, so that rows add up to the total.{kernel}")];
    if table.left_out > 0 {
        let left_out = number::counted(table.left_out, "block");
        sentences.push(format!("{left_out} that lack a boot are left out."));
    }
    if let Some(confidence) = table.confidence {
        let confidence = number::percent(confidence);
        sentences.push(format!(
            "Intervals have {confidence} confidence, each for itself (signed ranks within blocks); `exact`: the same \
             difference in every block, to the instruction."
        ));
    }
    if let Some(smallest) = table.smallest_p {
        let smallest_p = number::significant(smallest, 3);
        sentences.push(if smallest <= DISCOVERY {
            format!(
                "q: p adjusted over all rows that differ at all (Benjamini-Hochberg); with {blocks} no p is below \
                 {smallest_p}. *: q at most {DISCOVERY}."
            )
        } else {
            format!(
                "q: p adjusted over all rows that differ at all (Benjamini-Hochberg). With {blocks} no p is below \
                 {smallest_p}, so that no row can have a q of {DISCOVERY} or less, however large its difference: more blocks \
                 (`boots`) can."
            )
        });
    }
    if table.lines.iter().any(|line| matches!(line.change, Some(Change::Renamed { .. }))) {
        sentences.push(format!("Renamed: {RENAMED}."));
    }
    sentences
}

/// That nothing differs, if that is so.
pub(crate) fn all_the_same(table: &Differential) -> Option<String> {
    let baseline = table.baseline.as_ref()?;
    let differs = |line: &Line| line.numbers.by_block.iter().any(|counts| counts.baseline != counts.arm);
    let all = || table.lines.iter().chain(&table.strings);
    if table.blocks.is_empty() || all().any(differs) {
        return None;
    }
    let functions = plural(table.by, Kind::Kernel);
    let blocks = number::counted(table.blocks.len(), "block");
    Some(format!(
        "{} and {baseline} executed the same instructions in every one of their {functions} and programs, in {blocks}.",
        table.arm
    ))
}

/// Instructions that are no string instructions.
pub(crate) fn instructions(table: &Differential) -> Words {
    let mut rows = Vec::new();
    let kinds = [(Kind::Kernel, "kernel"), (Kind::User, "user space")];
    for (kind, name) in kinds {
        let lines: Vec<&Line> = table.lines.iter().filter(|line| line.kind == kind).collect();
        rows.extend(lines.iter().map(|line| row(table, line)));
        if lines.len() > 1 {
            rows.push(sum_row(table, name, &table.sum(kind).numbers));
        }
    }
    rows.extend(table.lines.iter().filter(|line| line.kind == Kind::Idle).map(|line| row(table, line)));
    rows.push(sum_row(table, "total", &table.total.numbers));
    Words { heading: heading(table), rows }
}

/// Bytes that string instructions handled; none if there were none.
pub(crate) fn strings(table: &Differential) -> Option<(String, Words)> {
    if table.strings.is_empty() {
        return None;
    }
    let unit = match table.per {
        Per::Kib => ", per KiB of payload",
        Per::Window => "",
    };
    let title = format!(
        "Bytes that string instructions (`rep movs` and its like) handled{unit}: a class of their own"
    );
    let mut rows: Vec<WordRow> = table.strings.iter().map(|line| row(table, line)).collect();
    rows.push(sum_row(table, "total", &table.strings_total.numbers));
    Some((title, Words { heading: heading(table), rows }))
}

fn heading(table: &Differential) -> Vec<(String, Align)> {
    let mut heading = vec![(table.by.word().to_owned(), Align::Left)];
    if let Some(baseline) = &table.baseline {
        heading.push((baseline.clone(), Align::Right));
    }
    heading.push((table.arm.clone(), Align::Right));
    if table.baseline.is_some() {
        heading.push(("difference".to_owned(), Align::Right));
        heading.push(("interval".to_owned(), Align::Right));
        heading.push(("q".to_owned(), Align::Right));
    }
    heading.push(("share".to_owned(), Align::Right));
    if table.by == By::Function && table.has_files {
        heading.push(("subsystem".to_owned(), Align::Left));
    }
    heading
}

fn row(table: &Differential, line: &Line) -> WordRow {
    let name = match (line.stands_for, &line.module) {
        (Some(count), _) => {
            let count = number::decimals(whole(count), 0);
            format!("the other {count} {}", plural(table.by, line.kind))
        }
        (None, Some(module)) => format!("{} [{module}]", line.name),
        (None, None) if line.kind == Kind::User && table.by == By::Function => {
            format!("{} (user space)", line.name)
        }
        (None, None) => line.name.clone(),
    };
    let mut cells = cells(table, name, &line.numbers);
    if table.by == By::Function && table.has_files {
        let known = line.file.as_deref().map(subsystem);
        let is_function = line.kind == Kind::Kernel && line.stands_for.is_none();
        cells.push(known.unwrap_or(if is_function { "unknown" } else { "" }).to_owned());
    }
    let what = line.change.iter().map(change).chain(line.hint.clone()).collect();
    WordRow { cells, is_sum: false, what }
}

fn sum_row(table: &Differential, name: &str, numbers: &Numbers) -> WordRow {
    WordRow { cells: cells(table, name.to_owned(), numbers), is_sum: true, what: vec![] }
}

fn cells(table: &Differential, name: String, numbers: &Numbers) -> Vec<String> {
    let mut cells = vec![name];
    cells.extend(numbers.baseline.map(count));
    cells.push(count(numbers.arm));
    if table.baseline.is_some() {
        cells.push(numbers.difference.map(|difference| number::signed(difference, 2)).unwrap_or_default());
        cells.push(match numbers.interval {
            _ if numbers.exact => "exact".to_owned(),
            Some(interval) => {
                let digits = digits(interval.high - interval.low);
                format!(
                    "[{}, {}]",
                    number::signed(interval.low, digits),
                    number::signed(interval.high, digits)
                )
            }
            None => "none".to_owned(),
        });
        let mark = |q: f64| if q <= DISCOVERY { "*" } else { "" };
        cells.push(numbers.q.map(|q| format!("{}{}", number::probability(q), mark(q))).unwrap_or_default());
    }
    cells.push(numbers.share.map(share).unwrap_or_default());
    cells
}

fn count(value: f64) -> String {
    number::decimals(value, 2)
}

/// Digits that tell the ends of an interval of this width apart.
fn digits(width: f64) -> i32 {
    if width > 0.0 { (1 - number::magnitude(width)).clamp(0, 4) } else { 2 }
}

fn share(share: f64) -> String {
    format!("{} %", number::decimals(100.0 * share, 2))
}

#[expect(clippy::cast_precision_loss, reason = "a number of rows")]
fn whole(count: usize) -> f64 {
    count as f64
}

/// In what a function differs.
fn change(change: &Change) -> String {
    match change {
        Change::New => "new".to_owned(),
        Change::Gone => "gone".to_owned(),
        Change::NotExecutedBefore => "not executed in the baseline, whose kernel has it".to_owned(),
        Change::NotExecutedAnyMore => "not executed any more; the kernel still has it".to_owned(),
        Change::Renamed { from } => format!("renamed? {from} before"),
        Change::Moved { from } => format!("moved from {from}"),
        Change::Split { before, after } => {
            format!("compiled into other parts: {} before, {} now", before.join(", "), after.join(", "))
        }
    }
}
