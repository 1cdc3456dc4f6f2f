use std::path::Path;

use measure::{Payload, Traffic};
use proptest::prelude::*;

use super::*;
use crate::{Findings, ParseError};

/// The oldest and the newest iperf3 that guests of Debian 12 and 13 have.
const VERSIONS: [&str; 2] = ["3.12", "3.18"];

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/iperf3");
    std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn both(version: &str, name: &str) -> (Vec<u8>, Vec<u8>) {
    let side = |side| fixture(&format!("{version}-{name}.{side}.json"));
    (side("client"), side("server"))
}

fn params(flows: u32, direction: Iperf3Direction, amount: Amount) -> Iperf3 {
    Iperf3 { flows, direction, amount, warmup_s: 0, message_bytes: 131_072, congestion: None }
}

/// What each pair of fixtures was asked for.
fn captured() -> Vec<(&'static str, Iperf3)> {
    use Iperf3Direction::{Both, ClientToServer, ServerToClient};
    let (seconds, bytes) = (Amount::Seconds(2), Amount::Bytes(67_108_864));
    let warm = |params| Iperf3 { warmup_s: 1, ..params };
    vec![
        ("tcp-1", params(1, ClientToServer, seconds)),
        ("tcp-4-warmup", warm(params(4, ClientToServer, seconds))),
        ("reverse-warmup", warm(params(1, ServerToClient, seconds))),
        ("bidir-2-warmup", warm(params(2, Both, seconds))),
        ("lossy", warm(params(2, ClientToServer, seconds))),
        ("lossy-bidir", params(1, Both, seconds)),
        ("bytes", params(1, ClientToServer, bytes)),
        ("bytes-2-warmup", warm(params(2, ClientToServer, bytes))),
        ("bytes-reverse", params(1, ServerToClient, bytes)),
        ("bytes-bidir", params(1, Both, bytes)),
        ("bytes-too-few", params(1, ClientToServer, Amount::Bytes(209_715_200))),
    ]
}

fn read(version: &str, name: &str, params: &Iperf3) -> Findings {
    let (client, server) = both(version, name);
    parse(params, &client, &server).unwrap_or_else(|error| panic!("{version}-{name}: {error}"))
}

fn value(findings: &Findings, metric: &str, direction: &str) -> f64 {
    let matching = findings
        .samples
        .iter()
        .filter(|sample| sample.metric == metric && sample.dims["direction"] == direction);
    let values: Vec<f64> = matching.map(|sample| sample.value).collect();
    assert_eq!(values.len(), 1, "{metric} {direction}");
    values[0]
}

