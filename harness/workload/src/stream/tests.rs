//! Reports as `assay-bench` wrote them in a guest.

use flow::Report;
use measure::{Files, SideFiles, Traffic};
use plan::{Amount, BigTcp, Cores, Receive, Roi, Send, Stream, StreamNic, Zcrx};

use super::{Reports, not_taken, parse, stat};

fn output(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/assay-bench");
    std::fs::read(format!("{folder}/{name}.json")).unwrap()
}

fn reports(name: &str) -> Reports {
    Reports::read(&output(&format!("{name}.server")), &output(&format!("{name}.client"))).unwrap()
}

const ZCRX: Zcrx = Zcrx { area_bytes: 64 << 20, refill_entries: 4096, no_iowait: false };
const DEVMEM: Receive = Receive::Devmem { udmabuf_bytes: 64 << 20, token_batch: 1024, accumulate: 0 };

fn stream(receive: Receive, send: Send) -> Stream {
    Stream {
        receive,
        send,
        flows: 1,
        amount: Amount::Bytes(64 << 20),
        read_bytes: 4 << 20,
        message_bytes: 1 << 20,
        verify: false,
        cores: Cores::One,
        nic: StreamNic {
            header_split: None,
            header_split_threshold: None,
            hardware_gro: None,
            receive_ring: None,
            steer: true,
        },
        big_tcp: BigTcp::default(),
        least_zero_copy: 0.9,
        roi: Roi { throughput: 2.0, power: 1.0 },
    }
}

fn stat(busy: u64, idle: u64) -> Files {
    let text = format!("cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 {busy} 0 0 {idle} 0 0 0 0 0 0\n");
    Files::from([(stat::STAT.to_owned(), Ok(text.into_bytes()))])
}

#[test]
fn what_both_sides_say_becomes_samples() {
    let around = SideFiles { before: stat(0, 0), after: stat(80, 20) };
    for (name, receive) in [("plain", Receive::Plain), ("devmem", DEVMEM), ("zcrx", Receive::Zcrx(ZCRX))] {
        let findings = parse(&stream(receive, Send::Plain), &reports(name), &[&around]);
        let [softirqs] = &findings.unavailable[..] else { panic!("{:?}", findings.unavailable) };
        assert!(softirqs.starts_with("softirq-time: one kernel"), "{softirqs}");
        assert!(
            matches!(findings.traffic, Traffic::Bulk(payload) if payload.client_to_server == Some(64 << 20))
        );
        let lines: Vec<String> = findings
            .samples
            .iter()
            .map(|sample| {
                let dims: Vec<_> = sample.dims.values().map(String::as_str).collect();
                format!("{} [{}] {:.4}", sample.metric, dims.join(" "), sample.value)
            })
            .collect();
        insta::assert_snapshot!(format!("samples-{name}"), lines.join("\n"));
    }
}

#[test]
fn two_kernels_have_softirqs_of_their_own() {
    let guest = |softirq: u64| {
        let line = format!("cpu  50 0 0 {} 0 0 {softirq} 0 0 0\ncpu0 0\n", 50 - softirq);
        let after = Files::from([(stat::STAT.to_owned(), Ok(line.into_bytes()))]);
        SideFiles { before: stat(0, 0), after }
    };
    let (server, client) = (guest(30), guest(10));
    let findings = parse(&stream(Receive::Plain, Send::Plain), &reports("plain"), &[&server, &client]);
    assert!(findings.unavailable.is_empty(), "{:?}", findings.unavailable);
    let of_side = |side: &str| {
        let of = |sample: &&measure::Sample| sample.metric == "softirq-time" && sample.dims["side"] == *side;
        findings.samples.iter().find(of).unwrap().value
    };
    assert_eq!((of_side("server"), of_side("client")), (30.0, 10.0));
}

