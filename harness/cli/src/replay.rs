//! `assay replay`: a stranger's run once more, and whether it comes to the same.

use std::{collections::BTreeMap, path::Path, process::ExitCode};

use anyhow::{Context, anyhow};
use bundle::{Limits, Opened, Reader, Shelf};
use measure::BuildEnd;
use plan::{Plan, Source, WorkloadKind};
use report::{Agreement, agreement, agreement_text};
use runner::{COUNTS_FILE, MODULES_FILE};
use serde_json::json;
use store::{Environment, Replay, ReplayImages, RunFile, StoreError, Stored};

use crate::{
    arguments::{self, Places},
    builds::of_kernel,
    bundle::{arms_in_words, counted, megabytes, of_bundle},
    exact,
    failure::Failure,
    lab::Lab,
    progress::Progress,
    reports,
    run::{Images, Order, carry_out},
};

/// A run out of a bundle, every part of which was checked.
struct Original {
    opened: Opened,
    /// As it was recorded, with members in the place of paths.
    stored: Stored,
    /// The same with paths that lead into the unpacked bundle.
    file: RunFile,
    environment: Option<Environment>,
}

pub(crate) fn replay(places: &Places, flags: &arguments::Replay) -> Result<ExitCode, Failure> {
    let mut progress = Progress::new();
    let lab = Lab::open(places)?;
    let named = flags.bundle.display().to_string();
    progress.status(&format!("checking {named}"), "");
    let Original { opened, stored, mut file, environment } =
        original(&lab, &flags.bundle, |has_images| has_images && !flags.rebuild)?;
    let images = match &environment {
        Some(_) if opened.manifest.images && !flags.rebuild => ReplayImages::Same,
        _ => ReplayImages::Rebuilt,
    };
    narrow(&mut file.plan, flags)?;
    progress.line(format!("{named}: {} of {}: {}", file.run, file.started, images.words()));
    let replay = Replay::new(named.clone(), opened.digest.clone(), file.run.clone(), images);
    let scenario = std::fs::read(opened.folder.join("scenario.yaml")).ok();
    let images = match images {
        ReplayImages::Same => same_images(&file, environment, &named, &mut progress)?,
        ReplayImages::Rebuilt => {
            let before = file.plan.clone();
            let lacking = bundle::pin(&mut file, flags.source.as_deref());
            unpin_what_is_here(&lab, &mut file, &before)?;
            if !lacking.is_empty() {
                let all: Vec<String> =
                    lacking.iter().map(|lack| format!("{}: {}", lack.base, lack.reason)).collect();
                return Err(anyhow!("not to be had from here: {}", all.join("; ")).into());
            }
            Images::Built
        }
    };
    let order = Order {
        plan: file.plan.clone(),
        command: format!("assay replay {}", subprocess::Argv(vec![flags.bundle.clone().into()])),
        scenario,
        images,
        replay: Some(replay.clone()),
        limit: None,
        // A stranger's verdicts are held against ours with their margins.
        calibration: exact::of_run(&opened.folder)?,
    };
    let now = carry_out(places, &lab, order, &mut progress).map_err(|failure| match failure {
        Failure::Interrupted(message) => Failure::Interrupted(format!(
            "{message}\nwhether it agrees with {} is not known before it is finished",
            replay.run
        )),
        other => other,
    })?;
    progress.clear();
    let answer = answer(&stored, &now, &replay)?;
    opened.discard().map_err(of_bundle)?;
    answer.tell(flags.json)
}

/// Says of a replay that was interrupted and is finished now whether it agrees with its bundle; of any other run nothing.
pub(crate) fn taken_up(places: &Places, now: &Stored) -> Result<(), Failure> {
    let Some(replay) = Replay::of_run(&now.folder)? else { return Ok(()) };
    if now.trials.len() < runner::schedule(&now.file.plan).len() {
        eprintln!("whether it agrees with {} is not known before it is finished", replay.run);
        return Ok(());
    }
    let lab = Lab::open(places)?;
    let unknown = |why: &str| {
        eprintln!("whether it agrees with {} is not known: {why} (again: assay replay FILE)", replay.run);
        Ok(())
    };
    let Original { opened, stored, .. } = match original(&lab, Path::new(&replay.bundle), |_| false) {
        Ok(original) => original,
        Err(Failure::User(mistakes)) => return unknown(&mistakes.to_string()),
        Err(failure) => return Err(failure),
    };
    let is_the_same = opened.digest == replay.digest;
    let answer = if is_the_same { Some(answer(&stored, now, &replay)?) } else { None };
    opened.discard().map_err(of_bundle)?;
    match answer {
        Some(answer) => {
            eprint!("{} repeats {}: {}", replay.bundle, replay.run, agreement_text(&answer.agreement));
            Ok(())
        }
        None => unknown(&format!("{} is another bundle now", replay.bundle)),
    }
}

