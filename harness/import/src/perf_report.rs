//! `perf report --stdio`, and two profiles side by side as slides have them.
//!
//! ```text
//! # Samples: 282  of event 'cpu-clock'
//! # Event count (approx.): 70500000
//! # Overhead  Command  Shared Object         Symbol
//!     92.55%  dd       [kernel.kallsyms]     [k] read_zero
//! ```
//!
//! With `--children` there are two percentages: with callees, and the function's own (`tools/perf/ui/stdio/hist.c`).

use std::sync::LazyLock;

use measure::metric::imported;
use regex::Regex;

use crate::{
    Part,
    text::{Line, number, word},
};

static ENTRY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[\s+\-*÷•=]*(?<first>\d{1,3}[.,]\d{2})%\s+(?:(?<second>\d{1,3}[.,]\d{2})%\s+)?(?<command>\S.*?)\s+(?<object>\S+)\s+\[(?<kind>[a-zA-Z.])\]\s*(?<symbol>[^%\s].*?)\s*$")
        .expect("a constant pattern")
});
static SIZE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"Samples:\s*(?<count>[\d.]+)\s*(?<unit>[KMG]?)\s*of event\s*'(?<event>[^']+)'")
        .expect("a constant pattern")
});
static EVENTS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"Event count \(approx\.\):\s*(?<count>\S+)").expect("a constant pattern"));
/// A title of a profile on a slide: `Devmem - 2 CPUs (118.47 Gbps)`.
static TITLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?<name>[A-Za-z][\w. -]*?)\s*\((?<rate>\d+\.\d+) Gbps\)").expect("a constant pattern")
});

/// What the profiles on a line are of, from left to right.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    titles: Vec<String>,
}

/// Whether a report begins here.
pub(crate) fn is_start(text: &str) -> bool {
    text.starts_with("# To display the perf.data header")
        || (text.starts_with("# Samples: ") && text.contains(" of event "))
        || ENTRY.is_match(&spaced(text))
}

/// Whether a line is of a report.
pub(crate) fn claims(text: &str) -> bool {
    let comment = text.strip_prefix('#').is_some_and(|rest| {
        let rest = rest.trim();
        rest.is_empty()
            || [
                "To display the perf.data",
                "Total Lost Samples",
                "Samples:",
                "Event count",
                "Overhead ",
                "Children ",
                "....",
                "(Tip:",
                "(Cannot load",
            ]
            .iter()
            .any(|start| rest.starts_with(start))
    });
    comment
        || SIZE.is_match(text)
        || EVENTS.is_match(text)
        || TITLE.is_match(text)
        || text.trim_start_matches('\t').starts_with("Overhead")
        || columns(text).iter().any(|column| ENTRY.is_match(column))
        || looks_like_entry(text)
}

/// A percentage and a kernel's symbol: an entry, or what is left of one.
fn looks_like_entry(text: &str) -> bool {
    text.contains('%') && (text.contains("[k]") || text.contains("[kernel"))
}

/// A line without the marks of slides, its tabs as blanks.
fn spaced(text: &str) -> String {
    text.replace("<pre>", "").replace("</pre>", "").replace('\t', "  ")
}

/// The reports on a line: columns between tabs that are entries by themselves, otherwise the whole line.
fn columns(text: &str) -> Vec<String> {
    let cells: Vec<String> = text.split('\t').map(spaced).collect();
    if cells.iter().filter(|cell| ENTRY.is_match(cell)).count() > 0 && cells.len() > 1 {
        return cells;
    }
    vec![spaced(text)]
}

pub(crate) fn take(memory: &mut Memory, part: &mut Part, line: &Line) -> Result<(), Vec<String>> {
    let (text, at) = (line.text.as_str(), line.number);
    if TITLE.is_match(text) && !text.contains('%') {
        memory.titles.clear();
        for title in TITLE.captures_iter(text) {
            let name = word(title["name"].trim_matches([' ', '-']));
            if let Some(rate) = number(&title["rate"]) {
                let dims = [("table", "Gbit/s"), ("row", name.as_str()), ("column", "Gbps")];
                part.add(&imported::TABLE_CELL, rate, &dims, at);
            }
            memory.titles.push(name);
        }
        return if SIZE.is_match(text) { sizes(memory, part, text, at) } else { Ok(()) };
    }
    if SIZE.is_match(text) || EVENTS.is_match(text) {
        return sizes(memory, part, text, at);
    }
    let columns = columns(text);
    let mut wrong = Vec::new();
    let mut place = 0;
    for column in &columns {
        let Some(found) = ENTRY.captures(column) else {
            if looks_like_entry(column) {
                wrong.push(format!("no whole entry of a profile: `{}`", word(column)));
                place += 1;
            }
            continue;
        };
        entry(part, &found, memory.titles.get(place).or(memory.titles.last()), at, &mut wrong);
        place += 1;
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn entry(
    part: &mut Part,
    found: &regex::Captures<'_>,
    title: Option<&String>,
    at: usize,
    wrong: &mut Vec<String>,
) {
    let symbol = word(&found["symbol"]);
    // Two entries that ran into each other are nobody's.
    if symbol.contains("[k]") || symbol.contains("[kernel") {
        wrong.push(format!(
            "entries of a profile that run into each other, after {}",
            word(&found["command"])
        ));
        return;
    }
    let percent = |name: &str| number(&found.name(name)?.as_str().replace(',', "."));
    let mut dims = vec![("command", &found["command"]), ("object", &found["object"]), ("symbol", &symbol)];
    dims.extend(title.map(|title| ("profile", title.as_str())));
    let own = match percent("second") {
        Some(own) => {
            if let Some(all) = percent("first") {
                part.add(&imported::PROFILE_SHARE_WITH_CALLEES, all, &dims, at);
            }
            Some(own)
        }
        None => percent("first"),
    };
    match own.filter(|own| *own <= 100.0) {
        Some(own) => part.add(&imported::PROFILE_SHARE, own, &dims, at),
        None => wrong.push(format!("{symbol}: more than all samples")),
    }
}

/// How many samples and events there are.
fn sizes(memory: &mut Memory, part: &mut Part, text: &str, at: usize) -> Result<(), Vec<String>> {
    let mut wrong = Vec::new();
    let sizes: Vec<_> = SIZE.captures_iter(text).collect();
    if memory.titles.len() != sizes.len() && !sizes.is_empty() {
        memory.titles.clear();
        for size in &sizes {
            let event = word(&size["event"]);
            // Two profiles of one event beside each other.
            let same = memory.titles.iter().filter(|title| title.starts_with(&event)).count();
            memory.titles.push(if same == 0 { event } else { format!("{event} ({})", same + 1) });
        }
    }
    for (place, size) in sizes.iter().enumerate() {
        let factor = match &size["unit"] {
            "K" => 1e3,
            "M" => 1e6,
            "G" => 1e9,
            _ => 1.0,
        };
        let Some(count) = number(&size["count"]) else { continue };
        let of = format!("samples of {}", &size["event"]);
        part.add(
            &imported::PROFILE_SIZE,
            count * factor,
            &[("profile", &memory.titles[place]), ("of", &of)],
            at,
        );
    }
    for (place, events) in EVENTS.captures_iter(text).enumerate() {
        match number(&events["count"]) {
            Some(count) => {
                let title = memory.titles.get(place).map_or("all", String::as_str);
                part.add(&imported::PROFILE_SIZE, count, &[("profile", title), ("of", "events")], at);
            }
            None => wrong.push(format!("the count of events is no number: `{}`", word(&events["count"]))),
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}
