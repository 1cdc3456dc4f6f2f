//! What system calls cost.

use maud::html;

use super::{Section, text};
use crate::{Model, syscalls, table::Align};

/// More tables of a matrix than this are in the JSON only.
const MOST: usize = 96;
/// Calls of one table.
const CALLS: usize = 24;

pub(super) fn section(model: &Model) -> Option<Section> {
    let tables = syscalls::tables(model);
    if tables.is_empty() {
        return None;
    }
    let words = |table: &syscalls::Table| table.align().iter().filter(|align| **align == Align::Left).count();
    let body = html! {
        p.lead { (syscalls::LEGEND) }
        @for table in tables.iter().take(MOST) {
            @let (rows, words) = (table.rows(CALLS), words(table));
            h3 { (text::line(&table.title)) }
            table.plain {
                @if let Some((heading, lines)) = rows.split_first() {
                    thead { tr { @for (index, cell) in heading.iter().enumerate() { th.num[index >= words] scope="col" { (cell) } } } }
                    tbody {
                        @for line in lines {
                            tr { @for (index, cell) in line.iter().enumerate() { td.num[index >= words] { (text::line(cell)) } } }
                        }
                    }
                }
            }
            @if let Some(more) = table.left_out(CALLS) { p.muted { (more) } }
        }
        @if tables.len() > MOST { p.muted { (tables.len() - MOST) " more are in report.json." } }
    };
    Some(Section { id: "syscalls", short: "System calls", heading: syscalls::HEADING, body })
}
