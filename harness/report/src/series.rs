//! Which samples belong together.
//!
//! A series is one metric of one workload at one setting of the dimensions that the metric is defined to have. Dimensions
//! beyond those describe the arm (the IOMMU mode that its guests have, say); arms may differ in them, that may be the
//! very question, so they do not keep series apart. What the scenario lists several values for does: each place of the
//! matrix has series of its own, and the arms at that place are the sides of its comparison.

use std::collections::{BTreeMap, BTreeSet};

use measure::{
    Better, Definition, Dims, Provenance, SampleKind, SampleTable, TrialRecord, Unit, Within, metric,
};
use plan::{Arm, Dimension, MetricSelector, Plan, Scope};
use stats::Block;

use crate::{
    SeriesKey,
    assemble::{self, AssembleError},
};

/// The values of one side at one place: one for each boot that yielded one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Values {
    /// Block and value, ascending by block.
    pub(crate) by_block: Vec<(u32, f64)>,
    pub(crate) provenances: BTreeSet<Provenance>,
}

static NO_VALUES: Values = Values { by_block: Vec::new(), provenances: BTreeSet::new() };

impl Values {
    /// The value of a block.
    pub(crate) fn at(&self, block: u32) -> Option<f64> {
        let position = self.by_block.binary_search_by_key(&block, |(block, _)| *block).ok()?;
        Some(self.by_block[position].1)
    }

    /// The values, by block.
    pub(crate) fn all(&self) -> Vec<f64> {
        self.by_block.iter().map(|(_, value)| *value).collect()
    }
}

/// One series of one arm, outside of any comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmSeries {
    /// What it is.
    pub key: SeriesKey,
    /// The arm.
    pub arm: String,
    /// Unit of its values.
    pub unit: Unit,
    /// Which way it is better.
    pub better: Better,
    /// Where its numbers come from.
    pub provenance: BTreeSet<Provenance>,
    /// Block and value, one for each boot that yielded one, ascending by block.
    pub by_block: Vec<(u32, f64)>,
}

/// Every series of every arm of a run that has values, in the order of the plan; none of kernels that are not built to be timed.
///
/// # Errors
/// If the records contradict themselves.
pub fn arm_series(
    plan: &Plan,
    trials: &[TrialRecord],
    samples: &SampleTable,
) -> Result<Vec<ArmSeries>, AssembleError> {
    if !plan.flavour().is_plain() {
        return Ok(vec![]);
    }
    let SeriesSet { keys, sides, values, .. } = SeriesSet::collect(plan, trials, samples)?;
    let mut all = Vec::new();
    for (position, values) in values.into_iter().enumerate().filter(|(_, values)| !values.by_block.is_empty())
    {
        let (key, side) = (&keys[position / sides.len()], &sides[position % sides.len()]);
        let definition = definition(plan, &key.metric)?;
        let stands_there = |arm: &&Arm| {
            arm.side() == side && arm.dims().iter().all(|(name, value)| key.at.get(name) == Some(value))
        };
        all.push(ArmSeries {
            unit: definition.unit,
            better: definition.better,
            key: key.clone(),
            arm: plan.arms.iter().find(stands_there).map_or(side, |arm| &arm.name).clone(),
            provenance: values.provenances,
            by_block: values.by_block,
        });
    }
    all.sort_by_cached_key(|series| assemble::position(plan, &series.key));
    Ok(all)
}

/// Every series of a run.
#[derive(Debug, Default)]
pub(crate) struct SeriesSet {
    /// Sorted.
    keys: Vec<SeriesKey>,
    /// Sorted.
    sides: Vec<String>,
    /// For each key, the values of each side.
    values: Vec<Values>,
    /// Blocks in which an arm was booted, timed and traced ones apart.
    booted: BTreeMap<bool, BTreeSet<u32>>,
}

/// What the samples of one kind belong to.
struct Member {
    key: usize,
    traced: bool,
    provenance: Provenance,
}

