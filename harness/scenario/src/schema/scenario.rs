//! The keys of a scenario file.

use super::{
    Kind, Section, default, optional, required,
    syntax::{CONGESTION, CORE, FLOW, INTERFACE, KNOWN_COMPLAINTS, OCCURRENCE, PATH, WORKLOAD_NAME},
};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

const BASE: Kind = Kind::Shape("the name of a file in `kernels/`, without `.yaml`");
const SERIES: Kind = Kind::Shape("the name of a folder in `patches/`, a path with a `/`, or a list of these");
const CONFIG: Kind =
    Kind::Shape("a map from options without `CONFIG_` to y, m, n, a number or a \"quoted text\"");
const CMDLINE: Kind =
    Kind::Shape("a list of kernel parameters; `{ any: [LIST, LIST] }` for several, see *Lists*");
const SYSCTLS: Kind = Kind::Shape("a map from dotted names to values");
const MACHINE_MAP: Kind = Kind::Shape("a map, see *Machine*");

/// The file.
pub(crate) static SCENARIO: Section = Section {
    title: "Scenario",
    intro: "The whole file. Its first comment is the question that it asks. `base`, `series`, `config`, `cmdline`, \
            `sysctls` and `machine` are defaults for all arms: where an arm has the key too, maps are merged key by \
            key, and anything else is replaced.",
    keys: &[
        required("schema", Kind::Shape("1"), "Version of this format."),
        optional("base", BASE, "each arm names its own", "The kernel that arms are built from."),
        optional("series", SERIES, "unpatched", "Patches that every arm has."),
        optional("config", CONFIG, "the base's own", "Options beyond the base's configuration."),
        default(
            "flavour",
            Kind::Choice(&["plain", "debug"]),
            "plain",
            "What all arms' kernels are built for. `debug` has KASAN, lockdep and more (`kernels/fragments/debug.config`): what such \
             kernels complain about is the result, gates on metrics are set aside, guests have 1 GiB at least and four times the \
             `boot-deadline`.",
        ),
        optional("cmdline", CMDLINE, "only what the machine needs", "Extra kernel parameters."),
        optional("sysctls", SYSCTLS, "the kernel's own", "Set in the guest before workloads start."),
        optional("machine", MACHINE_MAP, "every default of *Machine*", "Where arms boot."),
        required(
            "arms",
            Kind::Shape("a map of 1 to 16 arms by their names, see *Arm*"),
            "The sides of the comparison. The first is the baseline of all the others.",
        ),
        required(
            "workloads",
            Kind::Shape("a map of 1 to 16 workloads by their names, see *Workload*"),
            "What runs, in this order, in every timed boot.",
        ),
        default(
            "collect",
            Kind::Shape("a list of collectors, see *Collectors*"),
            "[cpu, net]",
            "What is collected around every workload. `iotlb`, `syscalls`, `tracepoints`, `probes` and `timeline` trace, so they get boots of their own.",
        ),
        default(
            "evidence",
            Kind::Choice(&["timed", "exact"]),
            "timed",
            "`exact`: executed instructions instead of times, the same on every machine. Guests run under TCG with an instruction \
             counter for a clock and nothing that reaches them after power-on: one vCPU, `loopback`, or `two-namespaces` with e1000e or zcsim, and \
             workloads of a fixed amount of work. Gates are on metrics of `instructions`.",
        ),
        default(
            "perturb",
            Kind::Choice(&["each-block", "none"]),
            "each-block",
            "With `evidence: exact`: whether each block of boots begins with other random numbers, at another moment and with another \
             state of memory, and NICs that QEMU joins with another wire between them, the same for all arms. Its first block is not \
             perturbed, and with `none` no block is.",
        ),
        default(
            "boots",
            Kind::Shape("a whole number from 1 to 1000, or `{ until: decided, max: N }`, see *Boots*"),
            "7",
            "Timed boots of each arm: the unit of replication. Too few to decide the gates are refused.",
        ),
        default(
            "trim",
            Kind::Integer { min: 0, max: 100 },
            "0",
            "So many of the first and of the last timed boots of each arm are made and do not count: with `boots: 5` and `trim: 1` the rule of \
             those who make five runs and keep the middle three. Blocks and ranks stand boots that are out of the ordinary without it.",
        ),
        optional(
            "traced-boots",
            Kind::Integer { min: 0, max: 1000 },
            "1 if a collector traces, else 0",
            "Boots of each arm in which tracing collectors run; nothing is timed in them.",
        ),
        default("seed", Kind::Integer { min: 0, max: u64::MAX }, "1", "Orders the boots within blocks."),
        default(
            "alpha",
            Kind::Fraction { max: 0.2 },
            "0.05",
            "The level at which gates are judged, over all gates and arms together.",
        ),
        default(
            "boot-deadline",
            Kind::Duration { min: 1, max: 3600 },
            "90s",
            "Longest time until a booting guest answers; after it the boot counts as a hang.",
        ),
        default(
            "gates",
            Kind::Shape("a list of at most 3 gates, see *Gate*"),
            "[]",
            "What must hold. Every other metric is reported as exploratory.",
        ),
        default(
            "known-complaints",
            Kind::Shape(KNOWN_COMPLAINTS.what),
            "[]",
            "Warnings of kernels that are known already, by their titles as reports have them: they are shown, and decide \
             nothing. Any other that only a candidate's kernels have fails the run.",
        ),
    ],
};

