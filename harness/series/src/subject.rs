//! Subjects of patches: `[RFC PATCH net-next v3 02/17] net: frob`.

/// What a subject says besides the title.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// Without `Re:` and the brackets before it, as `git mailinfo` leaves it.
    pub(crate) title: String,
    /// It begins with `Re:` or another language's word for it.
    pub(crate) reply: bool,
    /// One of the brackets says `PATCH` or `RFC`.
    pub(crate) patch: bool,
    /// `v3`; 1 if there is none.
    pub(crate) version: u32,
    /// `2/17`.
    pub(crate) position: Option<Position>,
}

/// `2/17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) number: usize,
    pub(crate) of: usize,
}

impl Subject {
    pub(crate) fn parse(text: &str) -> Self {
        let mut subject =
            Self { title: String::new(), reply: false, patch: false, version: 1, position: None };
        let mut rest = text.trim();
        loop {
            if let Some(after) = after_reply(rest) {
                subject.reply = true;
                rest = after;
            } else if let Some((bracket, after)) = bracketed(rest) {
                subject.read_bracket(bracket);
                rest = after;
            } else {
                break;
            }
        }
        subject.title = rest.trim().to_owned();
        subject
    }

    fn read_bracket(&mut self, bracket: &str) {
        for word in bracket.split([' ', '\t', ',', ';', '[', ']']).filter(|word| !word.is_empty()) {
            let lower = word.to_ascii_lowercase();
            if let Some(version) =
                lower.strip_prefix("patch").and_then(version_of).or_else(|| version_of(&lower))
            {
                self.version = version;
                self.patch |= lower.starts_with("patch");
            } else if let Some(position) = position_of(word) {
                self.position = Some(position);
            } else if lower.starts_with("patch") || lower.starts_with("rfc") {
                self.patch = true;
            }
        }
    }
}

/// What follows `Re:`, `AW:`, `Fwd:` or `SV:`, and such with a counter: `Re[2]:`.
fn after_reply(text: &str) -> Option<&str> {
    const WORDS: &[&str] = &["re", "aw", "fwd", "fw", "sv", "antw", "vs", "tr"];
    let (word, rest) = text.split_once(':')?;
    let word = word.split('[').next()?.trim().to_ascii_lowercase();
    WORDS.contains(&word.as_str()).then(|| rest.trim_start())
}

/// What stands in the brackets that `text` begins with, and what follows. Brackets in brackets belong to the outer ones.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    if !text.starts_with('[') {
        return None;
    }
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[1..at], text[at + 1..].trim_start()));
        }
    }
    None
}

/// 3 for `v3`.
fn version_of(word: &str) -> Option<u32> {
    let digits = word.strip_prefix('v')?;
    (!digits.is_empty() && digits.len() <= 3).then(|| digits.parse().ok()).flatten()
}

/// `2/17`, and `02/17`.
fn position_of(word: &str) -> Option<Position> {
    let (number, of) = word.split_once('/')?;
    let read = |digits: &str| -> Option<usize> {
        (1..=4).contains(&digits.len()).then(|| digits.parse().ok()).flatten()
    };
    let position = Position { number: read(number)?, of: read(of)? };
    (position.of > 0).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, bool, bool, u32, Option<(usize, usize)>) {
        let subject = Subject::parse(text);
        let position = subject.position.map(|position| (position.number, position.of));
        (subject.title, subject.reply, subject.patch, subject.version, position)
    }

    #[test]
    fn subjects_of_lists() {
        let cases = [
            ("[PATCH] net: frob", ("net: frob", false, true, 1, None)),
            ("[PATCH net-next v3 02/17] net: frob", ("net: frob", false, true, 3, Some((2, 17)))),
            ("[RFC PATCH 0/2] frob", ("frob", false, true, 1, Some((0, 2)))),
            ("[PATCHv2,1/3] frob", ("frob", false, true, 2, Some((1, 3)))),
            ("[PATCH V2 RESEND 1/1] frob", ("frob", false, true, 2, Some((1, 1)))),
            ("[net-next] [PATCH 1/2] frob", ("frob", false, true, 1, Some((1, 2)))),
            ("Re: [PATCH 1/2] frob: foo", ("frob: foo", true, true, 1, Some((1, 2)))),
            ("[EXTERNAL] Re: [PATCH 1/2] frob", ("frob", true, true, 1, Some((1, 2)))),
            ("AW: Re[2]: [PATCH] x", ("x", true, true, 1, None)),
            ("[PATCH [v2] 1/2] x", ("x", false, true, 2, Some((1, 2)))),
            ("[PATCH 6.12 1/1] tcp: x [y]", ("tcp: x [y]", false, true, 1, Some((1, 1)))),
            ("reset: not a reply", ("reset: not a reply", false, false, 1, None)),
            ("[unclosed", ("[unclosed", false, false, 1, None)),
            ("[PATCH 1/0] x", ("x", false, true, 1, None)),
        ];
        for (text, (title, reply, patch, version, position)) in cases {
            assert_eq!(read(text), (title.to_owned(), reply, patch, version, position), "{text}");
        }
    }
}
