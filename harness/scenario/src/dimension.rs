//! Which samples of a metric one boot yields: the values of each dimension, by workload and machines.
//!
//! Follows what `workload` and `collect` write. A gate must choose one of several, and cannot choose what is not there.

use measure::{Around, Definition, YieldedBy, metric};
use plan::{
    Arm, Collector, IommuMode, Iperf3Direction, Machine, QemuMachine, Receive, Send, Topology, Workload,
    WorkloadKind,
};

/// The values that the dimension `key` of `metric` has in every arm's samples around `workload`; `None` if they are not
/// known before the boot.
pub(crate) fn values(
    key: &str,
    metric: &Definition<'_>,
    workload: &Workload,
    arms: &[&Arm],
) -> Option<Vec<String>> {
    let numbers = |count: u32| (0..count).map(|number| number.to_string());
    match key {
        "percentile" => Some(owned(metric::PERCENTILES)),
        "direction" => Some(owned(directions(&workload.kind))),
        "side" => Some(sides(metric, &workload.kind, arms)),
        "core" => {
            let cores = arms.iter().filter_map(|arm| vcpus(&arm.machine)).min()?;
            Some(["all".to_owned()].into_iter().chain(numbers(cores)).collect())
        }
        "event" => Some(owned(metric::EVENTS)),
        "flow" => Some(numbers(flows(&workload.kind)).collect()),
        _ => None,
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn vcpus(machine: &Machine) -> Option<u32> {
    match machine {
        Machine::Qemu(qemu) => Some(qemu.vcpus),
        // That the peer has.
        Machine::Nested(_) => Some(1),
        Machine::Fake(_) | Machine::Imported(_) => None,
    }
}

fn flows(kind: &WorkloadKind) -> u32 {
    match kind {
        WorkloadKind::Iperf3(iperf3) => iperf3.flows,
        WorkloadKind::Stream(_)
        | WorkloadKind::Sockperf(_)
        | WorkloadKind::Command(_)
        | WorkloadKind::Ktap(_)
        | WorkloadKind::Imported(_) => 1,
    }
}

fn directions(kind: &WorkloadKind) -> &'static [&'static str] {
    match kind {
        WorkloadKind::Iperf3(iperf3) => match iperf3.direction {
            Iperf3Direction::ClientToServer => &["client-to-server"],
            Iperf3Direction::ServerToClient => &["server-to-client"],
            Iperf3Direction::Both => metric::DIRECTIONS,
        },
        WorkloadKind::Stream(_) => &["client-to-server"],
        WorkloadKind::Sockperf(_)
        | WorkloadKind::Command(_)
        | WorkloadKind::Ktap(_)
        | WorkloadKind::Imported(_) => &[],
    }
}

/// The sides that yield `metric` in every arm.
fn sides(metric: &Definition<'_>, kind: &WorkloadKind, arms: &[&Arm]) -> Vec<String> {
    let in_every_arm =
        |side: &&&str| arms.iter().all(|arm| sides_of(metric, kind, &arm.machine).contains(*side));
    metric::SIDES.iter().filter(in_every_arm).map(|side| (*side).to_owned()).collect()
}

/// What the two sides of a machine have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shared {
    Nothing,
    Kernel,
    Namespace,
}

const BOTH: &[&str] = &["server", "client"];
const GUEST: &[&str] = &["guest"];
const LEVELS: &[&str] = &["server", "client", "host"];

