//! A nested machine in words.

use plan::{GuestIommu, InnerLink, NestedMachine, Nic, PciFunction, Vfio};

use crate::{
    describe::{accel, model, nic, ring},
    number,
};

/// The levels of a nested machine, from the outermost.
pub(crate) fn levels(nested: &NestedMachine) -> Vec<String> {
    let NestedMachine { host, guest, .. } = nested;
    let cpus = |count| number::counted(count, "vCPU");
    let scalable = if host.scalable_mode { " in scalable mode" } else { "" };
    let its_nic = Nic { model: host.nic, iommu: host.iommu, mtu: nested.mtu };
    let how_many = if guest.count == 1 { "a guest" } else { "two guests" };
    let link = match &guest.link {
        InnerLink::VirtioNet => "virtio-net, bridged to the host's NIC".to_owned(),
        InnerLink::Passthrough { function, via, iommu } => {
            let function = match function {
                PciFunction::Physical => "the host's NIC",
                PciFunction::Virtual => "a virtual function of the host's NIC",
            };
            let via = match via {
                Vfio::Container => "a VFIO container",
                Vfio::Iommufd => "iommufd",
            };
            let iommu = match iommu {
                GuestIommu::Off => "no IOMMU in the guest",
                GuestIommu::ShadowStrict => "a shadowed IOMMU in the guest, strict",
                GuestIommu::ShadowLazy => "a shadowed IOMMU in the guest, lazy",
            };
            format!("{function} through {via}, {iommu}")
        }
    };
    let mut lines = vec![
        format!(
            "host: a QEMU guest with {} (-cpu max), {} MiB; accel asked for: {}",
            cpus(nested.vcpus),
            nested.memory_mib,
            accel(nested.accel)
        ),
        format!("host {}{scalable}", nic(&its_nic)),
        format!(
            "server: {how_many} of the host's KVM with {}, {} MiB{}: {link}",
            cpus(guest.vcpus),
            guest.memory_mib,
            if guest.huge_pages { " in huge pages of 2 MiB" } else { "" }
        ),
        format!("client: a QEMU guest outside, {}", model(nested.peer)),
    ];
    lines.extend(nested.knobs.ring.map(ring));
    let other = |(level, side): (&str, &str)| format!("{level}: the kernel of {side}");
    lines.extend(nested.other_kernels().into_iter().map(other));
    lines.extend(nested.knobs.sysctls.iter().map(|(key, value)| format!("sysctl {key} = {value}")));
    lines
}