impl SeriesSet {
    /// The series of these samples; samples of a trial without a record are passed over.
    pub(crate) fn collect(
        plan: &Plan,
        trials: &[TrialRecord],
        samples: &SampleTable,
    ) -> Result<Self, AssembleError> {
        let mut set = Self::default();
        let sides: BTreeMap<&str, &str> =
            plan.arms.iter().map(|arm| (arm.name.as_str(), arm.side())).collect();
        let side = |trial: &TrialRecord| -> String {
            sides.get(trial.arm.as_str()).map_or(&*trial.arm, |side| *side).to_owned()
        };
        let counts = |trial: &TrialRecord| trial.traced || plan.design.counts(trial.block);
        for trial in trials.iter().filter(|trial| counts(trial)) {
            set.booted.entry(trial.traced).or_default().insert(trial.block);
        }
        set.sides = sorted(trials.iter().map(side));
        let members = set.name_series(plan, samples.kinds())?;
        set.values.resize(set.keys.len() * set.sides.len(), Values::default());
        let records: BTreeMap<u32, (&TrialRecord, usize)> =
            trials.iter().map(|trial| (trial.index, (trial, set.side(&side(trial)).unwrap_or(0)))).collect();
        let mut last: Option<(&TrialRecord, usize)> = None;
        for entry in samples.entries() {
            // Samples stand together by trial, so the look-up is rare.
            if last.is_none_or(|(trial, _)| trial.index != entry.trial) {
                last = records.get(&entry.trial).copied();
            }
            let Some((trial, side)) = last else { continue };
            let member = &members[entry.kind as usize];
            // Tracing slows a guest down: what is timed in such a boot is not evidence, and counts come from nowhere else.
            if member.traced != trial.traced || !counts(trial) {
                continue;
            }
            let values = &mut set.values[member.key * set.sides.len() + side];
            values.by_block.push((trial.block, entry.value));
            values.provenances.insert(member.provenance);
        }
        set.settle(&records)?;
        Ok(set)
    }

    /// Sorts the keys of these kinds, and says which key each kind belongs to.
    fn name_series(&mut self, plan: &Plan, kinds: &[SampleKind]) -> Result<Vec<Member>, AssembleError> {
        let named = kinds.iter().map(|kind| {
            let definition = definition(plan, &kind.metric)?;
            Ok((
                key(&definition, &plan.dimensions, (&kind.metric, &kind.dims)),
                definition.yielded_by.is_traced(),
                kind.provenance,
            ))
        });
        let named: Vec<_> = named.collect::<Result<_, AssembleError>>()?;
        self.keys = sorted(named.iter().map(|(key, ..)| key.clone()));
        let position = |key: &SeriesKey| self.keys.binary_search(key).expect("every key is among them");
        let member = |(key, traced, provenance): &(SeriesKey, bool, Provenance)| Member {
            key: position(key),
            traced: *traced,
            provenance: *provenance,
        };
        Ok(named.iter().map(member).collect())
    }

