//! The numbers of a run along each dimension of its matrix.

use std::collections::HashMap;

use measure::Unit;
use plan::Dimension;
use serde::{Deserialize, Serialize};
use stats::{Effect, Interval, StatsError, Summary, Verdict, median_interval};

use crate::{BootValue, Gate, Row, SeriesKey, describe};

/// Intervals of medians have 95 % confidence or more, each for itself.
const LEVEL: f64 = 0.025;

/// One series along one dimension, everything else fixed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// The dimension's name.
    pub dimension: String,
    /// What it is of; `at` has every dimension but this one.
    pub series: SeriesKey,
    /// Unit of its values.
    pub unit: Unit,
    /// Which way it is better.
    pub better: measure::Better,
    /// Whether a gate judges it at one of its points at least.
    pub gated: bool,
    /// The baseline, then each candidate in the order of the plan.
    pub sides: Vec<CurveSide>,
}

/// One side of the comparison along a dimension.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurveSide {
    /// The side's name.
    pub side: String,
    /// One for each value of the dimension, in the order of the scenario.
    pub points: Vec<CurvePoint>,
}

/// One side at one value of a dimension.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurvePoint {
    /// The value as the scenario writes it.
    pub value: String,
    /// The number that it is, in bytes or seconds where it is a size or a duration; none if the dimension is of words.
    pub number: Option<f64>,
    /// The values of all its boots; none if it was not measured here.
    pub summary: Option<Summary>,
    /// A 95 % interval of the median, from order statistics; none with fewer than six boots.
    pub interval: Option<Interval>,
    /// Its value of each boot, by block.
    pub by_boot: Vec<BootValue>,
    /// The change against the baseline at the same place; none for the baseline itself. The interval of a gated number is adjusted for
    /// the number of comparisons, any other has 95 % confidence for itself.
    pub change: Option<Effect>,
    /// The gate's verdict, where one judges this point.
    pub verdict: Option<Verdict>,
    /// The p-value of no difference, adjusted by Benjamini-Hochberg, where no gate judges this point.
    pub q: Option<f64>,
}

/// One side of one series at one place.
struct Seen<'a> {
    side: &'a str,
    summary: Option<Summary>,
    by_boot: &'a [BootValue],
    change: Option<Effect>,
    verdict: Option<Verdict>,
    q: Option<f64>,
}

/// One series at one place.
struct Spot<'a> {
    series: &'a SeriesKey,
    unit: Unit,
    better: measure::Better,
    gated: bool,
    sides: Vec<Seen<'a>>,
}

/// Every curve with at least two points: gated ones first, then in the order of the rows. Parts of a whole, such as one core
/// of several, have none.
///
/// # Errors
/// A value that is not finite.
pub(crate) fn curves(
    dimensions: &[Dimension],
    baseline: &str,
    gates: &[Gate],
    rows: &[Row],
) -> Result<Vec<Curve>, StatsError> {
    if dimensions.is_empty() {
        return Ok(Vec::new());
    }
    let spots: Vec<Spot<'_>> = of_gates(baseline, gates)
        .into_iter()
        .chain(rows.iter().map(|row| of_row(baseline, row)))
        .filter(|spot| !describe::is_part(spot.series))
        .collect();
    let all: Vec<Vec<Curve>> =
        dimensions.iter().map(|dimension| along(dimension, &spots)).collect::<Result<_, _>>()?;
    Ok(all.concat())
}

/// Each series that gates judge, with all candidates together.
fn of_gates<'a>(baseline: &'a str, gates: &'a [Gate]) -> Vec<Spot<'a>> {
    let mut spots: Vec<Spot<'a>> = Vec::new();
    let mut positions: HashMap<&SeriesKey, usize> = HashMap::new();
    for gate in gates {
        let position = *positions.entry(&gate.series).or_insert(spots.len());
        if position == spots.len() {
            let baseline = unchanged(baseline, gate.baseline, &gate.baseline_by_boot);
            let Gate { series, unit, better, .. } = gate;
            spots.push(Spot { series, unit: *unit, better: *better, gated: true, sides: vec![baseline] });
        }
        spots[position].sides.push(Seen {
            side: &gate.arm,
            summary: gate.candidate,
            by_boot: &gate.candidate_by_boot,
            change: gate.judgement.effect,
            verdict: Some(gate.judgement.verdict),
            q: None,
        });
    }
    spots
}

