//! Which samples belong together.
//!
//! A series is one metric of one workload at one setting of the dimensions that the metric is defined to have. Dimensions
//! beyond those describe the arm (the IOMMU mode that its guests have, say); arms may differ in them, that may be the
//! very question, so they do not keep series apart.

use std::collections::{BTreeMap, BTreeSet};

use measure::{MetricDef, Provenance, Sample, TrialRecord, YieldedBy, metric};
use plan::MetricSelector;
use stats::Block;

use crate::{SeriesKey, assemble::AssembleError};

/// The values of one arm by block: one for each boot that yielded one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Values {
    pub(crate) by_block: BTreeMap<u32, f64>,
    pub(crate) provenances: BTreeSet<Provenance>,
}

/// Every series of a run.
#[derive(Debug, Default)]
pub(crate) struct SeriesSet {
    series: BTreeMap<SeriesKey, BTreeMap<String, Values>>,
    /// Blocks in which an arm was booted, timed and traced ones apart.
    booted: BTreeMap<bool, BTreeSet<u32>>,
}

impl SeriesSet {
    pub(crate) fn collect(trials: &[TrialRecord]) -> Result<Self, AssembleError> {
        let mut set = Self::default();
        for trial in trials {
            set.booted.entry(trial.traced).or_default().insert(trial.block);
            for sample in trial.end.samples() {
                set.add(trial, sample)?;
            }
        }
        Ok(set)
    }

