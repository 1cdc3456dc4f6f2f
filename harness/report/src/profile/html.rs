//! Profiles as parts of a page.

use maud::{Markup, html};

use super::{
    Profiled,
    flame::figure,
    words::{self, Words},
};
use crate::{html::text, table::Align};

/// A profile with its title.
pub(crate) fn card(profiled: &Profiled) -> Markup {
    let table = &profiled.table;
    html! {
        article.card {
            h3 { (text::line(&words::title(profiled))) }
            @if let Some(same) = words::all_the_same(table) { p { (text::line(&same)) } }
            (markup(&words::instructions(table)))
            @if let Some((title, strings)) = words::strings(table) {
                details {
                    summary { (text::prose(&title)) }
                    (markup(&strings))
                }
            }
            @if let Some(flame) = &profiled.flame { (figure(flame, table.per, table.baseline.is_some())) }
        }
    }
}

fn markup(words: &Words) -> Markup {
    let class = |column: usize| match words.heading.get(column) {
        Some((_, Align::Right)) => "num",
        _ => "",
    };
    html! {
        div.scroll {
            table {
                thead { tr { @for (column, (name, _)) in words.heading.iter().enumerate() { th scope="col" class=(class(column)) { (text::line(name)) } } } }
                tbody {
                    @for row in &words.rows {
                        tr {
                            @for (column, cell) in row.cells.iter().enumerate() {
                                td class=(class(column)) {
                                    @if row.is_sum { b { (text::line(cell)) } } @else { (text::line(cell)) }
                                    @if column == 0 && !row.what.is_empty() {
                                        br;
                                        small.muted { (text::line(&row.what.join("; "))) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
