//! `assay bundle`: a run into one file, and what is in somebody's.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use bundle::{BundleError, Content, Part, Portable, Scrub};
use kernel::Kernels;
use measure::BuildEnd;
use plan::Plan;
use serde_json::json;
use store::{Environment, RunFile, Stored};

use crate::{
    arguments::{self, Places},
    exact,
    failure::Failure,
    inputs,
    lab::Lab,
    progress::Progress,
    reports::{self, user},
    timed,
};

pub(crate) fn bundle(places: &Places, flags: &arguments::Bundle) -> Result<ExitCode, Failure> {
    if let Some(file) = &flags.show {
        return crate::replay::show(places, file, flags.json);
    }
    let mut progress = Progress::new();
    let folder = reports::folder(places, flags.run.as_deref())?;
    let stored = store::read(&folder).map_err(user)?;
    if store::is_busy(&folder)? {
        return Err(Failure::user(format!("assay: {} is still being made", stored.file.run)));
    }
    if stored.file.plan.is_imported() {
        return Err(Failure::user(format!(
            "assay: {} was imported: a bundle is for repeating a run, and nobody can repeat this one; its files are in {}",
            stored.file.run,
            inputs::folder(&folder).display()
        )));
    }
    let name = format!("{}.bundle.tar.zst", stored.file.run);
    let output = flags.output.clone().unwrap_or_else(|| PathBuf::from(name));
    progress.status(&format!("bundling {}", stored.file.run), "");
    let lab = Lab::open(places)?;
    let scrub = scrub(places, &lab)?;
    let environment = Environment::of_run(&folder).map_err(user)?;
    let images = !flags.no_images;
    let portable =
        bundle::portable(&stored.file, environment.as_ref(), &inputs::folder(&folder), images, &scrub)
            .map_err(of_bundle)?;
    let Portable { file, environment, mut parts, without } = portable;
    parts.push(text("sources.json", sources(&lab.kernels()?, &stored.file)?)?);
    if let Some(environment) = &environment {
        parts.push(text("environment.json", environment)?);
    }
    parts.extend(as_it_is(&folder, &scrub)?);
    let report = Stored { folder: PathBuf::from(&file.run), file, ..stored };
    let (calibration, noise) = (exact::of_run(&folder)?, timed::of_run(&folder)?);
    let model = reports::model_by(&report, calibration.as_ref(), noise.as_ref())?;
    for (name, form) in reports::forms(&model)? {
        parts.push(bytes(name, scrub.bytes(form.as_bytes())));
    }
    parts.push(text("run.json", &report.file)?);
    let has_images = images && environment.is_some();
    let version = env!("CARGO_PKG_VERSION");
    let manifest =
        bundle::write(&output, &report.file.run, version, has_images, without, parts).map_err(of_bundle)?;
    progress.clear();
    for lacking in &manifest.without {
        eprintln!("note: without {lacking}");
    }
    let size = std::fs::metadata(&output).with_context(|| format!("reading {}", output.display()))?.len();
    if flags.json {
        let document = json!({
            "bundle": output, "bytes": size, "run": manifest.run, "images": manifest.images,
            "members": manifest.members.len(), "without": manifest.without,
        });
        println!("{document:#}");
    } else {
        println!("{}", output.display());
        let images = if manifest.images { "with images" } else { "without images" };
        eprintln!("{} files, {:.1} MB, {images}", manifest.members.len(), megabytes(size));
    }
    Ok(ExitCode::SUCCESS)
}

/// The words that stand for folders of this machine.
pub(crate) fn scrub(places: &Places, lab: &Lab) -> Result<Scrub, Failure> {
    let absolute =
        |path: &Path| std::path::absolute(path).with_context(|| format!("resolving {}", path.display()));
    let mut scrub = Scrub::default()
        .folder(lab.cache(), "CACHE")
        .folder(&absolute(&places.results)?, "RESULTS")
        .folder(&absolute(Path::new("."))?, "HERE");
    if let Ok(project) = places.project(Path::new(".")) {
        scrub = scrub.folder(&absolute(&project.root)?, "PROJECT");
    }
    if let Some(home) = std::env::var_os("HOME") {
        scrub = scrub.folder(Path::new(&home), "~");
    }
    Ok(scrub)
}

