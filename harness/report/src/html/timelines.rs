//! What the levels did over time, under one axis.

use maud::{Markup, html};
use measure::Unit;

use super::{Section, chart, text};
use crate::{
    Model,
    timeline::{self, LevelsOverTime},
};

/// More boots and workloads than this are in the JSON only.
const MOST: usize = 24;

pub(super) fn section(model: &Model) -> Option<Section> {
    let (shown, left_out) = timeline::shown(model, MOST);
    if shown.is_empty() {
        return None;
    }
    let body = html! {
        p.lead { (timeline::LEGEND) }
        @for timeline in shown { (card(timeline)) }
        @if left_out > 0 { p.muted { (left_out) " more are in report.json." } }
    };
    Some(Section { id: "time", short: "Over time", heading: timeline::HEADING, body })
}

/// Panels below each other, one for each thing that is done, with a line for each level that does it.
fn card(timeline: &LevelsOverTime) -> Markup {
    let (mut levels, mut panels): (Vec<&str>, Vec<(&str, Unit)>) = (Vec::new(), Vec::new());
    for row in &timeline.rows {
        if !levels.contains(&row.level.as_str()) {
            levels.push(&row.level);
        }
        if !panels.iter().any(|(what, _)| *what == row.what) {
            panels.push((&row.what, row.unit));
        }
    }
    let class = |level: &str| chart::class(levels.iter().position(|known| *known == level).unwrap_or(0));
    let title = timeline.title();
    html! {
        article.card {
            h3 { (text::line(&title)) }
            ul.legend { @for level in &levels { li { span class={ "key " (class(level)) } {} (text::line(level)) } } }
            div.grid {
                @for (what, unit) in panels {
                    @let lines = timeline.rows.iter().filter(|row| row.what == what);
                    @let lines: Vec<chart::TimeLine<'_>> = lines.map(|row| chart::TimeLine {
                        name: &row.level,
                        class: class(&row.level),
                        values: &row.values,
                    }).collect();
                    figure {
                        figcaption { (what) }
                        (chart::over_time(&lines, timeline.seconds, unit, &format!("{what} over time"), &title))
                    }
                }
            }
        }
    }
}
