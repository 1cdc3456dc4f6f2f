//! What each guest's kernel counts at its tracepoints: mappings, queued invalidations, flushes of caches, pages of page pools, exits
//! of guests that it runs. Every level of a nested machine tells for itself.
//!
//! The kernel counts in histograms ([`crate::hist`]), by a key of the event; the difference of two readings is the window's.

use std::collections::BTreeMap;

use measure::{MetricDef, Provenance, SideFiles, Window, metric};

use crate::{
    Preparation, Reduced, exit_reasons,
    files::{by_kernel, float},
    hist::{self, Histogram, Keyed, counted, field},
    per::{NO_BULK, is_bulk, pages},
};

const MAP: &str = "iommu/map";
const UNMAP: &str = "iommu/unmap";
const SUBMIT: &str = "intel_iommu/qi_submit";
const FLUSHES: [(&str, &str); 3] = [
    ("range", "intel_iommu/cache_tag_flush_range"),
    ("range-np", "intel_iommu/cache_tag_flush_range_np"),
    ("all", "intel_iommu/cache_tag_flush_all"),
];
const POOLS: [(&str, &str); 2] =
    [("hold", "page_pool/page_pool_state_hold"), ("release", "page_pool/page_pool_state_release")];
const EXIT: &str = "kvm/kvm_exit";

/// Each event, and the key of its histogram (`include/trace/events/{iommu,page_pool}.h`, `drivers/iommu/intel/trace.h`,
/// `arch/x86/kvm/trace.h`). A descriptor's first word has what it is and whom it is for, and seldom an address.
const EVENTS: [(&str, &str); 9] = [
    (MAP, "size"),
    (UNMAP, "unmapped_size"),
    (SUBMIT, "qw0"),
    (FLUSHES[0].1, "type"),
    (FLUSHES[1].1, "type"),
    (FLUSHES[2].1, "type"),
    (POOLS[0].1, "common_cpu"),
    (POOLS[1].1, "common_cpu"),
    (EXIT, "exit_reason,isa"),
];

/// Of all of them. Descriptors of interrupts have their numbers in the key.
const SIZE: u32 = 8192;

pub(crate) fn sources() -> impl Iterator<Item = String> {
    EVENTS.iter().map(|(event, _)| hist::file(event))
}

pub(crate) fn preparations() -> impl Iterator<Item = Preparation> {
    EVENTS.iter().map(|(event, keys)| Preparation {
        path: hist::trigger(event),
        line: format!("hist:keys={keys}:size={SIZE}"),
    })
}

const METRICS: [MetricDef; 8] = [
    metric::IOMMU_MAPS,
    metric::IOMMU_UNMAPS,
    metric::IOMMU_MAPPED,
    metric::QUEUED_INVALIDATIONS,
    metric::INVALIDATIONS_APART,
    metric::CACHE_TAG_FLUSHES,
    metric::PAGE_POOL_PAGES,
    metric::GUEST_EXITS,
];

pub(crate) fn reduce(window: &Window, reduced: &mut Reduced) {
    if !is_bulk(window) {
        return reduced.lack(&METRICS, &[], NO_BULK);
    }
    let pages = match pages(window) {
        Ok(pages) => pages,
        Err(why) => return reduced.lack(&METRICS, &[], why),
    };
    for (side, files) in by_kernel(window) {
        let mut of = Side { side, files, pages, reduced };
        of.mappings();
        of.invalidations(window);
        of.kinds(metric::CACHE_TAG_FLUSHES, &FLUSHES);
        of.kinds(metric::PAGE_POOL_PAGES, &POOLS);
        of.exits();
    }
}

struct Side<'a> {
    side: &'a str,
    files: &'a SideFiles,
    pages: f64,
    reduced: &'a mut Reduced,
}

