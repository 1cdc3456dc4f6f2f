//! From a description to a machine that runs.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use measure::CrashReport;
use subprocess::Supervisor;

use crate::{Attachments, Host, MachineError, Running, World, fake, nested, qemu};

/// What a machine boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootFiles {
    /// An uncompressed ELF with a PVH note, or a bzImage.
    pub kernel: PathBuf,
    /// With the agent as its `/init`.
    pub initramfs: PathBuf,
    /// A read-only image that the agent makes its root.
    pub root_disk: PathBuf,
    /// A read-only image with the kernel's modules, for `/lib/modules/RELEASE`. A machine without disks has it in its initramfs.
    pub modules_disk: Option<PathBuf>,
    /// Further images, read-only as well: `/dev/vdb`, `/dev/vdc` and on. At most eight.
    pub disks: Vec<PathBuf>,
}

/// Levels of a nested machine that have a kernel of their own: of these files its kernel, initramfs and modules count, and the rest is
/// [`Boot::files`]'.
#[derive(Clone, Copy, Debug, Default)]
pub struct Levels<'a> {
    /// The host.
    pub host: Option<&'a BootFiles>,
    /// The host's guests.
    pub guest: Option<&'a BootFiles>,
    /// The peer outside.
    pub peer: Option<&'a BootFiles>,
}

impl BootFiles {
    /// These, with the kernel of others, where there are any.
    pub(crate) fn with_kernel_of(&self, others: Option<&Self>) -> Self {
        match others {
            None => self.clone(),
            Some(others) => Self {
                kernel: others.kernel.clone(),
                initramfs: others.initramfs.clone(),
                modules_disk: others.modules_disk.clone(),
                ..self.clone()
            },
        }
    }
}

/// A machine that is to boot.
#[derive(Clone, Copy, Debug)]
pub struct Boot<'a> {
    /// Its shape.
    pub machine: &'a plan::Machine,
    /// The arm's kernel parameters, after those that the machine itself needs.
    pub cmdline: &'a [String],
    /// What boots.
    pub files: &'a BootFiles,
    /// What levels of a nested machine boot in the place of that.
    pub levels: Levels<'a>,
    /// An existing folder for console and error logs: `GUEST.console.log`, `GUEST.stderr.log`.
    pub folder: &'a Path,
    /// An existing folder with a short path that the guests' user can pass through; sockets go into a private folder in
    /// it, for as long as the machine is there.
    pub runtime: &'a Path,
    /// Longest time from power-on until every agent has answered; without end for a guest with a debugger, which may hold
    /// it.
    pub deadline: Duration,
    /// What its guests have beside what they boot.
    pub attachments: &'a Attachments,
    /// Whether anything reaches it after its power-on.
    pub world: &'a World,
    /// Whether trace windows will be asked for.
    pub traced: bool,
    /// Starts and ends the guests' processes.
    pub supervisor: &'a Supervisor,
    /// What the host can do.
    pub host: &'a Host,
}

/// How a boot ended.
#[derive(Debug)]
pub enum BootEnd {
    /// Every agent answers, and the network between the two ends passes packets.
    Up(Box<Running>),
    /// A kernel crashed, hung or stopped before that.
    Crashed(CrashReport),
    /// A guest cannot be what was asked for: it says that it has no such sysctl, it shows no such NIC, it
    /// cannot mount what the host shares.
    NotTestable(String),
}

/// Boots a machine. Whatever comes back, no process is left that does not belong to a [`Running`] in it.
///
/// # Errors
/// If the host fails; never because of the kernel.
pub async fn boot(boot: Boot<'_>) -> Result<BootEnd, MachineError> {
    match boot.machine {
        plan::Machine::Qemu(machine) => qemu::boot(&boot, machine).await,
        plan::Machine::Nested(machine) => nested::boot(&boot, machine).await,
        plan::Machine::Fake(machine) => fake::boot(&boot, machine).await,
        plan::Machine::Imported(_) => {
            Ok(BootEnd::NotTestable("its numbers were imported, and no machine is known".to_owned()))
        }
    }
}