fn of_row<'a>(baseline: &'a str, row: &'a Row) -> Spot<'a> {
    let candidates = row.candidates.iter().map(|candidate| Seen {
        side: &candidate.arm,
        summary: candidate.values,
        by_boot: &candidate.by_boot,
        change: candidate.exploration.as_ref().and_then(|exploration| exploration.effect),
        verdict: None,
        q: candidate.exploration.as_ref().and_then(|exploration| exploration.q),
    });
    let baseline = unchanged(baseline, row.baseline, &row.baseline_by_boot);
    Spot {
        series: &row.series,
        unit: row.unit,
        better: row.better,
        gated: false,
        sides: std::iter::once(baseline).chain(candidates).collect(),
    }
}

fn unchanged<'a>(side: &'a str, summary: Option<Summary>, by_boot: &'a [BootValue]) -> Seen<'a> {
    Seen { side, summary, by_boot, change: None, verdict: None, q: None }
}

fn along(dimension: &Dimension, spots: &[Spot<'_>]) -> Result<Vec<Curve>, StatsError> {
    let mut curves: Vec<Curve> = Vec::new();
    let mut positions: HashMap<SeriesKey, usize> = HashMap::new();
    for spot in spots {
        let mut series = spot.series.clone();
        let Some(value) = series.at.remove(&dimension.name) else { continue };
        let Some(index) = dimension.values.iter().position(|known| *known == value) else { continue };
        let position = *positions.entry(series.clone()).or_insert(curves.len());
        if position == curves.len() {
            curves.push(Curve {
                dimension: dimension.name.clone(),
                series,
                unit: spot.unit,
                better: spot.better,
                gated: false,
                sides: Vec::new(),
            });
        }
        let curve = &mut curves[position];
        curve.gated |= spot.gated;
        for seen in &spot.sides {
            let known = curve.sides.iter().position(|known| known.side == seen.side);
            let known = known.unwrap_or_else(|| {
                curve.sides.push(CurveSide { side: seen.side.to_owned(), points: empty(dimension) });
                curve.sides.len() - 1
            });
            curve.sides[known].points[index].see(seen)?;
        }
    }
    curves.retain(|curve| curve.sides.iter().any(|side| side.measured() > 1));
    // A gate may judge some of a curve's points only, and those may come after the others.
    curves.sort_by_key(|curve| !curve.gated);
    Ok(curves)
}

fn empty(dimension: &Dimension) -> Vec<CurvePoint> {
    let point = |(index, value): (usize, &String)| CurvePoint {
        value: value.clone(),
        number: dimension.numbers.as_ref().and_then(|numbers| numbers.get(index).copied()),
        summary: None,
        interval: None,
        by_boot: Vec::new(),
        change: None,
        verdict: None,
        q: None,
    };
    dimension.values.iter().enumerate().map(point).collect()
}

impl CurvePoint {
    fn see(&mut self, seen: &Seen<'_>) -> Result<(), StatsError> {
        let values: Vec<f64> = seen.by_boot.iter().map(|boot| boot.value).collect();
        self.summary = seen.summary;
        self.interval = median_interval(&values, LEVEL)?;
        self.by_boot = seen.by_boot.to_vec();
        self.change = seen.change;
        self.verdict = seen.verdict;
        self.q = seen.q;
        Ok(())
    }
}

impl CurveSide {
    /// At how many values it was measured.
    #[must_use]
    pub fn measured(&self) -> usize {
        self.points.iter().filter(|point| point.summary.is_some()).count()
    }
}
