//! From a machine to QEMU's argument list: pure, so that the list can be read in a snapshot.

use std::{ffi::OsString, path::Path};

use plan::{CpuModel, Iommu, IommuMode, Nic, NicModel, QemuMachine, Topology};

use crate::{
    Access, Attachments, BootFiles, ClosedWorld, Counting, Debugger, Root, Share, World,
    attachments::{ROOT_TAG, share_tag},
    world::{COUNTS, MODULES_IMAGE, PLUGIN, ROOT_IMAGE},
};

/// How a guest is executed, decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Execution {
    Kvm,
    Tcg,
}

impl Execution {
    /// As it is recorded.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// What runs before the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Firmware {
    /// Minimal, 0.1 s faster under TCG.
    Qboot,
    /// QEMU's own choice.
    Default,
}

/// Which of a machine's guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The server of two guests.
    Server,
    /// In the place of a server: the host of guests of its own.
    Host,
    /// The client of two guests.
    Client,
    /// The only guest.
    Only,
}

impl Role {
    /// The guest's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Host => "host",
            Self::Client => "client",
            Self::Only => "guest",
        }
    }
}

/// One guest of a machine, with everything decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GuestSpec<'a> {
    pub(crate) world: &'a World,
    /// All that it boots besides its kernel, where it has no disks.
    pub(crate) packed: Option<&'a Path>,
    pub(crate) machine: &'a QemuMachine,
    /// Whether its IOMMU has PASID tables.
    pub(crate) scalable_mode: bool,
    /// The rate of its TSC, if it is to be told and not to measure it.
    pub(crate) tsc_khz: Option<u32>,
    pub(crate) role: Role,
    pub(crate) execution: Execution,
    pub(crate) firmware: Firmware,
    /// The arm's kernel parameters.
    pub(crate) cmdline: &'a [String],
    pub(crate) files: &'a BootFiles,
    pub(crate) attachments: &'a Attachments,
    pub(crate) sockets: Sockets<'a>,
}

/// Unix sockets by their paths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sockets<'a> {
    /// We listen; the agent's port.
    pub(crate) agent: &'a Path,
    /// We listen; QMP.
    pub(crate) monitor: &'a Path,
    /// The server's QEMU listens, the client's connects.
    pub(crate) wire: &'a Path,
    /// QEMU listens, if there is to be a debugger.
    pub(crate) debugger: &'a Path,
}

/// Addresses of the NICs' hardware, from QEMU's own range; how the guest's interfaces are found again.
pub(crate) const SERVER_MAC: &str = "52:54:00:00:00:01";
/// See [`SERVER_MAC`].
pub(crate) const CLIENT_MAC: &str = "52:54:00:00:00:02";

/// What every guest's kernel is told. With a debugger it stays after a panic, to be looked at.
pub(crate) fn base_parameters(debugged: bool) -> Vec<&'static str> {
    vec![
        "console=ttyS0",
        // A panic ends the machine at once (QEMU has -no-reboot), and an oops is a panic: nothing that is measured
        // after it would mean anything.
        if debugged { "panic=0" } else { "panic=-1" },
        "oops=panic",
        // A guest that hangs is sent an NMI, to which the kernel answers with the stack of where it is (`qemu::hang`).
        "unknown_nmi_panic",
        // Warnings too, since a kernel that warns is worth a word; more than that costs time on a serial line.
        "loglevel=5",
        // 256 terminals that nobody opens, 50 ms under TCG.
        "pty.legacy_count=0",
    ]
}

/// For kernels whose time is TCG's.
pub(crate) const EMULATED_TIME: [&str; 2] = ["no_timer_check", "tsc=reliable"];

/// What a local APIC's timer runs at is measured at boot against another clock, twice for 0.1 s (`calibrate_APIC_clock`,
/// arch/x86/kernel/apic/apic.c). Where an instruction is a nanosecond that is 200 million of them, in a loop around PAUSE, which QEMU
/// leaves its translated code for: a third of all the time that a trial of 16 MiB took. Without it a kernel has its ticks from the HPET, whose
/// rate is known. With several processors it is the timer that each has for itself, and stays.
const NO_CALIBRATION: &str = "nolapic_timer";

