//! What can be collected around a workload.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A collector around every workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Collector {
    /// Time of each core by kind, from `/proc/stat`.
    Cpu,
    /// Segments, retransmits, ACKs per 4 KiB page, drops, from `/proc/net/{snmp,netstat,dev,softnet_stat}`.
    Net,
    /// Interrupts by core and by source, from `/proc/interrupts`.
    Interrupts,
    /// Soft interrupts by kind, from `/proc/softirqs`.
    Softirqs,
    /// Context switches and new processes, from `/proc/stat`.
    Context,
    /// Packets that each core's backlog processed and steered, from `/proc/net/softnet_stat`.
    Softnet,
    /// Time in each idle state by core, from `/sys/devices/system/cpu/cpu*/cpuidle`.
    Cpuidle,
    /// Memory that is left, slab, page cache, allocations, from `/proc/{meminfo,vmstat}`.
    Memory,
    /// Buffers of NICs' receive queues, allocated and recycled, from the netlink family `netdev`.
    PagePool,
    /// Each driver's own counters, as `ethtool -S` shows them.
    Ethtool,
    /// Why virtual CPUs left their guests, from KVM's debugfs on the host, and in guests that run guests.
    KvmExits,
    /// What the host takes, from its own meters and one at the plug.
    Power,
    /// What the host's processors count of their own IOMMUs, through perf.
    Uncore,
    /// IOTLB hits, fills and invalidations per 4 KiB page, from QEMU's trace; runs in traced boots only.
    Iotlb,
    /// Calls, errors and times of each system call, from the guest's tracepoints; runs in traced boots only.
    Syscalls,
    /// What the kernel's tracepoints count of mappings, invalidations, pools and exits; runs in traced boots only.
    Tracepoints,
    /// How long functions of the kernel take, from dynamic probes at their entries and returns; runs in traced boots only.
    Probes,
    /// Mappings, invalidations, exits and payload of every level over time, on one axis; runs in traced boots only.
    Timeline,
    /// Executed instructions, counted in a closed world: exact evidence, in which nothing else is collected.
    Instructions,
}

impl Collector {
    /// Every collector, in the order of reports.
    pub const ALL: [Self; 19] = [
        Self::Cpu,
        Self::Net,
        Self::Interrupts,
        Self::Softirqs,
        Self::Context,
        Self::Softnet,
        Self::Cpuidle,
        Self::Memory,
        Self::PagePool,
        Self::Ethtool,
        Self::KvmExits,
        Self::Power,
        Self::Uncore,
        Self::Iotlb,
        Self::Syscalls,
        Self::Tracepoints,
        Self::Probes,
        Self::Timeline,
        Self::Instructions,
    ];

    /// Whether the collector disturbs timing and so runs in boots of its own. The others read before and after a workload,
    /// and do nothing while it runs.
    #[must_use]
    pub fn is_tracing(self) -> bool {
        matches!(self, Self::Iotlb | Self::Syscalls | Self::Tracepoints | Self::Probes | Self::Timeline)
    }

    /// Whether a tracing collector tells of times: it then has windows of its own, since whatever else traces would be in them.
    /// Those that only count share one.
    #[must_use]
    pub fn is_timing(self) -> bool {
        matches!(self, Self::Syscalls | Self::Probes | Self::Timeline)
    }

