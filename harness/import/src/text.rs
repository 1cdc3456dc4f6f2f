//! Lines, words and numbers of what a stranger wrote.

pub(crate) use pmu::csv::number;

use crate::{
    limits::{LINE_BYTES, WORD},
    reading::Reading,
};

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: usize,
    /// Without what steers terminals.
    pub(crate) text: String,
}

/// The lines of a file, without escape sequences and control characters but tabs.
pub(crate) fn lines(bytes: &[u8], reading: &mut Reading) -> Vec<Line> {
    let mut lines = Vec::new();
    for (index, raw) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        let kept = raw.get(..LINE_BYTES).unwrap_or(raw);
        if kept.len() < raw.len() {
            reading.complain(
                number,
                format!("longer than {LINE_BYTES} bytes: the rest of the line is not read"),
            );
        }
        let text = String::from_utf8_lossy(kept);
        if text.contains(char::REPLACEMENT_CHARACTER) && std::str::from_utf8(raw).is_err() {
            reading.complain(number, "not UTF-8: what cannot be read of it stands as \u{fffd}".to_owned());
        }
        lines.push(Line { number, text: plain(&text) });
    }
    // What follows the last line feed is no line.
    if lines.last().is_some_and(|last| last.text.is_empty()) {
        lines.pop();
    }
    lines
}

/// The text without escape sequences (ECMA-48) and control characters, tabs apart.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        match char {
            '\u{1b}' => match rest.next() {
                // A control sequence ends with a letter or one of `@[\]^_`{|}~`.
                Some('[') => while rest.next().is_some_and(|char| !('@'..='~').contains(&char)) {},
                // A string ends with BEL or with another escape.
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    while let Some(char) = rest.next() {
                        if char == '\u{7}' {
                            break;
                        }
                        if char == '\u{1b}' {
                            rest.next();
                            break;
                        }
                    }
                }
                _ => {}
            },
            '\t' => plain.push(char),
            char if char.is_control() || is_invisible(char) => {}
            char => plain.push(char),
        }
    }
    plain
}

/// Marks that turn the direction of text, with which a name can be shown as another.
fn is_invisible(char: char) -> bool {
    matches!(char, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A printed number in a smaller unit. A few digits of a large unit are whole numbers of the small one: what multiplication leaves
/// beside them is its own.
pub(crate) fn scaled(value: f64, factor: f64) -> f64 {
    let scaled = value * factor;
    if (scaled - scaled.round()).abs() < 1e-3 && factor > 1.0 { scaled.round() } else { scaled }
}

/// A number, or a complaint.
pub(crate) fn expect_number(text: &str, of: &str) -> Result<f64, String> {
    number(text).ok_or_else(|| format!("{of} is no number: `{}`", word(text)))
}

/// A text for a dimension: trimmed, of bounded length.
pub(crate) fn word(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    match text.char_indices().nth(WORD) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// A text as a name of an arm or a workload: lower case letters, digits, `.`, `-` and `_`.
pub(crate) fn slug(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut slug = String::new();
    for char in text.chars() {
        match char {
            char if char.is_ascii_alphanumeric() || matches!(char, '.' | '_') => {
                slug.push(char.to_ascii_lowercase());
            }
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
        if slug.len() >= LONGEST {
            break;
        }
    }
    let slug = slug.trim_matches(['-', '.', '_']);
    if slug.is_empty() { "unnamed".to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_terminals_is_taken_out() {
        assert_eq!(plain("\u{1b}[2J\u{1b}]0;title\u{7}a\tb\u{8}\u{1b}[0;32mc\r"), "a\tbc");
        assert_eq!(plain("\u{1b}Pq\u{1b}\\x\u{202e}y"), "xy");
        assert_eq!(plain("\u{1b}["), "");
    }

    #[test]
    fn numbers_are_finite_and_begin_with_a_digit() {
        assert_eq!(number("1.25985e-05"), Some(1.259_85e-5));
        for text in ["", "inf", "nan", "-nan", "1e999", "0x10", "1,5", "12a", "-"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_fit_for_files() {
        assert_eq!(slug("Syscall Costs (All In One Core)"), "syscall-costs-all-in-one-core");
        assert_eq!(slug("../../etc"), "etc");
        assert_eq!(slug("\u{1b}"), "unnamed");
    }
}
