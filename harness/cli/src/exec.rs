//! `assay exec`: one command in one guest.

use std::{collections::BTreeMap, io::Write, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use machine::{Boot, BootEnd, Running};
use measure::{BuildEnd, CrashReport};
use plan::{CpuModel, Knobs, Machine, QemuMachine, Topology};
use store::ArmKernel;

use crate::{
    arguments::{self, Places},
    builds::{describe, obtain},
    failure::Failure,
    kernels::spec,
    lab::Lab,
    places::Runtime,
    progress::Progress,
};

const BOOT_DEADLINE: Duration = Duration::from_secs(60);
const POWER_OFF_DEADLINE: Duration = Duration::from_secs(20);
/// The only guest's arm, as far as boot files are named by arm.
const ARM: &str = "exec";
const MAX_DISKS: usize = 8;

pub(crate) fn exec(places: &Places, arguments: &arguments::Exec) -> Result<ExitCode, Failure> {
    let mut progress = Progress::new();
    let spec = spec(places, &arguments.base, &arguments.series)?;
    let lab = Lab::open(places)?;
    let bench = lab.bench(true, &mut progress)?;
    let runtime = Runtime::create()?;
    // As long as it lives, no other process' collection takes the kernel away.
    let workshop = lab.kernels()?;
    let image = match obtain(&workshop, &spec, &runtime.folder().join("builds"), &mut progress)? {
        BuildEnd::Built(image) => image,
        failed => {
            progress.clear();
            eprintln!("{}", describe(&failed));
            return Ok(ExitCode::FAILURE);
        }
    };
    progress.clear();
    let kernels = BTreeMap::from([(ARM.to_owned(), ArmKernel { build: BuildEnd::Built(image) })]);
    let mut files = bench.boot_files(&kernels)?.remove(ARM).context("the kernel has no boot files")?;
    files.disks = disks(&arguments.disk)?;
    let machine = Machine::Qemu(QemuMachine {
        accel: arguments.accel.into(),
        cpu: CpuModel::Max,
        vcpus: arguments.vcpus,
        memory_mib: arguments.memory,
        topology: Topology::Loopback,
        knobs: Knobs::default(),
    });
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the asynchronous runtime")?;
    let status = tokio.block_on(async {
        tokio::select! {
            () = crate::interrupt::asked_to_stop() => Err(Failure::Interrupted("interrupted".into())),
            status = in_guest(&lab, &bench.host, &machine, &files, &runtime, arguments) => status,
        }
    });
    tokio.shutdown_timeout(Duration::from_secs(2));
    status
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

/// Boots, runs the command, powers off.
async fn in_guest(
    lab: &Lab,
    host: &machine::Host,
    machine: &Machine,
    files: &machine::BootFiles,
    runtime: &Runtime,
    arguments: &arguments::Exec,
) -> Result<ExitCode, Failure> {
    let booted = machine::boot(Boot {
        machine,
        cmdline: &arguments.cmdline,
        files,
        folder: runtime.folder(),
        runtime: runtime.folder(),
        deadline: BOOT_DEADLINE,
        traced: false,
        supervisor: &lab.supervisor,
        host,
    })
    .await?;
    let running = match booted {
        BootEnd::Up(running) => running,
        BootEnd::Crashed(report) => return Ok(crashed(&report)),
        BootEnd::NotTestable(message) => return Err(Failure::user(format!("assay: {message}"))),
    };
    let command = command(&running, arguments);
    let ended = tokio::select! {
        report = running.crashed() => return Ok(crashed(&report?)),
        ended = command => ended?,
    };
    if let Err(report) = running.power_off(POWER_OFF_DEADLINE).await? {
        return Ok(crashed(&report));
    }
    Ok(ended)
}

async fn command(running: &Running, arguments: &arguments::Exec) -> Result<ExitCode, Failure> {
    let deadline = Duration::from_secs(arguments.deadline.into());
    let (program, rest) = arguments.command.split_first().expect("clap wants at least one word");
    let command = machine::GuestCommand::new(program).args(rest).deadline(deadline);
    let executed = running.client().session.exec(command).await?;
    std::io::stdout().write_all(&executed.stdout).context("writing the command's output")?;
    std::io::stderr().write_all(&executed.stderr).context("writing the command's error output")?;
    Ok(match executed.how {
        protocol::HowEnded::Exited(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        protocol::HowEnded::Signalled(signal) => ExitCode::from(u8::try_from(128 + signal).unwrap_or(1)),
        protocol::HowEnded::DeadlinePassed => {
            eprintln!("assay: the command did not end within {} s", arguments.deadline);
            ExitCode::from(124)
        }
    })
}

/// The kernel's failure is the answer, not an error of ours.
fn crashed(report: &CrashReport) -> ExitCode {
    eprintln!("{}", report.excerpt);
    eprintln!("assay: the kernel crashed: {}", report.title);
    ExitCode::FAILURE
}
