//! Charts as inline SVG: pure functions from numbers to markup.
//!
//! Every chart is drawn 360 units wide, which is a phone: wide pages put several side by side instead of stretching one, so that
//! letters have the same size everywhere. Colours are classes (`a0` is the baseline, `a1` the first candidate, ...), so that the page's
//! style decides what they are in the dark.

mod bars;
mod change;
mod curve;
mod dots;
mod forest;
mod order;
mod percentiles;
mod scale;
mod schedule;
mod slopes;
mod stack;
mod time;

use maud::{Markup, html};
use measure::Unit;

use crate::number;

pub(crate) use bars::{ValueBar, bars};
pub(crate) use change::{Change, change};
pub(crate) use curve::{CurveLine, CurveSpot, curve};
pub(crate) use dots::{dots, shared_axis};
pub(crate) use forest::{Interval, Span, forest, span};
pub(crate) use order::order;
pub(crate) use percentiles::{PercentileCurve, PercentilePoint, percentiles};
pub(crate) use schedule::{Boot, Mark, schedule};
pub(crate) use slopes::slopes;
pub(crate) use stack::{Bar, Part, stack};
pub(crate) use time::{TimeLine, over_time};

use scale::Scale;

/// Width of every chart.
pub(crate) const WIDTH: f64 = 360.0;

/// The boots of one arm.
#[derive(Clone, Debug)]
pub(crate) struct Lane<'a> {
    /// The arm's name.
    pub(crate) name: &'a str,
    /// Its colour.
    pub(crate) class: &'static str,
    /// Its values.
    pub(crate) boots: &'a [crate::BootValue],
}

/// Where on a chart the data goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
}

/// The whole chart.
fn svg(title: &str, description: &str, height: f64, body: &Markup) -> Markup {
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (place(height)) } role="img" {
            title { (title) }
            desc { (description) }
            (body)
        }
    }
}

/// A coordinate with as many digits as can be seen.
pub(crate) fn place(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A number of things for arithmetic.
fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// A line through these places, as a path's data.
fn polyline(places: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (x, y) in places {
        let command = if path.is_empty() { 'M' } else { 'L' };
        path.push_str(&format!("{command}{} {}", place(x), place(y)));
    }
    path
}

/// Horizontal lines with their values on the left.
fn value_axis(frame: Frame, scale: &Scale, labels: &Labels) -> Markup {
    html! {
        @for (value, label) in &labels.ticks {
            @let y = place(scale.at(*value));
            line.grid x1=(place(frame.left)) x2=(place(frame.right)) y1=(y) y2=(y) {}
            text.tick.end x=(place(frame.left - 5.0)) y=(place(scale.at(*value) + 3.5)) { (label) }
        }
        @if !labels.unit.is_empty() {
            text.unit x="2" y="10" { (labels.unit) }
        }
    }
}

/// What is written at an axis.
#[derive(Debug, PartialEq)]
struct Labels {
    ticks: Vec<(f64, String)>,
    /// Of all of them, with its prefix.
    unit: String,
}

/// Labels of these values with one prefix and the digits that tell them apart.
fn labels(ticks: &[f64], unit: Unit) -> Labels {
    let largest = ticks.iter().fold(0.0_f64, |largest, tick| largest.max(tick.abs()));
    let (divisor, symbol) = number::scale(largest, unit);
    let apart =
        ticks.windows(2).map(|pair| (pair[1] - pair[0]).abs() / divisor).fold(f64::INFINITY, f64::min);
    let digits = if apart.is_finite() && apart > 0.0 { -number::magnitude(apart * 1.000_001) } else { 0 };
    let label = |tick: &f64| (*tick, number::decimals(tick / divisor, digits.clamp(0, 9)));
    Labels { ticks: ticks.iter().map(label).collect(), unit: symbol }
}

/// A class for each arm by its place in the plan. There are eight; then they begin again with the first candidate's.
pub(crate) fn class(position: usize) -> &'static str {
    const CANDIDATES: [&str; 7] = ["a1", "a2", "a3", "a4", "a5", "a6", "a7"];
    match position.checked_sub(1) {
        None => "a0",
        Some(candidate) => CANDIDATES[candidate % CANDIDATES.len()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_one_unit_and_the_digits_that_tell_them_apart() {
        let of = |ticks: &[f64], unit| {
            let labels = labels(ticks, unit);
            (labels.ticks.into_iter().map(|(_, label)| label).collect::<Vec<_>>(), labels.unit)
        };
        let strings = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            of(&[980e6, 1000e6, 1020e6], Unit::BitsPerSecond),
            (strings(&["0.98", "1.00", "1.02"]), "Gbit/s".into())
        );
        assert_eq!(
            of(&[0.0, 500.0, 1000.0], Unit::Microseconds),
            (strings(&["0.0", "0.5", "1.0"]), "ms".into())
        );
        assert_eq!(of(&[0.0, 1.0], Unit::Count), (strings(&["0", "1"]), String::new()));
        assert_eq!(of(&[], Unit::Count), (vec![], String::new()));
    }

    #[test]
    fn places_are_short() {
        assert_eq!([1.0, 1.25, -0.01, 99.96].map(place), ["1", "1.2", "0", "100"]);
    }

    #[test]
    fn the_baseline_has_a_colour_of_its_own() {
        assert_eq!([0, 1, 7, 8].map(class), ["a0", "a1", "a7", "a1"]);
    }
}
