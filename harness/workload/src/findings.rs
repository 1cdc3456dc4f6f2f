//! What a tool's output says.

use measure::{Definition, Dims, Provenance, Sample, Traffic};

/// What a tool's output says.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// The numbers.
    pub samples: Vec<Sample>,
    /// What the output does not tell, and why.
    pub unavailable: Vec<String>,
    /// What moved between the two sides.
    pub traffic: Traffic,
}

/// Collects samples of one tool.
pub(crate) struct Collected {
    provenance: Provenance,
    pub(crate) samples: Vec<Sample>,
    pub(crate) unavailable: Vec<String>,
}

impl Collected {
    pub(crate) fn new(provenance: Provenance) -> Self {
        Self { provenance, samples: Vec::new(), unavailable: Vec::new() }
    }

    /// Adds a sample; a value that is no number is unavailable.
    pub(crate) fn add(&mut self, metric: &Definition<'_>, value: f64, dims: &[(&str, &str)]) {
        let dims: Dims = dims.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        match Sample::new(metric, value, dims, self.provenance) {
            Some(sample) => self.samples.push(sample),
            None => self.lack(metric, format!("{} computed it as {value}", self.provenance)),
        }
    }

    /// Says why there is no sample.
    pub(crate) fn lack(&mut self, metric: &Definition<'_>, reason: impl std::fmt::Display) {
        self.unavailable.push(format!("{}: {reason}", metric.name));
    }

    pub(crate) fn findings(self, traffic: Traffic) -> Findings {
        Findings { samples: self.samples, unavailable: self.unavailable, traffic }
    }
}
