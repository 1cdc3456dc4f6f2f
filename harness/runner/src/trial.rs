//! One trial: boot, workloads in their windows, power off.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use machine::{Boot, BootEnd, BootFiles, Running, World};
use measure::{
    CrashReport, Dims, GuestFacts, Provenance, RawFile, Sample, SideFiles, TestOutcome, TestResult, TrialEnd,
    TrialRecord, Void, metric,
};
use plan::{Collector, Evidence, Machine, Plan, Workload, WorkloadKind};
use workload::{WorkloadError, ktap::Tests};

use crate::{
    Event, Keeper, Power, RunError, Setup, Trial, again, complaints,
    exact::{self, Rehearsals},
    passes::{passes, prepare},
    roi::roi,
};

/// A clean power-off flushes nothing that matters; a guest that cannot even do this hangs.
pub(crate) const POWER_OFF_DEADLINE: Duration = Duration::from_secs(20);

/// After an agent fell silent, how long its console may take to say why.
const CRASH_DEADLINE: Duration = Duration::from_secs(5);

/// Makes one trial.
pub(crate) async fn run_trial(
    setup: &Setup<'_>,
    trial: &Trial,
    files: &BootFiles,
    rehearsals: &mut Rehearsals,
    keeper: &mut impl Keeper,
) -> Result<TrialRecord, RunError> {
    let folder = keeper.folder(trial).map_err(RunError::keep(trial))?;
    keeper.event(Event::Booting { trial }).map_err(RunError::keep(trial))?;

    let started = Instant::now();
    let mut record = nothing(setup, trial);
    loop {
        let (end, consoles) = match exact::world(setup, trial, files, &folder, rehearsals).await? {
            Ok(world) => {
                (booted(setup, trial, (files, &world), &folder, &mut record, keeper).await?, folder.clone())
            }
            // It was never booted: what there is to see is its rehearsal's.
            Err(end) => (end, exact::rehearsal_folder(&folder)),
        };
        record.end = end;
        let crash = match &record.end {
            TrialEnd::Crashed { report, .. } => Some(report),
            _ => None,
        };
        let image = |guest: &str| {
            let arm = setup.plan.kernel_arm(setup.plan.arm(&trial.arm)?, guest)?;
            setup.images.get(&arm.name)
        };
        record.complaints = complaints(&consoles, &image, crash, &mut record.unavailable)
            .map_err(|error| RunError::keep(trial)(Box::new(error)))?;
        let Some(why) = spoilt(setup, trial, &record) else { break };
        record.set_aside.push(why.to_owned());
        again::set_aside(&folder, record.set_aside.len())
            .map_err(|error| RunError::keep(trial)(Box::new(error)))?;
        record = TrialRecord { set_aside: record.set_aside, ..nothing(setup, trial) };
        keeper.event(Event::SetAside { trial, why }).map_err(RunError::keep(trial))?;
    }
    record.took_seconds = started.elapsed().as_secs_f64();
    Ok(record)
}

/// Of which nothing was seen yet.
fn nothing(setup: &Setup<'_>, trial: &Trial) -> TrialRecord {
    TrialRecord {
        index: trial.index,
        block: trial.block,
        arm: trial.arm.clone(),
        traced: trial.traced,
        perturbation: crate::perturbation(setup.plan, trial.block),
        end: TrialEnd::Measured { samples: vec![] },
        facts: BTreeMap::new(),
        boot_seconds: None,
        took_seconds: 0.0,
        unavailable: vec![],
        warnings: vec![],
        complaints: vec![],
        tests: vec![],
        voids: vec![],
        set_aside: vec![],
    }
}

