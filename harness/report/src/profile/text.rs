//! Profiles as text.

use super::{
    HEADING, MORE, Profiled,
    words::{self, Words},
};
use crate::{
    Colour, Model,
    table::{Align, hang, literal, markdown, plain, wrap},
};

/// Mail is wrapped here. Tables are not.
pub(super) const COLUMNS: usize = 75;

/// The longest name that is shown whole.
const NAME: usize = 40;

/// A profile on a terminal, below its title. How it is to be read stands below all of them: [`legends`].
pub(crate) fn terminal_lines(profiled: &Profiled, colour: Colour, columns: usize) -> Vec<String> {
    let table = &profiled.table;
    let mut lines = Vec::new();
    let paragraph = |lines: &mut Vec<String>, text: &str| lines.extend(hang("  ", text, columns));
    if let Some(same) = words::all_the_same(table) {
        paragraph(&mut lines, &same);
        lines.push(String::new());
    }
    lines.extend(fitting(&words::instructions(table), colour, columns));
    if let Some((title, strings)) = words::strings(table) {
        lines.push(String::new());
        paragraph(&mut lines, &title);
        lines.extend(fitting(&strings, colour, columns));
    }
    lines
}

/// The table with as many columns as fit.
fn fitting(words: &Words, colour: Colour, columns: usize) -> Vec<String> {
    // What can be had elsewhere goes first: the folder, the part of the total, the baseline itself.
    let is_dispensable = |left_out: usize, column: usize| {
        let last = words.heading.len() - 1;
        let has_folder = words.heading[last].1 == Align::Left;
        let share = if has_folder { last - 1 } else { last };
        let dispensable = [has_folder.then_some(last), Some(share), (share > 2).then_some(1)];
        dispensable.iter().flatten().take(left_out).any(|other| *other == column)
    };
    let tables = (0..=3).map(|left_out| table(words, colour, |column| !is_dispensable(left_out, column)));
    let mut narrowest = Vec::new();
    for (width, lines) in tables {
        narrowest = lines;
        if width + 2 <= columns {
            break;
        }
    }
    narrowest
}

/// Its width without colours, and its lines.
fn table(words: &Words, colour: Colour, shows: impl Fn(usize) -> bool) -> (usize, Vec<String>) {
    let keep = |cells: &[String]| -> Vec<String> {
        let kept = cells.iter().enumerate().filter(|(column, _)| shows(*column));
        kept.map(|(column, cell)| if column == 0 { shortened(cell) } else { cell.clone() }).collect()
    };
    let heading: Vec<String> = words.heading.iter().map(|(name, _)| name.clone()).collect();
    let align: Vec<Align> = words
        .heading
        .iter()
        .enumerate()
        .filter(|(column, _)| shows(*column))
        .map(|(_, (_, align))| *align)
        .collect();
    let all: Vec<Vec<String>> =
        std::iter::once(keep(&heading)).chain(words.rows.iter().map(|row| keep(&row.cells))).collect();
    let rows = plain(&all, &align);
    let width = rows.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (index, line) in rows.into_iter().enumerate() {
        let row = index.checked_sub(1).and_then(|index| words.rows.get(index));
        let painted = match row {
            None => colour.faint(&line),
            Some(row) if row.is_sum => colour.heading(&line),
            Some(_) => line,
        };
        lines.push(format!("  {painted}"));
        let what = row.map(|row| row.what.join("; ")).unwrap_or_default();
        if !what.is_empty() {
            lines.extend(hang("      ", &what, width.max(60)));
        }
    }
    (width, lines)
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_owned();
    }
    let kept: String = name.chars().take(NAME - 3).collect();
    format!("{kept}...")
}

/// A profile in markdown, below its title.
pub(crate) fn markdown_lines(profiled: &Profiled) -> Vec<String> {
    let table = &profiled.table;
    let mut lines = Vec::new();
    if let Some(same) = words::all_the_same(table) {
        lines.extend(wrap(&literal(&same), COLUMNS));
        lines.push(String::new());
    }
    lines.extend(markdown_table(&words::instructions(table)));
    if let Some((title, strings)) = words::strings(table) {
        lines.extend([String::new(), format!("{title}:"), String::new()]);
        lines.extend(markdown_table(&strings));
    }
    lines
}

/// How profiles are to be read, each way of it once; nothing of those in which nothing differs, unless they are shown all the same.
pub(crate) fn legends(profiles: &[Profiled], shows_same: bool) -> Vec<String> {
    let mut legends: Vec<String> = Vec::new();
    for profiled in profiles {
        let legend = words::legend(&profiled.table).join(" ");
        let is_shown = shows_same || words::all_the_same(&profiled.table).is_none();
        if is_shown && !legends.contains(&legend) {
            legends.push(legend);
        }
    }
    legends
}

/// Our own sentences have code in them, and asterisks that are none of markdown's.
pub(crate) fn literal_but_code(sentence: &str) -> String {
    sentence.replace('*', "\\*")
}

fn markdown_table(words: &Words) -> Vec<String> {
    let has_what = words.rows.iter().any(|row| !row.what.is_empty());
    let (mut heading, mut align): (Vec<String>, Vec<Align>) = words.heading.iter().cloned().unzip();
    if has_what {
        heading.push(String::new());
        align.push(Align::Left);
    }
    let columns = heading.len();
    let rows = words.rows.iter().map(|row| {
        let mut cells = row.cells.clone();
        if has_what {
            cells.resize(columns - 1, String::new());
            cells.push(row.what.join("; "));
        }
        cells
    });
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(rows).collect();
    markdown(&rows, &align)
}

/// A profile in a report on a terminal: no more than a sentence where nothing differs.
pub(crate) fn section_lines(profiled: &Profiled, colour: Colour, columns: usize) -> Vec<String> {
    let mut lines = hang("  ", &words::title(profiled), columns);
    match words::all_the_same(&profiled.table) {
        Some(same) => lines.extend(hang("  ", &same, columns)),
        None => lines.extend(terminal_lines(profiled, colour, columns)),
    }
    lines.push(String::new());
    lines
}

/// The same in markdown, with a heading.
pub(crate) fn markdown_section(model: &Model) -> Option<String> {
    if model.profiles.is_empty() {
        return None;
    }
    let mut lines = vec![format!("### {HEADING}")];
    for profiled in &model.profiles {
        lines.extend([String::new(), literal(&words::title(profiled)), String::new()]);
        match words::all_the_same(&profiled.table) {
            Some(same) => lines.extend(wrap(&literal(&same), COLUMNS)),
            None => lines.extend(markdown_lines(profiled)),
        }
    }
    for legend in legends(&model.profiles, false).into_iter().chain([MORE.to_owned()]) {
        lines.push(String::new());
        lines.extend(wrap(&literal_but_code(&legend), COLUMNS));
    }
    Some(lines.join("\n"))
}
