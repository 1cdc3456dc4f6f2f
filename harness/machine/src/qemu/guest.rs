//! Starting guests, and waiting for their agents.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use measure::CrashKind;
use plan::{Accel, CpuModel, Nic, NicModel, QemuMachine, Topology};
use subprocess::RunAs;
use tokio::sync::watch;

use super::{
    Qemu,
    args::{CLIENT_MAC, Execution, GuestSpec, Role, SERVER_MAC, Sockets},
    hang,
    monitor::Monitor,
};
use crate::{
    Attachments, Boot, BootEnd, BootFiles, Host, MachineError, World,
    attachments::{debugger_folder, debugger_socket},
    guest::{Guest, Trouble, of_fate, ready},
    kvm,
    network::{Layout, Place},
    process::{OnCrash, Process, Socket, socket_folder, socket_path},
    running,
    session::{ANSWER_DEADLINE, Manner},
    tsc, world,
};

/// QEMU makes its devices and answers its monitor in a fraction of a second; this bounds a host that swaps.
const MONITOR_DEADLINE: Duration = Duration::from_secs(30);

/// No deadline, in effect, but one that can be added to an instant: a debugger may hold the guest for days.
const HELD: Duration = Duration::from_secs(365 * 86_400);

/// One guest that QEMU is to run here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned<'a> {
    pub(crate) role: Role,
    /// Its own shape, and the NICs of all.
    pub(crate) machine: &'a QemuMachine,
    pub(crate) files: &'a BootFiles,
    /// Whether its IOMMU has PASID tables.
    pub(crate) scalable_mode: bool,
    /// The rate of its TSC, if it is to be told and not to measure it.
    pub(crate) tsc_khz: Option<u32>,
}

/// Guests whose agents answer, in the order in which they were planned.
pub(crate) struct PoweredOn {
    pub(crate) guests: Vec<Guest>,
    /// From power-on until every agent had answered.
    pub(crate) took: Duration,
    /// Of their sockets.
    pub(crate) folder: tempfile::TempDir,
}

/// Boots the guests of a machine.
pub(crate) async fn boot(boot: &Boot<'_>, machine: &QemuMachine) -> Result<BootEnd, MachineError> {
    let execution = choose(machine, boot.host)?;
    if let Some(why) = unfit(boot, machine, execution) {
        return Ok(BootEnd::NotTestable(format!("its world cannot be closed: {why}")));
    }
    let roles: &[Role] = match machine.topology {
        Topology::TwoGuests { .. } => &[Role::Server, Role::Client],
        Topology::Loopback | Topology::TwoNamespaces { .. } => &[Role::Only],
    };
    // A kernel that boots under emulation on a busy host may measure it wrong by any factor, and takes that for the truth (arch/x86/kernel/tsc.c,
    // pit_hpet_ptimer_calibrate_cpu): a second in the guest was then a tenth of one, and so were its throughputs. Where a world is closed, time is
    // counted and not measured.
    let is_emulated = execution.name() == "tcg" && *boot.world == World::Open;
    let tsc_khz = if is_emulated { tsc::khz().await } else { None };
    let planned = |&role: &Role| Planned { role, machine, files: boot.files, scalable_mode: false, tsc_khz };
    let planned: Vec<Planned<'_>> = roles.iter().map(planned).collect();
    match power_on(boot, &planned, execution).await? {
        Ok(PoweredOn { guests, took, folder }) => {
            let booted = running::Booted {
                guests,
                layout: layout(&machine.topology),
                took,
                traced: boot.traced,
                shares: &boot.attachments.shares,
                perturb: boot.world.perturb(),
                nest: None,
                folder,
            };
            running::bring_up(booted, &machine.knobs).await
        }
        Err(end) => Ok(end),
    }
}

