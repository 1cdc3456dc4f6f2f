//! Arguments are understood as they are rendered and written, and what makes no sense is told.

use proptest::prelude::*;

use super::*;

fn asked(arguments: &[String]) -> Result<Ask, String> {
    let all = std::iter::once("assay-bench".to_owned()).chain(arguments.iter().cloned());
    Cli::try_parse_from(all).map_err(|error| error.to_string())?.ask().map_err(|failure| failure.to_string())
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn ring() -> impl Strategy<Value = Ring> {
    (64_u64 << 10..1 << 30, 0..=15_u32, any::<bool>()).prop_map(|(area, power, no_iowait)| Ring {
        area,
        refill_entries: 1 << power,
        no_iowait,
    })
}

fn receive_mode() -> impl Strategy<Value = ReceiveMode> {
    prop_oneof![
        Just(ReceiveMode::Plain),
        Just(ReceiveMode::TcpZerocopy),
        (64_u64 << 10..1 << 30, 1..=1024_u32, 0..5000_u32).prop_map(|(udmabuf, batch, accumulate)| {
            ReceiveMode::Devmem { udmabuf, tokens: Tokens { batch, accumulate } }
        }),
        ring().prop_map(ReceiveMode::Zcrx),
        ring().prop_map(ReceiveMode::ZcrxNodev),
    ]
}

prop_compose! {
    fn nic()(
        queue in 0..8_u32, steer in any::<bool>(), header_split in any::<Option<bool>>(),
        header_split_threshold in any::<Option<u32>>(), hardware_gro in any::<Option<bool>>(),
        receive_ring in any::<Option<u32>>(),
    ) -> Nic {
        let interface = "zs0".to_owned();
        Nic { interface, queue: Some(queue), steer, header_split, header_split_threshold, hardware_gro, receive_ring }
    }
}

prop_compose! {
    fn receive()(
        mode in receive_mode(), address in any::<IpAddr>(), port in 1..60000_u16, flows in 1..=1024_u16,
        read_size in READ_SIZE, verify in any::<bool>(), nic in nic(), cpu in any::<Option<u32>>(),
        softirq_cpu in any::<Option<u32>>(), mark in any::<Option<u32>>(), deadline in 0..1_000_000_u64,
    ) -> Receive {
        let deadline = Duration::from_millis(deadline);
        Receive { mode, address, port, flows, read_size, verify, nic: Some(nic), cpu, softirq_cpu, mark, deadline }
    }
}

prop_compose! {
    fn send()(
        mode in prop_oneof![
            Just(SendMode::Plain), Just(SendMode::Zerocopy), Just(SendMode::Devmem),
            any::<bool>().prop_map(|no_iowait| SendMode::UringZerocopy { no_iowait }),
        ],
        address in any::<IpAddr>(), port in 1..60000_u16, flows in 1..=1024_u16, message_size in 1..=MOST_MESSAGE,
        amount in prop_oneof![
            any::<u64>().prop_map(Amount::Bytes),
            (0..1_000_000_u64).prop_map(|time| Amount::Duration(Duration::from_millis(time))),
        ],
        verify in any::<bool>(), cpu in any::<Option<u32>>(), mark in any::<Option<u32>>(), deadline in 0..1_000_000_u64,
    ) -> Send {
        let (interface, deadline) = (Some("zs0".to_owned()), Duration::from_millis(deadline));
        Send { mode, address, port, flows, message_size, amount, verify, interface, cpu, mark, deadline }
    }
}

proptest! {
    #[test]
    fn what_is_asked_is_understood(ask in prop_oneof![receive().prop_map(Ask::Receive), send().prop_map(Ask::Send)]) {
        prop_assert_eq!(asked(&ask.arguments()), Ok(ask));
    }
}

#[test]
fn people_write_units_and_leave_out_what_is_usual() {
    let Ok(Ask::Receive(receive)) =
        asked(&words("receive --mode devmem --address 192.0.2.1 --interface zs0 --queue 1 --udmabuf 32MiB"))
    else {
        panic!("not understood");
    };
    let tokens = Tokens { batch: 1024, accumulate: 0 };
    assert_eq!(receive.mode, ReceiveMode::Devmem { udmabuf: 32 << 20, tokens });
    assert_eq!((receive.port, receive.read_size, receive.deadline.as_secs()), (5300, 1 << 20, 120));
    let Ok(Ask::Receive(receive)) = asked(&words("receive --mode zcrx-nodev --address ::1")) else {
        panic!("not understood");
    };
    assert_eq!((receive.read_size, receive.nic), (0, None));
}

#[test]
fn what_makes_no_sense_is_told_in_a_sentence() {
    for (line, told) in [
        ("receive --mode plain --address ::1 --area 1MiB", "--area is for zcrx and zcrx-nodev only"),
        ("receive --mode zcrx --address ::1", "zcrx needs --interface and --queue"),
        ("receive --mode devmem --address ::1 --interface zs0", "devmem needs --interface and --queue"),
        ("receive --mode plain --address ::1 --hardware-gro on", "needs its name: --interface"),
        (
            "receive --mode plain --address ::1 --read-size 65MiB",
            "--read-size 68157440 is not 4096 to 67108864 bytes",
        ),
        (
            "receive --mode zcrx-nodev --address ::1 --refill-entries 3",
            "--refill-entries 3 is no power of two",
        ),
        (
            "receive --mode devmem --address ::1 --interface zs0 --queue 1 --token-batch 1025",
            "--token-batch 1025 is not 1 to 1024",
        ),
        (
            "send --mode plain --address ::1 --bytes 1MiB --no-iowait",
            "--no-iowait is for uring-zerocopy only",
        ),
        ("send --mode devmem --address ::1 --bytes 1", "devmem needs --interface"),
        ("send --mode plain --address ::1 --bytes 1MB", "`1MB` is no size"),
        ("send --mode plain --address ::1", "--bytes"),
        ("send --mode plain --address ::1 --bytes 1 --port 65535", "go beyond 65535"),
    ] {
        let error = asked(&words(line)).unwrap_err();
        assert!(error.contains(told), "{line}: {error}");
    }
}
