//! Runs that never were: plans and trial records with numbers that are written out here.

use std::{collections::BTreeMap, ops::Range};

use measure::{
    BuildEnd, Complaint, CrashKind, CrashReport, Dims, GuestFacts, KernelImage, MetricDef, Provenance,
    Sample, SampleTable, TrialEnd, TrialRecord, metric,
};
use plan::{
    Accel, Amount, Arm, Base, ConfigStart, CpuModel, Design, Expectation, FakeMachine, Gate, Iommu,
    IommuMode, Iperf3, Iperf3Direction, KernelConfig, KernelSpec, Knobs, Machine, MetricSelector, Nic,
    NicModel, PatchFile, Plan, QemuMachine, Series, Sockperf, SockperfMode, Source, Topology, Transport,
    Workload, WorkloadKind,
};
use report::{Evidence, Host, Model, assemble};

/// How single boots stray, as fractions: the same for every arm, in another order.
const STRAY: [f64; 8] = [0.004, -0.006, 0.001, 0.007, -0.003, -0.005, 0.006, -0.002];

/// A run in the making.
pub(crate) struct Lab {
    pub(crate) plan: Plan,
    pub(crate) builds: BTreeMap<String, BuildEnd>,
    pub(crate) trials: Vec<TrialRecord>,
    pub(crate) finished: bool,
}

impl Lab {
    /// `baseline` and the candidates, each with a series of its own, two guests over igb, eight boots, two gates.
    pub(crate) fn new(candidates: &[&str]) -> Self {
        let arms: Vec<Arm> = std::iter::once(&"baseline").chain(candidates).map(|name| arm(name)).collect();
        let builds = arms.iter().map(|arm| (arm.name.clone(), BuildEnd::Built(image(&arm.name)))).collect();
        let gates =
            if candidates.is_empty() { vec![] } else { vec![gate("tcp", "throughput"), latency_gate()] };
        let plan = Plan {
            format: plan::FORMAT,
            name: "iommu-hooks".into(),
            question:
                "Do the marker hooks disturb what they measure, under strict invalidation and with all \
                       mitigations on?"
                    .into(),
            dimensions: Vec::new(),
            arms,
            workloads: vec![tcp(), rr()],
            collectors: vec![],
            design: Design { seed: 42, ..Design::of(8) },
            gates,
            test_gates: vec![],
            known_complaints: vec![],
        };
        Self { plan, builds, trials: vec![], finished: true }
    }

    /// All timed boots of an arm, with throughput and latency changed by these fractions and every boot's own straying
    /// multiplied by `noise`.
    pub(crate) fn boots(mut self, arm: &str, throughput: f64, latency: f64, noise: f64) -> Self {
        for block in 0..self.plan.design.boots {
            let samples = samples(block, arm != "baseline", throughput, latency, noise);
            self.push(arm, block, TrialEnd::Measured { samples });
        }
        self
    }

    /// Boots of an arm that ended like this.
    pub(crate) fn ended(mut self, arm: &str, blocks: std::ops::Range<u32>, end: &TrialEnd) -> Self {
        for block in blocks {
            self.push(arm, block, end.clone());
        }
        self
    }

    pub(crate) fn built(mut self, arm: &str, end: BuildEnd) -> Self {
        self.builds.insert(arm.into(), end);
        self
    }

    /// Every boot yields a number for each of so many cores; the candidates' are multiplied.
    pub(crate) fn many_cores(mut self, cores: u32, factor: impl Fn(u32) -> f64) -> Self {
        for trial in &mut self.trials {
            let (candidate, block) = (trial.arm != "baseline", trial.block);
            let samples = trial.end.samples_mut().expect("the boot was measured");
            samples.extend((0..cores).map(|core| {
                let dims = [("workload", "tcp"), ("side", "server"), ("core", &core.to_string())];
                let dims = dims.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
                let factor = if candidate { factor(core) } else { 1.0 };
                let value = (20.0 + f64::from((core + block * 7) % 11) / 50.0) * factor;
                Sample::new(&metric::CPU_SOFTIRQ, value, dims.collect(), Provenance::Procfs).expect("finite")
            }));
        }
        self
    }

    /// All cores together have the numbers of the first.
    pub(crate) fn all_like_core_0(mut self) -> Self {
        for trial in &mut self.trials {
            let samples = trial.end.samples_mut().expect("the boot was measured");
            let first = |sample: &&Sample| {
                sample.metric == "cpu-softirq" && sample.dims.get("core").is_some_and(|core| core == "0")
            };
            let mut all: Vec<Sample> = samples.iter().filter(first).cloned().collect();
            all.iter_mut().for_each(|sample| _ = sample.dims.insert("core".into(), "all".into()));
            samples.extend(all);
        }
        self
    }

    pub(crate) fn without_gates(mut self) -> Self {
        self.plan.gates.clear();
        self
    }

