//! Plans and keys in words.

use std::collections::BTreeSet;

use measure::{CrashKind, Dims, Unit};
use plan::{
    Accel, Amount, Command, Cores, CpuModel, Expectation, ImportedWorkload, Iommu, IommuMode,
    Iperf3Direction, Ktap, Machine, Nic, NicModel, QemuMachine, Receive, Side, SockperfMode, Stream,
    TestsFrom, Topology, Transport, Wire, WorkloadKind,
};

use crate::{Arm, SeriesKey, levels, number};

/// A series as one reads it: `tcp throughput`, `rr latency p99.9`, `tcp cpu-busy server core 1`.
#[must_use]
pub fn label(key: &SeriesKey) -> String {
    match &key.workload {
        Some(workload) => format!("{workload} {}", metric(key)),
        None => metric(key),
    }
}

/// The same without the workload.
pub(crate) fn metric(key: &SeriesKey) -> String {
    let mut text = key.metric.clone();
    let dims = dims(&key.dims);
    if !dims.is_empty() {
        text.push_str(&format!(" {dims}"));
    }
    if !key.at.is_empty() {
        text.push_str(&format!(" at {}", place(&key.at)));
    }
    text
}

/// A place in the matrix: `flows 4, vcpus 2`.
pub(crate) fn place(at: &Dims) -> String {
    let values: Vec<String> = at.iter().map(|(name, value)| format!("{name} {value}")).collect();
    values.join(", ")
}

fn dims(dims: &Dims) -> String {
    let words = dims.iter().map(|(name, value)| match (name.as_str(), value.as_str()) {
        ("percentile", "min" | "max")
        | (
            "direction" | "side" | "interface" | "source" | "kind" | "state" | "counter" | "event" | "end"
            | "of" | "process" | "syscall" | "command" | "object" | "symbol" | "profile" | "stack" | "part"
            | "column" | "table" | "row",
            _,
        ) => value.clone(),
        ("percentile", _) => format!("p{value}"),
        ("occurrence", _) => format!("#{value}"),
        ("core", "all") => "all cores".to_owned(),
        _ => format!("{name} {value}"),
    });
    // The side comes first, so that `server core 1` reads as it should; otherwise the order of the names.
    let mut words: Vec<(bool, String)> = dims.keys().map(|name| name != "side").zip(words).collect();
    words.sort_by_key(|(not_side, _)| *not_side);
    words.into_iter().map(|(_, word)| word).collect::<Vec<_>>().join(" ")
}

/// Whether a series is one part of something: a core or a flow, of which the whole is there as well, or one of the many
/// sources of interrupts and counters of NICs.
pub(crate) fn is_part(key: &SeriesKey) -> bool {
    key.dims.get("core").is_some_and(|core| core != "all")
        || ["flow", "source", "counter", "syscall"].iter().any(|part| key.dims.contains_key(*part))
}

/// A workload's tool and its parameters.
pub(crate) fn workload(kind: &WorkloadKind) -> String {
    match kind {
        WorkloadKind::Iperf3(iperf3) => {
            let direction = match iperf3.direction {
                Iperf3Direction::ClientToServer => "client to server",
                Iperf3Direction::ServerToClient => "server to client",
                Iperf3Direction::Both => "both ways",
            };
            let amount = match iperf3.amount {
                Amount::Seconds(seconds) => format!("{seconds} s"),
                Amount::Bytes(bytes) => number::bytes(bytes),
            };
            let mut words = vec![
                number::counted(iperf3.flows, "flow"),
                direction.to_owned(),
                format!("{amount} after {} s of warm-up", iperf3.warmup_s),
                format!("{} per write", number::bytes(iperf3.message_bytes.into())),
            ];
            words.extend(iperf3.congestion.clone());
            format!("iperf3 over TCP, {}", words.join(", "))
        }
        WorkloadKind::Sockperf(sockperf) => {
            let mode = match sockperf.mode {
                SockperfMode::PingPong => "ping-pong".to_owned(),
                SockperfMode::UnderLoad { messages_per_second } => {
                    format!("under load, {messages_per_second} messages per second")
                }
            };
            let transport = match sockperf.transport {
                Transport::Tcp => "TCP",
                Transport::Udp => "UDP",
            };
            format!(
                "sockperf {mode} over {transport}, messages of {} bytes, {} s",
                sockperf.message_bytes, sockperf.seconds
            )
        }
        WorkloadKind::Command(params) => command(params),
        WorkloadKind::Stream(params) => stream(params),
        WorkloadKind::Ktap(params) => ktap(params),
        WorkloadKind::Imported(params) => imported(params),
    }
}

