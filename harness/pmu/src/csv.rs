//! A row of `perf stat -x,`.
//!
//! ```text
//! 11.61,msec,task-clock,11614112,100.00,0.916,CPUs utilized
//! 0.59,msec,task-clock,5.37%,586940,100.00,0.746,CPUs utilized                   -r
//!      0.300435715,CPU0,300.53,msec,task-clock,300525265,100.00,1.002,CPUs utilized   -I -A
//! ```
//!
//! Source: "CSV FORMAT" of perf-stat(1). `-x;` and other separators are read as well.

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<'a> {
    /// What the row is of: a CPU, a socket; `all` if there is none.
    pub on: &'a str,
    /// With `-I`: when the interval ended, in seconds.
    pub time: Option<f64>,
    /// The count, or `<not counted>` or `<not supported>`.
    pub value: Result<f64, &'a str>,
    /// Often empty.
    pub unit: &'a str,
    /// The event's name.
    pub event: &'a str,
    /// Relative deviation of repeated runs, in percent.
    pub deviation: Option<f64>,
    /// Part of the time in which the event was counted, in percent: the count is scaled up from there.
    pub counted: f64,
    /// perf's own derived number, and its unit.
    pub derived: Option<(f64, &'a str)>,
}

/// What separates the fields.
fn separator(text: &str) -> Option<char> {
    [',', ';', '|', '\t'].into_iter().find(|separator| text.matches(*separator).count() >= 4)
}

/// What a line says, if it is a row.
#[must_use]
pub fn row(text: &str) -> Option<Row<'_>> {
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

/// A number as tools print it: finite, with a point.
#[must_use]
pub fn number(text: &str) -> Option<f64> {
    let first = text.trim_start_matches(['-', '+']).chars().next()?;
    // Rust also parses `inf` and `nan`, which no count is.
    if !first.is_ascii_digit() && first != '.' {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_was_scaled_up_says_how_much_was_seen() {
        // perf 6.1.187: `perf stat -a -x, -e '{...}'` with more events than counters.
        let scaled = row("1234567,,misses,500123456,49.87,,").unwrap();
        assert_eq!((scaled.value, scaled.event, scaled.counted), (Ok(1_234_567.0), "misses", 49.87));
        let of_socket = row("S1,1,987,,first_lookups,1000200300,100.00,,").unwrap();
        assert_eq!((of_socket.on, of_socket.value, of_socket.event), ("S1", Ok(987.0), "first_lookups"));
        let refused = row("<not supported>,,occupancy,0,100.00,,").unwrap();
        assert_eq!(refused.value, Err("<not supported>"));
        for none in ["", "# started on Mon Nov 30", "a,b", "1,2,3,4,5"] {
            assert_eq!(row(none), None, "{none}");
        }
    }
}
