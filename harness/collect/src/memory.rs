//! Memory before and after, from `/proc/meminfo` (`fs/proc/meminfo.c`) and `/proc/vmstat` (`mm/vmstat.c`).

use std::collections::BTreeMap;

use measure::{Provenance, SideFiles, Window, metric};

use crate::{
    Reduced,
    files::{both, by_kernel, float, grown, number},
    per::{NO_BULK, Per, is_bulk},
};

pub(crate) const MEMINFO: &str = "/proc/meminfo";
pub(crate) const VMSTAT: &str = "/proc/vmstat";

const PROC: Provenance = Provenance::Procfs;

/// Pages given away, by zone (`include/linux/vm_event_item.h`).
const ALLOCATED: &str = "pgalloc_";

/// Times that somebody who wanted memory had to reclaim it first, by zone.
const STALLS: &str = "allocstall_";

pub(crate) fn reduce(window: &Window, reduced: &mut Reduced) {
    if !is_bulk(window) {
        reduced.lack(&[metric::PAGE_ALLOCATIONS_PER_PAGE], &[], NO_BULK);
    }
    for (side, files) in by_kernel(window) {
        let dims = [("side", side)];
        let available = level(files, "MemAvailable").map(|(before, after)| before.min(after));
        reduced.put(&metric::MEMORY_AVAILABLE, available, PROC, &dims);
        for (metric, line) in [(metric::MEMORY_SLAB, "Slab"), (metric::MEMORY_PAGE_CACHE, "Cached")] {
            reduced.put(&metric, level(files, line).map(|(_, after)| after), PROC, &dims);
        }
        let per = Per::of(window, files);
        let allocated = counted(files, ALLOCATED);
        if is_bulk(window) {
            let for_each_page = per.page(allocated.clone());
            reduced.put(&metric::PAGE_ALLOCATIONS_PER_PAGE, for_each_page, PROC, &dims);
        }
        reduced.put(&metric::PAGE_ALLOCATIONS, per.second(allocated), PROC, &dims);
        reduced.put(&metric::ALLOCATION_STALLS, counted(files, STALLS), PROC, &dims);
    }
}

/// Bytes before and after, from a line such as `Slab:   5728 kB`.
fn level(files: &SideFiles, name: &str) -> Result<(f64, f64), String> {
    let (before, after) = both(files, MEMINFO)?;
    let read = |text: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let rest = rest.ok_or_else(|| format!("{MEMINFO} has no line `{name}`"))?.trim();
        let kilobytes =
            rest.strip_suffix(" kB").ok_or_else(|| format!("{name} of {MEMINFO} is not in kB"))?;
        // These kB are of 1024 bytes.
        Ok::<f64, String>(1024.0 * float(number(kilobytes)?))
    };
    Ok((read(before)?, read(after)?))
}

/// By how much the counters whose names begin so have grown, all together.
fn counted(files: &SideFiles, prefix: &str) -> Result<f64, String> {
    let (before, after) = both(files, VMSTAT)?;
    let (before, after) = (counters(before, prefix)?, counters(after, prefix)?);
    if !before.keys().eq(after.keys()) {
        return Err(format!("the counters `{prefix}*` of {VMSTAT} came or went during the workload"));
    }
    let growth = before.into_iter().zip(after.into_values()).map(|((name, old), new)| grown(name, old, new));
    growth.map(|growth| growth.map(float)).sum()
}

fn counters<'a>(text: &'a str, prefix: &str) -> Result<BTreeMap<&'a str, u64>, String> {
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let wanted = lines.filter(|(name, _)| name.starts_with(prefix));
    let counters: BTreeMap<&str, u64> =
        wanted.map(|(name, value)| Ok((name, number(value)?))).collect::<Result<_, String>>()?;
    if counters.is_empty() {
        return Err(format!("{VMSTAT} has no `{prefix}*`: the kernel lacks CONFIG_VM_EVENT_COUNTERS"));
    }
    Ok(counters)
}
