//! Aligned columns of text.

/// How a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Columns with a space of two between them; no trailing space. Rows may be shorter than the widest one.
pub(crate) fn plain(rows: &[Vec<String>], align: &[Align]) -> Vec<String> {
    let widths = widths(rows);
    let line = |row: &Vec<String>| {
        let cells: Vec<_> = row
            .iter()
            .enumerate()
            .map(|(column, cell)| pad(cell, widths[column], side(align, column)))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A markdown table whose source is aligned as well; the first row is the heading.
pub(crate) fn markdown(rows: &[Vec<String>], align: &[Align]) -> Vec<String> {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| literal(cell).replace('|', "\\|")).collect()).collect();
    let widths: Vec<usize> = widths(&rows).into_iter().map(|width| width.max(3)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<_> = row
            .iter()
            .enumerate()
            .map(|(column, cell)| pad(cell, widths[column], side(align, column)))
            .collect();
        format!("| {} |", cells.join(" | "))
    };
    let rule: Vec<_> = widths
        .iter()
        .enumerate()
        .map(|(column, width)| match side(align, column) {
            Align::Left => "-".repeat(*width),
            Align::Right => format!("{}:", "-".repeat(width - 1)),
        })
        .collect();
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.insert(lines.len().min(1), format!("| {} |", rule.join(" | ")));
    lines
}

/// Text of a kernel, a tool or a test, made safe for a line of markdown.
pub(crate) fn literal(text: &str) -> String {
    let mut safe = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        // Underscores within words and brackets without a target are left to be read as they are.
        let is_link = letter == ']' && matches!(letters.peek(), Some('(' | '[' | ':'));
        if matches!(letter, '*' | '`' | '<' | '\\') || is_link {
            safe.push('\\');
        }
        safe.push(letter);
    }
    safe
}

fn side(align: &[Align], column: usize) -> Align {
    align.get(column).copied().unwrap_or(Align::Left)
}

fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
    (0..columns).map(|column| width(column).unwrap_or(0)).collect()
}

fn pad(cell: &str, width: usize, align: Align) -> String {
    match align {
        Align::Left => format!("{cell:<width$}"),
        Align::Right => format!("{cell:>width$}"),
    }
}

/// How many characters of the text are seen: all but those of its colours.
fn visible(text: &str) -> usize {
    let parts = text.split('\u{1b}').enumerate().map(|(index, part)| match part.split_once('m') {
        Some((_, rest)) if index > 0 => rest.chars().count(),
        _ => part.chars().count(),
    });
    parts.sum()
}

/// Breaks text at spaces into lines of at most `columns` visible characters. A longer word has a line of its own.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && visible(&line) + 1 + visible(word) > columns {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

/// The text with its first line after `lead` and the others aligned with it, within `columns`.
pub(crate) fn hang(lead: &str, text: &str, columns: usize) -> Vec<String> {
    let indent = lead.chars().count();
    let lines = wrap(text, columns.saturating_sub(indent).max(20));
    let line = |(index, line): (usize, &String)| {
        let text = if index == 0 { format!("{lead}{line}") } else { format!("{:indent$}{line}", "") };
        text.trim_end().to_owned()
    };
    lines.iter().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cells: &[&[&str]]) -> Vec<Vec<String>> {
        cells.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect()
    }

    #[test]
    fn columns_are_aligned_by_characters_and_not_by_bytes() {
        let lines = plain(&rows(&[&["µs", "1"], &["Gbit/s", "10"]]), &[Align::Left, Align::Right]);
        assert_eq!(lines, ["µs       1", "Gbit/s  10"]);
    }

    #[test]
    fn a_bar_in_a_cell_does_not_make_a_column() {
        let lines = markdown(&rows(&[&["a", "b"], &["x|y", "1"]]), &[Align::Left, Align::Right]);
        assert_eq!(lines, ["| a    |   b |", "| ---- | --: |", "| x\\|y |   1 |"]);
    }

    #[test]
    fn wraps_at_words_and_leaves_long_ones_whole() {
        assert_eq!(wrap("one two threefourfive six", 8), ["one two", "threefourfive", "six"]);
        assert_eq!(wrap("\u{1b}[1;31mone\u{1b}[0m two m", 9), ["\u{1b}[1;31mone\u{1b}[0m two m"]);
        assert_eq!(
            hang("- ", "alpha beta gamma delta epsilon", 22),
            ["- alpha beta gamma", "  delta epsilon"]
        );
    }
}
