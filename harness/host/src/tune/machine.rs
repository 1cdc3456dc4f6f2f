//! Settings of the whole machine.

use super::{Change, Item, Request, Shape, Turbo};
use crate::{CpuSet, Root, facts};

const CPUS: &str = "/sys/devices/system/cpu";

pub(super) fn items(root: &Root, request: &Request, left: &CpuSet) -> Vec<Item> {
    let mut items = vec![energy_preference(root), governor(root, request)];
    if request.turbo == Turbo::Off {
        items.push(turbo(root));
    }
    if let Some(limit) = request.idle_us {
        items.push(idle(root, limit, left));
    }
    items.extend(SYSTEM.iter().map(|setting| system(root, setting)));
    items
}

/// An item, or why it is none.
pub(super) fn item(subject: &str, why: &str, source: &str, changes: Vec<Change>, unavailable: &str) -> Item {
    Item {
        subject: subject.into(),
        why: why.into(),
        source: source.into(),
        undone: "the value before is written back".into(),
        unavailable: changes.is_empty().then(|| unavailable.into()),
        changes,
    }
}

/// From what a file says now; none if it is not there.
pub(super) fn change(root: &Root, path: &str, shape: Shape, wanted: &str) -> Option<Change> {
    Some(Change::value(path, shape, &root.read(path)?, wanted))
}

/// Before the governor: with `performance`, intel_pstate refuses every other preference, and on the way back the order is
/// the opposite.
fn energy_preference(root: &Root) -> Item {
    let policies = facts::policies(root);
    let paths = policies.iter().map(|policy| format!("{policy}/energy_performance_preference"));
    item(
        "energy preference",
        "asks the hardware, which decides about frequencies itself, for the highest ones",
        "admin-guide/pm/intel_pstate.rst, admin-guide/pm/amd-pstate.rst",
        paths.filter_map(|path| change(root, &path, Shape::Text, "performance")).collect(),
        "no driver has one",
    )
}

fn governor(root: &Root, request: &Request) -> Item {
    let policies = facts::policies(root);
    let paths = policies.iter().map(|policy| format!("{policy}/scaling_governor"));
    item(
        "frequency governor",
        "the frequency does not follow the load, which differs between what is compared",
        "admin-guide/pm/cpufreq.rst",
        paths.filter_map(|path| change(root, &path, Shape::Text, &request.governor)).collect(),
        "no cpufreq driver",
    )
}

fn turbo(root: &Root) -> Item {
    let intel = change(root, &format!("{CPUS}/intel_pstate/no_turbo"), Shape::Text, "1");
    let everybody = || change(root, &format!("{CPUS}/cpufreq/boost"), Shape::Text, "0");
    let changes: Vec<Change> = match intel.or_else(everybody) {
        Some(one) => vec![one],
        None => {
            let policies = facts::policies(root);
            policies
                .iter()
                .filter_map(|policy| change(root, &format!("{policy}/boost"), Shape::Text, "0"))
                .collect()
        }
    };
    item(
        "turbo off",
        "the frequency does not depend on temperature, and on how many cores are busy",
        "admin-guide/pm/intel_pstate.rst, admin-guide/pm/cpufreq.rst",
        changes,
        "no driver offers to switch it",
    )
}

fn idle(root: &Root, limit_us: u32, left: &CpuSet) -> Item {
    let mut changes = vec![];
    let mut any = false;
    for cpu in left.iter() {
        for state in facts::idle_states(root, cpu) {
            any = true;
            if state.latency_us > limit_us {
                let path = format!("{CPUS}/cpu{cpu}/cpuidle/{}/disable", state.folder);
                changes.extend(change(root, &path, Shape::Text, "1"));
            }
        }
    }
    // Per state and not by holding /dev/cpu_dma_latency: that would end with us, and could not be seen from outside.
    item(
        &format!("no idle states that take more than {limit_us} us to wake from"),
        "waking up is no part of the latencies that are measured",
        "admin-guide/pm/cpuidle.rst",
        changes,
        if any { "there are none" } else { "no cpuidle driver" },
    )
}

/// One file of the whole machine.
struct System {
    subject: &'static str,
    path: &'static str,
    shape: Shape,
    wanted: &'static str,
    why: &'static str,
    source: &'static str,
}

const SYSTEM: &[System] = &[
    System {
        subject: "address space randomisation",
        path: "/proc/sys/kernel/randomize_va_space",
        shape: Shape::Text,
        wanted: "0",
        why: "QEMU and the tools lie at the same addresses in every run, and so in the same cache sets",
        source: "admin-guide/sysctl/kernel.rst",
    },
    System {
        subject: "NMI watchdog",
        path: "/proc/sys/kernel/nmi_watchdog",
        shape: Shape::Text,
        wanted: "0",
        why: "it interrupts every CPU, and occupies a hardware counter",
        source: "admin-guide/lockup-watchdogs.rst",
    },
    System {
        subject: "transparent huge pages",
        path: "/sys/kernel/mm/transparent_hugepage/enabled",
        shape: Shape::Choice,
        wanted: "never",
        why: "how many of them a guest gets depends on fragmentation, and differs from boot to boot",
        source: "admin-guide/mm/transhuge.rst",
    },
    System {
        subject: "merging of equal pages (KSM)",
        path: "/sys/kernel/mm/ksm/run",
        shape: Shape::Text,
        wanted: "0",
        why: "a kernel thread that reads guests' memory, and write faults in the middle of a run",
        source: "admin-guide/mm/ksm.rst",
    },
    System {
        subject: "automatic NUMA balancing",
        path: "/proc/sys/kernel/numa_balancing",
        shape: Shape::Text,
        wanted: "0",
        why: "it unmaps pages to see who uses them, and moves them between nodes",
        source: "admin-guide/sysctl/kernel.rst",
    },
    System {
        subject: "migration of timers",
        path: "/proc/sys/kernel/timer_migration",
        shape: Shape::Text,
        wanted: "0",
        why: "timers of an idle CPU do not run on the one that is measured",
        source: "admin-guide/sysctl/kernel.rst",
    },
    System {
        subject: "update of memory statistics",
        path: "/proc/sys/vm/stat_interval",
        shape: Shape::Text,
        wanted: "10",
        why: "every CPU is interrupted for it once in 10 s and not once a second",
        source: "admin-guide/sysctl/vm.rst",
    },
    System {
        subject: "swappiness",
        path: "/proc/sys/vm/swappiness",
        shape: Shape::Text,
        wanted: "0",
        why: "guests' memory is not swapped to make room for files",
        source: "admin-guide/sysctl/vm.rst",
    },
];

fn system(root: &Root, setting: &System) -> Item {
    let changes = change(root, setting.path, setting.shape, setting.wanted).into_iter().collect();
    item(setting.subject, setting.why, setting.source, changes, "this kernel does not have it")
}

/// On request only: it takes half of the CPUs away.
pub(super) fn smt(root: &Root, request: &Request) -> Option<Item> {
    let wanted = request.smt_off.then_some("off")?;
    let path = format!("{CPUS}/smt/control");
    let changes = match facts::smt(root).as_deref() {
        Some("on") => change(root, &path, Shape::Text, wanted).into_iter().collect(),
        _ => vec![],
    };
    Some(item(
        "SMT",
        "no other thread takes part of a core",
        "ABI/testing/sysfs-devices-system-cpu",
        changes,
        "it is off, or this CPU has none",
    ))
}
