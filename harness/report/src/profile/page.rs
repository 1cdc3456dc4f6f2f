//! What `assay profile` prints.

use maud::{DOCTYPE, PreEscaped, html};
use serde::Serialize;

use super::{
    Profiled, card, legends, literal_but_code, markdown_lines, terminal_lines, text::COLUMNS, words,
};
use crate::{
    Colour, Terminal,
    html::{STYLE, style_policy, text},
    json::pretty,
    table::{hang, wrap},
};

/// The version of the JSON document. It grows when a key changes its meaning or goes away, not when one is added.
const FORMAT: u32 = 1;

/// The profiles of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfilePage {
    /// The run's name.
    pub run: String,
    /// The scenario's name.
    pub scenario: String,
    /// Every workload of every arm that was asked for.
    pub profiles: Vec<Profiled>,
    /// What must be known to read them rightly, in sentences.
    pub notes: Vec<String>,
}

/// What JSON has of it.
#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    run: &'a str,
    scenario: &'a str,
    profiles: &'a [Profiled],
    notes: &'a [String],
}

/// For a terminal.
#[must_use]
pub fn profile_text(page: &ProfilePage, terminal: Terminal) -> String {
    let columns = terminal.columns.clamp(60, 120);
    let mut lines = Vec::new();
    for profiled in &page.profiles {
        let title = format!("{}: {}", page.scenario, words::title(profiled));
        lines.push(terminal.colour.heading(&title));
        lines.extend(terminal_lines(profiled, terminal.colour, columns));
        lines.push(String::new());
    }
    let below = legends(&page.profiles, true);
    lines.extend(below.iter().chain(&page.notes).flat_map(|note| hang("", note, columns)));
    terminal.colour.harmless(&(lines.join("\n") + "\n"))
}

/// For mail.
#[must_use]
pub fn profile_markdown(page: &ProfilePage) -> String {
    let mut lines = vec![format!("## Profile of {}", page.run)];
    for profiled in &page.profiles {
        lines.extend([String::new(), format!("### {}", words::title(profiled)), String::new()]);
        lines.extend(markdown_lines(profiled));
    }
    for note in legends(&page.profiles, true).iter().chain(&page.notes) {
        lines.push(String::new());
        lines.extend(wrap(&literal_but_code(note), COLUMNS));
    }
    Colour::Never.harmless(&(lines.join("\n") + "\n"))
}

/// For programs: every row.
///
/// # Errors
/// None that a profile could cause: the signature is serde's.
pub fn profile_json(page: &ProfilePage) -> Result<String, serde_json::Error> {
    let ProfilePage { run, scenario, profiles, notes } = page;
    pretty(&Document { format: FORMAT, run, scenario, profiles, notes })
}

/// A page that needs nothing else.
#[must_use]
pub fn profile_html(page: &ProfilePage) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(style_policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Profile of " (text::line(&page.run)) " - Assay" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { h1 { "Profile of " (text::line(&page.run)) } }
                main {
                    section { @for profiled in &page.profiles { (card(profiled)) } }
                    section { @for note in legends(&page.profiles, true).iter().chain(&page.notes) { p.muted { (text::prose(note)) } } }
                }
            }
        }
    };
    Colour::Never.harmless(&(markup.into_string() + "\n"))
}
