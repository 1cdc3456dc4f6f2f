//! Guests within a guest.

use serde::{Deserialize, Serialize};

use crate::{Accel, Iommu, IommuMode, Knobs, NicModel};

/// A host under test, which is a guest of QEMU here; the guests that it runs with KVM; and a peer outside, on the host's wire.
///
/// Levels are named by what they are: `host` (L1), `server` (its guest, L2, where workloads serve), `neighbour` (another guest of
/// the same shape, where there are two), `client` (the peer). What runs on this machine below them is L0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NestedMachine {
    /// How L0 executes the host's and the peer's instructions. TCG emulates AMD's SVM, so that KVM works in the host.
    pub accel: Accel,
    /// The host's virtual CPUs, 1 to 64.
    pub vcpus: u32,
    /// The host's memory in MiB; that of its guests is within.
    pub memory_mib: u32,
    /// The host's devices.
    pub host: HostLevel,
    /// The host's guests.
    pub guest: InnerGuest,
    /// The peer's NIC.
    pub peer: NicModel,
    /// As [`HostLevel::kernel`], of the peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_kernel: Option<String>,
    /// Of every NIC on the wire, in bytes, 68 to 9000.
    pub mtu: u32,
    /// What is set at both ends before workloads start, and in the host.
    pub knobs: Knobs,
}

/// What the host has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostLevel {
    /// Its NIC.
    pub nic: NicModel,
    /// The IOMMU in front of its NIC. Its mode governs what the host's own drivers map.
    pub iommu: Iommu,
    /// `x-scalable-mode=on`: PASID tables in the place of context entries.
    pub scalable_mode: bool,
    /// The side, by its name in the scenario file, whose kernel it boots; its own arm's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
}

/// Guests of the host, all of one shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InnerGuest {
    /// 1 or 2. Workloads run in the first.
    pub count: u32,
    /// Virtual CPUs of each, 1 to 64.
    pub vcpus: u32,
    /// Memory of each in MiB. VFIO pins all of it.
    pub memory_mib: u32,
    /// Whether the host's huge pages of 2 MiB are their memory: VFIO can map each whole where the IOMMU has large pages.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub huge_pages: bool,
    /// How they reach the host's wire.
    pub link: InnerLink,
    /// As [`HostLevel::kernel`], of all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
}

/// How a guest of the host reaches the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "nic", rename_all = "kebab-case", deny_unknown_fields)]
pub enum InnerLink {
    /// A function of the host's NIC is the guest's own, by VFIO. It lives in a domain of VFIO's: the mode of the host's
    /// IOMMU says nothing about it.
    Passthrough {
        /// Which function.
        function: PciFunction,
        /// Which of VFIO's interfaces maps the guest's memory.
        via: Vfio,
        /// The IOMMU that the guest sees.
        iommu: GuestIommu,
    },
    /// virtio-net on a tap device, which a bridge joins to the host's NIC. That one the host drives.
    VirtioNet,
}

/// A function of the host's NIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PciFunction {
    /// The NIC itself. The host then has none.
    Physical,
    /// A virtual function (SR-IOV) for each guest; the host keeps the NIC.
    Virtual,
}

/// VFIO's two interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vfio {
    /// `/dev/vfio/GROUP` and the type 1 container (`drivers/vfio/vfio_iommu_type1.c`).
    Container,
    /// The device's own file and `/dev/iommu` (`drivers/vfio/device_cdev.c`).
    Iommufd,
}

/// The IOMMU that a guest sees in front of a device that is passed through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestIommu {
    /// None: all of the guest's memory is mapped once.
    Off,
    /// `intel-iommu` with caching mode, from which the guest's QEMU copies each mapping into VFIO's domain; the guest is asked to
    /// be strict.
    ShadowStrict,
    /// The same, and the guest is asked to be lazy. Caching mode makes some kernels strict all the same.
    ShadowLazy,
}

impl GuestIommu {
    /// The mode that the guest's kernel is asked for.
    #[must_use]
    pub fn mode(self) -> IommuMode {
        match self {
            Self::Off => IommuMode::None,
            Self::ShadowStrict => IommuMode::Strict,
            Self::ShadowLazy => IommuMode::Lazy,
        }
    }
}

impl InnerLink {
    /// The IOMMU that the guest sees.
    #[must_use]
    pub fn iommu(&self) -> GuestIommu {
        match self {
            Self::Passthrough { iommu, .. } => *iommu,
            Self::VirtioNet => GuestIommu::Off,
        }
    }
}

impl NestedMachine {
    /// Levels that boot another side's kernel than their own arm's: the guest's name (of guests within, the first one's), and the side.
    #[must_use]
    pub fn other_kernels(&self) -> Vec<(&'static str, &str)> {
        let levels =
            [("host", &self.host.kernel), ("server", &self.guest.kernel), ("client", &self.peer_kernel)];
        levels.into_iter().filter_map(|(level, kernel)| Some((level, kernel.as_deref()?))).collect()
    }

    /// The side whose kernel the guest called `guest` boots; none for its own arm's.
    #[must_use]
    pub fn kernel_of(&self, guest: &str) -> Option<&str> {
        let level = if guest == "neighbour" { "server" } else { guest };
        self.other_kernels().into_iter().find(|(name, _)| *name == level).map(|(_, side)| side)
    }

    /// The IOMMUs that its levels are asked for, by the names of the levels: `host`, `server`.
    #[must_use]
    pub fn iommus(&self) -> Vec<(&'static str, Iommu)> {
        let guest = self.guest.link.iommu();
        let inner = Iommu { mode: guest.mode(), caching_mode: guest != GuestIommu::Off };
        vec![("host", self.host.iommu), ("server", inner)]
    }

    /// Those of [`NestedMachine::iommus`] whose mode governs a NIC that workloads use: a function that is passed through whole
    /// is in no domain of the host's own.
    #[must_use]
    pub fn governed(&self) -> Vec<(&'static str, Iommu)> {
        let whole = matches!(self.guest.link, InnerLink::Passthrough { .. });
        self.iommus().into_iter().filter(|(level, _)| !(whole && *level == "host")).collect()
    }
}
