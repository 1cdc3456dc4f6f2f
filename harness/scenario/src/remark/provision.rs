//! Streams that are short of something.

use std::collections::BTreeSet;

use plan::{Machine, Plan, QemuMachine, Receive, Stream, Topology, WorkloadKind};
use size::{Need, Provision};

/// A net_iov of a udmabuf or an area, in bytes: `assay-bench` asks for no larger ones.
const BUFFER: u32 = 4096;

/// Descriptors of zcsim's rings, and the size of its page pools, if nothing is asked: `ZCSIM_RING_DEFAULT`.
const ZCSIM_RING: u32 = 512;

/// One remark for each stream and way of being short, however many arms have it.
pub(super) fn remarks(plan: &Plan) -> Vec<String> {
    let mut found = BTreeSet::new();
    for workload in &plan.workloads {
        let WorkloadKind::Stream(stream) = &workload.kind else { continue };
        for arm in &plan.arms {
            let Machine::Qemu(machine) = &arm.machine else { continue };
            if !arm.machine.has_zcsim() {
                continue;
            }
            let given = provision(stream, machine);
            let mut clauses = given.misfits(BUFFER);
            if let Some(need) = need(stream, machine) {
                clauses.extend(given.shortages(&need).into_iter().map(|clause| {
                    let (rate, rtt) = (size::rate(need.rate_bps), size::duration(need.rtt_ns));
                    format!("{clause} by {rate} over {rtt} (`assay size`)")
                }));
            }
            found.extend(clauses.into_iter().map(|clause| format!("{}: {clause}.", workload.group())));
        }
    }
    found.into_iter().collect()
}

fn provision(stream: &Stream, machine: &QemuMachine) -> Provision {
    let ring = Some(stream.nic.receive_ring.unwrap_or(ZCSIM_RING));
    let sysctls = &machine.knobs.sysctls;
    // The third of three; a program that sets its buffers itself is none of ours.
    let third = |key: &str| sysctls.get(key)?.split_whitespace().nth(2)?.parse().ok();
    let sockets = Provision {
        receive_buffer_bytes: third("net.ipv4.tcp_rmem"),
        send_buffer_bytes: third("net.ipv4.tcp_wmem"),
        ring,
        ..Provision::default()
    };
    match stream.receive {
        Receive::Devmem { udmabuf_bytes, token_batch, accumulate } => Provision {
            memory_bytes: Some(udmabuf_bytes),
            gathered: Some(accumulate.max(token_batch)).filter(|_| accumulate > 0),
            ..sockets
        },
        Receive::Zcrx(zcrx) => Provision {
            memory_bytes: Some(zcrx.area_bytes),
            refill_entries: Some(zcrx.refill_entries),
            ..sockets
        },
        Receive::Plain | Receive::TcpZerocopyReceive | Receive::ZcrxNodev(_) => sockets,
    }
}

/// What the wire lets through, if it has both a rate and a delay.
fn need(stream: &Stream, machine: &QemuMachine) -> Option<Need> {
    let wire = machine.knobs.wire;
    if wire.rate_bps == 0 || wire.delay_ns == 0 {
        return None;
    }
    let Topology::TwoNamespaces { server, .. } = &machine.topology else { return None };
    Some(Need {
        message_bytes: stream.message_bytes.into(),
        ..Need::of_stream(wire.rate_bps, 2 * wire.delay_ns, server.mtu)
    })
}
