//! From a finished run to a [`Model`].

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use measure::{BuildEnd, Complaint, Dims, SampleTable, TrialRecord, metric};
use plan::{Flavour, Patterns, Plan};
use stats::{Better, Block, Comparison, StatsError, Summary, explore, judge_at, summarise};

use crate::{
    Arm, BootValue, Calibration, CalibrationSummary, Gate, Host, Model, Noise, PatchSummary, PlanSummary,
    Row, RowCandidate, RunSummary, SeriesKey, SeriesSummary, Stopped, Trial, Unavailable, WorkloadSummary,
    curve::curves,
    describe, number, plan_lines,
    series::{SeriesSet, Values, definition},
    shape,
    stop::looks,
    suite::gather,
    timeline::timelines,
    void::voids,
};

/// All that a report is made from.
#[derive(Clone, Debug)]
pub struct Evidence<'a> {
    /// What was to be done.
    pub plan: &'a Plan,
    /// How each arm's build ended, by arm.
    pub builds: BTreeMap<String, BuildEnd>,
    /// What was done, in any order. Samples that the records themselves hold are not looked at.
    pub trials: &'a [TrialRecord],
    /// What was measured.
    pub samples: &'a SampleTable,
    /// Where.
    pub host: Host,
    /// The run's name.
    pub run: String,
    /// Where it lies.
    pub folder: Option<PathBuf>,
    /// When it was started, RFC 3339.
    pub started: String,
    /// Version of the `assay` that ran it.
    pub assay: String,
    /// Whether every boot was made, or left out because its arm had failed before.
    pub finished: bool,
    /// Whether that is so of every timed block that was begun, and of every traced boot.
    pub whole: bool,
    /// Commands that repeat the run.
    pub repeat: Vec<String>,
    /// What should be read beside the result.
    pub warnings: Vec<String>,
    /// How far no change in work moves these metrics, where the evidence is exact and that was measured.
    pub calibration: Option<&'a Calibration>,
    /// What identical arms do on this machine with these workloads, where times are the evidence and that was measured.
    pub noise: Option<&'a Noise>,
}

/// Why there can be no report: the run's records contradict themselves.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AssembleError {
    /// A boot has two samples of one series.
    #[error("trial {trial} has two values of {}", describe::label(series))]
    TwoValues {
        /// The trial's index.
        trial: u32,
        /// What it has twice.
        series: Box<SeriesKey>,
    },
    /// A sample or a gate of a metric that this version does not have.
    #[error("metric `{metric}` is not known to this version of assay")]
    UnknownMetric {
        /// Its name.
        metric: String,
    },
    /// A gate on a metric that is neither better when higher nor when lower.
    #[error("metric `{metric}` has no better direction, so no gate can be on it")]
    NoDirection {
        /// Its name.
        metric: String,
    },
    /// The numbers cannot be analysed.
    #[error("the samples cannot be compared")]
    Stats {
        /// Why not.
        #[from]
        source: StatsError,
    },
}

/// Puts a run's records together, compares what can be compared, and judges the gates.
///
/// # Errors
/// If the records contradict themselves.
pub fn assemble(evidence: Evidence<'_>) -> Result<Model, AssembleError> {
    let Evidence { plan, trials, samples, .. } = evidence;
    let set = SeriesSet::collect(plan, trials, samples)?;
    let boots = Boots::of(plan, trials);
    let (gates, gated) = gates(plan, &set, &boots, evidence.calibration)?;
    let explored = rows(plan, &set, &boots, &gated)?;
    let arms: Vec<Arm> = plan.arms.iter().map(|arm| assemble_arm(arm, &evidence)).collect();
    let blocks = trials.iter().filter(|trial| !trial.traced).map(|trial| trial.block + 1).max().unwrap_or(0);
    let is_whole = evidence.finished || evidence.whole;
    let stopped = if is_whole { Stopped::of(plan, blocks, evidence.finished, &gates) } else { None };
    let noise = evidence.noise.map_or_else(Vec::new, |noise| plan_lines(noise, plan));
    let arm_count = u32::try_from(arms.len()).unwrap_or(u32::MAX);
    let boots_made = u32::try_from(trials.len()).unwrap_or(u32::MAX);
    Ok(Model {
        run: RunSummary {
            boots_planned: match plan.is_imported() {
                true => boots_made,
                false => (plan.design.boots + plan.design.traced_boots).saturating_mul(arm_count),
            },
            boots_made,
            build_seconds: build_seconds(evidence.builds.values()),
            trial_seconds: trials.iter().map(|trial| trial.took_seconds).sum(),
            name: evidence.run,
            folder: evidence.folder,
            started: evidence.started,
            assay: evidence.assay,
            finished: evidence.finished || stopped.is_some(),
            stopped,
            left_out: Vec::new(),
            repeat: evidence.repeat,
        },
        plan: plan_summary(plan),
        curves: curves(&plan.dimensions, baseline(plan), &gates, &explored)?,
        host: evidence.host,
        arms,
        gates,
        explored,
        profiles: Vec::new(),
        suites: gather(plan, trials),
        voids: voids(plan, trials),
        unavailable: unavailable(trials),
        warnings: evidence.warnings,
        calibration: evidence.calibration.map(CalibrationSummary::from),
        noise,
        within: shape::changes_within(plan, trials)?,
        timelines: timelines(plan, trials),
    })
}

