//! Histograms of the kernel's tracepoints and probes.

use super::{counters::side, *};

const TRACING: [Collector; 3] = [Collector::Tracepoints, Collector::Probes, Collector::Iotlb];

#[test]
fn the_kernel_is_asked_to_count_each_event_once() {
    let lines: Vec<String> = preparations(&TRACING)
        .into_iter()
        .map(|Preparation { path, line }| format!("{} < {line}", path.trim_start_matches("/sys/kernel/")))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
    assert_eq!(preparations(&[Collector::Cpu, Collector::Iotlb, Collector::Syscalls]), []);
    // The kernel's limit for names of events (MAX_EVENT_NAME_LEN), with the longest prefix or ending.
    assert!(FUNCTIONS.iter().all(|function| format!("{function}_entry").len() < 64));
}

/// iperf3 from the peer to a guest within a guest for 1 s after 1 s of warm-up, through an igb that the host gave it by VFIO, behind a
/// shadowed IOMMU; QEMU was asked for `asked` invalidations of the host's IOTLB.
fn nested(asked: u64) -> Window {
    let events = [("vtd_inv_desc_iotlb_pages", asked), ("vtd_inv_desc_iotlb_domain", 0)];
    let trace =
        GuestTrace { iommu: true, events: events.map(|(event, count)| (event.to_owned(), count)).into() };
    Window {
        server: side("nested-traced", "server"),
        client: side("nested-traced", "client"),
        carriers: [("host".to_owned(), side("nested-traced", "host"))].into(),
        elapsed: Duration::from_secs(3),
        traffic: Traffic::Bulk(Payload { client_to_server: Some(2_228_224), server_to_client: Some(0) }),
        trace: Some([("host".to_owned(), trace)].into()),
        ..Window::empty(Sides::TwoGuests)
    }
}

#[test]
fn each_level_of_a_nested_machine_tells_for_itself() {
    let reduced = reduce(&[Collector::Tracepoints], &nested(212));
    insta::assert_snapshot!(rows(&reduced));
    assert!(reduced.samples.iter().all(|sample| sample.provenance == Provenance::Tracefs));
}

#[test]
fn what_qemu_did_not_hear_of_is_told_in_percent() {
    let apart =
        |asked| values(&reduce(&[Collector::Tracepoints], &nested(asked)), "iotlb-invalidations-apart");
    assert_eq!(apart(212), [(vec!["host".to_owned()], 0.0)]);
    assert_eq!(apart(200), [(vec!["host".to_owned()], 6.0)]);
    // Nothing to divide by.
    assert_eq!(apart(0), []);
}

#[test]
fn what_was_not_counted_or_not_all_of_it_is_no_number() {
    const MAP: &str = "/sys/kernel/tracing/events/iommu/map/hist";
    let lacking = |change: fn(String) -> String| {
        let mut window = nested(212);
        edit(&mut window.server.after, MAP, change);
        let reduced = reduce(&[Collector::Tracepoints], &window);
        let of_server =
            values(&reduced, "iommu-maps-per-page").into_iter().any(|(dims, _)| dims == ["server"]);
        assert!(!of_server);
        reduced.unavailable.join("\n")
    };
    assert!(lacking(|text| text.replace("Dropped: 0", "Dropped: 7")).contains("it had no room for 7 events"));
    assert!(lacking(|_| "\n".to_owned()).contains("the kernel keeps no histogram of it"));
    assert!(lacking(|text| text.replace("hitcount:        ", "hitcount: many")).contains("is no number"));
    assert!(lacking(|text| text.replace("Dropped", "Dropped by")).contains("what was dropped"));
}

/// The innermost guest of a nested machine, whose clock showed 18 s when the axis began and 24 s when it ended.
fn levels() -> Window {
    let reading = |guest_ns, host_ns| ClockReading { guest_ns, host_ns, error_ns: 5_000_000 };
    let clocks = [reading(18_000_000_000, 0), reading(24_000_000_000, 6_000_000_000)];
    let counts = vec![(0, 0), (2_000_000_000, 0), (2_100_000_000, 40), (6_000_000_000, 40)];
    Window {
        server: side("timeline", "server"),
        levels: Some(LevelsWindow {
            clocks: [("server".to_owned(), Ok(clocks)), ("client".to_owned(), Err("it has gone".to_owned()))]
                .into(),
            invalidations: [("host".to_owned(), counts)].into(),
        }),
        ..Window::empty(Sides::TwoGuests)
    }
}

