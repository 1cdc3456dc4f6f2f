//! Curves as tables: a dimension's values are the columns.

use measure::{Around, Collector, YieldedBy, metric};
use stats::Scale;

use crate::{
    Curve, CurvePoint, Model, describe,
    explored::NOTABLE,
    number, places,
    table::{self, Align, plain},
};

/// Percentiles of latencies that stand for the others.
const PERCENTILES: [&str; 2] = ["50", "99"];
/// Bars by height.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// With fewer points a row of bars says nothing that the numbers do not.
const POINTS_FOR_BARS: usize = 3;

/// The curves of one dimension that are shown.
pub(crate) struct Group<'a> {
    pub(crate) dimension: &'a str,
    pub(crate) curves: Vec<&'a Curve>,
    /// How many others there are.
    pub(crate) hidden: usize,
}

/// The dimensions that have curves, in the order of the scenario.
pub(crate) fn groups(model: &Model) -> Vec<Group<'_>> {
    let group = |dimension: &'_ plan::Dimension| {
        let name = dimension.name.clone();
        let all = model.curves.iter().filter(move |curve| curve.dimension == name);
        let is_imported = model.is_imported();
        let (curves, hidden): (Vec<&Curve>, Vec<&Curve>) =
            all.partition(|curve| if is_imported { is_one_number(curve) } else { is_shown(curve) });
        (curves, hidden.len())
    };
    let named = model.plan.dimensions.iter().map(|dimension| (dimension, group(dimension)));
    named
        .filter(|(_, (curves, _))| !curves.is_empty())
        .map(|(dimension, (curves, hidden))| Group { dimension: &dimension.name, curves, hidden })
        .collect()
}

/// What was asked for: gates, and what the workloads are there to measure. What was collected around them is shown where it
/// differs.
fn is_shown(curve: &Curve) -> bool {
    let points = || curve.sides.iter().flat_map(|side| &side.points);
    curve.gated || is_primary(curve) || points().any(is_notable)
}

fn is_primary(curve: &Curve) -> bool {
    let around = |by: YieldedBy| match by {
        // Where instructions are counted, they are what the run is there for.
        YieldedBy::Collector(Collector::Instructions, Around::Bulk) => {
            curve.series.dims.contains_key("event") || curve.series.dims.contains_key("context")
        }
        YieldedBy::Collector(collector, _) => !collector.is_tracing(),
        YieldedBy::Boot => true,
        // A stream explains itself in many figures; whether it went without copies is what lets it count at all.
        YieldedBy::Stream => curve.series.metric != metric::ROI_CPU.name,
        YieldedBy::Bulk
        | YieldedBy::Iperf3
        | YieldedBy::Sockperf
        | YieldedBy::Command
        | YieldedBy::Import => false,
    };
    let percentile = curve.series.dims.get("percentile");
    !metric::find(&curve.series.metric).is_some_and(|metric| around(metric.yielded_by))
        && percentile.is_none_or(|percentile| PERCENTILES.contains(&percentile.as_str()))
}

/// Of what others measured, what there is one number of at each place: no parts, and no tables of tools.
fn is_one_number(curve: &Curve) -> bool {
    let telling = ["side", "direction"];
    let percentile = curve.series.dims.get("percentile");
    percentile.is_some_and(|percentile| PERCENTILES.contains(&percentile.as_str()))
        || curve.series.dims.keys().all(|name| telling.contains(&name.as_str()))
}

fn is_notable(point: &CurvePoint) -> bool {
    point.q.is_some_and(|q| q <= NOTABLE)
}

/// The group as lines of at most `columns`, as far as single values allow.
pub(crate) fn terminal(group: &Group<'_>, columns: usize) -> Vec<String> {
    let values =
        group.curves.iter().flat_map(|curve| &curve.sides).map(|side| side.points.len()).max().unwrap_or(0);
    let fits = |part: &Part| part.table.iter().all(|line| line.chars().count() <= columns);
    // As many values side by side as fit; the others below.
    let wide = (1..=values)
        .rev()
        .find(|&wide| (0..values).step_by(wide).all(|first| fits(&part(group, first, wide, values))));
    let wide = wide.unwrap_or(1);
    let parts = (0..values).step_by(wide).map(|first| part(group, first, wide, values).lines(columns));
    parts.collect::<Vec<_>>().join(&String::new())
}

