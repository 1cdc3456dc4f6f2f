//! Each gated metric: the change with its interval, every boot by arm, and every boot in the order of time.

use std::collections::BTreeMap;

use maud::{Markup, html};
use stats::{Scale, Summary};

use super::{
    Section,
    chart::{self, Change, Lane},
    data, text, verdicts,
};
use crate::{Gate, Model, describe, number, verdict};

/// More than this are in the table above and in the JSON only: a page of charts that nobody scrolls through helps nobody.
const MOST: usize = 24;
/// More than this are folded.
const OPEN: usize = 6;

pub(super) fn section(model: &Model) -> Option<Section> {
    // Candidates share the charts of a metric's boots.
    let mut groups: Vec<Vec<(usize, &Gate)>> = Vec::new();
    for (index, gate) in model.gates.iter().enumerate().filter(|(_, gate)| has_card(model, gate)) {
        match groups
            .iter_mut()
            .find(|group| group.first().is_some_and(|(_, first)| first.series == gate.series))
        {
            Some(group) => group.push((index, gate)),
            None => groups.push(vec![(index, gate)]),
        }
    }
    if groups.is_empty() {
        return None;
    }
    let body = html! {
        @for group in groups.iter().take(MOST) { (card(model, group, groups.len() <= OPEN)) }
        @if groups.len() > MOST { p.muted { (groups.len() - MOST) " more gated metrics are in the table above and in report.json." } }
    };
    Some(Section { id: "gates", short: "Gates", heading: "Gates, boot by boot", body })
}

/// Whether there is anything to draw of a gated metric: an arm that failed has no boots to show.
pub(super) fn has_card(model: &Model, gate: &Gate) -> bool {
    model.gates.iter().any(|other| other.series == gate.series && !other.candidate_by_boot.is_empty())
}

fn card(model: &Model, group: &[(usize, &Gate)], open: bool) -> Markup {
    let Some((_, first)) = group.first() else { return Markup::default() };
    let label = describe::label(&first.series);
    let lanes: Vec<Lane<'_>> = data::baseline(model, &first.baseline_by_boot)
        .into_iter()
        .chain(group.iter().filter_map(|(_, gate)| data::lane(model, &gate.arm, &gate.candidate_by_boot)))
        .collect();
    let charts = html! {
        p.muted {
            (verdict::direction(first.better)) "; from " (data::sources(&first.provenance))
            @if let Some(definition) = measure::metric::find(&first.series.metric) { ". " (text::prose(definition.help.trim())) }
        }
        (legend(&lanes))
        @for (index, gate) in group { (judgement(model, *index, gate)) }
        div.charts {
            @for (_, gate) in group { (change(model, gate)) }
            @if !lanes.is_empty() {
                figure {
                    figcaption { "Every boot, joined by block; bars: medians" }
                    (chart::slopes(&lanes, first.unit, &format!("{label} of every boot, by arm"), &spoken(model, group)))
                }
                figure {
                    figcaption { "Every boot in the order of time; each line an arm" }
                    (chart::order(&lanes, first.unit, &format!("{label} of every boot, in the order of time"), &drift(&lanes)))
                }
            }
        }
    };
    html! {
        article.card {
            @if open {
                h3 { (text::line(&label)) }
                (charts)
            } @else {
                details {
                    summary {
                        h3 { (text::line(&label)) }
                        @for (_, gate) in group { " " (verdicts::badge(gate.judgement.verdict)) }
                    }
                    (charts)
                }
            }
        }
    }
}

