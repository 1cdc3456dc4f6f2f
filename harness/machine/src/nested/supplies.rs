//! What a host is given for its guests, and where it puts it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    BootFiles, MachineError,
    guest::{Guest, Trouble},
    network::script,
};

/// Of the host, in memory.
pub(super) const FOLDER: &str = "/run/nested";
/// QEMU's own folder: an image of unpacked packages.
pub(super) const TOOLS: &str = "/run/nested/tools";
/// What its guests boot.
pub(super) const KERNEL: &str = "/run/nested/kernel";
/// See [`KERNEL`].
pub(super) const INITRAMFS: &str = "/run/nested/initramfs";
/// The host's root is that of its guests as well: nobody writes to it.
pub(super) const ROOT_DISK: &str = "/dev/vda";

/// Fifty MB from one place in memory to another, under emulation: seconds, and minutes on a machine with ten times too much to do.
const UNPACK_DEADLINE: Duration = Duration::from_secs(600);

/// What a host has on its disks after its root: QEMU's folder, and the kernel and initramfs of its guests as they are.
#[derive(Debug)]
pub(super) struct Supplies {
    tools: PathBuf,
    kernel: Sized,
    initramfs: Sized,
    modules: Option<PathBuf>,
    /// The disk with their kernel's modules, if it has any.
    pub(super) modules_disk: Option<&'static str>,
}

/// After the root and the three of every host. Theirs and the host's may be the same file, or not.
const MODULES_DISK: &str = "/dev/vde";

/// A file that is a disk in the host: whole sectors, of which only so many bytes are the file's.
#[derive(Debug)]
struct Sized {
    path: PathBuf,
    bytes: u64,
}

impl Sized {
    fn of(path: &Path) -> Result<Self, MachineError> {
        let metadata = path.metadata().map_err(|source| MachineError::Io {
            action: "looking at",
            path: path.to_owned(),
            source,
        })?;
        Ok(Self { path: path.to_owned(), bytes: metadata.len() })
    }
}

impl Supplies {
    /// What the files of its guests have for a host.
    pub(super) fn of(files: &BootFiles) -> Result<Self, MachineError> {
        let [tools] = files.disks.as_slice() else { return Err(MachineError::NoInnerQemu) };
        Ok(Self {
            tools: tools.clone(),
            kernel: Sized::of(&files.kernel)?,
            initramfs: Sized::of(&files.initramfs)?,
            modules: files.modules_disk.clone(),
            modules_disk: files.modules_disk.as_ref().map(|_| MODULES_DISK),
        })
    }

    /// As of files that are not there.
    #[cfg(test)]
    pub(super) fn for_tests(files: &BootFiles) -> Self {
        let file = |path: &Path| Sized { path: path.to_owned(), bytes: 1000 };
        Self {
            tools: files.disks[0].clone(),
            kernel: file(&files.kernel),
            initramfs: file(&files.initramfs),
            modules: files.modules_disk.clone(),
            modules_disk: files.modules_disk.as_ref().map(|_| MODULES_DISK),
        }
    }

    /// What the host itself boots, from its own files.
    pub(super) fn host_files(&self, files: &BootFiles) -> BootFiles {
        let mut disks = vec![self.tools.clone(), self.kernel.path.clone(), self.initramfs.path.clone()];
        disks.extend(self.modules.clone());
        BootFiles { disks, ..files.clone() }
    }

    /// Puts everything where guests are started from.
    pub(super) async fn unpack(&self, host: &Guest) -> Result<(), Trouble> {
        let text = format!(
            "mkdir -p {TOOLS} && mount -t erofs -o ro /dev/vdb {TOOLS} && \
             head -c {} /dev/vdc > {KERNEL} && head -c {} /dev/vdd > {INITRAMFS}",
            self.kernel.bytes, self.initramfs.bytes
        );
        script(host, &text, UNPACK_DEADLINE, &format!("filling {FOLDER}")).await
    }
}
