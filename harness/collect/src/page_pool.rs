//! Page pools of network interfaces, from the netlink family `netdev` (`net/core/page_pool_user.c`; its description is
//! `Documentation/netlink/specs/netdev.yaml`; what the counters mean, `Documentation/networking/page_pool.rst`).

use std::collections::{BTreeMap, BTreeSet};

use measure::{Files, MetricDef, Provenance, SideFiles, Window, metric};

use crate::{
    Reduced,
    files::{both, both_bytes, by_namespace, float, grown, number},
    net::{DEV, interface_names, interfaces_in_use},
    netlink,
    per::{CLOCK, NO_BULK, Per, is_bulk},
};

/// `NETDEV_CMD_PAGE_POOL_GET`.
const POOLS: &str = "netlink:netdev/5";
/// `NETDEV_CMD_PAGE_POOL_STATS_GET`.
const STATISTICS: &str = "netlink:netdev/9";
/// Interfaces by number.
const NUMBERS: &str = "/sys/class/net/*/ifindex";

pub(crate) const SOURCES: [&str; 5] = [POOLS, STATISTICS, NUMBERS, DEV, CLOCK];

const FROM: Provenance = Provenance::Netlink;

const METRICS: [MetricDef; 4] = [
    metric::PAGE_POOL_ALLOCATIONS,
    metric::PAGE_POOL_RECYCLES,
    metric::PAGE_POOL_RECYCLED,
    metric::PAGE_POOL_INFLIGHT,
];

// enum netdev_a_page_pool and netdev_a_page_pool_stats of include/uapi/linux/netdev.h.
const ID: u16 = 1;
const INTERFACE: u16 = 2;
const INFLIGHT: u16 = 4;
const INFO: u16 = 1;
/// How buffers were allocated, from the first attribute on.
const ALLOCATIONS: (u16, [&str; 6]) = (8, ["fast", "slow", "slow-high-order", "empty", "refill", "waive"]);
/// Where buffers that came back went.
const RECYCLES: (u16, [&str; 5]) = (14, ["cached", "cache-full", "ring", "ring-full", "released-refcnt"]);

pub(crate) fn reduce(window: &Window, reduced: &mut Reduced) {
    if !is_bulk(window) {
        reduced.lack(&[metric::PAGE_POOL_SLOW_PER_PAGE], &[], NO_BULK);
    }
    for (side, files) in by_namespace(window) {
        let measured = interfaces(files);
        match measured {
            Ok(interfaces) => {
                let per = Per::of(window, files);
                for (name, pools) in interfaces {
                    add(window, side, &name, &pools, &per, reduced);
                }
            }
            Err(why) => {
                reduced.lack(&METRICS, &[("side", side)], &why);
                if is_bulk(window) {
                    reduced.lack(&[metric::PAGE_POOL_SLOW_PER_PAGE], &[("side", side)], why);
                }
            }
        }
    }
}

/// What the pools of one interface did, all together; nothing if it has none.
type Pools = Option<Result<Counts, String>>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    /// By attribute.
    grown: BTreeMap<u16, u64>,
    /// Of each, whether it was ever more than zero.
    ever: BTreeSet<u16>,
    inflight: u64,
}

impl Counts {
    fn of(&self, (first, names): (u16, &[&str]), wanted: &[&str]) -> f64 {
        let attributes = (first..).zip(names).filter(|(_, name)| wanted.contains(name));
        attributes.map(|(attribute, _)| float(self.grown.get(&attribute).copied().unwrap_or_default())).sum()
    }
}

fn add(window: &Window, side: &str, interface: &str, pools: &Pools, per: &Per, reduced: &mut Reduced) {
    let dims = [("side", side), ("interface", interface)];
    let none = "the interface has no page pool".to_owned();
    let counts = match pools.clone().unwrap_or(Err(none)) {
        Ok(counts) => counts,
        Err(why) => {
            reduced.lack(&METRICS, &dims, &why);
            if is_bulk(window) {
                reduced.lack(&[metric::PAGE_POOL_SLOW_PER_PAGE], &dims, why);
            }
            return;
        }
    };
    let allocations = (ALLOCATIONS.0, &ALLOCATIONS.1[..]);
    let recycles = (RECYCLES.0, &RECYCLES.1[..]);
    for (metric, (first, names)) in
        [(metric::PAGE_POOL_ALLOCATIONS, allocations), (metric::PAGE_POOL_RECYCLES, recycles)]
    {
        for (attribute, kind) in (first..).zip(names).filter(|(attribute, _)| counts.ever.contains(attribute))
        {
            let count = counts.grown.get(&attribute).copied().unwrap_or_default();
            let dims = [dims[0], dims[1], ("kind", *kind)];
            reduced.put(&metric, per.second(Ok(float(count))), FROM, &dims);
        }
    }
    let kept = counts.of(recycles, &["cached", "ring"]);
    let lost = counts.of(recycles, &["ring-full", "released-refcnt"]);
    let share = if kept + lost > 0.0 {
        Ok(100.0 * kept / (kept + lost))
    } else {
        Err("no buffer came back during the workload".to_owned())
    };
    reduced.put(&metric::PAGE_POOL_RECYCLED, share, FROM, &dims);
    reduced.put(&metric::PAGE_POOL_INFLIGHT, Ok(float(counts.inflight)), FROM, &dims);
    if is_bulk(window) {
        let slow = counts.of(allocations, &["slow", "slow-high-order"]);
        reduced.put(&metric::PAGE_POOL_SLOW_PER_PAGE, per.page(Ok(slow)), FROM, &dims);
    }
}

