//! What a guest's files and netlink dumps say before and after a workload, and what the host counted of the guest.

use std::time::Duration;

use measure::{ClockReading, GuestTrace, KvmWindow, LevelsWindow, Payload, Sides, Traffic, Window};
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
    Collector::Timeline,
];

/// One input: files of both sides in sections `client before PATH`, `server after PATH` and so on; `sides` and `traffic`
/// say what the window is, `kvm before` and `trace` hold lines of a name and a count; `clocks` has a line of a guest and four numbers for
/// each, what it showed and when, before and after, and `invalidations` lines of a moment and a count.
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
            (Some("clocks"), ..) => {
                let levels = window.levels.get_or_insert_default();
                levels.clocks.extend(clocks(content));
            }
            (Some("invalidations"), ..) => {
                let levels: &mut LevelsWindow = window.levels.get_or_insert_default();
                let looks =
                    counted(content).filter_map(|(moment, count)| Some((moment.parse().ok()?, count)));
                levels.invalidations.insert("guest".into(), looks.collect());
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
    for row in reduced.timeline.iter().flat_map(|timeline| &timeline.rows) {
        assert!(row.values.len() <= 6000 && row.values.iter().all(|value| value.is_finite()), "{row:?}");
    }
    assert!(reduced.samples.len() <= 200 + 4 * bytes, "{} samples of {bytes} bytes", reduced.samples.len());
}

/// `GUEST READ AT READ AT`.
fn clocks(content: &[u8]) -> Vec<(String, Result<[ClockReading; 2], String>)> {
    let text = String::from_utf8_lossy(content);
    let clock = |line: &str| {
        let mut words = line.split(' ');
        let guest = words.next()?.to_owned();
        let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
        let both = match numbers[..] {
            [before, then, after, now] => Ok([(before, then), (after, now)]
                .map(|(guest_ns, host_ns)| ClockReading { guest_ns, host_ns, error_ns: 1 })),
            _ => Err("it has gone".to_owned()),
        };
        Some((guest, both))
    };
    text.lines().filter_map(clock).collect()
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
