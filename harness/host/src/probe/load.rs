//! Who uses the CPUs besides us.

use std::collections::BTreeMap;

use crate::Root;

/// Processes below this share of one CPU are not worth a line.
const WORTH_NAMING: f64 = 0.02;
const MOST: usize = 5;

/// A process that took CPU time.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumer {
    /// Its process id.
    pub pid: i32,
    /// Its name.
    pub name: String,
    /// How much of one CPU it took: 1.5 is one and a half CPUs.
    pub cpus: f64,
}

/// CPU time of every process so far.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// Of all CPUs together, idle time included, in clock ticks.
    total: u64,
    cpus: u32,
    /// By process id: parent, name, ticks.
    processes: BTreeMap<i32, Process>,
}

#[derive(Clone, Debug)]
struct Process {
    parent: i32,
    name: String,
    ticks: u64,
}

impl Snapshot {
    pub(crate) fn take(root: &Root) -> Self {
        let stat = root.read("/proc/stat").unwrap_or_default();
        let total = stat.lines().next().unwrap_or_default();
        let total =
            total.split_ascii_whitespace().skip(1).take(8).filter_map(|n| n.parse::<u64>().ok()).sum();
        let cpus = stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count();
        let pids = root.names("/proc").into_iter().filter_map(|name| name.parse::<i32>().ok());
        let processes =
            pids.filter_map(|pid| Some((pid, process(&root.read(&format!("/proc/{pid}/stat"))?)?))).collect();
        Self { total, cpus: u32::try_from(cpus).unwrap_or(u32::MAX), processes }
    }
}

/// From `/proc/PID/stat` (proc_pid_stat(5)): the name is in brackets and may hold anything; then the state, the parent,
/// and as the 12th and 13th word the ticks in user and kernel mode.
fn process(stat: &str) -> Option<Process> {
    let (open, close) = (stat.find('(')?, stat.rfind(')')?);
    let words: Vec<&str> = stat.get(close + 1..)?.split_ascii_whitespace().collect();
    let word = |index: usize| words.get(index)?.parse::<u64>().ok();
    Some(Process {
        parent: words.get(1)?.parse().ok()?,
        // Anybody may call a process anything: what would steer a terminal does not get there.
        name: stat.get(open + 1..close)?.replace(char::is_control, "?"),
        ticks: word(11)? + word(12)?,
    })
}

/// Who took most between two snapshots, the largest first, without this process and what it started.
pub(crate) fn consumers(before: &Snapshot, after: &Snapshot) -> Vec<Consumer> {
    let us = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    consumers_but(us, before, after)
}

#[expect(clippy::cast_precision_loss, reason = "ticks of a few seconds")]
fn consumers_but(us: i32, before: &Snapshot, after: &Snapshot) -> Vec<Consumer> {
    let passed = after.total.saturating_sub(before.total) as f64 / f64::from(after.cpus.max(1));
    if passed <= 0.0 {
        return vec![];
    }
    let ours = |mut pid: i32| {
        // A process tree is not deeper than it has processes.
        for _ in 0..after.processes.len() {
            match after.processes.get(&pid) {
                _ if pid == us => return true,
                Some(process) => pid = process.parent,
                None => return false,
            }
        }
        false
    };
    let mut consumers: Vec<Consumer> = after
        .processes
        .iter()
        .filter_map(|(pid, process)| {
            let then = before.processes.get(pid).map_or(0, |process| process.ticks);
            let cpus = process.ticks.saturating_sub(then) as f64 / passed;
            (cpus >= WORTH_NAMING && !ours(*pid)).then(|| Consumer {
                pid: *pid,
                name: process.name.clone(),
                cpus,
            })
        })
        .collect();
    consumers.sort_by(|a, b| b.cpus.total_cmp(&a.cpus));
    consumers.truncate(MOST);
    consumers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(total: u64, processes: &[(i32, i32, &str, u64)]) -> Snapshot {
        let processes = processes
            .iter()
            .map(|(pid, parent, name, ticks)| {
                let stat = format!("{pid} ({name}) S {parent} 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0");
                (*pid, process(&stat).unwrap())
            })
            .collect();
        Snapshot { total, cpus: 2, processes }
    }

    #[test]
    fn shares_are_of_one_cpu_and_leave_us_out() {
        let before = snapshot(1000, &[(1, 0, "init", 50), (10, 1, "cc1 (a) b", 100), (20, 1, "assay", 0)]);
        let after = snapshot(
            1400,
            &[
                (1, 0, "init", 50),
                (10, 1, "cc1 (a) b", 300),
                (20, 1, "assay", 100),
                (21, 20, "qemu", 100),
                (30, 1, "new", 50),
            ],
        );
        let found = consumers_but(20, &before, &after);
        let named: Vec<_> = found.iter().map(|consumer| (consumer.name.as_str(), consumer.cpus)).collect();
        assert_eq!(named, [("cc1 (a) b", 1.0), ("new", 0.25)]);
    }

    #[test]
    fn without_time_between_them_nothing_is_said() {
        let one = snapshot(1000, &[(1, 0, "init", 50)]);
        assert_eq!(consumers_but(20, &one, &one), []);
    }
}
