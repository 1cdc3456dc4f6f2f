//! What commands share: the supervisor, and behind it packages, kernels, QEMU and the guest's image.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use boot_image::{BootImages, KernelModules, Purpose, RootDisk};
use debian::{Event, Packages, Request, Reuse, Wanted};
use kernel::Kernels;
use machine::{BootFiles, Host, Qemu};
use measure::BuildEnd;
use object::{
    Endianness,
    elf::{FileHeader64, PT_INTERP},
    read::elf::{FileHeader, ProgramHeader},
};
use plan::{Evidence, Machine, Plan, WorkloadKind};
use power::Meters;
use store::{ArmKernel, GuestRoot};
use subprocess::Supervisor;

use crate::{arguments::Places, failure::Failure, progress::Progress};

/// An opened workshop.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) supervisor: Supervisor,
    /// What tells how much this host takes.
    pub(crate) meters: Meters,
    /// What its processors count of their IOMMUs.
    pub(crate) counters: pmu::Counters,
    cache: PathBuf,
    us: PathBuf,
}

/// Our own program, and the process that starts every other one.
pub(crate) fn supervisor() -> Result<(PathBuf, Supervisor)> {
    let us = std::env::current_exe().context("finding our own program")?;
    let supervisor = Supervisor::start(&[us.clone().into(), OsString::from("__supervise")])?;
    Ok((us, supervisor))
}

/// What machines need besides kernels.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) host: Host,
    /// None if every machine is a fake one.
    guests: Option<Guests>,
}

/// What guests boot besides their kernel.
#[derive(Debug)]
struct Guests {
    purpose: Purpose,
    root_disk: RootDisk,
    images: BootImages,
    packages: Packages,
    agent: PathBuf,
}

impl Lab {
    pub(crate) fn open(places: &Places) -> Result<Self> {
        let (us, supervisor) = supervisor()?;
        let cache = places.cache_folder()?;
        std::fs::create_dir_all(&cache).with_context(|| format!("creating {}", cache.display()))?;
        let meters = Meters::of_this_host(None).context("finding power meters")?;
        Ok(Self { supervisor, meters, counters: pmu::Counters::of_this_host(), cache, us })
    }

    /// With the meter that writes this log.
    pub(crate) fn metered(self, log: Option<&Path>) -> Result<Self, Failure> {
        let meters = Meters::of_this_host(log)
            .map_err(|error| Failure::user(format!("assay: {:#}", anyhow::Error::from(error))))?;
        Ok(Self { meters, ..self })
    }

    fn packages(&self) -> Result<Packages> {
        Ok(Packages::open(&self.cache.join("packages"), &self.supervisor)?)
    }

    /// Where series are kept that came from anywhere else than a folder with a `series.yaml`.
    pub(crate) fn series_cache(&self) -> PathBuf {
        self.cache.join("series")
    }

    pub(crate) fn kernels(&self) -> Result<Kernels> {
        Ok(Kernels::open(&self.cache.join("kernels"), self.supervisor.clone(), self.packages()?)?)
    }

    /// What the machines of a plan need.
    pub(crate) fn bench_for(&self, plan: &Plan, progress: &mut Progress) -> Result<Bench> {
        let fake = plan.arms.iter().all(|arm| matches!(arm.machine, Machine::Fake(_)));
        let tests = plan.workloads.iter().any(|workload| matches!(workload.kind, WorkloadKind::Ktap(_)));
        let purpose = match plan.evidence() {
            Evidence::Exact => Purpose::Closed,
            Evidence::Timed if tests => Purpose::Selftests,
            Evidence::Timed => Purpose::Lab,
        };
        self.bench((!fake).then_some(purpose), progress)
    }

    /// What the machines of a plan need whose images are there already: QEMU, and nothing to boot.
    pub(crate) fn bare_bench(&self, plan: &Plan, progress: &mut Progress) -> Result<Bench> {
        let fake = plan.arms.iter().all(|arm| matches!(arm.machine, Machine::Fake(_)));
        let qemu = if fake { None } else { Some(self.qemu(progress)?) };
        let helper = vec![self.us.clone().into(), OsString::from("__machine")];
        Ok(Bench { host: Host::probe(&self.supervisor, qemu, helper), guests: None })
    }

