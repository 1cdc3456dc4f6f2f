//! Counters of NIC drivers, as `ethtool -S` shows them. Each driver has its own, so they explain and are never gated.

use std::collections::BTreeMap;

use measure::{Files, Provenance, Window, metric};

use crate::{
    Reduced,
    files::{both, by_namespace, float, number},
    net::{DEV, interfaces_in_use},
    per::{CLOCK, seconds},
};

const PREFIX: &str = "ethtool-stats:";

/// The agent names each interface.
pub(crate) const SOURCES: [&str; 3] = ["ethtool-stats:*", DEV, CLOCK];

pub(crate) fn reduce(window: &Window, reduced: &mut Reduced) {
    for (side, files) in by_namespace(window) {
        let sources = |files: &Files| -> Vec<String> {
            files.keys().filter(|path| path.starts_with(PREFIX)).cloned().collect()
        };
        let mut sources = [sources(&files.before), sources(&files.after)].concat();
        sources.sort_unstable();
        sources.dedup();
        if sources.is_empty() {
            reduced.lack(&[metric::NIC_COUNTER], &[("side", side)], "no driver's statistics were read");
        }
        let used = both(files, DEV).and_then(|(_, after)| interfaces_in_use(after));
        let nobody_uses =
            |interface: &str| used.as_ref().is_ok_and(|used| !used.iter().any(|name| name == interface));
        for source in sources {
            let interface = source.strip_prefix(PREFIX).unwrap_or(&source);
            let moved = both(files, &source).and_then(|(before, after)| {
                let (before, after) = (parse(before)?, parse(after)?);
                Ok((moved(&before, &after)?, seconds(files)?))
            });
            match moved {
                Ok((counters, seconds)) => {
                    for (counter, count) in counters {
                        let dims = [("side", side), ("interface", interface), ("counter", &*counter)];
                        reduced.add(&metric::NIC_COUNTER, count / seconds, Provenance::Ethtool, &dims);
                    }
                }
                // Kernels make interfaces that nobody uses, and whose statistics nobody misses.
                Err(_) if interface != "*" && nobody_uses(interface) => {}
                Err(why) => {
                    let dims = [("side", side), ("interface", interface)];
                    let dims = if interface == "*" { &dims[..1] } else { &dims[..] };
                    reduced.lack(&[metric::NIC_COUNTER], dims, why);
                }
            }
        }
    }
}

/// By how much each counter has grown. Those that never counted anything are left out, and those that went down: they are
/// levels.
fn moved(before: &Counters, after: &Counters) -> Result<BTreeMap<String, f64>, String> {
    if !before.keys().eq(after.keys()) {
        return Err("the driver's counters are others after the workload".to_owned());
    }
    let both = before.iter().zip(after.values()).filter(|(_, after)| **after > 0);
    let grown =
        both.filter_map(|((name, before), after)| Some((name.clone(), float(after.checked_sub(*before)?))));
    Ok(grown.collect())
}

/// Counters by their names.
type Counters = BTreeMap<String, u64>;

/// Lines `NAME: VALUE`. Names that a driver gives twice are told apart by what number of its name each is.
fn parse(text: &str) -> Result<Counters, String> {
    let mut counters = Counters::new();
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for line in text.lines() {
        let (name, value) = line.rsplit_once(": ").ok_or_else(|| format!("`{line}` is no counter"))?;
        let times = seen.entry(name).or_default();
        *times += 1;
        let name = if *times == 1 { name.to_owned() } else { format!("{name} ({times})") };
        counters.insert(name, number(value)?);
    }
    Ok(counters)
}
