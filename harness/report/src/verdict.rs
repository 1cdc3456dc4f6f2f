//! A gate in words.

use measure::Better;
use stats::{Claim, Judgement, NotComparable, Note, Verdict};

use crate::{Gate, number};

/// `+0.3 % [-0.4, +1.0]`, or why there is no such thing.
pub(crate) fn change(gate: &Gate) -> String {
    match &gate.judgement.effect {
        Some(effect) => number::effect(effect, gate.unit),
        None => "not compared".to_owned(),
    }
}

/// `90 %`.
pub(crate) fn confidence(gate: &Gate) -> Option<String> {
    gate.judgement.effect.map(|effect| number::percent(effect.confidence))
}

/// What the numbers of gates are; none if none was compared.
pub(crate) fn legend<'a>(judgements: impl Iterator<Item = &'a Judgement>) -> Option<String> {
    let effects: Vec<bool> = judgements.map(|judgement| judgement.effect.is_some()).collect();
    effects.contains(&true).then(|| {
        format!(
            "Medians over boots; Hodges-Lehmann estimate of the change, its interval, and p of the verdict (if unclear, of the closest \
             one), by signed ranks within blocks of boots, adjusted for {} (Holm).",
            number::counted(effects.len(), "comparison")
        )
    })
}

/// What a verdict leaves open, and how much was left out; each a clause that can stand alone.
pub(crate) fn notes(gate: &Gate) -> Vec<String> {
    let judgement = &gate.judgement;
    let mut notes = Vec::new();
    if let Some(reason) = &gate.refused {
        notes.push(reason.clone());
    }
    for note in &judgement.notes {
        notes.extend(match note {
            Note::NotWorse => {
                Some(format!("not worse by {}: the interval excludes it", number::percent(gate.margin)))
            }
            Note::NotBetter => {
                Some(format!("not better by {}: the interval excludes it", number::percent(gate.margin)))
            }
            Note::TooFewBlocks { used, needed } => Some(too_few(*used, *needed)),
            // The refusal above says more.
            Note::NotComparable { why: NotComparable::NoBlocks } if gate.refused.is_some() => None,
            Note::NotComparable { why } => Some(why.to_string()),
        });
    }
    if let Some(smallest) = judgement.smallest_shown {
        notes.push(format!(
            "these boots could have shown a change of {} or more; a smaller one may be hidden",
            number::rough_percent(smallest)
        ));
    }
    if judgement.verdict == Verdict::Unclear
        && judgement.effect.is_some_and(|effect| effect.interval.is_some())
    {
        notes.push(format!("closest to `{}`", claim(judgement.claim)));
    }
    // Where nothing is left, that is said already.
    if judgement.left_out > 0 && judgement.used > 0 {
        let left_out = number::counted(judgement.left_out, "block");
        notes.push(format!("{left_out} left out, in which an arm yielded no value"));
    }
    notes
}

fn too_few(used: usize, needed: Option<u32>) -> String {
    let used = number::counted(used, "block");
    match needed {
        Some(needed) => format!("{used} cannot decide at this level; it takes {needed}"),
        None => format!("{used} cannot decide at this level, and no number of blocks can"),
    }
}

/// A claim as the verdict that it would be.
pub(crate) fn claim(claim: Claim) -> &'static str {
    match claim {
        Claim::Worse => "worse",
        Claim::Better => "better",
        Claim::Same => "same",
    }
}

/// Which way a metric is better, where that is not clear from its name.
pub(crate) fn direction(better: Better) -> &'static str {
    match better {
        Better::Higher => "higher is better",
        Better::Lower => "lower is better",
        Better::Neither => "neither way is better",
    }
}
