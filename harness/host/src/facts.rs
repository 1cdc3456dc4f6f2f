//! What of the machine's state a comparison of two runs has to know, and what the other parts read of CPUs.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{CpuSet, Root};

const CPUS: &str = "/sys/devices/system/cpu";

/// How the machine stands for timed runs. What it does not say is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Bench {
    /// The frequency governor, or several with how many CPUs have each.
    pub governor: Option<String>,
    /// The frequency driver, such as `intel_pstate`.
    pub driver: Option<String>,
    /// Whether turbo is allowed.
    pub turbo: Option<bool>,
    /// `/sys/devices/system/cpu/smt/control`.
    pub smt: Option<String>,
    /// The longest time that waking from an allowed idle state takes, in microseconds.
    pub deepest_idle_us: Option<u32>,
    /// CPUs that the scheduler leaves alone; absent where there are none.
    pub isolated: Option<String>,
    /// Load average over one minute.
    pub load: Option<f64>,
}

/// How the machine stands now.
#[must_use]
pub fn bench(root: &Root) -> Bench {
    let isolated = root.read(&format!("{CPUS}/isolated"));
    let load = root.read("/proc/loadavg");
    let deepest = |cpu| {
        let states = idle_states(root, cpu);
        states.iter().filter(|state| !state.disabled).map(|state| state.latency_us).max()
    };
    Bench {
        governor: governors(root),
        driver: frequency_driver(root),
        turbo: turbo(root),
        smt: smt(root),
        deepest_idle_us: online(root).iter().filter_map(deepest).max(),
        isolated: isolated.filter(|list| list.parse::<CpuSet>().is_ok_and(|cpus| !cpus.is_empty())),
        load: load.and_then(|load| load.split_ascii_whitespace().next()?.parse().ok()),
    }
}

/// CPUs that run.
pub(crate) fn online(root: &Root) -> CpuSet {
    let list = root.read(&format!("{CPUS}/online"));
    list.and_then(|list| list.parse().ok()).unwrap_or_default()
}

/// Kernel parameters of this boot.
pub(crate) fn cmdline(root: &Root) -> Vec<String> {
    let line = root.read("/proc/cmdline").unwrap_or_default();
    line.split_ascii_whitespace().map(str::to_owned).collect()
}

/// The folders of cpufreq's policies: CPUs that share a frequency.
pub(crate) fn policies(root: &Root) -> Vec<String> {
    let names = root.names(&format!("{CPUS}/cpufreq"));
    names
        .iter()
        .filter(|name| name.starts_with("policy"))
        .map(|name| format!("{CPUS}/cpufreq/{name}"))
        .collect()
}

/// One governor's name, or how many policies have which.
pub(crate) fn governors(root: &Root) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for policy in policies(root) {
        if let Some(governor) = root.read(&format!("{policy}/scaling_governor")) {
            *counts.entry(governor).or_default() += 1;
        }
    }
    match counts.len() {
        0 => None,
        1 => counts.into_keys().next(),
        _ => {
            let parts: Vec<String> =
                counts.into_iter().map(|(governor, count)| format!("{governor} on {count}")).collect();
            Some(parts.join(", "))
        }
    }
}

pub(crate) fn frequency_driver(root: &Root) -> Option<String> {
    policies(root).first().and_then(|policy| root.read(&format!("{policy}/scaling_driver")))
}

/// Whether turbo is allowed: intel_pstate says when it is not, everybody else when it is.
pub(crate) fn turbo(root: &Root) -> Option<bool> {
    if let Some(off) = root.number::<u8>(&format!("{CPUS}/intel_pstate/no_turbo")) {
        return Some(off == 0);
    }
    if let Some(on) = root.number::<u8>(&format!("{CPUS}/cpufreq/boost")) {
        return Some(on != 0);
    }
    let boosts = policies(root);
    let boosts: Vec<u8> =
        boosts.iter().filter_map(|policy| root.number(&format!("{policy}/boost"))).collect();
    (!boosts.is_empty()).then(|| boosts.iter().any(|on| *on != 0))
}

pub(crate) fn smt(root: &Root) -> Option<String> {
    root.read(&format!("{CPUS}/smt/control"))
}

/// An idle state of a CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdleState {
    /// The folder's name: `state2`.
    pub(crate) folder: String,
    pub(crate) name: String,
    /// How long waking from it takes.
    pub(crate) latency_us: u32,
    pub(crate) disabled: bool,
}

/// A CPU's idle states, the shallowest first (`Documentation/admin-guide/pm/cpuidle.rst`).
pub(crate) fn idle_states(root: &Root, cpu: u32) -> Vec<IdleState> {
    let folder = format!("{CPUS}/cpu{cpu}/cpuidle");
    let state = |name: String| {
        let at = |file: &str| format!("{folder}/{name}/{file}");
        Some(IdleState {
            name: root.read(&at("name"))?,
            latency_us: root.number(&at("latency"))?,
            disabled: root.number::<u8>(&at("disable"))? != 0,
            folder: name,
        })
    };
    let names = root.names(&folder).into_iter().filter(|name| name.starts_with("state"));
    names.filter_map(state).collect()
}
