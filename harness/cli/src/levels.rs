//! `--nested`: a guest within a guest for the user, and on which level commands run.

use anyhow::Context;
use machine::{Running, Session};
use plan::{
    GuestIommu, HostLevel, InnerGuest, InnerLink, Iommu, IommuMode, Knobs, Machine, NestedMachine, NicModel,
    PciFunction, Vfio,
};

use crate::{
    arguments::{GuestFlags, InnerNic, Level},
    failure::Failure,
};

/// What the host has beside its guest's memory, in MiB.
const HOSTS_OWN_MIB: u32 = 1280;

/// The host, its guest and their peer, of which the flags shape the guest.
pub(crate) fn machine(flags: &GuestFlags, nic: InnerNic, memory_mib: u32) -> Machine {
    let passed = |function| InnerLink::Passthrough { function, via: Vfio::Iommufd, iommu: GuestIommu::Off };
    let link = match nic {
        InnerNic::Passthrough => passed(PciFunction::Physical),
        InnerNic::VirtualFunction => passed(PciFunction::Virtual),
        InnerNic::VirtioNet => InnerLink::VirtioNet,
    };
    Machine::Nested(NestedMachine {
        accel: flags.accel.into(),
        vcpus: 2.max(flags.vcpus),
        memory_mib: memory_mib + HOSTS_OWN_MIB,
        host: HostLevel {
            nic: NicModel::Igb,
            iommu: Iommu { mode: IommuMode::Strict, caching_mode: false },
            scalable_mode: false,
            kernel: None,
        },
        guest: InnerGuest { count: 1, vcpus: flags.vcpus, memory_mib, huge_pages: false, link, kernel: None },
        peer: NicModel::VirtioNet,
        peer_kernel: None,
        mtu: 1500,
        knobs: Knobs::default(),
    })
}

/// The name of the guest that the flags are about.
pub(crate) fn name(flags: &GuestFlags) -> &'static str {
    match (flags.nested, flags.level) {
        (None, _) => "guest",
        (Some(_), Level::Guest) => "server",
        (Some(_), Level::Host) => "host",
        (Some(_), Level::Peer) => "client",
    }
}

/// Where its commands go.
pub(crate) fn session(running: &Running, level: Level) -> Result<&Session, Failure> {
    match level {
        Level::Peer => Ok(running.client().session),
        Level::Guest => Ok(running.server().session),
        Level::Host => {
            let carriers = running.carriers();
            let (_, session) = carriers.first().context("only a nested machine has a host within")?;
            Ok(session)
        }
    }
}
