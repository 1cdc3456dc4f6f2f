//! One guest for the user: from the flags of a command to a machine that runs, and to its end.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use boot_image::Purpose;
use kernel_tree::TreeError;
use machine::{Attachments, Boot, BootEnd, BootFiles, Running, Session};
use measure::{BuildEnd, CrashReport, KernelImage};
use plan::{CpuModel, Flavour, KernelSpec, Knobs, Machine, QemuMachine, Topology};
use store::ArmKernel;

use crate::{
    arguments::{GuestFlags, Level, Places},
    attachments::{self, Place},
    builds::{describe, obtain},
    crashed::{Consoles, Crash},
    debugger::{self, Sources},
    failure::Failure,
    kernels::spec,
    lab::{Bench, Lab},
    levels,
    places::Runtime,
    progress::Progress,
    tree_build,
};

const BOOT_DEADLINE: Duration = Duration::from_secs(60);
/// A connection that ends mostly means that the guest is ending; how long that may take to be seen.
const END_DEADLINE: Duration = Duration::from_secs(15);
const POWER_OFF_DEADLINE: Duration = Duration::from_secs(20);
/// The only guest's arm, as far as boot files are named by arm.
const ARM: &str = "guest";
/// The base of guests outside kernel trees.
pub(crate) const DEFAULT_BASE: &str = "debian-6.12";
const MAX_DISKS: usize = 8;

/// What a command in a guest ends with: its own status, or 1 if the kernel failed.
pub(crate) fn status(end: GuestEnd<u8>) -> Result<ExitCode, Failure> {
    match end {
        GuestEnd::Used(status) => Ok(ExitCode::from(status)),
        GuestEnd::NotBuilt(failed) => {
            eprintln!("{}", describe(&failed));
            Ok(ExitCode::FAILURE)
        }
        // make has told why.
        GuestEnd::NotInTree(error @ TreeError::MakeFailed { .. }) => {
            eprintln!("assay: {error}");
            Ok(ExitCode::FAILURE)
        }
        GuestEnd::NotInTree(error) => Err(tree_build::of_tree(error)),
        GuestEnd::NotTestable(message) => Err(Failure::user(format!("assay: {message}"))),
        GuestEnd::Crashed(crash) => {
            // The kernel's failure is the answer, not an error of ours.
            crash.tell();
            Ok(ExitCode::FAILURE)
        }
    }
}

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
    Crashed(Box<Crash>),
}

/// A guest that runs, for the command that the user asked for.
#[derive(Debug)]
pub(crate) struct UserGuest<'a> {
    pub(crate) running: &'a Running,
    /// `uname -r`.
    pub(crate) release: String,
    /// Where and with what commands run in it.
    pub(crate) place: &'a Place,
    /// Whether a debugger may be there: a crash then does not end it.
    debugged: bool,
    /// Which of the guests it is, if there are levels.
    level: Level,
}

impl UserGuest<'_> {
    /// Where commands go.
    pub(crate) fn session(&self) -> Result<&Session, Failure> {
        levels::session(self.running, self.level)
    }

    /// Tells of crashes that do not end the guest, because there is a debugger. Never resolves.
    pub(crate) async fn tell_crashes<T>(&self, newline: &str) -> T {
        if !self.debugged {
            return std::future::pending().await;
        }
        let title = self.running.crash_seen().await;
        eprint!("{newline}assay: the kernel crashed: {title}{newline}");
        eprint!(
            "assay: the guest stays for the debugger (`assay gdb`) until this command is stopped{newline}"
        );
        std::future::pending().await
    }
}

