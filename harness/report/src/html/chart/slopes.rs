//! Each boot's value by arm, with a line between the boots of a block.

use std::collections::BTreeMap;

use maud::{Markup, html};
use measure::Unit;
use stats::summarise;

use super::{
    Frame, Lane, WIDTH, labels, place, polyline,
    scale::{Scale, extent, padded},
    svg, value_axis,
};
use crate::number;

const FRAME: Frame = Frame { left: 44.0, right: WIDTH - 8.0, top: 16.0, bottom: 168.0 };
/// Names longer than this are cut: they are in the legend.
const NAME: usize = 18;

/// A lane for each arm, in order.
pub(crate) fn slopes(lanes: &[Lane<'_>], unit: Unit, title: &str, description: &str) -> Markup {
    let values = lanes.iter().flat_map(|lane| lane.boots).map(|boot| boot.value);
    let scale = Scale::linear(padded(extent(values).unwrap_or((0.0, 1.0)), 0.06), (FRAME.bottom, FRAME.top));
    let xs = places(lanes.len());
    svg(
        title,
        description,
        190.0,
        &html! {
            (value_axis(FRAME, &scale, &labels(&scale.ticks(7), unit)))
            @for line in by_block(lanes) {
                path.pair d=(polyline(line.iter().map(|(position, value)| (xs[*position], scale.at(*value))))) {}
            }
            @for (lane, x) in lanes.iter().zip(&xs) {
                g class=(lane.class) {
                    @if let Ok(Some(summary)) = summarise(&lane.boots.iter().map(|boot| boot.value).collect::<Vec<_>>()) {
                        @let y = place(scale.at(summary.median));
                        line.stroke x1=(place(x - 18.0)) x2=(place(x + 18.0)) y1=(y) y2=(y) {
                            title { (lane.name) ": median " (number::median(&summary, unit)) }
                        }
                        @for boot in lane.boots {
                            circle.dot cx=(place(*x)) cy=(place(scale.at(boot.value))) r="4" {
                                title { (lane.name) ", block " (boot.block + 1) ", boot " (boot.trial + 1) ": " (number::value(boot.value, unit, summary.variation)) }
                            }
                        }
                    }
                }
                text.tick.mid x=(place(*x)) y="184" { (lane.name.chars().take(NAME).collect::<String>()) }
            }
        },
    )
}

fn places(lanes: usize) -> Vec<f64> {
    let width = FRAME.right - FRAME.left;
    let lanes_wide = f64::from(u32::try_from(lanes.max(1)).unwrap_or(u32::MAX));
    (0..u32::try_from(lanes).unwrap_or(u32::MAX))
        .map(|lane| FRAME.left + width * (f64::from(lane) + 0.5) / lanes_wide)
        .collect()
}

/// The values of each block that at least two lanes have, with the lane's position.
fn by_block(lanes: &[Lane<'_>]) -> Vec<Vec<(usize, f64)>> {
    let mut blocks: BTreeMap<u32, Vec<(usize, f64)>> = BTreeMap::new();
    for (position, lane) in lanes.iter().enumerate() {
        for boot in lane.boots {
            blocks.entry(boot.block).or_default().push((position, boot.value));
        }
    }
    blocks.into_values().filter(|values| values.len() > 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BootValue;

    #[test]
    fn boots_of_a_block_are_joined_and_lone_ones_are_not() {
        let boot = |trial, block, value| BootValue { trial, block, value };
        let (before, after) =
            ([boot(0, 0, 1.0), boot(3, 1, 2.0), boot(4, 2, 3.0)], [boot(1, 0, 5.0), boot(2, 1, 6.0)]);
        let lanes = [
            Lane { name: "baseline", class: "a0", boots: &before },
            Lane { name: "hooks", class: "a1", boots: &after },
        ];
        assert_eq!(by_block(&lanes), [vec![(0, 1.0), (1, 5.0)], vec![(0, 2.0), (1, 6.0)]]);
        let drawn = slopes(&lanes, Unit::Count, "t", "d").into_string();
        assert_eq!(drawn.matches("class=\"pair\"").count(), 2);
        assert_eq!(drawn.matches("<circle").count(), 5);
        assert!(drawn.contains("hooks, block 2, boot 3: 6"), "{drawn}");
        assert_eq!(places(2), [121.0, 275.0]);
    }
}
