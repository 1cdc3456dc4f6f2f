//! Findings for a person: short lines, with what they mean and what changes them below.

use super::{Checkup, Finding, Group, State};

/// How much room there is, and whether states are coloured.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Columns.
    pub width: usize,
    /// Whether the terminal shows colours.
    pub colours: bool,
}

const STATE_WIDTH: usize = 12;
/// Of what stands below a finding.
const INDENT: usize = 2 + STATE_WIDTH + 2;

/// The whole checkup.
#[must_use]
pub fn text(checkup: &Checkup, style: Style) -> String {
    let summary = &checkup.summary;
    let mut text = if summary.can_run {
        "Assay's main job runs here: building kernels, booting them, comparing.\n".to_owned()
    } else {
        format!("Assay's main job does not run here yet. Needed: {}.\n", summary.lacking.join(", "))
    };
    for ability in &summary.abilities {
        text.push_str(&line(&ability.what, ability.state, &ability.how, style));
    }
    for findings in checkup.findings.chunk_by(|a, b| a.group == b.group) {
        text.push_str(&format!("\n{}\n", findings[0].group.title()));
        // A dozen tools that are as they should be are one line, and so are those that one command installs.
        let (plain, others): (Vec<&Finding>, Vec<&Finding>) =
            findings.iter().partition(|finding| finding.group == Group::Building && is_plain(finding));
        let (packages, others): (Vec<&Finding>, Vec<&Finding>) = others
            .into_iter()
            .partition(|finding| finding.package.is_some() && finding.state == State::Missing);
        text.push_str(&tools(&plain, style));
        text.push_str(&missing(&packages, style));
        for finding in others {
            text.push_str(&line(&finding.subject, finding.state, &finding.found, style));
            text.push_str(&below(finding, style));
        }
    }
    text
}

/// Tools that are there, with their versions.
fn tools(plain: &[&Finding], style: Style) -> String {
    let list: Vec<String> = plain
        .iter()
        .map(|tool| match tool.found.as_str() {
            "there" => tool.subject.clone(),
            version => format!("{} {version}", tool.subject),
        })
        .collect();
    if list.is_empty() { String::new() } else { line("there", State::Ok, &list.join(", "), style) }
}

/// Tools that packages would bring: first those without which nothing goes.
fn missing(packages: &[&Finding], style: Style) -> String {
    let mut text = String::new();
    for needed in [true, false] {
        let of: Vec<&&Finding> = packages.iter().filter(|finding| finding.needed == needed).collect();
        let Some(first) = of.first() else { continue };
        let names: Vec<String> = of
            .iter()
            .map(|tool| {
                let broken = tool.found.starts_with("does not run");
                if broken { format!("{} ({})", tool.subject, tool.found) } else { tool.subject.clone() }
            })
            .collect();
        let what = if needed { "needed" } else { "for some questions" };
        text.push_str(&line(what, State::Missing, &names.join(", "), style));
        let mut purposes: Vec<&str> = vec![];
        for purpose in of.iter().filter_map(|tool| tool.found.strip_prefix("for ")) {
            if !purposes.contains(&purpose) {
                purposes.push(purpose);
            }
        }
        text.push_str(&indented(&format!("for {}", purposes.join("; ")), style));
        let names: Vec<&str> = of.iter().filter_map(|tool| tool.package.as_deref()).collect();
        let installer = first.command.as_deref().unwrap_or_default();
        let installer = installer.strip_suffix(names[0]).unwrap_or(installer);
        text.push_str(&command(&format!("{installer}{}", names.join(" "))));
    }
    text
}

/// Whether there is nothing to say but a version.
fn is_plain(finding: &Finding) -> bool {
    finding.state == State::Ok && !finding.found.contains(' ') && !finding.found.contains('/')
}

fn line(what: &str, state: State, said: &str, style: Style) -> String {
    let shown = format!("{:<STATE_WIDTH$}", state.name());
    let shown = if style.colours { format!("\x1b[{}m{shown}\x1b[0m", colour(state)) } else { shown };
    let first = format!("{what}: {said}");
    let mut lines = wrap(&first, style.width.saturating_sub(2 + STATE_WIDTH)).into_iter();
    let mut text = format!("  {shown}{}\n", lines.next().unwrap_or_default());
    for rest in lines {
        text.push_str(&format!("  {:STATE_WIDTH$}  {rest}\n", ""));
    }
    text
}

fn colour(state: State) -> &'static str {
    match state {
        State::Ok => "32",
        State::Limited => "33",
        State::Missing => "31",
        State::Unavailable => "2",
    }
}

fn below(finding: &Finding, style: Style) -> String {
    let mut text = String::new();
    for sentence in finding.consequence.iter().chain(&finding.advice) {
        text.push_str(&indented(sentence, style));
    }
    text.extend(finding.command.iter().map(|line| command(line)));
    text
}

fn indented(sentence: &str, style: Style) -> String {
    let lines = wrap(sentence, style.width.saturating_sub(INDENT));
    lines.into_iter().map(|line| format!("{:INDENT$}{line}\n", "")).collect()
}

/// Never wrapped: it is there to be copied.
fn command(command: &str) -> String {
    format!("{:INDENT$}$ {command}\n", "")
}

/// Breaks at spaces; a word that is too long stands alone.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is a first line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_at_spaces_only() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("unbreakable words", 5), ["unbreakable", "words"]);
    }
}
