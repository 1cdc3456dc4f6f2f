//! `assay kernel`.

use std::{collections::BTreeSet, path::Path, process::ExitCode};

use anyhow::Context;
use measure::{BuildEnd, KernelImage};
use plan::KernelSpec;

use crate::{
    arguments::{Kernel, KernelChoice, Places, SeriesFlags},
    builds::{describe, obtain, of_kernel, show},
    failure::Failure,
    lab::Lab,
    places::Runtime,
    plans::gigabytes,
    progress::Progress,
    series::resolve,
};

pub(crate) fn kernel(places: &Places, command: &Kernel) -> Result<ExitCode, Failure> {
    match command {
        Kernel::List => list(places),
        Kernel::Build { choice, json } => build(places, choice, *json),
        Kernel::Path(choice) => {
            let image = built(places, choice)?;
            println!("{}", image.image.parent().unwrap_or(Path::new("/")).display());
            Ok(ExitCode::SUCCESS)
        }
        Kernel::Config(choice) => config(places, choice),
        Kernel::Fragment => {
            print!("{}", kernel_tree::fragment());
            Ok(ExitCode::SUCCESS)
        }
        Kernel::Reproduce(choice) => reproduce(places, choice),
        Kernel::Gc { under } => {
            let keep = kernel::Keep { keys: BTreeSet::new(), bytes: under << 30 };
            let freed = Lab::open(places)?.kernels()?.gc(&keep)?;
            for what in &freed.removed {
                println!("removed {what}");
            }
            println!("freed {:.2} GB", gigabytes(freed.bytes));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What the command line asks for.
pub(crate) fn spec(
    places: &Places,
    base: &str,
    series: &SeriesFlags,
    lab: &Lab,
    progress: &mut Progress,
) -> Result<KernelSpec, Failure> {
    let project = places.project(Path::new("."))?;
    let base = scenario::base(base, &project).map_err(Failure::user)?;
    let series = resolve(series, &base.name, &project, lab, progress)?;
    Ok(KernelSpec { base, series, options: vec![] })
}

fn list(places: &Places) -> Result<ExitCode, Failure> {
    let project = places.project(Path::new("."))?;
    println!("bases:");
    for name in project.bases() {
        println!("  {name}");
    }
    println!("series:");
    for name in project.series() {
        println!("  {name}");
    }
    println!("built:");
    for stored in Lab::open(places)?.kernels()?.list()? {
        let series: String = stored.series.iter().map(|name| format!(" + {name}")).collect();
        println!(
            "  {}  {:>6.2} GB  {}{series}  ({}, {})",
            &stored.key[..12.min(stored.key.len())],
            gigabytes(stored.bytes),
            stored.base,
            stored.source_version,
            stored.release
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn build(places: &Places, choice: &KernelChoice, json: bool) -> Result<ExitCode, Failure> {
    let mut progress = Progress::new();
    let lab = Lab::open(places)?;
    let spec = spec(places, &choice.base, &choice.series, &lab, &mut progress)?;
    let runtime = Runtime::create()?;
    let build = obtain(&lab.kernels()?, &spec, &runtime.folder().join("builds"), &mut progress);
    progress.clear();
    match build? {
        BuildEnd::Built(image) if json => {
            println!("{}", serde_json::to_string_pretty(&image).context("writing the image as JSON")?);
        }
        BuildEnd::Built(image) => println!("{}", image.image.display()),
        failed => {
            eprintln!("{}", describe(&failed));
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The merged configuration, made without a build if there was none yet.
fn config(places: &Places, choice: &KernelChoice) -> Result<ExitCode, Failure> {
    let mut progress = Progress::new();
    let lab = Lab::open(places)?;
    let spec = spec(places, &choice.base, &choice.series, &lab, &mut progress)?;
    let config = lab.kernels()?.config(&spec, &mut show(&mut progress)).map_err(of_kernel);
    progress.clear();
    match config? {
        Ok(text) => print!("{text}"),
        Err(end) => {
            eprintln!("{}", describe(&end));
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds a kernel twice, the second time from nothing, and compares the images.
fn reproduce(places: &Places, choice: &KernelChoice) -> Result<ExitCode, Failure> {
    let mut progress = Progress::new();
    let lab = Lab::open(places)?;
    let spec = spec(places, &choice.base, &choice.series, &lab, &mut progress)?;
    let runtime = Runtime::create()?;
    let logs = runtime.folder().join("builds");
    let reproduction = lab.kernels()?.reproduce(&spec, &logs, &mut show(&mut progress)).map_err(of_kernel);
    progress.clear();
    let reproduction = reproduction?;
    println!("cached   {}\nrebuilt  {}", reproduction.cached, reproduction.rebuilt);
    if reproduction.is_identical() {
        println!("identical");
        return Ok(ExitCode::SUCCESS);
    }
    println!("they differ");
    Ok(ExitCode::FAILURE)
}

/// `assay __boot-folder`: links to what a guest of this base boots.
pub(crate) fn boot_folder(places: &Places, base: String, folder: &Path) -> Result<ExitCode, Failure> {
    let image = built(places, &KernelChoice { base, series: SeriesFlags::default() })?;
    let lab = Lab::open(places)?;
    let mut progress = Progress::new();
    let bench = lab.bench(true, &mut progress)?;
    let qemu = lab.qemu_root(&mut progress)?;
    progress.clear();
    let kernels = [("boot".to_owned(), store::ArmKernel { build: BuildEnd::Built(image) })].into();
    let files = bench.boot_files(&kernels)?.remove("boot").context("the kernel has no boot files")?;
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let links =
        [("kernel", files.kernel), ("initramfs", files.initramfs), ("root", files.root_disk), ("qemu", qemu)];
    for (name, target) in links {
        let link = folder.join(name);
        if link.is_symlink() {
            std::fs::remove_file(&link).with_context(|| format!("removing {}", link.display()))?;
        }
        std::os::unix::fs::symlink(&target, &link).with_context(|| format!("linking {}", link.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn built(places: &Places, choice: &KernelChoice) -> Result<KernelImage, Failure> {
    let lab = Lab::open(places)?;
    let spec = spec(places, &choice.base, &choice.series, &lab, &mut Progress::new())?;
    lab.kernels()?.lookup(&spec).map_err(of_kernel)?.ok_or_else(|| {
        Failure::user(format!("assay: {} is not built; build it with `assay kernel build`", choice.base))
    })
}