/// A table, and what stands above its lines: titles may be longer than it is wide.
struct Part {
    table: Vec<String>,
    /// Before which line of the table, how far from the left, and what.
    titles: Vec<(usize, &'static str, String)>,
}

impl Part {
    fn lines(self, columns: usize) -> Vec<String> {
        let mut titles = self.titles.into_iter().peekable();
        let mut lines = Vec::new();
        for (index, line) in self.table.into_iter().enumerate() {
            while let Some((_, margin, title)) = titles.next_if(|(at, ..)| *at == index) {
                lines.extend(table::hang(margin, &title, columns));
            }
            lines.push(line);
        }
        lines
    }
}

/// A table of `wide` values from `first` on.
fn part(group: &Group<'_>, first: usize, wide: usize, values: usize) -> Part {
    let shown = first..(first + wide).min(values);
    // The whole curve stands in front of its values, once.
    let with_bars = first == 0 && has_bars(group);
    let mut heading = vec![format!("  {}", group.dimension)];
    heading.extend(with_bars.then(String::new));
    if let Some(side) = group.curves.iter().flat_map(|curve| &curve.sides).next() {
        heading.extend(side.points[shown.clone()].iter().map(|point| point.value.clone()));
    }
    let mut rows = vec![heading];
    let mut titles: Vec<(usize, &'static str, String)> = Vec::new();
    let mut metric = None;
    for curve in &group.curves {
        // One metric's places stand below each other.
        let label = places::label(&curve.series);
        if metric.as_ref() != Some(&label) {
            titles.push((rows.len(), "  ", label.clone()));
            metric = Some(label);
        }
        let place = describe::place(&curve.series.at);
        // A single arm goes without saying.
        let alone = curve.sides.len() == 1 && !place.is_empty();
        if !alone && !place.is_empty() {
            titles.push((rows.len(), "    ", place.clone()));
        }
        let margin = if place.is_empty() { "    " } else { "      " };
        for (index, side) in curve.sides.iter().enumerate() {
            let mut row = vec![if alone { format!("    {place}") } else { format!("{margin}{}", side.side) }];
            row.extend(with_bars.then(|| bars(curve, index).unwrap_or_default()));
            row.extend(side.points[shown.clone()].iter().map(|point| cell(curve, point, index == 0)));
            rows.push(row);
        }
    }
    Part { table: plain(&rows, &[Align::Left]), titles }
}

/// The baseline's median, or the change of a candidate; where there is no baseline to compare with, the median.
fn cell(curve: &Curve, point: &CurvePoint, is_baseline: bool) -> String {
    let Some(summary) = &point.summary else { return "-".to_owned() };
    if is_baseline {
        return number::median(summary, curve.unit);
    }
    let Some(change) = &point.change else {
        return format!("{}, not compared", number::median(summary, curve.unit));
    };
    let change = number::effect(change, curve.unit);
    match point.verdict {
        Some(verdict) => format!("{verdict}: {change}"),
        None if is_notable(point) => format!("*{change}"),
        None => change,
    }
}

fn has_bars(group: &Group<'_>) -> bool {
    group.curves.iter().any(|curve| (0..curve.sides.len()).any(|side| bars(curve, side).is_some()))
}

/// The medians of one side as bars over zero, all sides to one scale. Only for numbers in their order, and several of them.
fn bars(curve: &Curve, side: usize) -> Option<String> {
    let points = &curve.sides.get(side)?.points;
    let numbers: Vec<f64> = points.iter().map(|point| point.number).collect::<Option<_>>()?;
    let in_order = numbers.windows(2).all(|pair| pair[0] < pair[1]);
    if points.len() < POINTS_FOR_BARS || !in_order {
        return None;
    }
    let medians = |points: &[CurvePoint]| -> Vec<f64> {
        points.iter().filter_map(|point| point.summary.map(|summary| summary.median)).collect()
    };
    let all: Vec<f64> = curve.sides.iter().flat_map(|side| medians(&side.points)).collect();
    let largest = all.iter().copied().fold(0.0, f64::max);
    if largest <= 0.0 || all.iter().any(|median| *median < 0.0) {
        return None;
    }
    let bar = |point: &CurvePoint| {
        let Some(summary) = point.summary else { return ' ' };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between zero and the number of bars"
        )]
        let height = (summary.median / largest * 7.0).round() as usize;
        BARS[height.min(7)]
    };
    Some(points.iter().map(bar).collect())
}

/// The group as a markdown table.
pub(crate) fn markdown(group: &Group<'_>) -> Vec<String> {
    let with_bars = has_bars(group);
    let mut rows: Vec<Vec<String>> = Vec::new();
    for curve in &group.curves {
        for (index, side) in curve.sides.iter().enumerate() {
            if rows.is_empty() {
                let values = side.points.iter().map(|point| format!("{} {}", group.dimension, point.value));
                let columns = ["metric", "arm"].into_iter().chain(with_bars.then_some("curve"));
                rows.push(columns.map(ToOwned::to_owned).chain(values).collect());
            }
            let label = if index == 0 { describe::label(&curve.series) } else { String::new() };
            let bars = with_bars.then(|| bars(curve, index).unwrap_or_default());
            let cells = side.points.iter().map(|point| cell(curve, point, index == 0));
            rows.push([label, side.side.clone()].into_iter().chain(bars).chain(cells).collect());
        }
    }
    let words = 2 + usize::from(with_bars);
    let values = rows.first().map_or(0, |row| row.len().saturating_sub(words));
    let align: Vec<Align> =
        std::iter::repeat_n(Align::Left, words).chain(std::iter::repeat_n(Align::Right, values)).collect();
    table::markdown(&rows, &align)
}

/// What stands in a table.
pub(crate) fn legend(group: &Group<'_>) -> String {
    let points = || group.curves.iter().flat_map(|curve| &curve.sides).flat_map(|side| &side.points);
    let compared = points().any(|point| point.change.is_some());
    let mut text = match compared {
        true => "medians of the baseline, changes of the others with 95 % intervals, each for itself",
        false => "medians over boots",
    }
    .to_owned();
    if points().any(|point| point.verdict.is_some()) {
        text.push_str("; with a verdict, adjusted for all comparisons");
    }
    if points().any(is_notable) {
        text.push_str("; *: q at most 0.05");
    }
    if points().any(|point| point.change.is_some_and(|change| change.scale == Scale::Absolute)) {
        text.push_str("; changes of what can be zero in its unit");
    }
    if has_bars(group) {
        text.push_str("; bars: medians, from zero, each curve to one scale");
    }
    text
}

/// What is not shown.
pub(crate) fn left_out(group: &Group<'_>) -> Option<String> {
    (group.hidden > 0)
        .then(|| format!("{} other series, collected around the workloads, are in report.json", group.hidden))
}
