//! What follows from several numbers of one run.
//!
//! ```text
//! pages in a second = throughput / 8 / 4096
//! x per page        = x in a second / pages in a second
//! mean walk time    = page walks in flight, summed over clocks / (misses per page * pages in a second)     Little's law
//! reads per miss    = memory accesses per page / misses per page
//! ```
//!
//! The first two are those of `vm-collect-tput-stats.py` (xlab-uiuc/Fast-and-Safe-IO-Memory-Protection), so that what is computed from
//! a run's own pcm-iio log is what that script prints. Occupancy is in a second in the block, too, where it stands among
//! numbers per page; dividing it by a rate in the same second leaves clocks of the I/O unit.

use std::collections::BTreeMap;

use measure::{Dims, MetricDef, Provenance, Sample, metric, metric::imported};

/// Bytes of a page, as everywhere in these metrics.
const PAGE_BYTES: f64 = 4096.0;

/// Columns of pcm-iio and what they are for each page. Event files differ in their words for one event.
static PER_PAGE: [(&[&str], &MetricDef); 5] = [
    (&["IOTLB Miss"], &metric::IOTLB_MISSES_PER_PAGE),
    (&["IOTLB First Lookup", "IOTLB Lookup"], &metric::IOTLB_FIRST_LOOKUPS_PER_PAGE),
    (&["IOTLB All Lookup", "IOTLB All Lookups"], &metric::IOTLB_ALL_LOOKUPS_PER_PAGE),
    (&["IOTLB Inv"], &metric::IOTLB_INVALIDATIONS_PER_PAGE),
    // The high part is a column of its own, which the script leaves out.
    (&["IOMMU Mem Access LO", "IOMMU Mem Access"], &metric::IOMMU_MEMORY_ACCESSES_PER_PAGE),
];

/// Adds what follows from the samples of one workload of one trial; says why not where that needs a word.
pub(crate) fn derive(samples: &mut Vec<Sample>, common: &Dims) -> Option<String> {
    let mut missing = None;
    let throughput = of(samples, &metric::THROUGHPUT).filter(|throughput| *throughput > 0.0)?;
    let pages = throughput / 8.0 / PAGE_BYTES;
    if of(samples, &metric::IOTLB_MISSES_PER_PAGE).is_none() {
        match device(samples) {
            Ok(Some(columns)) => {
                for (names, metric) in &PER_PAGE {
                    if let Some(value) = names.iter().find_map(|name| columns.get(*name)) {
                        put(samples, metric, value / pages, common);
                    }
                }
                if let Some(value) = columns.get("PWT Occupancy") {
                    put(samples, &metric::PAGE_WALK_OCCUPANCY, *value, common);
                }
            }
            Ok(None) => {}
            Err(why) => missing = Some(why),
        }
    }
    if let Some(misses) = of(samples, &metric::IOTLB_MISSES_PER_PAGE).filter(|misses| *misses > 0.0) {
        if let Some(occupancy) = of(samples, &metric::PAGE_WALK_OCCUPANCY) {
            put(samples, &metric::PAGE_WALK_TIME, occupancy / (misses * pages), common);
        }
        if let Some(reads) = of(samples, &metric::IOMMU_MEMORY_ACCESSES_PER_PAGE) {
            put(samples, &metric::MEMORY_READS_PER_MISS, reads / misses, common);
        }
    }
    missing
}

/// The one value of a metric.
fn of(samples: &[Sample], metric: &MetricDef) -> Option<f64> {
    let mut values = samples.iter().filter(|sample| sample.metric == metric.name);
    values.next().map(|sample| sample.value).filter(|_| values.next().is_none())
}

fn put(samples: &mut Vec<Sample>, metric: &MetricDef, value: f64, common: &Dims) {
    let mut dims = common.clone();
    dims.insert("tool".to_owned(), "derived".to_owned());
    samples.extend(Sample::new(metric, value, dims, Provenance::Imported));
}

/// The columns of the one part of an I/O stack whose IOMMU had misses: the device's that was measured.
fn device(samples: &[Sample]) -> Result<Option<BTreeMap<String, f64>>, String> {
    let mut parts: BTreeMap<(&str, &str), BTreeMap<String, f64>> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.metric == imported::PCM_IIO.name) {
        let dim = |name| sample.dims.get(name).map_or("", String::as_str);
        parts.entry((dim("stack"), dim("part"))).or_default().insert(dim("column").to_owned(), sample.value);
    }
    parts.retain(|_, columns| columns.get("IOTLB Miss").is_some_and(|misses| *misses > 0.0));
    let mut found = parts.into_iter();
    match (found.next(), found.len()) {
        (None, _) => Ok(None),
        (Some((_, columns)), 0) => Ok(Some(columns)),
        (Some(((stack, part), _)), others) => Err(format!(
            "numbers for each page: several parts of I/O stacks have IOTLB misses ({stack} {part} and {others} others), and which is the \
             NIC's is not known"
        )),
    }
}
