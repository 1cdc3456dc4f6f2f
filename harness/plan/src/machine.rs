//! Where kernels boot.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{ImportedMachine, NestedMachine};

/// Where an arm boots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Machine {
    /// Guests of QEMU on this host.
    Qemu(QemuMachine),
    /// Guests within a guest: a host under test that is itself a guest of QEMU here, the guests that it runs with KVM, and a
    /// peer outside.
    Nested(NestedMachine),
    /// Replays canned tool output; everything it yields carries the provenance `fake`.
    Fake(FakeMachine),
    /// Somebody else's, long ago: its numbers were imported, and nothing can be booted.
    Imported(ImportedMachine),
}

/// Guests of QEMU. With two guests, both have this shape; the fields `server` and `client` tell their NICs apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QemuMachine {
    /// How instructions are executed.
    pub accel: Accel,
    /// The CPU that the guest sees.
    pub cpu: CpuModel,
    /// Virtual CPUs of each guest, 1 to 64.
    pub vcpus: u32,
    /// Memory of each guest in MiB.
    pub memory_mib: u32,
    /// Guests, NICs and how they are joined.
    pub topology: Topology,
    /// What is set inside the guest before workloads start.
    pub knobs: Knobs,
}

/// How a guest's instructions are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accel {
    /// KVM where a tiny guest has really run there, otherwise TCG; the one that was chosen is recorded.
    Auto,
    /// KVM, or an infrastructure error.
    Kvm,
    /// QEMU's software emulation.
    Tcg,
}

/// The CPU that a guest sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CpuModel {
    /// `-cpu max`: all that the accelerator can do.
    Max,
    /// `-cpu host`; KVM only.
    Host,
}

/// Guests and NICs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "shape", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Topology {
    /// One guest; server and client talk over its loopback device.
    Loopback,
    /// One guest with two NICs, each in a network namespace of its own, joined by QEMU's hub, or by zcsim's wire.
    TwoNamespaces {
        /// The server's NIC.
        server: Nic,
        /// The client's NIC.
        client: Nic,
    },
    /// Two guests joined by a unix-socket wire.
    TwoGuests {
        /// The server guest's NIC.
        server: Nic,
        /// The client guest's NIC.
        client: Nic,
    },
}

/// A NIC and the IOMMU in front of it. Within one guest both NICs must name the same IOMMU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nic {
    /// The emulated model.
    pub model: NicModel,
    /// The guest's IOMMU.
    pub iommu: Iommu,
    /// Bytes, 68 to 9000.
    pub mtu: u32,
}

/// Emulated NIC models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NicModel {
    /// virtio-net over PCI.
    VirtioNet,
    /// Intel 82576, `igb`.
    Igb,
    /// Intel 82574, `e1000e`.
    E1000e,
    /// The pair of software NICs of `patches/zcsim`, made inside the guest: QEMU emulates nothing.
    Zcsim,
}

/// An emulated Intel IOMMU and the mode that the guest is asked to use it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Iommu {
    /// The mode asked for. The mode that the guest really has is read back and recorded with every sample.
    pub mode: IommuMode,
    /// `caching-mode=on`: QEMU tells the guest that absent entries may be cached. Turns `lazy` into `strict` on 6.12.
    pub caching_mode: bool,
}

/// How the guest uses its IOMMU, with the kernel parameters of domain knowledge: `drivers/iommu/intel/iommu.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IommuMode {
    /// No IOMMU device at all.
    None,
    /// The device is there; `intel_iommu=off`.
    Off,
    /// `intel_iommu=on iommu=pt`: identity domains.
    Pt,
    /// `intel_iommu=on iommu.passthrough=0 iommu.strict=0`: `DMA-FQ` domains.
    Lazy,
    /// `intel_iommu=on iommu.passthrough=0 iommu.strict=1`: `DMA` domains.
    Strict,
}

/// What is set inside a guest before workloads start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Knobs {
    /// `net.ipv4.tcp_rmem` and the like; set in every namespace that has the key.
    pub sysctls: BTreeMap<String, String>,
    /// Descriptors of each receive queue of both ends' NICs; the driver's own number if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<u32>,
    /// Between two zcsim devices, in both directions.
    #[serde(default, skip_serializing_if = "Wire::is_ideal")]
    pub wire: Wire,
}

/// The wire between two zcsim devices, each direction alike (`drivers/net/zcsim/zcsim_debugfs.c`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wire {
    /// Bits in a second; 0 is no limit.
    pub rate_bps: u64,
    /// Nanoseconds from the end of a frame's transmission to its arrival.
    pub delay_ns: u64,
    /// Frames that are lost, of a million.
    pub loss_ppm: u32,
}

impl Wire {
    /// Whether it is as the driver makes it: no limit, no delay, no losses.
    #[must_use]
    pub fn is_ideal(&self) -> bool {
        *self == Self::default()
    }
}

/// Canned output in place of a machine: for tests of everything around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FakeMachine {
    /// Absolute path of the script (see `machine::fake`).
    pub script: PathBuf,
}

impl Machine {
    /// Whether its NICs are zcsim's.
    #[must_use]
    pub fn has_zcsim(&self) -> bool {
        matches!(
            self,
            Self::Qemu(QemuMachine { topology: Topology::TwoNamespaces { server, .. }, .. })
                if server.model == NicModel::Zcsim
        )
    }

    /// Guests that are booted for one trial, those within guests among them.
    #[must_use]
    pub fn guests(&self) -> u32 {
        match self {
            Self::Qemu(QemuMachine { topology: Topology::TwoGuests { .. }, .. }) => 2,
            Self::Qemu(_) | Self::Fake(_) | Self::Imported(_) => 1,
            Self::Nested(nested) => 2 + nested.guest.count,
        }
    }
}
