//! Workloads between real guests of QEMU, with what collectors make of them.

use std::time::Duration;

use machine::{Running, Traced};
use measure::Sample;
use plan::{
    Accel, Amount, Collector, CpuModel, Iommu, IommuMode, Iperf3, Iperf3Direction, Knobs, Machine, Nic,
    NicModel, QemuMachine, Sockperf, SockperfMode, Topology, Transport, Workload, WorkloadKind,
};
use workload::Outcome;

use crate::lab::{Lab, Nobody};

const TIMED: [Collector; 2] = [Collector::Cpu, Collector::Net];
const OFF: Duration = Duration::from_secs(30);

fn nic(model: NicModel, mode: IommuMode) -> Nic {
    Nic { model, iommu: Iommu { mode, caching_mode: false }, mtu: 1500 }
}

fn machine(vcpus: u32, topology: Topology) -> Machine {
    Machine::Qemu(QemuMachine {
        accel: Accel::Auto,
        cpu: CpuModel::Max,
        vcpus,
        memory_mib: 512,
        topology,
        knobs: Knobs::default(),
    })
}

fn bulk(direction: Iperf3Direction, flows: u32, amount: Amount) -> Workload {
    let iperf3 = Iperf3 {
        flows,
        direction,
        amount,
        warmup_s: 1,
        message_bytes: 131_072,
        congestion: Some("cubic".into()),
    };
    Workload { name: "tcp".into(), cell: None, kind: WorkloadKind::Iperf3(iperf3) }
}

fn ping_pong(transport: Transport) -> Workload {
    let sockperf = Sockperf { mode: SockperfMode::PingPong, transport, message_bytes: 64, seconds: 2 };
    Workload { name: "rtt".into(), cell: None, kind: WorkloadKind::Sockperf(sockperf) }
}

async fn run(running: &Running, workload: &Workload, collectors: &[Collector]) -> Outcome {
    let patterns = collect::patterns(collectors);
    let around = workload::Around { snapshots: &patterns, window: None, vcpus: 1, steers: false };
    let outcome =
        workload::run(workload, &running.server(), &running.client(), running.sides(), &around, &Nobody)
            .await;
    let outcome = outcome.unwrap_or_else(|error| panic!("{error:#?}"));
    // For looking at, and for fixtures of parsers.
    if let Some(folder) = std::env::var_os("ASSAY_TEST_KEEP") {
        std::fs::create_dir_all(&folder).unwrap();
        for file in &outcome.raw {
            std::fs::write(std::path::Path::new(&folder).join(&file.name), &file.bytes).unwrap();
        }
    }
    outcome
}

/// The value of the one sample with this metric and these dimensions.
fn value(samples: &[Sample], metric: &str, dims: &[(&str, &str)]) -> f64 {
    let matches = |sample: &&Sample| {
        sample.metric == metric
            && dims.iter().all(|(key, value)| sample.dims.get(*key).map(String::as_str) == Some(value))
    };
    let values: Vec<f64> = samples.iter().filter(matches).map(|sample| sample.value).collect();
    assert_eq!(values.len(), 1, "{metric} {dims:?} in {samples:#?}");
    values[0]
}

fn print(what: &str, samples: &[Sample], unavailable: &[String]) {
    eprintln!("-- {what}");
    for sample in samples {
        eprintln!("{} {:?} {}", sample.metric, sample.dims, sample.value);
    }
    unavailable.iter().for_each(|reason| eprintln!("unavailable: {reason}"));
}