#[test]
fn a_path_that_was_taken_is_not_doubted() {
    let taken = |name: &str, stream: &Stream| {
        let Reports { receiver, sender } = reports(name);
        assert_eq!(not_taken(stream, &receiver, &sender), None, "{name}");
    };
    taken("plain", &stream(Receive::Plain, Send::Plain));
    taken("devmem", &stream(DEVMEM, Send::Plain));
    taken("zcrx", &stream(Receive::Zcrx(ZCRX), Send::Plain));
    taken("msgzc", &stream(Receive::Plain, Send::MsgZerocopy));
    taken("sendzc", &stream(Receive::TcpZerocopyReceive, Send::SendZc { no_iowait: false }));
    let mut gro = stream(DEVMEM, Send::Plain);
    gro.nic.hardware_gro = Some(true);
    gro.big_tcp = BigTcp { gro_max_bytes: Some(128 << 10), gso_max_bytes: Some(128 << 10) };
    taken("gro", &gro);
}

#[test]
fn each_witness_of_a_path_that_was_not_taken_is_heard() {
    let why = |name: &str, stream: &Stream, change: &dyn Fn(&mut Report, &mut Report)| {
        let Reports { mut receiver, mut sender } = reports(name);
        change(&mut receiver, &mut sender);
        not_taken(stream, &receiver, &sender).unwrap_or_default()
    };
    let zcrx = stream(Receive::Zcrx(ZCRX), Send::Plain);
    assert_eq!(
        why("astray", &zcrx, &|_, _| {}),
        "receive: zcrx: 0 of 8388608 bytes went without a copy",
        "flows that no rule leads to the queue"
    );
    let starved = why("plain", &stream(Receive::Plain, Send::Plain), &|receiver, _| receiver.bytes = 0);
    assert_eq!(starved, "nothing arrived in the time that was given");
    let devmem = stream(DEVMEM, Send::Plain);
    // The application believes what the driver does not.
    let driver =
        why("devmem", &devmem, &|receiver, _| receiver.after.driver = receiver.before.driver.clone());
    assert!(driver.starts_with("receive: devmem: the NIC wrote 0 of 67108864 bytes"), "{driver}");
    let pools = why("devmem", &devmem, &|receiver, _| {
        receiver.after.page_pools.iter_mut().flatten().for_each(|pool| pool.provider = None);
    });
    assert!(pools.contains("no page pool"), "{pools}");
    let copies = why("zcrx", &zcrx, &|receiver, _| {
        receiver.zcrx_copies = Some(flow::Copies { count: 1, bytes: 32 << 20 });
    });
    assert_eq!(copies, "receive: zcrx: io_uring copied 33554432 of 67108864 bytes");
    let completions = why("msgzc", &stream(Receive::Plain, Send::MsgZerocopy), &|_, sender| {
        sender.completions = Some(flow::Completions { total: 32, copied: 32 });
    });
    assert_eq!(completions, "send: msg-zerocopy: 32 of 32 completions say that the kernel copied");

    let mut asked = stream(DEVMEM, Send::Plain);
    asked.nic.hardware_gro = Some(true);
    assert_eq!(why("devmem", &asked, &|_, _| {}), "hardware GRO was asked to be on, and is off");
    let unused = why("gro", &asked, &|receiver, _| receiver.after.queues = receiver.before.queues.clone());
    assert!(unused.starts_with("hardware GRO made no packet"), "{unused}");
    let mut big = stream(DEVMEM, Send::Plain);
    big.big_tcp.gro_max_bytes = Some(131_072);
    assert_eq!(why("devmem", &big, &|_, _| {}), "gro_ipv4_max_size was asked to be 131072, and is 65536");
}

#[test]
fn output_that_is_no_report_is_told_as_what_it_is() {
    let (server, client) = (output("plain.server"), output("plain.client"));
    let told = |server: &[u8], client: &[u8]| Reports::read(server, client).unwrap_err().to_string();
    assert!(told(&client, &server).contains("contradicts which side"));
    assert!(told(b"", &client).contains("incomplete"));
    assert!(told(&server[..server.len() / 2], &client).contains("cannot be read"));
}
