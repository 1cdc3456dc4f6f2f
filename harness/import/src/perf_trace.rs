//! `perf trace -s`: a table of system calls for each thread.
//!
//! ```text
//!  dd (2852), 4250 events, 99.9%
//!
//!    syscall            calls  errors  total       min       avg       max       stddev
//!                                      (msec)    (msec)    (msec)    (msec)        (%)
//!    --------------- --------  ------ -------- --------- --------- ---------     ------
//!    read                1003      0    16.347     0.010     0.016     0.085      1.07%
//! ```
//!
//! Source: `thread__dump_stats` of `tools/perf/builtin-trace.c`. Copies of it in slides have tabs for blanks and lack cells.

use std::sync::LazyLock;

use measure::metric::imported;
use regex::Regex;

use crate::{
    Part,
    text::{Line, number, word},
};

static THREAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*(?<thread>\S.*?)\s*\((?<pid>\d+)\),\s+(?<events>\d+)\s+events,\s+(?<share>[\d.]+)%")
        .expect("a constant pattern")
});
/// What is left of such a line in a copy whose numbers were torn apart.
static TORN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*(?<thread>\S.*?)\s*\((?<pid>\d+)\),\s+\d[\d\s]*ev[a-z\s]*,.*%")
        .expect("a constant pattern")
});
/// What a row ends with.
static END: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d\.\d+%\s*$").expect("a constant pattern"));

/// The numbers of a row, in its order.
const COLUMNS: [&str; 7] =
    ["calls", "errors", "total (msec)", "min (msec)", "avg (msec)", "max (msec)", "stddev (%)"];

/// Whose table it is.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    thread: Option<String>,
    /// Whether a heading was seen, and whether it has `errors`.
    heading: Option<bool>,
}

fn is_heading(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("syscall") && text.contains("calls") && text.contains("stddev")
}

/// Whether a table begins here.
pub(crate) fn is_start(text: &str) -> bool {
    is_heading(text) || THREAD.is_match(text) || TORN.is_match(text)
}

impl Memory {
    pub(crate) fn claims(&self, text: &str) -> bool {
        let is_rule = || text.trim().starts_with("-----") || text.trim().starts_with("(msec)");
        is_start(text) || (self.heading.is_some() && (END.is_match(text) || is_rule()))
    }
}

pub(crate) fn take(memory: &mut Memory, part: &mut Part, line: &Line) -> Result<(), Vec<String>> {
    let text = line.text.as_str();
    if let Some(found) = THREAD.captures(text) {
        // On slides it stands as a heading.
        let thread = format!("{} ({})", found["thread"].trim_start_matches(['#', ' ']), &found["pid"]);
        part.said.push(format!("{thread}: {} events, {} %", &found["events"], &found["share"]));
        memory.thread = Some(thread);
        return Ok(());
    }
    if let Some(found) = TORN.captures(text) {
        memory.thread =
            Some(format!("{} ({})", found["thread"].trim_start_matches(['#', ' ']), &found["pid"]));
        return Err(vec![format!("how many events it had is torn apart: `{}`", word(text))]);
    }
    if is_heading(text) {
        memory.heading = Some(text.contains("errors"));
        return Ok(());
    }
    if !END.is_match(text) {
        return Ok(());
    }
    let has_errors = memory.heading.unwrap_or(true);
    let process = memory.thread.clone().unwrap_or_else(|| "unknown".to_owned());
    row(part, line, &process, has_errors)
}

fn row(part: &mut Part, line: &Line, process: &str, has_errors: bool) -> Result<(), Vec<String>> {
    let text = line.text.trim();
    let columns: Vec<&str> = COLUMNS.into_iter().filter(|column| has_errors || *column != "errors").collect();
    // Cells between tabs keep their places when one is empty.
    let cells: Vec<&str> = match text.contains('\t') {
        true => text.split('\t').map(str::trim).collect(),
        false => text.split_whitespace().collect(),
    };
    let [call, numbers @ ..] = cells.as_slice() else { return Err(vec!["an empty row".to_owned()]) };
    if call.contains(' ') && numbers.iter().any(|cell| cell.contains(' ')) {
        return Err(vec!["two rows run into one".to_owned()]);
    }
    if numbers.len() != columns.len() {
        return Err(vec![format!(
            "a row of {} numbers, and the table has {}: `{}`",
            numbers.len(),
            columns.len(),
            word(text)
        )]);
    }
    let mut wrong = Vec::new();
    for (column, cell) in columns.iter().zip(numbers) {
        let Some(value) = number(cell.trim_end_matches('%')) else {
            wrong.push(format!("{call}: {column} is no number: `{}`", word(cell)));
            continue;
        };
        let dims = [("process", process), ("syscall", call)];
        let of = |of| [dims[0], dims[1], ("of", of)];
        let at = line.number;
        match *column {
            "calls" => part.add(&imported::SYSCALLS, value, &dims, at),
            "errors" => part.add(&imported::SYSCALL_ERRORS, value, &dims, at),
            "stddev (%)" => part.add(&imported::SYSCALL_DEVIATION, value, &dims, at),
            time => part.add(&imported::SYSCALL_TIME, value, &of(time.split(' ').next().unwrap_or(time)), at),
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}
