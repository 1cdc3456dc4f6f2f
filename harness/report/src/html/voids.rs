//! Cells whose path was not taken.

use maud::html;

use super::{Section, text};
use crate::Model;

/// More than this are counted.
const MOST: usize = 200;

pub(super) fn section(model: &Model) -> Option<Section> {
    let all = &model.voids;
    if all.is_empty() {
        return None;
    }
    let body = html! {
        div.card.failed {
            p { "What ran here is not what was asked for: the path was not taken. None of its numbers are compared with anything, or \
                 shown elsewhere; the tools' own output is in the run's folder." }
            ul.reasons {
                @for cell in all.iter().take(MOST) {
                    li {
                        b { (text::line(&cell.name())) } ": " (text::line(&cell.why()))
                        " " span.muted { "(void in " (cell.share()) ")" }
                    }
                }
                @if all.len() > MOST { li { (all.len() - MOST) " more are in report.json." } }
            }
        }
    };
    Some(Section { id: "void", short: "Void", heading: "Void: not on the path that was asked for", body })
}