/// Under emulation a kernel measures its TSC badly at first and better two seconds later. KVM, which has the first figure for
/// its guests, then finds theirs too far off for a processor that cannot scale (`arch/x86/kvm/x86.c`, `kvm_set_tsc_khz`, 250 ppm)
/// and leaves them without a TSC that runs: their timers never fire. What a refinement may change at most is one percent.
const INEXACT_TSC: &str = "kvm.tsc_tolerance_ppm=10000";

/// How a kernel is asked for a mode of its IOMMU.
pub(crate) fn iommu_parameters(mode: IommuMode) -> &'static [&'static str] {
    match mode {
        IommuMode::None => &[],
        IommuMode::Off => &["intel_iommu=off"],
        IommuMode::Pt => &["intel_iommu=on", "iommu=pt"],
        IommuMode::Lazy => &["intel_iommu=on", "iommu.passthrough=0", "iommu.strict=0"],
        IommuMode::Strict => &["intel_iommu=on", "iommu.passthrough=0", "iommu.strict=1"],
    }
}

/// An instruction is a nanosecond, and an idle guest's clock jumps to its next timer.
///
/// It is the main loop that lets it jump, by what is missing to the timer. A vCPU says that it has halted before it says how
/// many instructions it has executed (`helper_hlt`; then `icount_process_data`, accel/tcg/tcg-accel-ops-rr.c), and a main loop that
/// something else has woken in between reads a clock that is behind: the guest's would jump past the timer by all that was
/// executed since the clock was read last. A recording keeps the two apart (`replay_mutex_lock`), and has what a guest writes
/// written whole before the guest goes on (`qemu_chr_write`). Nobody reads it.
const CLOSED_CLOCK: &str = "shift=0,sleep=off,rr=record,rrfile=/dev/null";

/// After all other disks, whose names begin with `/dev/vda`.
const MODULES_SLOT: usize = 0x18;

/// A NIC in one guest.
struct Plugged<'a> {
    id: &'static str,
    mac: &'static str,
    nic: &'a Nic,
}

