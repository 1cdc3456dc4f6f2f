//! How far patches that change no work move what is judged: the smallest margin that means anything.
//!
//! Exact counts have no noise of their own, and yet changed code moves timer ticks and memory, and with them counts. Every one of
//! a number of null patches is compared with the baseline as any candidate is. The largest change that one of them has is the
//! smallest margin of later verdicts: a patch like them exceeds the largest of n others with a probability of 1 / (n + 1).
//! How often that happens is counted by judging each null patch with the margin that the others give.

use std::collections::BTreeMap;

use measure::BuildEnd;
use plan::{Arm, Machine, Plan, Workload};
use serde::{Deserialize, Serialize};
use stats::{Better, Block, Comparison, StatsError, Verdict, judge};

use crate::{Model, Row, SeriesKey};

/// Version of [`Calibration`]'s serialised form, and of the worlds that were counted in. 1: ticks came from the local APIC's timer.
pub const CALIBRATION_FORMAT: u32 = 2;

/// The smallest margin that is judged with: null patches that move nothing at all must not make it zero.
const SMALLEST: f64 = 1e-9;

/// What null patches did to the counts of one kernel on one machine with the same workloads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// [`CALIBRATION_FORMAT`] of the writer.
    pub format: u32,
    /// The run that measured it.
    pub run: String,
    /// When that was started, RFC 3339.
    pub started: String,
    /// The scenario's name.
    pub scenario: String,
    /// Cache key of the baseline's kernel: source, series, configuration, compiler.
    pub kernel: String,
    /// QEMU's version line: another version may have other devices.
    pub qemu: String,
    /// The baseline's kernel parameters.
    pub cmdline: Vec<String>,
    /// Where the baseline boots.
    pub machine: Machine,
    /// What ran.
    pub workloads: Vec<Workload>,
    /// Blocks of boots.
    pub boots: u32,
    /// The level at which null patches were judged.
    pub alpha: f64,
    /// The null patches that were measured, by their arms' names.
    pub patches: Vec<String>,
    /// What they moved.
    pub metrics: Vec<CalibratedMetric>,
}

/// How far null patches moved one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibratedMetric {
    /// What it is.
    pub series: SeriesKey,
    /// The largest change of all, as a fraction of the baseline, without its sign.
    pub largest: f64,
    /// The change that each patch seems to make, by its arm's name.
    pub changes: BTreeMap<String, f64>,
    /// Null patches that would be called worse with the margin that the others give.
    pub worse: u32,
    /// And those that would be called better.
    pub better: u32,
}

impl Calibration {
    /// From a run whose candidates are null patches.
    ///
    /// # Errors
    /// If the numbers cannot be analysed.
    pub fn of_run(model: &Model, plan: &Plan) -> Result<Option<Self>, StatsError> {
        let Some((baseline, kernel)) = plan.baseline().and_then(|arm| Some((arm, key(model, arm)?))) else {
            return Ok(None);
        };
        let mut metrics = Vec::new();
        for row in model.explored.iter().filter(|row| row.better != measure::Better::Neither) {
            metrics.extend(of_row(row, plan.design.alpha)?);
        }
        let is_measured = |arm: &&&str| metrics.iter().any(|metric| metric.changes.contains_key(**arm));
        let sides = plan.sides();
        let patches = sides.iter().skip(1).filter(is_measured).map(|arm| (*arm).to_owned()).collect();
        Ok(Some(Self {
            format: CALIBRATION_FORMAT,
            run: model.run.name.clone(),
            started: model.run.started.clone(),
            scenario: plan.name.clone(),
            kernel,
            qemu: model.host.qemu.clone().unwrap_or_default(),
            cmdline: baseline.cmdline.clone(),
            machine: baseline.machine.clone(),
            workloads: plan.workloads.clone(),
            boots: plan.design.boots,
            alpha: plan.design.alpha,
            patches,
            metrics,
        }))
    }

    /// Whether it says something about the comparisons of this plan under this QEMU, whose baseline's kernel has this cache key.
    #[must_use]
    pub fn is_of(&self, plan: &Plan, kernel: &str, qemu: &str) -> bool {
        let same = |arm: &Arm| arm.machine == self.machine && arm.cmdline == self.cmdline;
        self.kernel == kernel
            && self.qemu == qemu
            && plan.baseline().is_some_and(same)
            && plan.workloads == self.workloads
    }

    /// Whether its numbers can be what they are said to be: it may be a stranger's.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_change = |change: &f64| change.is_finite() && change.abs() < 1.0;
        let is_name = |text: &String| text.len() <= 200 && !text.chars().any(char::is_control);
        self.metrics.iter().all(|metric| is_change(&metric.largest) && metric.changes.values().all(is_change))
            && self.patches.iter().all(is_name)
            && [&self.run, &self.started].into_iter().all(is_name)
    }

    /// How far no change in work has moved a metric.
    #[must_use]
    pub fn largest(&self, series: &SeriesKey) -> Option<f64> {
        self.metrics.iter().find(|metric| metric.series == *series).map(|metric| metric.largest)
    }
}

