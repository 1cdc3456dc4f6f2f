//! The workloads of one boot in their windows, once for each set of collectors.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use machine::{MachineError, Running, Traced};
use measure::{
    CrashReport, Dims, LevelsWindow, Provenance, RawFile, Sample, SideFiles, TestOutcome, Timeline, Void,
    Within,
};
use plan::{Collector, Evidence, Machine, Plan, Workload, WorkloadKind};
use workload::{Failure, WorkloadError, ktap::Tests};

use crate::{
    Event, Keeper, Power, RunError, Setup, Trial,
    axis::Axis,
    exact,
    passes::{passes, prefix, prepare},
    roi::roi,
    trial::{chain, machine_error},
};

/// After an agent fell silent, how long its console may take to say why.
const CRASH_DEADLINE: Duration = Duration::from_secs(5);

/// What has been seen so far; kept outside the workloads' future, so that a crash does not take it along.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) samples: Vec<Sample>,
    pub(crate) unavailable: Vec<String>,
    pub(crate) tests: Vec<TestOutcome>,
    pub(crate) voids: Vec<Void>,
    pub(crate) within: Vec<Within>,
    pub(crate) timelines: Vec<Timeline>,
    /// What tests wrote.
    pub(crate) raw: Vec<RawFile>,
    /// The workload and the program of a test that has not ended.
    pub(crate) running: Option<(String, String)>,
}

/// Takes down what tests say, as they say it.
struct Witness<'a> {
    seen: &'a Mutex<Seen>,
    workload: &'a str,
    device: String,
}

impl Tests for Witness<'_> {
    fn device(&self) -> String {
        self.device.clone()
    }

    fn begins(&self, program: &str) {
        locked(self.seen).running = Some((self.workload.to_owned(), program.to_owned()));
    }

    fn ended(&self, outcomes: Vec<TestOutcome>, output: RawFile) {
        let mut seen = locked(self.seen);
        seen.running = None;
        seen.tests.extend(outcomes);
        seen.raw.push(output);
    }
}

/// Why the workloads are over.
pub(crate) enum Stop {
    Done,
    Crashed(CrashReport),
    WorkloadFailed { workload: String, message: String },
}

pub(crate) async fn workloads(
    setup: &Setup<'_>,
    trial: &Trial,
    running: &Running,
    folder: &Path,
    seen: &Mutex<Seen>,
    keeper: &mut impl Keeper,
) -> Result<Stop, RunError> {
    if let Err(error) = furnish(setup, running).await {
        return not_furnished(trial, running, error).await;
    }
    let counts = match setup.plan.evidence() {
        Evidence::Exact => {
            match exact::modules(setup, trial, running).await {
                Ok(listed) => keep_raw(folder, "", listed.as_slice()).map_err(RunError::keep(trial))?,
                Err(WorkloadError::Failed(failure)) => {
                    let Failure { workload, message, .. } = *failure;
                    return Ok(Stop::WorkloadFailed { workload, message });
                }
                Err(error) => return silent(trial, running, error).await,
            }
            Some(exact::Counts::read(setup, trial, running, folder)?)
        }
        Evidence::Timed => None,
    };
    let (vcpus, steers) = shape(setup, trial);
    let passes = passes(&setup.plan.collectors, trial.traced);
    let count = passes.len();
    for collectors in passes {
        let prefix = prefix(&collectors, count);
        if let Err(error) = prepare(running, &collectors).await {
            return silent(trial, running, error).await;
        }
        let pass = Pass { collectors, prefix, counts: counts.as_ref(), vcpus, steers };
        match round(setup, trial, running, folder, seen, keeper, &pass).await? {
            Stop::Done => {}
            stop => return Ok(stop),
        }
    }
    Ok(Stop::Done)
}

/// What is collected while the workloads run once.
struct Pass<'a> {
    collectors: Vec<Collector>,
    /// Of its raw files.
    prefix: String,
    counts: Option<&'a exact::Counts>,
    vcpus: u32,
    steers: bool,
}