impl<'a> GuestSpec<'a> {
    fn nics(&self) -> Vec<Plugged<'a>> {
        match (&self.machine.topology, self.role) {
            (Topology::Loopback, _) => vec![],
            // The guest makes them itself.
            (Topology::TwoNamespaces { server, .. }, _) if server.model == NicModel::Zcsim => vec![],
            (Topology::TwoNamespaces { server, client }, _) => vec![
                Plugged { id: "server", mac: SERVER_MAC, nic: server },
                Plugged { id: "client", mac: CLIENT_MAC, nic: client },
            ],
            (Topology::TwoGuests { client, .. }, Role::Client) => {
                vec![Plugged { id: "client", mac: CLIENT_MAC, nic: client }]
            }
            (Topology::TwoGuests { server, .. }, _) => {
                vec![Plugged { id: "server", mac: SERVER_MAC, nic: server }]
            }
        }
    }

    fn closed(&self) -> Option<&'a ClosedWorld> {
        match self.world {
            World::Closed(closed) => Some(closed),
            World::Open | World::Rehearsal => None,
        }
    }

    /// The IOMMU of this guest. All NICs of one guest name the same one.
    pub(crate) fn iommu(&self) -> Option<Iommu> {
        self.nics().first().map(|plugged| plugged.nic.iommu).filter(|iommu| iommu.mode != IommuMode::None)
    }

    /// The kernel's command line: what the machine needs, then what the arm adds.
    pub(crate) fn kernel_parameters(&self) -> String {
        let mut words: Vec<&str> = base_parameters(self.attachments.debugger.is_some());
        // Tells the agent what to make its root.
        let root = match self.attachments.root {
            Root::Image if self.packed.is_some() => format!("assay.root=/{ROOT_IMAGE}"),
            Root::Image => "assay.root=/dev/vda".to_owned(),
            Root::Host => format!("assay.root=9p:{ROOT_TAG}"),
            Root::HostOverlay => format!("assay.root=9p-overlay:{ROOT_TAG}"),
        };
        words.push(&root);
        if self.attachments.debugger.is_some() {
            // A bzImage would otherwise run at another address than its symbols say.
            words.push("nokaslr");
        }
        if self.packed.is_some() {
            // An image in a file can be mounted from a file system that reads folios: ramfs does, tmpfs does not
            // (fs/erofs/super.c, erofs_fc_get_tree). Symbols are where System.map says. The processor's random numbers are the
            // seed's, and at hand at once: a kernel that gathers them from its clock would spend most of a short window on it.
            words.extend(["rootfstype=ramfs", "nokaslr", "random.trust_cpu=on"]);
            if self.machine.vcpus == 1 {
                words.push(NO_CALIBRATION);
            }
        }
        let modules = self.modules_disk();
        words.extend(modules.as_deref());
        if self.execution == Execution::Tcg {
            // Emulated time stands still for a guest whose host is busy. The kernel would then take its timer interrupt
            // for broken, which is a panic where interrupts are remapped, or its TSC for unstable, and change clocks in
            // the middle of a measurement. Kernels under KVM leave out the first check by themselves.
            words.extend(EMULATED_TIME);
            if self.role == Role::Host {
                words.push(INEXACT_TSC);
            }
        }
        let rate = self.tsc_khz.map(|khz| format!("tsc_early_khz={khz}"));
        words.extend(rate.as_deref());
        words.extend(self.iommu().map_or(&[][..], |iommu| iommu_parameters(iommu.mode)));
        words.extend(self.cmdline.iter().map(String::as_str));
        words.join(" ")
    }

    /// QEMU's arguments.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut list = List::default();
        self.platform(&mut list);
        self.boot(&mut list);
        self.channels(&mut list);
        self.attach(&mut list);
        for (index, plugged) in self.nics().into_iter().enumerate() {
            self.nic(&mut list, index, &plugged);
        }
        list.0
    }

    fn platform(&self, list: &mut List) {
        list.flag("-nodefaults").flag("-no-user-config").flag("-no-reboot").option("-display", "none");
        list.option("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
        list.option("-name", self.role.name());
        // Interrupt remapping needs the I/O APIC in QEMU and not in KVM.
        let irqchip = match self.execution {
            Execution::Kvm => ",kernel-irqchip=split",
            Execution::Tcg => "",
        };
        // What no guest of ours uses, and every guest would probe.
        list.option("-machine", format!("q35,smm=off,sata=off,usb=off,vmport=off{irqchip}"));
        // The tables of ACPI hotplug cost 0.1 s of interpreting at every boot under TCG. Native PCIe hotplug is left.
        list.option("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off");
        match self.closed() {
            None => {
                list.option("-accel", self.execution.name());
            }
            Some(ClosedWorld { perturbation, counting, .. }) => {
                list.option("-accel", "tcg,thread=single").option("-icount", CLOSED_CLOCK);
                list.option("-seed", perturbation.seed.to_string())
                    .option("-rtc", "base=2026-01-01,clock=vm");
                if let (Some(Counting { map, sample, .. }), Some(folder)) =
                    (counting, self.sockets.agent.parent())
                {
                    let parts = [
                        ("file=", folder.join(PLUGIN)),
                        (",out=", folder.join(COUNTS)),
                        (",map=", map.clone()),
                    ];
                    let parts = parts.map(|(key, path)| option_path(key, &path));
                    let mut plugin: OsString = parts.into_iter().collect();
                    if let Some(every) = sample {
                        plugin.push(format!(",sample={every}"));
                        plugin.push(option_path(",kernel=", &self.files.kernel));
                    }
                    list.option("-plugin", plugin);
                }
            }
        }
        list.option(
            "-cpu",
            match self.machine.cpu {
                CpuModel::Max => "max",
                CpuModel::Host => "host",
            },
        );
        list.option("-smp", self.machine.vcpus.to_string());
        list.option("-m", format!("{}M", self.machine.memory_mib));
        if let Some(iommu) = self.iommu() {
            let caching = if iommu.caching_mode { ",caching-mode=on" } else { "" };
            let scalable = if self.scalable_mode { ",x-scalable-mode=on" } else { "" };
            // Before every other device: those that come first would not be behind it.
            list.option("-device", format!("intel-iommu,intremap=on{caching}{scalable}"));
        }
    }

    fn boot(&self, list: &mut List) {
        if let Firmware::Qboot = self.firmware {
            list.option("-bios", "qboot.rom");
        }
        list.option("-kernel", &self.files.kernel);
        list.option("-initrd", self.packed.unwrap_or(&self.files.initramfs));
        list.option("-append", self.kernel_parameters());
        if self.packed.is_some() {
            return;
        }
        disk(list, "root", 0x4, &self.files.root_disk);
        // Slots 5 and 6 are taken by the channels. Names follow slots: the root disk is /dev/vda.
        for (slot, path) in (0x10..0x18).zip(&self.files.disks) {
            disk(list, &format!("disk-{slot:x}"), slot, path);
        }
        if let Some(path) = &self.files.modules_disk {
            disk(list, "modules", MODULES_SLOT, path);
        }
    }

    /// Tells the agent which disk, or which file of its initramfs, has the modules.
    fn modules_disk(&self) -> Option<String> {
        self.files.modules_disk.as_ref()?;
        if self.packed.is_some() {
            return Some(format!("assay.modules=/{MODULES_IMAGE}"));
        }
        let name = (b'b'..).nth(self.files.disks.len()).map(char::from)?;
        Some(format!("assay.modules=/dev/vd{name}"))
    }

    fn channels(&self, list: &mut List) {
        // The console: QEMU's standard output. `signal=off` leaves Ctrl-C to the supervisor.
        list.option("-chardev", "stdio,id=console,signal=off").option("-serial", "chardev:console");
        for (id, path) in [("monitor", self.sockets.monitor), ("agent", self.sockets.agent)] {
            let path = option_path("path=", path);
            list.option("-chardev", joined(&format!("socket,id={id},server=off,"), &path));
        }
        list.option("-qmp", "chardev:monitor");
        // With an event descriptor the host's main loop would take up what the guest sends, in the host's time.
        let events = if self.packed.is_some() { ",ioeventfd=off" } else { "" };
        list.option("-device", format!("virtio-serial-pci,addr=0x5,disable-legacy=on,max_ports=2{events}"));
        list.option("-device", format!("virtserialport,chardev=agent,name={}", protocol::PORT_NAME));
        if self.packed.is_none() {
            list.option("-device", "virtio-rng-pci,addr=0x6,disable-legacy=on");
        }
    }

    fn attach(&self, list: &mut List) {
        if self.attachments.root != Root::Image {
            share(list, ROOT_TAG, 0x7, Path::new("/"), Access::ReadOnly);
        }
        for (index, Share { host, access, .. }) in self.attachments.shares.iter().enumerate() {
            share(list, &share_tag(index), 0x8 + index, host, *access);
        }
        if let Some(debugger) = self.attachments.debugger {
            let path = option_path("path=", self.sockets.debugger);
            list.option("-chardev", joined("socket,id=debugger,server=on,wait=off,", &path));
            list.option("-gdb", "chardev:debugger");
            if debugger == Debugger::Wait {
                list.flag("-S");
            }
        }
    }

    fn nic(&self, list: &mut List, index: usize, plugged: &Plugged<'_>) {
        let Plugged { id, mac, nic } = plugged;
        let netdev = match (&self.machine.topology, self.role) {
            (Topology::TwoNamespaces { .. } | Topology::Loopback, _) => {
                OsString::from(format!("hubport,id={id},hubid=0"))
            }
            (Topology::TwoGuests { .. }, role) => {
                let server = if role == Role::Client { "off" } else { "on" };
                let path = option_path("addr.path=", self.sockets.wire);
                joined(&format!("stream,id={id},server={server},addr.type=unix,"), &path)
            }
        };
        list.option("-netdev", netdev);
        if let Some(ClosedWorld { perturbation, .. }) = self.closed()
            && perturbation.link_us > 0
        {
            // Whatever this NIC sends: each direction of the wire has one. Its timer is of the guest's clock (net/filter-buffer.c).
            let interval = perturbation.link_us;
            list.option(
                "-object",
                format!("filter-buffer,id=link-{id},netdev={id},queue=rx,interval={interval}"),
            );
        }
        let slot = index + 2;
        match nic.model {
            NicModel::VirtioNet => {
                // Without `iommu_platform` the device would read and write around the IOMMU.
                let behind = if self.iommu().is_some() { ",iommu_platform=on" } else { "" };
                list.option(
                    "-device",
                    format!("virtio-net-pci,netdev={id},mac={mac},addr={slot:#x},disable-legacy=on{behind},romfile="),
                );
            }
            NicModel::Zcsim => unreachable!("QEMU is asked for no zcsim"),
            NicModel::Igb | NicModel::E1000e => {
                let model = if nic.model == NicModel::Igb { "igb" } else { "e1000e" };
                // A root port each: igb's virtual functions would take other slots' numbers.
                list.option("-device", format!("pcie-root-port,id=port-{id},chassis={slot},addr={slot:#x}"));
                list.option("-device", format!("{model},netdev={id},mac={mac},bus=port-{id},romfile="));
            }
        }
    }
}

