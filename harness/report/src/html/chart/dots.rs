//! Boots of all arms within a table's cell.

use maud::{Markup, html};

use super::{
    Lane, place,
    scale::{Scale, extent, padded},
};

const WIDTH: f64 = 120.0;
const ROW: f64 = 9.0;
/// With more boots than this, lines from the lowest to the highest stand for the dots.
const MANY: usize = 60;

/// An axis that several of these share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dots(Scale);

/// The axis on which all these boots are seen; none if there are none.
pub(crate) fn shared_axis(lanes: &[Lane<'_>]) -> Option<Dots> {
    let domain = extent(lanes.iter().flat_map(|lane| lane.boots).map(|boot| boot.value))?;
    Some(Dots(Scale::linear(padded(domain, 0.02), (4.0, WIDTH - 4.0))))
}

/// A line for each arm, with a dot for each boot. Dots are round ends of strokes without length: a tenth of the bytes of circles, and
/// a page may have thousands of these.
pub(crate) fn dots(lanes: &[Lane<'_>], Dots(axis): Dots) -> Markup {
    let height = ROW * f64::from(u32::try_from(lanes.len()).unwrap_or(u32::MAX));
    html! {
        svg.dots viewBox={ "0 0 " (WIDTH) " " (height) } height=(height) aria-hidden="true" {
            @for (lane, row) in lanes.iter().zip(0_u32..) {
                path class=(lane.class) d=(path(lane, &axis, ROW * (f64::from(row) + 0.5))) {}
            }
        }
    }
}

fn path(lane: &Lane<'_>, axis: &Scale, y: f64) -> String {
    let values = || lane.boots.iter().map(|boot| boot.value);
    if lane.boots.len() > MANY {
        return extent(values())
            .map(|(low, high)| format!("M{} {y}H{}", place(axis.at(low)), place(axis.at(high))))
            .unwrap_or_default();
    }
    values().map(|value| format!("M{} {y}h0", place(axis.at(value)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BootValue;

    fn boots(count: u32) -> Vec<BootValue> {
        (0..count).map(|n| BootValue { trial: n, block: n, value: f64::from(n) }).collect()
    }

    #[test]
    fn each_boot_is_a_dot_unless_there_are_too_many() {
        let (few, many) = (boots(3), boots(100));
        let lane = |boots| Lane { name: "hooks", class: "a1", boots };
        let axis = shared_axis(&[lane(&few), lane(&many)]).unwrap();
        let drawn = dots(&[lane(&few), lane(&many)], axis).into_string();
        assert_eq!(drawn.matches("h0").count(), 3, "{drawn}");
        assert_eq!(drawn.matches('H').count(), 1, "{drawn}");
        assert!(shared_axis(&[lane(&[])]).is_none());
    }
}