fn imported(params: &ImportedWorkload) -> String {
    let mut words = vec![format!("imported from {}", params.formats.join(", "))];
    words.extend(params.said.iter().map(|said| format!("`{said}`")));
    words.join(": ")
}

fn command(params: &Command) -> String {
    let side = match params.side {
        Side::Client => "client",
        Side::Server => "server",
    };
    let mut words = vec![format!("`{}` on the {side}'s side", argv(&params.run))];
    words.extend(params.server.as_ref().map(|server| format!("against `{}`", argv(&server.run))));
    if params.repeat > 1 {
        words.push(format!("{} runs in each boot, of which the median counts", params.repeat));
    }
    words.join(", ")
}

/// A command line that fits into a line of a report.
fn argv(argv: &[String]) -> String {
    const LONGEST: usize = 80;
    let words: Vec<&str> = argv.iter().flat_map(|word| word.split_whitespace()).collect();
    let line = words.join(" ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    let start: String = line.chars().take(LONGEST - 3).collect();
    format!("{start}...")
}

fn stream(params: &Stream) -> String {
    let amount = match params.amount {
        Amount::Seconds(seconds) => format!("{seconds} s"),
        Amount::Bytes(bytes) => number::bytes(bytes),
    };
    let mut words = vec![
        number::counted(params.flows, "flow"),
        amount,
        format!("reads of {}", number::bytes(params.read_bytes.into())),
        format!("messages of {}", number::bytes(params.message_bytes.into())),
    ];
    match params.receive {
        Receive::Plain | Receive::TcpZerocopyReceive => {}
        Receive::Devmem { udmabuf_bytes, token_batch, accumulate } => {
            words.push(format!("udmabuf of {}", number::bytes(udmabuf_bytes)));
            words.push(format!("tokens back by {token_batch}"));
            words.extend((accumulate > 0).then(|| format!("after {accumulate} of them")));
        }
        Receive::Zcrx(zcrx) | Receive::ZcrxNodev(zcrx) => {
            words.push(format!("area of {}", number::bytes(zcrx.area_bytes)));
            words.push(format!("refill ring of {}", zcrx.refill_entries));
        }
    }
    let flags = [
        (params.nic.hardware_gro, "hardware GRO", "software GRO"),
        (params.nic.header_split, "header split", "no header split"),
        (params.verify.then_some(true), "verified", ""),
        ((!params.nic.steer).then_some(true), "not steered to the bound queue", ""),
    ];
    words.extend(flags.into_iter().filter_map(|(is, yes, no)| Some((if is? { yes } else { no }).to_owned())));
    let sizes = [("GRO", params.big_tcp.gro_max_bytes), ("GSO", params.big_tcp.gso_max_bytes)];
    words.extend(
        sizes
            .into_iter()
            .filter_map(|(what, size)| Some(format!("{what} up to {}", number::bytes(size?.into())))),
    );
    words.extend(match params.cores {
        Cores::Any => None,
        Cores::One => Some("receiver on one core".to_owned()),
        Cores::Two => Some("receiver on two cores".to_owned()),
    });
    format!(
        "stream over TCP, {} sent and {} received, {}",
        params.send.word(),
        params.receive.word(),
        words.join(", ")
    )
}

fn ktap(params: &Ktap) -> String {
    let mut words = Vec::new();
    if !params.collections.is_empty() {
        words.push(params.collections.join(", "));
    }
    if !params.tests.is_empty() {
        words.push(number::counted(params.tests.len(), "named program"));
    }
    if !params.build.is_empty() {
        words.push(format!("{} built beside them", params.build.join(", ")));
    }
    if !params.skip.is_empty() {
        words.push(format!("without {}", params.skip.join(", ")));
    }
    words.push(format!("at most {} s each", params.timeout_s));
    let from = match params.from {
        TestsFrom::Arm => "the arm's own tree",
        TestsFrom::Base => "the base's tree",
    };
    if let Some(kind) = params.nic.link_kind() {
        words.push(format!("on a NIC of the kind {kind}"));
    }
    format!("kernel selftests of {from}: {}", words.join(", "))
}

/// A machine as it was asked for, one property a line.
pub(crate) fn machine(machine: &Machine) -> Vec<String> {
    let qemu = match machine {
        Machine::Fake(_) => return vec!["fake: canned output of tools, no kernel ran".to_owned()],
        Machine::Nested(nested) => return levels::levels(nested),
        Machine::Imported(imported) => {
            let fact = |(what, how): (&String, &String)| format!("{what} {how}");
            let elsewhere = "measured elsewhere and imported".to_owned();
            // Names of runs are long, and say what the other facts say.
            let facts = imported.facts.iter().filter(|(what, _)| *what != "run").map(fact);
            return std::iter::once(elsewhere).chain(facts).collect();
        }
        Machine::Qemu(qemu) => qemu,
    };
    let mut lines = vec![guests(qemu)];
    match &qemu.topology {
        Topology::Loopback => lines.push("traffic over the loopback device".to_owned()),
        Topology::TwoNamespaces { server, client } => {
            let joined = match server.model {
                NicModel::Zcsim => wire(qemu.knobs.wire),
                _ => "QEMU's hub".to_owned(),
            };
            lines.push(format!("a network namespace for each side, joined by {joined}"));
            lines.extend([format!("server {}", nic(server)), format!("client {}", nic(client))]);
        }
        Topology::TwoGuests { server, client } => {
            lines.extend([format!("server {}", nic(server)), format!("client {}", nic(client))]);
        }
    }
    lines.extend(qemu.knobs.ring.map(ring));
    lines.extend(qemu.knobs.sysctls.iter().map(|(key, value)| format!("sysctl {key} = {value}")));
    lines
}

/// Receive rings in words.
pub(crate) fn ring(ring: u32) -> String {
    format!("receive rings of {ring} descriptors")
}

pub(crate) fn accel(accel: Accel) -> &'static str {
    match accel {
        Accel::Auto => "auto",
        Accel::Kvm => "kvm",
        Accel::Tcg => "tcg",
    }
}

