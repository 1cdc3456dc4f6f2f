//! Numbers along the dimensions of a matrix.

use maud::{Markup, html};

use super::{
    Section,
    chart::{self, CurveLine, CurveSpot, Lane},
    data, gates, text, verdicts,
};
use crate::{
    Curve, CurvePoint, Model,
    along::{self, Group},
    describe, explored, number,
};

/// More curves of one dimension than this are in the JSON only.
const MOST: usize = 48;
/// Values of a dimension that have room on a chart's axis.
const VALUES: usize = 32;

pub(super) fn section(model: &Model) -> Option<Section> {
    let groups = along::groups(model);
    if groups.is_empty() {
        return None;
    }
    let body = html! {
        p.lead { "Every boot is a dot; lines go through medians, and bars are 95 % intervals of these, where there are boots enough for one. Values are evenly spaced." }
        @for group in &groups { (dimension(model, group)) }
    };
    Some(Section { id: "curves", short: "Curves", heading: "Along the matrix", body })
}

fn dimension(model: &Model, group: &Group<'_>) -> Markup {
    let left_out = group.hidden + group.curves.len().saturating_sub(MOST);
    html! {
        h3.dimension { "Over " (text::line(group.dimension)) }
        div.grid { @for curve in group.curves.iter().take(MOST) { (card(model, curve)) } }
        @if left_out > 0 { p.muted { (left_out) " more along " (text::line(group.dimension)) " are in report.json." } }
    }
}

fn card(model: &Model, curve: &Curve) -> Markup {
    let label = describe::label(&curve.series);
    let values: Vec<&str> =
        curve.sides.first().iter().flat_map(|side| &side.points).map(|point| point.value.as_str()).collect();
    let lines: Vec<CurveLine<'_>> = curve
        .sides
        .iter()
        .map(|side| CurveLine {
            name: &side.side,
            class: data::class(model, &side.side),
            points: side
                .points
                .iter()
                .enumerate()
                .filter_map(|(position, point)| spot(position, point))
                .collect(),
        })
        .collect();
    let lanes: Vec<Lane<'_>> =
        lines.iter().map(|line| Lane { name: line.name, class: line.class, boots: &[] }).collect();
    let title = format!("{label} over {}", curve.dimension);
    html! {
        article.card {
            h4 { (text::line(&label)) }
            (gates::legend(&lanes))
            @if values.len() <= VALUES && varies(curve) {
                figure { (chart::curve(&lines, (&curve.dimension, &values), curve.unit, &title, &spoken(curve))) }
            }
            (table(curve, &title))
        }
    }
}

/// A number that is the same in every boot, such as no drops, needs no chart.
fn varies(curve: &Curve) -> bool {
    let boots = || curve.sides.iter().flat_map(|side| &side.points).flat_map(|point| &point.by_boot);
    let first = boots().next().map(|boot| boot.value.to_bits());
    boots().any(|boot| Some(boot.value.to_bits()) != first)
}

fn spot(position: usize, point: &CurvePoint) -> Option<CurveSpot<'_>> {
    Some(CurveSpot {
        position,
        median: point.summary?.median,
        interval: point.interval.map(|interval| (interval.low, interval.high)),
        boots: &point.by_boot,
    })
}

/// The baseline's medians, and what each candidate changes.
fn table(curve: &Curve, title: &str) -> Markup {
    let Some((baseline, candidates)) = curve.sides.split_first() else { return Markup::default() };
    html! {
        table.plain {
            caption.hidden { (text::line(title)) ", in numbers" }
            thead {
                tr {
                    th scope="col" { (text::line(&curve.dimension)) }
                    @for side in &curve.sides { th.num scope="col" { (text::line(&side.side)) } }
                }
            }
            tbody {
                @for (row, point) in baseline.points.iter().enumerate() {
                    tr {
                        th scope="row" { (text::line(&point.value)) }
                        td.num { (median(curve, point)) }
                        @for side in candidates {
                            td.num { @if let Some(point) = side.points.get(row) { (change(curve, point)) } }
                        }
                    }
                }
            }
        }
    }
}

fn median(curve: &Curve, point: &CurvePoint) -> String {
    point.summary.map_or_else(|| "-".to_owned(), |summary| number::median(&summary, curve.unit))
}

fn change(curve: &Curve, point: &CurvePoint) -> Markup {
    html! {
        @if let Some(verdict) = point.verdict { (verdicts::badge(verdict)) " " }
        @match &point.change {
            Some(effect) => {
                @if point.q.is_some_and(|q| q <= explored::NOTABLE) { strong { (number::effect(effect, curve.unit)) } }
                @else { (number::effect(effect, curve.unit)) }
            }
            None => (median(curve, point)),
        }
    }
}

/// For those who do not see the chart.
fn spoken(curve: &Curve) -> String {
    let side = |side: &crate::CurveSide| {
        let points: Vec<String> =
            side.points.iter().map(|point| format!("{} at {}", median(curve, point), point.value)).collect();
        format!("{}: {}", side.side, points.join(", "))
    };
    curve.sides.iter().map(side).collect::<Vec<_>>().join("; ")
}