#[test]
fn arguments_of_both_sides() {
    let server = "192.0.2.1".parse().unwrap();
    let by_time = Iperf3 { warmup_s: 1, ..params(1, Iperf3Direction::ClientToServer, Amount::Seconds(4)) };
    let by_bytes = Iperf3 {
        congestion: Some("cubic".to_owned()),
        ..params(4, Iperf3Direction::Both, Amount::Bytes(1 << 30))
    };
    let reverse = Iperf3 { warmup_s: 2, ..params(128, Iperf3Direction::ServerToClient, Amount::Seconds(60)) };
    let lines = [by_time, by_bytes, reverse].map(|params| {
        format!("{}\n{}", server_argv(&params).join(" "), client_argv(&params, server).join(" "))
    });
    insta::assert_snapshot!(lines.join("\n"), @r"
    iperf3 --server --one-off --json --port 5201 --interval 1
    iperf3 --client 192.0.2.1 --port 5201 --interval 1 --connect-timeout 10000 --parallel 1 --length 131072 --time 4 --omit 1 --json
    iperf3 --server --one-off --json --port 5201 --interval 0.1
    iperf3 --client 192.0.2.1 --port 5201 --interval 0.1 --connect-timeout 10000 --parallel 4 --length 131072 --bytes 1073741824 --congestion cubic --bidir --json
    iperf3 --server --one-off --json --port 5201 --interval 1
    iperf3 --client 192.0.2.1 --port 5201 --interval 1 --connect-timeout 10000 --parallel 128 --length 131072 --time 60 --omit 2 --reverse --json
    ");
}

#[test]
fn reads_what_the_tools_wrote() {
    let mut rows = Vec::new();
    for version in VERSIONS {
        for (name, params) in captured() {
            let findings = read(version, name, &params);
            rows.push(format!("{version} {name}: {:?}", findings.traffic));
            rows.extend(findings.samples.iter().map(|sample| {
                let dims = sample.dims.iter().map(|(key, value)| format!("{key}={value}"));
                format!("  {} {} {}", sample.metric, dims.collect::<Vec<_>>().join(" "), sample.value)
            }));
            rows.extend(findings.unavailable.iter().map(|reason| format!("  unavailable: {reason}")));
        }
    }
    insta::assert_snapshot!(rows.join("\n"));
}

#[test]
fn a_run_limited_by_bytes_agrees_with_the_rate_of_its_link() {
    // The fixtures were made on a link shaped to 400 Mbit/s. By iperf3's own summary 3.18 missed it by up to 4 %.
    for version in VERSIONS {
        for (name, params) in captured().into_iter().filter(|(name, _)| name.starts_with("bytes")) {
            let findings = read(version, name, &params);
            let rate: f64 = findings
                .samples
                .iter()
                .filter(|sample| sample.metric == "throughput")
                .map(|sample| sample.value)
                .sum();
            match name {
                "bytes-too-few" => {
                    assert!(findings.unavailable[0].contains("0.1 s"), "{:?}", findings.unavailable);
                }
                _ => assert!((rate / 400e6 - 1.0).abs() < 0.015, "{version}-{name}: {rate}"),
            }
        }
    }
}

#[test]
fn flows_add_up_to_the_total() {
    for version in VERSIONS {
        for (name, params) in captured().into_iter().filter(|(_, params)| params.flows > 1) {
            let findings = read(version, name, &params);
            for direction in ["client-to-server", "server-to-client"] {
                let flows: Vec<f64> = findings
                    .samples
                    .iter()
                    .filter(|sample| {
                        sample.metric == "flow-throughput" && sample.dims["direction"] == direction
                    })
                    .map(|sample| sample.value)
                    .collect();
                if direction == "server-to-client" && params.direction != Iperf3Direction::Both {
                    assert_eq!(flows, Vec::<f64>::new());
                    continue;
                }
                assert_eq!(flows.len(), params.flows as usize);
                let total = value(&findings, "throughput", direction);
                let sum: f64 = flows.iter().sum();
                assert!((sum / total - 1.0).abs() < 1e-3, "{version}-{name}: {sum} of {total}");
            }
        }
    }
}

#[test]
fn the_windows_payload_includes_the_warm_up() {
    for version in VERSIONS {
        let findings = read(version, "tcp-4-warmup", &captured()[1].1);
        let Traffic::Bulk(Payload { client_to_server: Some(client_to_server), server_to_client: Some(0) }) =
            findings.traffic
        else {
            panic!("{:?}", findings.traffic)
        };
        // Two seconds were measured and one was not.
        let measured = value(&findings, "throughput", "client-to-server") / 8.0 * 2.0;
        let ratio = client_to_server as f64 / measured;
        assert!((1.3..1.7).contains(&ratio), "{version}: {ratio}");
    }
}

#[test]
fn a_payload_that_iperf3_does_not_account_for_is_not_made_up() {
    // 3.12 left out the last tenth of this warm-up.
    let (name, params) = captured().swap_remove(7);
    let payload = |version| read(version, name, &params).traffic;
    assert_eq!(payload("3.12"), Traffic::Bulk(Payload { client_to_server: None, server_to_client: Some(0) }));
    assert!(matches!(payload("3.18"), Traffic::Bulk(Payload { client_to_server: Some(_), .. })));
}

#[test]
fn a_report_of_another_test_is_refused() {
    let (client, server) = both("3.18", "tcp-4-warmup");
    let asked = params(3, Iperf3Direction::ClientToServer, Amount::Seconds(2));
    assert!(matches!(parse(&asked, &client, &server), Err(ParseError::Contradiction { .. })));
    let asked = params(4, Iperf3Direction::ServerToClient, Amount::Seconds(2));
    assert!(matches!(parse(&asked, &client, &server), Err(ParseError::Contradiction { .. })));
    let asked = params(4, Iperf3Direction::Both, Amount::Seconds(2));
    assert!(matches!(parse(&asked, &client, &server), Err(ParseError::Incomplete { .. })));
}

#[test]
fn an_error_is_told_in_iperf3s_own_words() {
    let (_, server) = both("3.18", "tcp-1");
    let params = params(1, Iperf3Direction::ClientToServer, Amount::Seconds(10));
    let mut said = Vec::new();
    for version in VERSIONS {
        for name in ["refused", "bad-congestion", "server-killed", "server-terminated", "busy"] {
            let name = format!("{version}-{name}.client.json");
            said.push(format!("{name}: {}", parse(&params, &fixture(&name), &server).unwrap_err()));
        }
        let (client, _) = both("3.18", "tcp-1");
        for name in ["client-killed", "server-terminated", "cannot-bind"] {
            let name = format!("{version}-{name}.server.json");
            said.push(format!("{name}: {}", parse(&params, &client, &fixture(&name)).unwrap_err()));
        }
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_server_still_in_its_warm_up_at_the_end_is_no_measurement() {
    // Its process was stopped for three seconds (SIGSTOP) in the warm-up of a test of one second.
    let mut asked = params(1, Iperf3Direction::ClientToServer, Amount::Seconds(1));
    asked.warmup_s = 1;
    let (client, server) = both("3.12", "warmup-not-over");
    let late = ParseError::WarmupNotOver { tool: "iperf3 (server)", warmup_s: 1 };
    assert_eq!(parse(&asked, &client, &server).unwrap_err().to_string(), late.to_string());
    // Where its timer comes due later still, iperf3 has no word of it.
    let text = String::from_utf8(server).unwrap();
    let silent = text.replace("\"getsockopt - Bad file descriptor\"", "null");
    assert_ne!(silent, text);
    assert_eq!(parse(&asked, &client, silent.as_bytes()).unwrap_err().to_string(), late.to_string());
}

#[test]
fn nothing_is_an_error() {
    let params = params(1, Iperf3Direction::ClientToServer, Amount::Seconds(10));
    let (client, server) = both("3.18", "tcp-1");
    assert!(matches!(parse(&params, b"", &server), Err(ParseError::Incomplete { .. })));
    assert!(matches!(parse(&params, &client, b""), Err(ParseError::Incomplete { .. })));
    assert!(matches!(parse(&params, b"iperf3: error", &server), Err(ParseError::Json { .. })));
}

/// Cutting only the white space after the JSON leaves it complete.
fn cut_is_an_error_or_complete(version: &str, name: &str, params: &Iperf3, at: impl Fn(usize) -> Vec<usize>) {
    let (client, server) = both(version, name);
    let whole = parse(params, &client, &server).ok();
    for end in at(client.len()) {
        if let Ok(findings) = parse(params, &client[..end], &server) {
            assert_eq!(Some(findings), whole, "client of {version}-{name} cut at {end}");
        }
    }
    for end in at(server.len()) {
        if let Ok(findings) = parse(params, &client, &server[..end]) {
            assert_eq!(Some(findings), whole, "server of {version}-{name} cut at {end}");
        }
    }
}

#[test]
fn a_small_output_cut_anywhere_is_an_error_or_complete() {
    for version in VERSIONS {
        cut_is_an_error_or_complete(version, "tcp-1", &captured()[0].1, |len| (0..len).collect());
    }
}

proptest! {
    #[test]
    fn any_output_cut_anywhere_is_an_error_or_complete(which in 0_usize..11, version in 0_usize..2, at in 0_usize..1000) {
        let (name, params) = &captured()[which];
        cut_is_an_error_or_complete(VERSIONS[version], name, params, |len| vec![len * at / 1000]);
    }

    #[test]
    fn no_input_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..2000) {
        let params = params(1, Iperf3Direction::Both, Amount::Bytes(1));
        drop(parse(&params, &bytes, &bytes));
        let (mut client, server) = both("3.18", "tcp-1");
        client.splice(at..at, bytes);
        drop(parse(&params, &client, &server));
    }
}

#[test]
fn intervals_are_parts_of_the_boots_own_number() {
    for version in VERSIONS {
        for (name, params) in captured() {
            let findings = read(version, name, &params);
            for within in &findings.within {
                let throughput = value(&findings, "throughput", &within.dims["direction"]);
                let mean = within.values.iter().sum::<f64>() / within.values.len() as f64;
                // What is left out at the end, and rounding of the tool's own clock.
                assert!((mean / throughput - 1.0).abs() < 0.2, "{version} {name}: {mean} of {throughput}");
            }
        }
        let by_bytes =
            read(version, "bytes", &params(1, Iperf3Direction::ClientToServer, Amount::Bytes(67_108_864)));
        let by_time = read(version, "tcp-1", &params(1, Iperf3Direction::ClientToServer, Amount::Seconds(2)));
        assert_eq!(by_time.within[0].values.len(), 2, "{version}");
        assert_eq!(by_time.within[0].parts, measure::Parts::Intervals { seconds: 1.0 });
        assert_eq!(by_bytes.within[0].parts, measure::Parts::Intervals { seconds: 0.1 });
        assert!(by_bytes.within[0].values.len() >= 10, "{version}");
    }
}
