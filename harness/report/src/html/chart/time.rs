//! Rates over time: a line for each level of a machine.

use maud::{Markup, html};
use measure::Unit;

use super::{
    Frame, WIDTH, float, labels, place, polyline,
    scale::{Scale, extent},
    svg, value_axis,
};
use crate::number;

/// What one level did, interval by interval.
#[derive(Clone, Debug)]
pub(crate) struct TimeLine<'a> {
    pub(crate) name: &'a str,
    pub(crate) class: &'static str,
    pub(crate) values: &'a [f64],
}

const FRAME: Frame = Frame { left: 44.0, right: WIDTH - 10.0, top: 16.0, bottom: 118.0 };

/// Lines through the middles of intervals of so many seconds, from zero up. All charts of one window have the same axis.
pub(crate) fn over_time(
    lines: &[TimeLine<'_>],
    seconds: f64,
    unit: Unit,
    title: &str,
    description: &str,
) -> Markup {
    let high =
        extent(lines.iter().flat_map(|line| line.values.iter().copied())).map_or(1.0, |(_, high)| high);
    let intervals = lines.iter().map(|line| line.values.len()).max().unwrap_or(1);
    let scale = Scale::linear((0.0, if high > 0.0 { high * 1.05 } else { 1.0 }), (FRAME.bottom, FRAME.top));
    let time = Scale::linear((0.0, float(intervals) * seconds), (FRAME.left, FRAME.right));
    let middle = |index: usize| time.at((float(index) + 0.5) * seconds);
    svg(
        title,
        description,
        148.0,
        &html! {
            (value_axis(FRAME, &scale, &labels(&scale.ticks(4), unit)))
            @for tick in time.ticks(6) {
                text.tick.mid x=(place(time.at(tick))) y="132" { (number::significant(tick, 3)) }
            }
            text.unit.mid x=(place(f64::midpoint(FRAME.left, FRAME.right))) y="146" { "s" }
            @for line in lines {
                g class=(line.class) {
                    path.curve d=(polyline(line.values.iter().enumerate().map(|(index, value)| (middle(index), scale.at(*value))))) {
                        title { (line.name) }
                    }
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_share_both_axes() {
        let line = |name, class, values| TimeLine { name, class, values };
        let lines = [line("host", "a0", &[0.0, 100.0][..]), line("server", "a1", &[50.0, 0.0][..])];
        let drawn = over_time(&lines, 0.5, Unit::PerSecond, "t", "d").into_string();
        // 306 units for two intervals: middles at 120.5 and 273.5; 100 lies at 102 / 1.05 above the bottom.
        assert!(drawn.contains("M120.5 118L273.5 20.9"), "{drawn}");
        assert!(drawn.contains("M120.5 69.4L273.5 118"), "{drawn}");
    }
}
