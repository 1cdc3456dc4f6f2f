//! Collectors of plain counters, on what real kernels said.

use super::*;

const COUNTERS: [Collector; 6] = [
    Collector::Interrupts,
    Collector::Softirqs,
    Collector::Context,
    Collector::Softnet,
    Collector::Cpuidle,
    Collector::Memory,
];

/// Everything in a folder of captured files that one side has of one moment.
fn readings(folder: &str, side: &str, moment: &str) -> Files {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/proc").join(folder);
    let mut files = Files::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(name) = name.strip_prefix(&format!("{side}-{moment}.")) else { continue };
        let bytes = std::fs::read(&path).unwrap();
        match name {
            "sys.txt" => files.extend(sysfs(&String::from_utf8(bytes).unwrap())),
            "clock-monotonic" => drop(files.insert("clock:monotonic".into(), Ok(bytes))),
            _ if name.starts_with("netlink-netdev-") => {
                files.insert(name.replacen("netlink-netdev-", "netlink:netdev/", 1), Ok(bytes));
            }
            _ if name.starts_with("ethtool-stats-") => {
                files.insert(name.replacen("ethtool-stats-", "ethtool-stats:", 1), Ok(bytes));
            }
            _ => {
                let path = match name.strip_prefix("proc-net-") {
                    Some(name) => format!("/proc/net/{name}"),
                    None => format!("/proc/{}", name.strip_prefix("proc-").unwrap()),
                };
                files.insert(path, Ok(bytes));
            }
        }
    }
    files
}

/// Files that stand one after the other, each after a line `== PATH`.
fn sysfs(text: &str) -> Files {
    let file = |part: &str| {
        let (path, content) = part.split_once('\n').unwrap();
        (path.to_owned(), Ok(content.as_bytes().to_vec()))
    };
    text.split("== ").skip(1).map(file).collect()
}

pub(super) fn side(folder: &str, side: &str) -> SideFiles {
    SideFiles { before: readings(folder, side, "before"), after: readings(folder, side, "after") }
}

/// iperf3 from client to server between two guests with two cores each; so many bytes were received.
fn guests(folder: &str, bytes: u64) -> Window {
    Window {
        server: side(folder, "server"),
        client: side(folder, "client"),
        elapsed: Duration::from_secs(5),
        traffic: Traffic::Bulk(Payload { client_to_server: Some(bytes), server_to_client: Some(0) }),
        ..Window::empty(Sides::TwoGuests)
    }
}

fn lab() -> Window {
    guests("lab-2-cores", 88_080_384)
}

#[test]
fn a_lab_kernel_with_igb_and_virtio() {
    insta::assert_snapshot!(rows(&reduce(&COUNTERS, &lab())));
}

#[test]
fn a_distributions_kernel_counts_its_pages() {
    insta::assert_snapshot!(rows(&reduce(&COUNTERS, &guests("cloud-2-cores", 108_658_688))));
}

#[test]
fn haltpoll_polls_and_halts() {
    let client = side("haltpoll-2-cores", "client");
    let window = Window { client, sides: Sides::OneNamespace, ..lab() };
    insta::assert_snapshot!(rows(&reduce(&[Collector::Cpuidle], &window)));
}

/// A window of one guest in which the clock went on by so many seconds.
fn after(seconds: u64, files: &[(&str, &str, &str)]) -> Window {
    let end = format!("{}\n", 7 + seconds * 1_000_000_000);
    changed(&[&[("clock:monotonic", "7\n", &*end)], files].concat())
}

