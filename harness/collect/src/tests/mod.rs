mod counters;
mod cpu;
mod instructions;
mod iotlb;
mod kvm;
mod net;
mod pools;
mod tracing;
mod uncore;

use std::{path::Path, time::Duration};

use measure::{
    ClockReading, Files, GuestTrace, LevelsWindow, Payload, SideFiles, Sides, TraceCounts, Traffic,
};
use proptest::prelude::*;

use super::*;

const TIMED: [Collector; 2] = [Collector::Cpu, Collector::Net];

/// The files of a captured window.
fn captured(folder: &str, side: &str) -> SideFiles {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/proc").join(folder);
    let read = |moment| {
        let file = |path: String| {
            let name = format!("{side}-{moment}.{}", path.trim_start_matches('/').replace('/', "-"));
            let bytes = std::fs::read(folder.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            (path, Ok(bytes))
        };
        patterns(&TIMED).into_iter().map(file).collect::<Files>()
    };
    SideFiles { before: read("before"), after: read("after") }
}

/// iperf3 from client to server for 3 s after 1 s of warm-up, between guests with one core each.
fn two_guests() -> Window {
    Window {
        server: captured("two-guests-1-core", "server"),
        client: captured("two-guests-1-core", "client"),
        elapsed: Duration::from_secs(5),
        traffic: Traffic::Bulk(Payload { client_to_server: Some(103_153_664), server_to_client: Some(0) }),
        ..Window::empty(Sides::TwoGuests)
    }
}

/// iperf3 in both directions for 2 s after 1 s of warm-up, between namespaces of one guest with two cores.
fn two_namespaces() -> Window {
    let payload = Payload { client_to_server: Some(18_481_152), server_to_client: Some(17_039_360) };
    Window {
        server: captured("two-namespaces-2-cores", "server"),
        client: captured("two-namespaces-2-cores", "client"),
        elapsed: Duration::from_secs(5),
        traffic: Traffic::Bulk(payload),
        ..Window::empty(Sides::TwoNamespaces)
    }
}

/// A window of one namespace in which these files changed so.
fn changed(files: &[(&str, &str, &str)]) -> Window {
    let read = |pick: fn(&(&str, &str, &str)) -> String| {
        files.iter().map(|file| (file.0.to_owned(), Ok(pick(file).into_bytes()))).collect()
    };
    let client = SideFiles { before: read(|file| file.1.to_owned()), after: read(|file| file.2.to_owned()) };
    let traffic = Traffic::Bulk(Payload { client_to_server: Some(4096), server_to_client: Some(0) });
    let elapsed = Duration::from_secs(1);
    Window { client, elapsed, traffic, ..Window::empty(Sides::OneNamespace) }
}

fn edit(files: &mut Files, path: &str, change: impl FnOnce(String) -> String) {
    let content = files.get_mut(path).unwrap().as_mut().unwrap();
    *content = change(String::from_utf8(content.clone()).unwrap()).into_bytes();
}

fn values(reduced: &Reduced, metric: &str) -> Vec<(Vec<String>, f64)> {
    let matching = reduced.samples.iter().filter(|sample| sample.metric == metric);
    matching.map(|sample| (sample.dims.values().cloned().collect(), sample.value)).collect()
}

fn rows(reduced: &Reduced) -> String {
    let samples = reduced.samples.iter().map(|sample| {
        let dims = sample.dims.iter().map(|(key, value)| format!("{key}={value}"));
        format!("{} {} {}", sample.metric, dims.collect::<Vec<_>>().join(" "), sample.value)
    });
    let lacks = reduced.unavailable.iter().map(|reason| format!("unavailable: {reason}"));
    samples.chain(lacks).collect::<Vec<_>>().join("\n")
}

#[test]
fn collectors_name_their_files_once() {
    insta::assert_snapshot!(patterns(&[Collector::Cpu, Collector::Net, Collector::Net, Collector::Iotlb]).join("\n"), @r"
    /proc/net/dev
    /proc/net/netstat
    /proc/net/snmp
    /proc/net/softnet_stat
    /proc/stat
    ");
    assert_eq!(patterns(&[Collector::Iotlb]), Vec::<String>::new());
}

#[test]
fn two_guests_are_two_kernels() {
    insta::assert_snapshot!(rows(&reduce(&TIMED, &two_guests())));
}

#[test]
fn two_namespaces_share_cores_and_backlogs_only() {
    insta::assert_snapshot!(rows(&reduce(&TIMED, &two_namespaces())));
}

#[test]
fn every_metric_of_a_sample_is_known_with_its_dimensions() {
    for window in [two_guests(), two_namespaces()] {
        for sample in reduce(&TIMED, &window).samples {
            let metric = measure::metric::find(&sample.metric).expect("it is in the table");
            let mut dims = metric.dims.to_vec();
            dims.sort_unstable();
            assert_eq!(sample.dims.keys().map(String::as_str).collect::<Vec<_>>(), dims, "{}", sample.metric);
        }
    }
}

/// Whatever is not there any more must be said, and whatever is there must be what it was.
fn assert_same_or_said(reduced: &Reduced, whole: &Reduced, what: &str) {
    for sample in &reduced.samples {
        assert!(whole.samples.contains(sample), "{what}: {sample:?}");
    }
    for sample in &whole.samples {
        let said = || reduced.unavailable.iter().any(|reason| reason.contains(&sample.metric));
        assert!(reduced.samples.contains(sample) || said(), "{what}: {sample:?} is silently gone");
    }
}

#[test]
fn a_file_cut_anywhere_is_told_or_does_not_matter() {
    for window in [two_guests(), two_namespaces()] {
        for (collector, path) in
            TIMED.iter().flat_map(|&one| patterns(&[one]).into_iter().map(move |path| (one, path)))
        {
            let mut window = window.clone();
            for files in [&mut window.server, &mut window.client] {
                files.before.retain(|other, _| *other == path);
                files.after.retain(|other, _| *other == path);
            }
            let whole = reduce(&[collector], &window);
            let length = window.client.after[&path].as_ref().unwrap().len();
            // The interrupts' line of /proc/stat is long, and nothing is read from it.
            for end in (0..length).filter(|end| *end < 800 || end % 11 == 0) {
                for early in [true, false] {
                    let mut cut = window.clone();
                    let files = if early { &mut cut.client.before } else { &mut cut.client.after };
                    files.get_mut(&path).unwrap().as_mut().unwrap().truncate(end);
                    assert_same_or_said(&reduce(&[collector], &cut), &whole, &format!("{path} cut at {end}"));
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn no_content_makes_it_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        which in 0_usize..5,
        at in 0_usize..3000,
    ) {
        let path = &patterns(&TIMED)[which];
        let mut window = two_guests();
        window.server.before.insert(path.clone(), Ok(bytes.clone()));
        let after = window.client.after.get_mut(path).unwrap().as_mut().unwrap();
        let at = at.min(after.len());
        after.splice(at..at, bytes);
        drop(reduce(&TIMED, &window));
    }

    #[test]
    fn no_numbers_make_it_panic(numbers in proptest::collection::vec(any::<u64>(), 20)) {
        let line = |numbers: &[u64]| numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        let stat = |numbers| format!("cpu 0\ncpu0 {}\nintr 0\n", line(numbers));
        let (before, after) = (stat(&numbers[..10]), stat(&numbers[10..]));
        let reduced = reduce(&[Collector::Cpu], &changed(&[("/proc/stat", &before, &after)]));
        for sample in reduced.samples {
            prop_assert!((0.0..=100.000_001).contains(&sample.value), "{sample:?}");
        }
    }
}
