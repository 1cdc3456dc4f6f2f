//! `machine` with `kind: nested` to a [`plan::NestedMachine`], and what such a machine cannot be.

use plan::{
    Accel, GuestIommu, HostLevel, InnerGuest, InnerLink, Iommu, IommuMode, Knobs, NestedMachine, NicModel,
    PciFunction, Plan, Vfio,
};

use crate::{
    fields::Fields,
    machine::{iommu, memory_mib, ring},
    problem::{Findings, Place},
    schema,
    tree::Node,
    value::printable,
};

/// What a host needs beside its guests: its kernel, QEMU's own memory for each of them, and their files.
const HOSTS_OWN_MIB: u32 = 384;

/// Of x86-64, the smaller kind.
const HUGE_PAGE_MIB: u32 = 2;

/// Whether this machine is a nested one.
pub(crate) fn is_nested(machine: &Node) -> bool {
    machine.get("kind").and_then(Node::text) == Some("nested")
}

/// The machine that `node` asks for.
pub(crate) fn machine(node: &Node, mut knobs: Knobs, findings: &mut Findings) -> Option<NestedMachine> {
    let fields = Fields::open(node, &schema::NESTED, findings)?;
    let accel = fields.choice::<Accel>("accel", findings);
    let vcpus = fields.count("vcpus", findings);
    let memory = memory_mib(&fields, findings);
    let mtu = fields.count("mtu", findings);
    knobs.ring = ring(&fields, findings);
    let host = within(&fields, "host", |node| host(node, findings));
    let guest = within(&fields, "guest", |node| guest(node, findings));
    let peer = within(&fields, "peer", |node| {
        let fields = Fields::open(node, &schema::PEER_LEVEL, findings)?;
        let kernel = fields.optional_text("kernel", findings);
        Some((fields.choice::<NicModel>("nic", findings)?, kernel?))
    });
    let (peer, peer_kernel) = peer.unzip();
    let nested = NestedMachine {
        accel: accel?,
        vcpus: vcpus?,
        memory_mib: memory?,
        host: host?,
        guest: guest?,
        peer: peer?,
        peer_kernel: peer_kernel?,
        mtu: mtu?,
        knobs,
    };
    for (message, allowed) in impossible(&nested) {
        findings.add(fields.place(), message, allowed);
    }
    Some(nested)
}

fn within<T>(fields: &Fields<'_>, key: &str, read: impl FnOnce(&Node) -> Option<T>) -> Option<T> {
    match fields.given(key) {
        Some(node) => read(node),
        None => read(&Node::empty_map(fields.place_of(key))),
    }
}

fn host(node: &Node, findings: &mut Findings) -> Option<HostLevel> {
    let fields = Fields::open(node, &schema::HOST_LEVEL, findings)?;
    let nic = fields.choice::<NicModel>("nic", findings);
    let scalable_mode = fields.flag("scalable-mode", findings);
    let kernel = fields.optional_text("kernel", findings);
    let iommu = match fields.given("iommu") {
        Some(node) => iommu(node, findings),
        None => Some(Iommu { mode: IommuMode::Strict, caching_mode: false }),
    };
    Some(HostLevel { nic: nic?, iommu: iommu?, scalable_mode: scalable_mode?, kernel: kernel? })
}

fn guest(node: &Node, findings: &mut Findings) -> Option<InnerGuest> {
    let fields = Fields::open(node, &schema::GUEST_LEVEL, findings)?;
    let count = fields.count("count", findings);
    let vcpus = fields.count("vcpus", findings);
    let memory = memory_mib(&fields, findings);
    let huge_pages = fields.flag("huge-pages", findings);
    let kernel = fields.optional_text("kernel", findings);
    let link = link(&fields, findings);
    Some(InnerGuest {
        count: count?,
        vcpus: vcpus?,
        memory_mib: memory?,
        huge_pages: huge_pages?,
        link: link?,
        kernel: kernel?,
    })
}

fn link(fields: &Fields<'_>, findings: &mut Findings) -> Option<InnerLink> {
    let nic = fields.word("nic", findings);
    let via = match fields.given("via") {
        Some(_) => fields.choice::<Vfio>("via", findings),
        None => Some(Vfio::Iommufd),
    };
    let iommu = match fields.given("iommu") {
        Some(node) => guest_iommu(fields, node, findings),
        None => Some(GuestIommu::Off),
    };
    let function = match nic?.as_str() {
        "passthrough" => PciFunction::Physical,
        "virtual-function" => PciFunction::Virtual,
        _ => {
            for key in ["via", "iommu"] {
                let meant = fields.given(key).filter(|node| node.text() != Some("off"));
                if let Some(node) = meant {
                    let message =
                        "cannot matter: a guest whose NIC is virtio-net has no device that is passed through";
                    findings.add(&node.place, message, "nic: passthrough or virtual-function, or without it");
                }
            }
            return Some(InnerLink::VirtioNet);
        }
    };
    Some(InnerLink::Passthrough { function, via: via?, iommu: iommu? })
}

