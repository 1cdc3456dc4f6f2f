//! Every metric that the project knows, with its unit and which way is better. A sample's metric is one of these, or one
//! that the plan defines for a command's output.

use serde::{Deserialize, Serialize};

use crate::{Around, Collector};

/// Unit of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bits in a second.
    BitsPerSecond,
    /// Microseconds.
    Microseconds,
    /// Messages in a second.
    MessagesPerSecond,
    /// Hundredths of the whole.
    Percent,
    /// A plain number of things.
    Count,
    /// Things for each 4 KiB page of payload.
    PerPage,
    /// Things for each KiB of payload.
    PerKib,
    /// Things for each MiB of payload.
    PerMib,
    /// Things in a second.
    PerSecond,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Nanoseconds.
    Nanoseconds,
    /// Watts.
    Watts,
    /// Bytes.
    Bytes,
    /// Bytes in a second.
    BytesPerSecond,
    /// Operations in a second, whatever the program counts as one.
    OperationsPerSecond,
    /// One thing over another, without a unit.
    Ratio,
    /// Clocks of a processor's I/O unit (IIO), whose frequency its performance counters do not tell.
    IioClocks,
}

impl Unit {
    /// As it is printed after a number.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::BitsPerSecond => "bit/s",
            Self::Microseconds => "us",
            Self::MessagesPerSecond => "msg/s",
            Self::Percent => "%",
            Self::Count => "",
            Self::PerPage => "/page",
            Self::PerKib => "/KiB",
            Self::PerMib => "/MiB",
            Self::PerSecond => "/s",
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Nanoseconds => "ns",
            Self::Watts => "W",
            Self::Bytes => "B",
            Self::BytesPerSecond => "B/s",
            Self::OperationsPerSecond => "op/s",
            Self::Ratio => "",
            Self::IioClocks => "IIO clocks",
        }
    }
}

/// Which way a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
    /// Neither: it explains, and cannot be gated.
    Neither,
}

/// What has to be in a plan for a metric to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum YieldedBy {
    /// A workload that moves bulk payload: iperf3 or a stream.
    Bulk,
    /// An iperf3 workload.
    Iperf3,
    /// A stream with or without copies.
    Stream,
    /// A sockperf workload.
    Sockperf,
    /// A command of the scenario.
    Command,
    /// A collector, around workloads of a kind.
    Collector(Collector, Around),
    /// Every boot; no workload.
    Boot,
    /// Nothing of ours: it is read from what others measured.
    Import,
}

impl YieldedBy {
    /// Whether its samples come from boots in which something is traced, and from no other.
    #[must_use]
    pub fn is_traced(self) -> bool {
        matches!(self, Self::Collector(collector, _) if collector.is_tracing())
    }
}

/// A metric's definition: one of [`ALL`], or one that a plan gives for a command's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition<'a> {
    /// In scenarios, samples and reports.
    pub name: &'a str,
    /// Unit of its values.
    pub unit: Unit,
    /// Which way is better.
    pub better: Better,
    /// What has to be in a plan for the metric to be measured.
    pub yielded_by: YieldedBy,
    /// The dimensions that tell its samples within one workload apart.
    pub dims: &'static [&'static str],
    /// One line: what it is and how it is computed.
    pub help: &'a str,
}

/// The definition of a metric that the project itself knows.
pub type MetricDef = Definition<'static>;

/// The values of [`LATENCY`]'s dimension `percentile`.
pub const PERCENTILES: &[&str] = &["min", "25", "50", "75", "90", "99", "99.9", "99.99", "99.999", "max"];

/// The values of the dimension `side`. `guest` stands for both sides where one kernel or namespace has the counter; `host` is
/// that of a nested machine, which the server is a guest of.
pub const SIDES: &[&str] = &["server", "client", "guest", "host"];

/// The values of the dimension `direction`: who sends.
pub const DIRECTIONS: &[&str] = &["client-to-server", "server-to-client"];

