//! The keys of machines with `kind: nested`.

use super::{Kind, NAME, Section, default, optional};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The kinds of machines that have guests of QEMU.
pub(super) const KIND: Kind = Kind::Choice(&["qemu", "nested"]);

/// Guests within a guest.
pub(crate) static NESTED: Section = Section {
    title: "Nested machine",
    intro: "`machine: { kind: nested }`: a host that is a guest here (L1), guests that it runs with KVM (L2), and a peer outside on \
            the host's wire. Workloads run between the first guest, `server`, and the peer, `client`; the host is called `host`. \
            Under TCG, QEMU emulates AMD's SVM for the host. All of them boot the arm's kernel, but for levels that name another arm's with `kernel`.",
    keys: &[
        optional(
            "kind",
            Kind::Choice(&["nested"]),
            "the scenario's, in an arm that has some of the other keys",
            "`nested`.",
        ),
        default(
            "accel",
            Kind::Choice(&["auto", "kvm", "tcg"]),
            "auto",
            "How this machine executes the host and the peer, as in *Machine*.",
        ),
        default("vcpus", Kind::Integer { min: 1, max: 64 }, "2", "Virtual CPUs of the host."),
        default(
            "memory",
            Kind::Size { min: 512 * MIB, max: 256 * GIB },
            "2G",
            "Memory of the host, that of its guests within; whole MiB.",
        ),
        default("mtu", Kind::Integer { min: 68, max: 9000 }, "1500", "Of all NICs on the wire, in bytes."),
        optional("ring", super::scenario::RING, "the driver's own number", super::scenario::RING_HELP),
        optional("host", Kind::Shape("a map, see *Host*"), "every default of *Host*", "The host's devices."),
        optional(
            "guest",
            Kind::Shape("a map, see *Guest of the host*"),
            "every default of *Guest of the host*",
            "The host's guests.",
        ),
        optional("peer", Kind::Shape("a map, see *Peer*"), "every default of *Peer*", "The guest outside."),
    ],
};

/// The host's devices.
pub(crate) static HOST_LEVEL: Section = Section {
    title: "Host",
    intro: "`machine.host` with `kind: nested`.",
    keys: &[
        default(
            "nic",
            Kind::Choice(&["virtio-net", "igb", "e1000e"]),
            "igb",
            "The host's NIC. igb has virtual functions.",
        ),
        optional(
            "iommu",
            Kind::Shape("none, off, pt, lazy or strict, or a map, see *IOMMU*"),
            "strict",
            "The emulated Intel IOMMU of the host. Its mode governs what the host's own drivers map, as with a guest on `virtio-net`; a \
             device that is passed through is in a domain of VFIO's.",
        ),
        default(
            "scalable-mode",
            Kind::Flag,
            "false",
            "QEMU's `x-scalable-mode=on`: PASID tables in the place of context entries.",
        ),
        optional(
            "kernel",
            Kind::Text(NAME),
            "the arm's own",
            "An arm of the scenario, whose kernel the host boots: `baseline` for a series that is to be in its guests only.",
        ),
    ],
};

/// The host's guests.
pub(crate) static GUEST_LEVEL: Section = Section {
    title: "Guest of the host",
    intro: "`machine.guest` with `kind: nested`.",
    keys: &[
        default(
            "count",
            Kind::Integer { min: 1, max: 2 },
            "1",
            "How many there are. Workloads run in the first.",
        ),
        default("vcpus", Kind::Integer { min: 1, max: 64 }, "1", "Virtual CPUs of each."),
        default(
            "memory",
            Kind::Size { min: 128 * MIB, max: 256 * GIB },
            "768M",
            "Memory of each, whole MiB. VFIO pins all of it.",
        ),
        default(
            "huge-pages",
            Kind::Flag,
            "false",
            "Whether that memory is huge pages of 2 MiB, which the host sets aside before it does anything else. VFIO \
             can map each whole where the IOMMU has large pages.",
        ),
        default(
            "nic",
            Kind::Choice(&["passthrough", "virtual-function", "virtio-net"]),
            "passthrough",
            "The host's NIC itself by VFIO; a virtual function of it for each guest (SR-IOV); or virtio-net on a bridge with the \
             host's NIC.",
        ),
        optional(
            "via",
            Kind::Choice(&["container", "iommufd"]),
            "iommufd",
            "VFIO's interface: group and container, or the device's own file and iommufd. Only for what is passed through.",
        ),
        optional(
            "iommu",
            Kind::Choice(&["off", "shadow-strict", "shadow-lazy", "nested"]),
            "off",
            "The IOMMU that the guest sees in front of what is passed through. `shadow`: caching mode, its QEMU copies each mapping into \
             VFIO's domain; caching mode makes 6.12 turn lazy into strict, and the mode that the guest really has is read back and \
             recorded. `nested` is unavailable: QEMU's emulated VT-d has no nested translation.",
        ),
        optional(
            "kernel",
            Kind::Text(NAME),
            "the arm's own",
            "An arm of the scenario, whose kernel they boot.",
        ),
    ],
};

/// The guest outside.
pub(crate) static PEER_LEVEL: Section = Section {
    title: "Peer",
    intro: "`machine.peer` with `kind: nested`: a guest with one vCPU and 512 MiB.",
    keys: &[
        default("nic", Kind::Choice(&["virtio-net", "igb", "e1000e"]), "virtio-net", "Its NIC."),
        optional(
            "kernel",
            Kind::Text(NAME),
            "the arm's own",
            "An arm of the scenario, whose kernel it boots.",
        ),
    ],
};