    pub(crate) fn push(&mut self, arm: &str, block: u32, end: TrialEnd) {
        let up = !matches!(end, TrialEnd::Crashed { .. });
        let facts = if up { facts(arm) } else { BTreeMap::new() };
        self.trials.push(TrialRecord {
            index: u32::try_from(self.trials.len()).expect("a few trials"),
            block,
            arm: arm.into(),
            traced: false,
            perturbation: None,
            end,
            facts,
            boot_seconds: up.then_some(3.6),
            took_seconds: 24.2,
            unavailable: vec!["rr: acks-per-page: sockperf moves no bulk payload".into()],
            warnings: vec![],
            complaints: vec![],
            tests: vec![],
            voids: vec![],
            set_aside: vec![],
            within: vec![],
            timelines: vec![],
            began: None,
        });
    }

    /// Gives `complaint` to those boots of an arm.
    pub(crate) fn complaining(mut self, arm: &str, boots: Range<usize>, complaint: &Complaint) -> Self {
        let of_arm = self.trials.iter_mut().filter(|trial| trial.arm == arm);
        of_arm.skip(boots.start).take(boots.len()).for_each(|trial| trial.complaints.push(complaint.clone()));
        self
    }

    /// Makes `workload` void in those boots of an arm, and takes its numbers away.
    pub(crate) fn void(mut self, arm: &str, boots: Range<usize>, workload: &str, reason: &str) -> Self {
        let of_arm = self.trials.iter_mut().filter(|trial| trial.arm == arm);
        for trial in of_arm.skip(boots.start).take(boots.len()) {
            trial.voids.push(measure::Void { workload: workload.into(), reason: reason.into() });
            let samples = trial.end.samples_mut().expect("the boot was measured");
            samples.retain(|sample| sample.dims.get("workload").is_none_or(|name| name != workload));
        }
        self
    }

    pub(crate) fn model(self) -> Model {
        let evidence = Evidence {
            plan: &self.plan,
            builds: self.builds,
            trials: &self.trials,
            samples: &SampleTable::of(&self.trials),
            host: Host {
                cpu: Some("Example CPU @ 2.00GHz".into()),
                cpus: Some(2),
                memory_mib: Some(7946),
                kernel: Some("6.1.0-40-amd64".into()),
                qemu: Some("QEMU emulator version 10.0.2".into()),
                accel: Some("tcg: no vmx or svm".into()),
                bench: [("governor", "performance"), ("load", "0.08"), ("turbo", "unavailable")]
                    .map(|(what, how)| (what.to_owned(), how.to_owned()))
                    .into(),
            },
            run: "iommu-hooks-1".into(),
            folder: Some("/results/iommu-hooks-1".into()),
            started: "2026-01-01T00:00:00Z".into(),
            assay: "0.1.0".into(),
            finished: self.finished,
            whole: true,
            repeat: vec!["assay run scenarios/iommu-hooks.yaml".into()],
            warnings: vec![],
            calibration: None,
            noise: None,
        };
        assemble(evidence).expect("the records are sound")
    }

    pub(crate) fn fake(mut self) -> Self {
        for arm in &mut self.plan.arms {
            arm.machine = Machine::Fake(FakeMachine { script: "/tests/fake/script.json".into() });
        }
        for sample in self.trials.iter_mut().filter_map(|trial| trial.end.samples_mut()).flatten() {
            sample.provenance = Provenance::Fake;
        }
        self
    }
}

fn samples(block: u32, candidate: bool, throughput: f64, latency: f64, noise: f64) -> Vec<Sample> {
    let position = usize::try_from(block).expect("a few blocks");
    let stray = noise * STRAY[(position * if candidate { 3 } else { 1 } + usize::from(candidate)) % 8];
    let sample = |metric: &MetricDef, value: f64, provenance, dims: &[(&str, &str)]| {
        let mut dims: Dims = dims.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        dims.insert("iommu-server-eth0".into(), "DMA".into());
        Sample::new(metric, value, dims, provenance).expect("finite")
    };
    let tcp = ("workload", "tcp");
    let rr = ("workload", "rr");
    let mut all = vec![
        sample(
            &metric::THROUGHPUT,
            557.3e6 * (1.0 + throughput) * (1.0 + stray),
            Provenance::Iperf3,
            &[tcp, ("direction", "client-to-server")],
        ),
        sample(&metric::RETRANSMITS, f64::from(block % 3), Provenance::Iperf3, &[tcp]),
        sample(&metric::MESSAGE_RATE, 3812.0 * (1.0 - latency) * (1.0 - stray), Provenance::Sockperf, &[rr]),
        sample(&metric::BOOT_TIME, 3.6 * (1.0 + stray), Provenance::Clock, &[]),
    ];
    for (percentile, value) in [("50", 261.0), ("99", 402.0), ("99.9", 1210.0), ("max", 2900.0)] {
        let value = value * (1.0 + latency) * (1.0 + stray);
        all.push(sample(&metric::LATENCY, value, Provenance::Sockperf, &[rr, ("percentile", percentile)]));
    }
    for (core, value) in [("all", 61.0), ("0", 98.0), ("1", 24.0)] {
        let dims = [tcp, ("side", "server"), ("core", core)];
        all.push(sample(&metric::CPU_BUSY, value * (1.0 - stray), Provenance::Procfs, &dims));
    }
    all
}

