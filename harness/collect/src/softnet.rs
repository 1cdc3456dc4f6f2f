//! Packets through the cores' backlogs, from `/proc/net/softnet_stat` (`net/core/net-procfs.c`, `softnet_seq_show`).

use std::collections::BTreeMap;

use measure::{MetricDef, Provenance, SideFiles, Window, metric};

use crate::{
    Reduced,
    files::{both, by_kernel, float, grown_32},
    per::{NO_BULK, Per, is_bulk},
};

pub(crate) const STAT: &str = "/proc/net/softnet_stat";

const METRICS: [MetricDef; 2] = [metric::SOFTNET_PACKETS, metric::SOFTNET_STEERED];

pub(crate) fn reduce(window: &Window, reduced: &mut Reduced) {
    if !is_bulk(window) {
        reduced.lack(&[metric::SOFTNET_PACKETS_PER_PAGE], &[], NO_BULK);
    }
    for (side, files) in by_kernel(window) {
        let per = Per::of(window, files);
        let cores = match grown_by(files) {
            Ok(cores) => cores,
            Err(why) => {
                reduced.lack(&METRICS, &[("side", side)], &why);
                if is_bulk(window) {
                    reduced.lack(&[metric::SOFTNET_PACKETS_PER_PAGE], &[("side", side)], why);
                }
                continue;
            }
        };
        let mut all = Core::default();
        let mut add = |name: &str, core: &Core| {
            for (metric, count) in METRICS.iter().zip([core.packets, core.steered]) {
                let dims = [("side", side), ("core", name)];
                reduced.put(metric, per.second(Ok(float(count))), Provenance::Procfs, &dims);
            }
        };
        for (number, core) in &cores {
            add(&number.to_string(), core);
            all = Core { packets: all.packets + core.packets, steered: all.steered + core.steered, ..all };
        }
        add("all", &all);
        if is_bulk(window) {
            let value = per.page(Ok(float(all.packets)));
            reduced.put(&metric::SOFTNET_PACKETS_PER_PAGE, value, Provenance::Procfs, &[("side", side)]);
        }
    }
}

/// Counts of one core, each of 32 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Core {
    /// Taken from a driver's poll or from the backlog.
    pub(crate) packets: u64,
    /// Not taken because the backlog was full.
    pub(crate) drops: u64,
    /// Polls that ended with work left.
    pub(crate) squeezes: u64,
    /// Wake-ups by another core that steered packets here.
    pub(crate) steered: u64,
}

/// What each core counted between the two readings.
pub(crate) fn grown_by(files: &SideFiles) -> Result<BTreeMap<u64, Core>, String> {
    let parsed = |text| parse(text).map_err(|why| format!("{STAT}: {why}"));
    let (before, after) = both(files, STAT)?;
    let (before, after) = (parsed(before)?, parsed(after)?);
    if !before.keys().eq(after.keys()) {
        return Err("cores came or went during the workload".to_owned());
    }
    let grown = before.into_iter().zip(after.into_values()).map(|((core, before), after)| {
        let growth = |name: &str, pick: fn(&Core) -> u64| {
            grown_32(&format!("the {name} of core {core}"), pick(&before), pick(&after))
        };
        let counted = Core {
            packets: growth("packets", |core| core.packets)?,
            drops: growth("drops", |core| core.drops)?,
            squeezes: growth("squeezes", |core| core.squeezes)?,
            steered: growth("steered packets", |core| core.steered)?,
        };
        Ok((core, counted))
    });
    grown.collect()
}

/// Position of `received_rps` in a line.
const STEERED_COLUMN: usize = 9;

/// Position of the core's number in a line, since 5.10.
const CORE_COLUMN: usize = 12;

/// A line of hexadecimal columns for each core that is online; the first are packets processed, packets dropped and polls
/// squeezed.
fn parse(text: &str) -> Result<BTreeMap<u64, Core>, String> {
    let mut cores = BTreeMap::new();
    for (row, line) in (0_u64..).zip(text.lines()) {
        let columns = line
            .split_ascii_whitespace()
            .map(|word| {
                u64::from_str_radix(word, 16).map_err(|_| format!("`{word}` is no hexadecimal number"))
            })
            .collect::<Result<Vec<u64>, String>>()?;
        let [packets, drops, squeezes, ..] = columns[..] else {
            return Err(format!("line {} has {} columns, of at least 3", row + 1, columns.len()));
        };
        let steered = columns.get(STEERED_COLUMN).copied().unwrap_or_default();
        let core = columns.get(CORE_COLUMN).copied().unwrap_or(row);
        if cores.insert(core, Core { packets, drops, squeezes, steered }).is_some() {
            return Err(format!("core {core} is there twice"));
        }
    }
    if cores.is_empty() { Err("it names no core".to_owned()) } else { Ok(cores) }
}
