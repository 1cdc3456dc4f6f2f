//! What a guest's files and netlink dumps say before and after a workload, and what the host counted of the guest.

use std::time::Duration;

use measure::{GuestTrace, KvmWindow, Payload, Sides, Traffic, Window};
use plan::Collector;

use crate::sections::split;

const COLLECTORS: &[Collector] = &[
    Collector::Cpu,
    Collector::Net,
    Collector::Interrupts,
    Collector::Softirqs,
    Collector::Context,
    Collector::Softnet,
    Collector::Cpuidle,
    Collector::Memory,
    Collector::PagePool,
    Collector::Ethtool,
    Collector::KvmExits,
    Collector::Iotlb,
    Collector::Tracepoints,
    Collector::Probes,
];

/// One input: files of both sides in sections `client before PATH`, `server after PATH` and so on; `sides` and `traffic`
/// say what the window is, `kvm before` and `trace` hold lines of a name and a count.
pub fn run(input: &[u8]) {
    let mut window = Window {
        elapsed: Duration::from_secs(2),
        traffic: Traffic::Bulk(Payload { client_to_server: Some(1 << 30), server_to_client: Some(0) }),
        ..Window::empty(Sides::TwoGuests)
    };
    for (name, content) in split(input) {
        let mut words = name.splitn(3, ' ');
        let (first, second, third) = (words.next(), words.next(), words.next());
        match (first, second, third) {
            (Some("sides"), ..) => {
                window.sides = match content.first() {
                    Some(b'n') => Sides::TwoNamespaces,
                    Some(b'o') => Sides::OneNamespace,
                    _ => Sides::TwoGuests,
                }
            }
            (Some("traffic"), ..) => {
                window.traffic = match content.first() {
                    Some(b't') => Traffic::TcpMessages,
                    Some(b'u') => Traffic::UdpMessages,
                    Some(b'c') => Traffic::Unknown,
                    _ => window.traffic,
                }
            }
            (Some("kvm"), Some(moment), _) => {
                let empty = KvmWindow {
                    elapsed: Duration::from_secs(3),
                    before: Default::default(),
                    after: Default::default(),
                };
                let guests = window.kvm.get_or_insert_default();
                if let Ok(counts) = guests.entry("guest".into()).or_insert(Ok(empty)) {
                    let side = if moment == "before" { &mut counts.before } else { &mut counts.after };
                    side.extend(counted(content));
                }
            }
            (Some("trace"), iommu, _) => {
                let trace = GuestTrace { iommu: iommu != Some("none"), events: counted(content).collect() };
                window.trace.get_or_insert_default().insert("guest".into(), trace);
            }
            (Some(side @ ("client" | "server")), Some(moment @ ("before" | "after")), Some(path)) => {
                let side = if side == "client" { &mut window.client } else { &mut window.server };
                let files = if moment == "before" { &mut side.before } else { &mut side.after };
                let reading = match content.strip_prefix(b"!") {
                    Some(_) => Err("no such file".to_owned()),
                    None => Ok(content.to_vec()),
                };
                files.insert(path.to_owned(), reading);
            }
            _ => {}
        }
    }
    let bytes = input.len();
    let reduced = collect::reduce(COLLECTORS, &window);
    for sample in &reduced.samples {
        assert!(sample.value.is_finite(), "{}", sample.metric);
        assert!(measure::metric::find(&sample.metric).is_some(), "{} is no metric of ours", sample.metric);
    }
    assert!(reduced.samples.len() <= 200 + 4 * bytes, "{} samples of {bytes} bytes", reduced.samples.len());
}

fn counted(content: &[u8]) -> impl Iterator<Item = (String, u64)> {
    let text = String::from_utf8_lossy(content).into_owned();
    let lines: Vec<(String, u64)> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, count)| Some((name.to_owned(), count.trim().parse().ok()?)))
        .collect();
    lines.into_iter()
}
