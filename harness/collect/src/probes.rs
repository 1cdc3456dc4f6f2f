//! How long functions of the kernel take: dynamic probes at their entries and returns, whose difference the kernel itself adds up in a
//! histogram, and the Intel driver's own histogram of invalidations.
//!
//! Of each function three events of tracefs (Documentation/trace/{fprobetrace,kprobetrace,histogram}.rst): one at its entry, which
//! leaves the time behind under the thread and the processor; one at its return, which takes it up; and a synthetic one with the
//! difference, whose histogram is read. Thread and processor, because softirqs run in whatever thread is there, and every idle
//! processor's thread is number 0. A call that ends on another processor than it began on is not counted.

use measure::{MetricDef, Provenance, SideFiles, Window, metric};

use crate::{
    Preparation, Reduced,
    files::{by_kernel, float, number},
    hist::{self, Histogram, Keyed, TRACEFS, counted, field},
    latency,
    per::{is_bulk, pages},
};

/// What is timed, where a kernel has it. The first ones are the markers of `patches/iommu-hooks`.
pub const FUNCTIONS: [&str; 11] = [
    "trace_qi_submit_sync_lock_wrapper",
    "trace_qi_submit_sync_cs",
    "trace_iommu_flush_write_buffer_lock_wrapper",
    "trace_iommu_flush_write_buffer_cs",
    "count_page_pool_release_page_dma_hook",
    "count_page_pool_recycle_in_cache_hook",
    "qi_submit_sync",
    "cache_tag_flush_range",
    "iommu_map",
    "iommu_unmap_fast",
    "page_pool_put_unrefed_netmem",
];

fn event(function: &str) -> String {
    format!("synthetic/assay_{function}")
}

pub(crate) fn sources() -> impl Iterator<Item = String> {
    let histograms = FUNCTIONS.iter().map(|function| hist::file(&event(function)));
    histograms.chain([format!("{PROBED}*{SWITCH}"), latency::FILE.to_owned()])
}

/// One for each function that the kernel let be probed: the histograms are there in any case.
const PROBED: &str = "/sys/kernel/tracing/events/assay/";
const SWITCH: &str = "_exit/enable";

fn is_probed(files: &SideFiles, function: &str) -> bool {
    files.after.contains_key(&format!("{PROBED}{function}{SWITCH}"))
}

pub(crate) fn preparations() -> Vec<Preparation> {
    let mut steps = vec![Preparation { path: format!("{TRACEFS}/trace_clock"), line: "mono".to_owned() }];
    for (index, function) in FUNCTIONS.iter().enumerate() {
        let (entry, exit) = (format!("assay/{function}_entry"), format!("assay/{function}_exit"));
        let define = |line: String| Preparation { path: format!("{TRACEFS}/dynamic_events"), line };
        let key = "hist:keys=common_pid,common_cpu";
        steps.extend([
            define(format!("f:{entry} {function}")),
            define(format!("f:{exit} {function}%return")),
            // Refused where the ones above were taken.
            define(format!("p:{entry} {function}")),
            define(format!("r:{exit} {function}")),
        ]);
        let matched = format!("onmatch(assay.{function}_entry).assay_{function}($d{index})");
        steps.extend([
            Preparation {
                path: hist::trigger(&entry),
                line: format!("{key}:t{index}=common_timestamp:size=4096"),
            },
            define(format!("s:assay_{function} u64 ns")),
            Preparation {
                path: hist::trigger(&event(function)),
                line: "hist:keys=ns.log2:vals=ns".to_owned(),
            },
            Preparation {
                path: hist::trigger(&exit),
                line: format!("{key}:d{index}=common_timestamp-$t{index}:{matched}"),
            },
        ]);
    }
    steps.extend(latency::preparations());
    steps
}

const METRICS: [MetricDef; 3] = [metric::PROBED_TIME, metric::PROBED_CALLS, metric::PROBED_CALLS_BY_TIME];

pub(crate) fn reduce(window: &Window, reduced: &mut Reduced) {
    let pages = if is_bulk(window) { Some(pages(window)) } else { None };
    for (side, files) in by_kernel(window) {
        let (probed, absent): (Vec<&str>, Vec<&str>) =
            FUNCTIONS.into_iter().partition(|function| is_probed(files, function));
        for function in probed {
            of_function(side, files, function, pages.as_ref(), reduced);
        }
        if !absent.is_empty() {
            let why = format!("its kernel has no {} to probe", absent.join(", "));
            reduced.lack(&METRICS, &[("side", side)], why);
        }
        latency::reduce(side, files, reduced);
    }
}

fn of_function(
    side: &str,
    files: &SideFiles,
    function: &str,
    pages: Option<&Result<f64, String>>,
    reduced: &mut Reduced,
) {
    let dims = [("side", side), ("function", function)];
    let calls = match counted(files, &event(function), Keyed::ByField) {
        Ok(calls) => calls,
        Err(why) => return reduced.lack(&METRICS, &dims, why),
    };
    let (hits, nanoseconds) =
        calls.values().fold((0, 0), |(hits, sum), row| (hits + row.hits, sum + row.sum));
    if hits == 0 {
        return;
    }
    reduced.add(&metric::PROBED_TIME, float(nanoseconds) / float(hits), Provenance::Tracefs, &dims);
    if let Some(pages) = pages {
        let per_page = pages.clone().map(|pages| float(hits) / pages);
        reduced.put(&metric::PROBED_CALLS, per_page, Provenance::Tracefs, &dims);
    }
    if let Err(why) = by_time(&calls, hits, &dims, reduced) {
        reduced.lack(&[metric::PROBED_CALLS_BY_TIME], &dims, why);
    }
}

/// Keys are `ns: ~ 2^12`: above the power of two before it, and up to that one (`hist_field_log2`).
fn by_time(calls: &Histogram, hits: u64, dims: &[(&str, &str)], reduced: &mut Reduced) -> Result<(), String> {
    for (key, row) in calls.iter().filter(|(_, row)| row.hits > 0) {
        let power = field(key, "ns").and_then(|value| value.strip_prefix("~ 2^"));
        let power = number(power.ok_or_else(|| format!("`{key}` is no power of two"))?)?;
        let high = u32::try_from(power).ok().and_then(|power| 1_u64.checked_shl(power));
        let high = high.ok_or_else(|| format!("`{key}` is no time"))?;
        let range = if high == 1 { "0-1".to_owned() } else { format!("{}-{high}", high / 2 + 1) };
        let dims = [dims, &[("range", range.as_str())]].concat();
        let share = 100.0 * float(row.hits) / float(hits);
        reduced.add(&metric::PROBED_CALLS_BY_TIME, share, Provenance::Tracefs, &dims);
    }
    Ok(())
}
