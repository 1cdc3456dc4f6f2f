//! What a server's processors count of their IOMMUs while a workload runs: IOTLB lookups, page walks, reads of memory, invalidations.
//!
//! *Data in.* The performance counters of the I/O units (`uncore_iio`) and of the IOMMUs themselves (`dmar`), through `perf stat`,
//! system-wide. *Data out.* [`measure::HardwareWindow`]: counts by what they are of, or why there are none: in a guest, and with QEMU's
//! emulated IOMMU, there are neither.
//!
//! They count the whole host. Invariant: what is counted under which number, on which model, stands in `events` and nowhere else.

#![deny(missing_docs)]

pub mod csv;
mod events;
mod perf;

use std::path::Path;

pub use events::{Cpu, DMAR, Event, Figure};
pub use perf::Counting;

/// What there is to count with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    cpu: Option<Cpu>,
    /// Names of performance-monitoring units.
    pmus: Vec<String>,
}

impl Counters {
    /// Those of this host.
    #[must_use]
    pub fn of_this_host() -> Self {
        Self::below(Path::new("/"))
    }

    /// Those of a host whose `/proc` and `/sys` are in this folder.
    fn below(root: &Path) -> Self {
        let cpuinfo = std::fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default();
        let devices = std::fs::read_dir(root.join("sys/bus/event_source/devices"));
        let mut pmus: Vec<String> = devices
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        pmus.sort_unstable();
        Self { cpu: Cpu::of(&cpuinfo), pmus }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_units_are_those_that_its_kernel_shows() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Counters::below(root.path()), Counters { cpu: None, pmus: vec![] });
        let devices = root.path().join("sys/bus/event_source/devices");
        for pmu in ["uncore_iio_1", "dmar0"] {
            std::fs::create_dir_all(devices.join(pmu)).unwrap();
        }
        assert_eq!(Counters::below(root.path()).pmus, ["dmar0", "uncore_iio_1"]);
    }
}
