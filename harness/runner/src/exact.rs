//! Exact evidence: closed worlds, their rehearsals, and what was counted in them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use machine::{Boot, BootEnd, BootFiles, ClosedWorld, Counting, Running, Script, World};
use measure::{InstructionCounts, RawFile, TrialEnd};
use plan::{Evidence, Plan};
use profile::{Context, Profile, Symbols};
use workload::WorkloadError;

use crate::{
    RunError, Setup, Trial, perturbation,
    round::rehearse,
    trial::{POWER_OFF_DEADLINE, chain, machine_error},
};

/// How much longer than the boot deadline a closed world may take to its end: it boots and works before it is heard of, and an
/// instruction counter for a clock takes its time.
const PATIENCE: u32 = 20;

/// What a trial's counts are kept as, in its folder's `raw`.
pub const COUNTS_FILE: &str = "insncount.jsonl";

/// Where the functions of modules were in a trial's guest, as `/proc/kallsyms` lists them: in its folder's `raw`, where its kernel has modules.
pub const MODULES_FILE: &str = "modules.kallsyms";

/// What is kept as [`MODULES_FILE`] in this folder of raw files; empty where there is none.
///
/// # Errors
/// If the file is there and cannot be read.
pub fn module_symbols(raw: &Path) -> std::io::Result<String> {
    match std::fs::read_to_string(raw.join(MODULES_FILE)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    }
}

/// Asks a guest whose kernel has modules where their functions are. Before the workloads: what these load themselves has no names.
pub(crate) async fn modules(
    setup: &Setup<'_>,
    trial: &Trial,
    running: &Running,
) -> Result<Option<RawFile>, WorkloadError> {
    if setup.images.get(&trial.arm).is_none_or(|image| image.modules.is_none()) {
        return Ok(None);
    }
    let bytes = workload::module_symbols(&running.server()).await?;
    Ok(Some(RawFile { name: MODULES_FILE.to_owned(), bytes }))
}

/// What was written down for each arm: one rehearsal does for all its boots.
pub(crate) type Rehearsals = BTreeMap<String, Script>;

/// Instructions from one sample of a stack to the next: some ten thousand in a window of 16 MiB over two NICs. A prime, so that loops do not
/// fall into step with it.
const SAMPLE: u32 = 20_011;

/// Where the consoles of a trial's rehearsal are.
pub(crate) fn rehearsal_folder(trial: &Path) -> PathBuf {
    trial.join("rehearsal")
}

/// The world of a trial; or how it ended, if its rehearsal failed.
pub(crate) async fn world(
    setup: &Setup<'_>,
    trial: &Trial,
    files: &BootFiles,
    folder: &Path,
    rehearsals: &mut Rehearsals,
) -> Result<Result<World, TrialEnd>, RunError> {
    if setup.plan.evidence() == Evidence::Timed {
        return Ok(Ok(World::Open));
    }
    let counting = || -> Result<Counting, &'static str> {
        let plugin = setup.counting.ok_or("the plugin that counts is missing")?;
        let image = setup.images.get(&trial.arm).ok_or("the arm has no kernel of its own")?;
        let map = image.system_map.as_ref().ok_or("the kernel has no System.map")?;
        Ok(Counting { plugin: plugin.to_owned(), map: map.clone(), sample: Some(SAMPLE) })
    };
    let counting = counting().map_err(|why| wrong(trial, why))?;
    let script = match rehearsals.get(&trial.arm) {
        Some(script) => script.clone(),
        None => match rehearsal(setup, trial, files, folder).await? {
            Ok(script) => rehearsals.entry(trial.arm.clone()).or_insert(script).clone(),
            Err(end) => return Ok(Err(end)),
        },
    };
    let perturbation = perturbation(setup.plan, trial.block).unwrap_or_default();
    Ok(Ok(World::Closed(ClosedWorld { script, perturbation, counting: Some(counting) })))
}

/// How long a machine may take until its agent is heard.
pub(crate) fn deadline(plan: &Plan, world: &World) -> Duration {
    let boot = Duration::from_secs(plan.design.boot_deadline_s.into());
    match world {
        World::Closed(_) => boot * PATIENCE,
        World::Open | World::Rehearsal => boot,
    }
}

