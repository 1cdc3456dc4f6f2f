//! The answer to the question, in a sentence or two.

use stats::Verdict;

use crate::{Gate, Model, conclude, describe, gate_outcome, number, outcome, places, verdict};

/// How many gates are told of; the rest are counted.
const CLAUSES: usize = 3;

/// What the gravest reasons say, with numbers where there are some.
pub(super) fn answer(model: &Model) -> Vec<String> {
    let conclusion = conclude(model);
    let of_gates: Vec<String> =
        outcome::reasons_of_gates(model).into_iter().map(|(_, reason)| reason).collect();
    let mut sentences: Vec<String> = conclusion
        .reasons
        .iter()
        .filter(|reason| !of_gates.contains(reason))
        .map(|reason| sentence(reason))
        .collect();
    // A series that breaks the kernel is the answer; what its gates would have said comes below.
    if sentences.is_empty() || conclusion.outcome == crate::Outcome::Holds {
        sentences.retain(|_| model.gates.is_empty());
        let asked: Vec<&[Gate]> = places::asked(&model.gates)
            .filter(|gates| gates.iter().any(|gate| gate_outcome(gate) == conclusion.outcome))
            .collect();
        sentences.extend(asked.iter().take(CLAUSES).map(|gates| sentence(&clauses(gates))));
        if asked.len() > CLAUSES {
            sentences.push(format!("{} more below.", asked.len() - CLAUSES));
        }
    }
    sentences
}

/// Gates that differ in their places only.
fn clauses(gates: &[Gate]) -> String {
    if let [single] = gates {
        return clause(single);
    }
    let all: Vec<&Gate> = gates.iter().collect();
    let verdicts: Vec<String> = places::verdicts(&all).into_iter().map(|(_, verdict)| verdict).collect();
    let first = gates.first().map(|gate| (places::label(&gate.series), gate.arm.as_str()));
    let (label, arm) = first.unwrap_or_default();
    format!("with {arm}, {label} is {}", verdicts.join(", "))
}

fn clause(gate: &Gate) -> String {
    let (arm, what) = (&gate.arm, describe::label(&gate.series));
    let margin = number::percent(gate.margin);
    match gate.judgement.verdict {
        Verdict::Worse => {
            format!("{arm} makes {what} worse: {}, beyond the margin of {margin}", verdict::change(gate))
        }
        Verdict::Better => {
            format!("{arm} makes {what} better: {}, beyond the margin of {margin}", verdict::change(gate))
        }
        Verdict::Same => format!("{arm} leaves {what} the same within {margin}: {}", verdict::change(gate)),
        Verdict::Unclear => match gate.judgement.effect {
            Some(effect) if effect.interval.is_some() => format!(
                "whether {arm} changes {what} by {margin} or more is not decided: {}",
                verdict::change(gate)
            ),
            Some(_) | None => format!("whether {arm} changes {what} is not decided"),
        },
    }
}

/// With a capital at its beginning and a full stop at its end; names of arms keep their letters.
fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let first: String = match letters.next() {
        Some(first) if ["the ", "no ", "whether ", "with "].iter().any(|word| clause.starts_with(word)) => {
            first.to_uppercase().collect()
        }
        Some(first) => first.to_string(),
        None => String::new(),
    };
    format!("{first}{}.", letters.as_str())
}
