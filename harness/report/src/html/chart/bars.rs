//! Values beside each other as bars, one bar a line, from zero.

use maud::{Markup, html};
use measure::Unit;

use super::{Frame, WIDTH, place, scale::Scale, svg};
use crate::number;

/// One bar.
#[derive(Clone, Debug)]
pub(crate) struct ValueBar {
    /// Left of the bar.
    pub(crate) name: String,
    /// Its colour.
    pub(crate) class: &'static str,
    /// How long it is, or what is said where there is no value.
    pub(crate) value: Result<f64, &'static str>,
}

const FRAME: Frame = Frame { left: 108.0, right: WIDTH - 64.0, top: 4.0, bottom: 0.0 };
const THICK: f64 = 15.0;
const STEP: f64 = 20.0;

/// Bars below each other, each with its value; all charts that are given the same `largest` have one scale.
pub(crate) fn bars(bars: &[ValueBar], unit: Unit, largest: f64, title: &str, description: &str) -> Markup {
    let axis = Scale::linear((0.0, largest.max(f64::MIN_POSITIVE)), (FRAME.left, FRAME.right));
    let rows = bars.iter().scan(FRAME.top, |y, bar| {
        let here = *y;
        *y += STEP;
        Some((bar, here))
    });
    let rows: Vec<(&ValueBar, f64)> = rows.collect();
    let height = rows.last().map_or(FRAME.top, |(_, y)| y + STEP) + 4.0;
    svg(
        title,
        description,
        height,
        &html! {
            @for (bar, y) in rows {
                text.tick.end x=(FRAME.left - 6.0) y=(place(y + 11.5)) { (bar.name) }
                @match bar.value {
                    Ok(value) => {
                        g class=(bar.class) {
                            rect.fill x=(FRAME.left) width=(place((axis.at(value) - FRAME.left).max(0.5))) y=(place(y)) height=(THICK) {
                                title { (bar.name) ": " (number::value(value, unit, None)) }
                            }
                        }
                        text.tick x=(place(axis.at(value) + 5.0)) y=(place(y + 11.5)) { (number::value(value, unit, None)) }
                    }
                    Err(said) => { text.tick x=(FRAME.left + 4.0) y=(place(y + 11.5)) { (said) } }
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_value_and_what_has_none_says_why() {
        let bar = |name: &str, value| ValueBar { name: name.to_owned(), class: "a0", value };
        let chart = [bar("whole", Ok(2.0)), bar("half", Ok(1.0)), bar("none", Err("void"))];
        let text = bars(&chart, Unit::Count, 2.0, "title", "description").into_string();
        let full = FRAME.right - FRAME.left;
        assert!(text.contains(&format!("width=\"{}\"", place(full))), "{text}");
        assert!(text.contains(&format!("width=\"{}\"", place(full / 2.0))), "{text}");
        assert!(text.contains(">void<") && text.matches("<rect").count() == 2, "{text}");
    }
}
