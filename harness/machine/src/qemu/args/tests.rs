use std::path::Path;

use plan::{Accel, Knobs};

use super::*;

fn nic(model: NicModel, mode: IommuMode, caching_mode: bool) -> Nic {
    Nic { model, iommu: Iommu { mode, caching_mode }, mtu: 1500 }
}

fn machine(topology: Topology) -> QemuMachine {
    QemuMachine {
        accel: Accel::Auto,
        cpu: CpuModel::Max,
        vcpus: 2,
        memory_mib: 512,
        topology,
        knobs: Knobs::default(),
    }
}

/// One option a line.
fn listed(machine: &QemuMachine, role: Role, execution: Execution, files: &BootFiles) -> String {
    listed_with(machine, role, execution, files, &Attachments::default())
}

fn listed_with(
    machine: &QemuMachine,
    role: Role,
    execution: Execution,
    files: &BootFiles,
    attachments: &Attachments,
) -> String {
    listed_in(&World::Open, machine, role, execution, files, attachments)
}

fn listed_in(
    world: &World,
    machine: &QemuMachine,
    role: Role,
    execution: Execution,
    files: &BootFiles,
    attachments: &Attachments,
) -> String {
    let cmdline = ["arm.own=1".to_owned()];
    let sockets = Sockets {
        agent: Path::new("/run/m/guest.agent"),
        monitor: Path::new("/run/m/guest.qmp"),
        wire: Path::new("/run/m/wire"),
        debugger: Path::new("/run/gdb/guest"),
    };
    let firmware = Firmware::Qboot;
    let spec = GuestSpec {
        world,
        packed: (*world != World::Open).then_some(Path::new("/run/m/world.cpio")),
        machine,
        scalable_mode: false,
        tsc_khz: None,
        role,
        execution,
        firmware,
        cmdline: &cmdline,
        files,
        attachments,
        sockets,
    };
    let mut lines = String::new();
    for argument in spec.arguments() {
        let argument = argument.to_str().unwrap();
        let separator = if lines.is_empty() {
            ""
        } else if argument.starts_with('-') {
            "\n"
        } else {
            " "
        };
        lines.push_str(separator);
        lines.push_str(argument);
    }
    lines
}

fn files() -> BootFiles {
    BootFiles {
        kernel: "/c/vmlinux".into(),
        initramfs: "/c/initramfs".into(),
        root_disk: "/c/root".into(),
        modules_disk: None,
        disks: vec![],
    }
}

#[test]
fn server_of_two_guests_with_igb_and_strict_iommu() {
    let machine = machine(Topology::TwoGuests {
        server: nic(NicModel::Igb, IommuMode::Strict, true),
        client: nic(NicModel::VirtioNet, IommuMode::None, false),
    });
    insta::assert_snapshot!(listed(&machine, Role::Server, Execution::Tcg, &files()));
}

#[test]
fn client_of_two_guests_with_virtio_and_no_iommu() {
    let machine = machine(Topology::TwoGuests {
        server: nic(NicModel::Igb, IommuMode::Strict, false),
        client: nic(NicModel::VirtioNet, IommuMode::None, false),
    });
    insta::assert_snapshot!(listed(&machine, Role::Client, Execution::Tcg, &files()));
}

#[test]
fn two_namespaces_under_kvm_with_a_lazy_iommu() {
    let machine = machine(Topology::TwoNamespaces {
        server: nic(NicModel::E1000e, IommuMode::Lazy, false),
        client: nic(NicModel::VirtioNet, IommuMode::Lazy, false),
    });
    insta::assert_snapshot!(listed(&machine, Role::Only, Execution::Kvm, &files()));
}

/// Whatever a guest could learn of the host's time is not there, and the wire is the replicate's.
#[test]
fn a_closed_world_of_two_nics_whose_instructions_are_counted() {
    let machine = QemuMachine {
        vcpus: 1,
        ..machine(Topology::TwoNamespaces {
            server: nic(NicModel::E1000e, IommuMode::Strict, false),
            client: nic(NicModel::E1000e, IommuMode::Strict, false),
        })
    };
    let closed = crate::ClosedWorld {
        perturbation: measure::Perturbation { number: 3, seed: 17, link_us: 213, ..Default::default() },
        counting: Some(Counting {
            plugin: "/t/libinsncount.so".into(),
            map: "/c/System.map".into(),
            sample: Some(20_011),
        }),
        ..Default::default()
    };
    let world = World::Closed(closed);
    let listed = listed_in(&world, &machine, Role::Only, Execution::Tcg, &files(), &Attachments::default());
    insta::assert_snapshot!(listed);
}

#[test]
fn loopback_has_no_nic_and_no_iommu() {
    insta::assert_snapshot!(listed(&machine(Topology::Loopback), Role::Only, Execution::Tcg, &files()));
}

#[test]
fn the_iommu_comes_before_every_other_device() {
    let machine = machine(Topology::TwoGuests {
        server: nic(NicModel::Igb, IommuMode::Pt, false),
        client: nic(NicModel::E1000e, IommuMode::Off, false),
    });
    for role in [Role::Server, Role::Client] {
        let list = listed(&machine, role, Execution::Tcg, &files());
        let first = list.lines().find(|line| line.starts_with("-device")).unwrap();
        assert!(first.starts_with("-device intel-iommu"), "{list}");
    }
}

#[test]
fn a_comma_in_a_path_does_not_end_an_option() {
    let files = BootFiles { root_disk: "/c/a,readonly=off".into(), ..files() };
    let list = listed(&machine(Topology::Loopback), Role::Only, Execution::Tcg, &files);
    assert!(list.contains("file.filename=/c/a,,readonly=off"), "{list}");
}

#[test]
fn the_modules_are_on_the_last_disk_and_the_agent_is_told_its_name() {
    let files = BootFiles {
        modules_disk: Some("/c/modules".into()),
        disks: vec!["/c/one".into(), "/c/two".into()],
        ..files()
    };
    let list = listed(&machine(Topology::Loopback), Role::Only, Execution::Tcg, &files);
    assert!(list.contains(" assay.modules=/dev/vdd"), "{list}");
    let disks: Vec<&str> = list.lines().filter(|line| line.contains("virtio-blk-pci")).collect();
    assert!(disks.len() == 4 && disks[3].contains("drive=modules,addr=0x18"), "{list}");
}

#[test]
fn what_is_shared_is_read_only_unless_it_was_asked_for_and_a_debugger_keeps_a_crash() {
    let share = |host: &str, access| Share { host: host.into(), guest: "/mnt/x".into(), access };
    let attachments = Attachments {
        root: Root::HostOverlay,
        shares: vec![share("/home/me/a,b", Access::ReadOnly), share("/home/me/results", Access::ReadWrite)],
        debugger: Some(Debugger::Wait),
    };
    let machine = machine(Topology::Loopback);
    insta::assert_snapshot!(listed_with(&machine, Role::Only, Execution::Tcg, &files(), &attachments));
}

#[test]
fn qemu_plugs_in_no_zcsim() {
    let zcsim = || nic(NicModel::Zcsim, IommuMode::None, false);
    let machine = machine(Topology::TwoNamespaces { server: zcsim(), client: zcsim() });
    let lines = listed(&machine, Role::Only, Execution::Tcg, &files());
    assert!(!lines.contains("netdev") && !lines.contains("intel-iommu"), "{lines}");
}
