//! Console bytes as text that is safe to print.

/// `bytes` as one line of text: no control characters (a guest could send escape sequences to the reader's terminal),
/// no line end, no more than `most` characters.
pub fn plain(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len().min(most));
    let mut characters = text.trim_end().chars().peekable();
    while let Some(character) = characters.next() {
        if plain.len() >= most {
            break;
        }
        match character {
            '\u{1b}' => skip_escape(&mut characters),
            '\t' => plain.push(' '),
            character if character.is_control() => {}
            character => plain.push(character),
        }
    }
    plain
}

/// Skips the rest of an escape sequence: `[`, parameters and a final byte, or a single character.
fn skip_escape(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    if characters.next_if_eq(&'[').is_some() {
        while characters.next_if(|character| !character.is_ascii_alphabetic()).is_some() {}
    }
    characters.next();
}

/// A kernel line without its `[    1.234567]` and `[    T1]` prefixes.
pub fn without_stamp(line: &str) -> &str {
    let mut rest = line;
    while let Some(inner) = rest.strip_prefix('[') {
        let Some((stamp, after)) = inner.split_once(']') else { break };
        let stamp = stamp.trim();
        let is_time = stamp.chars().all(|c| c.is_ascii_digit() || c == '.') && stamp.contains('.');
        let is_caller = stamp.starts_with(['T', 'C']) && stamp[1..].chars().all(|c| c.is_ascii_digit());
        if stamp.is_empty() || !(is_time || is_caller) {
            break;
        }
        rest = after;
    }
    rest.trim_start()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_control_characters_do_not_reach_a_terminal() {
        assert_eq!(plain(b"\x1bc\x1b[?7l\x1b[2J\x1b[0;31mred\x07\r\n", 100), "red");
        assert_eq!(plain(b"a\tb\xff", 100), "a b\u{fffd}");
        assert_eq!(plain(b"0123456789", 4), "0123");
        assert_eq!(plain(b"cut \x1b[", 100), "cut ");
        assert_eq!(plain(b"\x1b", 100), "");
    }

    #[test]
    fn stamps_are_removed_and_brackets_of_the_text_are_not() {
        assert_eq!(without_stamp("[    1.234567] BUG: x"), "BUG: x");
        assert_eq!(without_stamp("[    1.234567][    T1] BUG: x"), "BUG: x");
        assert_eq!(without_stamp("[ end trace"), "[ end trace");
        assert_eq!(without_stamp("[drm] x"), "[drm] x");
        assert_eq!(without_stamp("[] x"), "[] x");
        assert_eq!(without_stamp("plain"), "plain");
    }
}
