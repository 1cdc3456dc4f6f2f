//! One guest for the user: from the flags of a command to a machine that runs, and to its end.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use kernel_tree::TreeError;
use machine::{Boot, BootEnd, BootFiles, Running};
use measure::{BuildEnd, CrashReport, KernelImage};
use plan::{CpuModel, Knobs, Machine, QemuMachine, Topology};
use store::ArmKernel;

use crate::{
    arguments::{GuestFlags, Places},
    builds::obtain,
    failure::Failure,
    kernels::spec,
    lab::{Bench, Lab},
    places::Runtime,
    progress::Progress,
    tree_build,
};

const BOOT_DEADLINE: Duration = Duration::from_secs(60);
const POWER_OFF_DEADLINE: Duration = Duration::from_secs(20);
/// The only guest's arm, as far as boot files are named by arm.
const ARM: &str = "guest";
/// The base of guests outside kernel trees.
const DEFAULT_BASE: &str = "debian-6.12";
const MAX_DISKS: usize = 8;

/// What became of a guest that was booted for the user.
#[derive(Debug)]
pub(crate) enum GuestEnd<T> {
    /// It booted, was used, and powered off.
    Used(T),
    /// There is no kernel to boot.
    NotBuilt(BuildEnd),
    /// The tree that the user stands in has no kernel that could be booted, or make failed in it.
    NotInTree(TreeError),
    /// The kernel runs, and cannot be what the flags ask for.
    NotTestable(String),
    /// The kernel crashed, hung or stopped.
    Crashed(CrashReport),
}

/// Boots one guest as `flags` ask, lets `work` use it, and powers it off. Ends early when the kernel crashes, or somebody
/// asks us to stop; whatever comes back, the guest is gone.
pub(crate) fn with_guest<T>(
    places: &Places,
    flags: &GuestFlags,
    work: impl AsyncFnOnce(&Running) -> Result<T, Failure>,
) -> Result<GuestEnd<T>, Failure> {
    let disks = disks(&flags.disk)?;
    let mut progress = Progress::new();
    let lab = Lab::open(places)?;
    let runtime = Runtime::create()?;
    // As long as it lives, no other process' collection takes the kernel away.
    let workshop = lab.kernels()?;
    let prepared = kernel(places, flags, &lab, &workshop, &runtime.folder().join("builds"), &mut progress)
        .and_then(|kernel| Ok((kernel, lab.bench(true, &mut progress)?)));
    progress.clear();
    let (image, bench) = match prepared? {
        (Kernel::Built(BuildEnd::Built(image)) | Kernel::InTree(Ok(image)), bench) => (image, bench),
        (Kernel::Built(failed), _) => return Ok(GuestEnd::NotBuilt(failed)),
        (Kernel::InTree(Err(error)), _) => return Ok(GuestEnd::NotInTree(error)),
    };
    let files = BootFiles { disks, ..boot_files(&bench, image)? };
    let machine = machine(flags);
    let boot = Boot {
        machine: &machine,
        cmdline: &flags.cmdline,
        files: &files,
        folder: runtime.folder(),
        runtime: runtime.folder(),
        deadline: BOOT_DEADLINE,
        traced: false,
        attachments: &machine::Attachments::default(),
        supervisor: &lab.supervisor,
        host: &bench.host,
    };
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the asynchronous runtime")?;
    let end = tokio.block_on(async {
        tokio::select! {
            () = crate::interrupt::asked_to_stop() => Err(Failure::Interrupted("interrupted".into())),
            end = boot_and_use(boot, work) => end,
        }
    });
    tokio.shutdown_timeout(Duration::from_secs(2));
    end
}

/// Where a guest's kernel comes from, and whether there is one.
enum Kernel {
    /// From a base.
    Built(BuildEnd),
    /// From the tree that the user stands in.
    InTree(Result<KernelImage, TreeError>),
}

/// The kernel that the flags name, built if need be.
fn kernel(
    places: &Places,
    flags: &GuestFlags,
    lab: &Lab,
    workshop: &kernel::Kernels,
    logs: &Path,
    progress: &mut Progress,
) -> Result<Kernel, Failure> {
    if let Some(folder) = tree_build::folder(flags)? {
        return tree_build::image(&folder, flags.make, workshop, &lab.supervisor, progress)
            .map(Kernel::InTree);
    }
    let spec = spec(places, flags.base.as_deref().unwrap_or(DEFAULT_BASE), &flags.series, lab, progress)?;
    obtain(workshop, &spec, logs, progress).map(Kernel::Built)
}

fn boot_files(bench: &Bench, image: KernelImage) -> Result<BootFiles, Failure> {
    let kernels = BTreeMap::from([(ARM.to_owned(), ArmKernel { build: BuildEnd::Built(image) })]);
    Ok(bench.boot_files(&kernels)?.remove(ARM).context("the kernel has no boot files")?)
}

fn machine(flags: &GuestFlags) -> Machine {
    Machine::Qemu(QemuMachine {
        accel: flags.accel.into(),
        cpu: CpuModel::Max,
        vcpus: flags.vcpus,
        memory_mib: flags.memory,
        topology: Topology::Loopback,
        knobs: Knobs::default(),
    })
}

/// The images as absolute paths, which is what QEMU gets.
fn disks(given: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    if given.len() > MAX_DISKS {
        return Err(Failure::user(format!("assay: --disk: {} images (at most {MAX_DISKS})", given.len())));
    }
    let absolute = |path: &PathBuf| {
        path.canonicalize()
            .map_err(|error| Failure::user(format!("assay: --disk {}: {error}", path.display())))
    };
    given.iter().map(absolute).collect()
}

/// Boots, works, powers off.
async fn boot_and_use<T>(
    boot: Boot<'_>,
    work: impl AsyncFnOnce(&Running) -> Result<T, Failure>,
) -> Result<GuestEnd<T>, Failure> {
    let running = match machine::boot(boot).await? {
        BootEnd::Up(running) => running,
        BootEnd::Crashed(report) => return Ok(GuestEnd::Crashed(report)),
        BootEnd::NotTestable(message) => return Ok(GuestEnd::NotTestable(message)),
    };
    let used = tokio::select! {
        report = running.crashed() => return Ok(GuestEnd::Crashed(report?)),
        used = work(&running) => used?,
    };
    Ok(match running.power_off(POWER_OFF_DEADLINE).await? {
        Ok(()) => GuestEnd::Used(used),
        Err(report) => GuestEnd::Crashed(report),
    })
}