/// A kernel that this machine has of the very version needs no server that still has it.
fn unpin_what_is_here(lab: &Lab, file: &mut RunFile, before: &Plan) -> Result<(), Failure> {
    let kernels = lab.kernels()?;
    for (arm, before) in file.plan.arms.iter_mut().zip(&before.arms) {
        let from_debian =
            matches!(before.kernel.base.source, Source::DebianSource { .. } | Source::DebianImage { .. });
        let Some(BuildEnd::Built(then)) = file.kernels.get(&arm.name).map(|kernel| &kernel.build) else {
            continue;
        };
        if from_debian
            && let Some(found) = kernels.lookup(&before.kernel).map_err(of_kernel)?
            && found.source_version == then.source_version
        {
            arm.kernel = before.kernel.clone();
        }
    }
    Ok(())
}

/// What a replay came to.
pub(crate) struct Answer {
    replay: Replay,
    run: String,
    folder: std::path::PathBuf,
    agreement: Agreement,
    /// By arm: whether a kernel that was built again came out the same to the byte.
    identical: BTreeMap<String, bool>,
}

/// Holds the new run against the one in the bundle, and keeps its report.
fn answer(then: &Stored, now: &Stored, replay: &Replay) -> Result<Answer, Failure> {
    let model = reports::model(now)?;
    reports::keep(now, &model)?;
    let before = reports::model(then)?;
    let image = |stored: &Stored, arm: &str| match stored.file.kernels.get(arm).map(|kernel| &kernel.build) {
        Some(BuildEnd::Built(image)) => Some(image.image_sha256.clone()),
        _ => None,
    };
    let identical = match replay.images {
        ReplayImages::Same => BTreeMap::new(),
        ReplayImages::Rebuilt => {
            let arms = now.file.plan.arms.iter();
            arms.filter_map(|arm| Some((arm.name.clone(), image(then, &arm.name)? == image(now, &arm.name)?)))
                .collect()
        }
    };
    let mut agreement = agreement(&before, &model);
    agreement.claims.extend(exact::repeats(then, now)?);
    agreement.agrees = agreement.claims.iter().map(|claim| claim.agrees).max().unwrap_or(agreement.agrees);
    let answer = Answer {
        replay: replay.clone(),
        run: now.file.run.clone(),
        folder: now.folder.clone(),
        agreement,
        identical,
    };
    let text = serde_json::to_string_pretty(&answer.json()).context("writing the agreement")?;
    let path = now.folder.join("agreement.json");
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    Ok(answer)
}

impl Answer {
    fn json(&self) -> serde_json::Value {
        json!({
            "format": 1,
            "bundle": self.replay.bundle,
            "digest": self.replay.digest,
            "of": self.replay.run,
            "run": self.run,
            "images": self.replay.images,
            "identical": self.identical,
            "agrees": self.agreement.agrees,
            "claims": self.agreement.claims,
        })
    }

    fn tell(&self, json: bool) -> Result<ExitCode, Failure> {
        if json {
            println!("{:#}", self.json());
        } else {
            println!("{} repeats {}: {}", self.run, self.replay.run, self.replay.images.words());
            for (arm, identical) in &self.identical {
                let how = if *identical { "came out the same to the byte" } else { "came out differently" };
                println!("the kernel of {arm} {how}");
            }
            print!("{}", agreement_text(&self.agreement));
            if !crate::terminal::quiet() {
                eprintln!("\n{}", reports::address(&self.folder)?);
            }
        }
        Ok(ExitCode::from(self.agreement.agrees.exit_code()))
    }
}

/// Unpacks a bundle and checks all that it says. `same` decides from whether it has images whether they are wanted.
fn original(lab: &Lab, path: &Path, same: impl Fn(bool) -> bool) -> Result<Original, Failure> {
    let limits = Limits::default();
    let has_images = Reader::open(path, &limits).map_err(of_bundle)?.manifest().images;
    let same = same(has_images);
    let shelf = Shelf::open(&lab.bundles()).map_err(of_bundle)?;
    let opened = shelf.take(path, &limits, &|member| is_wanted(member, same)).map_err(of_bundle)?;
    match understood(opened, has_images, same, path) {
        Ok(original) => Ok(original),
        Err((opened, failure)) => {
            // What is wrong with it is told, not that it could not be removed: the next one who opens a bundle tries again.
            let _ = opened.discard();
            Err(failure)
        }
    }
}

