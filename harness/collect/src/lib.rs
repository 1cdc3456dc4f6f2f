//! Collectors around a workload: which files to read immediately before and after it, and what they mean.
//!
//! [`patterns`] goes to the agent with the workload's command; [`reduce`] turns the [`Window`] that comes back into
//! samples. What cannot be told is said, with the reason, and never is a zero.
//!
//! Invariant: pure. Knows neither guests nor tools; a workload is known only by what it moved.

#![deny(missing_docs)]

mod context;
mod cpu;
mod cpuidle;
mod ethtool;
mod exit_reasons;
mod files;
mod hist;
mod instructions;
mod interrupts;
mod iotlb;
mod kvm;
mod latency;
mod memory;
mod net;
mod netlink;
mod page_pool;
mod per;
mod power;
mod probes;
mod softirqs;
mod softnet;
mod syscalls;
mod table;
mod timeline;
mod tracepoints;
mod uncore;

use measure::{Dims, MetricDef, Provenance, Sample, Timeline, Window};
use plan::Collector;

pub use iotlb::EVENTS;
pub use probes::FUNCTIONS;
pub use syscalls::SOURCE as SYSCALLS;
pub use timeline::CLOCK;

/// What these collectors need to have read, as patterns and sources for the agent's snapshots. Paths below `/proc/net` are
/// read within the endpoint's network namespace.
#[must_use]
pub fn patterns(collectors: &[Collector]) -> Vec<String> {
    let mut patterns: Vec<String> = Vec::new();
    for collector in collectors {
        let files: &[&str] = match collector {
            Collector::Cpu => &[cpu::STAT],
            Collector::Net => &[net::SNMP, net::NETSTAT, net::DEV, softnet::STAT],
            Collector::Interrupts => &[interrupts::INTERRUPTS, net::DEV, interrupts::VIRTIO_NICS, per::CLOCK],
            Collector::Softirqs => &[softirqs::SOFTIRQS, per::CLOCK],
            Collector::Context => &[cpu::STAT, per::CLOCK],
            Collector::Softnet => &[softnet::STAT, per::CLOCK],
            Collector::Cpuidle => &cpuidle::FILES,
            Collector::Memory => &[memory::MEMINFO, memory::VMSTAT, per::CLOCK],
            Collector::PagePool => &page_pool::SOURCES,
            Collector::Ethtool => &ethtool::SOURCES,
            Collector::KvmExits => {
                patterns.extend(kvm::sources());
                &[]
            }
            Collector::Syscalls => &[syscalls::SOURCE],
            Collector::Tracepoints => {
                patterns.extend(tracepoints::sources());
                &[]
            }
            Collector::Probes => {
                patterns.extend(probes::sources());
                &[]
            }
            Collector::Timeline => {
                patterns.extend(timeline::sources());
                &[]
            }
            Collector::Power | Collector::Uncore | Collector::Iotlb | Collector::Instructions => &[],
        };
        patterns.extend(files.iter().map(|&file| file.to_owned()));
    }
    patterns.sort_unstable();
    patterns.dedup();
    patterns
}

/// A line that is written to a file of a guest's kernel once, before the first reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preparation {
    /// Absolute, below `/sys`.
    pub path: String,
    /// Written by one call, without a line end.
    pub line: String,
}

/// What has to be written in each guest so that there is something to read, in this order. A kernel may refuse any of it: what it then
/// does not have is told by what is read.
#[must_use]
pub fn preparations(collectors: &[Collector]) -> Vec<Preparation> {
    let mut steps = Vec::new();
    for collector in collectors {
        match collector {
            Collector::Tracepoints => steps.extend(tracepoints::preparations()),
            Collector::Probes => steps.extend(probes::preparations()),
            Collector::Timeline => steps.extend(timeline::preparations()),
            _ => {}
        }
    }
    steps
}

/// What collectors make of a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reduced {
    /// The numbers, without the dimension `workload`.
    pub samples: Vec<Sample>,
    /// What could not be measured, and why.
    pub unavailable: Vec<String>,
    /// What levels did over time, without the dimension `workload`, where that was asked for.
    pub timeline: Option<Timeline>,
    lacks: Vec<Lack>,
}