#[test]
fn states_of_intel_idle_are_shares_of_the_time_between_the_readings() {
    // Names as in drivers/idle/intel_idle.c, `spr_cstates`; times in microseconds.
    let state = |core: u32, number: u32, name: &str, time: [u64; 2], usage: [u64; 2]| {
        let file = |what: &str| format!("/sys/devices/system/cpu/cpu{core}/cpuidle/state{number}/{what}");
        let line = |value: u64| format!("{value}\n");
        vec![
            (file("name"), format!("{name}\n"), format!("{name}\n")),
            (file("time"), line(time[0]), line(time[1])),
            (file("usage"), line(usage[0]), line(usage[1])),
        ]
    };
    let files: Vec<_> = [
        state(0, 0, "POLL", [5, 5], [1, 1]),
        state(0, 1, "C1", [0, 200_000], [0, 100]),
        state(0, 2, "C1E", [10, 400_010], [3, 7]),
        state(0, 3, "C6", [0, 1_000_000], [0, 2]),
        state(1, 0, "POLL", [0, 100_000], [0, 50]),
        state(1, 1, "C1", [0, 0], [0, 0]),
        state(1, 2, "C1E", [0, 0], [0, 0]),
        state(1, 3, "C6", [9, 1_000_009], [0, 4]),
    ]
    .concat();
    let files: Vec<_> = files.iter().map(|(path, before, after)| (&**path, &**before, &**after)).collect();
    let reduced = reduce(&[Collector::Cpuidle], &after(2, &files));
    assert_eq!(reduced.unavailable, Vec::<String>::new());
    assert!(reduced.samples.iter().all(|sample| sample.provenance == Provenance::Sysfs));
    let of = |metric: &str, core: &str| -> Vec<(String, f64)> {
        let all = values(&reduced, metric).into_iter().filter(|(dims, _)| dims[0] == core);
        all.map(|(dims, value)| (dims[2].clone(), value)).collect()
    };
    let expected = |numbers: [f64; 4]| -> Vec<(String, f64)> {
        // In the order of the names.
        ["C1", "C1E", "C6", "POLL"].map(str::to_owned).into_iter().zip(numbers).collect()
    };
    assert_eq!(of("idle-residency", "0"), expected([10.0, 20.0, 50.0, 0.0]));
    assert_eq!(of("idle-residency", "1"), expected([0.0, 0.0, 50.0, 5.0]));
    assert_eq!(of("idle-residency", "all"), expected([5.0, 10.0, 50.0, 2.5]));
    assert_eq!(of("idle-entries", "all"), expected([50.0, 2.0, 3.0, 25.0]));
}

#[test]
fn a_kernel_without_idle_states_says_which_driver_it_has() {
    let driver = "/sys/devices/system/cpu/cpuidle/current_driver";
    let reduced = reduce(&[Collector::Cpuidle], &after(1, &[(driver, "none\n", "none\n")]));
    let expected = "idle-residency, idle-entries (side guest): the kernel has no idle states to tell of (cpuidle driver: none)";
    assert_eq!((reduced.samples, reduced.unavailable), (vec![], vec![expected.to_owned()]));
}

const NO_INTERFACE: &str = "a\nb\nlo: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

/// A kernel with these interfaces and rows of interrupts, as they stood after a second and one page of payload.
fn interrupted(interfaces: &str, before: &str, later: &str) -> Reduced {
    let dev = interfaces.split_whitespace().map(|name| format!("{name}: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"));
    let dev = dev.fold(NO_INTERFACE.to_owned(), |dev, line| dev + &line);
    let table = |rows: &str| format!("      CPU0  CPU1\n{rows}");
    let files = [("/proc/interrupts", &*table(before), &*table(later)), ("/proc/net/dev", &*dev, &*dev)];
    reduce(&[Collector::Interrupts], &after(1, &files))
}

