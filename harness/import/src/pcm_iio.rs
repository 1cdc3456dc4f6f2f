//! `pcm-iio -csv`.
//!
//! ```text
//! Date,Time,Socket,Name,Part,IB write,IB read,OB read,OB write,IOTLB First Lookup,...
//! 2025-10-03,16:32:22.101,Socket1,IIO Stack 1 - PCIe3,Part0,5435125000,...
//! ```
//!
//! A row for each part of each I/O stack of each socket, again every interval; columns are named by the event file of the
//! processor's model (`opCode-6-207.txt`), so that only the heading says what they are. Values are in a second.
//! Source: `PcmIioCsvBuilder` of intel/pcm's `src/pcm-iio-pmu.cpp`.

use std::collections::BTreeMap;

use measure::metric::imported;

use crate::{
    Format, Part, Reading,
    text::{Line, number, word},
};

/// Columns that say what a row is of.
const NAMES: [&str; 5] = ["Date", "Time", "Socket", "Name", "Part"];

fn separator(text: &str) -> Option<char> {
    [',', ';', '\t', '|'].into_iter().find(|separator| text.matches(*separator).count() >= 3)
}

/// Whether it names the columns.
pub(crate) fn is_heading(text: &str) -> bool {
    heading(text).is_some()
}

fn heading(text: &str) -> Option<(char, Vec<String>)> {
    let separator = separator(text)?;
    let columns: Vec<String> = text.split(separator).map(word).collect();
    let has = |name: &str| columns.iter().any(|column| column == name);
    (has("Socket") && has("Name") && has("Part")).then_some((separator, columns))
}

/// What a row is of: the stack, and the part.
type Place = (String, String);

/// Each column of each part becomes the mean over its rows.
pub(crate) fn read(lines: &[Line], reading: &mut Reading) {
    let mut part = Part::new(Format::PcmIio, 1);
    let mut known: Option<(char, Vec<String>)> = None;
    let mut sums: BTreeMap<(Place, String), (f64, u32, usize)> = BTreeMap::new();
    for line in lines {
        let text = line.text.trim();
        if let Some(heading) = heading(text) {
            known = Some(heading);
            continue;
        }
        let Some((separator, columns)) = &known else {
            // pcm says what it found before it begins.
            match text.contains("IIO Stack") && text.contains(',') {
                true => reading.complain(
                    line.number,
                    "no heading stands before it, so what its columns are is not known".to_owned(),
                ),
                false => reading.prose += 1,
            }
            continue;
        };
        let cells: Vec<&str> = text.split(*separator).map(str::trim).collect();
        if cells.len() != columns.len() {
            if !text.is_empty() {
                reading.complain(
                    line.number,
                    format!(
                        "a row of {} cells, and the heading has {}: cut off or damaged",
                        cells.len(),
                        columns.len()
                    ),
                );
            }
            continue;
        }
        let of = |name: &str| {
            let place = columns.iter().position(|column| column == name);
            place.map_or(String::new(), |place| word(cells[place]))
        };
        let place = (format!("{} {}", of("Socket"), of("Name")), of("Part"));
        let named = columns.iter().zip(&cells).filter(|(column, _)| !NAMES.contains(&column.as_str()));
        for (column, cell) in named.filter(|(_, cell)| !cell.is_empty()) {
            let Some(value) = number(cell) else {
                reading.complain(line.number, format!("{column} is no number: `{}`", word(cell)));
                continue;
            };
            let sum = sums.entry((place.clone(), column.clone())).or_insert((0.0, 0, line.number));
            sum.0 += value;
            sum.1 += 1;
        }
    }
    for (((stack, of), column), (sum, rows, line)) in sums {
        let dims = [("stack", stack.as_str()), ("part", of.as_str()), ("column", column.as_str())];
        part.add(&imported::PCM_IIO, sum / f64::from(rows), &dims, line);
    }
    reading.push(part);
}