/// The pools of every interface that has any or is in use, but the loopback device.
fn interfaces(files: &SideFiles) -> Result<BTreeMap<String, Pools>, String> {
    let (pools_before, pools) = both_bytes(files, POOLS)?;
    let (before, after) = both_bytes(files, STATISTICS)?;
    let told = |source: &'static str| move |why: String| format!("{source}: {why}");
    // Their statistics have to be those of the same pools.
    let old = inflight(pools_before).map_err(told(POOLS))?;
    let inflight = inflight(pools).map_err(told(POOLS))?;
    let before = statistics(before).map_err(told(STATISTICS))?;
    let after = statistics(after).map_err(told(STATISTICS))?;
    let (_, dev) = both(files, DEV)?;
    let used = interfaces_in_use(dev)?;
    let numbers = numbers(&files.after)?;

    let mut interfaces: BTreeMap<String, Pools> = BTreeMap::new();
    for name in interface_names(dev)?.into_iter().filter(|name| name != "lo") {
        let number = numbers.get(&name).ok_or_else(|| format!("{name} has no number"))?;
        let of_it = |pools: &BTreeMap<u64, Pool>| -> Vec<u64> {
            pools.iter().filter(|(_, pool)| pool.interface == *number).map(|(id, _)| *id).collect()
        };
        let ids = of_it(&inflight);
        let gone = of_it(&old).iter().any(|id| !inflight.contains_key(id));
        let summed = || {
            if gone {
                return Err("pools went during the workload, and their counts with them".to_owned());
            }
            let mut counts = Counts::default();
            for id in &ids {
                let later = after.get(id).ok_or_else(|| format!("pool {id} came during the reading"))?;
                counts.add(before.get(id), later)?;
                counts.inflight += inflight.get(id).map_or(0, |pool| pool.inflight);
            }
            Ok(counts)
        };
        let none = ids.is_empty() && !gone;
        // Kernels make interfaces that nobody uses, and that nobody misses a pool of.
        if !none || used.contains(&name) {
            interfaces.insert(name, (!none).then(summed));
        }
    }
    if interfaces.is_empty() {
        return Err("no interface but the loopback device is in use".to_owned());
    }
    Ok(interfaces)
}

impl Counts {
    /// Adds a pool's counts. A pool that was made in the window began with zeros.
    fn add(&mut self, before: Option<&BTreeMap<u16, u64>>, after: &BTreeMap<u16, u64>) -> Result<(), String> {
        for (attribute, later) in after {
            let earlier = before.and_then(|before| before.get(attribute)).copied().unwrap_or_default();
            let growth = grown(&format!("statistic {attribute} of a page pool"), earlier, *later)?;
            *self.grown.entry(*attribute).or_default() += growth;
            if *later > 0 {
                self.ever.insert(*attribute);
            }
        }
        Ok(())
    }
}

/// Interfaces by name with their numbers.
fn numbers(files: &Files) -> Result<BTreeMap<String, u64>, String> {
    let (folder, file) = NUMBERS.split_once('*').unwrap_or_default();
    let mut numbers = BTreeMap::new();
    for (path, content) in files {
        let Some(name) = path.strip_prefix(folder).and_then(|path| path.strip_suffix(file)) else { continue };
        let Ok(bytes) = content else { continue };
        let text = std::str::from_utf8(bytes).ok().and_then(|text| text.strip_suffix('\n'));
        let text = text.ok_or_else(|| format!("{path} is cut off"))?;
        numbers.insert(name.to_owned(), number(text).map_err(|why| format!("{path}: {why}"))?);
    }
    Ok(numbers)
}

/// A pool that an interface has.
struct Pool {
    interface: u64,
    inflight: u64,
}

/// Every pool of a dump by its number; those of the loopback device have no interface's.
fn inflight(dump: &[u8]) -> Result<BTreeMap<u64, Pool>, String> {
    let mut pools = BTreeMap::new();
    for attributes in netlink::messages(dump)? {
        let of = |wanted| number_of(&attributes, wanted);
        if let Some(interface) = of(INTERFACE)? {
            let id = of(ID)?.ok_or("a page pool has no number")?;
            // A pool whose driver has let go of it, and which waits for its last pages, still is the interface's.
            pools.insert(id, Pool { interface, inflight: of(INFLIGHT)?.unwrap_or_default() });
        }
    }
    Ok(pools)
}

/// The statistics of every pool of a dump, by its number.
fn statistics(dump: &[u8]) -> Result<BTreeMap<u64, BTreeMap<u16, u64>>, String> {
    let mut pools = BTreeMap::new();
    for attributes in netlink::messages(dump)? {
        let info = attributes.iter().find(|(kind, _)| *kind == INFO);
        let (_, info) = info.ok_or("statistics without a page pool")?;
        let id = number_of(&netlink::attributes(info)?, ID)?
            .ok_or("statistics of a page pool without a number")?;
        let last = RECYCLES.0 + 5;
        let counters = attributes.iter().filter(|(kind, _)| (ALLOCATIONS.0..last).contains(kind));
        let counters: BTreeMap<u16, u64> = counters
            .map(|(kind, payload)| Ok((*kind, netlink::number(payload)?)))
            .collect::<Result<_, String>>()?;
        pools.insert(id, counters);
    }
    Ok(pools)
}

fn number_of(attributes: &[netlink::Attribute<'_>], wanted: u16) -> Result<Option<u64>, String> {
    let found = attributes.iter().find(|(kind, _)| *kind == wanted);
    found.map(|(_, payload)| netlink::number(payload)).transpose()
}