/// The cache key of an arm's kernel.
fn key(model: &Model, arm: &Arm) -> Option<String> {
    match model.arms.iter().find(|other| other.name == arm.name)?.build.as_ref()? {
        BuildEnd::Built(image) => Some(image.key.clone()),
        _ => None,
    }
}

fn of_row(row: &Row, alpha: f64) -> Result<Option<CalibratedMetric>, StatsError> {
    let better = if row.better == measure::Better::Higher { Better::Higher } else { Better::Lower };
    let before: BTreeMap<u32, f64> =
        row.baseline_by_boot.iter().map(|boot| (boot.block, boot.value)).collect();
    let mut compared: Vec<(&str, Vec<Block>)> = Vec::new();
    for candidate in &row.candidates {
        let blocks: Vec<Block> = candidate
            .by_boot
            .iter()
            .filter_map(|boot| Some(Block::both(*before.get(&boot.block)?, boot.value)))
            .collect();
        if !blocks.is_empty() {
            compared.push((&candidate.arm, blocks));
        }
    }
    let judged = |blocks: &Vec<Block>, margin: f64| {
        let comparison = Comparison { blocks: blocks.clone(), better, margin: margin.max(SMALLEST) };
        judge(std::slice::from_ref(&comparison), alpha).map(|mut all| all.remove(0))
    };
    let mut changes = BTreeMap::new();
    for (arm, blocks) in &compared {
        if let Some(effect) = judged(blocks, SMALLEST)?.effect {
            changes.insert((*arm).to_owned(), effect.estimate);
        }
    }
    let largest_but = |left_out: &str| {
        let others = changes.iter().filter(|(arm, _)| arm.as_str() != left_out);
        others.map(|(_, change)| change.abs()).fold(0.0, f64::max)
    };
    let (mut worse, mut better_than) = (0, 0);
    for (arm, blocks) in compared.iter().filter(|(arm, _)| changes.contains_key(*arm)) {
        match judged(blocks, largest_but(arm).min(0.999))?.verdict {
            Verdict::Worse => worse += 1,
            Verdict::Better => better_than += 1,
            Verdict::Same | Verdict::Unclear => {}
        }
    }
    let (largest, series) = (largest_but(""), row.series.clone());
    Ok((!changes.is_empty()).then_some(CalibratedMetric {
        series,
        largest,
        changes,
        worse,
        better: better_than,
    }))
}

#[cfg(test)]
mod tests {
    use measure::{Dims, Unit};

    use super::*;
    use crate::{BootValue, RowCandidate};

    fn boots(values: &[f64]) -> Vec<BootValue> {
        values
            .iter()
            .zip(0..)
            .map(|(value, block)| BootValue { trial: block, block, value: *value })
            .collect()
    }

    fn row(candidates: &[(&str, [f64; 5])]) -> Row {
        Row {
            series: SeriesKey {
                workload: Some("tcp".into()),
                metric: "kernel-instructions-per-kib".into(),
                dims: Dims::new(),
                at: Dims::new(),
            },
            unit: Unit::PerKib,
            better: measure::Better::Lower,
            provenance: vec![],
            baseline: None,
            baseline_by_boot: boots(&[1000.0; 5]),
            candidates: candidates
                .iter()
                .map(|(arm, values)| RowCandidate {
                    arm: (*arm).to_owned(),
                    values: None,
                    by_boot: boots(values),
                    exploration: None,
                    refused: None,
                })
                .collect(),
        }
    }

    #[test]
    fn the_largest_change_is_the_margin_and_each_is_judged_by_the_others() {
        let row = row(&[
            ("moves-up", [1002.0; 5]),
            ("moves-down", [999.0; 5]),
            ("moves-both", [1001.0, 999.0, 1001.0, 999.0, 1000.0]),
            ("moves-nothing", [1000.0; 5]),
        ]);
        let metric = of_row(&row, 0.05).unwrap().unwrap();
        assert!((metric.largest - 0.002).abs() < 1e-12, "{metric:?}");
        assert_eq!(metric.changes.len(), 4);
        assert!((metric.changes["moves-down"] + 0.001).abs() < 1e-12);
        // Only the largest exceeds the largest of the others.
        assert_eq!((metric.worse, metric.better), (1, 0));
    }

    #[test]
    fn patches_that_move_nothing_make_no_margin() {
        let metric = of_row(&row(&[("a", [1000.0; 5]), ("b", [1000.0; 5])]), 0.05).unwrap().unwrap();
        assert_eq!((metric.largest, metric.worse, metric.better), (0.0, 0, 0));
        assert_eq!(of_row(&row(&[]), 0.05).unwrap(), None);
    }
}
