//! The Intel driver's own histogram of how long its invalidations took (`drivers/iommu/intel/{debugfs,perf}.c`). Its mean, least and
//! greatest are over all since it was switched on, and in whole microseconds: what a window has is the buckets.

use std::collections::BTreeMap;

use measure::{Provenance, SideFiles, metric};

use crate::{
    Preparation, Reduced,
    files::{both, float, grown, number},
};

pub(crate) const FILE: &str = "/sys/kernel/debug/iommu/intel/dmar_perf_latency";

/// Switches on IOTLB, device-TLB and interrupt-entry invalidations. Never off: a 6.12 that is told so clears more memory than its
/// figures have (`dmar_latency_disable`).
pub(crate) fn preparations() -> impl Iterator<Item = Preparation> {
    ["1", "2", "3"].into_iter().map(|kind| Preparation { path: FILE.to_owned(), line: kind.to_owned() })
}

/// Columns that are no buckets: `min(us)`, `max(us)`, `average(us)`.
const FIGURES: usize = 3;

pub(crate) fn reduce(side: &str, files: &SideFiles, reduced: &mut Reduced) {
    let read = || -> Result<_, String> {
        let (before, after) = both(files, FILE)?;
        let parse = |text| parse(text).map_err(|why| format!("{FILE}: {why}"));
        Ok((parse(before)?, parse(after)?))
    };
    let (before, after) = match read() {
        Ok(both) => both,
        Err(why) => return reduced.lack(&[metric::INVALIDATIONS_BY_TIME], &[("side", side)], why),
    };
    for ((unit, kind), buckets) in after {
        let key = (unit, kind);
        match grew(before.get(&key), &buckets) {
            Ok(grew) => put(side, (&key.0, &key.1), &grew, reduced),
            Err(why) => reduced.lack(&[metric::INVALIDATIONS_BY_TIME], &[("side", side)], why),
        }
    }
}

type Buckets = Vec<(String, u64)>;

fn grew(before: Option<&Buckets>, after: &Buckets) -> Result<Buckets, String> {
    let was = |name: &str| before?.iter().find(|(bucket, _)| bucket == name).map(|(_, count)| *count);
    let grew = after
        .iter()
        .map(|(name, count)| Ok((name.clone(), grown(name, was(name).unwrap_or_default(), *count)?)));
    grew.collect()
}

fn put(side: &str, (unit, kind): (&str, &str), buckets: &Buckets, reduced: &mut Reduced) {
    let all: u64 = buckets.iter().map(|(_, count)| count).sum();
    if all == 0 {
        return;
    }
    for (range, count) in buckets.iter().filter(|(_, count)| *count > 0) {
        let dims = [("side", side), ("unit", unit), ("kind", kind), ("range", range.as_str())];
        let share = 100.0 * float(*count) / float(all);
        reduced.add(&metric::INVALIDATIONS_BY_TIME, share, Provenance::Debugfs, &dims);
    }
}

/// By IOMMU and kind of invalidation. Of each IOMMU a line `IOMMU: dmar0 Register Base Address: ...`, a line of headings, and a line for
/// each kind that is on.
fn parse(text: &str) -> Result<BTreeMap<(String, String), Buckets>, String> {
    let mut found = BTreeMap::new();
    let mut unit = None;
    let mut headings: Vec<&str> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [] => {}
            ["IOMMU:", name, ..] => (unit, headings) = (Some(name), Vec::new()),
            [first, ..] if first.starts_with('<') => headings = words,
            [kind, ref counts @ ..] if !headings.is_empty() && counts.len() == headings.len() => {
                let unit = unit.ok_or("it names no IOMMU")?;
                let buckets = headings.len().saturating_sub(FIGURES);
                let counts = counts.iter().take(buckets).map(|count| number(count));
                let counts = counts.collect::<Result<Vec<u64>, _>>()?;
                let names = headings.iter().map(|name| (*name).to_owned());
                found.insert((unit.to_owned(), kind.to_owned()), names.zip(counts).collect());
            }
            _ => return Err(format!("`{}` is no line of it", line.trim())),
        }
    }
    Ok(found)
}
