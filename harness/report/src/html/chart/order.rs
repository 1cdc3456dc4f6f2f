//! Each boot's value in the order in which the boots were made, so that a drift is seen.

use maud::{Markup, html};
use measure::Unit;

use super::{
    Frame, Lane, WIDTH, labels, place, polyline,
    scale::{Scale, extent, padded},
    svg, value_axis,
};
use crate::number;

const FRAME: Frame = Frame { left: 44.0, right: WIDTH - 12.0, top: 16.0, bottom: 168.0 };

/// A line for each arm over the positions in the run's schedule.
pub(crate) fn order(lanes: &[Lane<'_>], unit: Unit, title: &str, description: &str) -> Markup {
    let boots = || lanes.iter().flat_map(|lane| lane.boots);
    let scale = Scale::linear(
        padded(extent(boots().map(|boot| boot.value)).unwrap_or((0.0, 1.0)), 0.06),
        (FRAME.bottom, FRAME.top),
    );
    let (first, last) = extent(boots().map(|boot| f64::from(boot.trial + 1))).unwrap_or((1.0, 1.0));
    let time = Scale::linear(padded((first, last), 0.03), (FRAME.left, FRAME.right));
    svg(
        title,
        description,
        190.0,
        &html! {
            (value_axis(FRAME, &scale, &labels(&scale.ticks(7), unit)))
            @for tick in time.ticks(7).into_iter().filter(|tick| tick.fract() == 0.0 && *tick >= first) {
                text.tick.mid x=(place(time.at(tick))) y="184" { (tick) }
            }
                @for lane in lanes {
                g class=(lane.class) {
                    path.trace d=(path(lane, &time, &scale)) {}
                    @for boot in lane.boots {
                        circle.dot cx=(place(time.at(f64::from(boot.trial + 1)))) cy=(place(scale.at(boot.value))) r="4" {
                            title { (lane.name) ", boot " (boot.trial + 1) ": " (number::value(boot.value, unit, None)) }
                        }
                    }
                }
            }
        },
    )
}

fn path(lane: &Lane<'_>, time: &Scale, scale: &Scale) -> String {
    let mut boots: Vec<_> = lane.boots.iter().collect();
    boots.sort_by_key(|boot| boot.trial);
    polyline(boots.into_iter().map(|boot| (time.at(f64::from(boot.trial + 1)), scale.at(boot.value))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BootValue;

    #[test]
    fn boots_stand_in_the_order_of_time() {
        let boots = [(5, 0, 1.0), (0, 1, 3.0), (2, 2, 2.0)].map(BootValue::from);
        let lane = Lane { name: "hooks", class: "a1", boots: &boots };
        let (time, scale) =
            (Scale::linear((0.0, 10.0), (0.0, 10.0)), Scale::linear((0.0, 10.0), (0.0, 10.0)));
        assert_eq!(path(&lane, &time, &scale), "M1 3L3 2L6 1");
        let drawn = order(&[lane], Unit::Seconds, "t", "d").into_string();
        assert!(drawn.contains("hooks, boot 6: 1 s"), "{drawn}");
    }
}
