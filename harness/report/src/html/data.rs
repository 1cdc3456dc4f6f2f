//! What the charts draw, looked up in the model.

use measure::{Provenance, Unit};

use super::chart::{self, Lane};
use crate::{BootValue, Model, SeriesKey};

/// One series of numbers over all sides, gated or explored.
#[derive(Clone, Debug)]
pub(crate) struct Series<'a> {
    pub(crate) key: &'a SeriesKey,
    pub(crate) unit: Unit,
    pub(crate) provenance: &'a [Provenance],
    /// Sides that have values, in the order of the plan.
    pub(crate) lanes: Vec<Lane<'a>>,
}

/// Every series of the model: those of gates first.
pub(crate) fn all(model: &Model) -> Vec<Series<'_>> {
    let mut all: Vec<Series<'_>> = Vec::new();
    for gate in &model.gates {
        let candidate = lane(model, &gate.arm, &gate.candidate_by_boot);
        match all.iter_mut().find(|series| *series.key == gate.series) {
            Some(series) => series.lanes.extend(candidate),
            None => all.push(Series {
                key: &gate.series,
                unit: gate.unit,
                provenance: &gate.provenance,
                lanes: baseline(model, &gate.baseline_by_boot).into_iter().chain(candidate).collect(),
            }),
        }
    }
    all.extend(model.explored.iter().map(|row| {
        let candidates = row.candidates.iter().filter_map(|of| lane(model, &of.arm, &of.by_boot));
        Series {
            key: &row.series,
            unit: row.unit,
            provenance: &row.provenance,
            lanes: baseline(model, &row.baseline_by_boot).into_iter().chain(candidates).collect(),
        }
    }));
    all
}

/// The baseline's lane, if it has values.
pub(crate) fn baseline<'a>(model: &'a Model, boots: &'a [BootValue]) -> Option<Lane<'a>> {
    lane(model, model.baseline_side(), boots)
}

/// A side's lane, if it has values.
pub(crate) fn lane<'a>(model: &'a Model, side: &'a str, boots: &'a [BootValue]) -> Option<Lane<'a>> {
    (!boots.is_empty()).then(|| Lane { name: side, class: class(model, side), boots })
}

/// A side's colour; every place of a matrix has it.
pub(crate) fn class(model: &Model, side: &str) -> &'static str {
    chart::class(model.sides().iter().position(|known| *known == side).unwrap_or(0))
}

/// Where numbers come from, in a word or two.
pub(crate) fn sources(provenance: &[Provenance]) -> String {
    provenance.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
