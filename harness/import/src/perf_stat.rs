//! `perf stat -x,`. Its rows: [`pmu::csv`].

use std::collections::BTreeMap;

use measure::metric::imported;
use pmu::csv::row;

use crate::{
    Format, Part, Reading,
    text::{Line, word},
};

/// Whether it is a row.
pub(crate) fn is_row(text: &str) -> bool {
    row(text).is_some()
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
