//! Latency over percentiles. The axis counts nines, so that the tail has as much room as the rest.

use maud::{Markup, html};
use measure::Unit;

use super::{
    Frame, WIDTH, labels, place, polyline,
    scale::{Scale, extent, padded},
    svg, value_axis,
};
use crate::number;

/// The curve of one arm.
#[derive(Clone, Debug)]
pub(crate) struct PercentileCurve<'a> {
    pub(crate) name: &'a str,
    pub(crate) class: &'static str,
    /// By rising percentile.
    pub(crate) points: Vec<PercentilePoint>,
}

/// One percentile over all boots of an arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PercentilePoint {
    /// 0 to below 100.
    pub(crate) percentile: f64,
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

const FRAME: Frame = Frame { left: 44.0, right: WIDTH - 14.0, top: 16.0, bottom: 208.0 };
/// Where the axis has a tick, if the data go that far.
const TICKS: [f64; 7] = [25.0, 50.0, 75.0, 90.0, 99.0, 99.9, 99.99];
const LAST: f64 = 99.999;

/// `-log10(1 - p)`: 1 for 90, 2 for 99, 3 for 99.9.
fn nines(percentile: f64) -> f64 {
    -(1.0 - percentile.clamp(0.0, 99.999_999) / 100.0).log10()
}

/// A line for each arm through its medians, with a band from the lowest boot to the highest.
pub(crate) fn percentiles(
    curves: &[PercentileCurve<'_>],
    unit: Unit,
    title: &str,
    description: &str,
) -> Markup {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let values = extent(points().flat_map(|point| [point.low, point.high])).unwrap_or((0.0, 1.0));
    let scale = if values.0 > 0.0 {
        let (low, high) = padded((values.0.ln(), values.1.ln()), 0.04);
        Scale::log((low.exp(), high.exp()), (FRAME.bottom, FRAME.top))
    } else {
        Scale::linear(padded(values, 0.04), (FRAME.bottom, FRAME.top))
    };
    let (first, last) = extent(points().map(|point| point.percentile)).unwrap_or((50.0, 99.0));
    let axis = Scale::linear((nines(first), nines(last)), (FRAME.left + 6.0, FRAME.right));
    let ticks = TICKS.into_iter().chain([LAST]).filter(|tick| (first..=last).contains(tick));
    svg(
        title,
        description,
        230.0,
        &html! {
            (value_axis(FRAME, &scale, &labels(&scale.ticks(6), unit)))
            @for tick in ticks {
                @let x = place(axis.at(nines(tick)));
                line.grid x1=(x) x2=(x) y1=(FRAME.top) y2=(FRAME.bottom) {}
                @if tick != 75.0 && tick != 25.0 {
                    text.tick.mid x=(place(axis.at(nines(tick)).min(WIDTH - 22.0))) y="224" { "p" (tick) }
                }
            }
            @for curve in curves { g class=(curve.class) { path.area d=(band(curve, &axis, &scale)) {} } }
            @for curve in curves {
                g class=(curve.class) {
                    path.curve d=(line(curve, &axis, &scale)) {}
                    @for point in &curve.points {
                        circle.dot cx=(place(axis.at(nines(point.percentile)))) cy=(place(scale.at(point.median))) r="3.5" {
                            title {
                                (curve.name) " p" (point.percentile) ": " (number::value(point.median, unit, None)) ", boots from "
                                (number::value(point.low, unit, None)) " to " (number::value(point.high, unit, None))
                            }
                        }
                    }
                }
            }
        },
    )
}

fn line(curve: &PercentileCurve<'_>, axis: &Scale, scale: &Scale) -> String {
    let at = |point: &PercentilePoint| (axis.at(nines(point.percentile)), scale.at(point.median));
    polyline(curve.points.iter().map(at))
}

fn band(curve: &PercentileCurve<'_>, axis: &Scale, scale: &Scale) -> String {
    let x = |point: &PercentilePoint| axis.at(nines(point.percentile));
    let above = curve.points.iter().map(|point| (x(point), scale.at(point.high)));
    let below = curve.points.iter().rev().map(|point| (x(point), scale.at(point.low)));
    polyline(above.chain(below)) + "z"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nine_has_the_same_room() {
        let places = [90.0, 99.0, 99.9, 99.99].map(nines);
        assert!(places.iter().zip([1.0, 2.0, 3.0, 4.0]).all(|(a, b)| (a - b).abs() < 1e-9), "{places:?}");
        assert!(nines(100.0).is_finite() && nines(0.0) == 0.0);
    }

    #[test]
    fn the_tail_goes_up_and_values_of_zero_are_drawn_too() {
        let point = |percentile, median: f64| PercentilePoint {
            percentile,
            low: 0.9 * median,
            median,
            high: 1.2 * median,
        };
        let curve = |points| [PercentileCurve { name: "hooks", class: "a1", points }];
        let drawn =
            percentiles(&curve(vec![point(50.0, 100.0), point(99.0, 1000.0)]), Unit::Microseconds, "t", "d");
        let drawn = drawn.into_string();
        assert!(drawn.contains("hooks p99: 1 ms, boots from 900 us to 1.20 ms"), "{drawn}");
        assert!(!drawn.contains("p99.9<") && drawn.contains(">p90<"), "{drawn}");
        let zero =
            percentiles(&curve(vec![point(50.0, 0.0), point(99.0, 10.0)]), Unit::Microseconds, "t", "d");
        assert!(!zero.into_string().contains("NaN"));
    }
}
