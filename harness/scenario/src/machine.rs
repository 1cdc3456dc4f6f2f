//! `machine` to a [`plan::Machine`].

use std::path::Path;

use plan::{
    Accel, CpuModel, FakeMachine, Iommu, IommuMode, Knobs, Machine, Nic, NicModel, QemuMachine, Topology,
};

use crate::{
    fields::{Fields, from_word},
    nested,
    problem::{Findings, Place},
    project::existing_path,
    schema,
    tree::{Node, Value},
    zcsim,
};

/// Ethernet's, in bytes.
pub(crate) const DEFAULT_MTU: u32 = 1500;

/// The machine that `node` asks for; paths in it start at `folder`.
pub(crate) fn machine(
    node: &Node,
    mut knobs: Knobs,
    folder: &Path,
    findings: &mut Findings,
) -> Option<Machine> {
    if node.get("fake").is_some() {
        return fake(node, &knobs, folder, findings);
    }
    if nested::is_nested(node) {
        return nested::machine(node, knobs, findings).map(Machine::Nested);
    }
    let fields = Fields::open(node, &schema::MACHINE, findings)?;
    // `nested` has been seen above: whatever else it is, is a problem.
    fields.word("kind", findings)?;
    let accel = fields.choice::<Accel>("accel", findings);
    let cpu = fields.choice::<CpuModel>("cpu", findings);
    let vcpus = fields.count("vcpus", findings);
    let memory_mib = memory_mib(&fields, findings);
    let topology = topology(&fields, findings);
    if let Some(topology) = &topology {
        zcsim::check_topology(topology, &fields.place_of("server"), findings);
    }
    knobs.ring = ring(&fields, findings);
    if knobs.ring.is_some() && matches!(topology, Some(Topology::Loopback)) {
        let message = "a guest that talks to itself has no NIC";
        findings.add(&fields.place_of("ring"), message, "topology: two-guests or two-namespaces");
    }
    if let Some(node) = fields.given("wire")
        && let Some(wire) = zcsim::wire(node, topology.as_ref(), findings)
    {
        knobs.wire = wire;
    }
    if let (Some(accel), Some(CpuModel::Host)) = (accel, cpu)
        && accel != Accel::Kvm
    {
        let message = "the host's CPU can only be shown by KVM";
        findings.add(&fields.place_of("cpu"), message, "max, or host with `accel: kvm`");
    }
    Some(Machine::Qemu(QemuMachine {
        accel: accel?,
        cpu: cpu?,
        vcpus: vcpus?,
        memory_mib: memory_mib?,
        topology: topology?,
        knobs,
    }))
}

fn fake(node: &Node, knobs: &Knobs, folder: &Path, findings: &mut Findings) -> Option<Machine> {
    let fields = Fields::open(node, &schema::FAKE, findings)?;
    if !knobs.sysctls.is_empty() {
        findings.add(&fields.place_of("fake"), "a fake machine has no sysctls", "no sysctls");
    }
    let script = fields.text("fake", findings)?;
    let script = existing_path(&folder.join(script), &fields.place_of("fake"), findings)?;
    Some(Machine::Fake(FakeMachine { script }))
}

pub(crate) fn memory_mib(fields: &Fields<'_>, findings: &mut Findings) -> Option<u32> {
    let bytes = fields.bytes("memory", findings)?;
    if bytes % (1 << 20) != 0 {
        findings.add(
            &fields.place_of("memory"),
            format!("{bytes} bytes are not whole MiB"),
            "such as 512M or 1G",
        );
        return None;
    }
    Some(u32::try_from(bytes >> 20).expect("the schema allows at most 256 GiB"))
}

/// What is asked of receive rings, if anything.
pub(crate) fn ring(fields: &Fields<'_>, findings: &mut Findings) -> Option<u32> {
    fields.given("ring")?;
    fields.count("ring", findings)
}

