//! Guests within a guest: a host that QEMU runs here, guests that it runs with KVM, and a peer outside.
//!
//! Composition, and no machine of its own: the host and the peer are two guests on a wire, as always; the guests within are
//! processes in the host ([`crate::relay`]). The host sees of this machine's files the disks that it is given and nothing else:
//! its root, QEMU's own folder, and the kernel and initramfs of its guests.

mod bridge;
mod command;
mod huge;
mod supplies;
mod vfio;

use std::{collections::BTreeMap, time::Instant};

use measure::CrashReport;
use plan::{CpuModel, InnerLink, Iommu, IommuMode, NestedMachine, Nic, PciFunction, QemuMachine, Topology};

use crate::{
    Boot, BootEnd, MachineError, World,
    facts::{self, GuestNic},
    guest::{Guest, Trouble, ready},
    network::{Layout, Place},
    qemu::{self, CLIENT_MAC, Planned, PoweredOn, Role, SERVER_MAC},
    relay, running,
    session::{ANSWER_DEADLINE, Manner},
    tsc,
};

use command::Inner;
use supplies::Supplies;

/// Positions among the guests; the host is the first.
const CLIENT: usize = 1;
const FIRST_WITHIN: usize = 2;

/// The peer only sends and receives.
const PEER_MEMORY_MIB: u32 = 512;

/// How much longer than other guests these levels may take until they answer where the host is emulated: on a machine with nine times more to
/// do than it could, hosts with two virtual CPUs took more than 90 s, most of it waiting for each other's (`smp_call_function_many_cond`).
const EMULATED_PATIENCE: u32 = 3;

/// The guests within, by their names and the addresses of their NICs; a NIC that is passed through whole keeps its own.
const WITHIN: [(&str, &str); 2] = [("server", "52:54:00:00:00:11"), ("neighbour", "52:54:00:00:00:12")];

/// What the host has lent its guests, and what became of its NIC by that.
#[derive(Debug)]
pub(crate) struct Nest {
    bindings: vfio::Bindings,
    /// The guest that is beside the two ends.
    pub(crate) neighbour: Option<Place>,
    /// By interface, what the host's NIC is behind; it may be nobody's interface any more.
    known: BTreeMap<String, String>,
}

impl Nest {
    /// What is known of a guest's interfaces that cannot be read from it any more.
    pub(crate) fn known_of(&self, guest: &str) -> BTreeMap<String, String> {
        if guest == Role::Host.name() { self.known.clone() } else { BTreeMap::new() }
    }

    /// Gives the host back what its guests had. They must be gone. The error is the host's kernel's doing.
    pub(crate) async fn take_back(&self, host: &Guest) -> Result<(), CrashReport> {
        self.bindings.take_back(host).await
    }
}

/// Boots all levels, the host and the peer side by side, and then its guests within the host.
pub(crate) async fn boot(boot: &Boot<'_>, nested: &NestedMachine) -> Result<BootEnd, MachineError> {
    if *boot.world != World::Open {
        return Ok(BootEnd::NotTestable("a world of several guests cannot be closed".into()));
    }
    let inner_files = boot.files.with_kernel_of(boot.levels.guest);
    let supplies = Supplies::of(&inner_files)?;
    let host_files = supplies.host_files(&boot.files.with_kernel_of(boot.levels.host));
    let peer_files = boot.files.with_kernel_of(boot.levels.peer);
    let began = Instant::now();
    let [host, peer] = outer(nested);
    let execution = qemu::choose(&host, boot.host)?;
    let patience = if execution.name() == "tcg" { EMULATED_PATIENCE } else { 1 };
    let boot = &Boot { deadline: boot.deadline.saturating_mul(patience), ..*boot };
    // Kernels that boot side by side under emulation may measure it wrong by any factor, and with it all time within.
    let tsc_khz = if execution.name() == "tcg" { tsc::khz().await } else { None };
    let scalable_mode = nested.host.scalable_mode;
    let planned = [
        Planned { role: Role::Host, machine: &host, files: &host_files, scalable_mode, tsc_khz },
        Planned { role: Role::Client, machine: &peer, files: &peer_files, scalable_mode: false, tsc_khz },
    ];
    let PoweredOn { mut guests, folder, .. } = match qemu::power_on(boot, &planned, execution).await? {
        Ok(on) => on,
        Err(end) => return Ok(end),
    };
    let raised = {
        let [host, ..] = guests.as_slice() else { unreachable!("both were planned") };
        tokio::select! {
            biased;
            crashed = running::crashed(&guests) => Err(crashed.map_or_else(Trouble::Failed, Trouble::Crashed)),
            raised = raise(boot, nested, &supplies, host) => raised,
        }
    };
    match raised {
        Ok((within, nest)) => {
            guests.extend(within);
            let server = Place { guest: FIRST_WITHIN, netns: None, mac: mac(nested, 0), mtu: nested.mtu };
            let client = Place { guest: CLIENT, netns: None, mac: CLIENT_MAC, mtu: nested.mtu };
            let booted = running::Booted {
                guests,
                layout: Layout::Wired { server, client },
                took: began.elapsed(),
                traced: boot.traced,
                shares: &boot.attachments.shares,
                perturb: None,
                nest: Some(nest),
                folder,
            };
            running::bring_up(booted, &nested.knobs).await
        }
        Err(trouble) => {
            running::kill_all(&guests).await?;
            trouble.end()
        }
    }
}

