//! Output of the real tools, whole, cut at every place, and damaged.

use std::fmt::Write as _;

use import::{Format, Reading, Source, arrange, read, run_name};
use proptest::prelude::*;

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/../../tests/fixtures/imported/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn whole(name: &str, format: Format) -> Reading {
    let reading = read(&fixture(name), None);
    assert_eq!(reading.complaints, [], "{name}");
    assert_eq!(reading.formats(), [format], "{name}");
    reading
}

/// The value of the one figure with this metric and these dimensions.
fn value(reading: &Reading, metric: &str, dims: &[(&str, &str)]) -> f64 {
    let figures = reading.parts.iter().flat_map(|part| &part.figures);
    let is_meant = |figure: &&import::Figure| {
        figure.metric.name == metric
            && dims.iter().all(|(name, value)| figure.dims.get(*name).is_some_and(|own| own == value))
    };
    let found: Vec<f64> = figures.filter(is_meant).map(|figure| figure.value).collect();
    assert_eq!(found.len(), 1, "{metric} {dims:?}: {found:?}");
    found[0]
}

#[test]
fn mpstat_and_sar_give_their_averages() {
    let mpstat = whole("mpstat.txt", Format::Sysstat);
    assert_eq!(value(&mpstat, "sysstat", &[("of", "CPU 1"), ("column", "%nice")]), 99.5);
    assert_eq!(value(&mpstat, "cpu-not-idle", &[]), 51.5);
    let sar = whole("sar-u.txt", Format::Sysstat);
    assert_eq!(value(&sar, "sysstat", &[("of", "CPU all"), ("column", "%idle")]), 48.75);
    let network = whole("sar-dev.txt", Format::Sysstat);
    assert_eq!(value(&network, "sysstat", &[("of", "IFACE eth0"), ("column", "rxpck/s")]), 0.0);
    assert_eq!(value(&network, "sysstat", &[("of", "CPU all"), ("column", "%user")]), 0.0);
}

#[test]
fn sar_of_chosen_cores_without_an_average_is_their_mean() {
    let text = "Linux 6.12.9 (host) 10/03/25 _x86_64_ (32 CPU)\n\n\
                04:32:21 PM CPU %user %nice %system %iowait %steal %idle\n\
                04:32:22 PM 0 10,00 0,00 20,00 0,00 0,00 70,00\n\
                04:32:22 PM 4 10,00 0,00 60,00 0,00 0,00 30,00\n";
    let reading = read(text.as_bytes(), None);
    assert_eq!(reading.complaints, []);
    assert_eq!(value(&reading, "cpu-not-idle", &[]), 50.0);
}

#[test]
fn perf_stat_counts_repeats_and_intervals() {
    let once = whole("perf-stat.csv", Format::PerfStat);
    assert_eq!(value(&once, "perf-event", &[("event", "task-clock"), ("of", "msec")]), 11.61);
    assert_eq!(value(&once, "perf-event", &[("event", "task-clock"), ("of", "CPUs utilized")]), 0.916);
    assert_eq!(value(&once, "perf-event", &[("event", "page-faults"), ("of", "count")]), 337.0);
    assert_eq!(once.parts[0].unavailable, ["perf stat: cycles is not supported"]);
    let repeated = whole("perf-stat-repeat.csv", Format::PerfStat);
    assert_eq!(value(&repeated, "perf-event", &[("event", "task-clock"), ("of", "deviation in %")]), 5.37);
    let intervals = whole("perf-stat-interval.csv", Format::PerfStat);
    assert!(
        value(&intervals, "perf-event", &[("on", "CPU0"), ("event", "context-switches"), ("of", "count")])
            > 271.0
    );
    let uncore = "S0,1,5435125000,,unc_iio_iommu0.misses,10000000,25.00,,\nS1,1,<not counted>,,dmar0/iotlb_hit/,0,0.00,,\n";
    let uncore = read(uncore.as_bytes(), Some(Format::PerfStat));
    assert_eq!(value(&uncore, "perf-event", &[("on", "S0"), ("of", "count")]), 5_435_125_000.0);
    assert_eq!(value(&uncore, "perf-event", &[("on", "S0"), ("of", "% of the time counted")]), 25.0);
    assert_eq!(uncore.parts[0].unavailable, ["perf stat: dmar0/iotlb_hit/ is not counted"]);
}

