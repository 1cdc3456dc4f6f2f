//! What the kernel's own tests said.

use maud::{Markup, html};

use super::{Section, data, text};
use crate::{Model, Suite, SuiteComparison, suite::words};

/// Rows that are shown; all of them are in the JSON report.
const MOST: usize = 200;

pub(super) fn section(model: &Model) -> Option<Section> {
    if model.suites.is_empty() {
        return None;
    }
    let body = html! { @for suite in &model.suites { (card(model, suite)) } };
    Some(Section { id: "tests", short: "Tests", heading: "Kernel tests", body })
}

fn card(model: &Model, suite: &Suite) -> Markup {
    html! {
        article.card {
            h3 { (text::line(&suite.workload)) }
            (table(&words::counts(suite)))
            @if !suite.failures.is_empty() {
                h4 { "What fails" }
                (list(&words::failures(&suite.failures, MOST)))
            }
            @for comparison in &suite.comparisons { (compared(model, comparison)) }
        }
    }
}

fn compared(model: &Model, comparison: &SuiteComparison) -> Markup {
    html! {
        h4 {
            span class={ "key " (data::class(model, &comparison.arm)) } {}
            (text::line(&comparison.arm)) " against " (text::line(&comparison.baseline))
            @if let Some(gate) = &comparison.gate {
                ": " (gate.outcome.word()) " (expected: " (words::expectation(gate.expect)) ")"
            }
        }
        @if let Some(gate) = &comparison.gate { (list(&gate.reasons)) }
        @if !comparison.differing.is_empty() {
            (table(&words::differing(comparison, MOST)))
            @if comparison.differing.len() > MOST {
                p.muted { (comparison.differing.len() - MOST) " more, in report.json." }
            }
            p.muted {
                "p: Fisher's exact test, two-sided; q: adjusted over all tests whose outcomes vary (Benjamini-Hochberg)."
            }
        }
        p { (words::alike(comparison)) "." }
        @if !comparison.common_failures.is_empty() {
            details {
                summary { "Fail in every boot of both: " (comparison.common_failures.len()) }
                (list(&words::failures(&comparison.common_failures, MOST)))
            }
        }
    }
}

/// The first row is the heading.
fn table(rows: &[Vec<String>]) -> Markup {
    html! {
        div.scroll {
            table {
                @if let [heading, rows @ ..] = rows {
                    thead { tr { @for cell in heading { th scope="col" { (text::line(cell)) } } } }
                    tbody { @for row in rows { tr { @for cell in row { td { (text::line(cell)) } } } } }
                }
            }
        }
    }
}

fn list(lines: &[String]) -> Markup {
    html! { ul { @for line in lines { li { (text::line(line)) } } } }
}
