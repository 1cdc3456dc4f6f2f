//! `assay-bench` between two software NICs that are as real as the kernel can tell: payload goes without a copy, is what was sent,
//! and the NIC is afterwards what it was.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

use serde_json::Value;
use tests::{Room, assay, can_boot, long_tests, said};

/// Runs `assay-bench` on both sides once for each line of its input: a name, the receiver's arguments and the sender's. Writes
/// each report behind the name and the side.
const SCRIPT: &str = r#"
set -eu
# The shell has an ip of its own, which knows no zcsim.
for iproute in /usr/sbin/ip /usr/bin/ip /sbin/ip; do [ ! -x $iproute ] || break; done
ip() { $iproute "$@"; }
ip link add zs0 numrxqueues 2 numtxqueues 2 type zcsim
ip netns add peer
ip link set zcsim0 netns peer name zs1
ip link set zs0 mtu 4148 up
ip -n peer link set zs1 mtu 4148 up
ip addr add 192.0.2.1/24 dev zs0
ip -n peer addr add 192.0.2.2/24 dev zs1
mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug
for wire in /sys/kernel/debug/zcsim/*; do echo 5000 > $wire/loss_ppm; done
mkfifo /tmp/said
while IFS='|' read -r name receive send; do
    /mnt/tools/assay-bench receive --address 192.0.2.1 --verify --interface zs0 $receive > /tmp/said &
    receiver=$!
    exec 9< /tmp/said
    read -r listening <&9
    $iproute netns exec peer /mnt/tools/assay-bench send --address 192.0.2.1 --verify --interface zs1 --bytes 64MiB $send > /tmp/sent
    read -r received <&9
    wait $receiver
    echo "$name receive $received"
    echo "$name send $(cat /tmp/sent)"
done < /mnt/tools/streams
# One that is ended in the middle, and what it leaves behind.
/mnt/tools/assay-bench receive --address 192.0.2.1 --mode zcrx --interface zs0 --queue 1 > /tmp/said &
receiver=$!
read -r listening < /tmp/said
kill -TERM $receiver
wait $receiver || echo "ended $?"
"#;

const STREAMS: &str = "\
before|--mode plain|--mode plain
devmem|--mode devmem --queue 1 --token-batch 128 --accumulate 64|--mode zerocopy
zcrx|--mode zcrx --queue 1 --hardware-gro on|--mode uring-zerocopy --no-iowait
transmit|--mode zcrx --queue 1 --flows 2 --receive-ring 1024|--mode devmem --flows 2
astray|--mode zcrx --queue 1 --no-steer|--mode plain
no-nic|--mode zcrx-nodev|--mode plain
mapped|--mode tcp-zerocopy --header-split on|--mode plain
after|--mode plain|--mode plain
";

/// Reports by the stream's name and the side.
fn reports(output: &str) -> BTreeMap<(&str, &str), Value> {
    output
        .lines()
        .filter_map(|line| {
            let mut words = line.splitn(3, ' ');
            let (name, side, report) = (words.next()?, words.next()?, words.next()?);
            Some(((name, side), serde_json::from_str(report).ok()?))
        })
        .collect()
}

/// By how much a counter of the driver's went up.
fn driver(report: &Value, counter: &str) -> u64 {
    let at = |when: &str| report[when]["driver"][counter].as_u64().unwrap();
    at("after") - at("before")
}

#[test]
fn streams_go_without_a_copy_and_leave_the_nic_as_it_was() {
    if !can_boot() || !long_tests() {
        return;
    }
    let tools = tempfile::tempdir().unwrap();
    fs::set_permissions(tools.path(), Permissions::from_mode(0o755)).unwrap();
    fs::copy(assay().with_file_name("assay-bench"), tools.path().join("assay-bench")).unwrap();
    fs::write(tools.path().join("streams"), STREAMS).unwrap();
    let share = format!("{}:/mnt/tools", tools.path().display());
    let kernel = ["--base", "debian-7.3", "--series", "zcsim", "--option", "ZCSIM=y", "--memory", "2048"];
    let output = Room::new()
        .sharing_command()
        .arg("exec")
        .args(kernel)
        .args(["--share", &share, "--", "sh", "-c", SCRIPT])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    let reports = reports(&text);
    assert_eq!(reports.len(), 2 * STREAMS.lines().count(), "{}", said(&output));

    for ((name, side), report) in &reports {
        let bytes = report["bytes"].as_u64().unwrap();
        assert_eq!(bytes, report["flows"].as_u64().unwrap() * (64 << 20), "{name}: {report}");
        if *side == "receive" {
            assert_eq!(report["verified_bytes"], bytes, "{name}: {report}");
        }
        let zero_copy = report["zero_copy_bytes"].as_u64().unwrap();
        assert_eq!(zero_copy + report["copied_bytes"].as_u64().unwrap(), bytes, "{name}: {report}");
        match (*name, *side) {
            ("devmem" | "zcrx" | "transmit", "receive") => {
                assert_eq!(zero_copy, bytes, "{name}: {report}");
                assert!(driver(report, "rx_unreadable_bytes") >= bytes, "{name}: {report}");
            }
            ("devmem" | "zcrx" | "transmit", _) => {
                assert_eq!(zero_copy, bytes, "{name}: {report}");
                assert_eq!(report["completions"]["copied"], 0, "{name}: {report}");
            }
            // Whole pages are mapped; where a loss cut them, they are not.
            ("mapped", "receive") => assert!(zero_copy > bytes * 9 / 10, "{report}"),
            ("astray", "receive") => {
                assert_eq!(zero_copy, 0, "{report}");
                assert_eq!(driver(report, "rx_unreadable_bytes"), 0, "{report}");
            }
            _ => assert_eq!(zero_copy, 0, "{name}: {report}"),
        }
    }
    let devmem = &reports[&("devmem", "receive")];
    let returns = &devmem["returns"];
    assert_eq!(returns["sum"], devmem["fragments"]["sum"], "{devmem}");
    assert!(returns["max"].as_u64().unwrap() <= 128, "{devmem}");
    assert_eq!(reports[&("transmit", "receive")]["nic"]["receive_ring"], 1024);
    // The same NIC, as nobody had touched it.
    assert_eq!(reports[&("before", "receive")]["nic"], reports[&("after", "receive")]["nic"]);
    assert!(text.contains("\nended 1\n"), "{}", said(&output));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("assay-bench: ended by SIGTERM"), "{err}");
}
