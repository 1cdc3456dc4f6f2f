//! `assay kernel`.

use std::{collections::BTreeSet, path::Path, process::ExitCode};

use anyhow::Context;
use boot_image::Purpose;
use measure::{BuildEnd, KernelImage};
use plan::{ConfigOption, KernelSpec};

use crate::{
    arguments::{Flavour, Kernel, KernelChoice, Places, SeriesFlags},
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
        Kernel::List { json } => list(places, *json),
        Kernel::Build { choice, json } => build(places, choice, *json),
        Kernel::Path { choice, json } => {
            let image = built(places, choice)?;
            if *json {
                print_json(&image)?;
            } else {
                println!("{}", image.image.parent().unwrap_or(Path::new("/")).display());
            }
            Ok(ExitCode::SUCCESS)
        }
        Kernel::Config(choice) => config(places, choice),
        Kernel::Fragment => {
            print!("{}", kernel_tree::fragment());
            Ok(ExitCode::SUCCESS)
        }
        Kernel::Reproduce { choice, json } => reproduce(places, choice, *json),
        Kernel::Gc { under, json } => {
            let keep = kernel::Keep { keys: BTreeSet::new(), bytes: under << 30 };
            let freed = Lab::open(places)?.kernels()?.gc(&keep)?;
            if *json {
                let kernel::Freed { bytes, removed } = freed;
                print_json(&serde_json::json!({ "bytes": bytes, "removed": removed }))?;
                return Ok(ExitCode::SUCCESS);
            }
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
    (flavour, options): (Option<Flavour>, &[ConfigOption]),
    series: &SeriesFlags,
    lab: &Lab,
    progress: &mut Progress,
) -> Result<KernelSpec, Failure> {
    let project = places.project(Path::new("."))?;
    let flavour = flavour.map(plan::Flavour::from).unwrap_or_default();
    let base = scenario::base(base, &project)
        .and_then(|base| scenario::flavoured(base, flavour, &project))
        .map_err(Failure::user)?;
    let series = resolve(series, &base.name, &project, lab, progress)?;
    Ok(KernelSpec { base, series, options: options.to_vec() })
}

fn list(places: &Places, json: bool) -> Result<ExitCode, Failure> {
    let project = places.project(Path::new("."))?;
    if json {
        let built: Vec<_> = Lab::open(places)?.kernels()?.list()?.iter().map(in_short).collect();
        let (bases, series) = (project.bases(), project.series());
        print_json(&serde_json::json!({ "bases": bases, "series": series, "built": built }))?;
        return Ok(ExitCode::SUCCESS);
    }
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

/// An image of the cache for programs: all but the list of its files.
fn in_short(stored: &kernel::Stored) -> serde_json::Value {
    serde_json::json!({
        "key": stored.key,
        "base": stored.base,
        "series": stored.series,
        "options": stored.options,
        "release": stored.release,
        "source_version": stored.source_version,
        "toolchain": stored.toolchain,
        "build_seconds": stored.build_seconds,
        "bytes": stored.bytes,
    })
}

fn build(places: &Places, choice: &KernelChoice, json: bool) -> Result<ExitCode, Failure> {
    let mut progress = Progress::new();
    let lab = Lab::open(places)?;
    let spec =
        spec(places, &choice.base, (choice.flavour, &choice.option), &choice.series, &lab, &mut progress)?;
    let runtime = Runtime::create()?;
    let build = obtain(&lab.kernels()?, &spec, &runtime.folder().join("builds"), &mut progress);
    progress.clear();
    let build = build?;
    if json {
        print_json(&build)?;
        let built = matches!(build, BuildEnd::Built(_));
        return Ok(if built { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    match build {
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
    let spec =
        spec(places, &choice.base, (choice.flavour, &choice.option), &choice.series, &lab, &mut progress)?;
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
fn reproduce(places: &Places, choice: &KernelChoice, json: bool) -> Result<ExitCode, Failure> {
    let mut progress = Progress::new();
    let lab = Lab::open(places)?;
    let spec =
        spec(places, &choice.base, (choice.flavour, &choice.option), &choice.series, &lab, &mut progress)?;
    let runtime = Runtime::create()?;
    let logs = runtime.folder().join("builds");
    let reproduction = lab.kernels()?.reproduce(&spec, &logs, &mut show(&mut progress)).map_err(of_kernel);
    progress.clear();
    let reproduction = reproduction?;
    if json {
        let identical = reproduction.is_identical();
        let kernel::Reproduction { key, cached, rebuilt } = reproduction;
        print_json(&serde_json::json!({
            "identical": identical, "key": key, "cached_sha256": cached, "rebuilt_sha256": rebuilt,
        }))?;
        return Ok(if identical { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    println!("cached   {}\nrebuilt  {}", reproduction.cached, reproduction.rebuilt);
    if reproduction.is_identical() {
        println!("identical");
        return Ok(ExitCode::SUCCESS);
    }
    println!("they differ");
    Ok(ExitCode::FAILURE)
}

/// One document on standard output.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    println!("{}", serde_json::to_string_pretty(value).context("writing JSON")?);
    Ok(())
}

/// `assay __boot-folder`: links to what a guest of this base boots.
pub(crate) fn boot_folder(places: &Places, base: String, folder: &Path) -> Result<ExitCode, Failure> {
    let image =
        built(places, &KernelChoice { base, flavour: None, option: vec![], series: SeriesFlags::default() })?;
    let lab = Lab::open(places)?;
    let mut progress = Progress::new();
    let bench = lab.bench(Some(Purpose::Lab), &mut progress)?;
    let qemu = lab.qemu_root(&mut progress)?;
    let kernels = [("boot".to_owned(), store::ArmKernel { build: BuildEnd::Built(image) })].into();
    let files =
        bench.boot_files(&kernels, &mut progress)?.remove("boot").context("the kernel has no boot files")?;
    progress.clear();
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
    let spec = spec(
        places,
        &choice.base,
        (choice.flavour, &choice.option),
        &choice.series,
        &lab,
        &mut Progress::new(),
    )?;
    lab.kernels()?.lookup(&spec).map_err(of_kernel)?.ok_or_else(|| {
        let series: String =
            choice.series.series.iter().map(|series| format!(" --series {series}")).collect();
        let flavour =
            choice.flavour.map(|flavour| format!(" --flavour {}", flavour.word())).unwrap_or_default();
        let with = format!("{flavour}{series}").replace(" --flavour", ",").replace(" --series", " with");
        Failure::user(format!("assay: {}{with} is not built", choice.base))
            .hint(format!("assay kernel build {}{flavour}{series}", choice.base))
    })
}