impl Side<'_> {
    fn put(&mut self, metric: MetricDef, count: u64, dim: Option<(&str, &str)>) {
        let dims: Vec<(&str, &str)> = [("side", self.side)].into_iter().chain(dim).collect();
        self.reduced.add(&metric, float(count) / self.pages, Provenance::Tracefs, &dims);
    }

    fn lack(&mut self, metrics: &[MetricDef], why: impl std::fmt::Display) {
        self.reduced.lack(metrics, &[("side", self.side)], why);
    }

    fn mappings(&mut self) {
        let counted = (counted(self.files, MAP, Keyed::ByField), counted(self.files, UNMAP, Keyed::ByField));
        match &counted.0 {
            Ok(maps) if maps.is_empty() => {}
            Ok(maps) => {
                self.put(metric::IOMMU_MAPS, hits(maps), None);
                match mapped(maps) {
                    Ok(bytes) => self.put(metric::IOMMU_MAPPED, bytes / 4096, None),
                    Err(why) => self.lack(&[metric::IOMMU_MAPPED], why),
                }
            }
            Err(why) => self.lack(&[metric::IOMMU_MAPS, metric::IOMMU_MAPPED], why),
        }
        match counted {
            // A kernel that never mapped anything has no domain of its own.
            (Ok(maps), _) if maps.is_empty() => {
                let metrics = [metric::IOMMU_MAPS, metric::IOMMU_UNMAPS, metric::IOMMU_MAPPED];
                self.lack(&metrics, "its kernel maps nothing in any IOMMU");
            }
            (_, Ok(unmaps)) => self.put(metric::IOMMU_UNMAPS, hits(&unmaps), None),
            (_, Err(why)) => self.lack(&[metric::IOMMU_UNMAPS], why),
        }
    }

    fn invalidations(&mut self, window: &Window) {
        let both = [metric::QUEUED_INVALIDATIONS, metric::INVALIDATIONS_APART];
        let kinds =
            match counted(self.files, SUBMIT, Keyed::ByField).and_then(|submitted| by_kind(&submitted)) {
                Ok(kinds) => kinds,
                Err(why) => return self.lack(&both, why),
            };
        if kinds.is_empty() {
            return self.lack(&both, "its kernel never submitted an invalidation");
        }
        for (kind, count) in &kinds {
            self.put(metric::QUEUED_INVALIDATIONS, *count, Some(("kind", kind)));
        }
        let ours: u64 =
            kinds.iter().filter(|(kind, _)| kind.starts_with("iotlb")).map(|(_, count)| count).sum();
        match asked(window, self.side) {
            Ok(0) if ours == 0 => {}
            Ok(theirs) => {
                let apart = 100.0 * float(ours.abs_diff(theirs)) / float(theirs);
                let dims = [("side", self.side)];
                self.reduced.add(&metric::INVALIDATIONS_APART, apart, Provenance::Tracefs, &dims);
            }
            Err(why) => self.lack(&both[1..], why),
        }
    }

    fn kinds(&mut self, metric: MetricDef, events: &[(&str, &str)]) {
        for (kind, event) in events {
            match counted(self.files, event, Keyed::ByField) {
                Ok(counted) if counted.is_empty() => {}
                Ok(counted) => self.put(metric, hits(&counted), Some(("kind", kind))),
                Err(why) => self.reduced.lack(&[metric], &[("side", self.side), ("kind", kind)], why),
            }
        }
    }

    fn exits(&mut self) {
        match counted(self.files, EXIT, Keyed::ByField).and_then(|exits| by_reason(&exits)) {
            Ok(reasons) => {
                for (reason, count) in &reasons {
                    self.put(metric::GUEST_EXITS, *count, Some(("reason", reason)));
                }
            }
            Err(why) => self.lack(&[metric::GUEST_EXITS], why),
        }
    }
}

fn hits(histogram: &Histogram) -> u64 {
    histogram.values().map(|row| row.hits).sum()
}

/// Bytes, from a histogram by size.
fn mapped(maps: &Histogram) -> Result<u64, String> {
    let sizes = maps.iter().map(|(key, row)| Ok(number_in(key, "size")?.saturating_mul(row.hits)));
    sizes.sum()
}

fn number_in(key: &str, name: &str) -> Result<u64, String> {
    let value = field(key, name).ok_or_else(|| format!("`{key}` has no {name}"))?;
    crate::files::number(value)
}

/// Invalidations by what they are, from the first words of their descriptors (VT-d specification, 6.5.2; `QI_*_TYPE` of
/// `drivers/iommu/intel/iommu.h`).
fn by_kind(submitted: &Histogram) -> Result<BTreeMap<&'static str, u64>, String> {
    let mut kinds = BTreeMap::new();
    for (key, row) in submitted {
        *kinds.entry(kind(number_in(key, "qw0")?)).or_default() += row.hits;
    }
    Ok(kinds)
}

fn kind(descriptor: u64) -> &'static str {
    let granularity = descriptor >> 4 & 3;
    match (descriptor & 15, granularity) {
        (1, _) => "context",
        (2, 1) => "iotlb-global",
        (2, 2) => "iotlb-domain",
        (2, 3) => "iotlb-pages",
        (3 | 8, _) => "device-iotlb",
        (4, _) => "interrupt-entries",
        (5, _) => "wait",
        (6, 2) => "iotlb-pasid",
        (6, 3) => "iotlb-pasid-pages",
        (7, _) => "pasid",
        (9 | 10, _) => "page-response",
        _ => "other",
    }
}

/// IOTLB invalidations that QEMU was asked for by this guest.
fn asked(window: &Window, side: &str) -> Result<u64, String> {
    const NAMES: [&str; 5] = ["global", "domain", "pages", "pasid", "pasid_pages"];
    let trace = window.trace.as_ref().ok_or("QEMU was not traced: `iotlb` is not in `collect`")?;
    let guest = trace.get(side).ok_or("its QEMU is not on this machine")?;
    // What a QEMU does not know, it does not do either.
    let events = NAMES.map(|name| guest.events.get(&format!("vtd_inv_desc_iotlb_{name}")));
    if events.iter().all(Option::is_none) {
        return Err("its QEMU has no trace events of invalidations".to_owned());
    }
    Ok(events.into_iter().flatten().sum())
}

fn by_reason(exits: &Histogram) -> Result<BTreeMap<String, u64>, String> {
    let mut reasons = BTreeMap::new();
    for (key, row) in exits {
        let reason = exit_reasons::name(number_in(key, "isa")?, number_in(key, "exit_reason")?);
        *reasons.entry(reason).or_default() += row.hits;
    }
    Ok(reasons)
}
