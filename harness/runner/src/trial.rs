//! One trial: boot, workloads in their windows, power off.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, UNIX_EPOCH},
};

use machine::{Boot, BootEnd, BootFiles, Running, World};
use measure::{Dims, GuestFacts, Provenance, Sample, TestOutcome, TestResult, TrialEnd, TrialRecord, metric};
use plan::{Evidence, Machine};

use crate::{
    Event, Keeper, RunError, Setup, Trial, again, complaints,
    exact::{self, Rehearsals},
    round::{Seen, Stop, keep_raw, locked, workloads},
};

/// A clean power-off flushes nothing that matters; a guest that cannot even do this hangs.
pub(crate) const POWER_OFF_DEADLINE: Duration = Duration::from_secs(20);

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
        within: vec![],
        timelines: vec![],
        began: (setup.power.now)().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs()),
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

    let Seen { mut samples, mut unavailable, tests, voids, within, timelines, raw, running } =
        seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    keep_raw(folder, "", &raw).map_err(RunError::keep(trial))?;
    record.tests = tests;
    record.voids = voids;
    record.within = within;
    record.timelines = timelines;
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
    let of_parts = record.within.iter_mut().map(|within| &mut within.dims);
    for dims in of_parts.chain(record.timelines.iter_mut().map(|timeline| &mut timeline.dims)) {
        dims.extend(place.cloned().unwrap_or_default());
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

fn provenance(setup: &Setup<'_>, trial: &Trial) -> Provenance {
    match setup.plan.arm(&trial.arm).map(|arm| &arm.machine) {
        Some(Machine::Fake(_)) => Provenance::Fake,
        _ => Provenance::Clock,
    }
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
