//! What else runs here now, and who sets the clock.

use super::{Finding, Group, Patient, State};
use crate::facts;

const GROUP: Group = Group::Quiet;
/// Programs that set the clock, by the name of their process.
const TIMEKEEPERS: &[&str] =
    &["chronyd", "ntpd", "systemd-timesyn", "systemd-timesyncd", "openntpd", "ptp4l"];

pub(super) fn examine(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    findings.push(load(patient));
    findings.push(consumers(patient));
    findings.push(balancer(patient));
    findings.push(time(patient));
}

#[expect(clippy::cast_precision_loss, reason = "a count of CPUs")]
fn load(patient: &Patient<'_>) -> Finding {
    let Some(load) = facts::bench(patient.root).load else {
        return Finding::new(GROUP, "load", State::Unavailable, "/proc/loadavg does not say");
    };
    let cpus = facts::online(patient.root).len().max(1);
    let found = format!("{load:.2} over the last minute, {cpus} CPUs");
    if load <= 0.1 * cpus as f64 {
        Finding::new(GROUP, "load", State::Ok, found)
    } else {
        Finding::new(GROUP, "load", State::Limited, found)
            .means("timed runs share the machine with it; exact counts do not mind")
    }
}

fn consumers(patient: &Patient<'_>) -> Finding {
    let consumers = &patient.probes.consumers;
    if consumers.is_empty() {
        return Finding::new(
            GROUP,
            "other processes",
            State::Ok,
            "none took 2 % of a CPU while this was looked at",
        );
    }
    // A build is a dozen processes of one name.
    let mut names: Vec<(&str, f64, usize)> = vec![];
    for one in consumers {
        match names.iter_mut().find(|(name, ..)| *name == one.name) {
            Some((_, cpus, count)) => (*cpus, *count) = (*cpus + one.cpus, *count + 1),
            None => names.push((&one.name, one.cpus, 1)),
        }
    }
    let times = |count| if count > 1 { format!(" x {count}") } else { String::new() };
    let list: Vec<String> = names
        .into_iter()
        .map(|(name, cpus, count)| format!("{name}{} {:.0} %", times(count), cpus * 100.0))
        .collect();
    Finding::new(GROUP, "other processes", State::Limited, format!("{} of a CPU", list.join(", ")))
        .means("whatever they do is in the noise of timed runs")
}

/// Names of all processes.
fn processes(patient: &Patient<'_>) -> Vec<String> {
    let pids = patient.root.names("/proc").into_iter().filter(|name| name.parse::<u32>().is_ok());
    pids.filter_map(|pid| patient.root.read(&format!("/proc/{pid}/comm"))).collect()
}

fn balancer(patient: &Patient<'_>) -> Finding {
    if !processes(patient).iter().any(|name| name == "irqbalance") {
        return Finding::new(
            GROUP,
            "irqbalance",
            State::Ok,
            "does not run: interrupts stay where they are put",
        );
    }
    Finding::new(GROUP, "irqbalance", State::Limited, "runs")
        .means("interrupts move between CPUs while something is measured, and away from where `assay tune` puts them")
        .changed_by(patient.distribution.as_root("systemctl stop irqbalance"))
}

fn time(patient: &Patient<'_>) -> Finding {
    let found = processes(patient).into_iter().find(|name| TIMEKEEPERS.contains(&name.as_str()));
    match found {
        Some(name) => Finding::new(GROUP, "time", State::Ok, format!("{name} sets the clock; durations are measured with a clock that is never set")),
        None => Finding::new(GROUP, "time", State::Limited, "nobody sets the clock here")
            .means("times in reports may be off, and jump if somebody sets it; durations are measured with a clock that is never set"),
    }
}
