//! Real guests of QEMU.

use std::time::Duration;

use crate::lab::{Lab, crashed, up};
use machine::{BootEnd, GuestCommand, MachineError, Traced};
use measure::CrashKind;
use plan::{Accel, CpuModel, Iommu, IommuMode, Knobs, Machine, Nic, NicModel, QemuMachine, Topology};
use protocol::HowEnded;

fn nic(model: NicModel, mode: IommuMode) -> Nic {
    Nic { model, iommu: Iommu { mode, caching_mode: false }, mtu: 1500 }
}

fn machine(topology: Topology) -> Machine {
    Machine::Qemu(QemuMachine {
        accel: Accel::Auto,
        cpu: CpuModel::Max,
        vcpus: 1,
        memory_mib: 512,
        topology,
        knobs: Knobs::default(),
    })
}

const OFF: Duration = Duration::from_secs(30);

#[tokio::test]
async fn one_guest_boots_runs_a_command_and_powers_off() {
    let Some(lab) = Lab::real() else { return };
    let began = std::time::Instant::now();
    let running = up(lab.boot(&machine(Topology::Loopback), &[], false).await.unwrap());
    let executed = running.server().session.exec(GuestCommand::new("uname").arg("-r")).await.unwrap();
    assert_eq!(executed.how, HowEnded::Exited(0));
    let (name, facts) = &running.facts()[0];
    assert_eq!(
        (name.as_str(), format!("{}\n", facts.release).as_bytes()),
        ("guest", executed.stdout.as_slice())
    );
    assert!(!facts.mitigations.is_empty());
    // The runner of kernel selftests writes there.
    let script = GuestCommand::new("sh").args(["-c", "echo said >> /dev/stdout; cat < /dev/fd/0"]);
    let executed = running.server().session.exec(script).await.unwrap();
    assert_eq!((executed.how, executed.stdout.as_slice()), (HowEnded::Exited(0), &b"said\n"[..]));
    let up = running.boot_seconds();
    assert_eq!(running.power_off(OFF).await.unwrap(), Ok(()));
    eprintln!("up after {up:.2} s, gone after {:.2} s", began.elapsed().as_secs_f64());
    assert!(std::fs::read_to_string(lab.logs().join("guest.console.log")).is_ok());
}

#[tokio::test]
async fn two_guests_talk_over_igb_behind_a_strict_iommu_and_its_events_are_counted() {
    let Some(lab) = Lab::real() else { return };
    let began = std::time::Instant::now();
    let topology = Topology::TwoGuests {
        server: nic(NicModel::Igb, IommuMode::Strict),
        client: nic(NicModel::VirtioNet, IommuMode::None),
    };
    let running = up(lab.boot(&machine(topology), &[], true).await.unwrap());
    eprintln!(
        "up after {:.2} s, reachable after {:.2} s",
        running.boot_seconds(),
        began.elapsed().as_secs_f64()
    );
    assert_eq!((running.server().iommu, running.client().iommu), ("DMA", "none"));

    running.trace_window_start(Traced::Everything).await.unwrap();
    let ping = running.client().command("busybox").args(["ping", "-c", "20", "-i", "0.05", "-s", "1000"]);
    let ping = ping.arg(running.server().address.to_string());
    let executed = running.client().session.exec(ping).await.unwrap();
    assert_eq!(executed.how, HowEnded::Exited(0), "{}", String::from_utf8_lossy(&executed.stderr));
    let counts = running.trace_window_stop().await.unwrap();
    let server = &counts["server"];
    assert!(server.iommu && !counts["client"].iommu);
    assert!(server.events["vtd_iotlb_page_hit"] > 20, "{server:?}");
    assert!(server.events["vtd_inv_desc_iotlb_pages"] > 10, "{server:?}");
    assert_eq!(counts["client"].events["vtd_iotlb_page_hit"], 0);

    // Outside of a window nothing is counted.
    running.trace_window_start(Traced::Everything).await.unwrap();
    let quiet = running.trace_window_stop().await.unwrap();
    assert!(quiet["server"].events["vtd_iotlb_page_hit"] < server.events["vtd_iotlb_page_hit"]);
    assert_eq!(running.power_off(OFF).await.unwrap(), Ok(()));
    eprintln!("gone after {:.2} s", began.elapsed().as_secs_f64());
}

