//! The report as one HTML file that needs nothing else: no network, no fonts, no scripts to be read.
//!
//! Text from kernels, patches, tools and consoles is escaped by maud, bounded by [`text`], and freed from control characters at the end.
//! A content security policy lets only our own style and our one script pass, by their hashes.

mod answer;
mod chart;
mod cpu;
mod curves;
mod data;
mod environment;
mod explored;
mod failures;
mod gates;
mod head;
mod latency;
mod profiles;
mod streams;
mod suites;
mod syscalls;
pub(crate) mod text;
mod timelines;
mod unavailable;
mod verdicts;
mod voids;
mod words;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::{Colour, Model};

pub(crate) const STYLE: &str = include_str!("page.css");
/// Comfort only: sorts a table by a column.
const SCRIPT: &str = include_str!("sort.js");

/// The report as an HTML page, with a newline at its end.
#[must_use]
pub fn html(model: &Model) -> String {
    let sections = [
        verdicts::section(model),
        failures::section(model),
        voids::section(model),
        unavailable::remarks_section(model),
        streams::section(model),
        curves::section(model),
        gates::section(model),
        profiles::section(model),
        suites::section(model),
        latency::section(model),
        cpu::section(model),
        timelines::section(model),
        syscalls::section(model),
        explored::section(model),
        unavailable::section(model),
        environment::section(model),
        words::section(model),
    ];
    let sections: Vec<Section> = sections.into_iter().flatten().collect();
    Colour::Never.harmless(&(page(model, &sections).into_string() + "\n"))
}

/// A part of the page with a heading.
#[derive(Debug)]
struct Section {
    /// In the address, after `#`.
    id: &'static str,
    /// In the navigation.
    short: &'static str,
    heading: &'static str,
    body: Markup,
}

fn page(model: &Model, sections: &[Section]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "assay " (model.run.assay) };
                title { (text::line(&model.plan.scenario)) ": " (title(model)) " - Assay" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (head::header(model))
                nav aria-label="Sections" {
                    @for section in sections { a href={ "#" (section.id) } { (section.short) } }
                }
                main {
                    @for section in sections {
                        section id=(section.id) {
                            h2 { (section.heading) }
                            (section.body)
                        }
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// The answer in a word, for the window's title.
fn title(model: &Model) -> &'static str {
    if model.is_imported() { "imported" } else { crate::overall(model).word() }
}

/// Nothing is loaded, nothing is sent, and nothing but our own style and script is used.
fn policy() -> String {
    policy_with(&format!(" script-src {};", hash(SCRIPT)))
}

/// The same of a page without a script.
pub(crate) fn style_policy() -> String {
    policy_with("")
}

fn policy_with(script: &str) -> String {
    format!("default-src 'none'; style-src {};{script} base-uri 'none'; form-action 'none'", hash(STYLE))
}

fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}
