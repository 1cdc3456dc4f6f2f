//! Intervals against their margins, on one axis for all gates: it counts margins, and better is to the right.

use maud::{Markup, html};
use measure::Better;

use super::{place, scale::Scale};

/// An interval of a relative change, with its margin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    /// As fractions; 0.02 is two per cent more than the baseline.
    pub(crate) low: f64,
    pub(crate) estimate: f64,
    pub(crate) high: f64,
    /// The change that matters.
    pub(crate) margin: f64,
    pub(crate) better: Better,
}

impl Interval {
    /// Low, estimate, high in margins, better upwards. The logarithm turns a better latency around exactly.
    fn in_margins(&self) -> [f64; 3] {
        let flip = if self.better == Better::Lower { -1.0 } else { 1.0 };
        let (below, above) = (-(-self.margin).ln_1p(), self.margin.ln_1p());
        let places = [self.low, self.estimate, self.high].map(|change| {
            let change = change.max(-0.999_999).ln_1p();
            flip * change / if change < 0.0 { below } else { above }
        });
        if flip < 0.0 { [places[2], places[1], places[0]] } else { places }
    }
}

/// How many margins are shown on each side of zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span(f64);

/// The span that shows all of these, within reason: what lies beyond is pointed at.
pub(crate) fn span(intervals: &[Interval]) -> Span {
    let largest = intervals.iter().flat_map(Interval::in_margins).fold(0.0_f64, |a, b| a.max(b.abs()));
    Span((largest * 1.08).clamp(2.0, 7.0))
}

const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 24.0;

/// One line of the plot.
pub(crate) fn forest(interval: &Interval, Span(span): Span, class: &str, description: &str) -> Markup {
    let axis = Scale::linear((-span, span), (6.0, WIDTH - 6.0));
    let [low, estimate, high] = interval.in_margins();
    let (from, to) = (axis.at(low.max(-span)), axis.at(high.min(span)));
    let middle = HEIGHT / 2.0;
    html! {
        svg.forest viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" {
            title { (description) }
            rect.band x=(place(axis.at(-1.0))) width=(place(axis.at(1.0) - axis.at(-1.0))) y="0" height=(HEIGHT) {}
            line.zero x1=(place(axis.at(0.0))) x2=(place(axis.at(0.0))) y1="0" y2=(HEIGHT) {}
            g class=(class) {
                @if low > span {
                    path.fill d={ "M" (place(axis.at(span) - 5.0)) " " (middle - 5.0) "l8 5l-8 5z" } {}
                } @else if high < -span {
                    path.fill d={ "M" (place(axis.at(-span) + 5.0)) " " (middle - 5.0) "l-8 5l8 5z" } {}
                } @else {
                    line.stroke x1=(place(from)) x2=(place(to)) y1=(middle) y2=(middle) {}
                    (end(from, low < -span, -1.0))
                    (end(to, high > span, 1.0))
                    @if estimate.abs() <= span { circle.fill cx=(place(axis.at(estimate))) cy=(middle) r="4.5" {} }
                }
            }
        }
    }
}

/// A bar where the interval ends, an arrow where it goes on.
fn end(x: f64, beyond: bool, side: f64) -> Markup {
    let middle = HEIGHT / 2.0;
    html! {
        @if beyond {
            path.fill d={ "M" (place(x)) " " (middle - 5.0) "l" (place(6.0 * side)) " 5l" (place(-6.0 * side)) " 5z" } {}
        } @else {
            line.stroke x1=(place(x)) x2=(place(x)) y1=(middle - 5.0) y2=(middle + 5.0) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(low: f64, estimate: f64, high: f64, better: Better) -> Interval {
        Interval { low, estimate, high, margin: 0.02, better }
    }

    #[test]
    fn better_is_to_the_right_and_margins_are_at_one() {
        let close = |found: [f64; 3], expected: [f64; 3]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
        };
        close(interval(-0.02, 0.0, 0.02, Better::Higher).in_margins(), [-1.0, 0.0, 1.0]);
        close(interval(-0.02, 0.0, 0.02, Better::Lower).in_margins(), [-1.0, 0.0, 1.0]);
        let slower = interval(0.03, 0.04, 0.05, Better::Lower).in_margins();
        assert!(slower.iter().all(|place| *place < -1.0) && slower.is_sorted(), "{slower:?}");
    }

    #[test]
    fn the_span_holds_all_within_reason() {
        assert_eq!(span(&[]), Span(2.0));
        assert_eq!(span(&[interval(-0.5, -0.4, 0.0, Better::Higher)]), Span(7.0));
        let Span(some) = span(&[interval(-0.06, 0.0, 0.01, Better::Higher)]);
        assert!((3.0..4.0).contains(&some), "{some}");
    }

    #[test]
    fn what_lies_beyond_is_pointed_at_and_not_drawn() {
        let drawn = |low, high| {
            forest(&interval(low, (low + high) / 2.0, high, Better::Higher), Span(2.0), "a1", "")
                .into_string()
        };
        let beyond = drawn(0.2, 0.3);
        assert!(!beyond.contains("circle") && beyond.contains("path"), "{beyond}");
        let within = drawn(-0.01, 0.01);
        assert!(within.contains("circle") && !within.contains("path"), "{within}");
        // Half a margin left of the middle, which is 57 units of a margin from it.
        assert!(within.contains("x1=\"91.6\""), "{within}");
    }
}