fn topology(fields: &Fields<'_>, findings: &mut Findings) -> Option<Topology> {
    let shape = fields.word("topology", findings);
    if shape.as_deref() == Some("loopback") {
        for side in ["server", "client"] {
            if let Some(node) = fields.given(side) {
                let message = "a guest that talks to itself has no NIC";
                findings.add(&node.place, message, "topology: two-guests or two-namespaces");
            }
        }
        return Some(Topology::Loopback);
    }
    let server = side(fields, "server", findings);
    let client = side(fields, "client", findings);
    let one_guest = shape? == "two-namespaces";
    // One guest has one IOMMU: what one NIC says holds for both.
    let inherit = |mine: &Side, other: &Side| match mine.iommu {
        None if one_guest => other.iommu,
        iommu => iommu,
    };
    let (server, client) = (server?, client?);
    let nic = |side: &Side, other: &Side| Nic {
        model: side.model,
        iommu: inherit(side, other).unwrap_or(Iommu { mode: IommuMode::None, caching_mode: false }),
        // Both are on one wire.
        mtu: side.mtu.or(other.mtu).unwrap_or(DEFAULT_MTU),
    };
    let (server_nic, client_nic) = (nic(&server, &client), nic(&client, &server));
    if one_guest && server_nic.iommu != client_nic.iommu {
        findings.add(
            &client.iommu_place,
            "differs from `server.iommu`, but both NICs are in one guest, which has one IOMMU",
            "the same for both, or only one of them, or topology: two-guests",
        );
        return None;
    }
    if server_nic.mtu != client_nic.mtu {
        let message = format!("{} differs from `server.mtu`, {}", client_nic.mtu, server_nic.mtu);
        findings.add(&client.mtu_place, message, "the same for both ends of one wire");
        return None;
    }
    Some(if one_guest {
        Topology::TwoNamespaces { server: server_nic, client: client_nic }
    } else {
        Topology::TwoGuests { server: server_nic, client: client_nic }
    })
}

/// A NIC as it was asked for.
struct Side {
    model: NicModel,
    iommu: Option<Iommu>,
    mtu: Option<u32>,
    iommu_place: Place,
    mtu_place: Place,
}

fn side(machine: &Fields<'_>, key: &str, findings: &mut Findings) -> Option<Side> {
    let absent;
    let node = match machine.given(key) {
        Some(node) => node,
        None => {
            absent = Node::empty_map(machine.place_of(key));
            &absent
        }
    };
    let fields = Fields::open(node, &schema::NIC, findings)?;
    let model = fields.choice::<NicModel>("nic", findings);
    let mtu = match fields.given("mtu") {
        Some(_) => fields.count("mtu", findings).map(Some),
        None => Some(None),
    };
    let iommu = match fields.given("iommu") {
        Some(node) => iommu(node, findings).map(Some),
        None => Some(None),
    };
    Some(Side {
        model: model?,
        iommu: iommu?,
        mtu: mtu?,
        iommu_place: fields.place_of("iommu"),
        mtu_place: fields.place_of("mtu"),
    })
}

/// `strict`, or the map that it stands for.
pub(crate) fn iommu(node: &Node, findings: &mut Findings) -> Option<Iommu> {
    let (mode, caching_mode) = if let Value::Map(_) = node.value {
        let fields = Fields::open(node, &schema::IOMMU, findings)?;
        let (mode, caching_mode) = (fields.choice("mode", findings), fields.flag("caching-mode", findings));
        (mode?, caching_mode?)
    } else {
        let word = schema::IOMMU.key("mode").kind.word(node).and_then(from_word::<IommuMode>);
        match word {
            Ok(mode) => (mode, false),
            Err(message) => {
                findings.add(&node.place, message, schema::NIC.key("iommu").kind.allowed());
                return None;
            }
        }
    };
    if caching_mode && mode == IommuMode::None {
        findings.add(
            &node.place,
            "there is no IOMMU that could have a caching mode",
            "off, pt, lazy or strict",
        );
        return None;
    }
    Some(Iommu { mode, caching_mode })
}

/// The IOMMUs of a machine's guests.
pub(crate) fn iommus(machine: &Machine) -> Vec<Iommu> {
    match machine {
        Machine::Nested(nested) => nested.iommus().into_iter().map(|(_, iommu)| iommu).collect(),
        Machine::Fake(_)
        | Machine::Imported(_)
        | Machine::Qemu(QemuMachine { topology: Topology::Loopback, .. }) => Vec::new(),
        Machine::Qemu(QemuMachine {
            topology: Topology::TwoNamespaces { server, client } | Topology::TwoGuests { server, client },
            ..
        }) => vec![server.iommu, client.iommu],
    }
}
