//! The change of each block, the interval over all of them, and the margin, on one axis in per cent.

use maud::{Markup, html};
use measure::Better;

use super::{
    Frame, WIDTH, place,
    scale::{Scale, extent, step},
    svg,
};
use crate::number;

/// What is drawn. Changes are fractions of the baseline.
#[derive(Clone, Debug)]
pub(crate) struct Change<'a> {
    /// The change within each block, with the block's number.
    pub(crate) blocks: &'a [(u32, f64)],
    pub(crate) estimate: f64,
    /// None if there are too few blocks.
    pub(crate) interval: Option<(f64, f64)>,
    pub(crate) margin: f64,
    pub(crate) better: Better,
    /// Colour of the candidate.
    pub(crate) class: &'static str,
    /// `90 %`.
    pub(crate) confidence: &'a str,
}

const FRAME: Frame = Frame { left: 12.0, right: WIDTH - 12.0, top: 26.0, bottom: 168.0 };
/// The line on which the interval stands.
const INTERVAL: f64 = 142.0;
/// The line around which the blocks' dots stand.
const DOTS: f64 = 80.0;
const RADIUS: f64 = 4.0;

/// Dots of blocks above their interval.
pub(crate) fn change(change: &Change<'_>, title: &str, description: &str) -> Markup {
    let values = change.blocks.iter().map(|(_, change)| *change);
    let ends = change.interval.map(|(low, high)| [low, high]).into_iter().flatten();
    let marks = [0.0, change.estimate, 1.3 * change.margin, -1.3 * change.margin];
    let (low, high) = extent(values.chain(ends).chain(marks)).unwrap_or((-1.0, 1.0));
    let (low, high) = (low.max(-0.99).ln_1p(), high.ln_1p());
    let pad = 0.04 * (high - low);
    // Logarithms on the axis: a halving is as far from zero as a doubling.
    let axis = Scale::linear((low - pad, high + pad), (FRAME.left, FRAME.right));
    let at = |change: f64| axis.at(change.max(-0.99).ln_1p());
    let (from, to) = (at(-change.margin), at(change.margin));
    svg(
        title,
        description,
        142.0,
        &html! {
            rect.band x=(place(from)) width=(place(to - from)) y=(FRAME.top) height=(FRAME.bottom - FRAME.top) {}
            @for (tick, label) in ticks((low - pad).exp_m1(), (high + pad).exp_m1()) {
                line.grid x1=(place(at(tick))) x2=(place(at(tick))) y1=(FRAME.top) y2=(FRAME.bottom) {}
                text.tick.mid x=(place(at(tick).clamp(16.0, WIDTH - 16.0))) y="184" { (label) }
            }
            line.zero x1=(place(at(0.0))) x2=(place(at(0.0))) y1=(FRAME.top) y2=(FRAME.bottom) {}
            (directions(change.better))
            g class=(change.class) {
                @for ((block, value), (x, y)) in change.blocks.iter().zip(spread(change.blocks, at)) {
                    circle.dot cx=(place(x)) cy=(place(y)) r=(RADIUS) {
                        title { "block " (block + 1) ": " (number::signed_percent(*value)) }
                    }
                }
                @if let Some((low, high)) = change.interval {
                    line.stroke x1=(place(at(low))) x2=(place(at(high))) y1=(INTERVAL) y2=(INTERVAL) {
                        title { (change.confidence) " interval" }
                    }
                    @for end in [low, high] {
                        line.stroke x1=(place(at(end))) x2=(place(at(end))) y1=(INTERVAL - 6.0) y2=(INTERVAL + 6.0) {}
                    }
                }
                path.fill d={ "M" (place(at(change.estimate))) " " (INTERVAL - 6.0) "l6 6l-6 6l-6-6z" } {
                    title { "estimate " (number::signed_percent(change.estimate)) }
                }
            }
        },
    )
}

/// Which end of the axis is which.
fn directions(better: Better) -> Markup {
    let (left, right) = match better {
        Better::Higher => ("◂ worse", "better ▸"),
        Better::Lower => ("◂ better", "worse ▸"),
        Better::Neither => ("◂ less", "more ▸"),
    };
    html! {
        text.tick x=(FRAME.left) y="14" { (left) }
        text.tick.end x=(FRAME.right) y="14" { (right) }
        text.tick.mid x=(WIDTH / 2.0) y="14" { "change" }
    }
}

fn ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let (low, high) = (100.0 * low, 100.0 * high);
    let step = step(high - low, 6);
    let digits = (-number::magnitude(step * 1.000_001)).clamp(0, 4);
    let ticks = Scale::linear((low, high), (0.0, 1.0)).ticks(6);
    ticks.into_iter().map(|tick| (tick / 100.0, format!("{} %", number::signed(tick, digits)))).collect()
}

/// Dots that would cover each other stand above and below the line.
fn spread(blocks: &[(u32, f64)], at: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
    let mut placed: Vec<(f64, f64)> = Vec::with_capacity(blocks.len());
    for (_, value) in blocks {
        let x = at(*value);
        let free = |y: f64| placed.iter().all(|(px, py)| (px - x).hypot(py - y) > 2.0 * RADIUS - 0.5);
        let steps = (0..12_u8).flat_map(|n| [-1.0, 1.0].map(|side| DOTS + side * f64::from(n) * 4.5));
        placed.push((x, steps.into_iter().find(|y| free(*y)).unwrap_or(DOTS)));
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_do_not_cover_each_other() {
        let blocks: Vec<(u32, f64)> = (0..8).map(|block| (block, 0.01)).collect();
        let placed = spread(&blocks, |value| 1000.0 * value);
        for (index, (x, y)) in placed.iter().enumerate() {
            assert!((FRAME.top..INTERVAL).contains(y), "{y}");
            assert!(placed[..index].iter().all(|(px, py)| (px - x).hypot(py - y) > RADIUS), "{placed:?}");
        }
    }

    #[test]
    fn ticks_are_signed_percentages() {
        let labels: Vec<_> = ticks(-0.052, 0.021).into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["-4 %", "-2 %", "0 %", "+2 %"]);
    }

    #[test]
    fn a_change_without_an_interval_has_its_estimate() {
        let blocks = [(0, -0.5), (1, 1.0)];
        let drawn = |interval| {
            let what = Change {
                blocks: &blocks,
                estimate: 0.0,
                interval,
                margin: 0.02,
                better: Better::Lower,
                class: "a1",
                confidence: "90 %",
            };
            change(&what, "t", "d").into_string()
        };
        assert!(drawn(None).contains("estimate 0.00 %") && !drawn(None).contains("90 % interval"));
        assert!(drawn(Some((-0.5, 1.0))).contains("90 % interval"));
        assert!(drawn(None).contains("◂ better"));
    }
}
