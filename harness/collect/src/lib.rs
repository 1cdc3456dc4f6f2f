//! Collectors around a workload: which files to read immediately before and after it, and what they mean.
//!
//! [`patterns`] goes to the agent with the workload's command; [`reduce`] turns the [`Window`] that comes back into
//! samples. What cannot be told is said, with the reason, and never is a zero.
//!
//! Invariant: pure. Knows neither guests nor tools; a workload is known only by what it moved.

#![deny(missing_docs)]

mod cpu;
mod files;
mod iotlb;
mod net;

use measure::{Dims, MetricDef, Provenance, Sample, Window};
use plan::Collector;

pub use iotlb::EVENTS;

/// The files that these collectors need, as patterns for the agent. Paths below `/proc/net` are read within the
/// endpoint's network namespace.
#[must_use]
pub fn patterns(collectors: &[Collector]) -> Vec<String> {
    let mut patterns: Vec<String> = Vec::new();
    for collector in collectors {
        let files: &[&str] = match collector {
            Collector::Cpu => &[cpu::STAT],
            Collector::Net => &[net::SNMP, net::NETSTAT, net::DEV, net::SOFTNET_STAT],
            Collector::Iotlb => &[],
        };
        patterns.extend(files.iter().map(|&file| file.to_owned()));
    }
    patterns.sort_unstable();
    patterns.dedup();
    patterns
}

/// What collectors make of a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reduced {
    /// The numbers, without the dimension `workload`.
    pub samples: Vec<Sample>,
    /// What could not be measured, and why.
    pub unavailable: Vec<String>,
}

/// Reduces what was read around a workload, collector by collector.
///
/// A boot with tracing yields nothing that was timed: the caller passes the collectors of that kind of boot only
/// ([`Collector::is_tracing`]).
#[must_use]
pub fn reduce(collectors: &[Collector], window: &Window) -> Reduced {
    let mut reduced = Reduced::default();
    for collector in collectors {
        match collector {
            Collector::Cpu => cpu::reduce(window, &mut reduced),
            Collector::Net => net::reduce(window, &mut reduced),
            Collector::Iotlb => iotlb::reduce(window, &mut reduced),
        }
    }
    reduced
}

impl Reduced {
    fn add(&mut self, metric: &MetricDef, value: f64, provenance: Provenance, dims: &[(&str, &str)]) {
        let owned: Dims = dims.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        match Sample::new(metric, value, owned, provenance) {
            Some(sample) => self.samples.push(sample),
            None => self.lack(&[*metric], dims, "it would be a division by zero"),
        }
    }

    /// Says why there are no samples of these metrics with these dimensions.
    fn lack(&mut self, metrics: &[MetricDef], dims: &[(&str, &str)], reason: impl std::fmt::Display) {
        let names: Vec<&str> = metrics.iter().map(|metric| metric.name).collect();
        let dims: Vec<String> = dims.iter().map(|(key, value)| format!("{key} {value}")).collect();
        let place = if dims.is_empty() { String::new() } else { format!(" ({})", dims.join(", ")) };
        self.unavailable.push(format!("{}{place}: {reason}", names.join(", ")));
    }
}

#[cfg(test)]
mod tests;
