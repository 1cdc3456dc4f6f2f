//! Histograms that the kernel keeps of an event (`kernel/trace/trace_events_hist.c`, `event_hist_trigger_show`): one line for each key,
//! counted where the event happens, so that no ring can overflow.

use std::collections::BTreeMap;

use measure::SideFiles;

use crate::files::{both, grown, number};

/// Where tracefs is.
pub(crate) const TRACEFS: &str = "/sys/kernel/tracing";

/// Of one key: how often, and the sum of the value that goes with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) hits: u64,
    pub(crate) sum: u64,
}

/// By key, as it is printed between the braces, spaces made one.
pub(crate) type Histogram = BTreeMap<String, Row>;

/// The file in which the histogram of `event`, such as `iommu/map`, is read.
pub(crate) fn file(event: &str) -> String {
    format!("{TRACEFS}/events/{event}/hist")
}

/// The file to which its trigger is written.
pub(crate) fn trigger(event: &str) -> String {
    format!("{TRACEFS}/events/{event}/trigger")
}

/// Which of an event's histograms: it may have one of what its hits are, and one of when they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyed {
    ByField,
    ByTime,
}

/// What an event counted within a window.
///
/// # Errors
/// If it was not counted, or not all of it.
pub(crate) fn counted(files: &SideFiles, event: &str, keyed: Keyed) -> Result<Histogram, String> {
    let path = file(event);
    let (before, after) = both(files, &path)?;
    let read = |text| parse(text, keyed).map_err(|why| format!("{path}: {why}"));
    let (before, after) = (read(before)?, read(after)?);
    if before.dropped != after.dropped {
        return Err(format!("{path}: it had no room for {} events", after.dropped.abs_diff(before.dropped)));
    }
    let mut rows = after.rows;
    for (key, was) in before.rows {
        let row = rows.get_mut(&key).ok_or_else(|| format!("{path}: the key `{key}` has gone"))?;
        row.hits = grown(&key, was.hits, row.hits)?;
        row.sum = grown(&key, was.sum, row.sum)?;
    }
    Ok(rows)
}

/// How the trigger of a histogram by time is printed.
const TIME: &str = "keys=common_timestamp";

struct Shown {
    rows: Histogram,
    dropped: u64,
}

fn parse(text: &str, keyed: Keyed) -> Result<Shown, String> {
    if text.trim().is_empty() {
        return Err("the kernel keeps no histogram of it (CONFIG_HIST_TRIGGERS)".to_owned());
    }
    let mut rows = Histogram::new();
    let mut dropped = None;
    let mut of = Keyed::ByField;
    for line in text.lines() {
        if let Some(trigger) = line.strip_prefix("# trigger info:") {
            of = if trigger.contains(TIME) { Keyed::ByTime } else { Keyed::ByField };
        } else if of != keyed {
        } else if let Some(rest) = line.strip_prefix('{') {
            let (key, values) = rest.split_once('}').ok_or_else(|| format!("`{line}` is no row"))?;
            rows.insert(key.split_whitespace().collect::<Vec<_>>().join(" "), row(values)?);
        } else if let Some(count) = line.trim().strip_prefix("Dropped:") {
            dropped = Some(number(count.trim())?);
        }
    }
    Ok(Shown { rows, dropped: dropped.ok_or("it does not say what was dropped")? })
}

/// ` hitcount:         12  ns:      3456`: names, each with its value after a colon and spaces.
fn row(values: &str) -> Result<Row, String> {
    let mut row = Row::default();
    let mut words = values.split_whitespace();
    while let Some(name) = words.next() {
        let value = number(words.next().ok_or_else(|| format!("`{name}` has no value"))?)?;
        match name {
            "hitcount:" => row.hits = value,
            _ => row.sum = value,
        }
    }
    Ok(row)
}

/// The value of `name` in a key, such as `exit_reason` in `exit_reason: 1024, isa: 2`.
pub(crate) fn field<'a>(key: &'a str, name: &str) -> Option<&'a str> {
    key.split(',').find_map(|part| {
        let (found, value) = part.split_once(':')?;
        (found.trim() == name).then(|| value.trim())
    })
}