/// The values of the dimension `event`: what executed instructions tell of, in the order of reports.
pub const EVENTS: &[&str] = &[
    "memory-accesses",
    "atomics",
    "indirect-calls",
    "spin-locks",
    "sleeping-locks",
    "slab-allocations",
    "page-allocations",
    "page-pool-allocations",
    "page-pool-slow-allocations",
    "iommu-maps",
    "iommu-unmaps",
    "iommu-invalidations",
];

/// A workload's tool, every boot, or a collector: around anything, or as in `Net around Tcp`.
macro_rules! yielded_by {
    (Bulk) => {
        YieldedBy::Bulk
    };
    (Stream) => {
        YieldedBy::Stream
    };
    (Iperf3) => {
        YieldedBy::Iperf3
    };
    (Sockperf) => {
        YieldedBy::Sockperf
    };
    (Command) => {
        YieldedBy::Command
    };
    (Boot) => {
        YieldedBy::Boot
    };
    (Import) => {
        YieldedBy::Import
    };
    ($collector:ident) => {
        YieldedBy::Collector(Collector::$collector, Around::Anything)
    };
    ($collector:ident $around:ident) => {
        YieldedBy::Collector(Collector::$collector, Around::$around)
    };
}

macro_rules! metrics {
    ($($(#[doc = $help:literal])+
       $ident:ident = $name:literal, $unit:ident, $better:ident, $by:ident $(around $around:ident)? $(, $dim:literal)*;)+) => {
        $($(#[doc = $help])+
        pub const $ident: MetricDef = MetricDef {
            name: $name,
            unit: Unit::$unit,
            better: Better::$better,
            yielded_by: yielded_by!($by $($around)?),
            dims: &[$($dim),*],
            help: concat!($($help),+),
        };)+

        /// Every metric, in the order of reports.
        pub const ALL: &[MetricDef] = &[$($ident),+];
    };
}

metrics! {
    /// Payload received by the receiving side, over all flows.
    THROUGHPUT = "throughput", BitsPerSecond, Higher, Bulk, "direction";
    /// Payload received of one flow, when there are several.
    FLOW_THROUGHPUT = "flow-throughput", BitsPerSecond, Higher, Iperf3, "direction", "flow";
    /// Segments that the sender sent again, over all flows (iperf3).
    RETRANSMITS = "retransmits", Count, Lower, Iperf3, "direction";
    /// Payload of a stream that went without a copy between the application and the NIC's buffers, of all, as the interface itself
    /// told each side: by fragments in bound memory, pages mapped, completions that do not say `copied`.
    ZERO_COPY_SHARE = "zero-copy-share", Percent, Higher, Stream, "side";
    /// Payload of a stream that was copied: the rest.
    COPIED_BYTES = "copied-bytes", Bytes, Lower, Stream, "side";
    /// Fragments or completions of payload that one receive of a stream brought, the mean over all receives.
    FRAGMENTS_PER_RECEIVE = "fragments-per-receive", Count, Neither, Stream;
    /// Receives of a stream that brought so many fragments, of all receives; `range` is between two powers of two.
    RECEIVES_BY_FRAGMENTS = "receives-by-fragments", Percent, Neither, Stream, "range";
    /// Buffers that were given back at a time, by one `SO_DEVMEM_DONTNEED` or one publication of the refill ring; the mean.
    TOKENS_PER_RETURN = "tokens-per-return", Count, Neither, Stream;
    /// Completions that an io_uring had no room for.
    CQE_OVERFLOWS = "cqe-overflows", Count, Lower, Stream, "side";
    /// Part of the window in which a side of a stream waited in the kernel for payload, room or completions.
    BLOCKED_TIME = "blocked-time", Percent, Neither, Stream, "side";
    /// Time of a side's process in its own code, of the window (`getrusage`); 100 % is one CPU.
    APPLICATION_TIME = "application-time", Percent, Lower, Stream, "side";
    /// Time of a side's process in the kernel, of the window (`getrusage`); softirqs are not in it.
    SYSTEM_TIME = "system-time", Percent, Lower, Stream, "side";
    /// Time of a side's cores in hard and soft interrupts, of the window; 100 % is one CPU. Only where each side has a kernel of its own.
    SOFTIRQ_TIME = "softirq-time", Percent, Lower, Stream, "side";
    /// System calls that a side of a stream made for each MiB of payload, by name.
    SYSCALLS_PER_MIB = "syscalls-per-mib", PerMib, Neither, Stream, "side", "syscall";
    /// Return on investment: throughput in Gbit/s to the power n, over the busy time of all cores in percent (100 is one core);
    /// n is the workload's `roi-throughput`.
    ROI_CPU = "roi-cpu", Ratio, Higher, Stream;
    /// sockperf's latency, half the round trip; dimension `percentile` (25 to 99.999, `min`, `max`).
    LATENCY = "latency", Microseconds, Lower, Sockperf, "percentile";
    /// sockperf's mean latency.
    LATENCY_MEAN = "latency-mean", Microseconds, Lower, Sockperf;
    /// Standard deviation of sockperf's latencies within one run.
    LATENCY_DEVIATION = "latency-deviation", Microseconds, Lower, Sockperf;
    /// Messages that sockperf sent in a second.
    MESSAGE_RATE = "message-rate", MessagesPerSecond, Higher, Sockperf;
    /// Messages that should have been answered and were not, of those that should (sockperf).
    MESSAGE_LOSS = "message-loss", Percent, Lower, Sockperf;
    /// From the start of a command until its end, by the guest's clock; the median over its repetitions.
    COMMAND_TIME = "command-time", Seconds, Lower, Command;
    /// Exit status of a command, where more than one is accepted; the largest of its repetitions.
    EXIT_STATUS = "exit-status", Count, Neither, Command;
    /// user + nice time of a core, dimension `core` (`all` is the mean over cores).
    CPU_APP = "cpu-app", Percent, Lower, Cpu, "side", "core";
    /// System time of a core without interrupts.
    CPU_SYSTEM = "cpu-system", Percent, Lower, Cpu, "side", "core";
    /// Hard and soft interrupt time of a core.
    CPU_SOFTIRQ = "cpu-softirq", Percent, Lower, Cpu, "side", "core";
    /// Time in which a core waited for I/O; counts as idle.
    CPU_IOWAIT = "cpu-iowait", Percent, Neither, Cpu, "side", "core";
    /// Time that the hypervisor kept from a core.
    CPU_STEAL = "cpu-steal", Percent, Neither, Cpu, "side", "core";
    /// Time that a core spent in guests of its own; a part of `cpu-app`.
    CPU_GUEST = "cpu-guest", Percent, Neither, Cpu, "side", "core";
    /// All but idle, iowait and steal.
    CPU_BUSY = "cpu-busy", Percent, Lower, Cpu, "side", "core";
    /// Segments retransmitted of segments sent, both from `/proc/net/snmp` of the sending side.
    DROP_RATE = "drop-rate", Percent, Lower, Net around Tcp, "side";
    /// Segments that the sending side received for each 4 KiB page of payload that it sent.
    ACKS_PER_PAGE = "acks-per-page", PerPage, Lower, Net around Bulk, "side";
    /// Retransmission timeouts of all sockets, `TCPTimeouts` of `/proc/net/netstat`.
    TCP_TIMEOUTS = "tcp-timeouts", Count, Lower, Net around Tcp, "side";
    /// Segments that sockets could not take: backlog or receive queue full, window closed, `/proc/net/netstat`.
    SOCKET_DROPS = "socket-drops", Count, Lower, Net around Tcp, "side";
    /// Packets dropped because a core's backlog was full, `/proc/net/softnet_stat`.
    SOFTNET_DROPS = "softnet-drops", Count, Lower, Net, "side";
    /// Times that a core's receive poll ended with work left, `/proc/net/softnet_stat`.
    SOFTNET_SQUEEZES = "softnet-squeezes", Count, Neither, Net, "side";
    /// Packets that a NIC dropped on receive or transmit, `/proc/net/dev`.
    NIC_DROPS = "nic-drops", Count, Lower, Net, "side", "interface";
    /// Interrupts of a core in a second, from all sources (`/proc/interrupts`); core `all` is the sum over cores.
    INTERRUPTS = "interrupts", PerSecond, Neither, Interrupts, "side", "core";
    /// Interrupts in a second from one source, over all cores: a device's vector by the name of its handler, or one of the
    /// architecture's own, such as `LOC` (timer) and `RES` (rescheduling). Sources that never fired are left out.
    INTERRUPTS_BY_SOURCE = "interrupts-by-source", PerSecond, Neither, Interrupts, "side", "source";
    /// Interrupts of NICs, over all their vectors, for each 4 KiB page of payload.
    NIC_INTERRUPTS_PER_PAGE = "nic-interrupts-per-page", PerPage, Lower, Interrupts around Bulk, "side";
    /// Soft interrupts of one kind in a second, over all cores (`/proc/softirqs`). Kinds that never occurred are left out.
    SOFTIRQS = "softirqs", PerSecond, Neither, Softirqs, "side", "kind";
    /// Receive soft interrupts (`NET_RX`) for each 4 KiB page of payload.
    NET_RX_PER_PAGE = "net-rx-softirqs-per-page", PerPage, Lower, Softirqs around Bulk, "side";
    /// Context switches in a second, over all cores (`ctxt` of `/proc/stat`).
    CONTEXT_SWITCHES = "context-switches", PerSecond, Neither, Context, "side";
    /// Context switches for each 4 KiB page of payload.
    CONTEXT_SWITCHES_PER_PAGE = "context-switches-per-page", PerPage, Lower, Context around Bulk, "side";
    /// Processes and threads that were made in a second (`processes` of `/proc/stat`).
    FORKS = "forks", PerSecond, Neither, Context, "side";
    /// Packets that a core took from a driver or its backlog in a second, merged ones as one (`/proc/net/softnet_stat`,
    /// first column); core `all` is the sum over cores.
    SOFTNET_PACKETS = "softnet-packets", PerSecond, Neither, Softnet, "side", "core";
    /// Packets that cores took for each 4 KiB page of payload: the fewer, the more were merged.
    SOFTNET_PACKETS_PER_PAGE = "softnet-packets-per-page", PerPage, Lower, Softnet around Bulk, "side";
    /// Times in a second that another core woke a core for packets steered to it (`received_rps`); core `all` is the sum.
    SOFTNET_STEERED = "softnet-steered", PerSecond, Neither, Softnet, "side", "core";
    /// Part of the time that a core spent in an idle state, such as `POLL` or `C6` (`cpuidle/state*/time`); core `all` is
    /// the mean over cores.
    IDLE_RESIDENCY = "idle-residency", Percent, Neither, Cpuidle, "side", "core", "state";
    /// Times in a second that a core entered an idle state (`cpuidle/state*/usage`); core `all` is the sum over cores.
    IDLE_ENTRIES = "idle-entries", PerSecond, Neither, Cpuidle, "side", "core", "state";
    /// Memory for new work without swapping, the lower of the readings before and after (`MemAvailable` of
    /// `/proc/meminfo`).
    MEMORY_AVAILABLE = "memory-available", Bytes, Higher, Memory, "side";
    /// The kernel's own objects after the workload (`Slab` of `/proc/meminfo`).
    MEMORY_SLAB = "memory-slab", Bytes, Lower, Memory, "side";
    /// Pages of files after the workload (`Cached` of `/proc/meminfo`).
    MEMORY_PAGE_CACHE = "memory-page-cache", Bytes, Neither, Memory, "side";
    /// Pages that the page allocator gave away in a second (`pgalloc_*` of `/proc/vmstat`).
    PAGE_ALLOCATIONS = "page-allocations", PerSecond, Neither, Memory, "side";
    /// Pages that the page allocator gave away for each 4 KiB page of payload.
    PAGE_ALLOCATIONS_PER_PAGE = "page-allocations-per-page", PerPage, Lower, Memory around Bulk, "side";
    /// Allocations that had to reclaim memory themselves (`allocstall_*` of `/proc/vmstat`).
    ALLOCATION_STALLS = "allocation-stalls", Count, Lower, Memory, "side";
    /// Buffers that an interface's page pools gave out in a second, by `kind`: `fast` from the cache, `slow` and
    /// `slow-high-order` by a trip to the page allocator; `empty` and `refill` are the ring's, `waive` is a wrong node.
    /// Kinds that never occurred are left out.
    PAGE_POOL_ALLOCATIONS = "page-pool-allocations", PerSecond, Neither, PagePool, "side", "interface", "kind";
    /// Buffers that came back to an interface's page pools in a second, by `kind`: `cached` and `ring` were kept,
    /// `ring-full` and `released-refcnt` were not; `cache-full` goes to the ring.
    PAGE_POOL_RECYCLES = "page-pool-recycles", PerSecond, Neither, PagePool, "side", "interface", "kind";
    /// Buffers that page pools kept, of those that came back: cached + ring over these + ring-full + released-refcnt.
    PAGE_POOL_RECYCLED = "page-pool-recycled", Percent, Higher, PagePool, "side", "interface";
    /// Buffers that were out after the workload.
    PAGE_POOL_INFLIGHT = "page-pool-inflight", Count, Neither, PagePool, "side", "interface";
    /// Trips of an interface's page pools to the page allocator for each 4 KiB page of payload; one trip may bring up to 64
    /// pages.
    PAGE_POOL_SLOW_PER_PAGE = "page-pool-slow-per-page", PerPage, Lower, PagePool around Bulk, "side", "interface";
    /// A driver's own counter in a second (`ethtool -S`). Those that never counted anything or went down are left out.
    NIC_COUNTER = "nic-counter", PerSecond, Neither, Ethtool, "side", "interface", "counter";
    /// Exits of a guest under KVM in a second, and what they were for, by the host's counters (`/sys/kernel/debug/kvm`); kind
    /// `exits` is all of them. Kinds that never occurred are left out.
    KVM_EXITS = "kvm-exits", PerSecond, Neither, KvmExits, "side", "kind";
    /// Exits of a guest under KVM for each 4 KiB page of payload, from before the server's start until after its end.
    KVM_EXITS_PER_PAGE = "kvm-exits-per-page", PerPage, Lower, KvmExits around Bulk, "side";
    /// Exits in a second of all guests that a guest runs itself, by its own KVM's counters.
    NESTED_KVM_EXITS = "nested-kvm-exits", PerSecond, Neither, KvmExits, "side", "kind";
    /// What the host takes, the mean over the window, by `meter`: RAPL's zones (`package-0`, `psys`, ...), `dcmi`, `external`.
    POWER = "power", Watts, Lower, Power, "meter";
    /// Return on investment: throughput in Gbit/s to the power n, over the power in watts to the power m; a stream's `roi-throughput` and
    /// `roi-power`, 2 and 1 for other tools. Of several meters the one that sees most: `external`, `dcmi`, `psys`, or all packages.
    ROI_POWER = "roi-power", Ratio, Higher, Power around Bulk;
    /// IOTLB misses of a processor's IOMMU for each 4 KiB page (pcm-iio `IOTLB Miss`, perf `UNC_IIO_IOMMU0.MISSES`;
    /// `dmar`: lookups less hits).
    IOTLB_MISSES_PER_PAGE = "iotlb-misses-per-page", PerPage, Lower, Uncore around Bulk;
    /// First lookups in the IOTLB for each page (pcm-iio `IOTLB First Lookup`).
    IOTLB_FIRST_LOOKUPS_PER_PAGE = "iotlb-first-lookups-per-page", PerPage, Neither, Uncore around Bulk;
    /// All lookups in the IOTLB for each page (pcm-iio `IOTLB All Lookups`).
    IOTLB_ALL_LOOKUPS_PER_PAGE = "iotlb-all-lookups-per-page", PerPage, Neither, Uncore around Bulk;
    /// IOTLB invalidations for each page (pcm-iio `IOTLB Inv`; on Ice Lake, whose counters tell global ones, those of domains and of pages
    /// apart, their sum).
    IOTLB_INVALIDATIONS_PER_PAGE = "iotlb-invalidations-per-page", PerPage, Lower, Uncore around Bulk;
    /// Reads of memory by the IOMMU for each page (pcm-iio `IOMMU Mem Access`, of which scripts take the low part).
    IOMMU_MEMORY_ACCESSES_PER_PAGE = "iommu-memory-accesses-per-page", PerPage, Lower, Uncore around Bulk;
    /// Page walks in flight, summed over the clocks of a second (pcm-iio `PWT Occupancy`): for each second, although "Run
    /// Metrics" prints it below "Per page stats".
    PAGE_WALK_OCCUPANCY = "page-walk-occupancy", PerSecond, Neither, Uncore around Bulk;
    /// Mean time of a page walk: `page-walk-occupancy` over misses in a second, which are `iotlb-misses-per-page` times
    /// `throughput` in pages (Little's law).
    PAGE_WALK_TIME = "page-walk-time", IioClocks, Lower, Uncore around Bulk;
    /// Reads of memory for each IOTLB miss: `iommu-memory-accesses-per-page` over `iotlb-misses-per-page`.
    MEMORY_READS_PER_MISS = "memory-reads-per-miss", Ratio, Lower, Uncore around Bulk;
    /// Reads of memory by the IOMMU for each page, low and high part of the counter together; where it has no parts (Ice Lake), the counter.
    IOMMU_ALL_MEMORY_ACCESSES_PER_PAGE = "iommu-all-memory-accesses-per-page", PerPage, Lower, Uncore around Bulk;
    /// Part of the window in which the least of these events was counted: perf scales up what it counts by turns.
    HARDWARE_COUNTED = "hardware-counted", Percent, Neither, Uncore;
    /// IOTLB hits of the emulated IOMMU for each 4 KiB page (QEMU `vtd_iotlb_page_hit`).
    IOTLB_HITS = "iotlb-hits-per-page", PerPage, Neither, Iotlb around Bulk, "side";
    /// IOTLB misses that were filled, for each page (QEMU `vtd_iotlb_page_update`).
    IOTLB_FILLS = "iotlb-fills-per-page", PerPage, Lower, Iotlb around Bulk, "side";
    /// Invalidations by page range for each page (QEMU `vtd_inv_desc_iotlb_pages`).
    IOTLB_PAGE_INVALIDATIONS = "iotlb-page-invalidations-per-page", PerPage, Lower, Iotlb around Bulk, "side";
    /// Invalidations of a domain or of everything for each page.
    IOTLB_WIDE_INVALIDATIONS = "iotlb-wide-invalidations-per-page", PerPage, Lower, Iotlb around Bulk, "side";
    /// How often a side's program made a system call, from the program's start to its end; of a command that is repeated, its last
    /// run. A call that did not return is none.
    SYSCALL_CALLS = "syscall-calls", Count, Neither, Syscalls, "side", "syscall";
    /// Calls of these that returned an error.
    SYSCALL_ERRORS = "syscall-errors", Count, Neither, Syscalls, "side", "syscall";
    /// Time within a system call, all calls together, waiting included; several threads' add up.
    SYSCALL_TIME = "syscall-time", Milliseconds, Lower, Syscalls, "side", "syscall";
    /// The shortest call.
    SYSCALL_SHORTEST = "syscall-shortest", Milliseconds, Lower, Syscalls, "side", "syscall";
    /// The mean over the calls.
    SYSCALL_MEAN = "syscall-mean", Milliseconds, Lower, Syscalls, "side", "syscall";
    /// The longest call.
    SYSCALL_LONGEST = "syscall-longest", Milliseconds, Lower, Syscalls, "side", "syscall";
    /// The standard error of the mean, of the mean, as `perf trace -s` has it in its column `stddev`. Absent where there was one
    /// call.
    SYSCALL_DEVIATION = "syscall-deviation", Percent, Neither, Syscalls, "side", "syscall";
    /// Mappings that a kernel made in its IOMMU domains for each page (tracepoint `iommu:map`); side `host` is L1, in which the memory of
    /// guests is mapped as well.
    IOMMU_MAPS = "iommu-maps-per-page", PerPage, Lower, Tracepoints around Bulk, "side";
    /// Mappings that it took away for each page (`iommu:unmap`).
    IOMMU_UNMAPS = "iommu-unmaps-per-page", PerPage, Lower, Tracepoints around Bulk, "side";
    /// What it mapped, in 4 KiB pages, for each page: the sum of the sizes of `iommu:map`.
    IOMMU_MAPPED = "iommu-mapped-pages-per-page", PerPage, Lower, Tracepoints around Bulk, "side";
    /// Invalidations that a kernel put into the queue of its IOMMU for each page, by `kind` (`intel_iommu:qi_submit`, one for each
    /// descriptor): `iotlb-pages`, `iotlb-domain`, `iotlb-global`, with first-level tables `iotlb-pasid-pages` and `iotlb-pasid`, and the
    /// caches of contexts, PASIDs, devices and interrupts. Kinds that never occurred are left out.
    QUEUED_INVALIDATIONS = "queued-invalidations-per-page", PerPage, Lower, Tracepoints around Bulk, "side", "kind";
    /// Submissions to that queue that were waited for, for each page: QEMU's wait descriptors, which the kernel has no tracepoint for.
    QUEUED_WAITS = "queued-waits-per-page", PerPage, Lower, Iotlb around Bulk, "side";
    /// How far the IOTLB invalidations that a kernel submitted (`intel_iommu:qi_submit`) are from those that QEMU was asked for
    /// (`vtd_inv_desc_iotlb_*`) in the same window, of the latter. Should be 0.
    INVALIDATIONS_APART = "iotlb-invalidations-apart", Percent, Lower, Tracepoints around Bulk, "side";
    /// Flushes of the caches of a domain for each page, by `kind` (`intel_iommu:cache_tag_flush_*`, one for each cache of the domain):
    /// `range` after an unmap, `range-np` after a map where absent entries may be cached, `all` (not in 7.3).
    CACHE_TAG_FLUSHES = "cache-tag-flushes-per-page", PerPage, Lower, Tracepoints around Bulk, "side", "kind";
    /// Pages that page pools took from the page allocator (`hold`) and gave back (`release`) for each page of payload
    /// (`page_pool:page_pool_state_*`).
    PAGE_POOL_PAGES = "page-pool-pages-per-page", PerPage, Lower, Tracepoints around Bulk, "side", "kind";
    /// Exits of guests that a guest runs itself for each page, by `reason` (`kvm:kvm_exit`), under the names of the processor's manual.
    GUEST_EXITS = "guest-exits-per-page", PerPage, Lower, Tracepoints around Bulk, "side", "reason";
    /// Calls of a function of the kernel that were timed, for each page.
    PROBED_CALLS = "probed-calls-per-page", PerPage, Neither, Probes around Bulk, "side", "function";
    /// The mean time from a function's entry to its return, on one processor; interrupts and what it calls are in it, and two probes. With
    /// `patches/iommu-hooks`, `trace_qi_submit_sync_lock_wrapper` is the wait for the lock of the invalidation queue and
    /// `trace_qi_submit_sync_cs` the section under it.
    PROBED_TIME = "probed-time", Nanoseconds, Lower, Probes, "side", "function";
    /// Calls of a function that took between two powers of two nanoseconds, of all; `range` is such as `1025-2048`.
    PROBED_CALLS_BY_TIME = "probed-calls-by-time", Percent, Neither, Probes, "side", "function", "range";
    /// Submissions to the invalidation queue of an IOMMU by how long they took, of all of their `kind` (`dmar_perf_latency` of debugfs);
    /// `range` is the driver's own, such as `1us-10us`.
    INVALIDATIONS_BY_TIME = "invalidations-by-time", Percent, Neither, Probes, "side", "unit", "kind", "range";
    /// Instructions that the kernel executed while the workload ran, both ends together, idle tasks and string instructions
    /// apart. Exact: the same on any host. Says nothing about caches, other processors, or time.
    KERNEL_INSTRUCTIONS = "kernel-instructions", Count, Lower, Instructions;
    /// The same for each KiB of payload. The start and the end of the workload's programs are in it, so it falls with more
    /// payload.
    KERNEL_INSTRUCTIONS_PER_KIB = "kernel-instructions-per-kib", PerKib, Lower, Instructions around Bulk;
    /// Of these, those that stand for a NIC's hardware, the copy that stands for its DMA among them: what the thread of a zcsim device
    /// executes (drivers/net/zcsim/zcsim_hw.c, and the copy that it calls). No hardware costs a processor any of it.
    DEVICE_INSTRUCTIONS_PER_KIB = "device-instructions-per-kib", PerKib, Neither, Instructions around Bulk;
    /// The kernel's for each KiB of payload without those that stand for hardware: what is left to drivers and the stack. Both
    /// sides of a stream are in it, so that of two ways of receiving the difference is the receiver's.
    STACK_INSTRUCTIONS_PER_KIB = "stack-instructions-per-kib", PerKib, Lower, Instructions around Bulk;
    /// The same by context: `task`, `softirq`, `hardirq`, `nmi`, and `idle`, which is no part of the sum.
    KERNEL_INSTRUCTIONS_BY_CONTEXT = "kernel-instructions-by-context", Count, Neither, Instructions, "context";
    /// Instructions of programs while the workload ran, the agent's among them, string instructions apart.
    USER_INSTRUCTIONS = "user-instructions", Count, Neither, Instructions;
    /// Bytes that the kernel's string instructions (`rep movsb` and the like) copied, set or compared, idle tasks apart: TCG
    /// counts such an instruction once for each byte, and no processor does.
    STRING_BYTES = "string-bytes", Count, Lower, Instructions;
    /// How often the kernel executed a repeated string instruction for each KiB of payload, once each, whatever it handled.
    STRING_EXECUTIONS_PER_KIB = "string-executions-per-kib", PerKib, Neither, Instructions around Bulk;
    /// Bytes that the kernel's string instructions handled for each byte of payload.
    STRING_BYTES_PER_BYTE = "string-bytes-per-byte", Ratio, Lower, Instructions around Bulk;
    /// What the kernel did while the workload ran, idle tasks apart, by `event`. `memory-accesses`, `atomics` (locked
    /// instructions; a kernel with one processor takes the lock off most) and `indirect-calls` (retpolines' too) are kinds of
    /// instructions; the others are entries of functions: `spin-locks` and
    /// `sleeping-locks` (attempts to take spin and rwlocks, mutexes and semaphores for reading and writing),
    /// `slab-allocations`, `page-allocations`, `page-pool-allocations`, those of them that took the slow path
    /// (`page-pool-slow-allocations`), `iommu-maps`, `iommu-unmaps`, and `iommu-invalidations` (batches that were awaited). What
    /// the compiler put into its callers is not seen; an event without a function in the kernel is unavailable.
    KERNEL_EVENTS = "kernel-events", Count, Lower, Instructions, "event";
    /// The same for each 4 KiB page of payload.
    KERNEL_EVENTS_PER_PAGE = "kernel-events-per-page", PerPage, Lower, Instructions around Bulk, "event";
    /// From power-on until the agent answered.
    BOOT_TIME = "boot-time", Seconds, Lower, Boot;
}

// After the macro that it uses.
pub mod imported;

/// The metric called `name`: one of ours, or one that is only ever imported.
#[must_use]
pub fn find(name: &str) -> Option<&'static MetricDef> {
    ALL.iter().chain(imported::ALL).find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_kebab_case() {
        let mut names: Vec<_> = ALL.iter().chain(imported::ALL).map(|metric| metric.name).collect();
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len() + imported::ALL.len());
    }
}
