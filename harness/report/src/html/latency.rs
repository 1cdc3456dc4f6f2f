//! Latency over percentiles.

use maud::{Markup, html};
use measure::Dims;
use stats::summarise;

use super::{
    Section,
    chart::{self, Lane, PercentileCurve, PercentilePoint},
    data::{self, Series},
    gates, text,
};
use crate::{Model, number};

/// More workloads than this are in the JSON only.
const MOST: usize = 24;

/// The dimension whose values are percentiles.
const PERCENTILE: &str = "percentile";

pub(super) fn section(model: &Model) -> Option<Section> {
    let all = data::all(model);
    let groups = groups(model, &all);
    if groups.is_empty() {
        return None;
    }
    let count = groups.len();
    let body = html! {
        p.lead { "Medians over boots; bands reach from the lowest boot to the highest. The axis gives each nine the same room." }
        div.cards {
            @for group in groups.into_iter().take(MOST) { (card(group)) }
        }
        @if count > MOST { p.muted { (count - MOST) " more are in report.json." } }
    };
    Some(Section { id: "latency", short: "Latency", heading: "Latency by percentile", body })
}

/// The percentiles of one metric.
struct Group<'a> {
    workload: &'a str,
    metric: &'a str,
    /// All but the percentile, and the place in the matrix.
    dims: Dims,
    /// By rising percentile.
    series: Vec<(f64, &'a Series<'a>)>,
}

/// In the order of the plan's workloads. A curve needs two places.
fn groups<'a>(model: &Model, all: &'a [Series<'a>]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for series in all {
        let percentile = series.key.dims.get(PERCENTILE).and_then(|text| text.parse::<f64>().ok());
        let Some(percentile) = percentile else { continue };
        let mut dims = series.key.dims.clone();
        dims.remove(PERCENTILE);
        dims.extend(series.key.at.clone());
        let workload = series.key.workload.as_deref().unwrap_or("every boot");
        let metric = series.key.metric.as_str();
        let same = |group: &&mut Group<'_>| {
            group.workload == workload && group.metric == metric && group.dims == dims
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.series.push((percentile, series)),
            None => groups.push(Group { workload, metric, dims, series: vec![(percentile, series)] }),
        }
    }
    groups.retain(|group| group.series.len() > 1);
    groups.sort_by_key(|group| model.plan.workloads.iter().position(|known| known.group == group.workload));
    for group in &mut groups {
        group.series.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    }
    groups
}

fn card(group: Group<'_>) -> Markup {
    let series = &group.series;
    let Some((_, first)) = series.first() else { return Markup::default() };
    let curves = curves(series);
    let lanes: Vec<Lane<'_>> =
        curves.iter().map(|curve| Lane { name: curve.name, class: curve.class, boots: &[] }).collect();
    let mut heading = format!("{} {}", group.workload, group.metric);
    for (name, value) in &group.dims {
        heading.push_str(&format!(", {name} {value}"));
    }
    html! {
        article.card {
            h3 { (text::line(&heading)) }
            p.muted { "from " (data::sources(first.provenance)) @if is_flat_at_the_end(series) { ". The last percentiles are equal in every boot: there were too few messages to tell them apart." } }
            (gates::legend(&lanes))
            div.charts {
                figure { (chart::percentiles(&curves, first.unit, &format!("{heading} by percentile"), &spoken(&curves))) }
                (table(&heading, series, &curves))
            }
        }
    }
}

/// The medians in numbers.
fn table(heading: &str, series: &[(f64, &Series<'_>)], curves: &[PercentileCurve<'_>]) -> Markup {
    let unit = series.first().map_or(measure::Unit::Microseconds, |(_, series)| series.unit);
    let at = |curve: &PercentileCurve<'_>, percentile: f64| {
        curve
            .points
            .iter()
            .find(|point| point.percentile.total_cmp(&percentile).is_eq())
            .map(|point| point.median)
    };
    html! {
        table.plain {
            caption.hidden { (text::line(heading)) ", medians over boots" }
            thead { tr { th scope="col" { "percentile" } @for curve in curves { th.num scope="col" { (text::line(curve.name)) } } } }
            tbody {
                @for (percentile, _) in series {
                    tr {
                        th scope="row" { "p" (percentile) }
                        @for curve in curves {
                            td.num { (at(curve, *percentile).map_or_else(|| "-".to_owned(), |median| number::value(median, unit, None))) }
                        }
                    }
                }
            }
        }
    }
}

fn curves<'a>(series: &[(f64, &Series<'a>)]) -> Vec<PercentileCurve<'a>> {
    let mut curves: Vec<PercentileCurve<'a>> = Vec::new();
    for (percentile, series) in series {
        for lane in &series.lanes {
            let values: Vec<f64> = lane.boots.iter().map(|boot| boot.value).collect();
            let Ok(Some(summary)) = summarise(&values) else { continue };
            let point = PercentilePoint {
                percentile: *percentile,
                low: summary.min,
                median: summary.median,
                high: summary.max,
            };
            match curves.iter_mut().find(|curve| curve.name == lane.name) {
                Some(curve) => curve.points.push(point),
                None => {
                    curves.push(PercentileCurve { name: lane.name, class: lane.class, points: vec![point] });
                }
            }
        }
    }
    curves
}

/// Whether the two highest percentiles are the same number in every boot.
fn is_flat_at_the_end(series: &[(f64, &Series<'_>)]) -> bool {
    let [.., (_, below), (_, last)] = series else { return false };
    let values = |series: &Series<'_>| -> Vec<f64> {
        series.lanes.iter().flat_map(|lane| lane.boots).map(|boot| boot.value).collect()
    };
    values(below) == values(last)
}

fn spoken(curves: &[PercentileCurve<'_>]) -> String {
    let words = |curve: &PercentileCurve<'_>| {
        let ends = curve.points.first().zip(curve.points.last());
        ends.map(|(first, last)| {
            format!(
                "{}: {} at p{}, {} at p{}",
                curve.name,
                number::value(first.median, measure::Unit::Microseconds, None),
                first.percentile,
                number::value(last.median, measure::Unit::Microseconds, None),
                last.percentile
            )
        })
    };
    curves.iter().filter_map(words).collect::<Vec<_>>().join("; ")
}
