//! The block that scripts of IOMMU studies print of a run: what its keys mean. Read by `import`, written by `report`.
//!
//! ```text
//! ------- NAME Run Metrics -------
//! Throughput: 43.481                     Gbit/s, the sum over flows
//! CPU Util: 72.67                        mean over the masked cores of 100 - %idle
//! Drop rate: 1.25985e-05                 retransmitted of sent segments, in percent despite its name
//! Acks per page: 0.018491149476782962
//! Per page stats:
//!     IOTLB Miss: 0.9459983733393436
//!     PWT Occupancy: 205601686.882       in a second, although it stands here
//! ```
//!
//! Source: `report-tput-metrics.py` and `vm-collect-tput-stats.py` of xlab-uiuc/Fast-and-Safe-IO-Memory-Protection.

use crate::{
    MetricDef,
    metric::{self, imported},
};

/// A key of the block.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As it is printed.
    pub name: &'static str,
    /// What it is.
    pub metric: &'static MetricDef,
    /// The dimensions of its samples.
    pub dims: &'static [(&'static str, &'static str)],
    /// What a printed number is multiplied with to be in the metric's unit.
    pub factor: f64,
    /// Whether it stands below `Per page stats:`.
    pub below: bool,
}

const fn key(name: &'static str, metric: &'static MetricDef, below: bool) -> Key {
    Key { name, metric, dims: &[], factor: 1.0, below }
}

const fn of_client(name: &'static str, metric: &'static MetricDef) -> Key {
    Key { name, metric, dims: &[("side", "client")], factor: 1.0, below: false }
}

/// In the order of the block.
pub static KEYS: [Key; 10] = [
    Key {
        name: "Throughput",
        metric: &metric::THROUGHPUT,
        dims: &[("direction", "client-to-server")],
        factor: 1e9,
        below: false,
    },
    key("CPU Util", &imported::CPU_NOT_IDLE, false),
    of_client("Drop rate", &metric::DROP_RATE),
    of_client("Acks per page", &metric::ACKS_PER_PAGE),
    key("IOTLB Miss", &metric::IOTLB_MISSES_PER_PAGE, true),
    key("IOTLB First Lookup", &metric::IOTLB_FIRST_LOOKUPS_PER_PAGE, true),
    key("IOTLB All Lookups", &metric::IOTLB_ALL_LOOKUPS_PER_PAGE, true),
    key("IOTLB Inv", &metric::IOTLB_INVALIDATIONS_PER_PAGE, true),
    key("IOMMU Mem Access", &metric::IOMMU_MEMORY_ACCESSES_PER_PAGE, true),
    key("PWT Occupancy", &metric::PAGE_WALK_OCCUPANCY, true),
];