fn guest_iommu(fields: &Fields<'_>, node: &Node, findings: &mut Findings) -> Option<GuestIommu> {
    let word = fields.word("iommu", findings)?;
    if word == "nested" {
        let message = "unavailable: a guest's own tables under those of its host (stage 1 through iommufd) need an IOMMU with nested \
                       translation in the host, which QEMU's emulated VT-d does not have";
        findings.add(&node.place, message, "off, shadow-strict or shadow-lazy");
        return None;
    }
    fields.choice::<GuestIommu>("iommu", findings)
}

/// Why this machine cannot be, and what could.
pub(crate) fn impossible(nested: &NestedMachine) -> Vec<(String, &'static str)> {
    let NestedMachine { host, guest, .. } = nested;
    let mut found = Vec::new();
    if let InnerLink::Passthrough { function, .. } = &guest.link {
        if matches!(host.iommu.mode, IommuMode::None | IommuMode::Off) {
            let message = "a function of the host's NIC is passed through, but the host has no IOMMU in use: without one there is only \
                           VFIO's no-IOMMU mode, which protects nothing and which QEMU does not take";
            found.push((message.to_owned(), "host.iommu: pt, lazy or strict"));
        }
        match function {
            PciFunction::Physical if guest.count > 1 => {
                let message = format!(
                    "{} guests, and one NIC that is passed through whole to one of them",
                    guest.count
                );
                found.push((message, "guest.count: 1, or guest.nic: virtual-function or virtio-net"));
            }
            PciFunction::Virtual if host.nic != NicModel::Igb => {
                let message = "the host's NIC has no virtual functions";
                found.push((message.to_owned(), "host.nic: igb, or guest.nic: passthrough"));
            }
            PciFunction::Physical | PciFunction::Virtual => {}
        }
    }
    let needed = guest.count.saturating_mul(guest.memory_mib).saturating_add(HOSTS_OWN_MIB);
    if nested.memory_mib < needed {
        let message =
            format!("the host has {} MiB, and needs {needed} for its guests and itself", nested.memory_mib);
        found.push((message, "a larger memory, or a smaller guest.memory"));
    }
    if guest.huge_pages && guest.memory_mib % HUGE_PAGE_MIB != 0 {
        let message = format!("{} MiB are not whole huge pages of {HUGE_PAGE_MIB} MiB", guest.memory_mib);
        found.push((message, "guest.memory: an even number of MiB, or without guest.huge-pages"));
    }
    found
}

/// What a reader of a plan should know of its nested machines.
pub(crate) fn remarks(plan: &Plan) -> Vec<String> {
    let nested = |machine: &plan::Machine| match machine {
        plan::Machine::Nested(nested) => Some(nested.clone()),
        plan::Machine::Qemu(_) | plan::Machine::Fake(_) | plan::Machine::Imported(_) => None,
    };
    let whole: Vec<(&str, NestedMachine)> = plan
        .arms
        .iter()
        .filter_map(|arm| Some((arm.name.as_str(), nested(&arm.machine)?)))
        .filter(|(_, nested)| matches!(nested.guest.link, InnerLink::Passthrough { .. }))
        .collect();
    let mut remarks = Vec::new();
    for (index, (name, one)) in whole.iter().enumerate() {
        for (other_name, other) in &whole[..index] {
            let mut alike = other.clone();
            alike.host.iommu.mode = one.host.iommu.mode;
            if alike == *one && other != one {
                remarks.push(format!(
                    "{other_name}, {name}: differ in the mode of the host's IOMMU, which governs what the host's own drivers map. A \
                     device that is passed through is in a domain of VFIO's, where the guest's mode decides."
                ));
            }
        }
    }
    remarks
}

/// Levels that name an arm whose kernel they boot: it must be there, at the same place of a matrix.
pub(crate) fn check_kernels(arms: &[&plan::Arm], place: &Place, findings: &mut Findings) {
    let mut sides: Vec<&str> = arms.iter().map(|arm| arm.side()).collect();
    sides.dedup();
    for arm in arms {
        let plan::Machine::Nested(nested) = &arm.machine else { continue };
        for (level, side) in nested.other_kernels() {
            let is_there = |other: &&&plan::Arm| other.side() == side && other.dims() == arm.dims();
            if !arms.iter().any(|other| is_there(&other)) {
                let message = format!(
                    "{}: {level}: there is no arm `{}` to take a kernel of",
                    arm.name,
                    printable(side)
                );
                findings.add(place, message, format!("kernel: one of {}", sides.join(", ")));
            }
        }
    }
}

/// A workload that a nested machine has no way to run.
pub(crate) fn check_workload(
    arm: &plan::Arm,
    workload: &plan::Workload,
    place: &Place,
    findings: &mut Findings,
) {
    let plan::Machine::Nested(_) = &arm.machine else { return };
    let (why, allowed) = match &workload.kind {
        plan::WorkloadKind::Ktap(_) => (
            "the kernel's tests are on a disk that guests within a guest do not have",
            "iperf3, sockperf, command or stream, or a machine without `kind: nested`",
        ),
        plan::WorkloadKind::Stream(stream)
            if stream.receive.needs_queue() || stream.send == plan::Send::Devmem =>
        {
            ("the drivers of its NICs cannot do that", "receive: plain and send: plain, or nic: zcsim")
        }
        _ => return,
    };
    findings.add(place, format!("{}: {}: {why}", workload.name, arm.name), allowed);
}