#[test]
fn perf_trace_and_perf_report_name_processes_and_functions() {
    let trace = whole("perf-trace.txt", Format::PerfTrace);
    let read_call = [("process", "dd (2852)"), ("syscall", "openat")];
    assert_eq!(value(&trace, "process-syscalls", &read_call), 35.0);
    assert_eq!(value(&trace, "process-syscall-errors", &read_call), 16.0);
    let of = |of| [read_call[0], read_call[1], ("of", of)];
    assert_eq!(
        ["total", "min", "avg", "max"].map(|what| value(&trace, "process-syscall-time", &of(what))),
        [0.622, 0.013, 0.018, 0.030]
    );
    assert_eq!(value(&trace, "process-syscall-deviation", &read_call), 3.52);
    let report = whole("perf-report.txt", Format::PerfReport);
    let symbol = [("command", "dd"), ("object", "[kernel.kallsyms]"), ("symbol", "read_zero")];
    assert_eq!(value(&report, "profile-share", &symbol), 92.55);
    assert_eq!(value(&report, "profile-size", &[("of", "events")]), 70_500_000.0);
    let children = whole("perf-report-children.txt", Format::PerfReport);
    assert_eq!(value(&children, "profile-share-with-callees", &symbol), 94.33);
    assert_eq!(value(&children, "profile-share", &symbol), 92.55);
}

#[test]
fn both_spellings_of_bpftrace_are_one() {
    let probes = whole("bpftrace-probe.txt", Format::Bpftrace);
    let names = whole("bpftrace-name.txt", Format::Bpftrace);
    for reading in [&probes, &names] {
        let figures: Vec<_> = reading.parts.iter().flat_map(|part| &part.figures).collect();
        assert!(figures.iter().any(|figure| figure.dims["syscall"] == "read"), "{figures:?}");
        assert!(figures.iter().all(|figure| !figure.dims["syscall"].contains("sys_enter")), "{figures:?}");
    }
    assert_eq!(
        value(&names, "process-syscalls", &[("process", "ALL CPUs/TCG"), ("syscall", "write")]),
        621.0
    );
}

#[test]
fn iperf3_of_both_sides_for_people() {
    let client = whole("iperf3-client.txt", Format::Iperf3);
    assert_eq!(value(&client, "throughput", &[]), 16.3e9);
    assert_eq!(value(&client, "flow-throughput", &[("flow", "7")]), 8.19e9);
    let server = whole("iperf3-server.txt", Format::Iperf3);
    assert!(value(&server, "throughput", &[("direction", "client-to-server")]) > 15e9);
    // A log that was cut off has no summary, and says so.
    let text = String::from_utf8(fixture("iperf3-client.txt")).expect("it is text");
    let cut = text.split("- - -").next().expect("a first interval");
    let cut = read(cut.as_bytes(), None);
    assert!(
        cut.complaints.iter().any(|complaint| complaint.message.contains("no summary")),
        "{:?}",
        cut.complaints
    );
    assert_eq!(value(&cut, "throughput", &[]), 14.8e9);
}

#[test]
fn our_own_fixtures_of_iperf3_and_sockperf_are_read_as_strangers_are() {
    let folder = |tool: &str| format!("{}/../../tests/fixtures/{tool}", env!("CARGO_MANIFEST_DIR"));
    let file = |tool: &str, name: &str| std::fs::read(format!("{}/{name}", folder(tool))).expect("a fixture");
    let json = read(&file("iperf3", "3.18-bidir-2-warmup.client.json"), None);
    assert_eq!((json.complaints.len(), json.formats()), (0, vec![Format::Iperf3Json]));
    for direction in ["client-to-server", "server-to-client"] {
        assert!(value(&json, "throughput", &[("direction", direction)]) > 0.0, "{direction}");
        let flows = json.parts[0].figures.iter().filter(|figure| {
            figure.metric.name == "flow-throughput" && figure.dims["direction"] == direction
        });
        assert_eq!(flows.count(), 2, "{direction}");
    }
    let refused = read(&file("iperf3", "3.18-refused.client.json"), None);
    assert!(refused.parts[0].unavailable[0].contains("refused"), "{refused:?}");
    let sockperf = read(&file("sockperf", "ping-pong-tcp.txt"), None);
    assert_eq!((sockperf.complaints.clone(), sockperf.formats()), (vec![], vec![Format::Sockperf]));
    assert!(
        value(&sockperf, "latency", &[("percentile", "99.999")])
            > value(&sockperf, "latency", &[("percentile", "50")])
    );
}

