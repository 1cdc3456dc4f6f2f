//! `assay run`: from a scenario to a verdict. This file is the data flow of ARCHITECTURE.md.

use std::{
    collections::BTreeMap,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use jiff::Timestamp;
use kernel::Kernels;
use machine::BootFiles;
use measure::{BuildEnd, KernelImage, SampleTable};
use plan::{Evidence, Machine, Plan, WorkloadKind};
use report::Calibration;
use runner::{Finish, Power, Setup, execute, perturbation, schedule};
use scenario::Overrides;
use store::{ArmKernel, Claim, Environment, Replay, ReplayImages, RunFile, Stored};

use crate::{
    again,
    arguments::{self, Places, Question},
    bisect,
    budget::{self, Limit},
    builds::build_arms,
    exact,
    failure::Failure,
    inputs,
    keeper::RunKeeper,
    lab::{Bench, Lab},
    places::Runtime,
    progress::Progress,
    replicate, reports, selftests,
    series::resolve,
    timed, tree_run,
};

/// The question about a series for which no other is asked.
const DEFAULT_SCENARIO: &str = "net";

pub(crate) fn run(places: &Places, arguments: &arguments::Run) -> Result<ExitCode, Failure> {
    let mut progress = Progress::new();
    let limit = arguments.budget.map(Limit::begin);
    let log = arguments.power_log.as_deref();
    let ended = match &arguments.resume {
        None => start(places, &arguments.question, (limit, log), &mut progress),
        Some(run) => resume(places, run, (limit, log), &mut progress),
    };
    progress.clear();
    let stored = ended?;
    let outcome = reports::finish(&stored, arguments.format.or_json(arguments.json))?;
    if arguments.resume.is_some() {
        crate::replay::taken_up(places, &stored)?;
    }
    Ok(if arguments.bisect {
        bisect::of_run(outcome, &stored.file.kernels)
    } else {
        ExitCode::from(outcome.exit_code())
    })
}

/// A new run.
fn start(
    places: &Places,
    question: &Question,
    (limit, power_log): (Option<Limit>, Option<&Path>),
    progress: &mut Progress,
) -> Result<Stored, Failure> {
    let lab = Lab::open(places)?.metered(power_log)?;
    let (plan, command, scenario) = planned(places, question, &lab, progress)?;
    for remark in scenario::remarks(&plan) {
        progress.line(format!("note: {remark}"));
    }
    if let Some(limit) = limit {
        progress.line(crate::plans::against(&plan, &crate::plans::estimate(&lab, &plan)?, limit.given));
    }
    let machine = host::Root::machine();
    match crate::tune::tuned_note(&machine, &crate::tune::state_file()) {
        Ok(note) => note.into_iter().for_each(|note| progress.line(note)),
        // A damaged note of what was tuned is no reason not to measure; the run's record says so as well.
        Err(error) => progress.line(format!("note: whether this machine is tuned is unknown: {error}")),
    }
    let order = Order {
        plan,
        command,
        scenario: Some(scenario),
        images: Images::Built,
        replay: None,
        limit,
        calibration: None,
    };
    carry_out(places, &lab, order, progress)
}

/// A plan that is to be carried out.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) plan: Plan,
    /// What asks for it again.
    pub(crate) command: String,
    /// The scenario as it was written, if there is one.
    pub(crate) scenario: Option<Vec<u8>>,
    pub(crate) images: Images,
    /// What it repeats, if it does.
    pub(crate) replay: Option<Replay>,
    /// The time that it may take, if there is one.
    pub(crate) limit: Option<Limit>,
    /// What it is judged by; of none, the one that this machine has made, if there is one.
    pub(crate) calibration: Option<Calibration>,
}

/// Where the images that boot come from.
#[derive(Debug)]
pub(crate) enum Images {
    /// The cache, or a build.
    Built,
    /// They are there: those of a bundle.
    Given {
        kernels: BTreeMap<String, ArmKernel>,
        environment: Environment,
        /// The root image in it, which this machine did not make.
        root: store::GuestRoot,
        initramfs_sha256: String,
    },
}