async fn round(
    setup: &Setup<'_>,
    trial: &Trial,
    running: &Running,
    folder: &Path,
    seen: &Mutex<Seen>,
    keeper: &mut impl Keeper,
    pass: &Pass<'_>,
) -> Result<Stop, RunError> {
    let Pass { collectors, prefix, counts, vcpus, steers } = pass;
    let snapshots = collect::patterns(collectors);
    for (workload, number) in setup.plan.workloads.iter().zip(1..) {
        // Tests say nothing that a trace could explain, and take long.
        if trial.traced && matches!(workload.kind, WorkloadKind::Ktap(_)) {
            continue;
        }
        keeper.event(Event::Workload { trial, name: &workload.name }).map_err(RunError::keep(trial))?;
        let translations = collectors.contains(&Collector::Iotlb);
        if translations {
            running
                .trace_window_start(Traced::Everything)
                .await
                .map_err(|source| machine_error(trial, source))?;
        }
        let witness = Witness { seen, workload: &workload.name, device: tests_disk(setup.plan, workload) };
        let exits = collectors.contains(&Collector::KvmExits).then(|| running.kvm_window_start());
        let carriers_before = match carriers(running, &snapshots).await {
            Ok(files) => files,
            Err(error) => return silent(trial, running, error).await,
        };
        let metering = collectors.contains(&Collector::Power).then(|| {
            let Power { meters, now } = setup.power;
            meters.start(now(), setup.supervisor)
        });
        let counting =
            collectors.contains(&Collector::Uncore).then(|| setup.counters.start(setup.supervisor));
        let (server, client) = (running.server(), running.client());
        let around = workload::Around {
            snapshots: &snapshots,
            window: counts.map(|_| number),
            vcpus: *vcpus,
            steers: *steers,
        };
        let work = workload::run(workload, &server, &client, running.sides(), &around, &witness);
        let (outcome, levels) = match collectors.contains(&Collector::Timeline) {
            true => on_axis(running, work).await.map_err(|source| machine_error(trial, source))?,
            false => (work.await, None),
        };
        let exits = exits.map(|start| running.kvm_window_stop(start));
        let metered = metering.map(power::Metering::stop);
        let hardware = counting.map(|begun| begun.and_then(pmu::Counting::stop));
        let mut outcome = match outcome {
            Ok(outcome) => outcome,
            Err(WorkloadError::Failed(failure)) => {
                keep_raw(folder, prefix, &failure.raw).map_err(RunError::keep(trial))?;
                return Ok(Stop::WorkloadFailed {
                    workload: workload.name.clone(),
                    message: failure.message,
                });
            }
            Err(source @ WorkloadError::HostFile { .. }) => return Err(RunError::workload(trial, source)),
            Err(error) => return silent(trial, running, error).await,
        };
        match carriers(running, &snapshots).await {
            Ok(after) => outcome.window.carriers = paired(carriers_before, after),
            Err(error) => return silent(trial, running, error).await,
        }
        keep_raw(folder, prefix, &outcome.raw).map_err(RunError::keep(trial))?;
        keep_raw(folder, prefix, &workload::carrier_files(&workload.name, &outcome.window))
            .map_err(RunError::keep(trial))?;
        if let Some(levels) = &levels {
            let bytes = serde_json::to_vec(levels).expect("plain data becomes JSON");
            let file = RawFile { name: format!("{}.levels.json", workload.name), bytes };
            keep_raw(folder, prefix, &[file]).map_err(RunError::keep(trial))?;
        }
        if translations {
            let counts = running.trace_window_stop().await.map_err(|source| machine_error(trial, source))?;
            outcome.window.trace = Some(counts);
        }
        if let Some(reason) = outcome.void {
            locked(seen).voids.push(Void { workload: workload.name.clone(), reason });
            continue;
        }
        outcome.window.kvm = exits;
        outcome.window.power = metered;
        outcome.window.hardware = hardware;
        outcome.window.levels = levels;
        if let Some(counts) = counts {
            outcome.window.instructions = Some(counts.window(trial, number)?);
        }
        let around: &[Collector] =
            if matches!(workload.kind, WorkloadKind::Ktap(_)) { &[] } else { collectors };
        let mut reduced = collect::reduce(around, &outcome.window);
        if around.contains(&Collector::Power) {
            match roi(&workload.kind, &outcome.samples, &reduced.samples) {
                Some(Ok(sample)) => reduced.samples.push(sample),
                Some(Err(why)) => reduced.unavailable.push(why),
                None => {}
            }
        }
        // Where nothing is timed, what a workload cannot time is no loss either.
        let (timed, untimed, within) = if trial.traced || counts.is_some() {
            (vec![], vec![], vec![])
        } else {
            (outcome.samples, outcome.unavailable, outcome.within)
        };
        let mut seen = locked(seen);
        let place = |dims: &mut Dims| {
            dims.insert("workload".into(), workload.group().to_owned());
            dims.extend(workload.dims().clone());
        };
        seen.within.extend(within.into_iter().map(|mut within| {
            place(&mut within.dims);
            within
        }));
        seen.timelines.extend(reduced.timeline.map(|mut timeline| {
            place(&mut timeline.dims);
            timeline
        }));
        seen.samples.extend(timed.into_iter().chain(reduced.samples).map(|mut sample| {
            place(&mut sample.dims);
            if matches!(setup.plan.arm(&trial.arm).map(|arm| &arm.machine), Some(Machine::Fake(_))) {
                sample.provenance = Provenance::Fake;
            }
            sample
        }));
        let missing = untimed.into_iter().chain(reduced.unavailable);
        for reason in missing.map(|reason| format!("{}: {reason}", workload.group())) {
            // What one place of a matrix lacks, the others mostly lack as well.
            if !seen.unavailable.contains(&reason) {
                seen.unavailable.push(reason);
            }
        }
    }
    Ok(Stop::Done)
}

