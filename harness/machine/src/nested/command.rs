//! The command that starts a guest within the host. Pure, so that it can be read in a snapshot.

use std::path::Path;

use plan::{GuestIommu, InnerGuest, InnerLink, Vfio};

use super::{
    Link, huge,
    supplies::{INITRAMFS, KERNEL, ROOT_DISK, Supplies, TOOLS},
};
use crate::{
    InteractiveCommand, Qemu,
    qemu::{EMULATED_TIME, List, base_parameters, iommu_parameters},
};

/// One guest within, with everything decided.
#[derive(Clone, Copy)]
pub(super) struct Inner<'a> {
    pub(super) name: &'a str,
    pub(super) shape: &'a InnerGuest,
    pub(super) link: &'a Link,
    /// Of a NIC that is made for it.
    pub(super) mac: &'a str,
    pub(super) supplies: &'a Supplies,
    pub(super) cmdline: &'a [String],
    /// Whether the host's own time is emulated.
    pub(super) emulated: bool,
}

impl Inner<'_> {
    /// Run in the host: its standard streams are the guest's agent and console.
    pub(super) fn command(&self) -> InteractiveCommand {
        let mut words = Qemu::command_in_root(Path::new(TOOLS)).into_iter().chain(self.arguments());
        let word = |word: std::ffi::OsString| word.into_string().expect("all of it is ours, and text");
        let program = words.next().map(word).expect("the program comes first");
        InteractiveCommand::new(program).args(words.map(word))
    }

    fn arguments(&self) -> Vec<std::ffi::OsString> {
        let mut list = List::default();
        let iommu = self.shape.link.iommu();
        list.flag("-nodefaults").flag("-no-user-config").flag("-no-reboot").option("-display", "none");
        list.option("-name", self.name);
        // Interrupt remapping needs the I/O APIC in QEMU and not in KVM. KVM has a clock, so that there is no need of an HPET.
        let irqchip = if iommu == GuestIommu::Off { "" } else { ",kernel-irqchip=split" };
        let memory = if self.shape.huge_pages { ",memory-backend=ram" } else { "" };
        list.option("-machine", format!("q35,smm=off,sata=off,usb=off,vmport=off,hpet=off{irqchip}{memory}"));
        list.option("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off");
        list.option("-accel", "kvm").option("-cpu", "host");
        list.option("-smp", self.shape.vcpus.to_string());
        list.option("-m", format!("{}M", self.shape.memory_mib));
        if self.shape.huge_pages {
            let size = self.shape.memory_mib;
            list.option(
                "-object",
                format!(
                    "memory-backend-file,id=ram,size={size}M,mem-path={},share=on,prealloc=on",
                    huge::FOLDER
                ),
            );
        }
        if iommu != GuestIommu::Off {
            // Before every other device. Without caching mode its QEMU would not hear of what the guest maps.
            list.option("-device", "intel-iommu,intremap=on,caching-mode=on");
        }
        list.option("-bios", "qboot.rom");
        list.option("-kernel", KERNEL).option("-initrd", INITRAMFS).option("-append", self.parameters());
        disk(&mut list, "root", 0x4, ROOT_DISK);
        if let Some(device) = self.supplies.modules_disk {
            disk(&mut list, "modules", 0x10, device);
        }
        list.option("-chardev", "stdio,id=agent,signal=off");
        list.option("-chardev", "file,id=console,path=/dev/stderr").option("-serial", "chardev:console");
        list.option("-device", "virtio-serial-pci,addr=0x5,disable-legacy=on,max_ports=2");
        list.option("-device", format!("virtserialport,chardev=agent,name={}", protocol::PORT_NAME));
        list.option("-device", "virtio-rng-pci,addr=0x6,disable-legacy=on");
        self.nic(&mut list);
        list.0
    }

    fn nic(&self, list: &mut List) {
        match self.link {
            Link::Tap(tap) => {
                list.option("-netdev", format!("tap,id=net,ifname={tap},script=no,downscript=no,vhost=off"));
                let device =
                    format!("virtio-net-pci,netdev=net,mac={},addr=0x2,disable-legacy=on,romfile=", self.mac);
                list.option("-device", device);
            }
            Link::Vfio(function) => {
                let mut iommufd = "";
                if let InnerLink::Passthrough { via: Vfio::Iommufd, .. } = self.shape.link {
                    list.option("-object", "iommufd,id=iommufd0");
                    iommufd = ",iommufd=iommufd0";
                }
                list.option("-device", format!("vfio-pci,host={function},addr=0x2,rombar=0{iommufd}"));
            }
        }
    }

    fn parameters(&self) -> String {
        let mut words = base_parameters(false);
        words.push("assay.root=/dev/vda");
        if self.supplies.modules_disk.is_some() {
            words.push("assay.modules=/dev/vdb");
        }
        if self.emulated {
            words.extend(EMULATED_TIME);
        }
        words.extend(iommu_parameters(self.shape.link.iommu().mode()));
        words.extend(self.cmdline.iter().map(String::as_str));
        words.join(" ")
    }
}

