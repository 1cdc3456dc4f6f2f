//! Guests within a guest, from the command line to a report.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;
use tests::{Process, Room, can_boot, descendants, said, top};

use super::collectors::values;

/// What a host within sees: the disks that it was given, the tool root on one of them, the kernel and the initramfs of its guests; and
/// nothing of this machine.
const LOOK: &str = r#"
echo disks $(cat /sys/block/vd*/ro | tr -d '\n')
echo tools $(ls /run/nested/tools/usr/bin/qemu-system-x86_64)
echo guests $(ls /run/nested | tr '\n' ' ')
echo shares $(grep -c ' 9p ' /proc/mounts)
echo ours $(ls -d /var/cache/assay 2>/dev/null | wc -l)
echo guest $(grep -la '^/run/nested/tools/' /proc/[0-9]*/cmdline 2>/dev/null | wc -l)
echo seen
sleep 600
"#;

#[test]
fn a_host_within_sees_its_disks_and_after_kill_9_nothing_is_left_of_it_or_its_guests() {
    if !can_boot() {
        return;
    }
    let room = Room::new();
    let mut command = room.sharing_command();
    command.args(["exec", "--nested=passthrough", "--level", "host", "--memory", "512"]);
    command.args(["--", "busybox", "sh", "-c", LOOK]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let seen: Vec<String> = lines.take_while(|line| line != "seen").collect();
    let expected = [
        "disks 1111",
        "tools /run/nested/tools/usr/bin/qemu-system-x86_64",
        "guests initramfs kernel tools",
        "shares 0",
        "ours 0",
        "guest 1",
    ];
    assert_eq!(seen, expected);

    // A supervisor, the host and the peer; the guest within is a process of the host's.
    let family = descendants(child.id());
    assert!(family.len() >= 3, "{family:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while family.iter().any(Process::lives) {
        assert!(Instant::now() < deadline, "children outlive the harness: {family:?}");
        std::thread::yield_now();
    }
    // Whoever comes next takes its folder away.
    let folder = std::path::PathBuf::from(format!("/run/assay/{}-0", child.id()));
    let next = room.sharing_command().args(["exec", "--", "true"]).output().unwrap();
    assert!(next.status.success(), "{}", said(&next));
    assert!(!folder.exists(), "{} is left", folder.display());
}

/// The only value of a metric on a side whose other dimensions are these.
fn one(report: &Value, metric: &str, side: &str, dims: &str) -> f64 {
    let all = values(report, "tcp", metric, side);
    all.iter().find(|(own, _)| own == dims).unwrap_or_else(|| panic!("{metric} {side} {dims} in {all:?}")).1
}

#[test]
fn each_level_tells_what_it_maps_and_the_outermost_agrees() {
    if !can_boot() {
        return;
    }
    let room = Room::new();
    let scenario = top().join("tests/fixtures/scenarios/nested-levels.yaml");
    let output = room.sharing_command().arg("run").arg(scenario).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let report = room.report();
    let of = |metric, side, dims| one(&report, metric, side, dims);

    // What the guest maps for its NIC, its host maps for VFIO, page by page.
    let guests = of("iommu-mapped-pages-per-page", "server", "");
    let hosts = of("iommu-mapped-pages-per-page", "host", "");
    assert!(guests > 0.01 && (hosts / guests - 1.0).abs() < 0.1, "{guests} {hosts}");
    // What the host's kernel submits is what QEMU is asked for on this machine, in the same window.
    assert!(of("queued-invalidations-per-page", "host", "iotlb-pages") > 0.01);
    let apart = of("iotlb-invalidations-apart", "host", "");
    assert!(apart < 2.0, "{apart} %");
    // Each of the guest's invalidations is one that its host's QEMU hears of, since it has caching mode.
    assert!(of("cache-tag-flushes-per-page", "server", "range-np") > 0.01);
    // The guest leaves for its host to take up the queue, and KVM says why.
    let exits = values(&report, "tcp", "guest-exits-per-page", "host");
    assert!(exits.iter().any(|(reason, count)| reason == "npf" && *count > 0.0), "{exits:?}");
    on_one_axis(&report["model"]["timelines"][0]);
}

/// What happens at one level happens at the others, at the same time: the guest's unmaps are its host's, and the host's invalidations QEMU's.
fn on_one_axis(timeline: &Value) {
    let rows: Vec<(&str, &str, Vec<f64>)> = timeline["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let values = row["values"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap());
            (row["level"].as_str().unwrap(), row["what"].as_str().unwrap(), values.collect())
        })
        .collect();
    let of = |level: &str, what: &str| {
        let found = rows.iter().find(|(of, is, _)| (*of, *is) == (level, what));
        &found.unwrap_or_else(|| panic!("{level} {what} in {timeline}")).2
    };
    let sum = |values: &[f64]| values.iter().sum::<f64>();
    // Half of what happens may be in a neighbouring interval, where a host has too much to do.
    let lag = |one: &[f64], other: &[f64], by: usize| {
        let apart = one.iter().zip(&other[by..]).map(|(one, other)| (one - other).abs());
        sum(&apart.collect::<Vec<_>>()) / sum(one)
    };
    for (one, other) in [
        (of("qemu of host", "invalidations"), of("host", "invalidations")),
        (of("host", "unmaps"), of("server", "unmaps")),
    ] {
        assert!(sum(one) > 0.0 && (sum(other) / sum(one) - 1.0).abs() < 0.05, "{timeline}");
        assert!(lag(one, other, 0) < lag(one, other, 3), "{timeline}");
    }
    assert!(sum(of("server", "received")) > 0.0 && sum(of("host", "exits")) > 0.0, "{timeline}");
    for (guest, error) in timeline["clock_errors"].as_object().unwrap() {
        assert!(error.as_f64().unwrap() < 0.1, "{guest}: {error}");
    }
}