/// Boots one guest as `flags` ask, lets `work` use it, and powers it off. Ends early when the kernel crashes, or somebody
/// asks us to stop; whatever comes back, the guest is gone.
pub(crate) fn with_guest<T>(
    places: &Places,
    flags: &GuestFlags,
    work: impl AsyncFnOnce(UserGuest<'_>) -> Result<T, Failure>,
) -> Result<GuestEnd<T>, Failure> {
    let place = Place::of(flags.root)?;
    let disks = disks(&flags.disk)?;
    let tree = tree_build::folder(flags)?;
    // Before anything is fetched for a kernel that is not there.
    if let Some(tree) = tree.as_ref().filter(|_| !flags.make)
        && let Some(error) = tree_build::unusable(tree)?
    {
        return Ok(GuestEnd::NotInTree(error));
    }
    let mut progress = Progress::new();
    let lab = Lab::open(places)?;
    let runtime = Runtime::create()?;
    // As long as it lives, no other process' collection takes the kernel away.
    let workshop = lab.kernels()?;
    let prepared = (|| {
        let bench = lab.bench(Some(Purpose::Lab), &mut progress)?;
        // Before a kernel is built for what is then refused.
        let attachments = attachments::of(flags, &place, &bench.host, &lab.supervisor)?;
        let logs = runtime.folder().join("builds");
        let kernel = match &tree {
            Some(tree) => {
                let make = flags.make;
                Kernel::InTree(tree_build::image(tree, make, &workshop, &lab.supervisor, &mut progress)?)
            }
            None => from_base(places, flags, &lab, &workshop, &logs, &mut progress)?,
        };
        Ok::<_, Failure>((bench, attachments, kernel))
    })();
    progress.clear();
    let (bench, attachments, kernel) = prepared?;
    let (image, sources) = match kernel {
        Kernel::Built(spec, BuildEnd::Built(image)) => {
            let sources = workshop.unpacked_base(&spec, &image)?;
            (image, Sources::of_base(sources, &spec))
        }
        Kernel::InTree(Ok(image)) => (image, Sources::InPlace),
        Kernel::Built(_, failed) => return Ok(GuestEnd::NotBuilt(failed)),
        Kernel::InTree(Err(error)) => return Ok(GuestEnd::NotInTree(error)),
    };
    let release = image.release.clone();
    if attachments.debugger.is_some() {
        debugger::announce(&runtime, &image, sources)?;
    }
    let machine = machine(flags);
    let mut files = BootFiles { disks, ..boot_files(&bench, image.clone(), &mut progress)? };
    if flags.nested.is_some() {
        files.disks.push(bench.inner_qemu(&lab, &mut progress)?);
        progress.clear();
    }
    let flavour = flavour(flags);
    let parameters = flavour.parameters().iter().map(|parameter| (*parameter).to_owned());
    let cmdline: Vec<String> = parameters.chain(flags.cmdline.iter().cloned()).collect();
    let boot = Boot {
        machine: &machine,
        cmdline: &cmdline,
        files: &files,
        levels: machine::Levels::default(),
        folder: runtime.folder(),
        runtime: runtime.folder(),
        deadline: BOOT_DEADLINE * flavour.patience(),
        traced: false,
        world: &machine::World::Open,
        attachments: &attachments,
        supervisor: &lab.supervisor,
        host: &bench.host,
    };
    let consoles = Consoles {
        folder: runtime.folder(),
        guest: levels::name(flags),
        image: &image,
        wanted: flags.console.as_deref(),
    };
    let debugged = flags.gdb.is_some();
    let end = until_stopped(boot, async |running| {
        work(UserGuest { running, release, place: &place, debugged, level: flags.level }).await
    });
    Ok(match end? {
        GuestEnd::Crashed(crash) => GuestEnd::Crashed(Box::new(consoles.explain(crash.report, places)?)),
        end => {
            consoles.tell_survived();
            consoles.keep()?;
            end
        }
    })
}

/// Boots a kernel in the smallest machine there is, and powers it off: what the kernel's log warns of, by title.
pub(crate) fn boot_once(
    lab: &Lab,
    bench: &Bench,
    image: KernelImage,
    progress: &mut Progress,
) -> Result<GuestEnd<Vec<String>>, Failure> {
    let runtime = Runtime::create()?;
    let machine = Machine::Qemu(QemuMachine {
        accel: plan::Accel::Auto,
        cpu: CpuModel::Max,
        vcpus: 1,
        memory_mib: 512,
        topology: Topology::Loopback,
        knobs: Knobs::default(),
    });
    let boot = Boot {
        machine: &machine,
        cmdline: &[],
        files: &boot_files(bench, image, progress)?,
        levels: machine::Levels::default(),
        folder: runtime.folder(),
        runtime: runtime.folder(),
        deadline: BOOT_DEADLINE,
        traced: false,
        world: &machine::World::Open,
        attachments: &Attachments::default(),
        supervisor: &lab.supervisor,
        host: &bench.host,
    };
    until_stopped(boot, async |running| Ok(running.warnings().into_iter().map(|(_, title)| title).collect()))
}

/// Boots, works and powers off, unless somebody asks us to stop.
fn until_stopped<T>(
    boot: Boot<'_>,
    work: impl AsyncFnOnce(&Running) -> Result<T, Failure>,
) -> Result<GuestEnd<T>, Failure> {
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
    Built(Box<KernelSpec>, BuildEnd),
    /// From the tree that the user stands in.
    InTree(Result<KernelImage, TreeError>),
}

/// The kernel of the base that the flags name, built if need be.
fn from_base(
    places: &Places,
    flags: &GuestFlags,
    lab: &Lab,
    workshop: &kernel::Kernels,
    logs: &Path,
    progress: &mut Progress,
) -> Result<Kernel, Failure> {
    let base = flags.base.as_deref().unwrap_or(DEFAULT_BASE);
    let spec = spec(places, base, (flags.flavour, &flags.option), &flags.series, lab, progress)?;
    let end = obtain(workshop, &spec, logs, progress)?;
    Ok(Kernel::Built(Box::new(spec), end))
}

fn boot_files(bench: &Bench, image: KernelImage, progress: &mut Progress) -> Result<BootFiles, Failure> {
    let kernels = BTreeMap::from([(ARM.to_owned(), ArmKernel { build: BuildEnd::Built(image) })]);
    Ok(bench.boot_files(&kernels, progress)?.remove(ARM).context("the kernel has no boot files")?)
}

fn flavour(flags: &GuestFlags) -> Flavour {
    flags.flavour.map(Flavour::from).unwrap_or_default()
}

fn machine(flags: &GuestFlags) -> Machine {
    let memory_mib = flags.memory.max(flavour(flags).least_memory_mib());
    if let Some(nic) = flags.nested {
        return levels::machine(flags, nic, memory_mib);
    }
    Machine::Qemu(QemuMachine {
        accel: flags.accel.into(),
        cpu: CpuModel::Max,
        vcpus: flags.vcpus,
        memory_mib,
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

fn crash(report: CrashReport) -> Box<Crash> {
    Box::new(report.into())
}

/// Boots, works, powers off.
async fn boot_and_use<T>(
    boot: Boot<'_>,
    work: impl AsyncFnOnce(&Running) -> Result<T, Failure>,
) -> Result<GuestEnd<T>, Failure> {
    let running = match machine::boot(boot).await? {
        BootEnd::Up(running) => running,
        BootEnd::Crashed(report) => return Ok(GuestEnd::Crashed(crash(report))),
        BootEnd::NotTestable(message) => return Ok(GuestEnd::NotTestable(message)),
    };
    let used = tokio::select! {
        report = running.crashed() => return Ok(GuestEnd::Crashed(crash(report?))),
        used = work(&running) => used,
    };
    let used = match used {
        Ok(used) => used,
        Err(failure) if failure.is_closed_session() => {
            // The guest has gone, and its console tells why; what it said last may still be on its way.
            match tokio::time::timeout(END_DEADLINE, running.crashed()).await {
                Ok(report) => return Ok(GuestEnd::Crashed(crash(report?))),
                Err(_still_there) => return Err(failure),
            }
        }
        Err(failure) => return Err(failure),
    };
    Ok(match running.power_off(POWER_OFF_DEADLINE).await? {
        Ok(()) => GuestEnd::Used(used),
        Err(report) => GuestEnd::Crashed(crash(report)),
    })
}
