//! Gates at several places of a matrix, as one reads them: together.

use measure::Dims;
use stats::Verdict;

use crate::{Gate, SeriesKey, describe};

/// Places that are named one by one; more are counted.
const NAMED: usize = 3;

/// The gates, those that differ in their places only together.
pub(crate) fn asked(gates: &[Gate]) -> impl Iterator<Item = &[Gate]> {
    gates.chunk_by(|one, other| {
        one.arm == other.arm
            && one.expect == other.expect
            && one.margin.to_bits() == other.margin.to_bits()
            && anywhere(&one.series) == anywhere(&other.series)
    })
}

/// A series without its place.
fn anywhere(series: &SeriesKey) -> SeriesKey {
    SeriesKey { at: Dims::new(), ..series.clone() }
}

/// The label of a series without its place.
pub(crate) fn label(series: &SeriesKey) -> String {
    describe::label(&anywhere(series))
}

/// Each verdict among these gates with where it is: `worse at flows 4`, `same at 3 of 4 places`.
pub(crate) fn verdicts<'a>(gates: &[&'a Gate]) -> Vec<(&'a Gate, String)> {
    let mut seen: Vec<(Verdict, Vec<&'a Gate>)> = Vec::new();
    for gate in gates {
        match seen.iter_mut().find(|(verdict, _)| *verdict == gate.judgement.verdict) {
            Some((_, alike)) => alike.push(gate),
            None => seen.push((gate.judgement.verdict, vec![gate])),
        }
    }
    let mut words = Vec::new();
    for (verdict, alike) in seen {
        let places: Vec<&Dims> = alike.iter().map(|gate| &gate.series.at).collect();
        let words_of = format!("{verdict}{}", at(&places, gates.len()));
        words.extend(alike.first().map(|first| (*first, words_of)));
    }
    words
}

/// ` at flows 4`, ` at all 4 places`; nothing outside a matrix.
pub(crate) fn at(places: &[&Dims], of: usize) -> String {
    if places.iter().all(|place| place.is_empty()) {
        return String::new();
    }
    if places.len() == of && of > 1 {
        return format!(" at all {of} places");
    }
    if places.len() > NAMED {
        return format!(" at {} of {of} places", places.len());
    }
    let named: Vec<String> = places.iter().map(|place| describe::place(place)).collect();
    format!(" at {}", named.join("; "))
}
