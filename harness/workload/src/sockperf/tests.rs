use std::path::Path;

use measure::Traffic;
use proptest::prelude::*;

use super::*;
use crate::{Findings, ParseError};

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/sockperf");
    std::fs::read(folder.join(name)).expect("the fixture is there")
}

fn params(mode: SockperfMode, transport: Transport) -> Sockperf {
    Sockperf { mode, transport, message_bytes: 64, seconds: 2 }
}

fn ping_pong() -> Sockperf {
    params(SockperfMode::PingPong, Transport::Tcp)
}

fn value(findings: &Findings, metric: &str, percentile: Option<&str>) -> f64 {
    let matching = findings.samples.iter().filter(|sample| {
        sample.metric == metric && sample.dims.get("percentile").map(String::as_str) == percentile
    });
    let values: Vec<f64> = matching.map(|sample| sample.value).collect();
    assert_eq!(values.len(), 1, "{metric} {percentile:?}");
    values[0]
}

#[test]
fn arguments_of_both_sides() {
    let server = "192.0.2.1".parse().unwrap();
    let under_load = Sockperf {
        mode: SockperfMode::UnderLoad { messages_per_second: 5000 },
        transport: Transport::Udp,
        message_bytes: 1400,
        seconds: 10,
    };
    let lines = [ping_pong(), under_load].map(|params| {
        format!("{}\n{}", server_argv(&params, server).join(" "), client_argv(&params, server).join(" "))
    });
    insta::assert_snapshot!(lines.join("\n"), @r"
    sockperf server --ip 192.0.2.1 --port 11111 --tcp
    sockperf ping-pong --ip 192.0.2.1 --port 11111 --tcp --msg-size 64 --time 2
    sockperf server --ip 192.0.2.1 --port 11111
    sockperf under-load --ip 192.0.2.1 --port 11111 --msg-size 1400 --time 10 --mps 5000 --reply-every 100
    ");
}

#[test]
fn reads_every_percentile_of_a_ping_pong() {
    let findings = parse(&ping_pong(), &fixture("ping-pong-tcp.txt")).unwrap();
    assert_eq!(findings.unavailable, Vec::<String>::new());
    assert_eq!(findings.traffic, Traffic::TcpMessages);
    let rows =
        findings.samples.iter().map(|sample| format!("{} {:?} {}", sample.metric, sample.dims, sample.value));
    insta::assert_snapshot!(rows.collect::<Vec<_>>().join("\n"));
}

#[test]
fn reads_large_messages_and_udp() {
    let large = parse(&ping_pong(), &fixture("ping-pong-tcp-large.txt")).unwrap();
    assert_eq!(large.samples.len(), 14);
    let udp = parse(&params(SockperfMode::PingPong, Transport::Udp), &fixture("ping-pong-udp.txt")).unwrap();
    assert_eq!(udp.traffic, Traffic::UdpMessages);
    assert_eq!(udp.samples.len(), 14);
}

#[test]
fn the_rate_under_load_is_the_one_that_was_asked_for() {
    let mode = SockperfMode::UnderLoad { messages_per_second: 20_000 };
    for (name, transport) in [("under-load-tcp.txt", Transport::Tcp), ("under-load-udp.txt", Transport::Udp)]
    {
        let findings = parse(&params(mode, transport), &fixture(name)).unwrap();
        let rate = value(&findings, "message-rate", None);
        assert!((rate - 20_000.0).abs() < 200.0, "{name}: {rate}");
        assert_eq!(value(&findings, "message-loss", None), 0.0);
    }
}

#[test]
fn loss_is_what_was_dropped_of_what_should_have_been_answered() {
    let text = String::from_utf8(fixture("under-load-udp-lossy.txt")).unwrap();
    let number = |name: &str| -> f64 {
        let digits = &text[text.rfind(name).unwrap() + name.len()..];
        digits.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    let (dropped, received) = (number("dropped messages = "), number("ReceivedMessages="));
    assert!(dropped > 0.0, "the fixture was made on a link that drops");
    let mode = SockperfMode::UnderLoad { messages_per_second: 1000 };
    let findings = parse(&params(mode, Transport::Udp), text.as_bytes()).unwrap();
    assert_eq!(value(&findings, "message-loss", None), 100.0 * dropped / (dropped + received));
}

#[test]
fn an_error_is_told_in_sockperfs_own_words() {
    let said = [
        "refused.txt",
        "server-killed-tcp.txt",
        "server-killed-udp.txt",
        "no-server-udp.txt",
        "no-observations.txt",
        "interrupted-in-warm-up.txt",
        "bad-size.txt",
        "client-killed.txt",
    ]
    .map(|name| format!("{name}: {}", parse(&ping_pong(), &fixture(name)).unwrap_err()));
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn latencies_of_a_disturbed_clock_are_unavailable_and_the_loss_is_not() {
    // The fixture ran for 2.0 s by its own clock.
    let params = Sockperf { seconds: 3, ..ping_pong() };
    let findings = parse(&params, &fixture("ping-pong-tcp.txt")).unwrap();
    let metrics: Vec<&str> = findings.samples.iter().map(|sample| sample.metric.as_str()).collect();
    assert_eq!(metrics, ["message-loss"]);
    assert_eq!(findings.unavailable.len(), 4);
    assert!(findings.unavailable[0].contains("calibration"), "{}", findings.unavailable[0]);
}

#[test]
fn percentiles_out_of_order_are_refused() {
    let text = String::from_utf8(fixture("ping-pong-tcp.txt")).unwrap();
    let start = text.find("percentile 50.000").unwrap();
    let line = text[start..].lines().next().unwrap();
    let broken = text.replace(line, "percentile 50.000 = 99999.000");
    assert!(matches!(parse(&ping_pong(), broken.as_bytes()), Err(ParseError::Contradiction { .. })));
}

#[test]
fn a_cut_output_is_an_error_or_complete() {
    for name in ["ping-pong-tcp.txt", "under-load-udp-lossy.txt", "server-killed-tcp.txt"] {
        let whole = fixture(name);
        let params = ping_pong();
        let complete = parse(&params, &whole).ok();
        for end in 0..whole.len() {
            if let Ok(findings) = parse(&params, &whole[..end]) {
                assert_eq!(Some(findings), complete, "{name} cut at {end}");
            }
        }
    }
}

proptest! {
    #[test]
    fn no_input_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0_usize..1300) {
        drop(parse(&ping_pong(), &bytes));
        let mut text = fixture("ping-pong-tcp.txt");
        let at = at.min(text.len());
        text.splice(at..at, bytes);
        drop(parse(&ping_pong(), &text));
    }
}
