//! What an agent says in words. It may be anybody's: what would steer the reader's terminal, or fill it, is left out.

/// Most characters of a sentence.
pub(super) const SENTENCE: usize = 2000;
/// Longest path (`PATH_MAX`, limits.h).
pub(super) const PATH: usize = 4096;

/// `text` on one line, without control characters and without those that turn the direction of writing; the first `most`
/// characters of it.
pub(super) fn clean(text: &str, most: usize) -> String {
    let is_safe = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.trim_end()
        .chars()
        .map(|c| if matches!(c, '\n' | '\t') { ' ' } else { c })
        .filter(is_safe)
        .take(most)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_endless_words_stay_in_the_guest() {
        assert_eq!(clean("6.12\u{1b}[2J\u{9b}1m\r\n", 64), "6.12[2J1m");
        assert_eq!(clean("a\nb\u{202e}c", 64), "a bc");
        assert_eq!(clean(&"x".repeat(1 << 20), 64).len(), 64);
    }
}
