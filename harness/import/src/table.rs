//! Tables in somebody's text: of markdown, or with tabs between cells.

use measure::metric::imported;

use crate::{
    Part,
    text::{Line, number, word},
};

/// The heading of the table that a row may be of. An empty line ends a table.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    columns: Vec<String>,
    /// The line of the heading, which tells tables under one heading apart.
    line: usize,
}

fn cells(text: &str) -> Vec<&str> {
    let text = text.trim_matches([' ', '\r']);
    match text.strip_prefix('|') {
        Some(rest) => rest.trim_end_matches('|').split('|').map(str::trim).collect(),
        None if text.contains('\t') => text.split('\t').map(str::trim).collect(),
        None => vec![text],
    }
}

/// `|---|---:|`.
fn is_rule(cells: &[&str]) -> bool {
    cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|char| matches!(char, '-' | ':' | ' ')))
}

fn are_names(cells: &[&str]) -> bool {
    cells.iter().filter(|cell| !cell.is_empty()).count() > 1
        && cells.iter().all(|cell| number(cell).is_none() && !cell.contains('%') && cell.len() < 80)
}

impl Memory {
    pub(crate) fn claims(&self, text: &str) -> bool {
        let cells = cells(text);
        // One cell is prose, unless it stands in a table.
        cells.len() > 1
    }
}

pub(crate) fn take(memory: &mut Memory, part: &mut Part, line: &Line) -> Result<(), Vec<String>> {
    let cells = cells(&line.text);
    if is_rule(&cells) {
        return Ok(());
    }
    let has_numbers = cells.iter().any(|cell| cell.contains(|char: char| char.is_ascii_digit()));
    if memory.columns.is_empty() {
        if are_names(&cells) {
            memory.columns = cells.iter().map(|cell| word(cell)).collect();
            memory.line = line.number;
            return Ok(());
        }
        let message = format!("a row of a table whose heading is not known: `{}`", word(&line.text));
        return if has_numbers { Err(vec![message]) } else { Ok(()) };
    }
    if cells.len() != memory.columns.len() {
        let message = format!(
            "a row of {} cells, and its table has {}: `{}`",
            cells.len(),
            memory.columns.len(),
            word(&line.text)
        );
        return if has_numbers { Err(vec![message]) } else { Ok(()) };
    }
    let [row, values @ ..] = cells.as_slice() else { return Ok(()) };
    let table = format!("line {}: {}", memory.line, memory.columns[0]);
    let mut wrong = Vec::new();
    for (column, cell) in memory.columns[1..].iter().zip(values) {
        match number(cell.trim_end_matches('%').trim_end()) {
            Some(value) => {
                let dims = [("table", table.as_str()), ("row", row), ("column", column)];
                part.add(&imported::TABLE_CELL, value, &dims, line.number);
            }
            None if cell.contains(|char: char| char.is_ascii_digit()) => {
                wrong.push(format!("{} {column} is no number: `{}`", word(row), word(cell)));
            }
            None if cell.is_empty() => wrong.push(format!("{} {column} is empty", word(row))),
            None => {}
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}
