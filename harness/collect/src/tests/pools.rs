//! Page pools and drivers' counters.

use super::{counters::side, *};

/// One side's files of a captured window in which so many bytes were received.
fn captured(folder: &str, bytes: u64) -> Window {
    let (server, client) = (side(folder, "server"), side(folder, "client"));
    let sides = if server.after.is_empty() { Sides::OneNamespace } else { Sides::TwoGuests };
    Window {
        server,
        client,
        elapsed: Duration::from_secs(1),
        traffic: Traffic::Bulk(Payload { client_to_server: Some(bytes), server_to_client: Some(0) }),
        ..Window::empty(sides)
    }
}

#[test]
fn a_pool_made_in_the_window_began_with_zeros() {
    // netdevsim allocated and freed 50 pages, one at a time: the first trip to the page allocator brought 64 of them.
    insta::assert_snapshot!(rows(&reduce(&[Collector::PagePool], &captured("netdevsim-made", 50 * 4096))));
}

#[test]
fn a_pool_counts_from_the_reading_before() {
    insta::assert_snapshot!(rows(&reduce(&[Collector::PagePool], &captured("netdevsim-used", 50 * 4096))));
}

#[test]
fn emulated_nics_have_no_pool_and_drivers_count_what_they_like() {
    let window = captured("igb-virtio", 1 << 20);
    insta::assert_snapshot!(rows(&reduce(&[Collector::PagePool, Collector::Ethtool], &window)));
}

/// A netlink message, or an attribute: what is before its length, its payload, and room up to a multiple of four.
fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + payload.len()).unwrap();
    let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), payload].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap();
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8], body].concat()
}

const DONE: u16 = 3;
const FAMILY: u16 = 25;

/// A dump of messages with these attributes.
fn dump(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes: Vec<u8> = messages
        .iter()
        .flat_map(|body| message(FAMILY, 2, &[&[5, 1, 0, 0], body.as_slice()].concat()))
        .collect();
    bytes.extend(message(DONE, 2, &[0; 4]));
    bytes
}

/// A pool's number, its interface's, and buffers that are out.
fn pool(id: u32, interface: u32, inflight: u64) -> Vec<u8> {
    [
        attribute(1, &id.to_ne_bytes()),
        attribute(2, &interface.to_ne_bytes()),
        attribute(4, &inflight.to_ne_bytes()),
    ]
    .concat()
}

/// A pool's statistics, all of 64 bits as large counts are.
fn statistics(id: u32, interface: u32, counts: [u64; 11]) -> Vec<u8> {
    let info = [attribute(1, &id.to_ne_bytes()), attribute(2, &interface.to_ne_bytes())].concat();
    let mut body = attribute(1 | 0x8000, &info);
    for (kind, count) in (8_u16..).zip(counts) {
        body.extend(attribute(kind, &count.to_ne_bytes()));
    }
    body
}

/// A second on a guest with the interfaces eth0 (2) and eth1 (3), around a hundred pages, and these dumps.
fn between(before: [Vec<u8>; 2], after: [Vec<u8>; 2]) -> Window {
    let dev = "a\nb\neth0: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\neth1: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
    let files = |clock: &str, [pools, statistics]: [Vec<u8>; 2]| -> Files {
        [
            ("clock:monotonic", clock.into()),
            ("/proc/net/dev", dev.into()),
            ("/sys/class/net/eth0/ifindex", "2\n".into()),
            ("/sys/class/net/eth1/ifindex", "3\n".into()),
            ("netlink:netdev/5", pools),
            ("netlink:netdev/9", statistics),
        ]
        .into_iter()
        .map(|(path, content)| (path.to_owned(), Ok(content)))
        .collect()
    };
    let client = SideFiles { before: files("5\n", before), after: files("1000000005\n", after) };
    Window { client, sides: Sides::OneNamespace, ..captured("netdevsim-used", 100 * 4096) }
}

/// A NIC with a pool for each of two queues, as mlx5 has.
fn two_queues() -> Window {
    let pools = |inflight| dump(&[pool(7, 2, inflight), pool(6, 2, 1000), pool(1, 3, 4)]);
    let counts = |factor: u64| {
        dump(&[
            statistics(7, 2, [1000, 10, 5, 15, 30, 0, 700, 40, 200, 50, 50].map(|count| count * factor)),
            statistics(6, 2, [1, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0].map(|count| count * factor)),
            statistics(1, 3, [0; 11]),
        ])
    };
    between([pools(5), counts(1)], [pools(24), counts(2)])
}

