//! Who called whom, as a drawing: two arms in one, what differs in colour.

use maud::{Markup, html};
use profile::{Flame, Frame, Per};

use crate::{html::text, number};

/// In the drawing's own units; a page scales it.
const WIDTH: f64 = 1200.0;
const ROW: f64 = 18.0;
/// What is narrower is not drawn, and neither is what it called.
const NARROWEST: f64 = 0.001;
/// Of a letter, about.
const LETTER: f64 = 6.7;
/// Differences up to these shares of a frame are pale, clear, and strong.
const SHADES: [f64; 2] = [0.1, 0.5];
/// Differences within so many standard deviations of what samples vary by have no colour.
const CHANCE: f64 = 3.0;

/// A frame where it is drawn.
struct Drawn<'a> {
    frame: &'a Frame,
    x: f64,
    width: f64,
    depth: u32,
}

/// The drawing and how to read it, or why there is none.
pub(crate) fn figure(flame: &Result<Flame, String>, per: Per, is_paired: bool) -> Markup {
    let flame = match flame {
        Ok(flame) if weight(&flame.root, is_paired) > 0.0 => flame,
        Ok(_) => {
            return html! { p.muted { "unavailable: flame graph: no stack was sampled in so short a window" } };
        }
        Err(why) => return html! { p.muted { "unavailable: flame graph: " (text::line(why)) } },
    };
    let (drawn, scale) = draw(flame, is_paired);
    let depth = drawn.iter().map(|drawn| drawn.depth).max().unwrap_or(0);
    let height = f64::from(depth + 1) * ROW;
    let unit = if per == Per::Kib { " per KiB" } else { "" };
    html! {
        details {
            summary { "Who called whom: flame graph" }
            p.muted { (text::line(&legend(flame, is_paired))) }
            div.scroll {
                svg.flame viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label="flame graph" {
                    @for Drawn { frame, x, width, depth } in &drawn {
                        g class=(shade(frame, scale, is_paired)) {
                            title { (text::line(&told(frame, unit, &flame.root, is_paired))) }
                            rect x=(format!("{x:.1}")) y=(f64::from(*depth) * ROW) width=(format!("{:.1}", (width - 0.5).max(0.5))) height=(ROW - 1.0) {}
                            @let name = fitting(name(frame), *width);
                            @if !name.is_empty() {
                                text x=(format!("{:.1}", x + 3.0)) y=(f64::from(*depth) * ROW + 12.5) { (text::line(&name)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// How wide a frame is, in instructions.
fn weight(frame: &Frame, is_paired: bool) -> f64 {
    if is_paired { f64::midpoint(frame.baseline, frame.arm) } else { frame.arm }
}

/// Every frame that is wide enough, and how many samples an instruction is.
fn draw(flame: &Flame, is_paired: bool) -> (Vec<Drawn<'_>>, f64) {
    let all = weight(&flame.root, is_paired);
    let mut drawn = Vec::new();
    let mut waiting = vec![Drawn { frame: &flame.root, x: 0.0, width: WIDTH, depth: 0 }];
    while let Some(next) = waiting.pop() {
        let mut x = next.x;
        for frame in &next.frame.children {
            let width = weight(frame, is_paired) / all * WIDTH;
            if width >= NARROWEST * WIDTH {
                waiting.push(Drawn { frame, x, width, depth: next.depth + 1 });
            }
            x += width;
        }
        drawn.push(next);
    }
    let samples = flame.samples.0 + flame.samples.1;
    (drawn, samples as f64 / (flame.root.baseline + flame.root.arm))
}

fn name(frame: &Frame) -> &str {
    if frame.name.is_empty() { "all" } else { &frame.name }
}

/// As much of a name as a frame has room for.
fn fitting(name: &str, width: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between zero and a drawing's width"
    )]
    let letters = ((width - 6.0) / LETTER).clamp(0.0, WIDTH) as usize;
    match name.chars().count() {
        length if length <= letters => name.to_owned(),
        _ if letters < 4 => String::new(),
        _ => name.chars().take(letters - 2).chain("..".chars()).collect(),
    }
}

/// The class that colours a frame. How much samples vary by chance is taken as their number's square root, for both arms.
fn shade(frame: &Frame, scale: f64, is_paired: bool) -> &'static str {
    let difference = frame.arm - frame.baseline;
    let chance = CHANCE * ((frame.baseline + frame.arm) * scale).sqrt();
    if !is_paired || difference.abs() * scale <= chance {
        return "alike";
    }
    let share = difference.abs() / frame.baseline.max(frame.arm);
    match (difference > 0.0, SHADES.iter().filter(|bound| share > **bound).count()) {
        (true, 0) => "more0",
        (true, 1) => "more1",
        (true, _) => "more2",
        (false, 0) => "less0",
        (false, 1) => "less1",
        (false, _) => "less2",
    }
}

fn told(frame: &Frame, unit: &str, root: &Frame, is_paired: bool) -> String {
    let value = |value: f64| number::decimals(value, if value.abs() < 10.0 { 2 } else { 0 });
    let share = number::percent(weight(frame, is_paired) / weight(root, is_paired));
    let name = name(frame);
    if is_paired {
        let difference = number::signed(frame.arm - frame.baseline, 3);
        format!(
            "{name}: {} and {}{unit}, {difference}; {share} of all",
            value(frame.baseline),
            value(frame.arm)
        )
    } else {
        format!("{name}: {}{unit}, {share} of all", value(frame.arm))
    }
}

fn legend(flame: &Flame, is_paired: bool) -> String {
    let (every, narrowest) = (flame.every, number::percent(NARROWEST));
    let samples = if is_paired {
        format!("{} samples of the baseline and {} of the arm", flame.samples.0, flame.samples.1)
    } else {
        number::counted(flame.samples.1, "sample")
    };
    let colours = if is_paired {
        " A frame is as wide as the mean of both arms; orange is more in the arm, blue is less, the stronger the larger its share; \
         what chance could make of so many samples has no colour."
    } else {
        ""
    };
    format!(
        "Sampled, not counted: the stack of whatever executes every {every}th instruction that is no string instruction, followed by the \
         kernel's own tables (ORC); {samples}, the idle task left out. Callers are above what they called, programs on top.{colours} \
         What is below {narrowest} of all is not drawn. What the tables say is exact."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &str, baseline: f64, arm: f64, children: Vec<Frame>) -> Frame {
        Frame { name: name.to_owned(), baseline, arm, children }
    }

    fn flame() -> Flame {
        let leaf = frame("tcp_ack<b>", 100.0, 300.0, vec![]);
        let narrow = frame("never_drawn", 0.1, 0.1, vec![]);
        let program = frame("iperf3", 900.0, 1100.0, vec![narrow, leaf, frame("gone", 100.0, 0.0, vec![])]);
        Flame { every: 100, samples: (9000, 11_000), root: frame("", 900.0, 1100.0, vec![program]) }
    }

    #[test]
    fn frames_are_as_wide_as_both_arms_are_and_coloured_by_what_differs() {
        let page = figure(&Ok(flame()), Per::Kib, true).into_string();
        assert!(page.contains("tcp_ack&lt;b&gt;: 100 and 300 per KiB"), "{page}");
        assert!(!page.contains("never_drawn"));
        let flame = flame();
        let (drawn, scale) = draw(&flame, true);
        let of = |name: &str| drawn.iter().find(|drawn| drawn.frame.name == name).unwrap();
        assert!((of("tcp_ack<b>").width - 240.0).abs() < 1e-9);
        assert_eq!(shade(of("tcp_ack<b>").frame, scale, true), "more2");
        assert_eq!(shade(of("gone").frame, scale, true), "less2");
        assert_eq!(shade(of("iperf3").frame, scale, true), "more1");
        assert_eq!(shade(of("iperf3").frame, scale, false), "alike");
        assert!(drawn.iter().all(|drawn| drawn.x + drawn.width <= WIDTH + 1e-9));
    }

    #[test]
    fn what_a_few_samples_differ_by_has_no_colour() {
        let few = frame("f", 1.0, 2.0, vec![]);
        assert_eq!(shade(&few, 1.0, true), "alike");
        assert_eq!(shade(&few, 1000.0, true), "more1");
    }

    #[test]
    fn why_there_is_none_is_told() {
        let why = figure(&Err("its kernel has no tables".to_owned()), Per::Kib, true).into_string();
        assert!(why.contains("unavailable: flame graph: its kernel has no tables"));
        let empty = Flame { every: 1, samples: (0, 0), root: Frame::default() };
        assert!(figure(&Ok(empty), Per::Kib, true).into_string().contains("unavailable"));
    }

    #[test]
    fn names_are_cut_to_their_frames() {
        assert_eq!(fitting("tcp_sendmsg", 200.0), "tcp_sendmsg");
        assert_eq!(fitting("tcp_sendmsg_locked", 60.0), "tcp_se..");
        assert_eq!(fitting("tcp_sendmsg", 20.0), "");
    }
}
