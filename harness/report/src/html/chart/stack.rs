//! Shares of a whole as stacked bars, one bar a line.

use maud::{Markup, html};

use super::{Frame, WIDTH, place, scale::Scale, svg};
use crate::number;

/// One bar.
#[derive(Clone, Debug)]
pub(crate) struct Bar<'a> {
    /// Above the bar; bars without one stand close to the one above.
    pub(crate) heading: Option<String>,
    /// Left of the bar.
    pub(crate) name: &'a str,
    pub(crate) parts: Vec<Part>,
}

/// One part of a bar.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    /// What it is.
    pub(crate) name: &'static str,
    /// Its colour.
    pub(crate) class: &'static str,
    /// In per cent of the whole.
    pub(crate) share: f64,
}

const FRAME: Frame = Frame { left: 74.0, right: WIDTH - 6.0, top: 4.0, bottom: 0.0 };
const THICK: f64 = 18.0;
const THIN: f64 = 9.0;
/// Names longer than this are cut.
const NAME: usize = 11;

/// Bars below each other; thin ones where there are many.
pub(crate) fn stack(bars: &[Bar<'_>], title: &str, description: &str) -> Markup {
    let thick = if bars.len() > 8 { THIN } else { THICK };
    let axis = Scale::linear((0.0, 100.0), (FRAME.left, FRAME.right));
    let mut bottom = FRAME.top;
    let mut placed = Vec::with_capacity(bars.len());
    for bar in bars {
        if bar.heading.is_some() {
            bottom += 14.0;
        }
        placed.push((bar, bottom));
        bottom += thick + 4.0;
    }
    svg(
        title,
        description,
        bottom + 16.0,
        &html! {
            @for tick in axis.ticks(4) {
                @let x = place(axis.at(tick));
                line.grid x1=(x) x2=(x) y1=(FRAME.top) y2=(place(bottom)) {}
                text.tick.mid x=(place(axis.at(tick).min(WIDTH - 15.0))) y=(place(bottom + 12.0)) { (tick) " %" }
            }
            @for (bar, y) in placed {
                @if let Some(heading) = &bar.heading { text.unit x="2" y=(place(y - 4.0)) { (heading) } }
                text.tick.end x=(FRAME.left - 6.0) y=(place(y + thick / 2.0 + 3.5)) { (bar.name.chars().take(NAME).collect::<String>()) }
                @for (part, from) in ends(&bar.parts) {
                    @let width = axis.at(part.share) - FRAME.left;
                    rect class={ "part " (part.class) } x=(place(axis.at(from))) width=(place(width)) y=(place(y)) height=(thick) {
                        title { (bar.name) ": " (part.name) " " (number::decimals(part.share, 1)) " %" }
                    }
                    // A number where it fits.
                    @if thick == THICK && width > 26.0 {
                        text class={ "share " (part.class) } x=(place(axis.at(from) + width / 2.0)) y=(place(y + 13.0)) { (number::decimals(part.share, 0)) }
                    }
                }
            }
        },
    )
}

/// Each part with the place where it begins.
fn ends(parts: &[Part]) -> Vec<(&Part, f64)> {
    let mut from = 0.0;
    let mut placed = Vec::with_capacity(parts.len());
    for part in parts.iter().filter(|part| part.share > 0.0) {
        placed.push((part, from));
        from += part.share;
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &'static str, share: f64) -> Part {
        Part { name, class: "c", share }
    }

    #[test]
    fn parts_follow_each_other_and_nothing_is_not_drawn() {
        let parts = [part("user", 10.0), part("steal", 0.0), part("idle", 90.0)];
        let placed: Vec<_> = ends(&parts).into_iter().map(|(part, from)| (part.name, from)).collect();
        assert_eq!(placed, [("user", 0.0), ("idle", 10.0)]);
    }

    #[test]
    fn numbers_stand_where_they_fit() {
        let bar =
            || Bar { heading: None, name: "baseline", parts: vec![part("user", 3.0), part("idle", 97.0)] };
        let few = stack(&[bar()], "t", "d").into_string();
        assert!(few.contains(">97<") && !few.contains(">3<") && few.contains("user 3.0 %"), "{few}");
        let many: Vec<_> = (0..9).map(|_| bar()).collect();
        assert!(!stack(&many, "t", "d").into_string().contains(">97<"));
    }
}
