//! The report as JSON. `FORMAT.md` beside this crate describes every key.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use serde::{Deserialize, Serialize};
use serde_json::{
    Serializer,
    ser::{Formatter, PrettyFormatter},
};

use crate::{Conclusion, Model, conclude, remarks};

/// The version of the document. It grows when a key changes its meaning or goes away, not when one is added.
pub const FORMAT: u32 = 1;

/// The whole document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document<'a> {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// The result and its reasons.
    pub conclusion: Conclusion,
    /// What must be known to read the numbers rightly.
    pub remarks: Vec<String>,
    /// Everything else.
    pub model: Cow<'a, Model>,
}

/// The report as indented JSON, the values of single boots on one line, with a newline at its end.
///
/// # Errors
/// If a path in the model is not Unicode: JSON cannot hold it.
pub fn json(model: &Model) -> Result<String, serde_json::Error> {
    let document = Document {
        format: FORMAT,
        conclusion: conclude(model),
        remarks: remarks(model),
        model: Cow::Borrowed(model),
    };
    pretty(&document)
}

/// Indented JSON with a newline at its end, in which nothing steers a terminal.
pub(crate) fn pretty(document: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut text = Vec::new();
    document.serialize(&mut Serializer::with_formatter(&mut text, Lines::default()))?;
    text.push(b'\n');
    Ok(String::from_utf8(text).expect("serde_json writes UTF-8"))
}

/// Whether a terminal that is shown the document could act on it: DEL, the control characters from 128 on, and what turns the
/// direction of writing. JSON escapes those below 32 by itself. A guest's console may hold any of them.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Indents everything but the arrays under keys that end in `by_boot` or `by_block`: a run has up to a million such values, and five lines
/// for each would serve nobody.
#[derive(Default)]
struct Lines {
    pretty: PrettyFormatter<'static>,
    in_key: bool,
    key: String,
    /// How many arrays are open that are written on one line.
    inline: usize,
}

impl Formatter for Lines {
    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.in_key = true;
        self.key.clear();
        self.pretty.begin_object_key(writer, first)
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.in_key = false;
        self.pretty.end_object_key(writer)
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if self.in_key {
            self.key.push_str(fragment);
        }
        let mut rest = fragment;
        while let Some((at, steers)) = rest.char_indices().find(|(_, c)| steers(*c)) {
            self.pretty.write_string_fragment(writer, &rest[..at])?;
            write!(writer, "\\u{:04x}", u32::from(steers))?;
            rest = &rest[at + steers.len_utf8()..];
        }
        self.pretty.write_string_fragment(writer, rest)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.inline > 0 || ["by_boot", "by_block"].iter().any(|end| self.key.ends_with(end)) {
            self.inline += 1;
            return writer.write_all(b"[");
        }
        self.pretty.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.inline > 0 {
            self.inline -= 1;
            return writer.write_all(b"]");
        }
        self.pretty.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if self.inline > 0 {
            return if first { Ok(()) } else { writer.write_all(b", ") };
        }
        self.pretty.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.inline > 0 { Ok(()) } else { self.pretty.end_array_value(writer) }
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.end_object(writer)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_escaped_and_read_back_the_same() {
        let steering = "a\u{9b}31mb\u{7f}c\u{202e}d\u{1b}[0me\u{2067}";
        let mut text = Vec::new();
        steering.serialize(&mut Serializer::with_formatter(&mut text, Lines::default())).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text, r#""a\u009b31mb\u007fc\u202ed\u001b[0me\u2067""#);
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), steering);
    }
}
