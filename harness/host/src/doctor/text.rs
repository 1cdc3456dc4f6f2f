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
        // A dozen tools that are as they should be are one line.
        let (plain, others): (Vec<&Finding>, Vec<&Finding>) =
            findings.iter().partition(|finding| finding.group == Group::Building && is_plain(finding));
        if !plain.is_empty() {
            let list: Vec<String> = plain
                .iter()
                .map(|tool| {
                    if tool.found == "there" {
                        tool.subject.clone()
                    } else {
                        format!("{} {}", tool.subject, tool.found)
                    }
                })
                .collect();
            text.push_str(&line("there", State::Ok, &list.join(", "), style));
        }
        for finding in others {
            text.push_str(&line(&finding.subject, finding.state, &finding.found, style));
            text.push_str(&below(finding, style));
        }
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
    let indent = 2 + STATE_WIDTH + 2;
    if let Some(consequence) = &finding.consequence {
        for line in wrap(consequence, style.width.saturating_sub(indent)) {
            text.push_str(&format!("{:indent$}{line}\n", ""));
        }
    }
    if let Some(advice) = &finding.advice {
        for line in wrap(advice, style.width.saturating_sub(indent)) {
            text.push_str(&format!("{:indent$}{line}\n", ""));
        }
    }
    if let Some(command) = &finding.command {
        // Never wrapped: it is there to be copied.
        text.push_str(&format!("{:indent$}$ {command}\n", ""));
    }
    text
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
