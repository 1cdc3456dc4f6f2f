//! The numbers of a comparison: what may be compared, and what it shows.

use std::collections::BTreeMap;

use measure::Provenance;
use plan::{Expectation, Gate, Plan, Workload};
use stats::{
    Better, BetweenRuns, Block, Comparison, Summary, UnpairedShifts, Verdict, explore, judge_at,
    judge_between, summarise,
};

use super::{CompareError, Comparing, Filter, Refused, Times, VersusGate, VersusRow, between::Between};
use crate::{
    Outcome, SeriesKey, describe,
    series::{ArmSeries, arm_series},
    stop::looks,
};

/// Intervals of single rows have 95 % confidence, each for itself.
const LEVEL: f64 = 0.025;

pub(super) struct Numbers {
    pub(super) refused: Vec<Refused>,
    pub(super) gates: Vec<VersusGate>,
    pub(super) rows: Vec<VersusRow>,
    pub(super) only_first: usize,
    pub(super) only_second: usize,
}

/// A series that both sides have and that may be compared.
struct Pair {
    first: ArmSeries,
    second: ArmSeries,
}

impl Pair {
    fn provenance(&self) -> Vec<Provenance> {
        self.first.provenance.union(&self.second.provenance).copied().collect()
    }

    fn summaries(&self) -> Result<Option<(Summary, Summary)>, CompareError> {
        Ok(summarise(&values(&self.first))?.zip(summarise(&values(&self.second))?))
    }

    /// Both sides by block, where the arms were booted in the same blocks.
    fn blocks(&self) -> Vec<Block> {
        let mut blocks: BTreeMap<u32, Block> = BTreeMap::new();
        for (block, value) in &self.first.by_block {
            blocks.entry(*block).or_default().baseline = Some(*value);
        }
        for (block, value) in &self.second.by_block {
            blocks.entry(*block).or_default().candidate = Some(*value);
        }
        blocks.into_values().collect()
    }
}

fn values(series: &ArmSeries) -> Vec<f64> {
    series.by_block.iter().map(|(_, value)| *value).collect()
}

pub(super) fn numbers(
    first: &Comparing<'_>,
    second: &Comparing<'_>,
    filter: &Filter,
    times: Option<&Between<'_>>,
) -> Result<Numbers, CompareError> {
    let (of_first, of_second) = (series(first, filter)?, series(second, filter)?);
    let differing = differing_workloads(first.plan, second.plan);
    let asked = |key: &SeriesKey| !differing.iter().any(|(workload, _)| is_of(key, workload));
    // A workload that was not asked for is nobody's concern.
    let concerned = |workload: &Workload| {
        filter.workload.as_ref().is_none_or(|name| name == workload.group())
            && of_first.iter().any(|series| is_of(&series.key, workload))
    };
    let mut refused: Vec<Refused> = differing
        .iter()
        .filter(|(workload, _)| concerned(workload))
        .map(|(workload, why)| Refused { what: format!("workload {}", workload.name), why: why.clone() })
        .collect();
    let mut of_second: BTreeMap<SeriesKey, ArmSeries> = of_second
        .into_iter()
        .filter(|series| asked(&series.key))
        .map(|series| (series.key.clone(), series))
        .collect();
    let mut only_first = 0;
    let mut pairs: Vec<(SeriesKey, Pair)> = Vec::new();
    for first in of_first.into_iter().filter(|series| asked(&series.key)) {
        let Some(second) = of_second.remove(&first.key) else {
            only_first += 1;
            continue;
        };
        match differs(&first, &second) {
            Some(why) => refused.push(Refused { what: describe::label(&first.key), why }),
            None => pairs.push((first.key.clone(), Pair { first, second })),
        }
    }
    let only_second = of_second.len();
    let (gates, rows) = match times {
        None => within(first.plan, pairs)?,
        Some(times) => between(first.plan, pairs, times)?,
    };
    Ok(Numbers { refused, gates, rows, only_first, only_second })
}