/// A number of boots that the data decides.
pub(crate) static BOOTS: Section = Section {
    title: "Boots",
    intro: "`boots: { until: decided, max: N }`: the run looks at its gates after every block of boots, and makes no more once each of them is \
            better, worse or same. Errors are held to `alpha` over all looks together, so that an early look asks for more than a late one, and a run \
            that goes on to its end shows a little less than one of N boots would. Where nothing changes it stops as soon as `same` is shown. How many \
            blocks that saves stands in `tests/SIMULATION.md`. For timed evidence and gates on metrics.",
    keys: &[
        required("until", Kind::Choice(&["decided"]), "What ends it."),
        required("max", Kind::Integer { min: 5, max: 64 }, "The most boots of each arm."),
    ],
};

/// One side of the comparison.
pub(crate) static ARM: Section = Section {
    title: "Arm",
    intro: "`arms.NAME`; `{}` for one that only has the defaults.",
    keys: &[
        optional("base", BASE, "the scenario's", "The kernel that it is built from."),
        optional("series", SERIES, "the scenario's", "Patches on top of the base; `[]` for none."),
        optional("config", CONFIG, "the scenario's", "Merged into the scenario's."),
        optional("cmdline", CMDLINE, "the scenario's", "Replaces the scenario's."),
        optional("sysctls", SYSCTLS, "the scenario's", "Merged into the scenario's."),
        optional("machine", MACHINE_MAP, "the scenario's", "Merged into the scenario's."),
    ],
};

const NIC_MAP: Kind = Kind::Shape("a map, see *NIC*");

/// Lengths of receive rings that a driver might take.
pub(super) const RING: Kind = Kind::Integer { min: 16, max: 65_536 };
/// What is done with it.
pub(super) const RING_HELP: &str = "Descriptors of each receive queue of both NICs (`ethtool -G NIC rx N`), read back. A driver that has no such \
                                    ring, or another one afterwards, makes the arm not testable.";

/// Where an arm boots.
pub(crate) static MACHINE: Section = Section {
    title: "Machine",
    intro: "`machine` and `arms.NAME.machine`. With two guests, both have this shape and boot the same kernel.",
    keys: &[
        default(
            "kind",
            super::nested::KIND,
            "qemu",
            "Guests of QEMU on this machine. `nested`: guests within a guest, with keys of their own, see *Nested machine*.",
        ),
        default(
            "accel",
            Kind::Choice(&["auto", "kvm", "tcg"]),
            "auto",
            "`auto` takes KVM where a guest has really run under it, else TCG, and records which.",
        ),
        default(
            "cpu",
            Kind::Choice(&["max", "host"]),
            "max",
            "The CPU that guests see: all that the accelerator can do, or the host's (with `accel: kvm`).",
        ),
        default("vcpus", Kind::Integer { min: 1, max: 64 }, "1", "Virtual CPUs of each guest."),
        default(
            "memory",
            Kind::Size { min: 128 * MIB, max: 256 * GIB },
            "512M",
            "Memory of each guest, whole MiB.",
        ),
        default(
            "topology",
            Kind::Choice(&["loopback", "two-namespaces", "two-guests"]),
            "two-guests",
            "One guest talking to itself; one guest with two NICs in two namespaces; or two guests on one wire.",
        ),
        optional("server", NIC_MAP, "every default of *NIC*", "The server's NIC; not with `loopback`."),
        optional("client", NIC_MAP, "every default of *NIC*", "The client's NIC; not with `loopback`."),
        optional("ring", RING, "the driver's own number", RING_HELP),
        optional(
            "wire",
            Kind::Shape("a map, see *Wire*"),
            "every default of *Wire*",
            "Between two zcsim NICs.",
        ),
    ],
};

