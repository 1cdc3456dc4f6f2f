//! Soft interrupts by kind, from `/proc/softirqs` (`fs/proc/softirqs.c`).

use std::collections::BTreeMap;

use measure::{Provenance, SideFiles, Window, metric};

use crate::{
    Reduced,
    files::{both, by_kernel, float, grown_32},
    per::{NO_BULK, Per, is_bulk},
    table::Tables,
};

pub(crate) const SOFTIRQS: &str = "/proc/softirqs";

pub(crate) fn reduce(window: &Window, reduced: &mut Reduced) {
    if !is_bulk(window) {
        reduced.lack(&[metric::NET_RX_PER_PAGE], &[], NO_BULK);
    }
    for (side, files) in by_kernel(window) {
        let per = Per::of(window, files);
        let kinds = counted(files);
        if is_bulk(window) {
            let received = kinds.clone().and_then(|kinds| {
                kinds.get("NET_RX").copied().ok_or_else(|| format!("{SOFTIRQS} counts no NET_RX"))
            });
            reduced.put(&metric::NET_RX_PER_PAGE, per.page(received), Provenance::Procfs, &[("side", side)]);
        }
        match kinds {
            Ok(kinds) => {
                for (kind, count) in kinds {
                    let dims = [("side", side), ("kind", kind)];
                    reduced.put(&metric::SOFTIRQS, per.second(Ok(count)), Provenance::Procfs, &dims);
                }
            }
            Err(why) => reduced.lack(&[metric::SOFTIRQS], &[("side", side)], why),
        }
    }
}

/// What each kind counted over all cores between the two readings; kinds that never occurred are left out.
fn counted(files: &SideFiles) -> Result<BTreeMap<&str, f64>, String> {
    let (before, after) = both(files, SOFTIRQS)?;
    let tables = Tables::parse(before, after).map_err(|why| format!("{SOFTIRQS}: {why}"))?;
    let (cores, mut kinds) = (tables.before.cores.len(), BTreeMap::new());
    for (before, after) in tables.rows() {
        if before.counts.len() != cores || after.counts.len() != cores {
            return Err(format!("{SOFTIRQS}: {} has fewer columns than there are cores", before.label));
        }
        let both = before.counts.iter().zip(&after.counts);
        let grown: u64 = both.map(|(&old, &new)| grown_32(before.label, old, new)).sum::<Result<_, _>>()?;
        if after.counts.iter().any(|count| *count > 0) {
            kinds.insert(before.label, float(grown));
        }
    }
    Ok(kinds)
}
