//! `perf stat -x,`.
//!
//! ```text
//! 11.61,msec,task-clock,11614112,100.00,0.916,CPUs utilized
//! 0.59,msec,task-clock,5.37%,586940,100.00,0.746,CPUs utilized                   -r
//!      0.300435715,CPU0,300.53,msec,task-clock,300525265,100.00,1.002,CPUs utilized   -I -A
//! ```
//!
//! Source: "CSV FORMAT" of perf-stat(1). `-x;` and other separators are read as well.

use std::collections::BTreeMap;

use measure::metric::imported;

use crate::{
    Format, Part, Reading,
    text::{Line, number, word},
};

/// A row.
struct Row<'a> {
    /// What the row is of: a CPU, a socket; all if there is none.
    on: &'a str,
    time: Option<f64>,
    value: Result<f64, &'a str>,
    unit: &'a str,
    event: &'a str,
    /// Relative deviation of repeated runs, in percent.
    deviation: Option<f64>,
    /// Part of the time in which the event was counted, in percent.
    counted: f64,
    /// perf's own derived number, and its unit.
    derived: Option<(f64, &'a str)>,
}

/// What separates the fields.
fn separator(text: &str) -> Option<char> {
    [',', ';', '|', '\t'].into_iter().find(|separator| text.matches(*separator).count() >= 4)
}

/// Whether it is a row.
pub(crate) fn is_row(text: &str) -> bool {
    row(text).is_some()
}

fn row(text: &str) -> Option<Row<'_>> {
    let fields: Vec<&str> = text.split(separator(text)?).map(str::trim).collect();
    // Time, CPU and how many CPUs are one row come first where they were asked for.
    (0..=3).find_map(|before| of_fields(&fields, before))
}

fn of_fields<'a>(fields: &[&'a str], before: usize) -> Option<Row<'a>> {
    let [value, unit, event, rest @ ..] = fields.get(before..)? else { return None };
    let value = match *value {
        "<not counted>" | "<not supported>" => Err(*value),
        value => Ok(number(value)?),
    };
    if !event.contains(|char: char| char.is_ascii_alphabetic())
        || number(event).is_some()
        || number(unit).is_some()
    {
        return None;
    }
    let (deviation, rest) = match rest {
        [first, rest @ ..] if first.ends_with('%') => (Some(number(first.trim_end_matches('%'))?), rest),
        rest => (None, rest),
    };
    let [ran, counted, derived @ ..] = rest else { return None };
    number(ran)?;
    let derived = match derived {
        [value, unit, ..] if !unit.is_empty() => number(value).map(|value| (value, *unit)),
        _ => None,
    };
    let head = &fields[..before];
    // The first of them is a time if it has a point; the number of CPUs that are one row says nothing of its own.
    let time = head.first().filter(|text| text.contains('.')).and_then(|text| number(text));
    let on = head
        .iter()
        .find(|text| text.contains(|char: char| char.is_ascii_alphabetic()))
        .copied()
        .unwrap_or("all");
    Some(Row { on, time, value, unit, event, deviation, counted: number(counted)?, derived })
}

/// What was read of one event.
#[derive(Default)]
struct Event {
    sum: f64,
    rows: u32,
    line: usize,
    of: String,
    /// Sums of what else is said of it.
    more: BTreeMap<String, f64>,
}

/// Intervals are added up: each says what was counted since the last one.
pub(crate) fn read(lines: &[Line], reading: &mut Reading) {
    let mut part = Part::new(Format::PerfStat, 1);
    let mut events: BTreeMap<(String, String), Event> = BTreeMap::new();
    let mut end = None;
    for line in lines {
        let text = line.text.trim();
        if text.is_empty() || text.starts_with('#') {
            reading.prose += 1;
            continue;
        }
        let Some(row) = row(text) else {
            reading.complain(line.number, format!("no row of `perf stat -x`: `{}`", word(text)));
            continue;
        };
        end = row.time.map(|time| (time, line.number)).or(end);
        let value = match row.value {
            Ok(value) => value,
            Err(why) => {
                let said = format!("perf stat: {} is {}", word(row.event), why.trim_matches(['<', '>']));
                if !part.unavailable.contains(&said) {
                    part.unavailable.push(said);
                }
                continue;
            }
        };
        let event = events.entry((word(row.on), word(row.event))).or_default();
        event.sum += value;
        event.rows += 1;
        event.line = line.number;
        event.of = if row.unit.is_empty() { "count".to_owned() } else { word(row.unit) };
        let mut more = |of: String, value: f64| *event.more.entry(of).or_default() += value;
        if let Some((value, unit)) = row.derived {
            more(word(unit), value);
        }
        if let Some(deviation) = row.deviation {
            more("deviation in %".to_owned(), deviation);
        }
        if row.counted < 100.0 {
            more("% of the time counted".to_owned(), row.counted);
        }
    }
    for ((on, name), event) in events {
        let dims = |of| [("on", on.as_str()), ("event", name.as_str()), ("of", of)];
        part.add(&imported::PERF_EVENT, event.sum, &dims(&event.of), event.line);
        for (of, sum) in &event.more {
            // Rates and shares of intervals have a mean, and no sum.
            part.add(&imported::PERF_EVENT, sum / f64::from(event.rows), &dims(of), event.line);
        }
    }
    if let Some((time, line)) = end {
        part.add(&imported::MEASURED_TIME, time, &[("of", "perf stat -I")], line);
    }
    reading.push(part);
}