/// The series of a side's arm, in the order of the plan. Where in a matrix the arm stands is a property of the arm, and no reason
/// to keep its numbers apart from another arm's.
fn series(of: &Comparing<'_>, filter: &Filter) -> Result<Vec<ArmSeries>, CompareError> {
    let all = arm_series(of.plan, of.trials, of.samples)
        .map_err(|source| CompareError::Assemble { run: of.model.run.name.clone(), source })?;
    let place = of.plan.arm(of.arm).map(plan::Arm::dims);
    let of_arm = all.into_iter().filter(|series| series.arm == of.arm).map(|mut series| {
        series.key.at.retain(|name, _| place.is_none_or(|place| !place.contains_key(name)));
        series
    });
    Ok(of_arm.filter(|series| filter.takes(&series.key)).collect())
}

/// Workloads of one name, at one place of a matrix, that do different things.
fn differing_workloads<'a>(first: &'a Plan, second: &Plan) -> Vec<(&'a Workload, String)> {
    let mut found = Vec::new();
    for workload in &first.workloads {
        let same = |other: &&Workload| other.group() == workload.group() && other.dims() == workload.dims();
        let Some(other) = second.workloads.iter().find(same).filter(|other| other.kind != workload.kind)
        else {
            continue;
        };
        let (this, that) = (describe::workload(&workload.kind), describe::workload(&other.kind));
        let why = if this == that {
            format!("its parameters differ ({this})")
        } else {
            format!("{this}; and {that}")
        };
        found.push((workload, why));
    }
    found
}

/// Whether a series is of a workload.
fn is_of(key: &SeriesKey, workload: &Workload) -> bool {
    key.workload.as_deref() == Some(workload.group()) && key.at == *workload.dims()
}

/// In what two series of one name differ so that their numbers mean different things.
fn differs(first: &ArmSeries, second: &ArmSeries) -> Option<String> {
    let sources =
        |series: &ArmSeries| series.provenance.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if first.provenance != second.provenance || first.provenance.len() > 1 {
        return Some(format!(
            "numbers from different sources are not compared: {} and {}",
            sources(first),
            sources(second)
        ));
    }
    (first.unit != second.unit)
        .then(|| format!("the units differ: `{}` and `{}`", first.unit.symbol(), second.unit.symbol()))
}

/// Arms of one run: gates are judged, the rest is explored, both within blocks.
fn within(
    plan: &Plan,
    pairs: Vec<(SeriesKey, Pair)>,
) -> Result<(Vec<VersusGate>, Vec<VersusRow>), CompareError> {
    let (mut gated, mut rest) = (Vec::new(), Vec::new());
    for (key, pair) in pairs {
        match plan.gates.iter().find(|gate| names(gate, &key)).zip(stats_better(&pair)) {
            Some((gate, better)) => gated.push((key, pair, gate.margin, better)),
            None => rest.push((key, pair)),
        }
    }
    let comparisons: Vec<Comparison> = gated
        .iter()
        .map(|(_, pair, margin, better)| Comparison {
            blocks: pair.blocks(),
            better: *better,
            margin: *margin,
        })
        .collect();
    let judged = judge_at(&comparisons, plan.design.alpha, looks(plan).as_ref())?;
    let mut gates = Vec::new();
    for ((series, pair, margin, _), judgement) in gated.into_iter().zip(judged) {
        gates.push(VersusGate {
            unit: pair.first.unit,
            better: pair.first.better,
            provenance: pair.provenance(),
            first: summarise(&values(&pair.first))?,
            second: summarise(&values(&pair.second))?,
            series,
            margin,
            judgement,
        });
    }
    let explored = explore(&rest.iter().map(|(_, pair)| pair.blocks()).collect::<Vec<_>>())?;
    let mut rows = Vec::new();
    for ((series, pair), explored) in rest.into_iter().zip(explored) {
        let Some((first, second)) = pair.summaries()? else { continue };
        rows.push(VersusRow {
            unit: pair.first.unit,
            better: pair.first.better,
            provenance: pair.provenance(),
            first,
            second,
            effect: explored.effect,
            q: explored.q,
            verdict: Verdict::Unclear,
            series,
        });
    }
    Ok((gates, rows))
}

fn names(gate: &Gate, key: &SeriesKey) -> bool {
    crate::series::selects(&gate.select, key)
}

fn stats_better(pair: &Pair) -> Option<Better> {
    match pair.first.better {
        measure::Better::Higher => Some(Better::Higher),
        measure::Better::Lower => Some(Better::Lower),
        measure::Better::Neither => None,
    }
}

