//! Which exploratory rows deserve to be seen, and their cells.

use crate::{Model, Row, RowCandidate, describe, number};

/// The false discovery rate below which a difference is worth a look.
pub(crate) const NOTABLE: f64 = 0.05;
/// However many groups there are, each shows so many rows.
const FEWEST: usize = 4;

/// The candidates that yielded something to show; an arm that failed is told of elsewhere.
pub(crate) fn candidates(row: &Row) -> impl Iterator<Item = &RowCandidate> {
    row.candidates.iter().filter(|candidate| candidate.values.is_some())
}

/// Whether any candidate was compared with the baseline.
pub(crate) fn is_compared(row: &Row) -> bool {
    row.candidates.iter().any(|candidate| candidate.exploration.as_ref().is_some_and(|e| e.p.is_some()))
}

/// Whether any candidate differs from the baseline beyond what chance explains.
pub(crate) fn is_notable(row: &Row) -> bool {
    row.candidates.iter().any(candidate_is_notable)
}

/// Whether this candidate does.
pub(crate) fn candidate_is_notable(candidate: &RowCandidate) -> bool {
    candidate.exploration.as_ref().and_then(|exploration| exploration.q).is_some_and(|q| q <= NOTABLE)
}

/// The rows of one workload, or of every boot.
pub(crate) struct Group<'a> {
    pub(crate) title: String,
    pub(crate) rows: Vec<&'a Row>,
}

/// Rows that `shown` lets pass, by workload.
pub(crate) fn groups<'a>(model: &'a Model, shown: impl Fn(&Row) -> bool) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for row in model.explored.iter().filter(|row| shown(row)) {
        let title = row.series.workload.clone().unwrap_or_else(|| "every boot".to_owned());
        match groups.last_mut() {
            Some(group) if group.title == title => group.rows.push(row),
            _ => groups.push(Group { title, rows: vec![row] }),
        }
    }
    groups
}

/// No more than about `most` rows over all groups. Differences come first, the surest of them before others; what is left stands in
/// its order.
pub(crate) fn bounded<'a>(groups: Vec<Group<'a>>, most: usize) -> Vec<Group<'a>> {
    let each = (most / groups.len().max(1)).max(FEWEST);
    let bound = |Group { title, rows }: Group<'a>| {
        let mut ranked: Vec<(usize, &'a Row)> = rows.into_iter().enumerate().collect();
        ranked.sort_by(|(_, a), (_, b)| surest(a).total_cmp(&surest(b)));
        ranked.truncate(each);
        ranked.sort_by_key(|(position, _)| *position);
        Group { title, rows: ranked.into_iter().map(|(_, row)| row).collect() }
    };
    groups.into_iter().map(bound).collect()
}

/// The lowest q of a row that has a difference; all others are alike.
pub(crate) fn surest(row: &Row) -> f64 {
    let q = |candidate: &RowCandidate| candidate.exploration.as_ref().and_then(|exploration| exploration.q);
    row.candidates.iter().filter_map(q).filter(|q| *q <= NOTABLE).fold(1.0, f64::min)
}

/// Whether a row is a part of something, such as one core of all, and nothing notable.
pub(crate) fn is_detail(row: &Row) -> bool {
    describe::is_part(&row.series) && !is_notable(row)
}

/// The baseline's median.
pub(crate) fn baseline(row: &Row) -> String {
    row.baseline.as_ref().map_or_else(|| "-".to_owned(), |summary| number::median(summary, row.unit))
}

/// The change with its interval, or why there is none.
pub(crate) fn change(row: &Row, candidate: &RowCandidate) -> String {
    match &candidate.exploration {
        Some(exploration) => match (&exploration.effect, exploration.not_comparable) {
            (Some(effect), _) => number::effect(effect, row.unit),
            (None, Some(why)) => why.to_string(),
            (None, None) => "-".to_owned(),
        },
        None => candidate.refused.clone().unwrap_or_else(|| "-".to_owned()),
    }
}

/// The adjusted p-value.
pub(crate) fn q(candidate: &RowCandidate) -> String {
    let q = candidate.exploration.as_ref().and_then(|exploration| exploration.q);
    q.map_or_else(|| "-".to_owned(), number::probability)
}