/// Logs and raw output are for people; symbols and disks only for those who boot the very same.
fn is_wanted(member: &str, same: bool) -> bool {
    let mut parts = member.split('/');
    match parts.next() {
        Some("boot") => same,
        Some("kernels") => same || !member.ends_with("/vmlinux"),
        Some("trials") => {
            let is_record = member.ends_with("/trial.json") && parts.clone().count() == 2;
            let is_raw = |name: &str| member.ends_with(&format!("/raw/{name}"));
            let is_counts = (is_raw(COUNTS_FILE) || is_raw(MODULES_FILE)) && parts.count() == 3;
            is_record || is_counts
        }
        Some("builds" | "report.txt" | "report.md" | "report.json" | "report.html") => false,
        _ => true,
    }
}

fn understood(
    opened: Opened,
    has_images: bool,
    same: bool,
    path: &Path,
) -> Result<Original, (Box<Opened>, Failure)> {
    let damaged = |problems: Vec<String>| {
        let lines: Vec<String> =
            problems.into_iter().map(|problem| format!("assay: {}: {problem}", path.display())).collect();
        Failure::user(lines.join("\n"))
    };
    let of_store = |error: StoreError| match error {
        StoreError::Io { .. } | StoreError::Index { .. } | StoreError::Busy { .. } => Failure::from(error),
        // Its paths are of a folder that nobody knows.
        other => damaged(vec![format!("{:#}", anyhow::Error::from(other))]),
    };
    let read = || -> Result<(Stored, RunFile, Option<Environment>), Failure> {
        let trials = opened.folder.join("trials");
        std::fs::create_dir_all(&trials).with_context(|| format!("creating {}", trials.display()))?;
        let stored = store::read(&opened.folder).map_err(of_store)?;
        let environment = Environment::of_run(&opened.folder).map_err(of_store)?;
        let mut problems = scenario::vet(&stored.file.plan);
        // A schedule of a plan that was not vetted has no end.
        if problems.is_empty() {
            problems = strange(&stored);
        }
        if !problems.is_empty() {
            return Err(damaged(problems));
        }
        let adopted =
            bundle::adopt(stored.file.clone(), environment, &opened, has_images).map_err(damaged)?;
        let environment = if same { adopted.environment } else { None };
        Ok((stored, adopted.file, environment))
    };
    match read() {
        Ok((stored, file, environment)) => Ok(Original { opened, stored, file, environment }),
        Err(failure) => Err((Box::new(opened), failure)),
    }
}

/// What of a run no plan could have led to.
fn strange(stored: &Stored) -> Vec<String> {
    let file = &stored.file;
    let mut problems = Vec::new();
    let words = [&file.run, &file.assay, &file.started, &file.command];
    if words.iter().any(|text| text.len() > 8192 || text.chars().any(char::is_control)) {
        problems.push("run.json: names things that are no names".to_owned());
    }
    let planned: BTreeMap<u32, String> =
        runner::schedule(&file.plan).into_iter().map(|trial| (trial.index, trial.arm)).collect();
    for trial in &stored.trials {
        if planned.get(&trial.index) != Some(&trial.arm) {
            problems.push(format!("trial {}: the plan has no such trial", trial.index));
        }
    }
    problems.truncate(20);
    problems
}

/// Leaves out what was not asked for.
fn narrow(plan: &mut Plan, flags: &arguments::Replay) -> Result<(), Failure> {
    if !flags.arm.is_empty() {
        let sides: Vec<String> = plan.sides().iter().map(|side| (*side).to_owned()).collect();
        if let Some(wanted) = flags.arm.iter().find(|wanted| !sides.contains(wanted)) {
            return Err(Failure::user(format!(
                "assay: --arm {wanted}: the run in the bundle has no such arm (it has {})",
                sides.join(", ")
            )));
        }
        let baseline = sides.first().cloned().unwrap_or_default();
        plan.arms.retain(|arm| arm.side() == baseline || flags.arm.iter().any(|wanted| wanted == arm.side()));
    }
    if let Some(boots) = flags.boots {
        plan.design.set_boots(boots);
    }
    Ok(())
}

