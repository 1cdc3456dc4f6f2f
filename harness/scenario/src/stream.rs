//! `tool: stream` to a [`plan::Stream`], and what it asks of machines.

use plan::{
    Amount, Arm, BigTcp, Cores, Machine, QemuMachine, Receive, Roi, Send, Stream, StreamNic, Topology,
    Workload, WorkloadKind, Zcrx,
};

use size::{Need, Sizes};

use crate::{
    fields::Fields,
    problem::{Findings, Place},
    workload::amount,
};

/// What a stream has of everything that nobody said: enough for the fastest one that is known, 200 Gbit/s over 0.1 ms by
/// MTU 4148 ("The Battle of the ZCs"). A wire that asks for more is remarked on.
fn defaults() -> Sizes {
    Sizes::of(&Need::of_stream(200_000_000_000, 100_000, 4148))
}

pub(crate) fn stream(fields: &Fields<'_>, findings: &mut Findings) -> Option<WorkloadKind> {
    let receive = receive(fields, findings);
    let send = send(fields, findings);
    if let (Some(receive), Some(send)) = (&receive, &send) {
        unused(fields, receive, *send, findings);
        broken(fields, receive, findings);
    }
    let flows = fields.count("flows", findings);
    let amount = amount(fields, findings);
    if let (Some(flows), Some(Amount::Bytes(bytes))) = (flows, amount)
        && bytes % u64::from(flows) != 0
    {
        let message = format!("{bytes} bytes cannot be shared evenly by {flows} flows");
        findings.add(&fields.place_of("bytes"), message, "a multiple of the number of flows");
    }
    let read_bytes = fields.bytes_u32("read", findings);
    let message_bytes = fields.bytes_u32("message", findings);
    let verify = fields.flag("verify", findings);
    let cores = fields.choice::<Cores>("cores", findings);
    let header_split = optional(fields, "header-split", |key| fields.flag(key, findings));
    let threshold = optional(fields, "header-split-threshold", |key| fields.bytes_u32(key, findings));
    let hardware_gro = optional(fields, "hardware-gro", |key| fields.flag(key, findings));
    let receive_ring = optional(fields, "receive-ring", |key| fields.count(key, findings));
    let steer = fields.flag("steer", findings);
    let gro_max_bytes = optional(fields, "gro-max", |key| fields.bytes_u32(key, findings));
    let gso_max_bytes = optional(fields, "gso-max", |key| fields.bytes_u32(key, findings));
    let least_zero_copy = fields.percent("least-zero-copy", findings);
    let throughput = fields.fraction("roi-throughput", findings);
    let power = fields.fraction("roi-power", findings);
    Some(WorkloadKind::Stream(Stream {
        receive: receive?,
        send: send?,
        flows: flows?,
        amount: amount?,
        read_bytes: read_bytes?,
        message_bytes: message_bytes?,
        verify: verify?,
        cores: cores?,
        nic: StreamNic {
            header_split: header_split?,
            header_split_threshold: threshold?,
            hardware_gro: hardware_gro?,
            receive_ring: receive_ring?,
            steer: steer?,
        },
        big_tcp: BigTcp { gro_max_bytes: gro_max_bytes?, gso_max_bytes: gso_max_bytes? },
        least_zero_copy: least_zero_copy?,
        roi: Roi { throughput: throughput?, power: power? },
    }))
}

/// A value that may be absent: `Some(None)` if it is, `None` if it is wrong.
fn optional<T>(fields: &Fields<'_>, key: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    match fields.given(key) {
        None => Some(None),
        Some(_) => read(key).map(Some),
    }
}

fn receive(fields: &Fields<'_>, findings: &mut Findings) -> Option<Receive> {
    let mode = fields.word("receive", findings)?;
    Some(match mode.as_str() {
        "tcp-zerocopy-receive" => Receive::TcpZerocopyReceive,
        "devmem" => Receive::Devmem {
            udmabuf_bytes: optional(fields, "udmabuf", |key| fields.bytes(key, findings))?
                .unwrap_or(defaults().memory_bytes),
            token_batch: optional(fields, "token-batch", |key| fields.count(key, findings))?
                .unwrap_or(defaults().token_batch),
            accumulate: optional(fields, "accumulate", |key| fields.count(key, findings))?.unwrap_or(0),
        },
        "zcrx" => Receive::Zcrx(zcrx(fields, findings)?),
        "zcrx-nodev" => Receive::ZcrxNodev(zcrx(fields, findings)?),
        _ => Receive::Plain,
    })
}

fn zcrx(fields: &Fields<'_>, findings: &mut Findings) -> Option<Zcrx> {
    let area_bytes =
        optional(fields, "area", |key| fields.bytes(key, findings))?.unwrap_or(defaults().memory_bytes);
    let refill_entries = optional(fields, "refill-ring", |key| fields.count(key, findings))?
        .unwrap_or(defaults().refill_entries);
    if !refill_entries.is_power_of_two() {
        let message = format!("{refill_entries} entries are not a power of two");
        findings.add(&fields.place_of("refill-ring"), message, "1, 2, 4, ... 32768");
    }
    let no_iowait = no_iowait(fields, findings)?;
    Some(Zcrx { area_bytes, refill_entries, no_iowait })
}

fn no_iowait(fields: &Fields<'_>, findings: &mut Findings) -> Option<bool> {
    Some(optional(fields, "no-iowait", |key| fields.flag(key, findings))?.unwrap_or(false))
}

