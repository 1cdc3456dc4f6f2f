//! Time of each core by kind, from `/proc/stat` (`fs/proc/stat.c`, proc_stat(5)).

use std::collections::BTreeMap;

use measure::{MetricDef, Provenance, Window, metric};

use crate::{
    Reduced,
    files::{both, by_kernel, float, grown, number},
};

pub(crate) const STAT: &str = "/proc/stat";

const METRICS: [MetricDef; 7] = [
    metric::CPU_APP,
    metric::CPU_SYSTEM,
    metric::CPU_SOFTIRQ,
    metric::CPU_IOWAIT,
    metric::CPU_STEAL,
    metric::CPU_GUEST,
    metric::CPU_BUSY,
];

pub(crate) fn reduce(window: &Window, reduced: &mut Reduced) {
    for (side, files) in by_kernel(window) {
        let measured = both(files, STAT).and_then(|(before, after)| {
            let parsed =
                |moment, text| parse(text).map_err(|why| format!("{STAT} {moment} the workload: {why}"));
            same_cores(parsed("before", before)?, parsed("after", after)?)
        });
        match measured {
            Ok(cores) => add_cores(side, &cores, reduced),
            Err(why) => reduced.lack(&METRICS, &[("side", side)], why),
        }
    }
}

/// Ticks of one core since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ticks {
    /// user + nice. Contains `guest`.
    app: u64,
    system: u64,
    idle: u64,
    iowait: u64,
    /// irq + softirq.
    interrupts: u64,
    steal: u64,
    /// guest + guest_nice.
    guest: u64,
}

/// The cores of one reading by their number.
type Cores = BTreeMap<u32, Ticks>;

fn parse(text: &str) -> Result<Cores, String> {
    let mut cores = Cores::new();
    let mut lines = text.lines();
    // The first line sums the cores up.
    if !lines.next().is_some_and(|line| line.starts_with("cpu ")) {
        return Err("it does not start with the sum over all cores".to_owned());
    }
    for line in lines {
        let Some(rest) = line.strip_prefix("cpu") else {
            // Whatever follows the cores proves that they are complete.
            return if cores.is_empty() { Err("it names no core".to_owned()) } else { Ok(cores) };
        };
        let mut words = rest.split_ascii_whitespace();
        let core = words.next().unwrap_or_default();
        let core: u32 = core.parse().map_err(|_| format!("`cpu{core}` is no core"))?;
        let values = words.map(number).collect::<Result<Vec<u64>, String>>()?;
        let [user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice, ..] = values[..]
        else {
            return Err(format!("cpu{core} has {} columns, of 10", values.len()));
        };
        let sum =
            |a: u64, b: u64| a.checked_add(b).ok_or_else(|| format!("cpu{core} has ticks beyond 64 bits"));
        let ticks = Ticks {
            app: sum(user, nice)?,
            system,
            idle,
            iowait,
            interrupts: sum(irq, softirq)?,
            steal,
            guest: sum(guest, guest_nice)?,
        };
        if cores.insert(core, ticks).is_some() {
            return Err(format!("cpu{core} is there twice"));
        }
    }
    Err("it ends with the cores".to_owned())
}

/// Both readings of each core; cores that came or went have not been measured for the whole window.
fn same_cores(before: Cores, after: Cores) -> Result<BTreeMap<u32, (Ticks, Ticks)>, String> {
    if !before.keys().eq(after.keys()) {
        let list = |cores: &Cores| cores.keys().map(u32::to_string).collect::<Vec<_>>().join(", ");
        return Err(format!(
            "its cores were {} before the workload and {} after",
            list(&before),
            list(&after)
        ));
    }
    Ok(before
        .into_iter()
        .zip(after.into_values())
        .map(|((core, before), after)| (core, (before, after)))
        .collect())
}

/// Ticks of one core, or of several, within the window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Spent {
    app: f64,
    system: f64,
    interrupts: f64,
    steal: f64,
    guest: f64,
    /// idle + iowait.
    resting: f64,
    /// `None` if the counter went back.
    iowait: Option<f64>,
}

impl Spent {
    fn between(before: Ticks, after: Ticks) -> Result<Self, String> {
        let spent = |name, pick: fn(&Ticks) -> u64| grown(name, pick(&before), pick(&after)).map(float);
        Ok(Self {
            app: spent("user + nice", |ticks| ticks.app)?,
            system: spent("system", |ticks| ticks.system)?,
            interrupts: spent("irq + softirq", |ticks| ticks.interrupts)?,
            steal: spent("steal", |ticks| ticks.steal)?,
            guest: spent("guest", |ticks| ticks.guest)?,
            resting: spent("idle + iowait", |ticks| ticks.idle.saturating_add(ticks.iowait))?,
            // Waiting tasks are booked on the core that they slept on and may wake elsewhere, so this counter alone may
            // go back (proc_stat(5)); what it loses, `idle` gains.
            iowait: spent("iowait", |ticks| ticks.iowait).ok(),
        })
    }

    fn plus(self, other: Self) -> Self {
        Self {
            app: self.app + other.app,
            system: self.system + other.system,
            interrupts: self.interrupts + other.interrupts,
            steal: self.steal + other.steal,
            guest: self.guest + other.guest,
            resting: self.resting + other.resting,
            iowait: self.iowait.zip(other.iowait).map(|(one, two)| one + two),
        }
    }
}

fn add_cores(side: &str, cores: &BTreeMap<u32, (Ticks, Ticks)>, reduced: &mut Reduced) {
    let mut all = Ok(Spent { iowait: Some(0.0), ..Spent::default() });
    for (core, &(before, after)) in cores {
        let spent = Spent::between(before, after);
        add(side, &core.to_string(), &spent, reduced);
        all = all.and_then(|all: Spent| match spent {
            Ok(spent) => Ok(all.plus(spent)),
            Err(why) => Err(format!("core {core}: {why}")),
        });
    }
    add(side, "all", &all, reduced);
}

/// Adds the shares of what a core, or all of them, had of time. The sum over all kinds is that time: it differs from the
/// clock by less than a tick, and stays right when a host that is busy makes ticks late.
fn add(side: &str, core: &str, spent: &Result<Spent, String>, reduced: &mut Reduced) {
    let dims = [("side", side), ("core", core)];
    let spent = match spent {
        Ok(spent) => spent,
        Err(why) => return reduced.lack(&METRICS, &dims, why),
    };
    let busy = spent.app + spent.system + spent.interrupts;
    let total = busy + spent.steal + spent.resting;
    if total == 0.0 {
        return reduced.lack(&METRICS, &dims, "no tick passed during the workload");
    }
    let mut share =
        |metric, ticks: f64| reduced.add(&metric, 100.0 * ticks / total, Provenance::Procfs, &dims);
    share(metric::CPU_APP, spent.app);
    share(metric::CPU_SYSTEM, spent.system);
    share(metric::CPU_SOFTIRQ, spent.interrupts);
    share(metric::CPU_STEAL, spent.steal);
    share(metric::CPU_GUEST, spent.guest);
    share(metric::CPU_BUSY, busy);
    match spent.iowait {
        Some(iowait) => share(metric::CPU_IOWAIT, iowait),
        None => reduced.lack(&[metric::CPU_IOWAIT], &dims, "the counter went back, as it may"),
    }
}