#[test]
fn vectors_of_nics_are_known_by_their_names() {
    let rows = "\
        10:  0  100  PCI-MSI 1-edge  ahci[0000:00:1f.2]\n\
        24:  0  0  PCI-MSIX-0000:00:05.0   0-edge      eth0\n\
        25:  0  3  PCI-MSIX-0000:00:05.0   1-edge      eth0-TxRx-0\n\
        26:  0  5  IR-PCI-MSIX-0000:17:00.0    1-edge      idpf-ens1f0-TxRx-12\n\
        27:  7  0     GICv3  27 Level     eth0-rx-0, other\n\
        28:  0  0  PCI-MSIX-0000:08:00.0   3-edge      mlx5_comp2@pci:0000:08:00.0\n\
        29:  1  1  PCI-MSIX-0000:08:00.0   0-edge      mlx5_async0@pci:0000:08:00.0\n\
        30:  9  9  PCI-MSIX-0000:09:00.0   1-edge      eth00-rx-0\n\
        31:  9  9  PCI-MSIX-0000:09:00.0   1-edge      virtio0-input.0\n\
        LOC:  50  50  Local timer interrupts\n\
        ERR:  12\n";
    let zero: String = rows
        .lines()
        .map(|line| {
            let (label, rest) = line.trim().split_once(':').unwrap();
            let numbers = rest.split_whitespace().take_while(|word| word.parse::<u32>().is_ok()).count();
            let words: Vec<&str> = rest.split_whitespace().skip(numbers.min(2)).collect();
            let zeros = ["0", "0"][..numbers.min(2)].join(" ");
            format!("{label}: {zeros} {}\n", words.join(" "))
        })
        .collect();
    let reduced = interrupted("eth0 ens1f0", &zero, rows);
    assert_eq!(values(&reduced, "nic-interrupts-per-page"), [(vec!["guest".to_owned()], 15.0)]);
    let all: Vec<f64> = values(&reduced, "interrupts").into_iter().map(|(_, value)| value).collect();
    assert_eq!(all, [76.0, 177.0, 253.0]);
    let sources: Vec<String> =
        values(&reduced, "interrupts-by-source").into_iter().map(|(mut dims, _)| dims.remove(1)).collect();
    assert!(sources.contains(&"eth0-rx-0, other".to_owned()), "{sources:?}");
    assert!(!sources.contains(&"eth0".to_owned()), "it never fired: {sources:?}");
    assert!(!sources.contains(&"ERR".to_owned()), "{sources:?}");
}

#[test]
fn without_a_nic_there_is_no_zero() {
    let rows = "LOC: 1 1 Local timer interrupts\n";
    let reduced = interrupted("", rows, rows);
    assert_eq!(values(&reduced, "nic-interrupts-per-page"), []);
    assert!(reduced.unavailable[0].ends_with("bears the name of a NIC: there is none"), "{reduced:?}");
    let reduced = interrupted("eth1", rows, rows);
    assert!(reduced.unavailable[0].ends_with("bears the name of eth1"), "{reduced:?}");
}

#[test]
fn counters_of_32_bits_start_again_and_others_do_not() {
    let before = "LOC: 4294967290 5 Local timer interrupts\n";
    let reduced = interrupted("", before, "LOC: 4 5 Local timer interrupts\n");
    assert_eq!(values(&reduced, "interrupts")[0].1, 10.0);
    let reduced = interrupted("", before, "LOC: 4294967289 5 Local timer interrupts\n");
    assert!(rows(&reduced).contains("LOC of core 0 went back"), "{reduced:?}");
    let stat = |count: u64| format!("cpu 0\nctxt {count}\nprocesses 1\n");
    let files = [("/proc/stat", &*stat(4_294_967_290), &*stat(4))];
    let reduced = reduce(&[Collector::Context], &after(1, &files));
    assert!(rows(&reduced).contains("ctxt went back"), "{reduced:?}");
    assert_eq!(values(&reduced, "forks"), [(vec!["guest".to_owned()], 0.0)]);
}

#[test]
fn both_namespaces_of_a_kernel_have_nics() {
    let mut window = lab();
    window.sides = Sides::TwoNamespaces;
    let dev = |name: &str| format!("a\nb\n{name}: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n").into_bytes();
    window.client.after.insert("/proc/net/dev".into(), Ok(dev("eth1")));
    window.server.after.insert("/proc/net/dev".into(), Ok(dev("eth0")));
    let row = |eth0: u32, eth1: u32| {
        let row = format!("CPU0\n1: {eth0} PCI 1-edge eth0-rx\n2: {eth1} PCI 1-edge eth1-rx\n");
        Ok(row.into_bytes())
    };
    window.client.before.insert("/proc/interrupts".into(), row(0, 0));
    window.client.after.insert("/proc/interrupts".into(), row(1, 2));
    window.traffic = Traffic::Bulk(Payload { client_to_server: Some(4096), server_to_client: Some(0) });
    let reduced = reduce(&[Collector::Interrupts], &window);
    assert_eq!(values(&reduced, "nic-interrupts-per-page"), [(vec!["guest".to_owned()], 3.0)]);
}

