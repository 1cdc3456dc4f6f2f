//! Everything that no gate names: leads, not verdicts.

use maud::{Markup, html};

use super::{
    Section,
    chart::{self, Lane},
    data, text,
};
use crate::{Model, Row, RowCandidate, describe, explored, number, syscalls};

/// Rows on the page. A row is about 700 bytes, so that the whole stays below two megabytes.
const MOST: usize = 2000;
/// Groups with more rows than this are folded.
const OPEN: usize = 12;
/// Notable rows that are shown in front.
const LEADS: usize = 40;

/// One arm's line of a row.
type Line<'a> = (&'a Row, Option<&'a RowCandidate>);

pub(super) fn section(model: &Model) -> Option<Section> {
    let compared = model.explored.iter().any(explored::is_compared);
    let groups = explored::groups(model, |row| !syscalls::is_here(row));
    if groups.is_empty() {
        return None;
    }
    let mut notable: Vec<Line<'_>> = model.explored.iter().flat_map(lines).filter(is_notable).collect();
    notable.sort_by(|a, b| q(a).total_cmp(&q(b)));
    let mut room = MOST.saturating_sub(notable.len().min(LEADS));
    let total: usize = model.explored.iter().map(|row| lines(row).count()).sum();
    let tables: Vec<Markup> = groups
        .iter()
        .map(|group| {
            let all: Vec<Line<'_>> = group.rows.iter().flat_map(|row| lines(row)).collect();
            let shown = &all[..all.len().min(room)];
            room -= shown.len();
            group_table(model, &group.title, shown, all.len())
        })
        .collect();
    let body = html! {
        @if compared {
            p.lead {
                (summary(notable.len(), total))
                " Each interval is for itself at 95 %; q is p adjusted for all of them (Benjamini-Hochberg)."
            }
        }
        @if !notable.is_empty() {
            article.card {
                h3 { "Differences to follow up" }
                (table(model, &notable[..notable.len().min(LEADS)], true, "Rows with q up to 0.05, lowest first"))
                @if notable.len() > LEADS { p.muted { (notable.len() - LEADS) " more are marked below." } }
            }
        }
        @for table in &tables { (table) }
        @if room == 0 && total > MOST { p.muted { "The page shows " (MOST) " of " (total) " rows; report.json has all of them." } }
    };
    let heading =
        if compared { "Everything else: leads, not verdicts" } else { "Everything that was measured" };
    Some(Section { id: "explored", short: "Everything else", heading, body })
}

fn summary(notable: usize, total: usize) -> String {
    let limit = explored::NOTABLE;
    match notable {
        0 => format!("None of {total} other comparisons differs at a false discovery rate of {limit}."),
        1 => format!("One of {total} other comparisons differs at a false discovery rate of {limit}."),
        some => format!("{some} of {total} other comparisons differ at a false discovery rate of {limit}."),
    }
}

/// A row for each candidate, or one where there is none.
fn lines(row: &Row) -> impl Iterator<Item = Line<'_>> {
    let alone = explored::candidates(row).next().is_none().then_some((row, None));
    alone.into_iter().chain(explored::candidates(row).map(move |candidate| (row, Some(candidate))))
}

fn is_notable((_, candidate): &Line<'_>) -> bool {
    candidate.is_some_and(explored::candidate_is_notable)
}

fn q((_, candidate): &Line<'_>) -> f64 {
    candidate.and_then(|candidate| candidate.exploration.as_ref()?.q).unwrap_or(1.0)
}

fn group_table(model: &Model, title: &str, shown: &[Line<'_>], total: usize) -> Markup {
    let notable = shown.iter().filter(|line| is_notable(line)).count();
    html! {
        article.card {
            details open[total <= OPEN] {
                summary {
                    h3 { (text::line(title)) } " "
                    span.muted { (number::counted(total, "row")) @if notable > 0 { ", " (notable) " marked" } }
                }
                @if !shown.is_empty() { (table(model, shown, false, title)) }
                @if shown.len() < total { p.muted { (total - shown.len()) " more rows are in report.json." } }
            }
        }
    }
}

fn table(model: &Model, lines: &[Line<'_>], whole_name: bool, caption: &str) -> Markup {
    let several = model.candidate_sides().len() > 1;
    let compared = lines.iter().any(|(_, candidate)| candidate.is_some());
    html! {
        table.rows.sort {
            caption.hidden { (text::line(caption)) }
            thead {
                tr {
                    th scope="col" data-sort="text" { "metric" }
                    @if several && compared { th scope="col" data-sort="text" { "arm" } }
                    th.num scope="col" { (text::line(model.baseline_side())) }
                    @if compared { th.num scope="col" data-sort="number" { "change" } }
                    th scope="col" { "boots" }
                    @if compared { th.num scope="col" data-sort="number" { "q" } }
                }
            }
            tbody { @for line in lines { (table_row(model, *line, whole_name, several && compared)) } }
        }
    }
}

fn table_row(model: &Model, (row, candidate): Line<'_>, whole_name: bool, several: bool) -> Markup {
    let name = if whole_name { describe::label(&row.series) } else { describe::metric(&row.series) };
    let exploration = candidate.and_then(|candidate| candidate.exploration.as_ref());
    let lanes: Vec<Lane<'_>> = data::baseline(model, &row.baseline_by_boot)
        .into_iter()
        .chain(candidate.and_then(|candidate| data::lane(model, &candidate.arm, &candidate.by_boot)))
        .collect();
    html! {
        tr.notable[is_notable(&(row, candidate))] {
            td.what title=(help(row)) { (text::line(&name)) }
            @if several { td.arm { (text::line(candidate.map_or("", |candidate| candidate.arm.as_str()))) } }
            td.num { (explored::baseline(row)) }
            @if let Some(candidate) = candidate {
                td.num.change data-key=[exploration.and_then(|e| e.effect).map(|effect| effect.estimate)] { (text::line(&explored::change(row, candidate))) }
            }
            td.plot { @if let Some(axis) = chart::shared_axis(&lanes) { (chart::dots(&lanes, axis)) } }
            @if let Some(candidate) = candidate {
                td.num.q data-key=[exploration.and_then(|e| e.q)] { span.label { "q " } (explored::q(candidate)) }
            }
        }
    }
}

/// Where the number comes from and what it is.
fn help(row: &Row) -> String {
    let definition = measure::metric::find(&row.series.metric).map(|definition| definition.help.trim());
    format!("{} (from {})", definition.unwrap_or_default(), data::sources(&row.provenance))
}