    /// Puts every side's values in the order of the blocks, and removes series that nothing belongs to.
    fn settle(&mut self, records: &BTreeMap<u32, (&TrialRecord, usize)>) -> Result<(), AssembleError> {
        let sides = self.sides.len();
        for (position, values) in self.values.iter_mut().enumerate() {
            values.by_block.sort_by_key(|(block, _)| *block);
            let twice = values.by_block.windows(2).find(|pair| pair[0].0 == pair[1].0);
            if let Some([(block, _), _]) = twice {
                let made = |(trial, side): &&(&TrialRecord, usize)| {
                    *side == position % sides && trial.block == *block
                };
                return Err(AssembleError::TwoValues {
                    trial: records.values().rfind(made).map_or(*block, |(trial, _)| trial.index),
                    series: Box::new(self.keys[position / sides].clone()),
                });
            }
        }
        let filled: Vec<bool> = self
            .values
            .chunks(sides.max(1))
            .map(|of_sides| of_sides.iter().any(|values| !values.by_block.is_empty()))
            .collect();
        let mut position = 0;
        self.values.retain(|_| {
            position += 1;
            filled[(position - 1) / sides]
        });
        let mut filled = filled.iter();
        self.keys.retain(|_| filled.next().is_some_and(|filled| *filled));
        Ok(())
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &SeriesKey> {
        self.keys.iter()
    }

    fn side(&self, name: &str) -> Option<usize> {
        self.sides.binary_search_by(|side| side.as_str().cmp(name)).ok()
    }

    /// One side's values.
    pub(crate) fn values(&self, key: &SeriesKey, side: &str) -> &Values {
        match (self.keys.binary_search(key), self.side(side)) {
            (Ok(key), Some(side)) => &self.values[key * self.sides.len() + side],
            _ => &NO_VALUES,
        }
    }

    /// Whether it is of the only core: the numbers of all cores once more.
    pub(crate) fn is_only_core(&self, key: &SeriesKey) -> bool {
        if key.dims.get("core").is_none_or(|core| core != "0") {
            return false;
        }
        let sibling = |core: &str| {
            let mut sibling = key.clone();
            sibling.dims.insert("core".into(), core.into());
            sibling
        };
        let (all, second) = (sibling("all"), sibling("1"));
        self.keys.binary_search(&second).is_err()
            && self.sides.iter().all(|side| self.values(key, side) == self.values(&all, side))
    }

    /// The blocks of a comparison, or why its numbers may not be compared.
    pub(crate) fn blocks(
        &self,
        key: &SeriesKey,
        baseline: &str,
        candidate: &str,
    ) -> Result<Vec<Block>, String> {
        let (baseline, candidate) = (self.values(key, baseline), self.values(key, candidate));
        let provenances: BTreeSet<_> = baseline.provenances.union(&candidate.provenances).collect();
        if provenances.len() > 1 {
            let names: Vec<_> = provenances.iter().map(ToString::to_string).collect();
            return Err(format!("numbers from different sources are not compared: {}", names.join(", ")));
        }
        // What a plan defines for itself is never traced.
        let traced = metric::find(&key.metric).is_some_and(|metric| metric.yielded_by.is_traced());
        let blocks = self
            .booted
            .get(&traced)
            .into_iter()
            .flatten()
            .map(|block| Block { baseline: baseline.at(*block), candidate: candidate.at(*block) });
        Ok(blocks.collect())
    }

    /// The one series that a gate selects at one place of the matrix, or why there is no such one.
    pub(crate) fn select(&self, selector: &MetricSelector, at: &measure::Dims) -> Result<SeriesKey, String> {
        let matches: Vec<_> = self.keys().filter(|key| key.at == *at && selects(selector, key)).collect();
        match matches.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err("no boot yielded such a sample".to_owned()),
            several => {
                let dims: Vec<_> = several.iter().map(|key| in_words(&key.dims)).collect();
                Err(format!("the gate must name one of: {}", dims.join("; ")))
            }
        }
    }
}

/// The definition of a metric of `plan` by its name.
pub(crate) fn definition<'a>(plan: &'a Plan, name: &str) -> Result<Definition<'a>, AssembleError> {
    plan.metric(name).ok_or_else(|| AssembleError::UnknownMetric { metric: name.to_owned() })
}

/// The series that the parts of a boot belong to; none of a metric that the plan does not have.
pub(crate) fn within_key(plan: &Plan, within: &Within) -> Option<SeriesKey> {
    let definition = plan.metric(&within.metric)?;
    Some(key(&definition, &plan.dimensions, (&within.metric, &within.dims)))
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    items.collect::<BTreeSet<_>>().into_iter().collect()
}