    fn add(&mut self, trial: &TrialRecord, sample: &Sample) -> Result<(), AssembleError> {
        let definition = definition(&sample.metric)?;
        // Tracing slows a guest down: what is timed in such a boot is not evidence, and counts come from nowhere else.
        if is_traced(definition) != trial.traced {
            return Ok(());
        }
        let key = key(definition, sample);
        let values = self.series.entry(key.clone()).or_default().entry(trial.arm.clone()).or_default();
        values.provenances.insert(sample.provenance);
        match values.by_block.insert(trial.block, sample.value) {
            None => Ok(()),
            Some(_) => Err(AssembleError::TwoValues { trial: trial.index, series: Box::new(key) }),
        }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &SeriesKey> {
        self.series.keys()
    }

    /// One arm's values.
    pub(crate) fn values(&self, key: &SeriesKey, arm: &str) -> Values {
        self.series.get(key).and_then(|arms| arms.get(arm)).cloned().unwrap_or_default()
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
        let traced = metric::find(&key.metric).is_some_and(is_traced);
        let blocks = self.booted.get(&traced).into_iter().flatten().map(|block| Block {
            baseline: baseline.by_block.get(block).copied(),
            candidate: candidate.by_block.get(block).copied(),
        });
        Ok(blocks.collect())
    }

    /// The one series that a gate selects, or why there is no such one.
    pub(crate) fn select(&self, selector: &MetricSelector) -> Result<SeriesKey, String> {
        let matches: Vec<_> = self.keys().filter(|key| selects(selector, key)).collect();
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

/// The definition of a metric by its name.
pub(crate) fn definition(name: &str) -> Result<&'static MetricDef, AssembleError> {
    metric::find(name).ok_or_else(|| AssembleError::UnknownMetric { metric: name.to_owned() })
}

fn is_traced(definition: &MetricDef) -> bool {
    matches!(definition.yielded_by, YieldedBy::IotlbAroundBulk)
}

fn key(definition: &MetricDef, sample: &Sample) -> SeriesKey {
    let own = |name: &String| definition.dims.contains(&name.as_str());
    let dims = sample.dims.iter().filter(|(name, _)| own(name));
    SeriesKey {
        workload: sample.dims.get("workload").cloned(),
        metric: sample.metric.clone(),
        dims: dims.map(|(name, value)| (name.clone(), value.clone())).collect(),
    }
}

fn selects(selector: &MetricSelector, key: &SeriesKey) -> bool {
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
    use measure::{Dims, TrialEnd};

    use super::*;

    fn sample(metric: &MetricDef, value: f64, dims: &[(&str, &str)]) -> Sample {
        let dims: Dims = dims.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Sample::new(metric, value, dims, Provenance::Iperf3).unwrap()
    }

    fn trial(index: u32, block: u32, arm: &str, traced: bool, samples: Vec<Sample>) -> TrialRecord {
        TrialRecord {
            index,
            block,
            arm: arm.into(),
            traced,
            end: TrialEnd::Measured { samples },
            facts: BTreeMap::new(),
            boot_seconds: None,
            took_seconds: 0.0,
            unavailable: vec![],
            warnings: vec![],
        }
    }

    const UP: (&str, &str) = ("direction", "client-to-server");
    const TCP: (&str, &str) = ("workload", "tcp");

    fn selector(dims: &[(&str, &str)]) -> MetricSelector {
        let dims = dims.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        MetricSelector { workload: "tcp".into(), metric: "throughput".into(), dims }
    }

    #[test]
    fn dimensions_that_describe_the_arm_do_not_keep_series_apart() {
        let strict = sample(&metric::THROUGHPUT, 1.0, &[TCP, UP, ("iommu-server-eth0", "DMA")]);
        let lazy = sample(&metric::THROUGHPUT, 2.0, &[TCP, UP, ("iommu-server-eth0", "DMA-FQ")]);
        let set =
            SeriesSet::collect(&[trial(0, 0, "a", false, vec![strict]), trial(1, 0, "b", false, vec![lazy])]);
        let set = set.unwrap();
        let key = set.select(&selector(&[])).unwrap();
        assert_eq!(set.blocks(&key, "a", "b"), Ok(vec![Block::both(1.0, 2.0)]));
    }

    #[test]
    fn a_gate_that_matches_several_series_names_them() {
        let down = ("direction", "server-to-client");
        let both = vec![
            sample(&metric::THROUGHPUT, 1.0, &[TCP, UP]),
            sample(&metric::THROUGHPUT, 1.0, &[TCP, down]),
        ];
        let set = SeriesSet::collect(&[trial(0, 0, "a", false, both)]).unwrap();
        let message = set.select(&selector(&[])).unwrap_err();
        assert_eq!(
            message,
            "the gate must name one of: direction: client-to-server; direction: server-to-client"
        );
        assert_eq!(set.select(&selector(&[down])).unwrap().dims["direction"], "server-to-client");
        assert!(set.select(&selector(&[("direction", "sideways")])).is_err());
    }

    #[test]
    fn numbers_of_different_sources_are_not_compared() {
        let real = sample(&metric::THROUGHPUT, 1.0, &[TCP]);
        let fake = Sample { provenance: Provenance::Fake, ..real.clone() };
        let trials = [trial(0, 0, "a", false, vec![real]), trial(1, 0, "b", false, vec![fake])];
        let set = SeriesSet::collect(&trials).unwrap();
        let message = set.blocks(&set.select(&selector(&[])).unwrap(), "a", "b").unwrap_err();
        assert_eq!(message, "numbers from different sources are not compared: iperf3, fake");
    }

    #[test]
    fn nothing_timed_comes_from_a_traced_boot_and_no_count_from_a_timed_one() {
        let side = ("side", "server");
        let samples = || {
            vec![sample(&metric::THROUGHPUT, 1.0, &[TCP]), sample(&metric::IOTLB_FILLS, 0.1, &[TCP, side])]
        };
        let set =
            SeriesSet::collect(&[trial(0, 0, "a", false, samples()), trial(1, 1, "a", true, samples())]);
        let set = set.unwrap();
        let blocks: Vec<_> =
            set.keys().map(|key| (key.metric.as_str(), set.values(key, "a").by_block)).collect();
        let at = |block, value| BTreeMap::from([(block, value)]);
        assert_eq!(blocks, [("iotlb-fills-per-page", at(1, 0.1)), ("throughput", at(0, 1.0))]);
    }

    #[test]
    fn a_crashed_boot_is_a_block_without_a_value() {
        let one = |value| vec![sample(&metric::THROUGHPUT, value, &[TCP])];
        let mut trials = vec![trial(0, 0, "a", false, one(1.0)), trial(1, 0, "b", false, one(2.0))];
        trials.extend([trial(2, 1, "a", false, one(3.0)), trial(3, 1, "b", false, vec![])]);
        let set = SeriesSet::collect(&trials).unwrap();
        let blocks = set.blocks(&set.select(&selector(&[])).unwrap(), "a", "b").unwrap();
        assert_eq!(blocks, [Block::both(1.0, 2.0), Block { baseline: Some(3.0), candidate: None }]);
    }

    #[test]
    fn refuses_two_values_of_one_boot_and_metrics_that_it_does_not_know() {
        let twice = vec![sample(&metric::THROUGHPUT, 1.0, &[TCP]), sample(&metric::THROUGHPUT, 2.0, &[TCP])];
        let error = SeriesSet::collect(&[trial(7, 0, "a", false, twice)]).unwrap_err();
        assert_eq!(error.to_string(), "trial 7 has two values of tcp throughput");
        let mut unknown = sample(&metric::THROUGHPUT, 1.0, &[TCP]);
        unknown.metric = "goodness".into();
        let error = SeriesSet::collect(&[trial(0, 0, "a", false, vec![unknown])]).unwrap_err();
        assert_eq!(error.to_string(), "metric `goodness` is not known to this version of assay");
    }
}
