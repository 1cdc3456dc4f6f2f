//! What the user wants.

use super::Partition;
use crate::{CpuSet, Root, facts};

/// Whether CPUs may run faster than their nominal frequency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turbo {
    /// As it is.
    Keep,
    /// No.
    Off,
}

/// What to tune for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The frequency governor.
    pub governor: String,
    /// Whether turbo is to be off.
    pub turbo: Turbo,
    /// Idle states that take longer to wake from are switched off, in microseconds; none leaves them as they are.
    pub idle_us: Option<u32>,
    /// Whether every core is to run one thread only.
    pub smt_off: bool,
    /// CPUs to keep free of everything but what is measured.
    pub cores: Option<CpuSet>,
    /// How they are kept free of other processes.
    pub partition: Partition,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            governor: "performance".into(),
            turbo: Turbo::Off,
            // POLL, C1 and their like on Intel and AMD; C1E takes 10 us and lowers the frequency as well.
            idle_us: Some(5),
            smt_off: false,
            cores: None,
            partition: Partition::Isolated,
        }
    }
}

impl Request {
    /// CPUs that run once this is done.
    pub(super) fn cpus_left(&self, root: &Root) -> CpuSet {
        let online = facts::online(root);
        if !self.smt_off || facts::smt(root).as_deref() != Some("on") {
            return online;
        }
        // The kernel keeps the first thread of every core (cpu_smt_allowed(), kernel/cpu.c).
        CpuSet::of(online.iter().filter(|cpu| {
            let siblings = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
            let siblings: Option<CpuSet> = root.read(&siblings).and_then(|list| list.parse().ok());
            siblings.and_then(|siblings| siblings.iter().next()).is_none_or(|first| first == *cpu)
        }))
    }

    /// What this machine cannot do of it: everything at once, with what is allowed.
    pub(super) fn problems(&self, root: &Root) -> Vec<String> {
        let mut problems = vec![];
        for policy in facts::policies(root) {
            let Some(available) = root.read(&format!("{policy}/scaling_available_governors")) else {
                continue;
            };
            if !available.split_ascii_whitespace().any(|governor| governor == self.governor) {
                let allowed = available.split_ascii_whitespace().collect::<Vec<_>>().join(", ");
                problems
                    .push(format!("--governor {}: not on this machine (allowed: {allowed})", self.governor));
                break;
            }
        }
        if self.smt_off {
            match facts::smt(root).as_deref() {
                Some("on" | "off" | "forceoff" | "notsupported") => {}
                other => problems.push(format!(
                    "--smt off: this kernel cannot switch it (smt/control: {})",
                    other.unwrap_or("not there")
                )),
            }
        }
        if let Some(cores) = &self.cores {
            let left = self.cpus_left(root);
            if cores.is_empty() {
                problems.push(format!("--cores: no CPU (of {left})"));
            } else if !cores.is_subset(&left) {
                let after = if self.smt_off { " with SMT off" } else { "" };
                problems.push(format!(
                    "--cores {cores}: {} not online{after} (online: {left})",
                    cores.without(&left)
                ));
            } else if left.is_subset(cores) {
                problems.push(format!(
                    "--cores {cores}: at least one CPU has to be left for everything else (online: {left})"
                ));
            }
        }
        problems
    }
}