/// Starts guests one after the other, and waits until all their agents answer. The first is the one that listens on the wire.
/// Where one does not come up, none is left.
pub(crate) async fn power_on(
    boot: &Boot<'_>,
    planned: &[Planned<'_>],
    execution: Execution,
) -> Result<Result<PoweredOn, BootEnd>, MachineError> {
    let qemu = boot.host.qemu.as_ref().ok_or(MachineError::NoQemu)?;
    let sockets = socket_folder(boot.runtime)?;
    if boot.attachments.debugger.is_some() {
        debugger_folder(boot.runtime)?;
    }
    let began = Instant::now();
    let mut starting = Starting { boot, qemu, execution, sockets: sockets.path(), guests: Vec::new() };
    let started = match starting.start_all(planned).await {
        Ok(()) => starting.all_ready(began + starting.boot_deadline()).await,
        Err(trouble) => Err(trouble),
    };
    let took = began.elapsed();
    let trouble = match started {
        Ok(ready) => {
            let guests = starting.guests.into_iter().zip(ready);
            let guests = guests.map(|(guest, (session, greeting))| Guest {
                process: guest.process,
                session,
                greeting,
                execution: execution.name(),
                monitor: Some(guest.monitor),
                iommu: guest.iommu,
            });
            return Ok(Ok(PoweredOn { guests: guests.collect(), took, folder: sockets }));
        }
        Err(trouble) => trouble,
    };
    let of = |name: &str| starting.guests.iter().find(|guest| guest.process.name() == name);
    let trouble = match trouble {
        Trouble::Crashed(report) => match of(&report.guest) {
            Some(guest) => hang::explained(&guest.process, Some(&guest.monitor), report)
                .await
                .map_or_else(Trouble::Failed, Trouble::Crashed),
            None => Trouble::Crashed(report),
        },
        other => other,
    };
    for guest in &starting.guests {
        guest.process.kill().await?;
    }
    trouble.end().map(Err)
}

/// Why a world cannot be closed around this machine.
fn unfit(boot: &Boot<'_>, machine: &QemuMachine, execution: Execution) -> Option<&'static str> {
    let nics: &[&Nic] = match (boot.world, &machine.topology) {
        (World::Open, _) => return None,
        (_, Topology::TwoGuests { .. }) => {
            return Some("two guests reach each other when their hosts let them");
        }
        (_, Topology::TwoNamespaces { server, client }) => &[server, client],
        (_, Topology::Loopback) => &[],
    };
    if matches!(boot.world, World::Closed(_)) && execution == Execution::Kvm {
        return Some("a processor does not count a guest's instructions as a clock: `accel: tcg`");
    }
    if machine.vcpus > 1 {
        return Some("several vCPUs are not exact: two boots differed by some thousand instructions");
    }
    if !boot.files.disks.is_empty() {
        return Some("it has disks, and reading one takes the host's time");
    }
    if *boot.attachments != Attachments::default() {
        return Some("it shares folders with the host, or waits for a debugger");
    }
    nics.iter().find_map(|nic| match nic.model {
        NicModel::E1000e | NicModel::Zcsim => None,
        NicModel::Igb => Some("igb is not exact: one run in three differed; e1000e is"),
        NicModel::VirtioNet => Some("virtio-net sends when the host's thread gets to it; e1000e is exact"),
    })
}

/// Settles how instructions are executed.
pub(crate) fn choose(machine: &QemuMachine, host: &Host) -> Result<Execution, MachineError> {
    let execution = match (machine.accel, &host.kvm) {
        (Accel::Tcg, _) | (Accel::Auto, Err(_)) => Execution::Tcg,
        (Accel::Auto | Accel::Kvm, Ok(())) => Execution::Kvm,
        (Accel::Kvm, Err(why)) => return Err(MachineError::NoKvm { why: why.clone() }),
    };
    if machine.cpu == CpuModel::Host && execution == Execution::Tcg {
        let why = host.kvm.as_ref().err().cloned().unwrap_or_else(|| "the plan says so".into());
        return Err(MachineError::HostCpuWithoutKvm { why });
    }
    Ok(execution)
}

/// Where server and client are.
fn layout(topology: &Topology) -> Layout {
    match topology {
        Topology::Loopback => Layout::Loopback,
        Topology::TwoNamespaces { server, client } => {
            let zcsim = server.model == NicModel::Zcsim;
            let server = Place { guest: 0, netns: Some("server"), mac: SERVER_MAC, mtu: server.mtu };
            let client = Place { guest: 0, netns: Some("client"), mac: CLIENT_MAC, mtu: client.mtu };
            if zcsim { Layout::Zcsim { server, client } } else { Layout::Wired { server, client } }
        }
        Topology::TwoGuests { server, client } => Layout::Wired {
            server: Place { guest: 0, netns: None, mac: SERVER_MAC, mtu: server.mtu },
            client: Place { guest: 1, netns: None, mac: CLIENT_MAC, mtu: client.mtu },
        },
    }
}

/// A guest whose QEMU has made its devices.
struct Started {
    process: Process,
    monitor: Monitor,
    agent: tokio::sync::Mutex<Option<Socket>>,
    iommu: bool,
}

struct Starting<'a> {
    boot: &'a Boot<'a>,
    qemu: &'a Qemu,
    execution: Execution,
    sockets: &'a Path,
    guests: Vec<Started>,
}

impl Starting<'_> {
    /// The server's QEMU first: when its monitor answers, it listens on the wire that the client's connects to. The two
    /// kernels then boot side by side.
    async fn start_all(&mut self, planned: &[Planned<'_>]) -> Result<(), Trouble> {
        for planned in planned {
            let started = self.start(planned).await?;
            self.guests.push(started);
        }
        Ok(())
    }

    async fn start(&self, planned: &Planned<'_>) -> Result<Started, Trouble> {
        let Planned { role, machine, files, scalable_mode, tsc_khz } = *planned;
        let name = role.name();
        let agent = Socket::listen(self.sockets, &format!("{name}.agent"))?;
        let monitor = Socket::listen(self.sockets, &format!("{name}.qmp"))?;
        let wire = socket_path(self.sockets, "wire")?;
        let debugger = debugger_socket(self.boot.runtime, name);
        let packed = match self.boot.world {
            World::Open => None,
            World::Rehearsal => Some(world::pack(self.sockets, self.boot.files, None, 0)?),
            World::Closed(closed) => {
                if let Some(counting) = &closed.counting {
                    world::lend(counting, self.sockets)?;
                }
                let layout = closed.perturbation.layout_kib;
                Some(world::pack(self.sockets, self.boot.files, Some(&closed.played()), layout)?)
            }
        };
        let spec = GuestSpec {
            world: self.boot.world,
            packed: packed.as_deref(),
            machine,
            scalable_mode,
            tsc_khz,
            role,
            execution: self.execution,
            firmware: self.qemu.firmware(),
            cmdline: self.boot.cmdline,
            files,
            attachments: self.boot.attachments,
            sockets: Sockets {
                agent: agent.path(),
                monitor: monitor.path(),
                wire: &wire,
                debugger: &debugger,
            },
        };
        let iommu = spec.iommu().is_some();
        let user = match self.execution {
            Execution::Kvm => kvm::user(),
            Execution::Tcg => RunAs::Unprivileged,
        };
        let tool = self.qemu.tool().args(spec.arguments()).run_as(user);
        let (stops, stopped) = watch::channel(None);
        let Boot { folder, supervisor, .. } = *self.boot;
        let process = Process::start(name, tool, folder, supervisor, self.on_crash(), stopped).await?;
        let connecting = async { Monitor::establish(name, monitor.accept().await?, stops).await };
        let monitor = tokio::select! {
            biased;
            fate = process.ended() => Err(of_fate(&process, fate)),
            connected = tokio::time::timeout(MONITOR_DEADLINE, connecting) => match connected {
                Ok(connected) => connected.map_err(Trouble::Failed),
                Err(_elapsed) => Err(Trouble::Failed(MachineError::Deadline {
                    awaited: format!("the monitor of guest `{name}`"),
                    after: MONITOR_DEADLINE,
                })),
            },
        };
        match monitor {
            Ok(monitor) => {
                Ok(Started { process, monitor, agent: tokio::sync::Mutex::new(Some(agent)), iommu })
            }
            Err(trouble) => {
                // A monitor that broke mostly means that the process is on its way out, with the better words.
                let trouble =
                    match (trouble, tokio::time::timeout(Duration::from_secs(2), process.ended()).await) {
                        (Trouble::Failed(MachineError::Monitor { .. }), Ok(fate)) => of_fate(&process, fate),
                        (trouble, _) => trouble,
                    };
                process.kill().await?;
                Err(trouble)
            }
        }
    }

    /// Whoever has a debugger looks at a crash for as long as they like.
    fn on_crash(&self) -> OnCrash {
        if self.boot.attachments.debugger.is_some() { OnCrash::Stays } else { OnCrash::Ends }
    }

    fn boot_deadline(&self) -> Duration {
        if self.boot.attachments.debugger.is_some() { HELD } else { self.boot.deadline }
    }

    fn patience(&self) -> Duration {
        if self.boot.attachments.debugger.is_some() { Duration::MAX } else { ANSWER_DEADLINE }
    }

    fn manner(&self) -> Manner {
        match self.boot.world {
            World::Open => Manner::Live,
            World::Rehearsal => Manner::Written,
            World::Closed(closed) => Manner::Played(closed.played()),
        }
    }

    /// Waits for all agents. The first guest that does not come up ends the wait.
    async fn all_ready(&self, deadline: Instant) -> Result<Vec<Ready>, Trouble> {
        match self.guests.as_slice() {
            [only] => Ok(vec![only.ready(deadline, self.patience(), self.manner()).await?]),
            [server, client] => {
                let patience = self.patience();
                let (server, client) = tokio::try_join!(
                    server.ready(deadline, patience, Manner::Live),
                    client.ready(deadline, patience, Manner::Live)
                )?;
                Ok(vec![server, client])
            }
            _ => unreachable!("a machine has one guest or two"),
        }
    }
}

type Ready = (crate::Session, crate::session::Greeting);

impl Started {
    async fn ready(&self, deadline: Instant, patience: Duration, manner: Manner) -> Result<Ready, Trouble> {
        let socket = self.agent.lock().await.take().expect("an agent is awaited once");
        // QEMU connected while it made its devices, so this does not wait for the guest.
        let accepting = tokio::time::timeout_at(deadline.into(), socket.accept());
        let Ok(stream) = accepting.await else {
            let title = "the machine did not begin to boot before the boot deadline".into();
            return Err(Trouble::Crashed(self.process.report(CrashKind::BootHang, title)));
        };
        ready(&self.process, stream?, deadline, patience, manner).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(accel: Accel, cpu: CpuModel) -> QemuMachine {
        QemuMachine {
            accel,
            cpu,
            vcpus: 1,
            memory_mib: 256,
            topology: Topology::Loopback,
            knobs: plan::Knobs::default(),
        }
    }

    fn host(kvm: Result<(), &str>) -> Host {
        Host { kvm: kvm.map_err(str::to_owned), qemu: None, helper: vec![] }
    }

    #[test]
    fn kvm_is_chosen_where_it_works_and_never_silently_given_up_when_it_was_asked_for() {
        let works = host(Ok(()));
        let broken = host(Err("no vmx"));
        assert_eq!(choose(&machine(Accel::Auto, CpuModel::Max), &works).unwrap(), Execution::Kvm);
        assert_eq!(choose(&machine(Accel::Auto, CpuModel::Max), &broken).unwrap(), Execution::Tcg);
        assert_eq!(choose(&machine(Accel::Tcg, CpuModel::Max), &works).unwrap(), Execution::Tcg);
        let refused = choose(&machine(Accel::Kvm, CpuModel::Max), &broken).unwrap_err();
        assert!(refused.to_string().contains("no vmx"), "{refused}");
        assert!(matches!(
            choose(&machine(Accel::Auto, CpuModel::Host), &broken),
            Err(MachineError::HostCpuWithoutKvm { .. })
        ));
    }
}