/// Names and colours of arms.
pub(super) fn legend(lanes: &[Lane<'_>]) -> Markup {
    html! {
        ul.legend { @for lane in lanes { li { span class={ "key " (lane.class) } {} (text::line(lane.name)) } } }
    }
}

/// The verdict with all its numbers.
fn judgement(model: &Model, index: usize, gate: &Gate) -> Markup {
    let baseline = model.baseline_side();
    let confidence = verdict::confidence(gate);
    html! {
        div.judgement id={ "gate-" (index) } {
            p {
                (verdicts::badge(gate.judgement.verdict)) " "
                strong { (text::line(&gate.arm)) } " "
                (verdicts::outcome(gate))
            }
            dl.numbers {
                div { dt { (text::line(baseline)) } dd { (boots(gate.baseline.as_ref(), gate)) } }
                div { dt { (text::line(&gate.arm)) } dd { (boots(gate.candidate.as_ref(), gate)) } }
                div.wide {
                    dt { "change" @if let Some(confidence) = &confidence { ", " (confidence) " confidence" } }
                    dd { strong { (text::line(&verdict::change(gate))) } }
                }
                div { dt { "margin" } dd { (number::percent(gate.margin)) } }
                @if gate.judgement.effect.is_some() { div { dt { "p for " (verdict::claim(gate.judgement.claim)) } dd { (number::probability(gate.judgement.p)) } } }
                div { dt { "blocks" } dd { (gate.judgement.used) } }
            }
            @let notes = verdict::notes(gate);
            @if !notes.is_empty() { ul.notes { @for note in &notes { li { (text::prose(note)) } } } }
        }
    }
}

/// The median, and how boots vary.
fn boots(summary: Option<&Summary>, gate: &Gate) -> Markup {
    html! {
        @match summary {
            None => span.muted { "no values" },
            Some(summary) => {
                (number::median(summary, gate.unit))
                @if let Some(variation) = summary.variation { span.muted { ", varies by " (number::rough_percent(variation)) } }
            }
        }
    }
}

/// The change of each block above the interval over all.
fn change(model: &Model, gate: &Gate) -> Markup {
    let Some(effect) = gate.judgement.effect.filter(|effect| effect.scale == Scale::Relative) else {
        return html! { p.muted { "No change is drawn for " (text::line(&gate.arm)) ": there is none." } };
    };
    let blocks = block_changes(gate);
    let confidence = verdict::confidence(gate).unwrap_or_default();
    let what = Change {
        blocks: &blocks,
        estimate: effect.estimate,
        interval: effect.interval.map(|interval| (interval.low, interval.high)),
        margin: gate.margin,
        better: gate.better,
        class: data::class(model, &gate.arm),
        confidence: &confidence,
    };
    let title = format!("change of {} with {}", describe::label(&gate.series), gate.arm);
    html! {
        figure {
            figcaption { "Change in each block, " (confidence) " interval, margin" }
            (chart::change(&what, &title, &verdict::change(gate)))
        }
    }
}

/// The relative change of each block that has both values.
fn block_changes(gate: &Gate) -> Vec<(u32, f64)> {
    let before: BTreeMap<u32, f64> =
        gate.baseline_by_boot.iter().map(|boot| (boot.block, boot.value)).collect();
    let change = |boot: &crate::BootValue| {
        let before = before.get(&boot.block).filter(|before| **before > 0.0)?;
        Some((boot.block, boot.value / before - 1.0))
    };
    gate.candidate_by_boot.iter().filter_map(change).collect()
}

/// For those who do not see the chart.
fn spoken(model: &Model, group: &[(usize, &Gate)]) -> String {
    let one = |name: &str, summary: &Option<Summary>, gate: &Gate| {
        summary.as_ref().map(|summary| {
            let of = |value| number::value(value, gate.unit, summary.variation);
            let boots = number::counted(summary.boots, "boot");
            format!(
                "{name}: median {}, {} to {} in {boots}",
                of(summary.median),
                of(summary.min),
                of(summary.max)
            )
        })
    };
    let baseline = model.baseline_side();
    let first = group.first().and_then(|(_, gate)| one(baseline, &gate.baseline, gate));
    let rest = group.iter().filter_map(|(_, gate)| one(&gate.arm, &gate.candidate, gate));
    first.into_iter().chain(rest).collect::<Vec<_>>().join("; ")
}

fn drift(lanes: &[Lane<'_>]) -> String {
    let boots: usize = lanes.iter().map(|lane| lane.boots.len()).sum();
    format!("The same values over the order in which the {boots} boots were made.")
}
