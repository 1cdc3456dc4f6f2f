//! Several named files in one input, so that a mutation of one of them is a mutation of the input.
//!
//! A line `%%% NAME` begins a section; the line feed before it belongs to it and not to the section before. What stands
//! before the first such line is nobody's.

/// A section's name and its bytes.
pub type Section<'a> = (&'a str, &'a [u8]);

const MARK: &[u8] = b"%%% ";
/// Most sections of an input: each may become a file.
const MOST: usize = 200;

/// The sections of `input` in their order; a name that is not UTF-8 ends the reading.
#[must_use]
pub fn split(input: &[u8]) -> Vec<Section<'_>> {
    let mut sections = Vec::new();
    let mut rest = input;
    while sections.len() < MOST {
        let Some(headed) = rest.strip_prefix(MARK) else { break };
        let end = headed.iter().position(|&byte| byte == b'\n').unwrap_or(headed.len());
        let Ok(name) = std::str::from_utf8(&headed[..end]) else { break };
        let body = headed.get(end + 1..).unwrap_or_default();
        let next = body.windows(MARK.len() + 1).position(|window| window[0] == b'\n' && &window[1..] == MARK);
        // An empty section is followed by the next mark at once.
        let (content, after) = match next {
            _ if body.starts_with(MARK) => (&body[..0], body),
            Some(at) => (&body[..at], &body[at + 1..]),
            None => (body, &body[body.len()..]),
        };
        sections.push((name, content));
        rest = after;
    }
    sections
}

/// The first section called `name`; nothing if there is none.
#[must_use]
pub fn get<'a>(sections: &[Section<'a>], name: &str) -> &'a [u8] {
    sections.iter().find(|(found, _)| *found == name).map(|(_, content)| *content).unwrap_or_default()
}

/// The same, as text.
#[must_use]
pub fn text(sections: &[Section<'_>], name: &str) -> String {
    String::from_utf8_lossy(get(sections, name)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_told_apart_and_keep_their_bytes() {
        let sections = split(b"%%% a\none\n\n%%% b\n%%% c\nx%%% y");
        assert_eq!(sections, [("a", &b"one\n"[..]), ("b", b""), ("c", b"x%%% y")]);
        assert_eq!(text(&sections, "c"), "x%%% y");
        assert_eq!(get(&sections, "d"), b"");
        assert!(split(b"no mark").is_empty());
    }
}
