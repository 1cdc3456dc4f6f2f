//! Arms that failed: does not apply, does not compile, crashes, hangs.

use maud::{Markup, html};

use super::{Section, data, text};
use crate::{
    Model,
    findings::{Finding, findings},
};

pub(super) fn section(model: &Model) -> Option<Section> {
    let findings = findings(model);
    if findings.is_empty() {
        return None;
    }
    let body = html! { @for finding in &findings { (card(model, finding)) } };
    Some(Section { id: "failures", short: "Failures", heading: "What failed", body })
}

fn card(model: &Model, finding: &Finding) -> Markup {
    html! {
        article.card.failed {
            h3 {
                span.badge.worse { span.sign aria-hidden="true" { "✗" } (finding.kind) }
                " "
                span class={ "key " (data::class(model, &finding.arm)) } {}
                (text::line(&finding.title))
            }
            @if !finding.excerpt.is_empty() {
                @if finding.is_hunk { (text::hunk(&finding.excerpt)) } @else { (text::lines(&finding.excerpt)) }
            }
            @if finding.whole.len() > finding.excerpt.len() {
                details {
                    summary { "All that was kept of it: " (finding.whole.len()) " lines" }
                    (text::lines(&finding.whole))
                }
            }
            @if let Some(evidence) = &finding.evidence {
                p.muted { "More in " code { (text::line(evidence)) } @if evidence.starts_with("trials/") { " of the run's folder" } "." }
            }
        }
    }
}