/// The host and its peer as two guests on a wire.
pub(crate) fn outer(nested: &NestedMachine) -> [QemuMachine; 2] {
    let no_iommu = Iommu { mode: IommuMode::None, caching_mode: false };
    let server = Nic { model: nested.host.nic, iommu: nested.host.iommu, mtu: nested.mtu };
    let client = Nic { model: nested.peer, iommu: no_iommu, mtu: nested.mtu };
    let machine = |vcpus, memory_mib| QemuMachine {
        accel: nested.accel,
        cpu: CpuModel::Max,
        vcpus,
        memory_mib,
        topology: Topology::TwoGuests { server: server.clone(), client: client.clone() },
        knobs: nested.knobs.clone(),
    };
    [machine(nested.vcpus, nested.memory_mib), machine(1, PEER_MEMORY_MIB)]
}

/// The address of the NIC that a guest within has.
fn mac(nested: &NestedMachine, index: usize) -> &'static str {
    match nested.guest.link {
        InnerLink::Passthrough { function: PciFunction::Physical, .. } => SERVER_MAC,
        _ => WITHIN[index].1,
    }
}

/// Everything within the host: what its guests need, the way to their NICs, and they themselves.
async fn raise(
    boot: &Boot<'_>,
    nested: &NestedMachine,
    supplies: &Supplies,
    host: &Guest,
) -> Result<(Vec<Guest>, Nest), Trouble> {
    if nested.guest.huge_pages {
        // First, while memory is in large pieces.
        huge::set_aside(host, &nested.guest).await?;
    }
    supplies.unpack(host).await?;
    let (_, mut nics) = facts::read(host, &[SERVER_MAC]).await?;
    let nic = nics.pop().expect("every NIC was found by its address");
    let count = usize::try_from(nested.guest.count).unwrap_or(WITHIN.len()).min(WITHIN.len());
    let (links, nest) = links(nested, host, &nic, count).await?;
    // Where one does not come up, the host goes, and with it what it has lent.
    let guests = start_all(boot, nested, supplies, host, &links).await?;
    if nested.guest.huge_pages {
        huge::check_used(host).await?;
    }
    Ok((guests, nest))
}

/// How each guest reaches the wire.
pub(crate) enum Link {
    /// A function of the host's that VFIO has.
    Vfio(String),
    /// A tap device of the host's.
    Tap(String),
}

async fn links(
    nested: &NestedMachine,
    host: &Guest,
    nic: &GuestNic,
    count: usize,
) -> Result<(Vec<Link>, Nest), Trouble> {
    let neighbour = (count > 1).then(|| Place {
        guest: FIRST_WITHIN + 1,
        netns: None,
        mac: mac(nested, 1),
        mtu: nested.mtu,
    });
    let mut known = BTreeMap::from([(nic.interface.clone(), nic.iommu.clone())]);
    match nested.guest.link {
        InnerLink::VirtioNet => {
            let taps = bridge::join(host, nic, count, nested.mtu).await?;
            let nest = Nest { bindings: vfio::Bindings::default(), neighbour, known };
            Ok((taps.into_iter().map(Link::Tap).collect(), nest))
        }
        InnerLink::Passthrough { function, via, .. } => {
            let Some(whole) = &nic.function else {
                let message = format!("guest `host`: {} is no PCI function", nic.interface);
                return Err(Trouble::NotTestable(message));
            };
            let bindings = match function {
                PciFunction::Physical => vfio::bind(host, std::slice::from_ref(whole), via).await?,
                PciFunction::Virtual => {
                    let macs: Vec<&str> = (0..count).map(|index| mac(nested, index)).collect();
                    vfio::bind_virtual(host, nic, whole, &macs, nested.mtu, via).await?
                }
            };
            match function {
                PciFunction::Physical => {
                    known = BTreeMap::from([(nic.interface.clone(), bindings.word())]);
                }
                PciFunction::Virtual => {
                    for (index, _) in bindings.functions().enumerate() {
                        known.insert(format!("{}-vf{index}", nic.interface), bindings.word());
                    }
                }
            }
            let links = bindings.functions().map(|function| Link::Vfio(function.to_owned())).collect();
            Ok((links, Nest { bindings, neighbour, known }))
        }
    }
}

/// Starts the guests within side by side, and waits for their agents.
async fn start_all(
    boot: &Boot<'_>,
    nested: &NestedMachine,
    supplies: &Supplies,
    host: &Guest,
    links: &[Link],
) -> Result<Vec<Guest>, Trouble> {
    let mut started = Vec::new();
    for (index, (link, (name, _))) in links.iter().zip(WITHIN).enumerate() {
        let inner = Inner {
            name,
            shape: &nested.guest,
            link,
            mac: mac(nested, index),
            supplies,
            cmdline: boot.cmdline,
            emulated: host.execution != "kvm",
        };
        let (process, stream) = relay::start(name, inner.command(), host, boot.folder).await?;
        started.push((process, stream));
    }
    let deadline = Instant::now() + boot.deadline;
    let mut guests = Vec::new();
    for (process, stream) in started {
        let (session, greeting) = ready(&process, stream, deadline, ANSWER_DEADLINE, Manner::Live).await?;
        guests.push(Guest { process, session, greeting, execution: "kvm", monitor: None, iommu: false });
    }
    Ok(guests)
}
