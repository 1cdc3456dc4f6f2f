//! Memory, huge pages and swap.

use super::{Finding, Group, Patient, State};

const GROUP: Group = Group::Memory;
const GIB: u64 = 1 << 30;
/// Two guests of 512 MiB and the page cache that a kernel build likes to have.
const ENOUGH: u64 = 4 * GIB;
/// A kernel build and a guest.
const LEAST: u64 = 3 * GIB / 2;

pub(super) fn examine(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let meminfo = patient.root.read("/proc/meminfo").unwrap_or_default();
    let bytes = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().split(' ').next()?.parse::<u64>().ok().and_then(|kib| kib.checked_mul(1024))
    };
    findings.push(memory(bytes("MemTotal"), bytes("MemAvailable")));
    findings.push(swap(patient, bytes("SwapTotal"), bytes("SwapFree")));
    findings.push(huge(patient, "huge pages of 2 MiB", "hugepages-2048kB", 2));
    findings.push(huge(patient, "huge pages of 1 GiB", "hugepages-1048576kB", 1024));
    findings.push(transparent(patient));
}

fn memory(total: Option<u64>, available: Option<u64>) -> Finding {
    let (Some(total), Some(available)) = (total, available) else {
        return Finding::new(GROUP, "memory", State::Unavailable, "/proc/meminfo does not say");
    };
    let found = format!("{} GiB, {} GiB available", tenths(total), tenths(available));
    let finding = |state| Finding::new(GROUP, "memory", state, found.clone()).needed();
    if available < LEAST {
        finding(State::Limited).means("a kernel build or a pair of guests may be killed for lack of memory")
    } else if available < ENOUGH {
        finding(State::Limited)
            .means("enough for two small guests; kernel builds read their files again and again")
    } else {
        finding(State::Ok)
    }
}

/// GiB with one digit.
fn tenths(bytes: u64) -> String {
    let tenths = bytes / (GIB / 10);
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn swap(patient: &Patient<'_>, total: Option<u64>, free: Option<u64>) -> Finding {
    match (total, free) {
        (Some(0), _) => Finding::new(GROUP, "swap", State::Ok, "none: a guest's memory stays in memory"),
        (Some(total), Some(free)) if total == free => {
            Finding::new(GROUP, "swap", State::Ok, format!("{} GiB, none of it used", tenths(total)))
        }
        (Some(total), Some(free)) if total > free => Finding::new(
            GROUP,
            "swap",
            State::Limited,
            format!("{} of {} GiB used", tenths(total - free), tenths(total)),
        )
        .means("a guest that is swapped waits for a disk in the middle of a measurement")
        .changed_by(patient.distribution.as_root("sh -c 'swapoff -a && swapon -a'")),
        // A container's file, pieced together from several sources, may say that.
        (Some(_), Some(_)) => {
            Finding::new(GROUP, "swap", State::Unavailable, "/proc/meminfo has more of it free than in all")
        }
        _ => Finding::new(GROUP, "swap", State::Unavailable, "/proc/meminfo does not say"),
    }
}

fn huge(patient: &Patient<'_>, subject: &str, folder: &str, mib: u64) -> Finding {
    let file = format!("/sys/kernel/mm/hugepages/{folder}/nr_hugepages");
    let free = patient.root.number::<u64>(&format!("/sys/kernel/mm/hugepages/{folder}/free_hugepages"));
    let (Some(count), Some(free)) = (patient.root.number::<u64>(&file), free) else {
        return Finding::new(GROUP, subject, State::Unavailable, "this kernel or CPU has none of that size");
    };
    if count > 0 {
        return Finding::new(GROUP, subject, State::Ok, format!("{count} reserved, {free} free"));
    }
    Finding::new(GROUP, subject, State::Limited, "none reserved")
        .means("guests whose memory is to lie in huge pages cannot have them")
        .changed_by(patient.distribution.write(&(2048 / mib).max(2).to_string(), &file))
}

fn transparent(patient: &Patient<'_>) -> Finding {
    let subject = "transparent huge pages";
    let Some(choices) = patient.root.read("/sys/kernel/mm/transparent_hugepage/enabled") else {
        return Finding::new(GROUP, subject, State::Unavailable, "this kernel has none");
    };
    let chosen = choices
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .map_or(choices.as_str(), |(word, _)| word);
    match chosen {
        "never" => Finding::new(GROUP, subject, State::Ok, "never"),
        chosen => Finding::new(GROUP, subject, State::Limited, chosen)
            .means("how much of a guest's memory gets huge pages depends on fragmentation, and differs from boot to boot")
            .changed_by(patient.distribution.as_root("assay tune --apply")),
    }
}
