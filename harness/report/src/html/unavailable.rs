//! What must be known to read the numbers rightly; what could not be measured, and why.

use maud::html;

use super::{Section, text};
use crate::{Model, number, remarks::remarks};

/// More than this are counted.
const MOST: usize = 200;
/// More than this are folded.
const OPEN: usize = 12;

pub(super) fn remarks_section(model: &Model) -> Option<Section> {
    let remarks = remarks(model);
    if remarks.is_empty() {
        return None;
    }
    let body = html! {
        ul.card.reasons { @for remark in remarks.iter().take(MOST) { li { (text::line(remark)) } } }
    };
    Some(Section { id: "remarks", short: "Remarks", heading: "To be read with it", body })
}

pub(super) fn section(model: &Model) -> Option<Section> {
    let all = &model.unavailable;
    if all.is_empty() {
        return None;
    }
    let list = html! {
        ul.reasons {
            @for unavailable in all.iter().take(MOST) {
                li { (text::line(&unavailable.reason)) " " span.muted { "(" (number::counted(unavailable.boots, "boot")) ")" } }
            }
            @if all.len() > MOST { li { (all.len() - MOST) " more are in report.json." } }
        }
    };
    let body = html! {
        div.card {
            @if all.len() > OPEN {
                details { summary { (all.len()) " reasons" } (list) }
            } @else { (list) }
        }
    };
    Some(Section { id: "unavailable", short: "Not measurable", heading: "Not measurable here", body })
}