/// Arms of different runs: gates of which it is known what the times did are judged; of the rest there are estimates.
fn between(
    plan: &Plan,
    pairs: Vec<(SeriesKey, Pair)>,
    times: &Between<'_>,
) -> Result<(Vec<VersusGate>, Vec<VersusRow>), CompareError> {
    let (mut gated, mut rest) = (Vec::new(), Vec::new());
    for (key, pair) in pairs {
        let noise = times.of_series(&key).ok();
        let gate = plan.gates.iter().find(|gate| names(gate, &key)).map(|gate| gate.margin);
        let comparison = noise.map(|noise| BetweenRuns {
            first: values(&pair.first),
            second: values(&pair.second),
            better: stats_better(&pair).unwrap_or(Better::Higher),
            margin: gate.unwrap_or(0.5),
            noise,
        });
        match (gate, comparison) {
            (Some(_), Some(comparison)) if stats_better(&pair).is_some() => {
                gated.push((key, pair, comparison));
            }
            (_, comparison) => rest.push((key, pair, comparison)),
        }
    }
    let comparisons: Vec<BetweenRuns> = gated.iter().map(|(.., comparison)| comparison.clone()).collect();
    let judged = judge_between(&comparisons, plan.design.alpha)?;
    let mut gates = Vec::new();
    for ((series, pair, comparison), judgement) in gated.into_iter().zip(judged) {
        gates.push(VersusGate {
            unit: pair.first.unit,
            better: pair.first.better,
            provenance: pair.provenance(),
            first: summarise(&comparison.first)?,
            second: summarise(&comparison.second)?,
            series,
            margin: comparison.margin,
            judgement,
        });
    }
    let mut shifts = UnpairedShifts::default();
    let mut rows = Vec::new();
    for (series, pair, comparison) in rest {
        let Some((first, second)) = pair.summaries()? else { continue };
        let of_boots = shifts.effect(&values(&pair.first), &values(&pair.second), LEVEL)?;
        let effect = match &comparison {
            Some(comparison) => stats::between(comparison, LEVEL, &mut shifts)?.or(of_boots),
            None => of_boots,
        };
        rows.push(VersusRow {
            unit: pair.first.unit,
            better: pair.first.better,
            provenance: pair.provenance(),
            first,
            second,
            effect,
            q: None,
            verdict: Verdict::Unclear,
            series,
        });
    }
    Ok((gates, rows))
}

/// What follows, and why.
pub(super) fn conclude(numbers: &Numbers, plan: &Plan, times: Times) -> (Outcome, Vec<String>) {
    match times {
        Times::NotCalibrated => {
            let why = "these boots belong to different runs: whatever changed on the host in between looks like a difference between the \
                       arms, and no calibration covers these times: `unclear` by design";
            (Outcome::Unclear, vec![why.to_owned()])
        }
        Times::Calibrated if numbers.gates.is_empty() => {
            let why = "these boots belong to different runs, and the calibration covers no gate of the first run's scenario";
            (Outcome::Unclear, vec![why.to_owned()])
        }
        Times::SameBlocks if numbers.gates.is_empty() => {
            (Outcome::Holds, vec!["no gate of the scenario is on these numbers".to_owned()])
        }
        Times::SameBlocks | Times::Calibrated => {
            let judged = numbers.gates.iter().map(|gate| {
                let expect =
                    plan.gates.iter().find(|other| names(other, &gate.series)).map(|gate| gate.expect);
                let expect = expect.unwrap_or(Expectation::NotWorse);
                let verdict = gate.judgement.verdict;
                let outcome = crate::outcome::of_verdict(verdict, expect);
                let label = describe::label(&gate.series);
                (outcome, format!("{label}: {verdict} (expected: {})", describe::expectation(expect)))
            });
            let mut judged: Vec<(Outcome, String)> = judged.collect();
            judged.sort_by_key(|(outcome, _)| std::cmp::Reverse(*outcome));
            let outcome = judged.first().map_or(Outcome::Holds, |(outcome, _)| *outcome);
            (outcome, judged.into_iter().map(|(_, reason)| reason).collect())
        }
    }
}
