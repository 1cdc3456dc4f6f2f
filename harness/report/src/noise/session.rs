//! One session of boots of identical arms, as it was made.

use std::collections::BTreeMap;

use measure::{Collector, Provenance, SampleTable, TrialRecord, Unit};
use plan::{Arm, Machine, Plan, Workload};
use serde::{Deserialize, Serialize};

use crate::{
    ArmSeries, AssembleError, Host, SeriesKey, arm_series, describe,
    series::{selects, within_key},
};

/// Version of [`Session`]'s serialised form.
pub const SESSION_FORMAT: u32 = 1;

/// What the names of plans of identical arms begin with.
pub const TWINS: &str = "calibrate-";

/// Series that are looked at: those of gates first, then what the workloads are there to measure.
const MOST_SERIES: usize = 12;

/// Boots of two identical arms in randomised blocks, in the order of time: what a scenario's numbers do when nothing is changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// [`SESSION_FORMAT`] of the writer.
    pub format: u32,
    /// The run that measured it.
    pub run: String,
    /// When that was started, RFC 3339.
    pub started: String,
    /// The scenario's name.
    pub scenario: String,
    /// The base of the kernel, such as `debian-6.12`.
    pub base: String,
    /// The host's processor.
    pub cpu: String,
    /// How many of them.
    pub cpus: u32,
    /// QEMU's version line.
    pub qemu: String,
    /// The kernel parameters.
    pub cmdline: Vec<String>,
    /// Where it boots.
    pub machine: Machine,
    /// What ran.
    pub workloads: Vec<Workload>,
    /// What was collected around it, which takes time as well.
    pub collectors: Vec<Collector>,
    /// The level of the scenario's gates.
    pub alpha: f64,
    /// Boots that ran all workloads.
    pub boots: usize,
    /// What they measured.
    pub series: Vec<SessionSeries>,
}

/// One series of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSeries {
    /// What it is.
    pub series: SeriesKey,
    /// Unit of the values.
    pub unit: Unit,
    /// Which way it is better.
    pub better: measure::Better,
    /// The margin of the scenario's gate on it, if there is one.
    pub margin: Option<f64>,
    /// Every block of the session, in the order of time.
    pub blocks: Vec<SessionBlock>,
    /// What its parts do within a boot, if its tool says.
    pub within: Option<WithinBoots>,
}

/// One block: a boot of each of the identical arms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionBlock {
    /// When its first boot was powered on, in seconds since 1970.
    pub began: u64,
    /// The first arm's value; none if its boot yielded none.
    pub first: Option<f64>,
    /// The second arm's.
    pub second: Option<f64>,
}

/// How parts of a boot spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithinBoots {
    /// Variance of the logarithms of a boot's parts, over all boots.
    pub variance: f64,
    /// Its degrees of freedom.
    pub freedom: usize,
    /// Parts of a boot, in the mean.
    pub parts: f64,
    /// Whether they are runs of a command, and not intervals of one run.
    pub runs: bool,
}

impl Session {
    /// From a run of two identical arms. None if nothing was measured that can be better or worse.
    ///
    /// # Errors
    /// If the records contradict themselves.
    pub fn of_run(
        plan: &Plan,
        trials: &[TrialRecord],
        samples: &SampleTable,
        host: &Host,
        (run, started, started_s): (&str, &str, u64),
    ) -> Result<Option<Self>, AssembleError> {
        let [first, second] = plan.arms.as_slice() else { return Ok(None) };
        let timed = || trials.iter().filter(|trial| !trial.traced);
        let blocks = timed().map(|trial| trial.block + 1).max().unwrap_or(0);
        let began: BTreeMap<u32, u64> = timed().fold(BTreeMap::new(), |mut began, trial| {
            let at = trial.began.unwrap_or(started_s);
            began.entry(trial.block).and_modify(|first| *first = at.min(*first)).or_insert(at);
            began
        });
        let all = arm_series(plan, trials, samples)?;
        let mut series: Vec<SessionSeries> = Vec::new();
        for of_first in all.iter().filter(|series| series.arm == first.name && is_looked_at(series)) {
            let of_second = all.iter().find(|other| other.arm == second.name && other.key == of_first.key);
            let at = |series: Option<&ArmSeries>, block: u32| {
                let found = series?.by_block.iter().find(|(of, _)| *of == block);
                found.map(|(_, value)| *value)
            };
            let block = |block: u32| SessionBlock {
                began: began.get(&block).copied().unwrap_or(started_s),
                first: at(Some(of_first), block),
                second: at(of_second, block),
            };
            series.push(SessionSeries {
                margin: margin(plan, &of_first.key),
                series: of_first.key.clone(),
                unit: of_first.unit,
                better: of_first.better,
                blocks: (0..blocks).map(block).collect(),
                within: within(plan, trials, &of_first.key),
            });
        }
        let is_told_by_a_tool = |key: &SeriesKey| {
            let tools = [
                Provenance::Iperf3,
                Provenance::Sockperf,
                Provenance::Bench,
                Provenance::Command,
                Provenance::Fake,
            ];
            let own = all.iter().find(|series| series.key == *key);
            own.is_some_and(|own| own.provenance.iter().all(|provenance| tools.contains(provenance)))
        };
        series.sort_by_cached_key(|series| (series.margin.is_none(), !is_told_by_a_tool(&series.series)));
        series.truncate(MOST_SERIES);
        Ok((!series.is_empty()).then(|| Self {
            format: SESSION_FORMAT,
            run: run.to_owned(),
            started: started.to_owned(),
            scenario: plan.name.strip_prefix(TWINS).unwrap_or(&plan.name).to_owned(),
            base: first.kernel.base.name.clone(),
            cpu: host.cpu.clone().unwrap_or_default(),
            cpus: host.cpus.unwrap_or_default(),
            qemu: host.qemu.clone().unwrap_or_default(),
            cmdline: first.cmdline.clone(),
            machine: first.machine.clone(),
            workloads: plan.workloads.clone(),
            collectors: plan.collectors.clone(),
            alpha: plan.design.alpha,
            boots: timed().filter(|trial| matches!(trial.end, measure::TrialEnd::Measured { .. })).count(),
            series,
        }))
    }