/// Something that could not be measured.
#[derive(Clone, Debug, PartialEq)]
struct Lack {
    metrics: Vec<&'static str>,
    /// Dimensions and their values.
    places: Vec<String>,
    reason: String,
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
            Collector::Interrupts => interrupts::reduce(window, &mut reduced),
            Collector::Softirqs => softirqs::reduce(window, &mut reduced),
            Collector::Context => context::reduce(window, &mut reduced),
            Collector::Softnet => softnet::reduce(window, &mut reduced),
            Collector::Cpuidle => cpuidle::reduce(window, &mut reduced),
            Collector::Memory => memory::reduce(window, &mut reduced),
            Collector::PagePool => page_pool::reduce(window, &mut reduced),
            Collector::Ethtool => ethtool::reduce(window, &mut reduced),
            Collector::KvmExits => kvm::reduce(window, &mut reduced),
            Collector::Power => power::reduce(window, &mut reduced),
            Collector::Uncore => uncore::reduce(window, &mut reduced),
            Collector::Iotlb => iotlb::reduce(window, &mut reduced),
            Collector::Syscalls => syscalls::reduce(window, &mut reduced),
            Collector::Tracepoints => tracepoints::reduce(window, &mut reduced),
            Collector::Probes => probes::reduce(window, &mut reduced),
            Collector::Timeline => timeline::reduce(window, &mut reduced),
            Collector::Instructions => instructions::reduce(window, &mut reduced),
        }
    }
    reduced.in_words()
}

impl Reduced {
    fn add(&mut self, metric: &MetricDef, value: f64, provenance: Provenance, dims: &[(&str, &str)]) {
        let owned: Dims = dims.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        match Sample::new(metric, value, owned, provenance) {
            Some(sample) => self.samples.push(sample),
            None => self.lack(&[*metric], dims, "it would be a division by zero"),
        }
    }

    /// Adds a sample, or says why there is none.
    fn put(
        &mut self,
        metric: &MetricDef,
        value: Result<f64, String>,
        provenance: Provenance,
        dims: &[(&str, &str)],
    ) {
        match value {
            Ok(value) => self.add(metric, value, provenance, dims),
            Err(why) => self.lack(&[*metric], dims, why),
        }
    }

    /// Says why there are no samples of these metrics with these dimensions.
    fn lack(&mut self, metrics: &[MetricDef], dims: &[(&str, &str)], reason: impl std::fmt::Display) {
        let dims: Vec<String> = dims.iter().map(|(key, value)| format!("{key} {value}")).collect();
        self.lacks.push(Lack {
            metrics: metrics.iter().map(|metric| metric.name).collect(),
            places: if dims.is_empty() { vec![] } else { vec![dims.join(", ")] },
            reason: reason.to_string(),
        });
    }

    /// Puts what is lacking for one reason into one sentence: first the metrics of one place, then the places that lack the
    /// same ones.
    fn in_words(mut self) -> Self {
        let mut sentences: Vec<Lack> = Vec::new();
        let mut by_place: Vec<Lack> = Vec::new();
        for lack in self.lacks.drain(..) {
            match by_place.iter_mut().find(|one| (&one.places, &one.reason) == (&lack.places, &lack.reason)) {
                Some(one) => one.metrics.extend(lack.metrics),
                None => by_place.push(lack),
            }
        }
        for lack in by_place {
            match sentences
                .iter_mut()
                .find(|one| (&one.metrics, &one.reason) == (&lack.metrics, &lack.reason))
            {
                Some(one) => one.places.extend(lack.places),
                None => sentences.push(lack),
            }
        }
        self.unavailable.extend(sentences.into_iter().map(|Lack { metrics, places, reason }| {
            let places = if places.is_empty() { String::new() } else { format!(" ({})", places.join("; ")) };
            format!("{}{places}: {reason}", metrics.join(", "))
        }));
        self
    }
}

#[cfg(test)]
mod tests;