#[test]
fn pcm_iio_beside_iperf3_gives_what_the_study_computes() {
    let pcm = whole("pcm-iio.csv", Format::PcmIio);
    let stack = ("stack", "Socket1 IIO Stack 1 - PCIe3");
    assert_eq!(value(&pcm, "pcm-iio", &[stack, ("column", "IOTLB Miss")]), 1_255_000.0);
    let run = run_name(
        "2025-10-03-16-32-21-6.12.9-flow01-host-strict-guest-on-nested-ringbuf-512_sokcetbuf1_1cores",
    );
    let mut iperf = String::new();
    for end in ["0             sender", "receiver"] {
        let _ = writeln!(iperf, "[  5]   0.00-30.00  sec   152 GBytes  43.481 Gbits/sec  {end}");
    }
    let source = |name: &str, reading| Source { name: name.to_owned(), run: run.clone(), reading };
    let sources = vec![source("pcie.csv", pcm), source("iperf.log", read(iperf.as_bytes(), None))];
    let arranged = arrange("test", "?", sources);
    let of = |metric: &str| {
        let samples = arranged.trials.iter().flat_map(|trial| trial.end.samples());
        let found: Vec<f64> =
            samples.filter(|sample| sample.metric == metric).map(|sample| sample.value).collect();
        assert_eq!(found.len(), 1, "{metric}");
        found[0]
    };
    let pages = 43.481e9 / 8.0 / 4096.0;
    assert_eq!(of("iotlb-misses-per-page"), 1_255_000.0 / pages);
    assert_eq!(of("page-walk-occupancy"), 206_000_000.0);
    assert!((of("page-walk-time") - 206_000_000.0 / 1_255_000.0).abs() < 1e-9);
    assert!((of("memory-reads-per-miss") - 2.0).abs() < 1e-9);
}

#[test]
fn of_slides_the_tables_are_read_and_every_damaged_cell_is_told() {
    let reading = read(&fixture("slides.md"), None);
    let call = |metric, process, call, of: &[(&str, &str)]| {
        value(&reading, metric, &[&[("process", process), ("syscall", call)], of].concat())
    };
    assert_eq!(call("process-syscalls", "tcpzc2 (15989)", "io_uring_enter", &[]), 1_087_324.0);
    assert_eq!(call("process-syscall-time", ":10435 (10435)", "recvmsg", &[("of", "total")]), 26_726.717);
    // Read as 24534 5: the errors are lost, and the rest is kept.
    assert_eq!(call("process-syscall-time", "cpzc2 (6557)", "recvmsg", &[("of", "total")]), 55_429.204);
    let share = [("command", ":18805"), ("symbol", "tcp_recvmsg_dmabuf")];
    assert!((value(&reading, "profile-share", &share) - 22.57).abs() < 1e-9);
    let cell = [("table", "line 3: CPU"), ("row", "9"), ("column", "C6")];
    assert_eq!(value(&reading, "table-cell", &cell), 46.14);
    let told = |words: &str| reading.complaints.iter().any(|complaint| complaint.message.contains(words));
    assert!(told("errors is no number: `24534 5`") && told("C1E is empty"), "{:?}", reading.complaints);
}

const FIXTURES: [&str; 16] = [
    "bpftrace-name.txt",
    "bpftrace-probe.txt",
    "firecracker.md",
    "iperf3-client.txt",
    "kvm.md",
    "mpstat.txt",
    "pcm-iio.csv",
    "perf-report-children.txt",
    "perf-report.txt",
    "perf-stat-interval.csv",
    "perf-stat-repeat.csv",
    "perf-stat.csv",
    "perf-trace.txt",
    "run-metrics.md",
    "sar-dev.txt",
    "slides.md",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However a file is cut and whatever byte of it is lost: nothing panics, numbers are finite, complaints have a line, and no
    /// sample of a trial is there twice.
    #[test]
    fn damaged_files_are_read_as_far_as_they_go(
        name in prop::sample::select(FIXTURES.to_vec()),
        cut in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        at in any::<prop::sample::Index>(),
    ) {
        let mut bytes = fixture(name);
        bytes.truncate(cut.index(bytes.len()) + 1);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
        let reading = read(&bytes, None);
        for complaint in &reading.complaints {
            prop_assert!((1..=lines).contains(&complaint.line), "{complaint:?} of {lines}");
        }
        let arranged = arrange("x", "?", vec![Source { name: name.to_owned(), run: None, reading }]);
        for trial in &arranged.trials {
            let mut known = std::collections::BTreeSet::new();
            for sample in trial.end.samples() {
                prop_assert!(sample.value.is_finite());
                let mut dims = sample.dims.clone();
                dims.remove("tool");
                prop_assert!(known.insert((sample.metric.clone(), dims)), "{sample:?}");
            }
        }
    }
}