pub(crate) fn model(model: NicModel) -> &'static str {
    match model {
        NicModel::VirtioNet => "virtio-net",
        NicModel::Igb => "igb",
        NicModel::E1000e => "e1000e",
        NicModel::Zcsim => "zcsim",
    }
}

fn guests(qemu: &QemuMachine) -> String {
    let how_many = match qemu.topology {
        Topology::TwoGuests { .. } => "two QEMU guests, each with",
        Topology::Loopback | Topology::TwoNamespaces { .. } => "one QEMU guest with",
    };
    let cpu = match qemu.cpu {
        CpuModel::Max => "max",
        CpuModel::Host => "host",
    };
    let accel = accel(qemu.accel);
    let (cpus, memory) = (number::counted(qemu.vcpus, "vCPU"), qemu.memory_mib);
    format!("{how_many} {cpus} (-cpu {cpu}), {memory} MiB; accel asked for: {accel}")
}

/// The wire between two zcsim devices.
fn wire(wire: Wire) -> String {
    let mut words = Vec::new();
    #[expect(clippy::cast_precision_loss, reason = "three digits of it are shown")]
    let value = |value: u64, unit| number::value(value as f64, unit, None);
    if wire.rate_bps > 0 {
        words.push(value(wire.rate_bps, Unit::BitsPerSecond));
    }
    if wire.delay_ns > 0 {
        words.push(format!("delay of {}", value(wire.delay_ns, Unit::Nanoseconds)));
    }
    if wire.loss_ppm > 0 {
        words.push(format!("{} % of frames lost", f64::from(wire.loss_ppm) / 1e4));
    }
    if words.is_empty() {
        return "zcsim's wire".to_owned();
    }
    format!("zcsim's wire: {}", words.join(", "))
}

