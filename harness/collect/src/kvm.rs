//! What KVM counted: of the guests themselves, by the host's counters, and of guests that they run, by their own.

use std::collections::BTreeMap;

use measure::{MetricDef, Provenance, Window, metric};

use crate::{
    Reduced,
    files::{both, by_kernel, float, grown, number},
    per::{CLOCK, NO_BULK, is_bulk, pages, seconds},
};

/// Counters that tell why a virtual CPU left its guest and what it cost (`arch/x86/kvm/x86.c`, `kvm_vm_stats_desc` and
/// `kvm_vcpu_stats_desc`). Other architectures have some of them.
const KINDS: [&str; 16] = [
    "exits",
    "io_exits",
    "mmio_exits",
    "halt_exits",
    "irq_exits",
    "irq_window_exits",
    "nmi_window_exits",
    "request_irq_exits",
    "signal_exits",
    "insn_emulation",
    "hypercalls",
    "irq_injections",
    "req_event",
    "halt_wakeup",
    "tlb_flush",
    "pf_taken",
];

/// The sums over all virtual machines that live.
const FOLDER: &str = "/sys/kernel/debug/kvm";

pub(crate) fn sources() -> Vec<String> {
    KINDS.iter().map(|kind| format!("{FOLDER}/{kind}")).chain([CLOCK.to_owned()]).collect()
}

pub(crate) fn reduce(window: &Window, reduced: &mut Reduced) {
    of_guests(window, reduced);
    of_guests_of_guests(window, reduced);
}

/// What the host counted of each guest.
fn of_guests(window: &Window, reduced: &mut Reduced) {
    let metrics = [metric::KVM_EXITS, metric::KVM_EXITS_PER_PAGE];
    let metrics = if is_bulk(window) { &metrics[..] } else { &metrics[..1] };
    if !is_bulk(window) {
        reduced.lack(&[metric::KVM_EXITS_PER_PAGE], &[], NO_BULK);
    }
    let Some(guests) = &window.kvm else {
        return reduced.lack(metrics, &[], "the host's counters were not read");
    };
    for (guest, counted) in guests {
        let dims = [("side", guest.as_str())];
        let counted = match counted {
            Ok(counted) => counted,
            Err(why) => {
                reduced.lack(metrics, &dims, why);
                continue;
            }
        };
        let seconds = counted.elapsed.as_secs_f64();
        let both = |kind: &str| Some((*counted.before.get(kind)?, *counted.after.get(kind)?));
        add(&metric::KVM_EXITS, guest, seconds, both, reduced);
        if is_bulk(window) {
            let exits = both("exits").ok_or_else(|| "KVM has no counter `exits`".to_owned());
            let exits = exits.and_then(|(before, after)| grown("exits", before, after));
            let for_each_page = exits.and_then(|exits| Ok(float(exits) / pages(window)?));
            reduced.put(&metric::KVM_EXITS_PER_PAGE, for_each_page, Provenance::Debugfs, &dims);
        }
    }
}

/// What a guest's own KVM counted of the guests that it runs. One that runs none has nothing to tell.
fn of_guests_of_guests(window: &Window, reduced: &mut Reduced) {
    for (side, files) in by_kernel(window) {
        let mut counters = BTreeMap::new();
        for kind in KINDS {
            let path = format!("{FOLDER}/{kind}");
            let Ok((before, after)) = both(files, &path) else { continue };
            let value = |text: &str| number(text.trim_end()).map_err(|why| format!("{path}: {why}"));
            match value(before).and_then(|before| Ok((before, value(after)?))) {
                Ok(both) => drop(counters.insert(kind, both)),
                Err(why) => reduced.lack(&[metric::NESTED_KVM_EXITS], &[("side", side)], why),
            }
        }
        if counters.values().all(|both| *both == (0, 0)) {
            continue;
        }
        match seconds(files) {
            Ok(seconds) => {
                let both = |kind: &str| counters.get(kind).copied();
                add(&metric::NESTED_KVM_EXITS, side, seconds, both, reduced);
            }
            Err(why) => reduced.lack(&[metric::NESTED_KVM_EXITS], &[("side", side)], why),
        }
    }
}

/// Adds every kind that was ever counted.
fn add(
    metric: &MetricDef,
    side: &str,
    seconds: f64,
    both: impl Fn(&str) -> Option<(u64, u64)>,
    reduced: &mut Reduced,
) {
    for kind in KINDS {
        let Some((before, after)) = both(kind).filter(|both| *both != (0, 0)) else { continue };
        let dims = [("side", side), ("kind", kind)];
        // The counts of a virtual machine end with it.
        let count = after.checked_sub(before).ok_or("a virtual machine ended during the workload");
        match count {
            Ok(count) => reduced.add(metric, float(count) / seconds, Provenance::Debugfs, &dims),
            Err(why) => reduced.lack(&[*metric], &dims, why),
        }
    }
}