#[test]
fn steered_packets_and_packets_are_counted_by_core() {
    let line = |packets: u32, steered: u32, core: u32| {
        format!("{packets:08x} 0 0 0 0 0 0 0 0 {steered:08x} 0 0 {core:08x} 0 0\n")
    };
    let before = line(u32::MAX, 10, 0) + &line(0, 0, 2);
    let later = line(9, 14, 0) + &line(6, 0, 2);
    let window = after(2, &[("/proc/net/softnet_stat", &before, &later)]);
    insta::assert_snapshot!(rows(&reduce(&[Collector::Softnet], &window)), @r"
    softnet-packets core=0 side=guest 5
    softnet-steered core=0 side=guest 2
    softnet-packets core=2 side=guest 3
    softnet-steered core=2 side=guest 0
    softnet-packets core=all side=guest 8
    softnet-steered core=all side=guest 2
    softnet-packets-per-page side=guest 16
    ");
}

#[test]
fn messages_have_no_pages_which_is_said_once() {
    let mut window = guests("cloud-2-cores", 0);
    window.traffic = Traffic::TcpMessages;
    let reduced = reduce(&COUNTERS, &window);
    assert!(reduced.samples.iter().all(|sample| !sample.metric.ends_with("per-page")));
    let told: Vec<&String> = reduced.unavailable.iter().filter(|why| why.contains("bulk payload")).collect();
    insta::assert_snapshot!(told[0], @"nic-interrupts-per-page, net-rx-softirqs-per-page, context-switches-per-page, softnet-packets-per-page, page-allocations-per-page: the workload moves no bulk payload");
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn without_the_clock_there_is_no_rate_but_all_else() {
    let mut window = lab();
    window.server.after.insert("clock:monotonic".into(), Err("gone".into()));
    let reduced = reduce(&COUNTERS, &window);
    let rates = ["interrupts", "softirqs", "context-switches", "softnet-packets", "forks"];
    for metric in rates {
        assert!(
            values(&reduced, metric).iter().all(|(dims, _)| !dims.contains(&"server".to_owned())),
            "{metric}"
        );
        assert!(reduced.unavailable.iter().any(|why| why.contains(metric)), "{metric}");
    }
    assert_eq!(values(&reduced, "nic-interrupts-per-page").len(), 2);
}

#[test]
fn every_metric_is_known_with_its_dimensions() {
    for window in [lab(), guests("cloud-2-cores", 1 << 20)] {
        for sample in reduce(&COUNTERS, &window).samples {
            let metric = measure::metric::find(&sample.metric).expect("it is in the table");
            let mut dims = metric.dims.to_vec();
            dims.sort_unstable();
            assert_eq!(sample.dims.keys().map(String::as_str).collect::<Vec<_>>(), dims, "{}", sample.metric);
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_told() {
    for window in [
        guests("cloud-2-cores", 1 << 20),
        Window { client: side("haltpoll-2-cores", "client"), sides: Sides::OneNamespace, ..lab() },
    ] {
        let whole = reduce(&COUNTERS, &window);
        for (path, content) in &window.client.after {
            let length = content.as_ref().unwrap().len();
            for end in (0..length).filter(|end| *end < 100 || end % 41 == 0 || end + 20 > length) {
                for early in [true, false] {
                    let mut cut = window.clone();
                    let files = if early { &mut cut.client.before } else { &mut cut.client.after };
                    files.get_mut(path).unwrap().as_mut().unwrap().truncate(end);
                    assert_same_or_said(&reduce(&COUNTERS, &cut), &whole, &format!("{path} cut at {end}"));
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn no_content_makes_it_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        which in any::<proptest::sample::Index>(),
        at in any::<proptest::sample::Index>(),
    ) {
        let mut window = lab();
        let paths: Vec<String> = window.client.after.keys().cloned().collect();
        let path = which.get(&paths);
        window.server.before.insert(path.clone(), Ok(bytes.clone()));
        let after = window.client.after.get_mut(path).unwrap().as_mut().unwrap();
        let at = at.index(after.len() + 1);
        after.splice(at..at, bytes);
        drop(reduce(&COUNTERS, &window));
    }
}
