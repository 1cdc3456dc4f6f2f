//! Idle states of each core, from sysfs (`drivers/cpuidle/sysfs.c`; `Documentation/admin-guide/pm/cpuidle.rst`).

use std::collections::BTreeMap;

use measure::{Files, MetricDef, Provenance, SideFiles, Window, metric};

use crate::{
    Reduced,
    files::{by_kernel, float, grown, number},
    per::{CLOCK, seconds},
};

const NAME: &str = "/sys/devices/system/cpu/cpu*/cpuidle/state*/name";
const TIME: &str = "/sys/devices/system/cpu/cpu*/cpuidle/state*/time";
const USAGE: &str = "/sys/devices/system/cpu/cpu*/cpuidle/state*/usage";
const DRIVER: &str = "/sys/devices/system/cpu/cpuidle/current_driver";

pub(crate) const FILES: [&str; 5] = [NAME, TIME, USAGE, DRIVER, CLOCK];

const METRICS: [MetricDef; 2] = [metric::IDLE_RESIDENCY, metric::IDLE_ENTRIES];

pub(crate) fn reduce(window: &Window, reduced: &mut Reduced) {
    for (side, files) in by_kernel(window) {
        let measured = counted(files).and_then(|cores| Ok((cores, seconds(files)?)));
        match measured {
            Ok((cores, seconds)) => add(side, &cores, seconds, reduced),
            Err(why) => reduced.lack(&METRICS, &[("side", side)], why),
        }
    }
}

/// What one core did in one state.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    microseconds: u64,
    entries: u64,
}

/// The states of each core by their names.
type Cores = BTreeMap<u32, BTreeMap<String, State>>;

fn add(side: &str, cores: &Cores, seconds: f64, reduced: &mut Reduced) {
    let mut put = |core: &str, state: &str, sum: State, over: f64| {
        let dims = [("side", side), ("core", core), ("state", state)];
        let residency = 100.0 * float(sum.microseconds) / 1e6 / (seconds * over);
        reduced.add(&metric::IDLE_RESIDENCY, residency, Provenance::Sysfs, &dims);
        reduced.add(&metric::IDLE_ENTRIES, float(sum.entries) / seconds, Provenance::Sysfs, &dims);
    };
    let mut all: BTreeMap<&str, State> = BTreeMap::new();
    for (core, states) in cores {
        for (name, state) in states {
            put(&core.to_string(), name, *state, 1.0);
            let sum = all.entry(name).or_default();
            sum.microseconds = sum.microseconds.saturating_add(state.microseconds);
            sum.entries = sum.entries.saturating_add(state.entries);
        }
    }
    let count: f64 = cores.keys().map(|_| 1.0).sum();
    for (name, sum) in all {
        put("all", name, sum, count);
    }
}

fn counted(files: &SideFiles) -> Result<Cores, String> {
    let (before, after) = (read(&files.before, "before")?, read(&files.after, "after")?);
    if !before.keys().eq(after.keys()) {
        return Err("cores or their idle states came or went during the workload".to_owned());
    }
    let mut cores = Cores::new();
    for ((place, before), after) in before.into_iter().zip(after.into_values()) {
        let (core, number) = place;
        let of = |what| format!("the {what} of state {number} of core {core}");
        let state = State {
            microseconds: grown(&of("time"), before.1.microseconds, after.1.microseconds)?,
            entries: grown(&of("usage"), before.1.entries, after.1.entries)?,
        };
        if cores.entry(core).or_default().insert(after.0.clone(), state).is_some() {
            return Err(format!("core {core} has two idle states called {}", after.0));
        }
    }
    Ok(cores)
}

/// Name and counters of each state, by core and number.
type States = BTreeMap<(u32, u32), (String, State)>;

fn read(files: &Files, moment: &str) -> Result<States, String> {
    let line = |path: &str| -> Result<&str, String> {
        let content = files.get(path).ok_or_else(|| format!("{path} was not read {moment} the workload"))?;
        let bytes = content
            .as_ref()
            .map_err(|why| format!("{path} could not be read {moment} the workload: {why}"))?;
        let text = std::str::from_utf8(bytes).map_err(|_| format!("{path} is no text"))?;
        text.strip_suffix('\n').ok_or_else(|| format!("{path} is cut off {moment} the workload"))
    };
    let counter = |path: &str| number(line(path)?).map_err(|why| format!("{path}: {why}"));
    let mut states = BTreeMap::new();
    for path in files.keys() {
        // Each file is asked for by itself: of a state that one is missing of, nothing is known.
        let Some((place, folder)) = place(path) else { continue };
        let state = State {
            microseconds: counter(&format!("{folder}/time"))?,
            entries: counter(&format!("{folder}/usage"))?,
        };
        states.insert(place, (line(&format!("{folder}/name"))?.to_owned(), state));
    }
    if states.is_empty() {
        return Err(match line(DRIVER) {
            Ok(driver) => format!("the kernel has no idle states to tell of (cpuidle driver: {driver})"),
            Err(why) => format!("the kernel has no cpuidle: {why}"),
        });
    }
    Ok(states)
}

/// Core, state, and folder of a file of a state.
fn place(path: &str) -> Option<((u32, u32), &str)> {
    let (folder, _) = path.rsplit_once('/')?;
    let rest = folder.strip_prefix("/sys/devices/system/cpu/cpu")?;
    let (core, state) = rest.split_once("/cpuidle/state")?;
    Some(((core.parse().ok()?, state.parse().ok()?), folder))
}