    /// Its name in scenarios.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Net => "net",
            Self::Interrupts => "interrupts",
            Self::Softirqs => "softirqs",
            Self::Context => "context",
            Self::Softnet => "softnet",
            Self::Cpuidle => "cpuidle",
            Self::Memory => "memory",
            Self::PagePool => "page-pool",
            Self::Ethtool => "ethtool",
            Self::KvmExits => "kvm-exits",
            Self::Power => "power",
            Self::Uncore => "uncore",
            Self::Iotlb => "iotlb",
            Self::Syscalls => "syscalls",
            Self::Tracepoints => "tracepoints",
            Self::Probes => "probes",
            Self::Timeline => "timeline",
            Self::Instructions => "instructions",
        }
    }

    /// What it reads, and where there is nothing to read; for the reference of scenarios.
    #[must_use]
    pub fn help(self) -> &'static str {
        match self {
            Self::Cpu => "Time of each core by kind: `/proc/stat`.",
            Self::Net => {
                "Segments, retransmissions, acknowledgements, drops: `/proc/net/snmp`, `netstat`, `dev`, `softnet_stat`."
            }
            Self::Interrupts => {
                "Interrupts by core and by source; those of NICs for each page: `/proc/interrupts`, `/proc/net/dev`."
            }
            Self::Softirqs => "Soft interrupts by kind: `/proc/softirqs`.",
            Self::Context => "Context switches and new processes of the whole guest: `/proc/stat`.",
            Self::Softnet => {
                "Packets that cores took from their backlogs or drivers, and steered to others: `/proc/net/softnet_stat`."
            }
            Self::Cpuidle => {
                "Time in each idle state, and how often it was entered: `/sys/devices/system/cpu/cpu*/cpuidle`. Guests under \
                 TCG have no driver for it; under KVM, `haltpoll` is one."
            }
            Self::Memory => {
                "Memory that is left, slab, page cache; pages allocated and stalls where the kernel counts them \
                 (`CONFIG_VM_EVENT_COUNTERS`, not in lab kernels): `/proc/meminfo`, `/proc/vmstat`."
            }
            Self::PagePool => {
                "Buffers of receive queues, allocated and recycled, by interface: netlink family `netdev`, since 6.8. Of the \
                 emulated NICs, none uses page pools on 6.12; mlx5, idpf, bnxt, gve and veth with XDP do."
            }
            Self::Ethtool => {
                "Each driver's own counters, as `ethtool -S` shows them; those that have counted something."
            }
            Self::KvmExits => {
                "Why virtual CPUs left their guests: `/sys/kernel/debug/kvm` of the host, which root may read, for guests under \
                 KVM; and of guests that run guests of their own."
            }
            Self::Power => {
                "What the whole host takes: energy counters (RAPL: `/sys/class/powercap`), the platform's meter (`ipmitool dcmi power \
                 reading`), and the log of a meter at the plug (`assay run --power-log`). In guests of a cloud there is none."
            }
            Self::Uncore => {
                "What a server's processors count of their own IOMMUs, for the whole host: IOTLB lookups and misses, page walks, reads of \
                 memory, invalidations. perf's `uncore_iio` (Ice Lake, Sapphire, Emerald and Granite Rapids) and `dmar`; as root. Guests \
                 and emulated IOMMUs have no such counters."
            }
            Self::Iotlb => {
                "What an emulated IOMMU's translation cache did: QEMU's trace events. It slows guests down, so it gets boots \
                 of its own."
            }
            Self::Syscalls => {
                "What each system call of a workload's programs cost, as `perf trace -s` tells it: the guest's tracepoints \
                 `raw_syscalls`, from a program's start to its end. They slow each call down, so it gets boots of its own."
            }
            Self::Tracepoints => {
                "What each guest's kernel counts at its tracepoints, level by level: mappings (`iommu`), queued invalidations and \
                 flushes of cache tags (`intel_iommu`), pages of page pools, exits of guests that it runs (`kvm`). With `iotlb` \
                 beside it, what the kernel submitted is held against what QEMU was asked for in the same window. In traced boots."
            }
            Self::Probes => {
                "How long functions of the kernel take in each guest, from dynamic probes (fprobe, else kprobe) at their entries \
                 and returns, and the driver's own histogram of invalidations (`dmar_perf_latency`): waits for the lock of the \
                 invalidation queue and sections under it with `patches/iommu-hooks`, submissions, maps and flushes on any kernel. \
                 In windows of its own in traced boots."
            }
            Self::Timeline => {
                "What every level does over time, on one axis: maps, unmaps, queued invalidations, exits of guests and received payload of each \
                 guest's kernel, from histograms of its tracepoints by time, and what QEMU's IOMMU is asked for. Clocks are read before \
                 and after each workload, and by how much they may be off is told. In windows of its own in traced boots."
            }
            Self::Instructions => {
                "Instructions that the guest executed, by kernel function and context, to the last one: QEMU's TCG with an \
                 instruction counter for a clock, and a plugin. It comes with `evidence: exact`, and nothing else does."
            }
        }
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Around which workloads a collector yields a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Around {
    /// All.
    Anything,
    /// Those over TCP.
    Tcp,
    /// Those that move bulk payload (iperf3, streams).
    Bulk,
}
