//! Colour for terminals.

use stats::Verdict;

use crate::Outcome;

/// Whether the terminal shows colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Never,
    /// ANSI colour.
    Always,
}

/// Every sequence that [`Colour::paint`] writes.
const OURS: [&str; 6] = ["0", BOLD, FAINT, "1;31", "1;32", "1;33"];

const BOLD: &str = "1";
const FAINT: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

impl Colour {
    fn paint(self, text: &str, code: &str) -> String {
        match self {
            Self::Never => text.to_owned(),
            Self::Always => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    /// The text without what could steer a terminal: consoles, patches and compilers' output come from people whom nobody
    /// vouches for. Our own colours stay, if there are any.
    pub(crate) fn harmless(self, text: &str) -> String {
        let mut safe = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            let taken = match self.own_sequence(rest) {
                Some(sequence) => {
                    safe.push_str(&sequence);
                    sequence.len()
                }
                None => {
                    safe.push(if steers(letter) { '\u{fffd}' } else { letter });
                    letter.len_utf8()
                }
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
        safe
    }

    /// The colour of ours with which the text starts.
    fn own_sequence(self, text: &str) -> Option<String> {
        let code = text.strip_prefix("\u{1b}[").filter(|_| self == Self::Always)?.split_once('m')?.0;
        OURS.contains(&code).then(|| format!("\u{1b}[{code}m"))
    }

    pub(crate) fn heading(self, text: &str) -> String {
        self.paint(text, BOLD)
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.paint(text, FAINT)
    }

    pub(crate) fn outcome(self, outcome: Outcome, text: &str) -> String {
        let colour = match outcome {
            Outcome::Holds => GREEN,
            Outcome::Unclear => YELLOW,
            Outcome::Fails => RED,
        };
        self.paint(text, &format!("{BOLD};{colour}"))
    }

    pub(crate) fn verdict(self, verdict: Verdict) -> String {
        let colour = match verdict {
            Verdict::Better | Verdict::Same => GREEN,
            Verdict::Worse => RED,
            Verdict::Unclear => YELLOW,
        };
        self.paint(verdict.word(), &format!("{BOLD};{colour}"))
    }
}

/// Control characters other than line ends and tabs, and those that reorder what follows.
fn steers(letter: char) -> bool {
    let reorders = matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    reorders || (letter.is_control() && !matches!(letter, '\n' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_colours_pass() {
        let text = format!("{} \u{1b}[2J\u{1b}]0;x\u{7} a\r\tb\u{202e}", Colour::Always.heading("h"));
        let expected = "\u{fffd}[2J\u{fffd}]0;x\u{fffd} a\u{fffd}\tb\u{fffd}";
        assert_eq!(Colour::Always.harmless(&text), format!("\u{1b}[1mh\u{1b}[0m {expected}"));
        assert_eq!(Colour::Never.harmless(&text), format!("\u{fffd}[1mh\u{fffd}[0m {expected}"));
    }

    #[test]
    fn every_colour_is_known_as_ours() {
        for outcome in [Outcome::Holds, Outcome::Unclear, Outcome::Fails] {
            let text = Colour::Always.outcome(outcome, "x") + &Colour::Always.faint("y");
            assert_eq!(Colour::Always.harmless(&text), text);
        }
    }
}
