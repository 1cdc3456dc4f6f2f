//! Tables of sysstat: mpstat and sar.
//!
//! ```text
//! Linux 6.18.44 (vm)      11/22/26        _x86_64_        (2 CPU)
//!
//! 03:41:58        CPU      %usr     %nice      %sys   %iowait    %steal     %idle
//! 03:41:59        all      0.00     49.25      1.99      0.00      0.00     48.76
//! Average:        all      0.00     50.00      1.25      0.00      0.00     48.75
//! ```
//!
//! Where the tool gives an average it counts, otherwise the mean over the rows. Clocks of twelve hours and decimal commas are read.

use std::collections::BTreeMap;

use measure::metric::imported;

use crate::{
    Format, Part, Reading,
    text::{Line, number, word},
};

/// The first words of a file.
pub(crate) fn is_title(text: &str) -> bool {
    text.starts_with("Linux ") && text.contains(" CPU)")
}

/// The words of a row behind its time; whether it is an average.
fn row(text: &str) -> Option<(bool, Vec<&str>)> {
    let mut words = text.split_whitespace().peekable();
    let first = words.next()?;
    let is_average = first == "Average:";
    let is_time = first.split(':').count() == 3
        && first.split(':').all(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()));
    if !is_average && !is_time {
        return None;
    }
    words.next_if(|word| matches!(*word, "AM" | "PM"));
    Some((is_average, words.collect()))
}

/// Whether it names the columns of a table.
pub(crate) fn is_heading(text: &str) -> bool {
    row(text).is_some_and(|(_, words)| are_names(&words))
}

fn are_names(words: &[&str]) -> bool {
    words.len() > 1
        && words
            .iter()
            .all(|word| word.contains(|char: char| char.is_ascii_alphabetic()) && decimal(word).is_none())
        && words.iter().any(|word| word.starts_with('%') || word.contains("/s") || word.starts_with("kb"))
}

fn decimal(text: &str) -> Option<f64> {
    if text.contains('.') { number(text) } else { number(&text.replacen(',', ".", 1)) }
}

/// Whether the first column says what a row is of.
fn is_key(column: &str) -> bool {
    column.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[derive(Default)]
struct Column {
    average: Option<f64>,
    sum: f64,
    rows: u32,
    line: usize,
}

pub(crate) fn read(lines: &[Line], reading: &mut Reading) {
    let mut part = Part::new(Format::Sysstat, 1);
    let mut columns: Vec<&str> = Vec::new();
    let mut found: BTreeMap<(String, String), Column> = BTreeMap::new();
    for line in lines {
        let text = line.text.trim();
        if text.is_empty() || is_title(text) {
            part.said.extend(is_title(text).then(|| word(text)));
            continue;
        }
        let Some((is_average, words)) = row(text) else {
            reading.complain(line.number, format!("no row of mpstat or sar: `{}`", word(text)));
            continue;
        };
        if are_names(&words) {
            columns = words;
            continue;
        }
        if words.first() == Some(&"LINUX") {
            // sar notes a restart of the machine.
            reading.prose += 1;
            continue;
        }
        if words.len() != columns.len() {
            let message = match columns.len() {
                0 => "no heading stands before it, so what its columns are is not known".to_owned(),
                many => {
                    format!("a row of {} cells, and the heading has {many}: cut off or damaged", words.len())
                }
            };
            reading.complain(line.number, message);
            continue;
        }
        let keyed = columns.first().is_some_and(|first| is_key(first));
        let of = if keyed { format!("{} {}", columns[0], words[0]) } else { "all".to_owned() };
        for (column, cell) in columns.iter().zip(&words).skip(usize::from(keyed)) {
            let Some(value) = decimal(cell) else {
                reading.complain(line.number, format!("{column} is no number: `{}`", word(cell)));
                continue;
            };
            let known = found.entry((word(&of), word(column))).or_default();
            known.line = line.number;
            if is_average {
                known.average = Some(value);
            } else {
                known.sum += value;
                known.rows += 1;
            }
        }
    }
    let mut not_idle: Vec<(String, f64, usize)> = Vec::new();
    for ((of, column), figures) in &found {
        let Column { average, sum, rows, line } = figures;
        let value = average.unwrap_or(sum / f64::from(*rows));
        part.add(&imported::SYSSTAT, value, &[("of", of), ("column", column)], *line);
        if column == "%idle" {
            not_idle.push((of.clone(), 100.0 - value, *line));
        }
    }
    // Of all, or the mean over the cores that were asked for.
    let all = not_idle.iter().find(|(of, ..)| of == "CPU all").map(|(_, value, line)| (*value, *line));
    #[expect(clippy::cast_precision_loss, reason = "a machine has few cores")]
    let mean = || {
        let sum: f64 = not_idle.iter().map(|(_, value, _)| value).sum();
        not_idle.first().map(|(.., line)| (sum / not_idle.len() as f64, *line))
    };
    if let Some((value, line)) = all.or_else(mean) {
        part.add(&imported::CPU_NOT_IDLE, value, &[], line);
    }
    reading.push(part);
}