fn image(build: &BuildEnd) -> Option<&measure::KernelImage> {
    match build {
        BuildEnd::Built(image) => Some(image),
        BuildEnd::DoesNotApply(_) | BuildEnd::DoesNotCompile { .. } | BuildEnd::ConfigLost { .. } => None,
    }
}

/// Arms with the same kernel share its build.
fn build_seconds<'a>(builds: impl Iterator<Item = &'a BuildEnd>) -> f64 {
    let mut seconds: BTreeMap<&str, f64> = BTreeMap::new();
    for image in builds.filter_map(image) {
        let longest = seconds.entry(&image.key).or_default();
        *longest = longest.max(image.build_seconds);
    }
    seconds.values().sum()
}

fn plan_summary(plan: &Plan) -> PlanSummary {
    let workloads = plan.workloads.iter().map(|workload| WorkloadSummary {
        name: workload.name.clone(),
        group: workload.group().to_owned(),
        at: workload.dims().clone(),
        runs: describe::workload(&workload.kind),
    });
    PlanSummary {
        scenario: plan.name.clone(),
        question: plan.question.clone(),
        flavour: plan.flavour(),
        set_aside: if plan.flavour().is_plain() {
            vec![]
        } else {
            plan.gates.iter().map(gate_in_words).collect()
        },
        dimensions: plan.dimensions.clone(),
        workloads: workloads.collect(),
        boots: plan.design.boots,
        trim: plan.design.trim,
        traced_boots: plan.design.traced_boots,
        alpha: plan.design.alpha,
        seed: plan.design.seed,
    }
}

/// `tcp throughput (expected: not worse; margin 2 %)`.
fn gate_in_words(gate: &plan::Gate) -> String {
    let plan::MetricSelector { workload, metric, dims } = gate.select.clone();
    let label = describe::label(&SeriesKey { workload: Some(workload), metric, dims, at: gate.at.clone() });
    let (expected, margin) = (describe::expectation(gate.expect), number::percent(gate.margin));
    format!("{label} (expected: {expected}; margin {margin})")
}

fn assemble_arm(arm: &plan::Arm, evidence: &Evidence<'_>) -> Arm {
    let mut records: Vec<_> = evidence.trials.iter().filter(|trial| trial.arm == arm.name).collect();
    records.sort_by_key(|trial| trial.index);
    // A scenario with a pattern that is none is refused when it is read.
    let known = Patterns::new(&evidence.plan.known_complaints).unwrap_or_default();
    Arm {
        name: arm.name.clone(),
        side: arm.side().to_owned(),
        at: arm.dims().clone(),
        base: arm.kernel.base.name.clone(),
        series: arm.kernel.series.iter().map(series).collect(),
        options: arm.kernel.options.iter().map(ToString::to_string).collect(),
        cmdline: arm.cmdline.clone(),
        machine: arm.machine.clone(),
        build: evidence.builds.get(&arm.name).cloned(),
        guests: records
            .iter()
            .find(|trial| !trial.facts.is_empty())
            .map(|t| t.facts.clone())
            .unwrap_or_default(),
        trials: records.into_iter().map(|record| trial(record, &known)).collect(),
    }
}

fn series(series: &plan::Series) -> SeriesSummary {
    let file = |patch: &plan::PatchFile| PatchSummary {
        name: patch.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        sha256: patch.sha256.clone(),
    };
    SeriesSummary {
        name: series.name.clone(),
        patches: series.patches.len(),
        files: series.patches.iter().map(file).collect(),
    }
}