#[test]
fn pools_of_an_interface_are_summed() {
    let reduced = reduce(&[Collector::PagePool], &two_queues());
    assert!(reduced.samples.iter().all(|sample| sample.provenance == Provenance::Netlink));
    insta::assert_snapshot!(rows(&reduced));
}

#[test]
fn a_pool_that_goes_takes_its_counts_along() {
    let one = |id| [dump(&[pool(id, 2, 0)]), dump(&[statistics(id, 2, [1; 11])])];
    let reduced = reduce(&[Collector::PagePool], &between(one(1), one(2)));
    assert_eq!(reduced.samples, []);
    assert!(reduced.unavailable[0].ends_with("pools went during the workload, and their counts with them"));
}

#[test]
fn a_dump_that_is_not_whole_is_told() {
    let told = |statistics: Vec<u8>| {
        let good = [dump(&[pool(1, 2, 0)]), dump(&[])];
        let reduced = reduce(&[Collector::PagePool], &between(good.clone(), [good[0].clone(), statistics]));
        assert_eq!(reduced.samples, []);
        reduced.unavailable.join("\n")
    };
    assert!(told(vec![]).ends_with("netlink:netdev/9: the dump has no end"));
    assert!(told(vec![1, 2, 3]).ends_with("the dump is cut off"));
    assert!(told(message(FAMILY, 2, &[9, 1])).ends_with("a message has no generic header"));
    assert!(told(message(FAMILY, 2, &[9, 1, 0, 0, 3, 0, 1, 0])).ends_with("an attribute is cut off"));
    assert!(told(message(FAMILY, 0x12, &[9, 1, 0, 0])).ends_with("what was dumped changed meanwhile"));
    assert!(told(dump(&[statistics(1, 2, [0; 11])[..24].to_vec()])).contains("netlink:netdev/9"));
    assert!(told(dump(&[attribute(1, &attribute(1, &[1, 2, 3]))])).ends_with("a number of 3 bytes"));
}

#[test]
fn a_kernel_without_the_family_says_so() {
    let mut window = two_queues();
    let why = "the kernel has no generic netlink family `netdev`";
    window.client.before.insert("netlink:netdev/5".into(), Err(why.into()));
    let reduced = reduce(&[Collector::PagePool], &window);
    assert_eq!(reduced.samples, []);
    assert!(reduced.unavailable[0].ends_with(why), "{reduced:?}");
}

#[test]
fn counters_with_one_name_are_told_apart_and_levels_left_out() {
    let clock = ("clock:monotonic", "0\n", "2000000000\n");
    let eth0 = (
        "ethtool-stats:eth0",
        "rx: 1\nrx: 5\nname: with colon: 3\nlevel: 9\nnever: 0\n",
        "rx: 3\nrx: 15\nname: with colon: 3\nlevel: 8\nnever: 0\n",
    );
    let reduced = reduce(&[Collector::Ethtool], &changed(&[clock, eth0]));
    insta::assert_snapshot!(rows(&reduced));
    let eth0 = (eth0.0, eth0.1, "rx: 3\n");
    let reduced = reduce(&[Collector::Ethtool], &changed(&[clock, eth0]));
    insta::assert_snapshot!(rows(&reduced));
}

proptest! {
    #[test]
    fn no_dump_makes_it_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
        at in any::<proptest::sample::Index>(),
        length in 0_usize..64,
        which in 0_usize..2,
    ) {
        let mut window = two_queues();
        let path = ["netlink:netdev/5", "netlink:netdev/9"][which];
        let dump = window.client.after.get_mut(path).unwrap().as_mut().unwrap();
        let start = at.index(dump.len());
        let end = (start + length).min(dump.len());
        dump.splice(start..end, bytes);
        drop(reduce(&[Collector::PagePool], &window));
    }

    #[test]
    fn no_counters_make_it_panic(before in ".{0,100}", after in ".{0,100}") {
        let eth0 = ("ethtool-stats:eth0", &*format!("{before}\n"), &*format!("{after}\n"));
        drop(reduce(&[Collector::Ethtool], &changed(&[("clock:monotonic", "0\n", "1\n"), eth0])));
    }
}
