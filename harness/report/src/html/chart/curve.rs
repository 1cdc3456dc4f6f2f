//! A metric over the values of a dimension of a matrix: one line an arm, a dot for each boot.

use maud::{Markup, html};
use measure::Unit;

use super::{
    Frame, WIDTH, float, labels, place, polyline,
    scale::{Scale, extent, padded},
    svg, value_axis,
};
use crate::number;

/// One side of the comparison over the dimension.
#[derive(Clone, Debug)]
pub(crate) struct CurveLine<'a> {
    pub(crate) name: &'a str,
    pub(crate) class: &'static str,
    /// In the order of the dimension's values.
    pub(crate) points: Vec<CurveSpot<'a>>,
}

/// One side at one value of the dimension.
#[derive(Clone, Debug)]
pub(crate) struct CurveSpot<'a> {
    /// Which of the dimension's values, from 0.
    pub(crate) position: usize,
    pub(crate) median: f64,
    /// Of the median; none with too few boots.
    pub(crate) interval: Option<(f64, f64)>,
    pub(crate) boots: &'a [crate::BootValue],
}

const FRAME: Frame = Frame { left: 44.0, right: WIDTH - 10.0, top: 16.0, bottom: 168.0 };

/// Lines through medians. Values are evenly spaced whatever they are: people double them, and the ends matter as much as the middle.
pub(crate) fn curve(
    curves: &[CurveLine<'_>],
    (dimension, values): (&str, &[&str]),
    unit: Unit,
    title: &str,
    description: &str,
) -> Markup {
    let all = curves.iter().flat_map(|curve| &curve.points).flat_map(|point| point.boots);
    let (low, high) = extent(all.map(|boot| boot.value)).unwrap_or((0.0, 1.0));
    // From zero where that is near: a curve over a dimension is read as a proportion.
    let domain = if low >= 0.0 && low < 0.5 * high { (0.0, high * 1.05) } else { padded((low, high), 0.06) };
    let scale = Scale::linear(domain, (FRAME.bottom, FRAME.top));
    let width = (FRAME.right - FRAME.left) / float(values.len().max(1));
    // Sides stand beside each other, or their dots would hide one another.
    let apart = (width / 4.0).min(9.0) / float(curves.len().max(1));
    let x = |position: usize, side: usize| {
        FRAME.left
            + width * (float(position) + 0.5)
            + apart * (float(side) - float(curves.len().saturating_sub(1)) / 2.0)
    };
    svg(
        title,
        description,
        202.0,
        &html! {
            (value_axis(FRAME, &scale, &labels(&scale.ticks(7), unit)))
            @for (position, value) in values.iter().enumerate() {
                text.tick.mid x=(place(x(position, 0) + apart * (float(curves.len()) - 1.0) / 2.0)) y="183" { (value.chars().take(14).collect::<String>()) }
            }
            text.unit.mid x=(place(f64::midpoint(FRAME.left, FRAME.right))) y="198" { (dimension) }
            @for (side, curve) in curves.iter().enumerate() {
                g class=(curve.class) {
                    path.curve d=(polyline(curve.points.iter().map(|point| (x(point.position, side), scale.at(point.median))))) {}
                    @for point in &curve.points {
                        @let x = place(x(point.position, side));
                        @if let Some((low, high)) = point.interval {
                            line.interval x1=(x) x2=(x) y1=(place(scale.at(low))) y2=(place(scale.at(high))) {}
                        }
                        @for boot in point.boots {
                            circle.dot cx=(x) cy=(place(scale.at(boot.value))) r="3" {
                                title { (curve.name) ", boot " (boot.trial + 1) ": " (number::value(boot.value, unit, None)) }
                            }
                        }
                    }
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BootValue;

    #[test]
    fn values_are_evenly_spaced_and_sides_do_not_hide_each_other() {
        let boots = [BootValue { trial: 0, block: 0, value: 10.0 }];
        let side = |name, class| CurveLine {
            name,
            class,
            points: (0..2)
                .map(|position| CurveSpot { position, median: 10.0, interval: None, boots: &boots })
                .collect(),
        };
        let sides = [side("baseline", "a0"), side("hooks", "a1")];
        let drawn = curve(&sides, ("flows", &["1", "16"]), Unit::Count, "t", "d");
        let drawn = drawn.into_string();
        // 306 units for two values: the middles are 120.5 and 273.5, the sides 4.5 apart.
        for x in ["118.2", "122.8", "271.2", "275.8"] {
            assert!(drawn.contains(&format!("cx=\"{x}\"")), "{x} in {drawn}");
        }
    }
}
