//! What the boots of a gate look like besides their level: two groups, a drift over the run.

use stats::{drift, two_groups};

use crate::{BootValue, Gate, Model, describe, number};

/// Remarks are made of what chance does less often than this.
const LEVEL: f64 = 0.01;

/// A sentence for each side of each gate whose boots fall into two groups or drift.
pub(crate) fn shapes(model: &Model) -> Vec<String> {
    let baseline = model.arms.first().map_or("", |arm| arm.side.as_str());
    let mut told: Vec<String> = Vec::new();
    for gate in &model.gates {
        for (side, boots) in
            [(baseline, &gate.baseline_by_boot), (gate.arm.as_str(), &gate.candidate_by_boot)]
        {
            let of_side = [groups(gate, boots), drifts(gate, boots)].into_iter().flatten();
            for what in of_side {
                let sentence = format!("{}, {side}: {what}", describe::label(&gate.series));
                // A baseline stands in one gate for each candidate.
                if !told.contains(&sentence) {
                    told.push(sentence);
                }
            }
        }
    }
    told
}

fn groups(gate: &Gate, boots: &[BootValue]) -> Option<String> {
    let values: Vec<f64> = boots.iter().map(|boot| boot.value).collect();
    // The values were finite when they were judged.
    let found = two_groups(&values).ok()??;
    let (divisor, symbol) = number::scale(found.high.abs().max(found.low.abs()), gate.unit);
    let text = |value: f64| number::significant(value / divisor, 3);
    (found.p <= LEVEL).then(|| {
        format!(
            "boots fall into two groups, {} around {} and {} around {} {symbol} (p {}). Usual causes: where memory and vCPUs were placed (NUMA, huge pages), \
             the processor's frequency, a queue that a hash chose anew at each boot, or a host that was busy for some of them.",
            found.lower,
            text(found.low),
            found.upper,
            text(found.high),
            number::probability(found.p)
        )
    })
}

fn drifts(gate: &Gate, boots: &[BootValue]) -> Option<String> {
    let mut in_time: Vec<&BootValue> = boots.iter().collect();
    in_time.sort_by_key(|boot| boot.trial);
    let values: Vec<f64> = in_time.iter().map(|boot| boot.value).collect();
    let found = drift(&values, LEVEL / 2.0).ok()??;
    let level = number::scale(values.iter().fold(0.0, |most, value| value.abs().max(most)), gate.unit);
    (found.p <= LEVEL).then(|| {
        format!(
            "the level drifts by {} {} from boot to boot (p {}). Blocks take a drift out of every comparison within this run; warm-up, heat and other \
             work of the host are its usual causes.",
            number::significant(found.slope / level.0, 2),
            level.1,
            number::probability(found.p)
        )
    })
}