    /// Whether its noise is that of this plan's boots on a host like this. Of the kernel nothing is asked: noise is the machine's first of all, and runs
    /// of different kernels are what is compared.
    #[must_use]
    pub fn is_of(&self, plan: &Plan, cpu: &str, cpus: u32, qemu: Option<&str>) -> bool {
        let same = |arm: &Arm| arm.machine == self.machine && arm.cmdline == self.cmdline;
        (self.cpu.as_str(), self.cpus) == (cpu, cpus)
            && qemu.is_none_or(|qemu| qemu == self.qemu)
            && plan.baseline().is_some_and(same)
            && plan.workloads == self.workloads
            && plan.collectors == self.collectors
    }

    /// Whether its numbers can be what they are said to be: it may be damaged, or a stranger's.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_value = |value: Option<f64>| value.is_none_or(|value| value.is_finite() && value > 0.0);
        let sound = |series: &SessionSeries| {
            series.blocks.len() <= 10_000
                && series.blocks.iter().all(|block| is_value(block.first) && is_value(block.second))
                && series.within.is_none_or(|within| within.variance.is_finite() && within.parts >= 1.0)
                && series.margin.is_none_or(|margin| margin > 0.0 && margin < 1.0)
        };
        self.series.len() <= MOST_SERIES
            && self.alpha > 0.0
            && self.alpha < 0.5
            && self.series.iter().all(sound)
            && [&self.run, &self.started, &self.scenario, &self.base]
                .into_iter()
                .all(|text| text.len() <= 200 && !text.chars().any(char::is_control))
    }
}

/// Numbers that can be better or worse, that are whole, and of which changes are relative.
fn is_looked_at(series: &ArmSeries) -> bool {
    let percentile = series.key.dims.get("percentile");
    series.better != measure::Better::Neither
        && !describe::is_part(&series.key)
        && percentile.is_none_or(|percentile| matches!(percentile.as_str(), "50" | "99"))
        && series.by_block.iter().all(|(_, value)| value.is_finite() && *value > 0.0)
}

fn margin(plan: &Plan, key: &SeriesKey) -> Option<f64> {
    plan.gates.iter().find(|gate| selects(&gate.select, key)).map(|gate| gate.margin)
}

/// The variance of the parts of each boot around their own mean, on the scale of logarithms.
fn within(plan: &Plan, trials: &[TrialRecord], key: &SeriesKey) -> Option<WithinBoots> {
    let (mut squares, mut freedom, mut parts, mut boots, mut runs) = (0.0, 0, 0, 0_u32, false);
    for within in trials.iter().filter(|trial| !trial.traced).flat_map(|trial| &trial.within) {
        if within_key(plan, within).as_ref() != Some(key) || within.values.iter().any(|value| *value <= 0.0) {
            continue;
        }
        let logs: Vec<f64> = within.values.iter().map(|value| value.ln()).collect();
        let count = u32::try_from(logs.len()).unwrap_or(u32::MAX);
        let mean = logs.iter().sum::<f64>() / f64::from(count);
        squares += logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>();
        freedom += logs.len() - 1;
        parts += count;
        boots += 1;
        runs |= within.parts == measure::Parts::Runs;
    }
    #[expect(clippy::cast_precision_loss, reason = "a number of parts")]
    let of = freedom as f64;
    (freedom > 0).then(|| WithinBoots {
        variance: squares / of,
        freedom,
        parts: f64::from(parts) / f64::from(boots),
        runs,
    })
}