    /// Where bundles are unpacked.
    pub(crate) fn bundles(&self) -> PathBuf {
        self.cache.join("bundles")
    }

    /// The cache itself.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// With QEMU and a guest's root image for a purpose, had from Debian's packages where they are not there yet; or without
    /// them, for fake machines.
    pub(crate) fn bench(&self, purpose: Option<Purpose>, progress: &mut Progress) -> Result<Bench> {
        let (mut qemu, mut guests) = (None, None);
        if let Some(purpose) = purpose {
            let images = BootImages::open(&self.cache, &self.supervisor)?;
            let root_disk = self.root_disk(purpose, &images, progress)?;
            guests =
                Some(Guests { purpose, root_disk, images, packages: self.packages()?, agent: self.agent()? });
            qemu = Some(self.qemu(progress)?);
        }
        let helper = vec![self.us.clone().into(), OsString::from("__machine")];
        let host = Host::probe(&self.supervisor, qemu, helper);
        Ok(Bench { host, guests })
    }

    /// The host's own QEMU if it is new enough, otherwise one that is unpacked into the cache.
    fn qemu(&self, progress: &mut Progress) -> Result<Qemu> {
        match Qemu::system(&self.supervisor) {
            Ok(qemu) => return Ok(qemu),
            Err(machine::MachineError::Qemu { .. } | machine::MachineError::QemuTooOld { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Qemu::in_root(&self.qemu_root(progress)?, &self.supervisor)?)
    }

    /// The folder of the QEMU that is unpacked into the cache.
    pub(crate) fn qemu_root(&self, progress: &mut Progress) -> Result<PathBuf> {
        // Dependencies come from the stable suite unless they are named here.
        let newest =
            |name: &str| Wanted { name: name.into(), version: None, suite: Some("trixie-backports".into()) };
        let request = Request {
            suites: vec!["trixie".into(), "trixie-backports".into()],
            packages: ["qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios"]
                .map(newest)
                .into(),
            with_dependencies: true,
            recommends: false,
            omit: vec![],
        };
        let root = self.packages()?.root(&self.cache.join("roots"), &request, Reuse::Last, &mut |event| {
            packages_shown(progress, "QEMU from Debian's packages", &event);
        })?;
        Ok(root.path)
    }

    fn root_disk(&self, purpose: Purpose, images: &BootImages, progress: &mut Progress) -> Result<RootDisk> {
        if let Some(disk) = images.lookup_root_disk(purpose, &mut images_shown(progress))? {
            return Ok(disk);
        }
        Ok(images.root_disk(purpose, &self.packages()?, &mut images_shown(progress))?)
    }

    /// QEMU's plugin that counts instructions: beside our own program, where the build puts it.
    pub(crate) fn counting_plugin(&self) -> Result<PathBuf> {
        let plugin = self.us.with_file_name("libinsncount.so");
        ensure!(
            plugin.is_file(),
            "the plugin that counts instructions is not at {}: `cargo xtask setup` builds it",
            plugin.display()
        );
        Ok(plugin)
    }

    /// What carries streams in guests: beside our own program, where the build puts it.
    pub(crate) fn stream_program(&self) -> Result<PathBuf> {
        self.guest_program("assay-bench", "the guest program that carries streams")
    }

    /// The guest agent: beside our own program, where the build puts it.
    fn agent(&self) -> Result<PathBuf> {
        self.guest_program("assay-agent", "the guest agent")
    }

    fn guest_program(&self, name: &str, what: &str) -> Result<PathBuf> {
        let path = self.us.with_file_name(name);
        ensure!(path.is_file(), "{what} is not at {}: `cargo xtask setup` builds both", path.display());
        let program = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        ensure!(
            is_static(&program),
            "{what} at {} is no static program, and guests have no libraries before their root is mounted: \
             `cargo xtask setup` builds it right",
            path.display()
        );
        Ok(path)
    }
}

/// Whether the kernel can execute it with nothing else there: an ELF program that asks for no interpreter.
fn is_static(program: &[u8]) -> bool {
    let interpreted = || -> object::read::Result<bool> {
        let header = FileHeader64::<Endianness>::parse(program)?;
        let endian = header.endian()?;
        let mut segments = header.program_headers(endian, program)?.iter();
        Ok(segments.any(|segment| segment.p_type(endian) == PT_INTERP))
    };
    matches!(interpreted(), Ok(false))
}

impl Bench {
    /// What each arm boots. Arms whose kernel failed to build have no entry.
    pub(crate) fn boot_files(
        &self,
        kernels: &BTreeMap<String, ArmKernel>,
        progress: &mut Progress,
    ) -> Result<BTreeMap<String, BootFiles>> {
        let mut files = BTreeMap::new();
        for (arm, kernel) in kernels {
            let BuildEnd::Built(image) = &kernel.build else { continue };
            let mut boot = BootFiles {
                kernel: image.image.clone(),
                initramfs: PathBuf::new(),
                root_disk: PathBuf::new(),
                modules_disk: None,
                disks: vec![],
            };
            if let Some(guests) = &self.guests {
                let tree =
                    image.modules.as_ref().map(|folder| folder.join("lib/modules").join(&image.release));
                let modules = tree.as_deref().map(KernelModules::of);
                let mut shown = images_shown(progress);
                boot.initramfs = guests.images.initramfs(&guests.agent, modules.as_ref(), &mut shown)?.path;
                if let Some(tree) = &tree {
                    boot.modules_disk = Some(match guests.purpose {
                        Purpose::Closed => {
                            guests.images.packed_modules(tree, &guests.packages, &mut shown)?
                        }
                        Purpose::Lab | Purpose::Selftests => {
                            guests.images.modules_disk(tree, &guests.packages, &mut shown)?
                        }
                    });
                }
                boot.root_disk.clone_from(&guests.root_disk.path);
            }
            files.insert(arm.clone(), boot);
        }
        Ok(files)
    }

    /// Gives every arm's guests their tests, each folder as a disk.
    pub(crate) fn add_tests(
        &self,
        files: &mut BTreeMap<String, BootFiles>,
        tests: &BTreeMap<String, Vec<PathBuf>>,
        progress: &mut Progress,
    ) -> Result<()> {
        let Some(guests) = &self.guests else { return Ok(()) };
        for (arm, folders) in tests {
            let Some(boot) = files.get_mut(arm) else { continue };
            for folder in folders {
                let mut shown = images_shown(progress);
                boot.disks.push(guests.images.tests_disk(folder, &guests.packages, &mut shown)?);
            }
        }
        Ok(())
    }

    /// Gives the hosts of nested machines the QEMU that they run guests with, as a disk.
    pub(crate) fn add_inner_qemu(
        &self,
        lab: &Lab,
        files: &mut BTreeMap<String, BootFiles>,
        plan: &Plan,
        progress: &mut Progress,
    ) -> Result<()> {
        let mut disk: Option<PathBuf> = None;
        for arm in plan.arms.iter().filter(|arm| matches!(arm.machine, Machine::Nested(_))) {
            let Some(boot) = files.get_mut(&arm.name) else { continue };
            let disk = match &disk {
                Some(disk) => disk,
                None => disk.insert(self.inner_qemu(lab, progress)?),
            };
            boot.disks.push(disk.clone());
        }
        Ok(())
    }

    /// The disk with the QEMU that a host within runs guests with.
    pub(crate) fn inner_qemu(&self, lab: &Lab, progress: &mut Progress) -> Result<PathBuf> {
        let guests = self.guests.as_ref().context("there are no images of guests")?;
        let root = lab.qemu_root(progress)?;
        Ok(guests.images.tools_disk(&root, &guests.packages, &mut images_shown(progress))?)
    }

    /// What a result depends on besides the plan and the kernels.
    pub(crate) fn facts(&self, progress: &mut Progress) -> Result<store::Host> {
        let mut facts = host_facts()?;
        facts.qemu = self.host.qemu.as_ref().map_or_else(|| "none".into(), |qemu| qemu.version().to_owned());
        facts.accel = match &self.host.kvm {
            Ok(()) => "kvm".into(),
            Err(why) => format!("tcg ({why})"),
        };
        if let Some(guests) = &self.guests {
            facts.guest_root = GuestRoot {
                sha256: guests.root_disk.sha256.clone(),
                packages: guests.root_disk.packages.iter().cloned().collect(),
            };
            facts.initramfs_sha256 =
                guests.images.initramfs(&guests.agent, None, &mut images_shown(progress))?.sha256;
        }
        Ok(facts)
    }
}

/// How this machine stands for timed runs.
fn bench() -> store::Bench {
    let root = host::Root::machine();
    let host::Bench { governor, driver, turbo, smt, deepest_idle_us, isolated, load } = host::bench(&root);
    let tuned = crate::tune::tuned_since(&root, &crate::tune::state_file())
        .unwrap_or_else(|error| Some(format!("unknown: {error}")));
    store::Bench { governor, driver, turbo, smt, deepest_idle_us, isolated, load, tuned }
}

/// From `/proc` and `uname`.
pub(crate) fn host_facts() -> Result<store::Host> {
    let read =
        |path: &str| std::fs::read_to_string(Path::new(path)).with_context(|| format!("reading {path}"));
    let cpuinfo = read("/proc/cpuinfo")?;
    let meminfo = read("/proc/meminfo")?;
    let field = |text: &str, name: &str| {
        text.lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
    };
    let memory_kib =
        field(&meminfo, "MemTotal").and_then(|value| value.split(' ').next()?.parse::<u64>().ok());
    Ok(store::Host {
        kernel: nix::sys::utsname::uname().context("uname")?.release().to_string_lossy().into_owned(),
        cpu: field(&cpuinfo, "model name").unwrap_or_default(),
        cpus: std::thread::available_parallelism()
            .map_or(0, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        memory_mib: memory_kib.context("/proc/meminfo has no MemTotal")? / 1024,
        bench: Some(bench()),
        ..store::Host::default()
    })
}

/// Shows how far boot images are, and for whom they wait.
fn images_shown(progress: &mut Progress) -> impl FnMut(boot_image::Progress) {
    use boot_image::Progress::{Damaged, Fetching, Resolving, Waiting, Writing};
    const ROOT: &str = "the guests' root image";
    |event| match event {
        Resolving => progress.status(ROOT, "looking up packages"),
        Fetching { packages, bytes } => {
            progress.status(ROOT, &format!("fetching {packages} packages, {} MB", bytes / 1_000_000));
        }
        Writing => progress.status(ROOT, "writing the image"),
        Waiting { what, holder } => progress.line(format!("Waiting for {holder}, which makes {what}.")),
        Damaged { image, found, aside } => progress.line(format!(
            "The boot image {} is damaged: it has sha256 {found}. It is now {}, and is made anew.",
            image.display(),
            aside.display()
        )),
        other => progress.line(format!("{other:?}")),
    }
}

/// Shows how far packages are, and for whom they wait.
fn packages_shown(progress: &mut Progress, what: &str, event: &Event) {
    match event {
        Event::Waiting { path, holder } => {
            progress.line(format!("Waiting for {holder}, which is at work in {}.", path.display()));
        }
        Event::Damaged { path, reason, aside } => progress.line(format!(
            "The unpacked packages in {} are damaged: {reason}. They are now in {}, and are unpacked anew.",
            path.display(),
            aside.display()
        )),
        event => progress.status(what, &debian_event(event)),
    }
}

fn debian_event(event: &Event) -> String {
    match event {
        Event::Fetching { packages, of_packages, bytes, of_bytes } => {
            format!(
                "fetched {packages} of {of_packages} packages, {} of {} MB",
                bytes / 1_000_000,
                of_bytes / 1_000_000
            )
        }
        Event::Unpacking { package, before, of } => format!("unpacking {package} ({before} of {of})"),
        _ => String::new(),
    }
}

/// `assay __qemu`.
pub(crate) fn print_qemu(places: &Places) -> Result<ExitCode, Failure> {
    let mut progress = Progress::new();
    let qemu = Lab::open(places)?.qemu(&mut progress)?;
    progress.clear();
    println!("{}", serde_json::to_string(&qemu.argv()).context("writing QEMU's argv")?);
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_program_asks_for_no_interpreter() {
        let this_test = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(!is_static(&this_test), "tests are linked to the C library");
        assert!(!is_static(b"#!/bin/sh\n"));
        // A header for x86-64 with no segments, of which none can be an interpreter.
        let mut bare = vec![0; 64];
        bare[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
        bare[52] = 64;
        assert!(is_static(&bare));
    }
}
