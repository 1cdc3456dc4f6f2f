//! Every boot of a run in the order of time: which arm it was, and how it ended.

use maud::{Markup, html};

use super::{Frame, WIDTH, place, scale::Scale, svg};

/// One boot.
#[derive(Clone, Debug)]
pub(crate) struct Boot {
    /// Position in the schedule, from 0.
    pub(crate) index: u32,
    pub(crate) mark: Mark,
    /// What it was and how it ended.
    pub(crate) words: String,
}

/// How a boot is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A full square.
    Measured,
    /// An empty square: measured with tracing.
    Traced,
    /// A cross.
    Failed,
}

const FRAME: Frame = Frame { left: 74.0, right: WIDTH - 6.0, top: 4.0, bottom: 0.0 };
const ROW: f64 = 20.0;
const NAME: usize = 11;

/// A line for each arm, given as name, colour and boots.
pub(crate) fn schedule(arms: &[(&str, &'static str, Vec<Boot>)], title: &str, description: &str) -> Markup {
    let count = arms.iter().flat_map(|(.., boots)| boots).map(|boot| boot.index + 1).max().unwrap_or(1);
    let axis = Scale::linear((0.5, f64::from(count) + 0.5), (FRAME.left, FRAME.right));
    let side = ((FRAME.right - FRAME.left) / f64::from(count) - 2.0).clamp(1.0, 12.0);
    let rows = f64::from(u32::try_from(arms.len()).unwrap_or(u32::MAX));
    let bottom = FRAME.top + ROW * rows;
    svg(
        title,
        description,
        bottom + 16.0,
        &html! {
            @for ((name, class, boots), row) in arms.iter().zip(0_u32..) {
                @let y = FRAME.top + ROW * (f64::from(row) + 0.5);
                text.tick.end x=(FRAME.left - 6.0) y=(place(y + 3.5)) { (name.chars().take(NAME).collect::<String>()) }
                line.grid x1=(FRAME.left) x2=(FRAME.right) y1=(place(y)) y2=(place(y)) {}
                g class=(class) {
                    @for boot in boots { (mark(boot, axis.at(f64::from(boot.index + 1)), y, side)) }
                }
            }
            @for tick in axis.ticks(8).into_iter().filter(|tick| tick.fract() == 0.0 && *tick >= 1.0) {
                text.tick.mid x=(place(axis.at(tick))) y=(place(bottom + 12.0)) { (tick) }
            }
        },
    )
}

fn mark(boot: &Boot, x: f64, y: f64, side: f64) -> Markup {
    let (left, top) = (x - side / 2.0, y - 6.0);
    html! {
        @match boot.mark {
            Mark::Measured => rect.fill x=(place(left)) y=(place(top)) width=(place(side)) height="12" { title { (boot.words) } },
            Mark::Traced => rect.hollow x=(place(left)) y=(place(top)) width=(place(side)) height="12" { title { (boot.words) } },
            Mark::Failed => path.cross d={ "M" (place(left)) " " (place(top)) "l" (place(side)) " 12m0-12l-" (place(side)) " 12" } { title { (boot.words) } },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_boot_is_marked_by_how_it_ended() {
        let boot = |index, mark| Boot { index, mark, words: format!("boot {}", index + 1) };
        let arms = [
            ("baseline", "a0", vec![boot(0, Mark::Measured), boot(3, Mark::Traced)]),
            ("broken", "a1", vec![boot(1, Mark::Failed)]),
        ];
        let drawn = schedule(&arms, "t", "d").into_string();
        for (what, times) in
            [("class=\"fill\"", 1), ("class=\"hollow\"", 1), ("class=\"cross\"", 1), ("<title>boot ", 3)]
        {
            assert_eq!(drawn.matches(what).count(), times, "{what} in {drawn}");
        }
    }
}