/// Holds the conversation of the trial's workloads with an open guest, and writes it down.
async fn rehearsal(
    setup: &Setup<'_>,
    trial: &Trial,
    files: &BootFiles,
    folder: &Path,
) -> Result<Result<Script, TrialEnd>, RunError> {
    let arm = setup.plan.arm(&trial.arm).expect("the schedule names arms of the plan");
    let logs = rehearsal_folder(folder);
    std::fs::create_dir_all(&logs).map_err(|source| RunError::keep(trial)(source.into()))?;
    let attachments = machine::Attachments::default();
    let booted = machine::boot(Boot {
        machine: &arm.machine,
        cmdline: &arm.cmdline,
        files,
        levels: machine::Levels::default(),
        folder: &logs,
        runtime: setup.runtime,
        deadline: deadline(setup.plan, &World::Rehearsal),
        traced: false,
        world: &World::Rehearsal,
        attachments: &attachments,
        supervisor: setup.supervisor,
        host: setup.host,
    });
    let running = match booted.await.map_err(|source| machine_error(trial, source))? {
        BootEnd::Up(running) => *running,
        BootEnd::Crashed(report) => return Ok(Err(TrialEnd::Crashed { report, samples: vec![] })),
        BootEnd::NotTestable(message) => return Ok(Err(TrialEnd::NotTestable { message })),
    };
    let rehearsed = tokio::select! {
        biased;
        report = running.crashed() => {
            let report = report.map_err(|source| machine_error(trial, source))?;
            Some(TrialEnd::Crashed { report, samples: vec![] })
        }
        rehearsed = rehearse(setup, trial, &running) => match rehearsed {
            Ok(()) => None,
            Err(WorkloadError::Failed(failure)) => Some(TrialEnd::WorkloadFailed {
                workload: failure.workload.clone(),
                message: failure.message.clone(),
                samples: vec![],
            }),
            Err(source @ WorkloadError::HostFile { .. }) => return Err(RunError::workload(trial, source)),
            Err(error) => {
                let report = running.hang("guest", &chain(&error)).await;
                let report = report.map_err(|source| machine_error(trial, source))?;
                Some(TrialEnd::Crashed { report, samples: vec![] })
            }
        },
    };
    let script = running.script();
    let off = running.power_off(POWER_OFF_DEADLINE).await.map_err(|source| machine_error(trial, source))?;
    Ok(match (rehearsed, off, script) {
        (Some(end), _, _) => Err(end),
        (None, Err(report), _) => Err(TrialEnd::Crashed { report, samples: vec![] }),
        (None, Ok(()), Some(script)) => Ok(script),
        (None, Ok(()), None) => return Err(wrong(trial, "the rehearsal was not written down")),
    })
}

/// What was counted in a closed world.
pub(crate) struct Counts {
    counts: profile::Counts,
    symbols: Symbols,
}

impl Counts {
    /// Reads what the plugin wrote, and keeps it with the trial.
    pub(crate) fn read(
        setup: &Setup<'_>,
        trial: &Trial,
        running: &Running,
        folder: &Path,
    ) -> Result<Self, RunError> {
        let bytes = running.counts().map_err(|source| machine_error(trial, source))?;
        std::fs::write(folder.join("raw").join(COUNTS_FILE), &bytes)
            .map_err(|source| RunError::keep(trial)(source.into()))?;
        let text = String::from_utf8(bytes).map_err(|_| wrong(trial, "they are no text"))?;
        let counts = profile::Counts::read(&text).map_err(|error| wrong(trial, &error.to_string()))?;
        let mut symbols = Symbols::default();
        let map = setup.images.get(&trial.arm).and_then(|image| image.system_map.as_ref());
        if let Some(map) = map {
            let text = std::fs::read_to_string(map)
                .map_err(|error| wrong(trial, &format!("{}: {error}", map.display())))?;
            symbols.add(&text);
        }
        let of_modules = module_symbols(&folder.join("raw"));
        symbols.add(&of_modules.map_err(|error| wrong(trial, &format!("{MODULES_FILE}: {error}")))?);
        Ok(Self { counts, symbols })
    }

    /// The sum of the windows with this number: a command that is repeated has several.
    pub(crate) fn window(&self, trial: &Trial, number: u32) -> Result<InstructionCounts, RunError> {
        let windows = self.counts.windows.iter().filter(|window| window.number == u64::from(number));
        let mut sum = InstructionCounts::default();
        let mut found = false;
        for window in windows {
            if let Some(oddity) = window.oddities.first() {
                return Err(wrong(trial, oddity));
            }
            found = true;
            let profile = Profile::new(window, &self.symbols);
            for context in Context::ALL {
                let row = profile.in_context(context);
                *sum.kernel.entry(context.name().to_owned()).or_default() += row.instructions;
                *sum.string_bytes.entry(context.name().to_owned()).or_default() += row.strings.bytes;
                if context != Context::Idle {
                    sum.string_executions += row.strings.executions();
                }
            }
            if let Some(device) = profile.device() {
                *sum.device.get_or_insert_default() += device.instructions;
            }
            for event in profile::events(&profile, &self.symbols) {
                let so_far = sum.events.entry(event.name.to_owned()).or_insert(Ok(0));
                *so_far = event.count.and_then(|count| Ok(so_far.clone()? + count));
            }
            sum.user += profile.programs.iter().map(|program| program.instructions).sum::<u64>();
        }
        if found { Ok(sum) } else { Err(wrong(trial, &format!("there is no window {number}"))) }
    }
}

fn wrong(trial: &Trial, message: &str) -> RunError {
    RunError::Counts { index: trial.index, arm: trial.arm.clone(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    #[test]
    fn events_are_those_that_metrics_know() {
        assert!(profile::event_names().eq(measure::metric::EVENTS.iter().copied()));
    }
}
