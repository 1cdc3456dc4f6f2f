//! Every number that studies published, found where it belongs.

use std::collections::{BTreeMap, BTreeSet};

use import::{Arranged, Format, Source, arrange, read};
use measure::Provenance;
use plan::{Machine, WorkloadKind};
use regex::Regex;

fn fixture(name: &str) -> String {
    let path = format!("{}/../../tests/fixtures/imported/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn import(name: &str) -> Arranged {
    let reading = read(fixture(name).as_bytes(), None);
    assert_eq!(reading.complaints, [], "{name}");
    arrange("test", "?", vec![Source { name: name.to_owned(), run: None, reading }])
}

/// The value of one sample, by its metric and some of its dimensions.
fn value(arranged: &Arranged, metric: &str, dims: &[(&str, &str)]) -> f64 {
    let is_meant = |sample: &&measure::Sample| {
        sample.metric == metric
            && dims.iter().all(|(name, value)| sample.dims.get(*name).is_some_and(|own| own == value))
    };
    let found: Vec<f64> = arranged
        .trials
        .iter()
        .flat_map(|trial| trial.end.samples())
        .filter(is_meant)
        .map(|sample| sample.value)
        .collect();
    assert_eq!(found.len(), 1, "{metric} {dims:?}: {found:?}");
    found[0]
}

/// Every number of the text is a sample's value, in the unit in which it was printed, or stands in a name, a fact or a command.
fn holds_every_number(name: &str, arranged: &Arranged) {
    let number = Regex::new(r"\d+(?:\.\d+)?(?:e-\d+)?").expect("a pattern");
    let mut words = String::new();
    for arm in &arranged.plan.arms {
        let Machine::Imported(machine) = &arm.machine else { panic!("{:?}", arm.machine) };
        words.push_str(&format!("{} {:?} ", arm.name, machine.facts));
    }
    for workload in &arranged.plan.workloads {
        let WorkloadKind::Imported(imported) = &workload.kind else { panic!("{:?}", workload.kind) };
        words.push_str(&format!("{:?} ", imported.said));
    }
    let mut values = Vec::new();
    for sample in arranged.trials.iter().flat_map(|trial| trial.end.samples()) {
        assert_eq!(sample.provenance, Provenance::Imported);
        words.push_str(&format!("{:?} ", sample.dims));
        let units = [1.0, 1e9, 1e6, f64::from(1 << 30), f64::from(1 << 20), 1e-3];
        values.extend(units.map(|unit| sample.value / unit));
    }
    let words: BTreeSet<&str> = number.find_iter(&words).map(|found| found.as_str()).collect();
    let mut checked = 0;
    for (index, line) in fixture(name).lines().enumerate() {
        for found in number.find_iter(line) {
            let wanted: f64 = found.as_str().parse().expect("a number");
            let is_value = values.iter().any(|value| (value - wanted).abs() <= 1e-12 * wanted.abs());
            // A percentile is called by its shortest name.
            let is_word = words.contains(found.as_str()) || words.contains(wanted.to_string().as_str());
            assert!(is_value || is_word, "{name}:{}: {} in {line:?}", index + 1, found.as_str());
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked} numbers");
}

#[test]
fn nested_runs_are_five_arms_with_their_walk_times() {
    let arranged = import("run-metrics.md");
    holds_every_number("run-metrics.md", &arranged);
    assert_eq!(arranged.plan.arms.len(), 5);
    // As many cores as flows, and everything else alike.
    let dimensions: Vec<(&str, Vec<&str>)> = arranged
        .plan
        .dimensions
        .iter()
        .map(|dimension| (dimension.name.as_str(), dimension.values.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(dimensions, [("flows", vec!["1", "4", "8", "16", "20"])]);
    let rows = [
        ("1", 43.481, 72.67, 1.25985e-05, 0.945_998_373_339_343_6, 205_601_686.882, 163.8),
        ("4", 165.123, 93.451_375, 9.771e-07, 1.175_597_145_077_451_4, 955_914_720.765, 161.4),
        ("8", 229.186, 99.222_937_5, 2.0139e-06, 1.125_802_439_877_619, 1_371_796_173.0, 174.2),
        ("16", 25.29, 99.993_75, 0.001_822_296_7, 1.135_245_432_013_285_9, 314_648_489.688, 359.1),
        ("20", 25.325, 100.0, 0.004_985_747_1, 1.189_112_645_718_933_8, 299_483_021.235, 325.9),
    ];
    for (flows, gbps, cpu, drop, misses, occupancy, walk) in rows {
        let of = |metric| value(&arranged, metric, &[("flows", flows), ("workload", "run")]);
        assert_eq!(of("throughput"), gbps * 1e9, "{flows}");
        assert_eq!((of("cpu-not-idle"), of("drop-rate")), (cpu, drop), "{flows}");
        assert_eq!((of("iotlb-misses-per-page"), of("page-walk-occupancy")), (misses, occupancy), "{flows}");
        assert_eq!((of("page-walk-time") * 10.0).round() / 10.0, walk, "{flows}");
        assert!((1.9..2.2).contains(&of("memory-reads-per-miss")), "{flows}");
    }
    // Ten numbers of each block, and two that follow from them.
    assert!(arranged.trials.iter().all(|trial| trial.end.samples().len() == 12 && trial.block == 0));
    let Machine::Imported(machine) = &arranged.plan.arms[0].machine else { panic!() };
    assert_eq!(machine.facts["cores"], "1");
    assert_eq!(machine.facts["guest IOMMU"], "on-nested");
    assert_eq!(arranged.plan.arms[0].kernel.base.name, "6.12.9-iommufd-extra-hooks");
}

#[test]
fn a_firecracker_guests_throughput_latency_and_system_calls() {
    let arranged = import("firecracker.md");
    holds_every_number("firecracker.md", &arranged);
    let of = |metric, dims: &[(&str, &str)]| value(&arranged, metric, dims);
    assert_eq!(of("throughput", &[("workload", "throughput")]), 16.4e9);
    assert_eq!(of("flow-throughput", &[("flow", "8")]), 4.09e9);
    assert_eq!(of("end-throughput", &[("flow", "8")]), 4.10e9);
    assert_eq!(of("retransmits", &[]), 0.0);
    assert_eq!(of("latency", &[("percentile", "99.9")]), 264.171);
    assert_eq!(of("latency-mean", &[]), 74.383);
    assert_eq!(of("sockperf-figure", &[("of", "99.0 % ci low")]), 74.292);
    let calls = |workload, process, syscall| {
        of("process-syscalls", &[("workload", workload), ("process", process), ("syscall", syscall)])
    };
    assert_eq!(calls("throughput", "fc_vcpu 0", "write"), 15664.0);
    assert_eq!(calls("latency", "firecracker", "write"), 402_018.0);
    assert_eq!(arranged.plan.workloads.len(), 2);
    assert_eq!(arranged.trials.len(), 1);
    assert!((of("message-rate", &[]) - 198_352.0 / 29.549).abs() < 1e-9);
}

#[test]
fn two_kvm_guests_with_both_sides_system_calls() {
    let arranged = import("kvm.md");
    holds_every_number("kvm.md", &arranged);
    let of = |metric, dims: &[(&str, &str)]| value(&arranged, metric, dims);
    assert_eq!(of("throughput", &[]), 9.59e9);
    assert_eq!(of("retransmits", &[]), 158.0);
    assert_eq!(of("flow-retransmits", &[("flow", "11")]), 60.0);
    let calls = |workload, side, syscall| {
        of("process-syscalls", &[("workload", workload), ("side", side), ("syscall", syscall)])
    };
    assert_eq!(calls("throughput", "server", "writev"), 554_089.0);
    assert_eq!(calls("throughput", "client", "writev"), 605_786.0);
    // What a message costs: invariants of the two programs.
    let messages = of("sockperf-figure", &[("of", "total-run sent-messages")]);
    let per_message = |syscall| (calls("latency", "server", syscall) / messages * 100.0).round() / 100.0;
    assert_eq!(["ppoll", "read", "ioctl", "writev"].map(per_message), [3.0, 3.0, 2.02, 1.0]);
    let all: BTreeMap<&str, usize> =
        arranged.trials[0].end.samples().iter().fold(BTreeMap::new(), |mut all, sample| {
            *all.entry(sample.metric.as_str()).or_default() += 1;
            all
        });
    assert_eq!(all["process-syscalls"], 18 + 18 + 13 + 18);
    assert_eq!(all["latency"], 10);
}

#[test]
fn formats_are_told_by_their_content() {
    for (name, formats) in [
        ("run-metrics.md", vec![Format::RunMetrics]),
        ("firecracker.md", vec![Format::Iperf3, Format::Sockperf, Format::Bpftrace]),
    ] {
        assert_eq!(read(fixture(name).as_bytes(), None).formats(), formats, "{name}");
    }
}