#[test]
fn levels_are_put_on_one_axis_and_nothing_is_lost() {
    let reduced = reduce(&[Collector::Timeline], &levels());
    let timeline = reduced.timeline.unwrap();
    assert_eq!(timeline.clock_errors, [("server".to_owned(), 0.005)].into());
    let rows: Vec<(&str, &str, f64)> = timeline
        .rows
        .iter()
        .map(|row| {
            assert_eq!(row.values.len(), 60);
            (
                row.level.as_str(),
                row.what.as_str(),
                (row.values.iter().sum::<f64>() * timeline.seconds).round(),
            )
        })
        .collect();
    // What the histograms add up to, less what was there before; payload in bits.
    assert_eq!(
        rows,
        [
            ("qemu of host", "invalidations", 40.0),
            ("server", "maps", 1014.0),
            ("server", "received", 30_490_720.0)
        ]
    );
    assert_eq!(timeline.rows[0].values[20], 400.0);
    // The kernel runs no guests, others were not read, and one has no clock.
    let missing = reduced.unavailable.join("\n");
    for what in
        ["timeline of client: it has gone", "timeline of server, unmaps", "timeline of server, invalidations"]
    {
        assert!(missing.contains(what), "{missing}");
    }
    assert!(!missing.contains("exits"), "{missing}");
}

#[test]
fn two_histograms_of_one_event_are_told_apart() {
    const MAP: &str = "/sys/kernel/tracing/events/iommu/map/hist";
    let both = |files: &mut Files, other: &Files| {
        let other = other[MAP].clone().unwrap();
        if let Some(Ok(bytes)) = files.get_mut(MAP) {
            bytes.extend_from_slice(&other);
        }
    };
    let (mut by_time, by_size) = (levels(), nested(212));
    both(&mut by_time.server.before, &by_size.server.before);
    both(&mut by_time.server.after, &by_size.server.after);
    assert_eq!(
        reduce(&[Collector::Timeline], &by_time).timeline,
        reduce(&[Collector::Timeline], &levels()).timeline
    );
    let mut both_ways = nested(212);
    both_ways.server.before.insert(MAP.to_owned(), by_time.server.before[MAP].clone());
    both_ways.server.after.insert(MAP.to_owned(), by_time.server.after[MAP].clone());
    let maps = |window| values(&reduce(&[Collector::Tracepoints], window), "iommu-maps-per-page");
    assert_eq!(maps(&both_ways), maps(&by_size));
}

/// iperf3 to a guest whose kernel has the marker hooks of `patches/iommu-hooks`: 98 submissions.
fn probed() -> Window {
    Window {
        server: side("probed", "server"),
        client: side("probed", "client"),
        elapsed: Duration::from_secs(3),
        traffic: Traffic::Bulk(Payload { client_to_server: Some(131_072), server_to_client: Some(0) }),
        ..Window::empty(Sides::TwoGuests)
    }
}

#[test]
fn waits_for_the_lock_and_sections_under_it_are_told_apart() {
    let reduced = reduce(&[Collector::Probes], &probed());
    insta::assert_snapshot!(rows(&reduced));
    let of = |metric: &str, function: &str| {
        let all = values(&reduced, metric);
        all.iter().find(|(dims, _)| dims.iter().any(|dim| dim == function)).unwrap().1
    };
    // Each submission takes the lock once and holds it once, within itself.
    let names = ["trace_qi_submit_sync_lock_wrapper", "trace_qi_submit_sync_cs", "qi_submit_sync"];
    let [waits, sections, submissions] = names.map(|name| of("probed-calls-per-page", name));
    assert!(waits == submissions && sections == submissions);
    let [wait, section, whole] = names.map(|name| of("probed-time", name));
    assert!(wait + section < whole, "{wait} {section} {whole}");
    // The driver saw the same submissions, by its own clock.
    let by_driver = values(&reduced, "invalidations-by-time");
    assert!((by_driver.iter().map(|(_, share)| share).sum::<f64>() - 100.0).abs() < 1e-9);
}

#[test]
fn a_histogram_of_the_driver_that_is_cut_is_no_number() {
    const FILE: &str = "/sys/kernel/debug/iommu/intel/dmar_perf_latency";
    for cut in ["inv_iotlb  1\n", "IOMMU: dmar0\n inv_iotlb 1 2 3\n", "<0.1us\n"] {
        let mut window = probed();
        edit(&mut window.server.after, FILE, |_| cut.to_owned());
        let reduced = reduce(&[Collector::Probes], &window);
        assert_eq!(values(&reduced, "invalidations-by-time"), [], "{cut}");
    }
}
