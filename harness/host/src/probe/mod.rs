//! What has to be asked, because no file tells: versions, permissions, and whether things really work.

pub(crate) mod load;
pub(crate) mod qemu;
mod storage;
pub(crate) mod versions;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::unistd::{AccessFlags, access};
use perf_event::{Builder, events::Hardware};
use subprocess::{RunAs, Supervisor, Tool, ToolError};

use crate::Root;

pub use load::Consumer;
pub use qemu::{Features, QemuProbe};
pub use storage::Space;
pub use versions::Version;

/// How long a question may take. Everything is asked at once, so this is about the longest that [`probe`] takes.
const DEADLINE: Duration = Duration::from_secs(2);

/// What the caller knows and a probe cannot find out.
#[expect(missing_debug_implementations, reason = "holds a function")]
pub struct Inputs<'a> {
    /// The machine.
    pub root: &'a Root,
    /// Starts what is asked.
    pub supervisor: &'a Supervisor,
    /// Whether a tiny guest ran with KVM; otherwise why not.
    pub kvm: &'a (dyn Fn() -> Result<(), String> + Sync),
    /// QEMUs besides those on the search path: what to call each, and its command line.
    pub qemus: Vec<(String, Vec<OsString>)>,
    /// The oldest QEMU that machines can be made with, such as `8.1`.
    pub oldest_qemu: String,
    /// The folders that Assay writes to, and what for.
    pub folders: Vec<(&'static str, PathBuf)>,
    /// Where the guest agent has to be.
    pub agent: PathBuf,
}

/// The answers.
#[derive(Clone, Debug)]
pub struct Probes {
    /// Whether we are root.
    pub is_root: bool,
    /// `uname -r`.
    pub release: String,
    /// Whether this user may open `/dev/kvm`.
    pub kvm_device: Device,
    /// Whether a tiny guest ran with KVM; otherwise why not.
    pub kvm: Result<(), String>,
    /// Every QEMU that was found.
    pub qemus: Vec<QemuProbe>,
    /// The oldest QEMU that machines can be made with.
    pub oldest_qemu: String,
    /// Programs of [`crate::PACKAGES`] that are on the search path.
    pub programs: BTreeMap<&'static str, Version>,
    /// Whether an unprivileged process can make namespaces; otherwise why not.
    pub namespaces: Result<(), String>,
    /// Whether a hardware counter of CPU cycles opens and counts; otherwise why not.
    pub cycles: Result<(), String>,
    /// The folders that Assay writes to.
    pub spaces: Vec<Space>,
    /// Where the guest agent was looked for, and whether it is there.
    pub agent: (PathBuf, bool),
    /// Whether `ASSAY_DEBIAN_MIRROR` names a Debian archive.
    pub mirror_named: bool,
    /// The processes that took most of the CPUs while everything else was asked, ours left out.
    pub consumers: Vec<Consumer>,
}

/// A device file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// There is none.
    Absent,
    /// This user may not open it for reading and writing.
    Denied,
    /// This user may.
    Usable,
}

/// Asks everything, side by side: about as long as the slowest answer, at most a few seconds.
#[must_use]
pub fn probe(inputs: Inputs<'_>) -> Probes {
    let Inputs { root, supervisor, kvm, qemus, oldest_qemu, folders, agent } = inputs;
    let before = load::Snapshot::take(root);
    let (kvm, qemus, programs, namespaces, cycles) = std::thread::scope(|scope| {
        let kvm = scope.spawn(kvm);
        let qemus = scope.spawn(|| qemu::probe_all(qemus, supervisor));
        let namespaces = scope.spawn(|| probe_namespaces(supervisor));
        let programs = versions::of_all(supervisor);
        let cycles = count_cycles();
        let lost = |_| "the probe panicked".to_owned();
        (
            kvm.join().map_err(lost).and_then(|ran| ran),
            qemus.join().unwrap_or_default(),
            programs,
            namespaces.join().map_err(lost).and_then(|ran| ran),
            cycles,
        )
    });
    Probes {
        is_root: nix::unistd::geteuid().is_root(),
        release: nix::sys::utsname::uname()
            .map(|name| name.release().to_string_lossy().into_owned())
            .unwrap_or_default(),
        kvm_device: device(&root.path("/dev/kvm")),
        kvm,
        qemus,
        oldest_qemu,
        programs,
        namespaces,
        cycles,
        spaces: folders.into_iter().map(|(purpose, path)| Space::of(purpose, path)).collect(),
        agent: (agent.clone(), agent.is_file()),
        mirror_named: std::env::var_os("ASSAY_DEBIAN_MIRROR").is_some_and(|value| !value.is_empty()),
        consumers: load::consumers(&before, &load::Snapshot::take(root)),
    }
}

fn device(path: &Path) -> Device {
    if !path.exists() {
        Device::Absent
    } else if access(path, AccessFlags::R_OK | AccessFlags::W_OK).is_ok() {
        Device::Usable
    } else {
        Device::Denied
    }
}

/// Whether bubblewrap, as the user that builds run as, can make the namespaces that it needs.
fn probe_namespaces(supervisor: &Supervisor) -> Result<(), String> {
    let output = Tool::new("bwrap")
        .args(["--unshare-all", "--unshare-user", "--die-with-parent", "--ro-bind", "/", "/", "--", "true"])
        .run_as(RunAs::Unprivileged)
        .deadline(DEADLINE)
        .run_unchecked(supervisor);
    match output {
        Ok(output) if output.ended.is_success() => Ok(()),
        Ok(output) => {
            Err(String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned())
        }
        Err(ToolError::NotFound { .. }) => Err("bwrap is not installed".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Opens a counter of this thread's cycles in user mode, which an unprivileged user may up to
/// `kernel.perf_event_paranoid` = 2, and sees it move.
fn count_cycles() -> Result<(), String> {
    let counted = || -> std::io::Result<u64> {
        let mut counter = Builder::new(Hardware::CPU_CYCLES).build()?;
        counter.enable()?;
        let work = (0..10_000_u64).fold(0, |sum, n| std::hint::black_box(sum ^ n));
        std::hint::black_box(work);
        counter.disable()?;
        counter.read()
    };
    match counted() {
        Ok(0) => Err("the counter opens and does not count".into()),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("perf_event_open: {error}")),
    }
}