/// The images of the bundle, in the place of any that would be built.
fn same_images(
    file: &RunFile,
    environment: Option<Environment>,
    named: &str,
    progress: &mut Progress,
) -> Result<Images, Failure> {
    let environment = environment.context("a bundle with images has an environment.json")?;
    if environment.protocol != 0 && environment.protocol != protocol::VERSION {
        let (theirs, ours) = (environment.protocol, protocol::VERSION);
        let what = format!(
            "assay: {named}: the agent in its images speaks version {theirs} of the protocol, and this Assay version {ours}"
        );
        return Err(Failure::user(what).hint(format!("assay replay --rebuild {named}")));
    }
    let is_kept = |arm: &str| file.plan.arm(arm).is_some();
    let kernels: BTreeMap<_, _> = file
        .kernels
        .iter()
        .filter(|(arm, _)| is_kept(arm))
        .map(|(arm, kernel)| (arm.clone(), kernel.clone()))
        .collect();
    for (arm, kernel) in &kernels {
        let built = matches!(kernel.build, BuildEnd::Built(_));
        if built && !environment.boots.contains_key(arm) {
            let what = format!("assay: {named}: environment.json does not say what {arm} boots");
            return Err(Failure::user(what));
        }
        if !built {
            progress.line(format!("note: {arm} did not build, and is not tried again (--rebuild does)"));
        }
    }
    let mut environment = environment;
    environment.boots.retain(|arm, _| kernels.contains_key(arm));
    Ok(Images::Given {
        kernels,
        environment,
        root: file.host.guest_root.clone(),
        initramfs_sha256: file.host.initramfs_sha256.clone(),
    })
}

/// `assay bundle --show`: what is in a bundle, and what a replay would do. Nothing of it stays.
pub(crate) fn show(places: &Places, path: &Path, json: bool) -> Result<ExitCode, Failure> {
    let lab = Lab::open(places)?;
    let Original { opened, stored, file, .. } = original(&lab, path, |_| false)?;
    let (manifest, digest) = (opened.manifest.clone(), opened.digest.clone());
    let mut pinned = file.clone();
    let lacking = bundle::pin(&mut pinned, None);
    opened.discard().map_err(of_bundle)?;
    if json {
        let document = json!({
            "bundle": path, "digest": digest, "manifest": manifest, "plan": stored.file.plan,
            "host": file.host,
            "not_to_be_rebuilt": lacking.iter().map(|lack| format!("{}: {}", lack.base, lack.reason)).collect::<Vec<_>>(),
        });
        println!("{document:#}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}: {} of {}, made by Assay {}", path.display(), manifest.run, file.started, manifest.assay);
    println!(
        "  {} files, {:.1} MB unpacked, manifest {digest}",
        manifest.members.len(),
        megabytes(manifest.bytes())
    );
    for line in file.plan.question.lines() {
        println!("  {line}");
    }
    println!("arms:");
    for line in arms_in_words(&file.plan) {
        println!("  {line}");
    }
    println!("each boot runs:");
    for workload in &file.plan.workloads {
        println!("  {}", workload_in_words(workload));
    }
    let boots = runner::schedule(&file.plan).len();
    println!("{}, {} of which were made", counted(boots, "boot", "boots"), stored.trials.len());
    println!(
        "images: {}",
        if manifest.images { "in it, and booted by a replay" } else { "not in it: a replay builds them" }
    );
    for lack in &lacking {
        println!("not to be built here: {}: {}", lack.base, lack.reason);
    }
    for lacking in &manifest.without {
        println!("without {lacking}");
    }
    let host = &file.host;
    println!(
        "made on: {}, {} CPUs, {} MiB, Linux {}, QEMU {}, {}",
        host.cpu.escape_debug(),
        host.cpus,
        host.memory_mib,
        host.kernel.escape_debug(),
        host.qemu.escape_debug(),
        host.accel.escape_debug()
    );
    Ok(ExitCode::SUCCESS)
}

/// A workload with every command that it would run in a guest.
fn workload_in_words(workload: &plan::Workload) -> String {
    match &workload.kind {
        WorkloadKind::Iperf3(_) => format!("{}: iperf3", workload.name),
        WorkloadKind::Sockperf(_) => format!("{}: sockperf", workload.name),
        WorkloadKind::Stream(_) => format!("{}: stream", workload.name),
        WorkloadKind::Imported(_) => format!("{}: imported", workload.name),
        WorkloadKind::Ktap(ktap) => {
            format!("{}: the kernel's tests {}", workload.name, ktap.collections.join(", "))
        }
        WorkloadKind::Command(command) => {
            let words: Vec<String> = command.run.iter().map(|word| word.escape_debug().to_string()).collect();
            format!("{}: {}", workload.name, words.join(" "))
        }
    }
}
