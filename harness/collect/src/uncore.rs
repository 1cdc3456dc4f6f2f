//! What the host's processors counted of their IOMMUs, for each page of payload, and what follows from it.

use std::collections::BTreeMap;

use measure::{HardwareWindow, MetricDef, Provenance, Window, metric};

use crate::{
    Reduced,
    per::{NO_BULK, is_bulk, pages},
};

const METRICS: [MetricDef; 9] = [
    metric::IOTLB_MISSES_PER_PAGE,
    metric::IOTLB_FIRST_LOOKUPS_PER_PAGE,
    metric::IOTLB_ALL_LOOKUPS_PER_PAGE,
    metric::IOTLB_INVALIDATIONS_PER_PAGE,
    metric::IOMMU_MEMORY_ACCESSES_PER_PAGE,
    metric::IOMMU_ALL_MEMORY_ACCESSES_PER_PAGE,
    metric::PAGE_WALK_OCCUPANCY,
    metric::PAGE_WALK_TIME,
    metric::MEMORY_READS_PER_MISS,
];

pub(crate) fn reduce(window: &Window, reduced: &mut Reduced) {
    let why = match (&window.hardware, is_bulk(window)) {
        (None, _) => "the host's counters were not read".to_owned(),
        (Some(Err(why)), _) => why.clone(),
        (Some(Ok(_)), false) => NO_BULK.to_owned(),
        (Some(Ok(counted)), true) => match pages(window) {
            Ok(pages) => {
                for provenance in [Provenance::UncoreIio, Provenance::Dmar] {
                    of_counters(counted, provenance, pages, reduced);
                }
                return;
            }
            Err(why) => why,
        },
    };
    reduced.lack(&METRICS, &[], why);
}

fn of_counters(window: &HardwareWindow, provenance: Provenance, pages: f64, reduced: &mut Reduced) {
    let of = window.counts.iter().filter(|count| count.provenance == provenance);
    let counts: BTreeMap<&str, Result<f64, String>> =
        of.clone().map(|count| (count.figure.as_str(), count.value.clone())).collect();
    if counts.is_empty() {
        return;
    }
    let least = of.map(|count| count.counted_percent).fold(100.0, f64::min);
    reduced.add(&metric::HARDWARE_COUNTED, least, provenance, &[]);
    let get = |figure: &str| counts.get(figure).cloned();
    let either = |one: Option<Result<f64, String>>, other: Option<Result<f64, String>>| one.or(other);

    // The IOMMU's own PMU tells what hit.
    let missed = || match (get("all_lookups")?, get("hits")?) {
        (Ok(lookups), Ok(hits)) => Some(Ok(lookups - hits)),
        (Err(why), _) | (_, Err(why)) => Some(Err(why)),
    };
    let misses = either(get("misses"), missed());
    let invalidations = either(get("invalidations"), sum(&counts, &INVALIDATIONS));
    let low = either(get("memory_accesses_low"), get("memory_accesses"));
    let occupancy = match (get("occupancy"), get("occupancy_ninth_bit")) {
        (Some(Ok(low)), Some(Ok(high))) => Some(Ok(low + 256.0 * high)),
        (Some(_), Some(Err(why))) => Some(Err(why)),
        (low, _) => low,
    };
    let seconds = window.elapsed.as_secs_f64();
    let mut put = |metric: MetricDef, value: Option<Result<f64, String>>, per: f64| {
        if let Some(value) = value {
            reduced.put(&metric, value.map(|value| value / per), provenance, &[]);
        }
    };
    put(metric::IOTLB_MISSES_PER_PAGE, misses.clone(), pages);
    put(metric::IOTLB_FIRST_LOOKUPS_PER_PAGE, get("first_lookups"), pages);
    put(metric::IOTLB_ALL_LOOKUPS_PER_PAGE, get("all_lookups"), pages);
    put(metric::IOTLB_INVALIDATIONS_PER_PAGE, invalidations, pages);
    put(metric::IOMMU_MEMORY_ACCESSES_PER_PAGE, low.clone(), pages);
    put(metric::IOMMU_ALL_MEMORY_ACCESSES_PER_PAGE, get("memory_accesses"), pages);
    put(metric::PAGE_WALK_OCCUPANCY, occupancy.clone(), seconds);
    if let Some(Ok(misses)) = misses.filter(|misses| misses.as_ref().is_ok_and(|misses| *misses > 0.0)) {
        put(metric::MEMORY_READS_PER_MISS, low, misses);
        // The IOMMU's own PMU has another clock than the I/O unit.
        if provenance == Provenance::UncoreIio {
            put(metric::PAGE_WALK_TIME, occupancy, misses);
        }
    }
}

const INVALIDATIONS: [&str; 3] = ["global_invalidations", "domain_invalidations", "page_invalidations"];

/// The sum of figures that are there all together, or none is.
fn sum(counts: &BTreeMap<&str, Result<f64, String>>, figures: &[&str]) -> Option<Result<f64, String>> {
    let parts: Vec<&Result<f64, String>> =
        figures.iter().map(|figure| counts.get(figure)).collect::<Option<_>>()?;
    Some(parts.into_iter().cloned().sum())
}