#[tokio::test]
async fn two_guests_move_bulk_data_and_answer_messages() {
    let Some(lab) = Lab::real() else { return };
    let topology = Topology::TwoGuests {
        server: nic(NicModel::Igb, IommuMode::Strict),
        client: nic(NicModel::VirtioNet, IommuMode::None),
    };
    let running = lab.boot(&machine(1, topology), false).await;

    let outcome = run(&running, &bulk(Iperf3Direction::ClientToServer, 1, Amount::Seconds(3)), &TIMED).await;
    let reduced = collect::reduce(&TIMED, &outcome.window);
    print("bulk", &outcome.samples, &outcome.unavailable);
    print("around it", &reduced.samples, &reduced.unavailable);
    assert_eq!((outcome.unavailable, reduced.unavailable), (vec![], vec![]));
    assert!(value(&outcome.samples, "throughput", &[]) > 10e6);
    for side in ["server", "client"] {
        let busy = value(&reduced.samples, "cpu-busy", &[("side", side), ("core", "all")]);
        assert!((10.0..=100.0).contains(&busy), "{side}: {busy}");
    }
    // A delayed acknowledgement for two segments of 1448 bytes is 1.4 a page; GRO and stretch ACKs make it fewer.
    let acks = value(&reduced.samples, "acks-per-page", &[("side", "client")]);
    assert!((0.01..3.0).contains(&acks), "{acks}");

    let outcome = run(&running, &ping_pong(Transport::Tcp), &TIMED).await;
    let reduced = collect::reduce(&TIMED, &outcome.window);
    print("messages", &outcome.samples, &outcome.unavailable);
    print("around them", &reduced.samples, &reduced.unavailable);
    assert_eq!(outcome.unavailable, Vec::<String>::new());
    assert!(value(&outcome.samples, "latency", &[("percentile", "50")]) > 1.0);
    let outcome = run(&running, &ping_pong(Transport::Udp), &[]).await;
    assert_eq!(value(&outcome.samples, "message-loss", &[]), 0.0);
    assert_eq!(running.power_off(OFF).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn two_namespaces_of_one_guest_have_their_own_counters_and_share_their_cores() {
    let Some(lab) = Lab::real() else { return };
    let strict = nic(NicModel::Igb, IommuMode::Strict);
    let topology = Topology::TwoNamespaces { server: strict.clone(), client: strict };
    let running = lab.boot(&machine(2, topology), false).await;
    let outcome = run(&running, &bulk(Iperf3Direction::Both, 2, Amount::Seconds(2)), &TIMED).await;
    let reduced = collect::reduce(&TIMED, &outcome.window);
    print("both ways", &outcome.samples, &outcome.unavailable);
    print("around it", &reduced.samples, &reduced.unavailable);
    let cores: Vec<f64> = ["0", "1", "all"]
        .map(|core| value(&reduced.samples, "cpu-busy", &[("side", "guest"), ("core", core)]))
        .to_vec();
    assert!(((cores[0] + cores[1]) / 2.0 - cores[2]).abs() < 2.0, "{cores:?}");
    value(&reduced.samples, "drop-rate", &[("side", "server")]);
    value(&reduced.samples, "drop-rate", &[("side", "client")]);
    assert!(
        reduced.unavailable.iter().all(|reason| reason.starts_with("acks-per-page")),
        "{:?}",
        reduced.unavailable
    );
    assert_eq!(running.power_off(OFF).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_traced_window_counts_the_iotlb_for_each_page() {
    let Some(lab) = Lab::real() else { return };
    let topology = Topology::TwoGuests {
        server: nic(NicModel::Igb, IommuMode::Strict),
        client: nic(NicModel::VirtioNet, IommuMode::None),
    };
    let running = lab.boot(&machine(1, topology), true).await;
    running.trace_window_start(Traced::Everything).await.unwrap();
    let amount = Amount::Bytes(64 * 1024 * 1024);
    let mut outcome = run(&running, &bulk(Iperf3Direction::ClientToServer, 1, amount), &[]).await;
    outcome.window.trace = Some(running.trace_window_stop().await.unwrap());
    let reduced = collect::reduce(&[Collector::Iotlb], &outcome.window);
    print("traced", &reduced.samples, &reduced.unavailable);
    assert_eq!(reduced.unavailable, Vec::<String>::new());
    // Each received page was mapped and unmapped in strict mode, in batches of the page pool.
    assert!(value(&reduced.samples, "iotlb-page-invalidations-per-page", &[("side", "server")]) > 0.01);
    assert!(value(&reduced.samples, "iotlb-hits-per-page", &[("side", "server")]) > 1.0);
    assert_eq!(running.power_off(OFF).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_congestion_control_that_the_kernel_lacks_is_a_failure_of_the_workload() {
    let Some(lab) = Lab::real() else { return };
    let running = lab.boot(&machine(1, Topology::Loopback), false).await;
    let mut workload = bulk(Iperf3Direction::ClientToServer, 1, Amount::Seconds(1));
    if let WorkloadKind::Iperf3(params) = &mut workload.kind {
        params.congestion = Some("nosuch".into());
    }
    let failed = workload::run(
        &workload,
        &running.server(),
        &running.client(),
        running.sides(),
        &workload::Around::default(),
        &Nobody,
    )
    .await
    .unwrap_err();
    assert!(failed.to_string().contains("TCP_CONGESTION"), "{failed}");
    assert!(!failed.is_infrastructure());
    assert!(failed.raw().iter().any(|file| file.name == "tcp.iperf3-client.json"));

    // The server of the failed attempt is gone: another one can take its port.
    let outcome = run(&running, &bulk(Iperf3Direction::ServerToClient, 1, Amount::Seconds(1)), &TIMED).await;
    let reduced = collect::reduce(&TIMED, &outcome.window);
    print("loopback", &reduced.samples, &reduced.unavailable);
    assert!(value(&outcome.samples, "throughput", &[("direction", "server-to-client")]) > 10e6);
    assert_eq!(reduced.unavailable.len(), 1, "{:?}", reduced.unavailable);
    assert_eq!(running.power_off(OFF).await.unwrap(), Ok(()));
}
