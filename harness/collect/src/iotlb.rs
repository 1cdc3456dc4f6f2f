//! What an emulated IOMMU's translation cache did for each page of payload, from QEMU's trace events.
//!
//! The cache is a hash table in QEMU: its hits and misses are not those of hardware, hence the provenance.

use measure::{GuestTrace, MetricDef, Provenance, Window, metric};

use crate::{Reduced, files::float, per::pages};

/// Each metric and the events that it sums up (QEMU, `hw/i386/trace-events`).
const METRICS: [(MetricDef, &[&str]); 5] = [
    (metric::IOTLB_HITS, &["vtd_iotlb_page_hit"]),
    (metric::IOTLB_FILLS, &["vtd_iotlb_page_update"]),
    (metric::IOTLB_PAGE_INVALIDATIONS, &["vtd_inv_desc_iotlb_pages"]),
    (metric::IOTLB_WIDE_INVALIDATIONS, &["vtd_inv_desc_iotlb_domain", "vtd_inv_desc_iotlb_global"]),
    (metric::QUEUED_WAITS, &["vtd_inv_desc_wait_sw", "vtd_inv_desc_wait_irq"]),
];

/// Every event that has to be counted.
pub const EVENTS: [&str; 7] = [
    "vtd_iotlb_page_hit",
    "vtd_iotlb_page_update",
    "vtd_inv_desc_iotlb_pages",
    "vtd_inv_desc_iotlb_domain",
    "vtd_inv_desc_iotlb_global",
    "vtd_inv_desc_wait_sw",
    "vtd_inv_desc_wait_irq",
];

pub(crate) fn reduce(window: &Window, reduced: &mut Reduced) {
    let all = METRICS.map(|(metric, _)| metric);
    let Some(trace) = &window.trace else {
        return reduced.lack(&all, &[], "nothing was traced in this boot");
    };
    let translating: Vec<(&String, &GuestTrace)> = trace.iter().filter(|(_, trace)| trace.iommu).collect();
    if translating.is_empty() {
        return reduced.lack(&all, &[], "no guest has an IOMMU");
    }
    let pages = match pages(window) {
        Ok(pages) => pages,
        Err(why) => return reduced.lack(&all, &[], why),
    };
    for (guest, trace) in translating {
        let dims = [("side", guest.as_str())];
        for (metric, events) in METRICS {
            let counts = events
                .iter()
                .map(|&event| trace.events.get(event).ok_or(event))
                .collect::<Result<Vec<_>, _>>();
            match counts {
                Ok(counts) => {
                    let count: f64 = counts.into_iter().copied().map(float).sum();
                    reduced.add(&metric, count / pages, Provenance::QemuTrace, &dims);
                }
                Err(event) => {
                    reduced.lack(&[metric], &dims, format!("this QEMU has no trace event `{event}`"));
                }
            }
        }
    }
}
