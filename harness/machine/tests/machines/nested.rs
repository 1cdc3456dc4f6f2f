//! Guests within a guest, with real devices that are passed through.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test makes its disk with the tool itself, and ends at what it did not expect"
)]

use std::{process::Command, time::Duration};

use crate::lab::{Lab, up};
use machine::{GuestCommand, Running, Session};
use plan::{
    Accel, GuestIommu, HostLevel, InnerGuest, InnerLink, Iommu, IommuMode, Knobs, Machine, NestedMachine,
    NicModel, PciFunction, Vfio,
};

const OFF: Duration = Duration::from_secs(60);

fn nested(link: InnerLink, count: u32) -> Machine {
    Machine::Nested(NestedMachine {
        accel: Accel::Auto,
        vcpus: 2,
        memory_mib: 2048,
        host: HostLevel {
            nic: NicModel::Igb,
            iommu: Iommu { mode: IommuMode::Strict, caching_mode: false },
            scalable_mode: false,
            kernel: None,
        },
        guest: InnerGuest { count, vcpus: 1, memory_mib: 512, huge_pages: false, link, kernel: None },
        peer: NicModel::VirtioNet,
        peer_kernel: None,
        mtu: 1500,
        knobs: Knobs::default(),
    })
}

/// A lab whose hosts have QEMU on a disk; the folder keeps it.
fn lab() -> Option<(Lab, tempfile::TempDir)> {
    let mut lab = Lab::real()?;
    let boot = std::path::PathBuf::from(std::env::var_os("ASSAY_TEST_BOOT").unwrap());
    // QEMU runs as another user, who must be able to read the image.
    let folder = tempfile::Builder::new().prefix("assay-tools-").tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let image = folder.path().join("tools.erofs");
    let root = boot.join("qemu").canonicalize().unwrap();
    let made = Command::new("mkfs.erofs").arg(&image).arg(root).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    lab.files.disks = vec![image];
    Some((lab, folder))
}

async fn said(session: &Session, script: &str) -> String {
    let executed = session.exec(GuestCommand::new("sh").args(["-c", script])).await.unwrap();
    String::from_utf8(executed.stdout).unwrap()
}

fn host(running: &Running) -> &Session {
    running.carriers()[0].1
}

/// The driver of every Ethernet controller of Intel's 82576, functions of it included, in the order of their addresses.
const DRIVERS: &str = "for f in /sys/bus/pci/devices/*; do grep -q 0x10c9 $f/device && basename $(readlink -f $f/driver); done; true";

#[tokio::test]
async fn a_guest_that_dies_with_the_hosts_nic_gives_it_back_and_the_host_sees_nothing_of_ours() {
    let Some((lab, _tools)) = lab() else { return };
    let link = InnerLink::Passthrough {
        function: PciFunction::Physical,
        via: Vfio::Iommufd,
        iommu: GuestIommu::ShadowStrict,
    };
    let running = up(lab.boot(&nested(link, 1), &[], false).await.unwrap());
    let facts: std::collections::BTreeMap<_, _> = running.facts().into_iter().collect();
    assert_eq!(facts["server"].accel, "kvm");
    assert_eq!(facts["server"].iommu["eth0"], "DMA", "{facts:?}");
    assert_eq!(facts["host"].iommu["eth0"], "VFIO (iommufd)", "{facts:?}");

    // Of this machine's files it has its disks, read-only, and no share.
    let disks =
        said(host(&running), "cat /sys/block/vd*/ro | tr -d '\\n'; echo; ls -d /sys/block/vd* | wc -l").await;
    assert_eq!(disks.split_whitespace().collect::<Vec<_>>(), ["1111", "4"]);
    let mounts = said(host(&running), "cat /proc/mounts; ls /sys/bus/virtio/drivers/9pnet_virtio").await;
    assert!(!mounts.contains("9p ") && !mounts.contains("virtio0 "), "{mounts}");
    assert_eq!(said(host(&running), DRIVERS).await, "vfio-pci\n");

    let dying =
        running.server().session.start(GuestCommand::new("sh").args(["-c", "echo c > /proc/sysrq-trigger"]));
    drop(dying.await);
    let report = running.crashed().await.unwrap();
    assert_eq!(report.guest, "server", "{report:?}");
    running.take_back().await.unwrap();
    assert_eq!(said(host(&running), DRIVERS).await, "igb\n");
    let report = running.power_off(OFF).await.unwrap().unwrap_err();
    assert!(report.guest == "server" && !report.title.contains("did not come back"), "{report:?}");
}

#[tokio::test]
async fn two_guests_in_huge_pages_have_a_virtual_function_each() {
    let Some((lab, _tools)) = lab() else { return };
    let link = InnerLink::Passthrough {
        function: PciFunction::Virtual,
        via: Vfio::Container,
        iommu: GuestIommu::Off,
    };
    let mut machine = nested(link, 2);
    if let Machine::Nested(nested) = &mut machine {
        nested.guest.huge_pages = true;
    }
    let running = up(lab.boot(&machine, &[], false).await.unwrap());
    let pages = said(host(&running), "grep -E 'HugePages_(Total|Free)' /proc/meminfo").await;
    assert_eq!(
        pages.split_whitespace().collect::<Vec<_>>(),
        ["HugePages_Total:", "512", "HugePages_Free:", "0"]
    );
    // That both reach the peer has been seen, or it would not be up.
    let facts: std::collections::BTreeMap<_, _> = running.facts().into_iter().collect();
    assert!(facts.contains_key("neighbour"), "{facts:?}");
    assert_eq!(facts["host"].iommu["eth0-vf1"], "VFIO (container)", "{facts:?}");
    let driver = said(running.server().session, "readlink -f /sys/class/net/eth0/device/driver").await;
    assert!(driver.ends_with("/igbvf\n"), "{driver}");
    running.power_off(OFF).await.unwrap().unwrap();
}
