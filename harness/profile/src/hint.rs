//! What may belong together: code that moved from one function into another.

use std::collections::BTreeMap;

use crate::{Change, Context, Pair, numbers::Blocks};

/// How much of what a function lost another one of its file has to gain, so that it may be the same code.
const MOVED: std::ops::RangeInclusive<f64> = 0.5..=1.5;

/// For each pair that is gone or new, and for what grew or shrank by about as much in the same file: what that may be due to.
/// Compilers inline a function, and stop doing so, when its callers change; then its instructions are counted elsewhere.
pub(crate) fn hints(pairs: &[Pair], frame: &Blocks) -> BTreeMap<usize, String> {
    let mut hints = BTreeMap::new();
    if !frame.is_paired {
        return hints;
    }
    let differences: Vec<f64> = pairs.iter().map(|pair| difference(pair, frame)).collect();
    for (index, pair) in pairs.iter().enumerate() {
        let (Some(file), Some(name)) = (&pair.identity().file, &pair.identity().name) else { continue };
        let is_gone = match pair.change {
            Some(Change::Gone) => true,
            Some(Change::New) => false,
            _ => continue,
        };
        let opposite = |(other, with): &(usize, &Pair)| {
            let both = with.before.is_some() && with.after.is_some();
            *other != index && both && with.identity().file.as_ref() == Some(file) && {
                let moved = -differences[*other] / differences[index];
                MOVED.contains(&moved)
            }
        };
        let distance = |other: usize| (differences[other] + differences[index]).abs();
        let nearest =
            pairs.iter().enumerate().filter(opposite).min_by(|a, b| distance(a.0).total_cmp(&distance(b.0)));
        let Some((other, with)) = nearest else { continue };
        let Some(caller) = &with.identity().name else { continue };
        let (of_pair, of_other) = if is_gone {
            (format!("perhaps inlined into {caller}"), format!("perhaps {name} was inlined into it"))
        } else {
            (
                format!("perhaps no longer inlined into {caller}"),
                format!("perhaps {name} is no longer inlined into it"),
            )
        };
        hints.insert(index, of_pair);
        hints.entry(other).or_insert(of_other);
    }
    hints
}

/// The mean difference of a pair, idling left out.
fn difference(pair: &Pair, frame: &Blocks) -> f64 {
    let work = |side: &Option<(crate::matching::Identity, crate::matching::Logical)>, block: usize| -> u64 {
        let contexts = side.as_ref().and_then(|(_, logical)| logical.boots.get(block));
        let cells = contexts.into_iter().flatten().filter(|(context, _)| **context != Context::Idle);
        cells.map(|(_, cell)| cell.instructions).sum()
    };
    let counts: Vec<(u64, u64)> =
        (0..frame.all.len()).map(|block| (work(&pair.before, block), work(&pair.after, block))).collect();
    frame.numbers(&counts).difference.unwrap_or_default()
}
