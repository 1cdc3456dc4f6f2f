//! What the words mean.

use maud::html;

use super::Section;
use crate::Model;

pub(super) fn section(model: &Model) -> Option<Section> {
    let body = html! {
        dl.card.words {
            div { dt { "boot" } dd { "The unit of all statistics: one boot of one arm gives one number. Arms are booted in blocks, one boot of each, in an order drawn from a seed; lines in the charts join the boots of a block." } }
            div { dt { "same" } dd { "The whole confidence interval lies inside the margin." } }
            div { dt { "better, worse" } dd { "The whole interval lies beyond the margin." } }
            div { dt { "unclear" } dd { "Neither. The report says how small a change these boots could have shown; it is never called the same." } }
            div { dt { "change" } dd { "Hodges-Lehmann estimate over blocks of the candidate against the baseline, with an interval from signed ranks." } }
            div { dt { "p, q" } dd { "p of a gate is adjusted for all gates (Holm). q of everything else is p adjusted for all of it (Benjamini-Hochberg): of rows with q up to 0.05, about one in twenty is there by chance." } }
        }
        p.muted { "Written by assay " (model.run.assay) ". The same as data: report.json in the run's folder." }
    };
    Some(Section { id: "words", short: "Words", heading: "What the words mean", body })
}