/// The other kind of machine.
pub(crate) static FAKE: Section = Section {
    title: "Fake machine",
    intro: "`machine: { fake: PATH }`, alone: nothing boots, canned output is replayed. For tests of the harness; \
            its numbers say nothing about any kernel.",
    keys: &[required("fake", Kind::Text(PATH), "The script that is replayed.")],
};

/// A NIC and the IOMMU in front of it.
pub(crate) static NIC: Section = Section {
    title: "NIC",
    intro: "`machine.server` and `machine.client`.",
    keys: &[
        default(
            "nic",
            Kind::Choice(&["virtio-net", "igb", "e1000e", "zcsim"]),
            "virtio-net",
            "The emulated model. `zcsim` is none: both sides are the pair of software NICs that `patches/zcsim` adds to the kernel, \
             for zero copy, header split and hardware GRO; in `two-namespaces`, without an IOMMU, with `series: [zcsim]` and \
             `config: { ZCSIM: y }`.",
        ),
        optional(
            "iommu",
            Kind::Shape("none, off, pt, lazy or strict, or a map, see *IOMMU*"),
            "none; in `two-namespaces` that of the other NIC",
            "The emulated Intel IOMMU of the guest. The mode that the guest really has is read back and recorded.",
        ),
        optional("mtu", Kind::Integer { min: 68, max: 9000 }, "that of the other NIC, or 1500", "Bytes."),
    ],
};

/// The wire between two zcsim devices.
pub(crate) static WIRE: Section = Section {
    title: "Wire",
    intro: "`machine.wire`, with `nic: zcsim`: what is between the two, the same in both directions.",
    keys: &[
        optional(
            "rate",
            Kind::Rate { min: 1_000_000, max: 1_000_000_000_000 },
            "no limit",
            "Bits in a second.",
        ),
        optional(
            "delay",
            Kind::Delay { min: 1, max: 10_000_000_000 },
            "none",
            "From the end of a frame's transmission to its arrival.",
        ),
        optional(
            "loss",
            Kind::Percent { max: 50.0 },
            "none",
            "Frames that are lost, at random from a fixed seed.",
        ),
    ],
};

/// The long form of `iommu`.
pub(crate) static IOMMU: Section = Section {
    title: "IOMMU",
    intro: "The long form of `iommu`; `iommu: strict` is `iommu: { mode: strict }`.",
    keys: &[
        required(
            "mode",
            Kind::Choice(&["none", "off", "pt", "lazy", "strict"]),
            "No device; a device that the kernel leaves off; identity domains; deferred or immediate invalidation.",
        ),
        default(
            "caching-mode",
            Kind::Flag,
            "false",
            "QEMU's `caching-mode=on`. It makes 6.12 turn `lazy` into `strict`.",
        ),
    ],
};

pub(super) const TOOL: Kind = Kind::Choice(&["iperf3", "sockperf", "command", "ktap", "stream"]);

/// What all workloads have.
pub(crate) static WORKLOAD: Section = Section {
    title: "Workload",
    intro: "`workloads.NAME`. The other keys depend on the tool.",
    keys: &[required("tool", TOOL, "What runs.")],
};