/// Makes a new run of an order.
pub(crate) fn carry_out(
    places: &Places,
    lab: &Lab,
    order: Order,
    progress: &mut Progress,
) -> Result<Stored, Failure> {
    let Order { plan, command, scenario, images, replay, limit, calibration } = order;
    let bench = match &images {
        Images::Built => lab.bench_for(&plan, progress)?,
        Images::Given { .. } => lab.bare_bench(&plan, progress)?,
    };
    let started = Timestamp::now();
    let results = std::path::absolute(&places.results).context("resolving the results folder")?;
    sweep(&results, progress);
    let claim = Claim::new(&results, &format!("{}-{}", started.strftime("%Y%m%d-%H%M%S"), plan.name))?;
    inputs::keep(claim.folder(), &plan, scenario.as_deref())?;
    if let Some(replay) = &replay {
        replay.keep(claim.folder())?;
    }
    let mut host = bench.facts(progress)?;
    // As long as this lives, nobody removes its images from the cache.
    let cache = lab.kernels()?;
    let (kernels, environment) = match images {
        Images::Built => built(&cache, (lab, &bench), &plan, &claim.folder().join("builds"), progress)?,
        Images::Given { kernels, environment, root, initramfs_sha256 } => {
            (host.guest_root, host.initramfs_sha256) = (root, initramfs_sha256);
            (kernels, environment)
        }
    };
    environment.keep(claim.folder())?;
    let baseline = plan.baseline().and_then(|arm| kernels.get(&arm.name)).map(|kernel| &kernel.build);
    let calibration = match calibration {
        None => exact::Calibrations::of(lab).find(&plan, baseline, &host.qemu)?,
        given => given,
    };
    if let Some(calibration) = &calibration {
        exact::keep(claim.folder(), calibration)?;
    }
    if let Some(noise) = timed::Sessions::of(lab).find(&plan, &host, Some(&host.qemu))? {
        timed::keep(claim.folder(), &noise)?;
    }
    let file = RunFile {
        format: store::FORMAT,
        run: claim.name().to_owned(),
        assay: env!("CARGO_PKG_VERSION").to_owned(),
        started: started.to_string(),
        kernels,
        host,
        command,
        plan,
    };
    let mut run = store::Run::create(claim, &file)?;
    let stored = Stored {
        folder: run.folder().to_owned(),
        file,
        trials: vec![],
        samples: SampleTable::default(),
        budget_s: None,
    };
    trials((lab, &bench), &inputs::boot_files(&environment), &mut run, stored, limit, progress)
}

type Boots = (BTreeMap<String, ArmKernel>, Environment);

/// Every arm's kernel, and what its guests boot.
fn built(
    kernels: &Kernels,
    (lab, bench): (&Lab, &Bench),
    plan: &Plan,
    logs: &Path,
    progress: &mut Progress,
) -> Result<Boots, Failure> {
    let mut builds = build_arms(kernels, plan, logs, progress)?;
    let tests = selftests::obtain(kernels, plan, &mut builds, logs, progress)?;
    let kernels = builds.into_iter().map(|(arm, build)| (arm, ArmKernel { build })).collect();
    let mut boot_files = bench.boot_files(&kernels, progress)?;
    bench.add_tests(&mut boot_files, &tests, progress)?;
    bench.add_inner_qemu(lab, &mut boot_files, plan, progress)?;
    let environment = inputs::environment(bench.host.qemu.as_ref(), &boot_files)?;
    Ok((kernels, environment))
}

/// Removes what runs left that were killed before they began: logs of builds, in folders that nobody uses.
fn sweep(results: &Path, progress: &mut Progress) {
    let removed = store::leftovers(results)
        .and_then(|folders| folders.iter().try_for_each(|folder| store::remove_leftover(folder).map(drop)));
    // It is no reason not to measure; if nothing can be written there, the run says so itself.
    if let Err(error) = removed {
        progress.line(format!("note: what an interrupted build left stays: {error}"));
    }
}

