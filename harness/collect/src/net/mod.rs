//! Segments, retransmissions, acknowledgements and drops, from `/proc/net`.

mod tables;

use measure::{MetricDef, Provenance, SideFiles, Sides, Traffic, Window, metric};

use crate::{
    Reduced,
    files::{both, by_kernel, by_namespace, float, grown},
    per::{NO_BULK, PAGE, UNCOUNTED},
    softnet,
};
use tables::{Counters, Interfaces};

pub(crate) const SNMP: &str = "/proc/net/snmp";
pub(crate) const NETSTAT: &str = "/proc/net/netstat";
pub(crate) const DEV: &str = "/proc/net/dev";

/// Segments that a socket had and could not keep: its backlog or receive queue was full, its window was closed
/// (`include/uapi/linux/snmp.h`).
const SOCKET_DROPS: [&str; 3] = ["TCPBacklogDrop", "TCPRcvQDrop", "TCPZeroWindowDrop"];

pub(crate) fn reduce(window: &Window, reduced: &mut Reduced) {
    for (side, files) in senders(window) {
        match side {
            Some(side) => segments(window, side, files, reduced),
            None => reduced.lack(&[metric::DROP_RATE, metric::ACKS_PER_PAGE], &[], ONE_NAMESPACE),
        }
    }
    for (side, files) in by_namespace(window) {
        if window.traffic == Traffic::UdpMessages {
            reduced.lack(&[metric::TCP_TIMEOUTS, metric::SOCKET_DROPS], &[("side", side)], UDP);
        } else {
            extensions(side, files, reduced);
        }
        interfaces(window.sides, side, files, reduced);
    }
    for (side, files) in by_kernel(window) {
        backlogs(side, files, reduced);
    }
}

const ONE_NAMESPACE: &str = "both sides are one network namespace, whose counters do not tell them apart";
const UDP: &str = "the workload does not use TCP";

/// The sides that send payload, or one entry without a name where the counters do not tell.
fn senders(window: &Window) -> Vec<(Option<&'static str>, &SideFiles)> {
    if window.sides == Sides::OneNamespace {
        return vec![(None, &window.client)];
    }
    let (client, server) = match window.traffic {
        Traffic::Bulk(payload) => (payload.client_to_server != Some(0), payload.server_to_client != Some(0)),
        Traffic::TcpMessages | Traffic::UdpMessages | Traffic::Unknown => (true, true),
    };
    let mut senders = Vec::new();
    if server {
        senders.push((Some("server"), &window.server));
    }
    if client {
        senders.push((Some("client"), &window.client));
    }
    senders
}

/// The difference of a file of named counters.
fn difference(files: &SideFiles, path: &str, table: &str) -> Result<Difference, String> {
    let (before, after) = both(files, path)?;
    let parsed = |text| Counters::parse(text, table).map_err(|why| format!("{path}: {why}"));
    Ok(Difference { before: parsed(before)?, after: parsed(after)? })
}

struct Difference {
    before: Counters,
    after: Counters,
}

impl Difference {
    fn of(&self, name: &str) -> Result<f64, String> {
        grown(name, self.before.get(name)?, self.after.get(name)?).map(float)
    }
}

fn segments(window: &Window, side: &str, files: &SideFiles, reduced: &mut Reduced) {
    let dims = [("side", side)];
    if window.traffic == Traffic::UdpMessages {
        return reduced.lack(&[metric::DROP_RATE, metric::ACKS_PER_PAGE], &dims, UDP);
    }
    let tcp = match difference(files, SNMP, "Tcp") {
        Ok(tcp) => tcp,
        Err(why) => return reduced.lack(&[metric::DROP_RATE, metric::ACKS_PER_PAGE], &dims, why),
    };
    // `OutSegs` leaves segments out that carry nothing new (`tcp_output.c`): these are retransmissions per new segment.
    let drop_rate = tcp.of("RetransSegs").and_then(|again| Ok(100.0 * again / tcp.of("OutSegs")?));
    add(metric::DROP_RATE, drop_rate, &dims, reduced);
    let pages = pages_sent(window.traffic, side);
    add(metric::ACKS_PER_PAGE, pages.and_then(|pages| Ok(tcp.of("InSegs")? / pages)), &dims, reduced);
}

