//! `evidence`: what exact evidence asks of the other parts.

use plan::{
    Accel, Amount, Arm, Collector, Evidence, Machine, Nic, NicModel, Topology, Workload, WorkloadKind,
};

use serde::Deserialize;

use crate::{
    base::is_prebuilt,
    fields::Fields,
    problem::{Findings, Place},
    workload,
};

/// Whether blocks of boots differ by what they begin with.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Perturb {
    EachBlock,
    None,
}

/// Which replicate each block is.
pub(crate) fn replicates(
    fields: &Fields<'_>,
    evidence: Option<Evidence>,
    boots: u32,
    findings: &mut Findings,
) -> Option<Vec<u32>> {
    let perturb = fields.choice::<Perturb>("perturb", findings)?;
    if evidence == Some(Evidence::Timed) {
        if let Some(node) = fields.given("perturb") {
            findings.add(&node.place, "`perturb` where the evidence is timed", "with `evidence: exact`");
        }
        return Some(vec![]);
    }
    let number = |block| if perturb == Perturb::None { 0 } else { block };
    Some((0..boots).map(number).collect())
}

/// Whether any replicate that is perturbed can have another wire: one between NICs that QEMU joins.
pub(crate) fn has_wire(arms: &[Option<Arm>], replicates: &[u32]) -> bool {
    let is_joined = |arm: &Arm| {
        let Machine::Qemu(qemu) = &arm.machine else { return false };
        matches!(&qemu.topology, Topology::TwoNamespaces { server, .. } if server.model != NicModel::Zcsim)
    };
    replicates.iter().any(|number| *number > 0) && arms.iter().flatten().any(is_joined)
}

/// The evidence, and what is collected for it.
pub(crate) fn evidence(
    fields: &Fields<'_>,
    findings: &mut Findings,
) -> (Option<Evidence>, Option<Vec<Collector>>) {
    let evidence = fields.choice::<Evidence>("evidence", findings);
    let exact = [Collector::Instructions];
    let collected = match (evidence, fields.given("collect")) {
        (Some(Evidence::Exact), None) => Some(exact.to_vec()),
        _ => workload::collectors(fields, findings),
    };
    if let (Some(evidence), Some(collected)) = (evidence, &collected) {
        let place = fields.place_of("collect");
        match evidence {
            Evidence::Exact if *collected != exact => {
                let message = "exact evidence, in which reading anything else would be counted as well";
                findings.add(&place, message, "[instructions], or no `collect`");
            }
            Evidence::Timed if collected.contains(&Collector::Instructions) => {
                let message =
                    "`instructions` beside what is timed: a guest whose instructions are counted is slower";
                findings.add(&place, message, "without instructions, or `evidence: exact`");
            }
            Evidence::Exact | Evidence::Timed => {}
        }
    }
    (evidence, collected)
}

/// Tells what breaks a closed world, and settles that its arms run under TCG.
pub(crate) fn check(
    fields: &Fields<'_>,
    arms: &mut [Option<Arm>],
    workloads: &mut [Option<Workload>],
    findings: &mut Findings,
) {
    let place = fields.place_of("arms");
    for arm in arms.iter_mut().flatten() {
        if is_prebuilt(&arm.kernel.base.source) {
            let message = format!(
                "{}: `{}` is prebuilt, and exact evidence needs its symbols and no modules",
                arm.name, arm.kernel.base.name
            );
            findings.add(&place, message, "a base that is built from source");
        }
        machine(&arm.name, &mut arm.machine, &place, findings);
    }
    let place = fields.place_of("workloads");
    for workload in workloads.iter_mut().flatten() {
        let given = fields.given("workloads").and_then(|all| all.get(workload.group())?.get("warmup"));
        if let (WorkloadKind::Iperf3(iperf3), None) = (&mut workload.kind, given) {
            iperf3.warmup_s = 0;
        }
        let refused = match &workload.kind {
            WorkloadKind::Iperf3(iperf3) => match (iperf3.amount, iperf3.warmup_s) {
                (Amount::Bytes(_), 0) => None,
                (Amount::Bytes(_), _) => {
                    Some(("a warm-up, which takes a time and not an amount", "no warmup"))
                }
                (Amount::Seconds(_), _) => Some((
                    "it runs for a time, and how much is done in it is what a patch changes",
                    "bytes: 16M",
                )),
            },
            WorkloadKind::Stream(stream) => match stream.amount {
                Amount::Bytes(_) => None,
                Amount::Seconds(_) => Some((
                    "it runs for a time, and how much is done in it is what a patch changes",
                    "bytes: 16M",
                )),
            },
            WorkloadKind::Sockperf(_) => Some((
                "sockperf runs for a time, and how much is done in it is what a patch changes",
                "tool: iperf3 with bytes, or command",
            )),
            WorkloadKind::Command(_) | WorkloadKind::Imported(_) => None,
            WorkloadKind::Ktap(_) => Some((
                "tests are on disks, and reading one takes the host's time",
                "tool: iperf3 with bytes, or command",
            )),
        };
        if let Some((why, allowed)) = refused {
            findings.add(
                &place,
                format!("{}: exact evidence is of a fixed amount of work: {why}", workload.name),
                allowed,
            );
        }
    }
}

fn machine(arm: &str, machine: &mut Machine, place: &Place, findings: &mut Findings) {
    let mut refuse = |why: &str, allowed: &str| {
        findings.add(place, format!("{arm}: its world cannot be closed: {why}"), allowed);
    };
    let qemu = match machine {
        Machine::Qemu(qemu) => qemu,
        Machine::Nested(_) => {
            return refuse(
                "several guests reach each other when the host lets them",
                "a machine without `kind: nested`",
            );
        }
        Machine::Fake(_) | Machine::Imported(_) => {
            return refuse("a machine that boots nothing executes no instructions", "a machine of QEMU's");
        }
    };
    match qemu.accel {
        Accel::Auto | Accel::Tcg => qemu.accel = Accel::Tcg,
        Accel::Kvm => refuse("under KVM a processor executes the guest, in its own time", "accel: tcg"),
    }
    if qemu.vcpus > 1 {
        refuse("several vCPUs are not exact: two boots differed by some thousand instructions", "vcpus: 1");
    }
    let inexact = |nic: &Nic| match nic.model {
        NicModel::E1000e | NicModel::Zcsim => None,
        NicModel::Igb => Some("igb is not exact: one run in three differed"),
        NicModel::VirtioNet => Some("virtio-net sends when a thread of the host gets to it"),
    };
    match &qemu.topology {
        Topology::Loopback => {}
        Topology::TwoGuests { .. } => refuse(
            "two guests reach each other when the host lets them",
            "topology: loopback, or two-namespaces with e1000e or zcsim",
        ),
        Topology::TwoNamespaces { server, client } => {
            if let Some(why) = inexact(server).or_else(|| inexact(client)) {
                refuse(why, "nic: e1000e or zcsim");
            }
        }
    }
}