/// A read-only image on a virtio disk.
fn disk(list: &mut List, name: &str, slot: usize, path: &Path) {
    let file = option_path("file.filename=", path);
    let node = format!("driver=raw,node-name={name},read-only=on,file.driver=file,");
    list.option("-blockdev", joined(&node, &file));
    list.option("-device", format!("virtio-blk-pci,drive={name},addr={slot:#x},disable-legacy=on"));
}

/// A folder of the host by 9p. QEMU has no privileges: files that the guest makes belong to its user, whatever the guest
/// calls itself (`security_model=none`), and with `remap` folders on several of the host's file systems may be below it.
fn share(list: &mut List, tag: &str, slot: usize, path: &Path, access: Access) {
    let readonly = if access == Access::ReadOnly { ",readonly=on" } else { "" };
    let options = format!("local,id={tag},security_model=none,multidevs=remap{readonly},");
    list.option("-fsdev", joined(&options, &option_path("path=", path)));
    list.option(
        "-device",
        format!("virtio-9p-pci,fsdev={tag},mount_tag={tag},addr={slot:#x},disable-legacy=on"),
    );
}

/// An argument list in the making.
#[derive(Default)]
pub(crate) struct List(pub(crate) Vec<OsString>);

impl List {
    pub(crate) fn flag(&mut self, flag: &str) -> &mut Self {
        self.0.push(flag.into());
        self
    }

    pub(crate) fn option(&mut self, name: &str, value: impl Into<OsString>) -> &mut Self {
        self.0.extend([name.into(), value.into()]);
        self
    }
}

/// `key` and a path in which commas are doubled: QEMU would otherwise end the option there.
fn option_path(key: &str, path: &Path) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut option = key.as_bytes().to_vec();
    for &byte in path.as_os_str().as_bytes() {
        option.push(byte);
        if byte == b',' {
            option.push(byte);
        }
    }
    OsString::from_vec(option)
}

fn joined(first: &str, second: &OsString) -> OsString {
    let mut joined = OsString::from(first);
    joined.push(second);
    joined
}

#[cfg(test)]
mod tests;
