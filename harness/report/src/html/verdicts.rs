//! All gates at a glance: verdict, change, and the interval against its margin.

use maud::{Markup, html};
use stats::{Scale, Verdict};

use super::{
    Section,
    chart::{Interval, Span, forest, span},
    data, gates, text,
};
use crate::{Gate, Model, Outcome, describe, gate_outcome, number, verdict};

pub(super) fn section(model: &Model) -> Option<Section> {
    if model.gates.is_empty() {
        return None;
    }
    let intervals: Vec<Interval> = model.gates.iter().filter_map(interval).collect();
    let span = span(&intervals);
    let body = html! {
        div.scroll {
            table.verdicts {
                caption {
                    "Each interval against its margin (shaded); better is to the right. Family-wise level " (model.plan.alpha)
                    " over " (number::counted(model.gates.len(), "comparison")) " (Holm); p is that of the verdict, or of the closest one if unclear."
                }
                thead {
                    tr { th scope="col" { "verdict" } th scope="col" { "metric" } th scope="col" { "change" } th scope="col" { span.ends { span { "worse" } span { "better" } } } th scope="col" { "p" } }
                }
                tbody {
                    @for (index, gate) in model.gates.iter().enumerate() { (row(model, index, gate, span)) }
                }
            }
        }
    };
    Some(Section { id: "verdicts", short: "Verdicts", heading: "Verdicts", body })
}

fn row(model: &Model, index: usize, gate: &Gate, span: Span) -> Markup {
    let class = data::class(model, &gate.arm);
    let change = verdict::change(gate);
    html! {
        tr {
            td { (badge(gate.judgement.verdict)) }
            td.what {
                @let label = text::line(&describe::label(&gate.series));
                @if gates::has_card(model, gate) { a.name href={ "#gate-" (index) } { (label) } } @else { span.name { (label) } }
                span.arm { span class={ "key " (class) } {} (text::line(&gate.arm)) }
                (outcome(gate))
            }
            td.num { (text::line(&change)) }
            td.plot {
                @match interval(gate) {
                    Some(interval) => (forest(&interval, span, class, &change)),
                    None => span.muted { "no interval" },
                }
            }
            td.num.p { @if gate.judgement.effect.is_some() { span.label { "p " } (number::probability(gate.judgement.p)) } }
        }
    }
}

/// A verdict with a sign that does not need colour.
pub(super) fn badge(verdict: Verdict) -> Markup {
    let sign = match verdict {
        Verdict::Better => "▲",
        Verdict::Worse => "▼",
        Verdict::Same => "=",
        Verdict::Unclear => "?",
    };
    html! { span class={ "badge " (verdict.word()) } { span.sign aria-hidden="true" { (sign) } (verdict.word()) } }
}

/// Whether the gate holds, and what was expected.
pub(super) fn outcome(gate: &Gate) -> Markup {
    let expected = describe::expectation(gate.expect);
    html! {
        span.muted {
            @match gate_outcome(gate) {
                Outcome::Unclear => { "expected: " (expected) },
                Outcome::Holds => { "holds, expected: " (expected) },
                Outcome::Fails => { "fails, expected: " (expected) },
            }
        }
    }
}

/// None if there are too few blocks for one, or nothing to compare.
fn interval(gate: &Gate) -> Option<Interval> {
    let effect = gate.judgement.effect.filter(|effect| effect.scale == Scale::Relative)?;
    let interval = effect.interval?;
    Some(Interval {
        low: interval.low,
        estimate: effect.estimate,
        high: interval.high,
        margin: gate.margin,
        better: gate.better,
    })
}
