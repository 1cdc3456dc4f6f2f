//! Counters before and after a stream.

use std::{collections::BTreeMap, fs};

use flow::Counters;

use super::{ioctl::Driver, netdev::Netdev};

/// The interface's counters, and those of its network namespace. What cannot be read is told.
pub(crate) fn read(interface: Option<&(String, u32)>) -> Counters {
    let mut counters = Counters::default();
    let mut unavailable = BTreeMap::new();
    let mut why = |field: &str, reason: String| unavailable.insert(field.to_owned(), reason);
    match interface {
        Some((name, index)) => {
            let netdev = Netdev::open(*index);
            let pools = netdev.as_ref().map_err(ToString::to_string);
            match pools.and_then(|netdev| netdev.page_pools().map_err(|refusal| refusal.to_string())) {
                Ok(pools) => counters.page_pools = Some(pools),
                Err(reason) => drop(why("page_pools", reason)),
            }
            let queues = netdev.as_ref().map_err(ToString::to_string);
            match queues.and_then(|netdev| netdev.queue_counters().map_err(|refusal| refusal.to_string())) {
                Ok(queues) => counters.queues = Some(queues),
                Err(reason) => drop(why("queues", reason)),
            }
            match Driver::open(name).and_then(|driver| driver.counters()) {
                Ok(driver) => counters.driver = Some(driver),
                Err(errno) => drop(why("driver", errno.desc().to_owned())),
            }
        }
        None => {
            for field in ["page_pools", "queues", "driver"] {
                why(field, "no interface was named".to_owned());
            }
        }
    }
    match protocols() {
        Ok(protocols) => counters.protocols = Some(protocols),
        Err(reason) => drop(why("protocols", reason)),
    }
    counters.unavailable = unavailable;
    counters
}

fn protocols() -> Result<BTreeMap<String, i64>, String> {
    let mut all = BTreeMap::new();
    for path in ["/proc/net/snmp", "/proc/net/netstat"] {
        let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        all.extend(parse(&text));
    }
    Ok(all)
}

/// Pairs of lines, each `Protocol: ...`: first the names, then the values.
fn parse(text: &str) -> impl Iterator<Item = (String, i64)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut named = Vec::new();
    for pair in lines.chunks_exact(2) {
        let (Some((protocol, names)), Some((_, values))) = (pair[0].split_once(':'), pair[1].split_once(':'))
        else {
            continue;
        };
        if matches!(protocol, "Ip" | "Tcp" | "TcpExt") {
            let values = values.split_ascii_whitespace().map(str::parse::<i64>);
            named.extend(names.split_ascii_whitespace().zip(values).filter_map(|(name, value)| {
                // A counter of 64 bits that has its uppermost one would wrap; none of these lives so long.
                Some((format!("{protocol}{name}"), value.ok()?))
            }));
        }
    }
    named.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_named_as_nstat_names_them() {
        let text = "Ip: Forwarding InReceives\nIp: 2 17\nIcmp: InMsgs\nIcmp: 3\n\
                    Tcp: MaxConn RetransSegs\nTcp: -1 5\n";
        let expected = [("IpForwarding", 2), ("IpInReceives", 17), ("TcpMaxConn", -1), ("TcpRetransSegs", 5)];
        let named: Vec<(String, i64)> = parse(text).collect();
        assert_eq!(named, expected.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let counters = read(Some(&("nosuch0".to_owned(), 0)));
        assert_eq!(counters.driver, None);
        assert!(counters.unavailable["driver"].contains("No such device"), "{:?}", counters.unavailable);
        assert!(counters.protocols.unwrap().contains_key("TcpRetransSegs"));
        assert_eq!(read(None).unavailable["queues"], "no interface was named");
    }
}