/// An interrupted run, from where it stopped.
fn resume(
    places: &Places,
    run: &Path,
    (limit, power_log): (Option<Limit>, Option<&Path>),
    progress: &mut Progress,
) -> Result<Stored, Failure> {
    let folder = std::path::absolute(places.run_folder(run)?).context("resolving the run's folder")?;
    let (mut run, mut stored) = match store::Run::resume(&folder) {
        Err(error @ (store::StoreError::NoSuchRun { .. } | store::StoreError::Newer { .. })) => {
            return Err(Failure::user(format!("assay: {error}")));
        }
        other => other?,
    };
    if stored.file.plan.is_imported() {
        return Err(Failure::user(format!(
            "assay: {} was imported: there is nothing to go on with",
            stored.file.run
        )));
    }
    let total = schedule(&stored.file.plan).len();
    progress.line(format!("{}: {} of {total} trials are finished", folder.display(), stored.trials.len()));
    let lab = Lab::open(places)?.metered(power_log)?;
    if let Some(environment) = of_a_bundle(&folder)? {
        let bench = lab.bare_bench(&stored.file.plan, progress)?;
        let boots = inputs::boot_files(&environment);
        return trials((&lab, &bench), &boots, &mut run, stored, limit, progress);
    }
    let bench = lab.bench_for(&stored.file.plan, progress)?;
    let cache = lab.kernels()?;
    let (kernels, environment) =
        built(&cache, (&lab, &bench), &stored.file.plan, &folder.join("builds"), progress)?;
    refuse_other_kernels(&stored.file, &kernels)?;
    // Paths into the cache may have changed since; what they hold has not.
    stored.file.kernels = kernels;
    trials((&lab, &bench), &inputs::boot_files(&environment), &mut run, stored, limit, progress)
}

/// What a replay boots that goes on with the images of its bundle; nothing for any other run.
fn of_a_bundle(folder: &Path) -> Result<Option<Environment>, Failure> {
    match Replay::of_run(folder)? {
        Some(replay) if replay.images == ReplayImages::Same => {
            let environment = Environment::of_run(folder)?;
            let environment = environment.context("the replay has not recorded what it boots")?;
            inputs::check(&environment).map_err(|error| {
                Failure::user(format!("assay: the images of {} are no longer here: {error:#}", replay.bundle))
                    .hint(format!("start it again: assay replay {}", replay.bundle))
            })?;
            Ok(Some(environment))
        }
        _ => Ok(None),
    }
}

/// Trials of one run must boot the same images, or they are no replications.
fn refuse_other_kernels(file: &RunFile, kernels: &BTreeMap<String, ArmKernel>) -> Result<(), Failure> {
    let image = |build: &BuildEnd| match build {
        BuildEnd::Built(image) => Some(image.image_sha256.clone()),
        _ => None,
    };
    for (arm, kernel) in kernels {
        let before = file.kernels.get(arm).and_then(|kernel| image(&kernel.build));
        if before != image(&kernel.build) {
            return Err(Failure::user(format!(
                "assay: {arm}: the kernel is not the one that this run began with (compiler or series changed?)"
            ))
            .hint("start a new run: assay run"));
        }
    }
    Ok(())
}

