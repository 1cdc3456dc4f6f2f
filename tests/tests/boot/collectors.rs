//! Every collector that reads around a workload, in real guests.

use serde_json::Value;
use tests::{Room, can_boot, said, top};

/// The values of a metric of the first arm around a workload on a side, each with its other dimensions.
pub(super) fn values(report: &Value, workload: &str, metric: &str, side: &str) -> Vec<(String, f64)> {
    let rows = report["model"]["explored"].as_array().unwrap().iter().filter(|row| {
        let series = &row["series"];
        (&series["workload"], &series["metric"], &series["dims"]["side"])
            == (&workload.into(), &metric.into(), &side.into())
    });
    rows.map(|row| {
        let dims = row["series"]["dims"].as_object().unwrap().iter().filter(|(name, _)| *name != "side");
        let dims: Vec<&str> = dims.map(|(_, value)| value.as_str().unwrap()).collect();
        (dims.join(" "), row["baseline"]["median"].as_f64().unwrap())
    })
    .collect()
}

#[test]
fn every_collector_yields_what_it_should_or_says_why_not() {
    if !can_boot() {
        return;
    }
    let room = Room::new();
    let scenario = top().join("tests/fixtures/scenarios/collectors.yaml");
    let output = room.sharing_command().arg("run").arg(scenario).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let report = room.report();
    let one = |metric: &str, side: &str, dims: &str| {
        let all = values(&report, "tcp", metric, side);
        let found = all.iter().find(|(own, _)| own == dims);
        found.unwrap_or_else(|| panic!("{metric} {side} {dims} in {all:?}")).1
    };
    let interface = values(&report, "tcp", "interrupts-by-source", "server");
    assert!(
        interface.iter().any(|(source, rate)| source.starts_with("eth0-") && *rate > 1.0),
        "{interface:?}"
    );
    for side in ["server", "client"] {
        assert!(one("interrupts", side, "all") > one("interrupts", side, "0"));
        for metric in [
            "nic-interrupts-per-page",
            "net-rx-softirqs-per-page",
            "context-switches-per-page",
            "softnet-packets-per-page",
        ] {
            let value = one(metric, side, "");
            assert!(value > 0.0 && value < 100.0, "{side} {metric}: {value}");
        }
        assert!(one("softirqs", side, "NET_RX") > 1.0);
        let memory = one("memory-available", side, "");
        assert!((1e8..6e8).contains(&memory), "{memory}");
        assert!(one("memory-slab", side, "") > 1e6);
    }
    // What igb counted are the bytes that iperf3 moved, and some headers.
    let throughput = values(&report, "tcp", "nic-counter", "server");
    let bytes = throughput.iter().find(|(counter, _)| counter.starts_with("rx_bytes ")).unwrap().1;
    assert!(bytes > 1e5, "{bytes} bytes in a second");

    let allocations = values(&report, "pool", "page-pool-allocations", "client");
    let rate = |kind: &str| {
        let of = allocations.iter().find(|(dims, _)| dims.ends_with(&format!(" {kind}")));
        of.unwrap_or_else(|| panic!("{kind} in {allocations:?}")).1
    };
    // The first page made a trip to the page allocator, the other 49 were there already.
    assert!((rate("fast") / rate("slow") - 49.0).abs() < 1e-6, "{allocations:?}");
    let recycled = values(&report, "pool", "page-pool-recycled", "client");
    assert!(recycled.iter().all(|(_, share)| *share == 100.0) && recycled.len() == 1, "{recycled:?}");

    let unavailable = report["model"]["unavailable"].to_string();
    for reason in
        ["eth0): the interface has no page pool", "cpuidle driver: none", "CONFIG_VM_EVENT_COUNTERS"]
    {
        assert!(unavailable.contains(reason), "{reason}: {unavailable}");
    }
}

#[test]
fn every_system_call_of_a_program_and_its_children_is_counted() {
    if !can_boot() {
        return;
    }
    let room = Room::new();
    let scenario = top().join("tests/fixtures/scenarios/syscalls.yaml");
    let output = room.sharing_command().arg("run").arg(scenario).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let report = room.report();
    let one = |workload: &str, metric: &str, syscall: &str| {
        let all = values(&report, workload, metric, "client");
        all.iter().find(|(own, _)| own == syscall).unwrap_or_else(|| panic!("{syscall} in {all:?}")).1
    };

    // 500 that copy, and one for each line of what dd says at its end. Those of the agent, which talks meanwhile, are not there.
    let writes = one("copy", "syscall-calls", "write");
    assert!((501.0..=505.0).contains(&writes), "{writes}");
    assert!((500.0..520.0).contains(&one("copy", "syscall-calls", "read")));
    assert_eq!(one("copy", "syscall-errors", "write"), 0.0);
    assert_eq!(one("copy", "syscall-calls", "execve"), 1.0);
    let of_writes = |metric| one("copy", metric, "write");
    assert!(of_writes("syscall-shortest") <= of_writes("syscall-mean"));
    assert!(of_writes("syscall-mean") <= of_writes("syscall-longest"));
    let product = of_writes("syscall-mean") * writes;
    assert!((product / of_writes("syscall-time") - 1.0).abs() < 1e-9);

    // The shell's children are followed, too: three times dd, and cat, which does not find its file.
    let writes = one("children", "syscall-calls", "write");
    assert!((303.0..=320.0).contains(&writes), "{writes}");
    assert!(one("children", "syscall-errors", "openat") >= 1.0);
}

#[test]
fn what_a_kernel_says_it_invalidates_is_what_qemu_is_asked_for() {
    if !can_boot() {
        return;
    }
    let room = Room::new();
    let scenario = top().join("tests/fixtures/scenarios/invalidations.yaml");
    let output = room.sharing_command().arg("run").arg(scenario).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let report = room.report();
    let rows = report["model"]["explored"].as_array().unwrap();
    // By arm: strict is the baseline, lazy the only other.
    let both = |metric: &str, dims: &str| {
        let is_it = |row: &&Value| {
            let of = row["series"]["dims"].as_object().unwrap();
            let of: Vec<&str> = of.values().map(|value| value.as_str().unwrap()).collect();
            row["series"]["metric"] == metric && of.join(" ") == dims
        };
        let row = rows.iter().find(is_it).unwrap_or_else(|| panic!("{metric} {dims} in {rows:#?}"));
        let median = |summary: &Value| summary["median"].as_f64().unwrap_or(0.0);
        (median(&row["baseline"]), median(&row["candidates"][0]["values"]))
    };
    let (strict, lazy) = both("iotlb-invalidations-apart", "server");
    assert!(strict < 2.0 && lazy < 2.0, "{strict} % and {lazy} %");
    // Strict: each unmap is awaited and by pages. Lazy: a queue is flushed now and then, for the whole domain.
    let (strict, lazy) = both("queued-invalidations-per-page", "iotlb-pages server");
    assert!(strict > 0.01 && lazy < strict / 10.0, "{strict} {lazy}");
    let (strict_unmaps, _) = both("iommu-unmaps-per-page", "server");
    assert!((strict / strict_unmaps - 1.0).abs() < 0.1, "{strict} invalidations, {strict_unmaps} unmaps");
    let (strict, _) = both("probed-calls-per-page", "qi_submit_sync server");
    assert!(strict > 0.01, "{strict}");
    let (time, _) = both("probed-time", "qi_submit_sync server");
    assert!((100.0..1e8).contains(&time), "{time} ns");
}