/// Pages of payload that a side sent, if what it received were acknowledgements only.
fn pages_sent(traffic: Traffic, side: &str) -> Result<f64, String> {
    let Traffic::Bulk(payload) = traffic else {
        return Err(NO_BULK.to_owned());
    };
    let (sent, received) = match side {
        "client" => (payload.client_to_server, payload.server_to_client),
        _ => (payload.server_to_client, payload.client_to_server),
    };
    if received != Some(0) {
        return Err(
            "both sides send payload, so that what one receives are not only acknowledgements".to_owned()
        );
    }
    let sent = sent.ok_or_else(|| UNCOUNTED.to_owned())?;
    Ok(float(sent) / PAGE)
}

fn extensions(side: &str, files: &SideFiles, reduced: &mut Reduced) {
    let dims = [("side", side)];
    match difference(files, NETSTAT, "TcpExt") {
        Ok(tcp) => {
            add(metric::TCP_TIMEOUTS, tcp.of("TCPTimeouts"), &dims, reduced);
            let drops = SOCKET_DROPS.iter().map(|name| tcp.of(name)).sum();
            add(metric::SOCKET_DROPS, drops, &dims, reduced);
        }
        Err(why) => reduced.lack(&[metric::TCP_TIMEOUTS, metric::SOCKET_DROPS], &dims, why),
    }
}

fn interfaces(sides: Sides, side: &str, files: &SideFiles, reduced: &mut Reduced) {
    let parsed = |text| Interfaces::parse(text).map_err(|why| format!("{DEV}: {why}"));
    let readings = both(files, DEV).and_then(|(before, after)| {
        let (before, after) = (parsed(before)?, parsed(after)?);
        match before.names().eq(after.names()) {
            true => Ok((before, after)),
            false => Err(format!("{DEV}: interfaces came or went during the workload")),
        }
    });
    let (before, after) = match readings {
        Ok(readings) => readings,
        Err(why) => return reduced.lack(&[metric::NIC_DROPS], &[("side", side)], why),
    };
    for name in after.used() {
        // The loopback device is of interest only where the workload goes through it.
        if name == "lo" && sides != Sides::OneNamespace {
            continue;
        }
        add(
            metric::NIC_DROPS,
            before.drops_until(&after, name).map(float),
            &[("side", side), ("interface", name)],
            reduced,
        );
    }
}

/// The interfaces that a reading of [`DEV`] names.
pub(crate) fn interface_names(text: &str) -> Result<Vec<String>, String> {
    let interfaces = Interfaces::parse(text).map_err(|why| format!("{DEV}: {why}"))?;
    Ok(interfaces.names().map(str::to_owned).collect())
}

/// Those of them that have ever had a packet, without the loopback device.
pub(crate) fn interfaces_in_use(text: &str) -> Result<Vec<String>, String> {
    let interfaces = Interfaces::parse(text).map_err(|why| format!("{DEV}: {why}"))?;
    Ok(interfaces.used().filter(|name| *name != "lo").map(str::to_owned).collect())
}

fn backlogs(side: &str, files: &SideFiles, reduced: &mut Reduced) {
    let dims = [("side", side)];
    match softnet::grown_by(files) {
        Ok(cores) => {
            let sum = |pick: fn(&softnet::Core) -> u64| Ok(float(cores.values().map(pick).sum()));
            add(metric::SOFTNET_DROPS, sum(|core| core.drops), &dims, reduced);
            add(metric::SOFTNET_SQUEEZES, sum(|core| core.squeezes), &dims, reduced);
        }
        Err(why) => reduced.lack(&[metric::SOFTNET_DROPS, metric::SOFTNET_SQUEEZES], &dims, why),
    }
}

fn add(metric: MetricDef, value: Result<f64, String>, dims: &[(&str, &str)], reduced: &mut Reduced) {
    reduced.put(&metric, value, Provenance::Procfs, dims);
}