/// Bulk throughput.
pub(crate) static IPERF3: Section = Section {
    title: "iperf3",
    intro: "`tool: iperf3`: bulk TCP throughput.",
    keys: &[
        required("tool", TOOL, "`iperf3`."),
        default("flows", Kind::Integer { min: 1, max: 128 }, "1", "Parallel streams."),
        default(
            "direction",
            Kind::Choice(&["client-to-server", "server-to-client", "both"]),
            "client-to-server",
            "Who sends.",
        ),
        optional(
            "duration",
            Kind::Duration { min: 1, max: 3600 },
            "10s, or `bytes`",
            "How long is measured.",
        ),
        optional(
            "bytes",
            Kind::Size { min: MIB, max: 1024 * GIB },
            "`duration`",
            "How much is measured, all flows.",
        ),
        default("warmup", Kind::Duration { min: 0, max: 60 }, "1s", "Run first and left out."),
        default("message", Kind::Size { min: 1, max: MIB }, "128K", "Bytes of each write."),
        optional("congestion", Kind::Text(CONGESTION), "the kernel's own", "TCP congestion control."),
    ],
};

/// Latency.
pub(crate) static SOCKPERF: Section = Section {
    title: "sockperf",
    intro: "`tool: sockperf`: latency, half the round trip.",
    keys: &[
        required("tool", TOOL, "`sockperf`."),
        default(
            "mode",
            Kind::Choice(&["ping-pong", "under-load"]),
            "ping-pong",
            "One message in flight, or a fixed rate of them.",
        ),
        optional(
            "rate",
            Kind::Integer { min: 100, max: 10_000_000 },
            "only with, and required by, `under-load`",
            "Messages in a second.",
        ),
        default("transport", Kind::Choice(&["tcp", "udp"]), "tcp", "TCP or UDP."),
        default("message", Kind::Size { min: 14, max: 65507 }, "64", "Bytes of each message."),
        default("duration", Kind::Duration { min: 1, max: 3600 }, "5s", "How long is measured."),
    ],
};

/// What must hold.
pub(crate) static GATE: Section = Section {
    title: "Gate",
    intro: "An item of `gates`: what must hold between the baseline and every other arm. `direction`, `percentile`, \
            `side`, `core`, `flow`, `interface` and `occurrence` choose among the samples of a metric that has several in a boot.",
    keys: &[
        required("workload", Kind::Text(WORKLOAD_NAME), "Around which workload."),
        required(
            "metric",
            Kind::Shape("a metric that the workload yields, see *Metrics*"),
            "What is judged.",
        ),
        required(
            "margin",
            Kind::Percent { max: 50.0 },
            "The relative change that matters. `same` means that the change is smaller, `better` and `worse` that \
             it is larger.",
        ),
        default(
            "expect",
            Kind::Choice(&["not-worse", "same", "better"]),
            "not-worse",
            "Which verdicts let the gate hold; `not-worse` is `same` or `better`.",
        ),
        optional(
            "percentile",
            Kind::Choice(measure::metric::PERCENTILES),
            "required by `latency`",
            "Of latencies.",
        ),
        optional(
            "direction",
            Kind::Choice(measure::metric::DIRECTIONS),
            "required where a workload sends in both",
            "Who sends.",
        ),
        optional(
            "side",
            Kind::Choice(measure::metric::SIDES),
            "required where both sides yield the metric",
            "Whose kernel; `guest` where both sides share one.",
        ),
        optional(
            "core",
            Kind::Text(CORE),
            "required by the metrics of cores",
            "Which core; `all` is their mean.",
        ),
        optional(
            "at",
            Kind::Shape("a map from dimensions to one of their values, see *Lists*"),
            "everywhere",
            "Where in the matrix it is judged.",
        ),
        optional("flow", Kind::Text(FLOW), "required by `flow-throughput`", "Which flow."),
        optional(
            "interface",
            Kind::Text(INTERFACE),
            "required by the metrics of interfaces",
            "Which interface.",
        ),
        optional(
            "event",
            Kind::Choice(measure::metric::EVENTS),
            "required by the metrics of kernel events",
            "Which event.",
        ),
        optional(
            "occurrence",
            Kind::Text(OCCURRENCE),
            "required by metrics with `which: each`",
            "Which of a metric's values, from 0.",
        ),
    ],
};