fn arm(name: &str) -> Arm {
    let patch = |number: u32| PatchFile { path: format!("/p/{number:04}.patch").into(), sha256: "00".into() };
    let series = Series { name: name.into(), folder: "/p".into(), patches: vec![patch(1), patch(2)] };
    Arm {
        name: name.into(),
        cell: None,
        kernel: KernelSpec {
            base: Base {
                name: "debian-6.12".into(),
                version: "6.12".into(),
                source: Source::DebianSource {
                    package: "linux-source-6.12".into(),
                    suites: vec![],
                    versions: vec![],
                },
                config: KernelConfig {
                    start: ConfigStart::Tinyconfig,
                    fragments: vec![],
                    tree_fragments: Vec::new(),
                },
                flavour: plan::Flavour::Plain,
            },
            series: if name == "baseline" || name == "twin" { vec![] } else { vec![series] },
            options: vec![],
        },
        cmdline: vec![],
        machine: machine(),
    }
}

fn machine() -> Machine {
    let nic = |model, mode| Nic { model, iommu: Iommu { mode, caching_mode: false }, mtu: 1500 };
    Machine::Qemu(QemuMachine {
        accel: Accel::Auto,
        cpu: CpuModel::Max,
        vcpus: 2,
        memory_mib: 1024,
        topology: Topology::TwoGuests {
            server: nic(NicModel::Igb, IommuMode::Strict),
            client: nic(NicModel::VirtioNet, IommuMode::None),
        },
        knobs: Knobs::default(),
    })
}

fn tcp() -> Workload {
    let kind = WorkloadKind::Iperf3(Iperf3 {
        flows: 1,
        direction: Iperf3Direction::ClientToServer,
        amount: Amount::Seconds(8),
        warmup_s: 1,
        message_bytes: 131_072,
        congestion: Some("cubic".into()),
    });
    Workload { name: "tcp".into(), cell: None, kind }
}

fn rr() -> Workload {
    let kind = WorkloadKind::Sockperf(Sockperf {
        mode: SockperfMode::PingPong,
        transport: Transport::Tcp,
        message_bytes: 64,
        seconds: 3,
    });
    Workload { name: "rr".into(), cell: None, kind }
}

fn gate(workload: &str, metric: &str) -> Gate {
    let select = MetricSelector { workload: workload.into(), metric: metric.into(), dims: BTreeMap::new() };
    Gate { select, at: BTreeMap::new(), margin: 0.02, expect: Expectation::NotWorse }
}

fn latency_gate() -> Gate {
    let mut gate = gate("rr", "latency");
    gate.select.dims.insert("percentile".into(), "50".into());
    gate
}

pub(crate) fn image(arm: &str) -> KernelImage {
    let twin = if arm == "twin" { "baseline" } else { arm };
    let key: String = twin.bytes().cycle().take(32).map(|byte| format!("{byte:02x}")).collect();
    KernelImage {
        image: format!("/cache/{twin}/vmlinux").into(),
        release: format!("6.12.57-{twin}"),
        source_version: "6.12.57-1".into(),
        vmlinux: None,
        system_map: None,
        config: None,
        modules: None,
        image_sha256: key.clone(),
        key,
        toolchain: "gcc 12.2.0; ld 2.40".into(),
        build_seconds: if arm == "baseline" { 638.0 } else { 41.5 },
    }
}

fn facts(arm: &str) -> BTreeMap<String, GuestFacts> {
    let guest = |mode: &str| GuestFacts {
        release: format!("6.12.57-{arm}"),
        cmdline: "console=ttyS0".into(),
        mitigations: [
            ("meltdown".to_owned(), "Mitigation: PTI".to_owned()),
            ("spectre_v2".to_owned(), "Mitigation: Retpolines".to_owned()),
        ]
        .into(),
        iommu: [("eth0".to_owned(), mode.to_owned())].into(),
        accel: "tcg".into(),
    };
    [("client".to_owned(), guest("none")), ("server".to_owned(), guest("DMA"))].into()
}

pub(crate) fn panic() -> TrialEnd {
    TrialEnd::Crashed {
        report: CrashReport {
            kind: CrashKind::Panic,
            guest: "server".into(),
            title: "Kernel panic - not syncing: planted at boot".into(),
            excerpt: "[    0.911] igb 0000:00:05.0: added PHC on eth0\n\
                      [    0.934] Kernel panic - not syncing: planted at boot\n\
                      [    0.934] CPU: 0 UID: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.57\n\
                      [    0.935] Call Trace:\n\
                      [    0.935]  panic+0x2f8/0x310\n"
                .into(),
            cpus: vec![],
        },
        samples: vec![],
    }
}
