//! What a tool's output says.

use measure::{Definition, Dims, Parts, Provenance, Sample, Traffic, Within};

/// What a tool's output says.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// The numbers.
    pub samples: Vec<Sample>,
    /// What the output does not tell, and why.
    pub unavailable: Vec<String>,
    /// What moved between the two sides.
    pub traffic: Traffic,
    /// Some of the numbers, part by part.
    pub within: Vec<Within>,
}

/// Collects samples of one tool.
pub(crate) struct Collected {
    provenance: Provenance,
    pub(crate) samples: Vec<Sample>,
    pub(crate) unavailable: Vec<String>,
    within: Vec<Within>,
}

impl Collected {
    pub(crate) fn new(provenance: Provenance) -> Self {
        Self { provenance, samples: Vec::new(), unavailable: Vec::new(), within: Vec::new() }
    }

    /// Adds a sample; a value that is no number is unavailable.
    pub(crate) fn add(&mut self, metric: &Definition<'_>, value: f64, dims: &[(&str, &str)]) {
        match Sample::new(metric, value, owned(dims), self.provenance) {
            Some(sample) => self.samples.push(sample),
            None => self.lack(metric, format!("{} computed it as {value}", self.provenance)),
        }
    }

    /// Adds the parts of a sample, where there is more than one.
    pub(crate) fn add_within(
        &mut self,
        metric: &Definition<'_>,
        parts: Parts,
        values: Vec<f64>,
        dims: &[(&str, &str)],
    ) {
        self.within.extend(Within::new(metric.name, owned(dims), parts, values));
    }

    /// Says why there is no sample.
    pub(crate) fn lack(&mut self, metric: &Definition<'_>, reason: impl std::fmt::Display) {
        self.unavailable.push(format!("{}: {reason}", metric.name));
    }

    pub(crate) fn findings(self, traffic: Traffic) -> Findings {
        let Self { samples, unavailable, within, .. } = self;
        Findings { samples, unavailable, traffic, within }
    }
}

fn owned(dims: &[(&str, &str)]) -> Dims {
    dims.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}