fn send(fields: &Fields<'_>, findings: &mut Findings) -> Option<Send> {
    let mode = fields.word("send", findings)?;
    Some(match mode.as_str() {
        "msg-zerocopy" => Send::MsgZerocopy,
        "send-zc" => Send::SendZc { no_iowait: no_iowait(fields, findings)? },
        "devmem" => Send::Devmem,
        _ => Send::Plain,
    })
}

/// Tells of knobs that the modes do not have.
fn unused(fields: &Fields<'_>, receive: &Receive, send: Send, findings: &mut Findings) {
    let devmem = matches!(receive, Receive::Devmem { .. });
    let zcrx = matches!(receive, Receive::Zcrx(_) | Receive::ZcrxNodev(_));
    let ring = zcrx || matches!(send, Send::SendZc { .. });
    for (keys, has, needs) in [
        (&["udmabuf", "token-batch", "accumulate"][..], devmem, "receive: devmem"),
        (&["area", "refill-ring"], zcrx, "receive: zcrx or zcrx-nodev"),
        (&["no-iowait"], ring, "receive: zcrx or zcrx-nodev, or send: send-zc"),
    ] {
        for key in keys {
            if let (Some(node), false) = (fields.given(key), has) {
                let message = format!(
                    "`{key}`, which `receive: {}` with `send: {}` does not have",
                    receive.word(),
                    send.word()
                );
                findings.add(&node.place, message, needs);
            }
        }
    }
}

/// Tells of what keeps a mode from its path, where that is not meant.
fn broken(fields: &Fields<'_>, receive: &Receive, findings: &mut Findings) {
    let Some(meant) = fields.flag("break-path", findings) else { return };
    let mut quiet = Findings::default();
    let is = |key: &str, value: bool, quiet: &mut Findings| {
        fields.given(key).is_some() && fields.flag(key, quiet) == Some(value)
    };
    let threshold = fields.given("header-split-threshold").is_some()
        && fields.bytes("header-split-threshold", &mut quiet).is_some_and(|bytes| bytes > 0);
    let breaks = [
        ("header-split", is("header-split", false, &mut quiet), "its payload would lie with headers"),
        ("header-split-threshold", threshold, "small payload would lie with headers"),
        ("steer", is("steer", false, &mut quiet), "its flows would go to another queue"),
    ];
    let found: Vec<_> = breaks.into_iter().filter(|(_, given, _)| *given).collect();
    if !receive.needs_queue() {
        if meant {
            let message = format!("`break-path`, but `receive: {}` has no path to break", receive.word());
            findings.add(&fields.place_of("break-path"), message, "receive: devmem or zcrx");
        }
        return;
    }
    for (key, _, why) in found.iter().filter(|_| !meant) {
        let message = format!("keeps `receive: {}` from its path: {why}", receive.word());
        findings.add(&fields.place_of(key), message, "break-path: true beside it, if that is meant");
    }
    if meant && found.is_empty() {
        let message = "`break-path`, but nothing is broken";
        findings.add(&fields.place_of("break-path"), message, "with header-split: false or steer: false");
    }
}

/// Tells of streams that a machine cannot carry.
pub(crate) fn check(
    place: &Place,
    arms: &[Option<Arm>],
    workloads: &[Option<Workload>],
    findings: &mut Findings,
) {
    for workload in workloads.iter().flatten() {
        let WorkloadKind::Stream(stream) = &workload.kind else { continue };
        for arm in arms.iter().flatten() {
            let Machine::Qemu(machine) = &arm.machine else { continue };
            for (why, allowed) in unfit(stream, &arm.machine, machine) {
                findings.add(place, format!("{}: {}: {why}", workload.name, arm.name), allowed);
            }
        }
    }
}

fn unfit(stream: &Stream, machine: &Machine, qemu: &QemuMachine) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    let of_nic = [
        (stream.receive.needs_queue(), format!("receive: {}", stream.receive.word())),
        (stream.send == Send::Devmem, "send: devmem".to_owned()),
        (stream.nic.hardware_gro.is_some(), "hardware-gro".to_owned()),
        (stream.nic.header_split.is_some(), "header-split".to_owned()),
        (stream.nic.header_split_threshold.is_some(), "header-split-threshold".to_owned()),
    ];
    if !machine.has_zcsim() {
        let missing = of_nic.into_iter().filter(|(asked, _)| *asked).map(|(_, what)| {
            (format!("`{what}`, which the driver of its NICs cannot do"), "nic: zcsim for both sides")
        });
        found.extend(missing);
    }
    if qemu.topology == Topology::Loopback {
        let asked = stream.nic.receive_ring.is_some() || stream.big_tcp != BigTcp::default();
        if asked {
            let message = "`receive-ring`, `gro-max` or `gso-max` over the loopback device, which is no NIC";
            found.push((message.to_owned(), "topology: two-namespaces or two-guests"));
        }
    }
    if stream.cores != Cores::Any && !machine.has_zcsim() {
        let message = "`cores`, but the softirqs of its NICs go where their driver has them";
        found.push((message.to_owned(), "nic: zcsim for both sides, or cores: any"));
    }
    if stream.cores == Cores::Two && qemu.vcpus < 2 {
        found.push(("`cores: two` on one vCPU".to_owned(), "vcpus: 2 or more"));
    }
    found
}
