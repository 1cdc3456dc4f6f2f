//! Which functions a difference is in.

use maud::html;

use super::Section;
use crate::{Model, profile};

pub(super) fn section(model: &Model) -> Option<Section> {
    if model.profiles.is_empty() {
        return None;
    }
    let body = html! {
        @for profiled in &model.profiles { (profile::card(profiled)) }
        @for legend in profile::legends(&model.profiles, false) { p.muted { (super::text::prose(&legend)) } }
        p.muted { (super::text::prose(profile::MORE)) }
    };
    Some(Section { id: "profile", short: "Profile", heading: profile::HEADING, body })
}
