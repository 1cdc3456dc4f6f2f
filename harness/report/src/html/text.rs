//! Text that others wrote, kept to a size.

use maud::{Markup, html};

/// Longest line of running text, in characters.
const LINE: usize = 600;
/// Most lines of a console, a hunk or a compiler, and the longest of them.
const LINES: usize = 300;
const COLUMNS: usize = 300;

/// One line.
pub(crate) fn line(text: &str) -> String {
    cut(text, LINE)
}

/// One line in which what stands between backquotes is code.
pub(crate) fn prose(text: &str) -> Markup {
    let text = line(text);
    let parts: Vec<&str> = text.split('`').collect();
    // A lone backquote is one.
    if parts.len().is_multiple_of(2) {
        return html! { (text) };
    }
    html! {
        @for (position, part) in parts.iter().enumerate() {
            @if position % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// At most so many characters, and how many were left out.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => {
            let left_out = text[end..].chars().count();
            format!("{} [{left_out} more characters]", &text[..end])
        }
    }
}

/// Lines whose columns mean something: a console, a compiler's messages.
pub(crate) fn lines(lines: &[String]) -> Markup {
    html! {
        pre tabindex="0" {
            @for line in lines.iter().take(LINES) { (cut(line, COLUMNS)) "\n" }
            (left_out(lines))
        }
    }
}

/// A hunk of a patch.
pub(crate) fn hunk(lines: &[String]) -> Markup {
    html! {
        pre.diff tabindex="0" {
            @for line in lines.iter().take(LINES) {
                @match line.chars().next() {
                    Some('+') => ins { (cut(line, COLUMNS)) },
                    Some('-') => del { (cut(line, COLUMNS)) },
                    _ => span { (cut(line, COLUMNS)) },
                }
                "\n"
            }
            (left_out(lines))
        }
    }
}

fn left_out(lines: &[String]) -> Markup {
    html! {
        @if lines.len() > LINES { "[" (lines.len() - LINES) " more lines]\n" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_and_says_so() {
        assert_eq!(cut("häuser", 2), "hä [4 more characters]");
        assert_eq!(cut("häuser", 6), "häuser");
        let many = vec!["x".to_owned(); LINES + 5];
        let drawn = lines(&many).into_string();
        assert!(drawn.contains("[5 more lines]") && drawn.matches('x').count() == LINES + 1, "{drawn}");
    }

    #[test]
    fn backquotes_are_code_in_pairs() {
        assert_eq!(prose("a `b<` c").into_string(), "a <code>b&lt;</code> c");
        assert_eq!(prose("a `b").into_string(), "a `b");
    }

    #[test]
    fn hunks_tell_added_from_removed() {
        let drawn = hunk(&["-a".into(), "+<b>".into(), " c".into()]).into_string();
        assert!(drawn.contains("<del>-a</del>\n<ins>+&lt;b&gt;</ins>\n<span> c</span>"), "{drawn}");
    }
}