/// What each base's source was resolved to.
fn sources(kernels: &Kernels, file: &RunFile) -> Result<serde_json::Value, Failure> {
    let mut sources = BTreeMap::new();
    for arm in &file.plan.arms {
        let base = &arm.kernel.base;
        let Some(BuildEnd::Built(image)) = file.kernels.get(&arm.name).map(|kernel| &kernel.build) else {
            continue;
        };
        let identity =
            kernels.identity(&base.source, &image.source_version).map_err(crate::builds::of_kernel)?;
        let toolchain = &image.toolchain;
        sources.insert(
            base.name.clone(),
            json!({ "version": image.source_version, "identity": identity, "toolchain": toolchain }),
        );
    }
    Ok(json!({ "format": 1, "bases": sources }))
}

/// What a run's folder holds that goes along as it is, but for folders in logs.
fn as_it_is(folder: &Path, scrub: &Scrub) -> Result<Vec<Part>, Failure> {
    let mut parts = vec![file("samples.jsonl", &folder.join("samples.jsonl"))];
    for name in [exact::CALIBRATION, timed::NOISE] {
        let calibration = folder.join(name);
        if calibration.is_file() {
            parts.push(clean(name, &calibration, scrub)?);
        }
    }
    let scenario = inputs::folder(folder).join(inputs::SCENARIO);
    if scenario.is_file() {
        parts.push(clean("scenario.yaml", &scenario, scrub)?);
    }
    let builds = folder.join("builds");
    if builds.is_dir() {
        for (name, path) in files(&builds)? {
            parts.push(clean(&format!("builds/{}", bundle::safe_name(&name)), &path, scrub)?);
        }
    }
    let trials = folder.join("trials");
    for (index, trial) in folders(&trials)? {
        if index.parse::<u32>().is_err() || !trial.join("trial.json").is_file() {
            continue;
        }
        for (name, path) in files(&trial)? {
            parts.push(clean(&format!("trials/{index}/{}", bundle::safe_name(&name)), &path, scrub)?);
        }
        if trial.join("raw").is_dir() {
            for (name, path) in files(&trial.join("raw"))? {
                parts.push(file(&format!("trials/{index}/raw/{}", bundle::safe_name(&name)), &path));
            }
        }
        // Consoles of boots that the emulator spoilt: who doubts that they were spoilt can look.
        for (aside, spoilt) in folders(&trial)?.into_iter().filter(|(name, _)| name.starts_with("set-aside-"))
        {
            for (name, path) in files(&spoilt)? {
                let member =
                    format!("trials/{index}/{}/{}", bundle::safe_name(&aside), bundle::safe_name(&name));
                parts.push(clean(&member, &path, scrub)?);
            }
        }
    }
    Ok(parts)
}

fn files(folder: &Path) -> Result<Vec<(String, PathBuf)>, Failure> {
    entries(folder, |kind| kind.is_file())
}

fn folders(folder: &Path) -> Result<Vec<(String, PathBuf)>, Failure> {
    entries(folder, |kind| kind.is_dir())
}

fn entries(folder: &Path, wanted: fn(std::fs::FileType) -> bool) -> Result<Vec<(String, PathBuf)>, Failure> {
    let reading = || format!("reading {}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        if wanted(entry.file_type().with_context(reading)?) {
            found.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
    }
    Ok(found)
}

fn file(member: &str, path: &Path) -> Part {
    Part { path: member.to_owned(), content: Content::File { path: path.to_owned(), sha256: None } }
}

fn bytes(member: &str, bytes: Vec<u8>) -> Part {
    Part { path: member.to_owned(), content: Content::Bytes(bytes) }
}

fn text(member: &str, value: impl serde::Serialize) -> Result<Part, Failure> {
    Ok(bytes(member, serde_json::to_vec_pretty(&value).context("writing JSON")?))
}

/// A file without folders of this machine in it.
fn clean(member: &str, path: &Path, scrub: &Scrub) -> Result<Part, Failure> {
    let content = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(bytes(member, scrub.bytes(&content)))
}

/// Whose failure it is.
pub(crate) fn of_bundle(error: BundleError) -> Failure {
    if error.is_the_users() {
        Failure::user(format!("assay: {:#}", anyhow::Error::from(error)))
    } else {
        error.into()
    }
}

#[expect(clippy::cast_precision_loss, reason = "printed with one digit")]
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// The arms of a plan in a line each.
pub(crate) fn arms_in_words(plan: &Plan) -> Vec<String> {
    let words = |arm: &plan::Arm| {
        let series: String = arm
            .kernel
            .series
            .iter()
            .map(|series| {
                format!(" + {} ({})", series.name, counted(series.patches.len(), "patch", "patches"))
            })
            .collect();
        format!("{}: {}{series}", arm.name, arm.kernel.base.name)
    };
    plan.arms.iter().map(words).collect()
}

/// `1 patch`, `2 patches`.
pub(crate) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