fn key(definition: &Definition<'_>, dimensions: &[Dimension], (metric, all): (&str, &Dims)) -> SeriesKey {
    let workload = all.get("workload");
    let of = |is_wanted: &dyn Fn(&String) -> bool| -> measure::Dims {
        let dims = all.iter().filter(|(name, _)| is_wanted(name));
        dims.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let belongs = |dimension: &Dimension| match &dimension.scope {
        Scope::Arms => true,
        Scope::Workload(of) => workload == Some(of),
    };
    SeriesKey {
        workload: workload.cloned(),
        metric: metric.to_owned(),
        dims: of(&|name| definition.dims.contains(&name.as_str())),
        at: of(&|name| dimensions.iter().any(|dimension| dimension.name == *name && belongs(dimension))),
    }
}

pub(crate) fn selects(selector: &MetricSelector, key: &SeriesKey) -> bool {
    key.workload.as_ref() == Some(&selector.workload)
        && key.metric == selector.metric
        && selector.dims.iter().all(|(name, value)| key.dims.get(name) == Some(value))
}

fn in_words(dims: &measure::Dims) -> String {
    let dims: Vec<_> = dims.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    dims.join(", ")
}

#[cfg(test)]
mod tests {
    use measure::{Sample, TrialEnd};
    use plan::Design;
    use proptest::prelude::*;

    use super::*;

    fn sample(metric: &Definition<'_>, value: f64, dims: &[(&str, &str)]) -> Sample {
        let dims: Dims = dims.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Sample::new(metric, value, dims, Provenance::Iperf3).unwrap()
    }

    fn trial(index: u32, block: u32, arm: &str, traced: bool, samples: Vec<Sample>) -> TrialRecord {
        TrialRecord {
            index,
            block,
            arm: arm.into(),
            traced,
            perturbation: None,
            end: TrialEnd::Measured { samples },
            facts: BTreeMap::new(),
            boot_seconds: None,
            took_seconds: 0.0,
            unavailable: vec![],
            warnings: vec![],
            complaints: vec![],
            tests: vec![],
            voids: vec![],
            set_aside: vec![],
            within: vec![],
            timelines: vec![],
            began: None,
        }
    }

    const UP: (&str, &str) = ("direction", "client-to-server");
    const TCP: (&str, &str) = ("workload", "tcp");

    fn plan(dimensions: Vec<Dimension>) -> Plan {
        Plan {
            format: plan::FORMAT,
            name: "test".into(),
            question: "?".into(),
            dimensions,
            arms: vec![],
            workloads: vec![],
            collectors: vec![],
            design: Design::of(1),
            gates: vec![],
            test_gates: vec![],
            known_complaints: vec![],
        }
    }

    fn collect(trials: &[TrialRecord]) -> Result<SeriesSet, AssembleError> {
        SeriesSet::collect(&plan(vec![]), trials, &SampleTable::of(trials))
    }

    fn selector(dims: &[(&str, &str)]) -> MetricSelector {
        let dims = dims.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        MetricSelector { workload: "tcp".into(), metric: "throughput".into(), dims }
    }

    #[test]
    fn dimensions_that_describe_the_arm_do_not_keep_series_apart() {
        let strict = sample(&metric::THROUGHPUT, 1.0, &[TCP, UP, ("iommu-server-eth0", "DMA")]);
        let lazy = sample(&metric::THROUGHPUT, 2.0, &[TCP, UP, ("iommu-server-eth0", "DMA-FQ")]);
        let set = collect(&[trial(0, 0, "a", false, vec![strict]), trial(1, 0, "b", false, vec![lazy])]);
        let set = set.unwrap();
        let key = set.select(&selector(&[]), &Dims::new()).unwrap();
        assert_eq!(set.blocks(&key, "a", "b"), Ok(vec![Block::both(1.0, 2.0)]));
    }

    #[test]
    fn trimmed_boots_at_both_ends_belong_to_no_series() {
        let value = |block: u32| sample(&metric::THROUGHPUT, f64::from(block), &[TCP, UP]);
        // The last of five is not made yet: it is the second last that counts all the same.
        let boots = [
            (0, "a", 0),
            (1, "a", 1),
            (2, "a", 2),
            (3, "a", 3),
            (4, "b", 0),
            (5, "b", 1),
            (6, "b", 2),
            (7, "b", 3),
        ];
        let trials = boots.map(|(index, arm, block)| trial(index, block, arm, false, vec![value(block)]));
        let mut plan = plan(vec![]);
        plan.design = Design { trim: 1, ..Design::of(5) };
        let set = SeriesSet::collect(&plan, &trials, &SampleTable::of(&trials)).unwrap();
        let key = set.select(&selector(&[]), &Dims::new()).unwrap();
        let counted = [1.0, 2.0, 3.0].map(|value| Block::both(value, value));
        assert_eq!(set.blocks(&key, "a", "b"), Ok(counted.to_vec()));
    }

    #[test]
    fn each_place_of_a_matrix_has_series_of_its_own() {
        let at = |flows| vec![sample(&metric::THROUGHPUT, 1.0, &[TCP, ("flows", flows), ("vcpus", "2")])];
        let samples = [at("1"), at("4")].concat();
        let trials = [trial(0, 0, "a", false, samples)];
        let dimension = |name: &str, scope| Dimension {
            name: name.into(),
            values: vec!["1".into(), "4".into()],
            numbers: None,
            scope,
        };
        // Another workload's dimension says nothing about this one.
        let dimensions = vec![
            dimension("flows", Scope::Workload("tcp".into())),
            dimension("vcpus", Scope::Workload("rtt".into())),
        ];
        let set = SeriesSet::collect(&plan(dimensions), &trials, &SampleTable::of(&trials)).unwrap();
        let places: Vec<Dims> = set.keys().map(|key| key.at.clone()).collect();
        assert_eq!(places, ["1", "4"].map(|flows| Dims::from([("flows".to_owned(), flows.to_owned())])));
        assert_eq!(set.select(&selector(&[]), &places[1]).unwrap().at, places[1]);
    }

    #[test]
    fn a_gate_that_matches_several_series_names_them() {
        let down = ("direction", "server-to-client");
        let both = vec![
            sample(&metric::THROUGHPUT, 1.0, &[TCP, UP]),
            sample(&metric::THROUGHPUT, 1.0, &[TCP, down]),
        ];
        let set = collect(&[trial(0, 0, "a", false, both)]).unwrap();
        let message = set.select(&selector(&[]), &Dims::new()).unwrap_err();
        assert_eq!(
            message,
            "the gate must name one of: direction: client-to-server; direction: server-to-client"
        );
        assert_eq!(
            set.select(&selector(&[down]), &Dims::new()).unwrap().dims["direction"],
            "server-to-client"
        );
        assert!(set.select(&selector(&[("direction", "sideways")]), &Dims::new()).is_err());
    }

    #[test]
    fn numbers_of_different_sources_are_not_compared() {
        let real = sample(&metric::THROUGHPUT, 1.0, &[TCP]);
        let fake = Sample { provenance: Provenance::Fake, ..real.clone() };
        let trials = [trial(0, 0, "a", false, vec![real]), trial(1, 0, "b", false, vec![fake])];
        let set = collect(&trials).unwrap();
        let message = set.blocks(&set.select(&selector(&[]), &Dims::new()).unwrap(), "a", "b").unwrap_err();
        assert_eq!(message, "numbers from different sources are not compared: iperf3, fake");
    }

    #[test]
    fn nothing_timed_comes_from_a_traced_boot_and_no_count_from_a_timed_one() {
        let side = ("side", "server");
        let samples = || {
            vec![sample(&metric::THROUGHPUT, 1.0, &[TCP]), sample(&metric::IOTLB_FILLS, 0.1, &[TCP, side])]
        };
        let set = collect(&[trial(0, 0, "a", false, samples()), trial(1, 1, "a", true, samples())]);
        let set = set.unwrap();
        let blocks: Vec<_> =
            set.keys().map(|key| (key.metric.as_str(), set.values(key, "a").by_block.clone())).collect();
        let at = |block, value| vec![(block, value)];
        assert_eq!(blocks, [("iotlb-fills-per-page", at(1, 0.1)), ("throughput", at(0, 1.0))]);
    }

    #[test]
    fn a_crashed_boot_is_a_block_without_a_value() {
        let one = |value| vec![sample(&metric::THROUGHPUT, value, &[TCP])];
        let mut trials = vec![trial(0, 0, "a", false, one(1.0)), trial(1, 0, "b", false, one(2.0))];
        trials.extend([trial(2, 1, "a", false, one(3.0)), trial(3, 1, "b", false, vec![])]);
        let set = collect(&trials).unwrap();
        let blocks = set.blocks(&set.select(&selector(&[]), &Dims::new()).unwrap(), "a", "b").unwrap();
        assert_eq!(blocks, [Block::both(1.0, 2.0), Block { baseline: Some(3.0), candidate: None }]);
    }

    #[test]
    fn refuses_two_values_of_one_boot_and_metrics_that_it_does_not_know() {
        let twice = vec![sample(&metric::THROUGHPUT, 1.0, &[TCP]), sample(&metric::THROUGHPUT, 2.0, &[TCP])];
        let error = collect(&[trial(7, 0, "a", false, twice)]).unwrap_err();
        assert_eq!(error.to_string(), "trial 7 has two values of tcp throughput");
        let mut unknown = sample(&metric::THROUGHPUT, 1.0, &[TCP]);
        unknown.metric = "goodness".into();
        let error = collect(&[trial(0, 0, "a", false, vec![unknown])]).unwrap_err();
        assert_eq!(error.to_string(), "metric `goodness` is not known to this version of assay");
    }

    type ByBlock = Vec<(u32, f64)>;

    /// What a series is, said once more without tables: every sample by itself, into maps.
    fn plainly(plan: &Plan, trials: &[TrialRecord]) -> Option<BTreeMap<(SeriesKey, String), ByBlock>> {
        let mut all: BTreeMap<(SeriesKey, String), BTreeMap<u32, f64>> = BTreeMap::new();
        for trial in trials {
            for sample in trial.end.samples() {
                let definition = plan.metric(&sample.metric)?;
                if definition.yielded_by.is_traced() == trial.traced {
                    let key = key(&definition, &plan.dimensions, (&sample.metric, &sample.dims));
                    let values = all.entry((key, trial.arm.clone())).or_default();
                    if values.insert(trial.block, sample.value).is_some() {
                        return None;
                    }
                }
            }
        }
        Some(all.into_iter().map(|(of, values)| (of, values.into_iter().collect())).collect())
    }

    fn any_sample() -> impl Strategy<Value = Sample> {
        let metric = prop::sample::select(vec![&metric::CPU_BUSY, &metric::CPU_APP, &metric::IOTLB_FILLS]);
        let of = |values: &'static [&'static str]| prop::sample::select(values.to_vec());
        let dims =
            (of(&["tcp", "rr"]), of(&["server", "client"]), of(&["0", "1", "all"]), of(&["DMA", "none"]));
        let provenance = prop::sample::select(vec![Provenance::Procfs, Provenance::Fake]);
        (metric, dims, any::<f64>(), provenance).prop_filter_map(
            "finite",
            |(metric, (workload, side, core, iommu), value, provenance)| {
                let dims = [("workload", workload), ("side", side), ("core", core), ("iommu-eth0", iommu)];
                let dims = dims.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
                Sample::new(metric, value, dims, provenance)
            },
        )
    }

    proptest! {
        #[test]
        fn tables_say_what_single_samples_say(
            boots in prop::collection::vec((0..4_u32, any::<bool>(), any::<bool>(), prop::collection::vec(any_sample(), 0..9)), 0..9),
        ) {
            let trials: Vec<TrialRecord> = (0..)
                .zip(boots)
                .map(|(index, (block, candidate, traced, samples))| {
                    trial(index, block, if candidate { "b" } else { "a" }, traced, samples)
                })
                .collect();
            let found = arm_series(&plan(vec![]), &trials, &SampleTable::of(&trials));
            match plainly(&plan(vec![]), &trials) {
                None => prop_assert!(matches!(found, Err(AssembleError::TwoValues { .. })), "{found:?}"),
                Some(expected) => {
                    let found = found.unwrap().into_iter().map(|series| ((series.key, series.arm), series.by_block));
                    prop_assert_eq!(found.collect::<BTreeMap<_, _>>(), expected);
                }
            }
        }
    }
}
