//! CPUs that are kept free of everything but what is measured.

use super::{Change, Item, Request, Shape, Suggestion, machine::change, machine::item};
use crate::{CpuSet, Distribution, Root, facts};

const IRQS: &str = "/proc/irq";
const WORKQUEUES: &str = "/sys/devices/virtual/workqueue/cpumask";
/// Our cgroup, below the root of the unified hierarchy.
const GROUP: &str = "assay";

pub(super) fn items(root: &Root, request: &Request, left: &CpuSet) -> Vec<Item> {
    let Some(cores) = &request.cores else { return vec![] };
    let others = left.without(cores);
    vec![
        interrupts(root, cores, &others),
        workqueues(root, cores),
        watchdog(root, cores),
        partition(root, cores, request),
    ]
}

/// Managed interrupts (one for each queue of a fast device) belong to the driver: writing them is refused, and said.
fn interrupts(root: &Root, cores: &CpuSet, others: &CpuSet) -> Item {
    let mut changes = vec![];
    let default = format!("{IRQS}/default_smp_affinity");
    if let Some(now) = root.read(&default).and_then(|mask| CpuSet::from_mask(&mask)) {
        let wanted = now.without(cores);
        let wanted = if wanted.is_empty() { others } else { &wanted };
        changes.push(Change::value(default, Shape::Mask, &now.to_mask(), &wanted.to_mask()));
    }
    for irq in root.names(IRQS).iter().filter(|name| name.parse::<u32>().is_ok()) {
        let path = format!("{IRQS}/{irq}/smp_affinity_list");
        let Some(now) = root.read(&path).and_then(|list| list.parse::<CpuSet>().ok()) else { continue };
        let wanted = now.without(cores);
        if wanted.len() == now.len() {
            continue;
        }
        let wanted = if wanted.is_empty() { others } else { &wanted };
        changes.push(Change::value(path, Shape::Cpus, &now.to_string(), &wanted.to_string()));
    }
    item(
        "interrupts",
        "devices do not interrupt what is measured",
        "core-api/irq/irq-affinity.rst",
        changes,
        "none may come to these CPUs, or their affinities cannot be read",
    )
}

fn workqueues(root: &Root, cores: &CpuSet) -> Item {
    let now = root.read(WORKQUEUES).and_then(|mask| CpuSet::from_mask(&mask));
    let wanted = now.map(|now| now.without(cores)).filter(|wanted| !wanted.is_empty());
    let changes = wanted.and_then(|wanted| change(root, WORKQUEUES, Shape::Mask, &wanted.to_mask()));
    item(
        "unbound workqueues",
        "the kernel's own background work goes to other CPUs",
        "core-api/workqueue.rst",
        changes.into_iter().collect(),
        "this kernel does not have the mask",
    )
}

fn watchdog(root: &Root, cores: &CpuSet) -> Item {
    let path = "/proc/sys/kernel/watchdog_cpumask";
    let now = root.read(path).and_then(|list| list.parse::<CpuSet>().ok());
    let wanted = now.map(|now| now.without(cores)).filter(|wanted| !wanted.is_empty());
    let changes = wanted.and_then(|wanted| change(root, path, Shape::Cpus, &wanted.to_string()));
    item(
        "soft lockup watchdog",
        "its thread of the highest priority runs on other CPUs only",
        "admin-guide/lockup-watchdogs.rst",
        changes.into_iter().collect(),
        "this kernel has none",
    )
}

fn partition(root: &Root, cores: &CpuSet, request: &Request) -> Item {
    let (changes, unavailable) = match group_changes(root, cores, request) {
        Ok(changes) => (changes, String::new()),
        Err(why) => (vec![], why),
    };
    let mut item = item(
        "a partition for the CPUs",
        "no process runs there but those in the group, whatever its affinity",
        "admin-guide/cgroup-v2.rst (cpuset.cpus.partition)",
        changes,
        &unavailable,
    );
    item.undone = "what is in the group goes to the group above, and the group is removed".into();
    item
}

/// Where the unified cgroup hierarchy is mounted.
pub(super) fn unified(root: &Root) -> Option<String> {
    let mounts = root.read("/proc/self/mountinfo")?;
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    line.split(' ').nth(4).map(str::to_owned)
}

fn group_changes(root: &Root, cores: &CpuSet, request: &Request) -> Result<Vec<Change>, String> {
    let unified = unified(root).ok_or("cgroup2 is not mounted")?;
    let controllers = root.read(&format!("{unified}/cgroup.controllers")).unwrap_or_default();
    if !controllers.split_ascii_whitespace().any(|name| name == "cpuset") {
        return Err(
            "the unified cgroup hierarchy has no cpuset controller here (cgroup version 1 may have it)"
                .into(),
        );
    }
    let group = format!("{unified}/{GROUP}");
    if root.exists(&group) {
        return Err(format!("there is a group {group} that is not of this tuning"));
    }
    let control = format!("{unified}/cgroup.subtree_control");
    let enable = change(root, &control, Shape::CpusetController, "+cpuset");
    let enable = enable.ok_or_else(|| format!("{control} cannot be read"))?;
    Ok(vec![enable, Change::Cpuset { path: group, cpus: cores.clone(), partition: request.partition }])
}

/// What no running kernel can be told.
pub(super) fn at_boot(root: &Root, distribution: &Distribution, request: &Request) -> Option<Suggestion> {
    let cores = request.cores.as_ref()?;
    let booted = facts::cmdline(root);
    let wanted = [
        (format!("nohz_full={cores}"), "no timer tick while one thread runs (timers/no_hz.rst)"),
        (format!("rcu_nocbs={cores}"), "RCU's callbacks run elsewhere (admin-guide/kernel-parameters.txt)"),
    ];
    let lacking = wanted.into_iter().filter(|(parameter, _)| !booted.iter().any(|word| word == parameter));
    let (parameters, whys): (Vec<String>, Vec<&str>) = lacking.unzip();
    if parameters.is_empty() {
        return None;
    }
    let parameters = parameters.join(" ");
    Some(Suggestion { command: distribution.kernel_parameter(&parameters), why: whys.join("; "), parameters })
}

/// What works against us and belongs to somebody else.
pub(super) fn notes(root: &Root, request: &Request) -> Vec<String> {
    let mut notes = vec![];
    let pids = root.names("/proc");
    let mut running = pids.iter().filter(|name| name.parse::<u32>().is_ok());
    let balancer =
        running.any(|pid| root.read(&format!("/proc/{pid}/comm")).as_deref() == Some("irqbalance"));
    if balancer && request.cores.is_some() {
        notes.push("irqbalance runs and will move the interrupts again: systemctl stop irqbalance".into());
    }
    notes
}