/// A disk of the host's, read-only.
fn disk(list: &mut List, name: &str, slot: usize, device: &str) {
    list.option(
        "-blockdev",
        format!("driver=raw,node-name={name},read-only=on,file.driver=host_device,file.filename={device}"),
    );
    list.option("-device", format!("virtio-blk-pci,drive={name},addr={slot:#x},disable-legacy=on"));
}

#[cfg(test)]
mod tests {
    use plan::PciFunction;

    use super::*;
    use crate::BootFiles;

    fn listed(shape: &InnerGuest, link: &Link, files: &BootFiles) -> String {
        let cmdline = ["arm.own=1".to_owned()];
        let supplies = Supplies::for_tests(files);
        let inner = Inner {
            name: "server",
            shape,
            link,
            mac: "52:54:00:00:00:11",
            supplies: &supplies,
            cmdline: &cmdline,
            emulated: true,
        };
        let words = inner.arguments().into_iter().map(|word| word.into_string().unwrap());
        let mut lines = String::new();
        for word in words {
            let separator = if lines.is_empty() || !word.starts_with('-') { ' ' } else { '\n' };
            lines.push(separator);
            lines.push_str(&word);
        }
        lines.trim_start().to_owned()
    }

    fn files() -> BootFiles {
        BootFiles {
            kernel: "/c/vmlinux".into(),
            initramfs: "/c/initramfs".into(),
            root_disk: "/c/root".into(),
            modules_disk: None,
            disks: vec!["/c/tools".into()],
        }
    }

    fn shape(link: InnerLink) -> InnerGuest {
        InnerGuest { count: 1, vcpus: 1, memory_mib: 768, huge_pages: false, link, kernel: None }
    }

    fn passed(via: Vfio, iommu: GuestIommu) -> InnerLink {
        InnerLink::Passthrough { function: PciFunction::Physical, via, iommu }
    }

    #[test]
    fn a_function_behind_a_shadowed_iommu() {
        let link = Link::Vfio("0000:01:00.0".into());
        let shape = shape(passed(Vfio::Iommufd, GuestIommu::ShadowLazy));
        insta::assert_snapshot!(listed(&shape, &link, &files()));
    }

    #[test]
    fn a_container_needs_no_iommufd_and_a_guest_without_iommu_no_device() {
        let link = Link::Vfio("0000:01:00.0".into());
        let list = listed(&shape(passed(Vfio::Container, GuestIommu::Off)), &link, &files());
        assert!(!list.contains("iommufd") && !list.contains("intel"), "{list}");
        assert!(
            list.contains("-device vfio-pci,host=0000:01:00.0,addr=0x2,rombar=0\n")
                || list.ends_with("rombar=0"),
            "{list}"
        );
    }

    #[test]
    fn memory_of_huge_pages() {
        let link = Link::Vfio("0000:01:00.0".into());
        let shape = InnerGuest { huge_pages: true, ..shape(passed(Vfio::Iommufd, GuestIommu::Off)) };
        let list = listed(&shape, &link, &files());
        let memory =
            "-object memory-backend-file,id=ram,size=768M,mem-path=/run/nested/huge,share=on,prealloc=on";
        assert!(list.contains("hpet=off,memory-backend=ram\n") && list.contains(memory), "{list}");
    }

    #[test]
    fn virtio_on_a_tap_and_the_modules_of_the_host() {
        let files = BootFiles { modules_disk: Some("/c/modules".into()), ..files() };
        let list = listed(&shape(InnerLink::VirtioNet), &Link::Tap("tap0".into()), &files);
        insta::assert_snapshot!(list);
    }
}
