//! Whether a run that was cut short could have decided anything.

use plan::Plan;

use crate::number;

/// Says that no gate's verdict was reachable with so many blocks, however large the difference is; nothing if one was, or if there
/// is no gate.
#[must_use]
pub fn unreachable(plan: &Plan, blocks: u32) -> Option<String> {
    let comparisons: usize = plan.gates.iter().map(|gate| plan.comparisons(gate).count()).sum();
    let comparisons = u32::try_from(comparisons).ok().filter(|count| *count > 0)?;
    let alpha = plan.design.alpha;
    if let Some(looks) = crate::stop::looks(plan) {
        let first = looks.first(alpha / f64::from(comparisons)).and_then(|first| u32::try_from(first).ok());
        return first.is_none_or(|first| blocks < first).then(|| {
            let first = first.map_or_else(String::new, |first| {
                format!(": the first look that can decide is after block {first}")
            });
            format!("No verdict was reachable with {}{first}.", number::counted(blocks, "whole block"))
        });
    }
    let (smallest, level) = (stats::smallest_p(blocks), alpha / f64::from(comparisons));
    if smallest <= level {
        return None;
    }
    let needs = stats::boots_needed(alpha, comparisons)
        .map_or_else(String::new, |needed| format!(", which {needed} blocks can give"));
    let among =
        if comparisons == 1 { String::new() } else { format!(" ({alpha} over {comparisons} comparisons)") };
    Some(format!(
        "No verdict was reachable: with {} the smallest p-value that there can be is {}, and {}{among} is needed{needs}.",
        number::counted(blocks, "whole block"),
        number::probability(smallest),
        number::probability(level),
    ))
}