/// Does a workload's work on an axis of all levels. Of one that failed nothing more is asked: its guest may have crashed.
async fn on_axis<T, E>(
    running: &Running,
    work: impl Future<Output = Result<T, E>>,
) -> Result<(Result<T, E>, Option<LevelsWindow>), MachineError> {
    let axis = Axis::start(running).await?;
    let outcome = axis.beside(work).await?;
    let levels = if outcome.is_ok() { Some(axis.stop().await?) } else { None };
    Ok((outcome, levels))
}

/// What the hosts of guests within guests have in these files now.
async fn carriers(
    running: &Running,
    snapshots: &[String],
) -> Result<BTreeMap<String, measure::Files>, WorkloadError> {
    let mut read = BTreeMap::new();
    for (name, session) in running.carriers() {
        if !snapshots.is_empty() {
            let files = workload::files_now(name, session, snapshots).await?;
            read.insert(name.to_owned(), files);
        }
    }
    Ok(read)
}

fn paired(
    before: BTreeMap<String, measure::Files>,
    mut after: BTreeMap<String, measure::Files>,
) -> BTreeMap<String, SideFiles> {
    let pair = |(name, before)| {
        let after = after.remove(&name).unwrap_or_default();
        (name, SideFiles { before, after })
    };
    before.into_iter().map(pair).collect()
}

/// The disk that a workload's tests are on: each such workload has one, in the order of the plan, after the root's.
fn tests_disk(plan: &Plan, workload: &Workload) -> String {
    let disks = plan.workloads.iter().filter(|workload| matches!(workload.kind, WorkloadKind::Ktap(_)));
    let index = disks.take_while(|other| other.name != workload.name).count();
    let letter = (b'b'..=b'z').nth(index).map_or('z', char::from);
    format!("/dev/vd{letter}")
}

/// Cores of each guest of a trial, and whether its NICs can lead flows to a queue.
fn shape(setup: &Setup<'_>, trial: &Trial) -> (u32, bool) {
    match setup.plan.arm(&trial.arm).map(|arm| &arm.machine) {
        Some(machine @ Machine::Qemu(qemu)) => (qemu.vcpus, machine.has_zcsim()),
        Some(Machine::Nested(nested)) => (nested.guest.vcpus, false),
        Some(Machine::Fake(_) | Machine::Imported(_)) | None => (1, false),
    }
}

/// Puts into each guest what its streams are carried by.
async fn furnish(setup: &Setup<'_>, running: &Running) -> Result<(), WorkloadError> {
    let Some(program) = setup.bench else { return Ok(()) };
    workload::stream::furnish(&running.server(), program).await?;
    if !running.shared_guest() {
        workload::stream::furnish(&running.client(), program).await?;
    }
    Ok(())
}

async fn not_furnished(trial: &Trial, running: &Running, error: WorkloadError) -> Result<Stop, RunError> {
    match error {
        source @ WorkloadError::HostFile { .. } => Err(RunError::workload(trial, source)),
        error => silent(trial, running, error).await,
    }
}

/// All that is asked while the workloads run, for a rehearsal.
pub(crate) async fn rehearse(
    setup: &Setup<'_>,
    trial: &Trial,
    running: &Running,
) -> Result<(), WorkloadError> {
    furnish(setup, running).await?;
    exact::modules(setup, trial, running).await?;
    let (vcpus, steers) = shape(setup, trial);
    for (workload, number) in setup.plan.workloads.iter().zip(1..) {
        let witness = Witness { seen: &Mutex::default(), workload: &workload.name, device: String::new() };
        let around = workload::Around { snapshots: &[], window: Some(number), vcpus, steers };
        workload::run(workload, &running.server(), &running.client(), running.sides(), &around, &witness)
            .await?;
    }
    Ok(())
}

/// An agent stopped answering, or answered nonsense. If its guest is about to be known as crashed, that is why;
/// otherwise the guest hangs, which is the kernel's doing as well.
async fn silent(trial: &Trial, running: &Running, error: WorkloadError) -> Result<Stop, RunError> {
    match tokio::time::timeout(CRASH_DEADLINE, running.crashed()).await {
        Ok(report) => Ok(Stop::Crashed(report.map_err(|source| machine_error(trial, source))?)),
        Err(_elapsed) => {
            let guest = match &error {
                WorkloadError::Session { guest, .. } => guest.as_str(),
                _ => "guest",
            };
            let report = running.hang(guest, &chain(&error)).await;
            Ok(Stop::Crashed(report.map_err(|source| machine_error(trial, source))?))
        }
    }
}

pub(crate) fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn keep_raw(folder: &Path, prefix: &str, raw: &[RawFile]) -> Result<(), crate::KeepError> {
    for file in raw {
        let path = folder.join("raw").join(format!("{prefix}{}", file.name));
        // The kind stays: what to do about a full disk depends on it.
        std::fs::write(&path, &file.bytes).map_err(|error| {
            std::io::Error::new(error.kind(), format!("writing {}: {error}", path.display()))
        })?;
    }
    Ok(())
}