pub(crate) fn nic(nic: &Nic) -> String {
    format!("{}, mtu {}, {}", model(nic.model), nic.mtu, iommu(nic.iommu))
}

fn iommu(iommu: Iommu) -> String {
    let mode = match iommu.mode {
        IommuMode::None => return "no IOMMU".to_owned(),
        IommuMode::Off => "IOMMU off",
        IommuMode::Pt => "IOMMU passthrough",
        IommuMode::Lazy => "IOMMU lazy",
        IommuMode::Strict => "IOMMU strict",
    };
    let caching = if iommu.caching_mode { " with caching mode" } else { "" };
    format!("{mode}{caching}")
}

/// An arm's machine in a line, with what its guests really ran under: numbers from KVM and from emulation are of two worlds.
#[must_use]
pub fn machine_in_words(of: &Arm) -> String {
    let mut words = machine(&of.machine);
    let under: BTreeSet<&str> = of.guests.values().map(|facts| facts.accel.as_str()).collect();
    if !under.is_empty() {
        words.push(format!("ran under {}", under.into_iter().collect::<Vec<_>>().join(" and ")));
    }
    words.join("; ")
}

/// An arm's kernel in a line: base, series, options, parameters.
#[must_use]
pub fn kernel_in_words(of: &Arm) -> String {
    arm(of)
}

/// What an arm is: base, series, options, parameters.
pub(crate) fn arm(arm: &Arm) -> String {
    let mut text = arm.base.clone();
    for series in &arm.series {
        text.push_str(&format!(" + {} ({})", series.name, number::counted(series.patches, "patch")));
    }
    for option in &arm.options {
        text.push_str(&format!(", {option}"));
    }
    if !arm.cmdline.is_empty() {
        text.push_str(&format!(", command line: {}", arm.cmdline.join(" ")));
    }
    text
}

/// What a gate asks for.
pub(crate) fn expectation(expect: Expectation) -> &'static str {
    match expect {
        Expectation::NotWorse => "not worse",
        Expectation::Same => "same",
        Expectation::Better => "better",
    }
}

/// A crash by its kind.
pub(crate) fn crash(kind: CrashKind) -> &'static str {
    match kind {
        CrashKind::Panic => "panic",
        CrashKind::Oops => "oops",
        CrashKind::Stall => "stall",
        CrashKind::BootHang => "hang at boot",
        CrashKind::Hang => "hang",
        CrashKind::Stopped => "unexpected stop",
        CrashKind::AgentDied => "death of PID 1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(workload: Option<&str>, metric: &str, dims: &[(&str, &str)]) -> SeriesKey {
        let dims = dims.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        SeriesKey { workload: workload.map(Into::into), metric: metric.into(), dims, at: Dims::new() }
    }

    #[test]
    fn a_label_ends_with_the_place_in_the_matrix() {
        let mut key = key(Some("tcp"), "throughput", &[("direction", "client-to-server")]);
        key.at = [("vcpus", "2"), ("flows", "4")].map(|(name, value)| (name.into(), value.into())).into();
        assert_eq!(label(&key), "tcp throughput client-to-server at flows 4, vcpus 2");
    }

    #[test]
    fn labels_read_like_speech() {
        let labels = [
            label(&key(Some("rr"), "latency", &[("percentile", "99.9")])),
            label(&key(Some("rr"), "latency", &[("percentile", "max")])),
            label(&key(Some("tcp"), "cpu-busy", &[("core", "1"), ("side", "server")])),
            label(&key(Some("tcp"), "cpu-busy", &[("core", "all"), ("side", "server")])),
            label(&key(None, "boot-time", &[])),
        ];
        let expected = [
            "rr latency p99.9",
            "rr latency max",
            "tcp cpu-busy server core 1",
            "tcp cpu-busy server all cores",
            "boot-time",
        ];
        assert_eq!(labels, expected);
    }
}