#[tokio::test]
async fn two_namespaces_of_one_guest_talk_and_sysctls_are_set_where_they_are() {
    let Some(lab) = Lab::real() else { return };
    let topology = Topology::TwoNamespaces {
        server: nic(NicModel::E1000e, IommuMode::Lazy),
        client: nic(NicModel::Igb, IommuMode::Lazy),
    };
    let mut machine = machine(topology);
    let Machine::Qemu(qemu) = &mut machine else { unreachable!() };
    qemu.knobs.sysctls.insert("net.ipv4.tcp_rmem".into(), "4096 65536 1000000".into());
    qemu.knobs.sysctls.insert("net.core.rmem_max".into(), "1000000".into());
    let running = up(lab.boot(&machine, &[], false).await.unwrap());
    assert_eq!((running.server().iommu, running.client().iommu), ("DMA-FQ", "DMA-FQ"));
    for end in [running.server(), running.client()] {
        let read = end.command("cat").arg("/proc/sys/net/ipv4/tcp_rmem");
        let executed = end.session.exec(read).await.unwrap();
        assert_eq!(executed.stdout, b"4096\t65536\t1000000\n");
    }
    assert_eq!(running.power_off(OFF).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn every_iommu_mode_is_read_back_as_the_guest_has_it() {
    let Some(lab) = Lab::real() else { return };
    let strict_by_caching = Iommu { mode: IommuMode::Lazy, caching_mode: true };
    let modes = [
        (Iommu { mode: IommuMode::Off, caching_mode: false }, "none"),
        (Iommu { mode: IommuMode::Pt, caching_mode: false }, "identity"),
        // Caching mode forbids batching on 6.12: what was asked for is not what is.
        (strict_by_caching, "DMA"),
    ];
    for (iommu, has) in modes {
        let nic = |model| Nic { model, iommu, mtu: 1500 };
        let topology =
            Topology::TwoNamespaces { server: nic(NicModel::Igb), client: nic(NicModel::VirtioNet) };
        let running = up(lab.boot(&machine(topology), &[], false).await.unwrap());
        assert_eq!((running.server().iommu, running.client().iommu), (has, has), "{iommu:?}");
        assert_eq!(running.power_off(OFF).await.unwrap(), Ok(()));
    }
}

#[tokio::test]
async fn a_sysctl_that_the_kernel_lacks_makes_the_machine_not_testable() {
    let Some(lab) = Lab::real() else { return };
    let mut machine = machine(Topology::Loopback);
    let Machine::Qemu(qemu) = &mut machine else { unreachable!() };
    qemu.knobs.sysctls.insert("net.ipv4.no_such".into(), "1".into());
    let end = lab.boot(&machine, &[], false).await.unwrap();
    assert!(matches!(&end, BootEnd::NotTestable(message) if message.contains("net.ipv4.no_such")), "{end:?}");
}

#[tokio::test]
async fn a_panic_at_boot_is_a_crash_with_the_kernels_words() {
    let Some(lab) = Lab::real() else { return };
    let end = lab.boot(&machine(Topology::Loopback), &["rdinit=/nonexistent", "root="], false).await.unwrap();
    let report = crashed(end);
    assert_eq!((report.kind, report.guest.as_str()), (CrashKind::Panic, "guest"));
    assert!(report.title.starts_with("Kernel panic - not syncing: "), "{report:#?}");
}

#[tokio::test]
async fn a_guest_that_is_never_ready_hangs_and_is_ended() {
    let Some(lab) = Lab::real() else { return };
    let machine = machine(Topology::Loopback);
    // The agent is kept from its port.
    let cmdline = ["assay.port=/dev/null"];
    let end = lab.boot_within(&machine, &cmdline, false, Duration::from_secs(6)).await.unwrap();
    let report = crashed(end);
    assert!(matches!(report.kind, CrashKind::BootHang | CrashKind::AgentDied), "{report:#?}");
}

#[tokio::test]
async fn a_crash_while_a_command_runs_is_seen_at_once() {
    let Some(lab) = Lab::real() else { return };
    let running = up(lab.boot(&machine(Topology::Loopback), &[], false).await.unwrap());
    let session = running.server().session;
    let trigger = GuestCommand::new("busybox").args(["tee", "/proc/sysrq-trigger"]).stdin("c");
    let began = std::time::Instant::now();
    let (report, executed) = tokio::join!(running.crashed(), session.exec(trigger));
    let report = report.unwrap();
    eprintln!("seen after {:.2} s: {}", began.elapsed().as_secs_f64(), report.title);
    assert_eq!(report.kind, CrashKind::Panic, "{report:#?}");
    assert!(report.excerpt.contains("sysrq"), "{report:#?}");
    assert!(executed.is_err());
    assert_eq!(running.power_off(OFF).await.unwrap().unwrap_err().title, report.title);
}

#[tokio::test]
async fn a_reset_that_nobody_asked_for_is_a_stop() {
    let Some(lab) = Lab::real() else { return };
    let running = up(lab.boot(&machine(Topology::Loopback), &[], false).await.unwrap());
    let trigger = GuestCommand::new("busybox").args(["tee", "/proc/sysrq-trigger"]).stdin("b");
    let (report, _) = tokio::join!(running.crashed(), running.server().session.exec(trigger));
    assert_eq!(report.unwrap().kind, CrashKind::Stopped);
    assert!(running.power_off(OFF).await.unwrap().is_err());
}

#[tokio::test]
async fn an_agent_that_is_killed_is_told_from_a_kernel_that_panics() {
    let Some(lab) = Lab::real() else { return };
    let running = up(lab.boot(&machine(Topology::Loopback), &[], false).await.unwrap());
    // PID 1 is the reaper, the agent proper its first child.
    let kill = GuestCommand::new("busybox").args(["sh", "-c", "kill -9 $PPID"]);
    let (report, _) = tokio::join!(running.crashed(), running.server().session.exec(kill));
    let report = report.unwrap();
    assert_eq!(report.kind, CrashKind::AgentDied, "{report:#?}");
    drop(running);
}

#[tokio::test]
async fn qemu_that_cannot_start_is_the_hosts_fault_and_no_crash() {
    let Some(mut lab) = Lab::real() else { return };
    lab.files.root_disk = "/nonexistent/root".into();
    let error = lab.boot(&machine(Topology::Loopback), &[], false).await.unwrap_err();
    let text = format!("{error}");
    assert!(text.contains("/nonexistent/root"), "{text}");
    assert!(!matches!(error, MachineError::Deadline { .. }));
}

#[tokio::test]
async fn a_guest_reads_time_from_its_tsc() {
    let Some(lab) = Lab::real() else { return };
    let running = up(lab.boot(&machine(Topology::Loopback), &[], false).await.unwrap());
    let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource".to_owned();
    let read = running.server().session.read(std::slice::from_ref(&path), 64).await.unwrap();
    // Until its rate is refined, a second or two after boot, the same counter is called `tsc-early`.
    let expected: &[u8] = if running.facts()[0].1.accel == "kvm" { b"kvm-clock" } else { b"tsc" };
    assert!(read[&path].as_ref().unwrap().starts_with(expected), "{read:?}");
    assert_eq!(running.power_off(OFF).await.unwrap(), Ok(()));
}