fn trial(record: &TrialRecord, known: &Patterns) -> Trial {
    let is_known = |complaint: &Complaint| !complaint.fatal && known.matches(&complaint.title);
    let (known_complaints, complaints) = record.complaints.iter().cloned().partition(is_known);
    Trial {
        index: record.index,
        block: record.block,
        traced: record.traced,
        perturbation: record.perturbation,
        end: (&record.end).into(),
        boot_seconds: record.boot_seconds,
        took_seconds: record.took_seconds,
        kernel_warnings: record.warnings.clone(),
        complaints,
        known_complaints,
        set_aside: record.set_aside.clone(),
    }
}

/// Which trial an arm's boot in a block was.
struct Boots<'a> {
    plan: &'a Plan,
    trials: BTreeMap<(&'a str, u32), u32>,
}

impl<'a> Boots<'a> {
    fn of(plan: &'a Plan, trials: &'a [TrialRecord]) -> Self {
        let trials = trials.iter().map(|trial| ((trial.arm.as_str(), trial.block), trial.index));
        Self { plan, trials: trials.collect() }
    }

    /// A side's values at one place, with the boots that yielded them.
    fn values(&self, side: &str, at: &Dims, values: &Values) -> Vec<BootValue> {
        let Some(arm) = self.plan.arm_at(side, at) else { return Vec::new() };
        let of = |&(block, value): &(u32, f64)| {
            Some(BootValue { trial: *self.trials.get(&(arm.name.as_str(), block))?, block, value })
        };
        values.by_block.iter().filter_map(of).collect()
    }
}

/// The gates with their judgements, and the series that they took.
fn gates(
    plan: &Plan,
    set: &SeriesSet,
    boots: &Boots<'_>,
    calibration: Option<&Calibration>,
) -> Result<(Vec<Gate>, BTreeSet<SeriesKey>), AssembleError> {
    let (mut asked, mut comparisons, mut gated) = (Vec::new(), Vec::new(), BTreeSet::new());
    // Under debug kernels none is judged; the model says which were set aside.
    for gate in plan.gates.iter().filter(|_| plan.flavour().is_plain()) {
        let better = direction(&definition(plan, &gate.select.metric)?)?;
        for (arm, workload) in plan.comparisons(gate) {
            let at: Dims = arm.dims().iter().chain(workload.dims()).map(owned).collect();
            let selected = set.select(&gate.select, &at);
            gated.extend(selected.clone());
            let found = selected.clone().and_then(|key| set.blocks(&key, baseline(plan), arm.side()));
            let series = selected.unwrap_or_else(|_| SeriesKey {
                workload: Some(gate.select.workload.clone()),
                metric: gate.select.metric.clone(),
                dims: gate.select.dims.clone(),
                at,
            });
            // What no change in work does is no verdict's.
            let noise = calibration.and_then(|calibration| calibration.largest(&series)).unwrap_or(0.0);
            let margin = gate.margin.max(noise);
            let (blocks, refused) = match found {
                Ok(blocks) => (blocks, None),
                Err(why) => (Vec::new(), Some(why)),
            };
            comparisons.push(Comparison { blocks, better, margin });
            asked.push((gate, arm.side(), series, margin, refused));
        }
    }
    let judged = judge_at(&comparisons, plan.design.alpha, looks(plan).as_ref())?;
    let mut gates = Vec::with_capacity(judged.len());
    for ((gate, side, series, margin, refused), judgement) in asked.into_iter().zip(judged) {
        let definition = definition(plan, &gate.select.metric)?;
        let (of_baseline, of_candidate) = (set.values(&series, baseline(plan)), set.values(&series, side));
        gates.push(Gate {
            unit: definition.unit,
            better: definition.better,
            provenance: of_baseline.provenances.union(&of_candidate.provenances).copied().collect(),
            baseline: summary(of_baseline)?,
            candidate: summary(of_candidate)?,
            baseline_by_boot: boots.values(baseline(plan), &series.at, of_baseline),
            candidate_by_boot: boots.values(side, &series.at, of_candidate),
            series,
            arm: side.to_owned(),
            margin,
            expect: gate.expect,
            refused,
            judgement,
        });
    }
    Ok((gates, gated))
}

fn owned((name, value): (&String, &String)) -> (String, String) {
    (name.clone(), value.clone())
}

fn direction(definition: &measure::Definition<'_>) -> Result<Better, AssembleError> {
    match definition.better {
        measure::Better::Higher => Ok(Better::Higher),
        measure::Better::Lower => Ok(Better::Lower),
        measure::Better::Neither => Err(AssembleError::NoDirection { metric: definition.name.to_owned() }),
    }
}

