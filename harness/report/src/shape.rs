//! What boots look like besides their level: two groups, a drift over the run, a change within them.

use std::collections::BTreeMap;

use measure::{Parts, TrialRecord};
use plan::Plan;
use stats::{StatsError, change_within, drift, two_groups};

use crate::{
    BootValue, Gate, Model, SeriesKey, WithinChange, describe, history::spark, number, series::within_key,
};

/// Remarks are made of what chance does less often than this.
const LEVEL: f64 = 0.01;
/// Parts of a boot that are shown as bars.
const MOST_PICTURED: usize = 40;

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
    told.extend(model.within.iter().map(changes));
    told
}

/// Levels that change within the boots of a side more than chance does, in the same place in each, in the order of the plan.
///
/// # Errors
/// A value that is not finite.
pub(crate) fn changes_within(plan: &Plan, trials: &[TrialRecord]) -> Result<Vec<WithinChange>, StatsError> {
    type Boots = (Option<f64>, Vec<Vec<f64>>);
    let mut boots: BTreeMap<(SeriesKey, &str), Boots> = BTreeMap::new();
    let counts = |trial: &&TrialRecord| !trial.traced && plan.design.counts(trial.block);
    for trial in trials.iter().filter(counts) {
        let side = plan.arm(&trial.arm).map_or(trial.arm.as_str(), plan::Arm::side);
        for within in &trial.within {
            let Some(key) = within_key(plan, within) else { continue };
            let seconds = match within.parts {
                Parts::Intervals { seconds } => Some(seconds),
                Parts::Runs => None,
            };
            let (_, boots) = boots.entry((key, side)).or_insert_with(|| (seconds, Vec::new()));
            boots.push(within.values.clone());
        }
    }
    let mut found = Vec::new();
    for ((series, side), (seconds, boots)) in boots {
        let Some(change) = change_within(&boots)?.filter(|change| change.p <= LEVEL) else { continue };
        let Some(definition) = plan.metric(&series.metric) else { continue };
        let parts = boots.iter().map(Vec::len).min().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a number of boots")]
        let mean = |part: usize| boots.iter().map(|boot| boot[part]).sum::<f64>() / boots.len() as f64;
        found.push(WithinChange {
            unit: definition.unit,
            side: side.to_owned(),
            boots: boots.len(),
            parts,
            seconds,
            at: change.at,
            before: change.before,
            after: change.after,
            p: change.p,
            means: (0..parts).map(mean).collect(),
            series,
        });
    }
    found.sort_by_cached_key(|change| crate::assemble::position(plan, &change.series));
    Ok(found)
}

fn changes(change: &WithinChange) -> String {
    let (divisor, symbol) = number::scale(change.after.abs().max(change.before.abs()), change.unit);
    let text = |value: f64| number::significant(value / divisor, 3);
    #[expect(clippy::cast_precision_loss, reason = "a number of parts")]
    let (place, cause) = match change.seconds {
        Some(seconds) => (
            format!(
                "after {} s of {} s",
                number::significant(seconds * change.at as f64, 2),
                number::significant(seconds * change.parts as f64, 2)
            ),
            "a window or buffers that still grow, caches and page pools that still fill, a processor that slows down as it gets warm; `warmup` leaves \
             the beginning of a test out",
        ),
        None => (
            format!("after run {} of {}", change.at, change.parts),
            "caches that the first run fills, memory that earlier runs left in another state",
        ),
    };
    format!(
        "{}, {}: the level changes within each boot, {place}, from {} to {} {symbol} ({}{}, p {}). Usual causes: {cause}.",
        describe::label(&change.series),
        change.side,
        text(change.before),
        text(change.after),
        // Part by part; of very many a picture would be too wide.
        if change.means.len() <= MOST_PICTURED {
            format!("{} over ", spark(&change.means))
        } else {
            String::new()
        },
        number::counted(change.boots, "boot"),
        number::probability(change.p)
    )
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
