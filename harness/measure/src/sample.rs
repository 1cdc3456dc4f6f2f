//! One number, and all that is needed to know what it means.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::metric::Definition;

/// Dimensions of a sample: `workload`, `core`, `percentile`, `iommu_server`, ... never part of a metric's name.
pub type Dims = BTreeMap<String, String>;

/// One number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// A name from [`crate::metric`] or from the plan; unit and direction follow from it.
    pub metric: String,
    /// The value in the metric's unit; always finite.
    pub value: f64,
    /// What tells this sample from others of its metric.
    pub dims: Dims,
    /// Where the number comes from. Comparisons across provenances are refused.
    pub provenance: Provenance,
}

impl Sample {
    /// A sample of `metric`, or nothing if `value` is not finite: what could not be measured is absent, never zero.
    #[must_use]
    pub fn new(metric: &Definition<'_>, value: f64, dims: Dims, provenance: Provenance) -> Option<Self> {
        value.is_finite().then(|| Self { metric: metric.name.to_owned(), value, dims, provenance })
    }
}

/// Where a number comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provenance {
    /// iperf3's own report.
    Iperf3,
    /// sockperf's own report.
    Sockperf,
    /// `assay-bench`'s own report.
    Bench,
    /// What a command of the scenario wrote, read as the scenario says.
    Command,
    /// A file in the guest's `/proc`.
    Procfs,
    /// A file in the guest's `/sys`.
    Sysfs,
    /// KVM's counters in debugfs, of the host or of the guest.
    Debugfs,
    /// A dump of a netlink family of the guest's kernel.
    Netlink,
    /// A NIC driver's own counters.
    Ethtool,
    /// The guest kernel's tracepoints, through tracefs.
    Tracefs,
    /// QEMU's trace events: an emulated device, not a hardware counter.
    QemuTrace,
    /// Instructions as QEMU's TCG executed them, counted by the plugin `insncount`: no processor's counter.
    TcgInsn,
    /// Energy counters of the host's processors (powercap).
    Rapl,
    /// Counters of the I/O units of the host's processors (perf `uncore_iio`).
    UncoreIio,
    /// Counters of the host's IOMMUs themselves (perf `dmar`).
    Dmar,
    /// The host's own power meter (IPMI DCMI).
    Dcmi,
    /// A meter at the plug, by its log.
    Meter,
    /// The agent's or the harness's clock.
    Clock,
    /// Measured elsewhere, and read from what a tool or a script wrote there; the dimension `tool` names it.
    Imported,
    /// Canned output of the fake machine: says nothing about any kernel.
    Fake,
}

impl std::fmt::Display for Provenance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Iperf3 => "iperf3",
            Self::Sockperf => "sockperf",
            Self::Bench => "assay-bench",
            Self::Command => "command",
            Self::Procfs => "procfs",
            Self::Sysfs => "sysfs",
            Self::Debugfs => "debugfs",
            Self::Netlink => "netlink",
            Self::Ethtool => "ethtool",
            Self::Tracefs => "tracefs",
            Self::QemuTrace => "qemu-trace",
            Self::TcgInsn => "tcg-insn",
            Self::Rapl => "rapl",
            Self::UncoreIio => "uncore-iio",
            Self::Dmar => "dmar",
            Self::Dcmi => "dcmi",
            Self::Meter => "meter",
            Self::Clock => "clock",
            Self::Imported => "imported",
            Self::Fake => "fake",
        })
    }
}

/// A tool's own output, kept beside the samples that were read from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFile {
    /// A plain file name, unique within the trial, such as `tcp.iperf3-client.json`.
    pub name: String,
    /// As the tool wrote it.
    pub bytes: Vec<u8>,
}