/// Every series that no gate took, with all candidates explored together.
fn rows(
    plan: &Plan,
    set: &SeriesSet,
    boots: &Boots<'_>,
    gated: &BTreeSet<SeriesKey>,
) -> Result<Vec<Row>, AssembleError> {
    let mut keys: Vec<&SeriesKey> =
        set.keys().filter(|key| !gated.contains(key) && !set.is_only_core(key)).collect();
    keys.sort_by_cached_key(|key| position(plan, key));
    let sides = plan.sides();
    let candidates = sides.get(1..).unwrap_or_default();
    let compare = |key: &&SeriesKey| -> Vec<Result<Vec<Block>, String>> {
        let blocks = |side: &&str| match plan.flavour() {
            // Nobody knows in which order they were measured, and beside what.
            _ if plan.is_imported() => Err("not compared".to_owned()),
            Flavour::Plain => set.blocks(key, baseline(plan), side),
            Flavour::Debug => Err("not compared".to_owned()),
        };
        candidates.iter().map(blocks).collect()
    };
    let mut comparisons = Vec::new();
    let mut found = Vec::with_capacity(keys.len());
    for key in &keys {
        let of_arms = compare(key).into_iter().map(|blocks| blocks.map(|blocks| comparisons.push(blocks)));
        found.push(of_arms.collect::<Vec<_>>());
    }
    let mut explored = explore(&comparisons)?.into_iter();
    let mut rows = Vec::with_capacity(keys.len());
    for (key, found) in keys.into_iter().zip(found) {
        let definition = definition(plan, &key.metric)?;
        let of_baseline = set.values(key, baseline(plan));
        let mut provenance = of_baseline.provenances.clone();
        let mut compared = Vec::new();
        for (side, found) in candidates.iter().zip(found) {
            let values = set.values(key, side);
            provenance.extend(&values.provenances);
            let exploration = if found.is_ok() { explored.next() } else { None };
            let (arm, refused) = ((*side).to_owned(), found.err());
            let by_boot = boots.values(side, &key.at, values);
            compared.push(RowCandidate { arm, values: summary(values)?, by_boot, exploration, refused });
        }
        rows.push(Row {
            series: key.clone(),
            unit: definition.unit,
            better: definition.better,
            provenance: provenance.into_iter().collect(),
            baseline: summary(of_baseline)?,
            baseline_by_boot: boots.values(baseline(plan), &key.at, of_baseline),
            candidates: compared,
        });
    }
    Ok(rows)
}

fn summary(values: &Values) -> Result<Option<Summary>, StatsError> {
    summarise(&values.all())
}

/// The side that every other is compared with.
fn baseline(plan: &Plan) -> &str {
    plan.arms.first().map_or("", plan::Arm::side)
}

/// Where a series stands in reports: by workload, metric, percentile and place in the matrix.
pub(crate) fn position(plan: &Plan, key: &SeriesKey) -> (usize, usize, usize, Vec<Option<usize>>) {
    (workload_position(plan, key), metric_position(plan, key), percentile(key), place(plan, key))
}

/// What belongs to no workload comes last.
fn workload_position(plan: &Plan, key: &SeriesKey) -> usize {
    let of_key = |workload: &plan::Workload| Some(workload.group()) == key.workload.as_deref();
    plan.workloads.iter().position(of_key).unwrap_or(usize::MAX)
}

/// In the order of the scenario's lists.
fn place(plan: &Plan, key: &SeriesKey) -> Vec<Option<usize>> {
    let position = |dimension: &plan::Dimension| {
        let value = key.at.get(&dimension.name)?;
        dimension.values.iter().position(|known| known == value)
    };
    plan.dimensions.iter().map(position).collect()
}

/// What the scenario asked for by name comes before what every workload yields.
fn metric_position(plan: &Plan, key: &SeriesKey) -> usize {
    let known = metric::ALL.iter().chain(metric::imported::ALL).copied();
    plan.own_metrics().chain(known).position(|metric| metric.name == key.metric).unwrap_or(usize::MAX)
}

/// `99.9` comes after `99`, and `max` last.
fn percentile(key: &SeriesKey) -> usize {
    let of = key.dims.get("percentile");
    of.and_then(|of| metric::PERCENTILES.iter().position(|percentile| percentile == of)).unwrap_or(0)
}

/// The distinct reasons, in the order of their first appearance.
fn unavailable(trials: &[TrialRecord]) -> Vec<Unavailable> {
    let mut all: Vec<Unavailable> = Vec::new();
    for reason in trials.iter().flat_map(|trial| &trial.unavailable) {
        match all.iter_mut().find(|known| known.reason == *reason) {
            Some(known) => known.boots += 1,
            None => all.push(Unavailable { reason: reason.clone(), boots: 1 }),
        }
    }
    all
}
