//! Workloads on scripted machines: what is asked of the guest, and what becomes of each kind of answer.

use std::{path::Path, time::Duration};

use machine::Running;
use measure::{Sides, Traffic};
use plan::{
    Amount, Collector, FakeMachine, Iperf3, Iperf3Direction, Machine, Sockperf, SockperfMode, Transport,
    Workload, WorkloadKind,
};
use workload::{Outcome, WorkloadError};

use crate::lab::{Lab, Nobody};

fn fixture(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(path).to_str().unwrap().to_owned()
}

/// Boots a machine that knows these commands: the beginning of an argv, and how it is answered.
async fn boot(lab: &Lab, commands: &[(&[&str], serde_json::Value)]) -> Running {
    let commands: Vec<serde_json::Value> = commands
        .iter()
        .map(|(argv, answer)| {
            let mut command = answer.clone();
            command["match"] = serde_json::json!(argv);
            command
        })
        .collect();
    let script = serde_json::json!({
        "release": "6.12.0-fake",
        "files": { "/proc/cmdline": { "text": "console=ttyS0\n" }, "/proc/stat": { "text": "cpu 1 2 3\n" } },
        "commands": commands,
    });
    let path = lab.folder().join("script.json");
    std::fs::write(&path, script.to_string()).unwrap();
    lab.boot(&Machine::Fake(FakeMachine { script: path }), false).await
}

fn bulk() -> Workload {
    let iperf3 = Iperf3 {
        flows: 1,
        direction: Iperf3Direction::ClientToServer,
        amount: Amount::Seconds(2),
        warmup_s: 0,
        message_bytes: 131_072,
        congestion: None,
    };
    Workload { name: "tcp".into(), cell: None, kind: WorkloadKind::Iperf3(iperf3) }
}

fn ping_pong() -> Workload {
    let sockperf =
        Sockperf { mode: SockperfMode::PingPong, transport: Transport::Tcp, message_bytes: 64, seconds: 2 };
    Workload { name: "rtt".into(), cell: None, kind: WorkloadKind::Sockperf(sockperf) }
}

async fn run(running: &Running, workload: &Workload) -> Result<Outcome, WorkloadError> {
    let patterns = collect::patterns(&[Collector::Cpu]);
    let around = workload::Around { snapshots: &patterns, window: None, vcpus: 1, steers: false };
    let (server, client) = (running.server(), running.client());
    let run = workload::run(workload, &server, &client, Sides::OneNamespace, &around, &Nobody);
    // Far below the deadlines of the commands: nothing here may wait for one of them.
    tokio::time::timeout(Duration::from_secs(20), run).await.expect("no deadline is waited for")
}

fn file(path: &str) -> serde_json::Value {
    serde_json::json!({ "stdout": { "file": fixture(path) } })
}

fn names(raw: &[measure::RawFile]) -> Vec<&str> {
    raw.iter().map(|file| file.name.as_str()).collect()
}

#[tokio::test]
async fn bulk_data_yields_samples_the_window_and_all_that_was_read() {
    let lab = Lab::fake();
    let commands: [(&[&str], _); 2] = [
        (&["iperf3", "--server"], file("iperf3/3.18-tcp-1.server.json")),
        (&["iperf3", "--client", "127.0.0.1"], file("iperf3/3.18-tcp-1.client.json")),
    ];
    let running = boot(&lab, &commands).await;
    let outcome = run(&running, &bulk()).await.unwrap();
    let metrics: Vec<&str> = outcome.samples.iter().map(|sample| sample.metric.as_str()).collect();
    assert_eq!(metrics, ["throughput", "retransmits"]);
    assert!(matches!(outcome.window.traffic, Traffic::Bulk(_)));
    assert_eq!(outcome.window.client.before["/proc/stat"].as_deref(), Ok(b"cpu 1 2 3\n".as_slice()));
    assert_eq!(outcome.window.client.before, outcome.window.client.after);
    assert!(outcome.window.server.before.is_empty(), "one namespace is read once");
    let raw = [
        "tcp.iperf3-client.json",
        "tcp.iperf3-server.json",
        "tcp.client-before.proc-stat",
        "tcp.client-after.proc-stat",
    ];
    assert_eq!(names(&outcome.raw), raw);
    running.power_off(Duration::from_secs(10)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_sockperf_server_is_ended_when_its_client_is_done() {
    let lab = Lab::fake();
    let commands: [(&[&str], _); 2] = [
        (&["sockperf", "server"], serde_json::json!({ "until_killed": true })),
        (&["sockperf", "ping-pong"], file("sockperf/ping-pong-tcp.txt")),
    ];
    let running = boot(&lab, &commands).await;
    let outcome = run(&running, &ping_pong()).await.unwrap();
    assert_eq!(outcome.samples.len(), 14);
    assert_eq!(outcome.window.traffic, Traffic::TcpMessages);
    running.power_off(Duration::from_secs(10)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_tool_that_fails_is_told_in_its_own_words_and_its_output_is_kept() {
    let lab = Lab::fake();
    // 3.12 exits with 0 after an error; 3.18 with 1. The server of either still waits for a client.
    for (version, exit) in [("3.12", 0), ("3.18", 1)] {
        let mut refused = file(&format!("iperf3/{version}-refused.client.json"));
        refused["exit"] = exit.into();
        let commands: [(&[&str], _); 2] = [
            (&["iperf3", "--server"], serde_json::json!({ "until_killed": true })),
            (&["iperf3", "--client"], refused),
        ];
        let running = boot(&lab, &commands).await;
        let error = run(&running, &bulk()).await.unwrap_err();
        assert!(matches!(error, WorkloadError::Failed(_)), "{error:?}");
        assert!(error.to_string().ends_with("Connection refused"), "{error}");
        assert_eq!(names(error.raw()), ["tcp.iperf3-client.json", "tcp.iperf3-server.json"]);
        running.power_off(Duration::from_secs(10)).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_tool_without_words_is_told_by_its_end() {
    let lab = Lab::fake();
    let commands: [(&[&str], _); 2] = [
        (&["sockperf", "server"], serde_json::json!({ "until_killed": true })),
        (
            &["sockperf", "ping-pong"],
            serde_json::json!({ "exit": 127, "stderr": { "text": "no such library\n" } }),
        ),
    ];
    let running = boot(&lab, &commands).await;
    let error = run(&running, &ping_pong()).await.unwrap_err();
    assert!(error.to_string().contains("exit status 127: no such library"), "{error}");
    assert_eq!(
        names(error.raw()),
        ["rtt.sockperf-client.txt", "rtt.sockperf-client.stderr", "rtt.sockperf-server.txt"]
    );
    running.power_off(Duration::from_secs(10)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_guest_that_crashes_under_a_workload_is_no_failure_of_the_tool() {
    let lab = Lab::fake();
    let panic = serde_json::json!({ "crash": { "text": "Kernel panic - not syncing: scripted\n" } });
    let commands: [(&[&str], _); 2] = [
        (&["sockperf", "server"], serde_json::json!({ "until_killed": true })),
        (&["sockperf", "ping-pong"], panic),
    ];
    let running = boot(&lab, &commands).await;
    let error = run(&running, &ping_pong()).await.unwrap_err();
    assert!(matches!(&error, WorkloadError::Session { guest, .. } if guest == "guest"), "{error:?}");
    assert!(error.is_infrastructure());
    let crash = running.crashed().await.unwrap();
    assert!(crash.title.contains("scripted"), "{crash:?}");
}