/// Makes the trials that are still to be made.
fn trials(
    (lab, bench): (&Lab, &Bench),
    boot_files: &BTreeMap<String, BootFiles>,
    run: &mut store::Run,
    stored: Stored,
    limit: Option<Limit>,
    progress: &mut Progress,
) -> Result<Stored, Failure> {
    let plan = &stored.file.plan;
    let runtime = Runtime::create()?;
    let budget = limit.map(|limit| {
        let (budget, fit) = limit.spend(plan, &stored.trials);
        if let Some(what) = budget::describe(plan, &fit) {
            progress.line(format!("note: {what}; the rest is left for --resume"));
        }
        budget
    });
    let trials = schedule(plan);
    let total = trials.len();
    let mut keeper = RunKeeper {
        run,
        progress,
        total,
        before: stored.trials.len(),
        made: stored.trials.iter().map(|trial| trial.arm.clone()).collect(),
        started: Instant::now(),
        most_blocks: plan.design.boots,
        boots_per_arm: total / plan.arms.len().max(1),
        left_out: trials.iter().filter(|trial| !boot_files.contains_key(&trial.arm)).count(),
        replicates: (0..plan.design.boots).map(|block| Some(perturbation(plan, block)?.name())).collect(),
        until: budget.as_ref().map(|budget| budget.until),
    };
    let built = stored.file.kernels.iter().filter_map(|(arm, kernel)| match &kernel.build {
        BuildEnd::Built(image) => Some((arm.clone(), image.clone())),
        _ => None,
    });
    let images: BTreeMap<String, KernelImage> = built.collect();
    let streams = plan.workloads.iter().any(|workload| matches!(workload.kind, WorkloadKind::Stream(_)));
    let guests = plan.arms.iter().any(|arm| !matches!(arm.machine, Machine::Fake(_)));
    let program = if streams && guests { Some(lab.stream_program()?) } else { None };
    let counting = match plan.evidence() {
        Evidence::Exact => Some(lab.counting_plugin()?),
        Evidence::Timed => None,
    };
    let setup = Setup {
        counting: counting.as_deref(),
        bench: program.as_deref(),
        power: Power { meters: &lab.meters, now: || Timestamp::now().into() },
        counters: &lab.counters,
        plan,
        boot_files,
        images: &images,
        supervisor: &lab.supervisor,
        host: &bench.host,
        runtime: runtime.folder(),
        budget: budget.as_ref(),
    };
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("starting the asynchronous runtime")?;
    let finish =
        tokio.block_on(execute(&setup, &stored.trials, crate::interrupt::asked_to_stop(), &mut keeper));
    let made = keeper.made.len();
    // A thread that still waits for something must not keep us.
    tokio.shutdown_timeout(Duration::from_secs(2));
    match finish? {
        Finish::Complete => {
            // A report is made from what is on disk, so that it can be made again.
            let Stored { trials, samples, .. } = store::read(&stored.folder)?;
            Ok(Stored { trials, samples, budget_s: None, ..stored })
        }
        Finish::OutOfBudget => {
            let given = limit.map(|limit| limit.given.as_secs());
            given.map_or(Ok(()), |seconds| run.note_budget(seconds))?;
            let Stored { trials, samples, budget_s, .. } = store::read(&stored.folder)?;
            Ok(Stored { trials, samples, budget_s, ..stored })
        }
        Finish::Interrupted => Err(Failure::Interrupted(format!(
            "interrupted: {made} of {total} trials are kept; go on with: assay run --resume {}",
            run.folder().display()
        ))),
    }
}

/// The plan that answers a question, the command that asks it again, and the scenario as it is written.
pub(crate) fn planned(
    places: &Places,
    question: &Question,
    lab: &Lab,
    progress: &mut Progress,
) -> Result<(Plan, String, Vec<u8>), Failure> {
    let given = !question.series.is_empty();
    let (path, project) = match &question.scenario {
        Some(named) => tree_run::scenario(places, named)?,
        None if given || tree_run::in_tree(&question.tree)? => {
            tree_run::scenario(places, Path::new(DEFAULT_SCENARIO))?
        }
        None => {
            return Err(Failure::user("assay: name a scenario, a --series, or a run to --resume").hint(
                "assay run --series FOLDER, or the name or path of a scenario: `assay plan net` shows one",
            ));
        }
    };
    let base = question.base.as_deref().map(|name| scenario::base(name, &project)).transpose();
    let mut overrides = Overrides {
        base: base.map_err(Failure::user)?,
        arm: question.arm.clone(),
        series: None,
        flavour: question.flavour.map(plan::Flavour::from),
    };
    if given {
        let (_, base) = scenario::candidate(&path, &project, &overrides).map_err(Failure::user)?;
        overrides.series = Some(resolve(&question.series, &base.name, &project, lab, progress)?);
    } else if overrides.base.is_none() {
        overrides = tree_run::overrides(places, (&path, &project), overrides, &question.tree, lab, progress)?;
    }
    let command = again::command(question, overrides.series.as_deref().unwrap_or_default());
    let mut plan = scenario::load(&path, &project, &overrides).map_err(Failure::user)?;
    replicate::choose(&mut plan, &question.replicate)?;
    let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok((plan, command, text))
}

/// The plan of a scenario, printed with every default decided.
pub(crate) fn plan(
    places: &Places,
    question: &Question,
    budget: Option<Duration>,
    json: bool,
) -> Result<ExitCode, Failure> {
    let lab = Lab::open(places)?;
    let (plan, ..) = planned(places, question, &lab, &mut Progress::new())?;
    crate::plans::print(&lab, &plan, budget, json)?;
    Ok(ExitCode::SUCCESS)
}