/// Why a boot is made again: the emulator spoilt it, and it may have another one.
fn spoilt(setup: &Setup<'_>, trial: &Trial, record: &TrialRecord) -> Option<&'static str> {
    let machine = &setup.plan.arm(&trial.arm)?.machine;
    if record.set_aside.len() == again::MOST || !machine::emulates_threads(machine, setup.host) {
        return None;
    }
    let fatal = || record.complaints.iter().filter(|complaint| complaint.fatal);
    matches!(record.end, TrialEnd::Crashed { .. }).then(|| fatal().find_map(crash::artefact)).flatten()
}

/// Boots the machine, runs the workloads on it, and says how that ended.
async fn booted(
    setup: &Setup<'_>,
    trial: &Trial,
    (files, world): (&BootFiles, &World),
    folder: &Path,
    record: &mut TrialRecord,
    keeper: &mut impl Keeper,
) -> Result<TrialEnd, RunError> {
    let arm = setup.plan.arm(&trial.arm).expect("the schedule names arms of the plan");
    let levels = match levels(setup, arm) {
        Ok(levels) => levels,
        Err(message) => return Ok(TrialEnd::NotTestable { message }),
    };
    let booted = machine::boot(Boot {
        machine: &arm.machine,
        cmdline: &arm.cmdline,
        files,
        levels,
        folder,
        runtime: setup.runtime,
        deadline: exact::deadline(setup.plan, world),
        traced: trial.traced,
        world,
        attachments: &machine::Attachments::default(),
        supervisor: setup.supervisor,
        host: setup.host,
    })
    .await
    .map_err(|source| machine_error(trial, source))?;
    match booted {
        BootEnd::Crashed(report) => Ok(TrialEnd::Crashed { report, samples: vec![] }),
        BootEnd::NotTestable(message) => Ok(TrialEnd::NotTestable { message }),
        BootEnd::Up(running) => {
            record.boot_seconds = Some(running.boot_seconds());
            record.facts = running.facts().into_iter().collect();
            keeper
                .event(Event::Up { trial, seconds: running.boot_seconds() })
                .map_err(RunError::keep(trial))?;
            measured(setup, trial, *running, folder, record, keeper).await
        }
    }
}

/// What the levels of a nested machine boot that name another arm; the error is for the record.
fn levels<'a>(setup: &'a Setup<'_>, arm: &plan::Arm) -> Result<machine::Levels<'a>, String> {
    let mut levels = machine::Levels::default();
    let Machine::Nested(nested) = &arm.machine else { return Ok(levels) };
    for (level, side) in nested.other_kernels() {
        let files = setup.plan.kernel_arm(arm, level).and_then(|other| setup.boot_files.get(&other.name));
        let files = files.ok_or_else(|| format!("{level} boots the kernel of {side}, and there is none"))?;
        match level {
            "host" => levels.host = Some(files),
            "client" => levels.peer = Some(files),
            _ => levels.guest = Some(files),
        }
    }
    Ok(levels)
}

/// What has been seen so far; kept outside the workloads' future, so that a crash does not take it along.
#[derive(Default)]
struct Seen {
    samples: Vec<Sample>,
    unavailable: Vec<String>,
    tests: Vec<TestOutcome>,
    voids: Vec<Void>,
    /// What tests wrote.
    raw: Vec<RawFile>,
    /// The workload and the program of a test that has not ended.
    running: Option<(String, String)>,
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

/// Runs the workloads until they are done or the machine crashes, then powers it off.
async fn measured(
    setup: &Setup<'_>,
    trial: &Trial,
    running: Running,
    folder: &Path,
    record: &mut TrialRecord,
    keeper: &mut impl Keeper,
) -> Result<TrialEnd, RunError> {
    let seen = Mutex::new(Seen::default());
    let exact = setup.plan.evidence() == Evidence::Exact;
    // A closed world's clock counts instructions, idle ones included.
    if !trial.traced && !exact {
        let boot_time =
            Sample::new(&metric::BOOT_TIME, running.boot_seconds(), Dims::new(), provenance(setup, trial));
        locked(&seen).samples.extend(boot_time);
    }
    let stop = tokio::select! {
        biased;
        report = running.crashed() => Stop::Crashed(report.map_err(|source| machine_error(trial, source))?),
        stop = workloads(setup, trial, &running, folder, &seen, keeper) => stop?,
    };
    let warnings = running.warnings();
    // A machine that has crashed is not asked to power off, but its processes must be gone before the next trial.
    let off = running.power_off(POWER_OFF_DEADLINE).await.map_err(|source| machine_error(trial, source))?;

    let Seen { mut samples, mut unavailable, tests, voids, raw, running } =
        seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    keep_raw(folder, &raw).map_err(RunError::keep(trial))?;
    record.tests = tests;
    record.voids = voids;
    if let (Stop::Crashed(report), Some((workload, test))) = (&stop, running) {
        let (result, message) = (TestResult::Crash, report.title.clone());
        record.tests.push(TestOutcome { workload, test, result, seconds: None, message });
    }
    record.unavailable.append(&mut unavailable);
    record.warnings = warnings.into_iter().map(|(guest, title)| format!("{guest}: {title}")).collect();
    let modes = guest_dims(&record.facts);
    let place = setup.plan.arm(&trial.arm).map(plan::Arm::dims);
    for sample in &mut samples {
        sample.dims.extend(modes.clone());
        sample.dims.extend(place.cloned().unwrap_or_default());
    }
    Ok(match (stop, off) {
        (Stop::Crashed(report), _) | (Stop::WorkloadFailed { .. } | Stop::Done, Err(report)) => {
            TrialEnd::Crashed { report, samples }
        }
        (Stop::WorkloadFailed { workload, message }, Ok(())) => {
            TrialEnd::WorkloadFailed { workload, message, samples }
        }
        (Stop::Done, Ok(())) => TrialEnd::Measured { samples },
    })
}

/// Why the workloads are over.
enum Stop {
    Done,
    Crashed(CrashReport),
    WorkloadFailed { workload: String, message: String },
}

async fn workloads(
    setup: &Setup<'_>,
    trial: &Trial,
    running: &Running,
    folder: &Path,
    seen: &Mutex<Seen>,
    keeper: &mut impl Keeper,
) -> Result<Stop, RunError> {
    let counts = match setup.plan.evidence() {
        Evidence::Exact => Some(exact::Counts::read(setup, trial, running, folder)?),
        Evidence::Timed => None,
    };
    let (vcpus, steers) = shape(setup, trial);
    if let Err(error) = furnish(setup, running).await {
        return not_furnished(trial, running, error).await;
    }
    for collectors in passes(&setup.plan.collectors, trial.traced) {
        if let Err(error) = prepare(running, &collectors).await {
            return silent(trial, running, error).await;
        }
        let pass = Pass { collectors, counts: counts.as_ref(), vcpus, steers };
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
    let Pass { collectors, counts, vcpus, steers } = pass;
    let snapshots = collect::patterns(collectors);
    for (workload, number) in setup.plan.workloads.iter().zip(1..) {
        // Tests say nothing that a trace could explain, and take long.
        if trial.traced && matches!(workload.kind, WorkloadKind::Ktap(_)) {
            continue;
        }
        keeper.event(Event::Workload { trial, name: &workload.name }).map_err(RunError::keep(trial))?;
        let translations = collectors.contains(&Collector::Iotlb);
        if translations {
            running.trace_window_start().await.map_err(|source| machine_error(trial, source))?;
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
        let outcome = workload::run(
            workload,
            &running.server(),
            &running.client(),
            running.sides(),
            &workload::Around {
                snapshots: &snapshots,
                window: counts.map(|_| number),
                vcpus: *vcpus,
                steers: *steers,
            },
            &witness,
        )
        .await;
        let exits = exits.map(|start| running.kvm_window_stop(start));
        let metered = metering.map(power::Metering::stop);
        let hardware = counting.map(|begun| begun.and_then(pmu::Counting::stop));
        let mut outcome = match outcome {
            Ok(outcome) => outcome,
            Err(WorkloadError::Failed(failure)) => {
                keep_raw(folder, &failure.raw).map_err(RunError::keep(trial))?;
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
        keep_raw(folder, &outcome.raw).map_err(RunError::keep(trial))?;
        keep_raw(folder, &workload::carrier_files(&workload.name, &outcome.window))
            .map_err(RunError::keep(trial))?;
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
        let (timed, untimed) = if trial.traced || counts.is_some() {
            (vec![], vec![])
        } else {
            (outcome.samples, outcome.unavailable)
        };
        let mut seen = locked(seen);
        seen.samples.extend(timed.into_iter().chain(reduced.samples).map(|mut sample| {
            sample.dims.insert("workload".into(), workload.group().to_owned());
            sample.dims.extend(workload.dims().clone());
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

fn provenance(setup: &Setup<'_>, trial: &Trial) -> Provenance {
    match setup.plan.arm(&trial.arm).map(|arm| &arm.machine) {
        Some(Machine::Fake(_)) => Provenance::Fake,
        _ => Provenance::Clock,
    }
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep_raw(folder: &Path, raw: &[RawFile]) -> Result<(), crate::KeepError> {
    for file in raw {
        let path = folder.join("raw").join(&file.name);
        // The kind stays: what to do about a full disk depends on it.
        std::fs::write(&path, &file.bytes).map_err(|error| {
            std::io::Error::new(error.kind(), format!("writing {}: {error}", path.display()))
        })?;
    }
    Ok(())
}

/// The IOMMU mode and the CPU mitigations that each guest really has, as dimensions of every sample: a comparison across
/// them is then seen.
fn guest_dims(facts: &BTreeMap<String, GuestFacts>) -> Dims {
    let mut dims = Dims::new();
    for (guest, facts) in facts {
        for (interface, mode) in &facts.iommu {
            dims.insert(format!("iommu-{guest}-{interface}"), mode.clone());
        }
        dims.extend(mitigations(facts).map(|mitigations| (format!("mitigations-{guest}"), mitigations)));
    }
    dims
}

/// `all`, or which of the vulnerabilities that the guest's CPU has are not mitigated; nothing if the kernel does not tell.
fn mitigations(facts: &GuestFacts) -> Option<String> {
    let open = |(name, state): (&String, &String)| state.starts_with("Vulnerable").then(|| name.clone());
    let open: Vec<String> = facts.mitigations.iter().filter_map(open).collect();
    match (facts.mitigations.is_empty(), open.is_empty()) {
        (true, _) => None,
        (false, true) => Some("all".to_owned()),
        (false, false) => Some(format!("all but {}", open.join(" "))),
    }
}

pub(crate) fn machine_error(trial: &Trial, source: machine::MachineError) -> RunError {
    RunError::Machine { index: trial.index, arm: trial.arm.clone(), source: Box::new(source) }
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_really_has_is_a_dimension_of_its_samples() {
        let mitigations = |states: &[(&str, &str)]| {
            states.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect()
        };
        let on = GuestFacts {
            iommu: BTreeMap::from([("eth0".into(), "DMA-FQ".into())]),
            mitigations: mitigations(&[("l1tf", "Not affected"), ("retbleed", "Mitigation: Enhanced IBRS")]),
            ..GuestFacts::default()
        };
        let off = GuestFacts {
            mitigations: mitigations(&[
                ("mds", "Vulnerable; SMT vulnerable"),
                ("retbleed", "Vulnerable"),
                ("l1tf", "Not affected"),
            ]),
            ..GuestFacts::default()
        };
        let silent = GuestFacts::default();
        let facts = [("server", on), ("client", off), ("other", silent)];
        let dims = guest_dims(&facts.map(|(guest, facts)| (guest.to_owned(), facts)).into());
        let expected = [
            ("iommu-server-eth0", "DMA-FQ"),
            ("mitigations-client", "all but mds retbleed"),
            ("mitigations-server", "all"),
        ];
        assert_eq!(dims, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }
}
