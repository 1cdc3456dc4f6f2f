//! What was done elsewhere, as far as files that somebody kept tell of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A machine of which no more is known than names of run directories and headings say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportedMachine {
    /// What was recorded, by what it is: `flows`, `cores`, `host IOMMU`, `guest IOMMU`, `measured`.
    pub facts: BTreeMap<String, String>,
}

/// A workload of which no more is known than its tools' output says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportedWorkload {
    /// The formats that its numbers were read from, such as `iperf3` or `pcm-iio`.
    pub formats: Vec<String>,
    /// Headings and commands that stood with the numbers, one a line.
    pub said: Vec<String>,
}