fn sides_of(metric: &Definition<'_>, kind: &WorkloadKind, machine: &Machine) -> Vec<&'static str> {
    let shared = match machine {
        Machine::Nested(_) => Shared::Nothing,
        Machine::Qemu(QemuMachine { topology: Topology::TwoGuests { .. }, .. }) => Shared::Nothing,
        Machine::Qemu(QemuMachine { topology: Topology::TwoNamespaces { .. }, .. }) => Shared::Kernel,
        Machine::Qemu(QemuMachine { topology: Topology::Loopback, .. })
        | Machine::Fake(_)
        | Machine::Imported(_) => Shared::Namespace,
    };
    let by_kernel = match (machine, shared) {
        (Machine::Nested(_), _) => LEVELS,
        (_, Shared::Nothing) => BOTH,
        (_, Shared::Kernel | Shared::Namespace) => GUEST,
    };
    let by_namespace = if shared == Shared::Namespace { GUEST } else { BOTH };
    let senders = match kind {
        // Counters of one namespace do not tell the two ends of a connection apart.
        _ if shared == Shared::Namespace => &[][..],
        WorkloadKind::Iperf3(iperf3) => match iperf3.direction {
            Iperf3Direction::ClientToServer => &["client"],
            Iperf3Direction::ServerToClient => &["server"],
            Iperf3Direction::Both => BOTH,
        },
        WorkloadKind::Stream(_) => &["client"],
        WorkloadKind::Sockperf(_) | WorkloadKind::Command(_) => BOTH,
        WorkloadKind::Ktap(_) | WorkloadKind::Imported(_) => &[],
    };
    if metric.yielded_by == YieldedBy::Stream && metric.dims.contains(&"side") {
        return stream_sides(metric, kind);
    }
    let YieldedBy::Collector(collector, around) = metric.yielded_by else { return Vec::new() };
    let chosen = match (collector, around) {
        (Collector::Iotlb, _) => return translating_sides(machine),
        (
            Collector::Cpu
            | Collector::Interrupts
            | Collector::Softirqs
            | Collector::Context
            | Collector::Softnet
            | Collector::Cpuidle
            | Collector::Memory
            | Collector::KvmExits
            | Collector::Tracepoints
            | Collector::Probes
            | Collector::Timeline
            | Collector::Instructions,
            _,
        ) => by_kernel,
        (Collector::Syscalls, _) => BOTH,
        (Collector::Power | Collector::Uncore, _) => &[][..],
        (Collector::PagePool | Collector::Ethtool, _) => by_namespace,
        (Collector::Net, Around::Anything) if metric.dims.contains(&"interface") => by_namespace,
        (Collector::Net, Around::Anything) => by_kernel,
        (Collector::Net, Around::Tcp) if metric.name == metric::DROP_RATE.name => senders,
        (Collector::Net, Around::Tcp) => by_namespace,
        // Where both send, what a side receives are not only acknowledgements.
        (Collector::Net, Around::Bulk) if senders.len() == 1 => senders,
        (Collector::Net, Around::Bulk) => &[],
    };
    chosen.to_vec()
}

/// The sides of a stream whose application tells of `metric`.
fn stream_sides(metric: &Definition<'_>, kind: &WorkloadKind) -> Vec<&'static str> {
    let WorkloadKind::Stream(stream) = kind else { return Vec::new() };
    let zcrx = matches!(stream.receive, Receive::Zcrx(_) | Receive::ZcrxNodev(_));
    let with_ring = [("server", zcrx), ("client", matches!(stream.send, Send::SendZc { .. }))];
    if metric.name == metric::CQE_OVERFLOWS.name {
        return with_ring.into_iter().filter(|(_, has)| *has).map(|(side, _)| side).collect();
    }
    BOTH.to_vec()
}

/// The guests that have an IOMMU.
fn translating_sides(machine: &Machine) -> Vec<&'static str> {
    match machine {
        Machine::Qemu(QemuMachine { topology: Topology::TwoGuests { server, client }, .. }) => {
            let nics = [("server", server), ("client", client)];
            nics.into_iter()
                .filter(|(_, nic)| nic.iommu.mode != IommuMode::None)
                .map(|(side, _)| side)
                .collect()
        }
        Machine::Qemu(QemuMachine { topology: Topology::TwoNamespaces { server, .. }, .. })
            if server.iommu.mode != IommuMode::None =>
        {
            GUEST.to_vec()
        }
        // What is traced is the QEMU that runs here.
        Machine::Nested(nested) if nested.host.iommu.mode != IommuMode::None => vec!["host"],
        Machine::Nested(_) | Machine::Qemu(_) | Machine::Fake(_) | Machine::Imported(_) => Vec::new(),
    }
}
