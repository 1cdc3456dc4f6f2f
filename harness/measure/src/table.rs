//! Many samples in columns: what a report reads, where one [`Sample`] each would cost more memory than the run did.

use std::collections::HashMap;

use crate::{Dims, Provenance, Sample, TrialRecord};

/// All of a sample but its value. Runs have few kinds and many samples.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SampleKind {
    /// A name from [`crate::metric`], or of a newer version's.
    pub metric: String,
    /// Every dimension of the sample.
    pub dims: Dims,
    /// Where the number comes from.
    pub provenance: Provenance,
}

/// One number of a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// [`TrialRecord::index`] of the boot that it comes from.
    pub trial: u32,
    /// Position in [`SampleTable::kinds`].
    pub kind: u32,
    /// In the metric's unit.
    pub value: f64,
}

/// Samples of many trials. 16 bytes a sample; names and dimensions are kept once for each kind.
#[derive(Clone, Debug, Default)]
pub struct SampleTable {
    kinds: Vec<SampleKind>,
    positions: HashMap<SampleKind, u32>,
    entries: Vec<Entry>,
}

impl SampleTable {
    /// The samples that these records hold.
    #[must_use]
    pub fn of(trials: &[TrialRecord]) -> Self {
        let mut table = Self::default();
        for trial in trials {
            for sample in trial.end.samples() {
                let kind = table.intern(SampleKind::of(sample));
                table.push(Entry { trial: trial.index, kind, value: sample.value });
            }
        }
        table
    }

    /// The position of a kind, which is added if it is new.
    ///
    /// # Panics
    /// With more than `u32::MAX` kinds.
    pub fn intern(&mut self, kind: SampleKind) -> u32 {
        if let Some(position) = self.positions.get(&kind) {
            return *position;
        }
        let position = u32::try_from(self.kinds.len()).expect("fewer kinds than fit into memory");
        self.kinds.push(kind.clone());
        self.positions.insert(kind, position);
        position
    }

    /// Adds a sample whose kind was interned.
    pub fn push(&mut self, entry: Entry) {
        debug_assert!((entry.kind as usize) < self.kinds.len(), "the kind of {entry:?} was not interned");
        self.entries.push(entry);
    }

    /// Room for so many more samples.
    pub fn reserve(&mut self, samples: usize) {
        self.entries.reserve_exact(samples);
    }

    /// Adds the samples of another table, in their order.
    pub fn append(&mut self, other: Self) {
        let positions: Vec<u32> = other.kinds.into_iter().map(|kind| self.intern(kind)).collect();
        let entries = other.entries.into_iter();
        self.entries.extend(entries.map(|entry| Entry { kind: positions[entry.kind as usize], ..entry }));
    }

    /// Every kind, in the order of first appearance.
    #[must_use]
    pub fn kinds(&self) -> &[SampleKind] {
        &self.kinds
    }

    /// Every sample, in the order in which they were added.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The samples of one trial, in full.
    pub fn of_trial(&self, index: u32) -> impl Iterator<Item = Sample> {
        self.entries.iter().filter(move |entry| entry.trial == index).map(|entry| {
            let SampleKind { metric, dims, provenance } = self.kinds[entry.kind as usize].clone();
            Sample { metric, value: entry.value, dims, provenance }
        })
    }
}

impl SampleKind {
    /// The kind of a sample.
    #[must_use]
    pub fn of(sample: &Sample) -> Self {
        Self { metric: sample.metric.clone(), dims: sample.dims.clone(), provenance: sample.provenance }
    }
}

/// Equal if they hold the same samples in the same order; the numbering of kinds does not matter.
impl PartialEq for SampleTable {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &Entry, b: &Entry| {
            (a.trial, a.value.to_bits()) == (b.trial, b.value.to_bits())
                && self.kinds[a.kind as usize] == other.kinds[b.kind as usize]
        };
        self.entries.len() == other.entries.len()
            && self.entries.iter().zip(&other.entries).all(|(a, b)| same(a, b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(metric: &str, core: &str) -> SampleKind {
        let dims = Dims::from([("core".to_owned(), core.to_owned())]);
        SampleKind { metric: metric.into(), dims, provenance: Provenance::Procfs }
    }

    fn table(samples: &[(u32, &str, &str, f64)]) -> SampleTable {
        let mut table = SampleTable::default();
        for (trial, metric, core, value) in samples {
            let kind = table.intern(kind(metric, core));
            table.push(Entry { trial: *trial, kind, value: *value });
        }
        table
    }

    #[test]
    fn tables_that_numbered_their_kinds_apart_join() {
        let mut first = table(&[(0, "cpu-app", "0", 1.0), (0, "cpu-busy", "0", 2.0)]);
        first.append(table(&[(1, "cpu-busy", "0", 4.0), (1, "cpu-app", "0", 3.0), (1, "cpu-app", "1", 5.0)]));
        let whole = table(&[
            (0, "cpu-app", "0", 1.0),
            (0, "cpu-busy", "0", 2.0),
            (1, "cpu-busy", "0", 4.0),
            (1, "cpu-app", "0", 3.0),
            (1, "cpu-app", "1", 5.0),
        ]);
        assert_eq!((first.kinds().len(), &first), (3, &whole));
        let values: Vec<_> =
            first.of_trial(1).map(|sample| (sample.metric, sample.dims["core"].clone())).collect();
        let expected = [("cpu-busy", "0"), ("cpu-app", "0"), ("cpu-app", "1")];
        assert_eq!(values, expected.map(|(metric, core)| (metric.to_owned(), core.to_owned())));
    }

    #[test]
    fn another_value_kind_or_order_is_another_table() {
        let one = table(&[(0, "cpu-app", "0", 1.0), (0, "cpu-app", "1", 1.0)]);
        for other in [
            table(&[(0, "cpu-app", "1", 1.0), (0, "cpu-app", "0", 1.0)]),
            table(&[(0, "cpu-app", "0", 1.0), (0, "cpu-app", "1", 2.0)]),
            table(&[(0, "cpu-app", "0", 1.0), (1, "cpu-app", "1", 1.0)]),
            table(&[(0, "cpu-app", "0", 1.0)]),
        ] {
            assert_ne!(one, other);
        }
    }
}
