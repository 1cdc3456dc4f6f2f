//! How long a plan will take, and how much disk.
//!
//! A guess for people, from figures that the caller knows or from those that the project's own runs gave on two cores.

use plan::{Amount, KernelSpec, Machine, Plan, Source, WorkloadKind};

use crate::base::is_prebuilt;

/// Cold build of a lab kernel on two cores.
const COLD_BUILD: Work = Work { seconds: 600.0, bytes: 3_000_000_000 };
/// Build of a patched kernel whose base's objects are there.
const REBUILD: Work = Work { seconds: 40.0, bytes: 800_000_000 };
/// Download and unpacking of a prebuilt kernel.
const FETCH: Work = Work { seconds: 20.0, bytes: 150_000_000 };
/// Boot of one trial's guests, until all agents have answered, and power-off, under emulation.
const BOOT_SECONDS: f64 = 6.0;
/// And of a host with a guest of its own.
const NESTED_BOOT_SECONDS: f64 = 20.0;
/// A whole trial on a fake machine, which replays what it was given.
const FAKE_TRIAL_SECONDS: f64 = 0.1;
/// Start and end of one workload: server, connection, snapshots.
const WORKLOAD_SECONDS: f64 = 1.5;
/// One run of a program that nothing is known about.
const COMMAND_SECONDS: f64 = 5.0;
/// Under emulation, for workloads that are given in bytes: 500 Mbit/s.
const BYTES_PER_SECOND: f64 = 500e6 / 8.0;
/// Raw output, console and samples of one trial.
const TRIAL_BYTES: u64 = 1_000_000;

struct Work {
    seconds: f64,
    bytes: u64,
}

/// What the caller knows about this machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// What there is to do for each kernel of [`distinct_kernels`], in that order; what is missing is guessed.
    pub kernels: Vec<KernelWork>,
    /// Seconds that booting and powering off one trial's guests takes, if known.
    pub boot_seconds: Option<f64>,
}

/// What there is to do for one kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum KernelWork {
    /// It is in the cache.
    Cached,
    /// It has to be built or fetched, in so many seconds.
    Takes(f64),
    /// It has to be built or fetched; how long that takes is guessed.
    #[default]
    Unknown,
}

/// How long a plan will take, and how much disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Wall-clock seconds of everything.
    pub seconds: f64,
    /// Bytes that will be written and kept.
    pub bytes: u64,
    /// What they consist of, in order.
    pub steps: Vec<Step>,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What is done: `build debian-6.12 + iommu-hooks (candidate)`.
    pub what: String,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Bytes that will be written and kept.
    pub bytes: u64,
}

/// The kernels of a plan, each once, in the order in which arms first need them.
#[must_use]
pub fn distinct_kernels(plan: &Plan) -> Vec<&KernelSpec> {
    let mut kernels: Vec<&KernelSpec> = Vec::new();
    for arm in &plan.arms {
        if !kernels.contains(&&arm.kernel) {
            kernels.push(&arm.kernel);
        }
    }
    kernels
}

/// Estimates `plan` from what is `known`.
#[must_use]
pub fn estimate(plan: &Plan, known: &Known) -> Estimate {
    let mut steps = kernel_steps(plan, known);
    let trial = trial_seconds(plan, known);
    let arms = u32::try_from(plan.arms.len()).unwrap_or(u32::MAX);
    for (boots, what) in [(plan.design.boots, "timed"), (plan.design.traced_boots, "traced")] {
        let trials = boots * arms;
        if trials > 0 {
            steps.push(Step {
                what: format!("{trials} {what} boots ({boots} of each of {arms} arms)"),
                seconds: f64::from(trials) * trial,
                bytes: u64::from(trials) * TRIAL_BYTES,
            });
        }
    }
    Estimate {
        seconds: steps.iter().map(|step| step.seconds).sum(),
        bytes: steps.iter().map(|step| step.bytes).sum(),
        steps,
    }
}

/// Seconds that one trial takes, from power-on to power-off, before any was made.
#[must_use]
pub fn trial_seconds(plan: &Plan, known: &Known) -> f64 {
    let fake = plan.arms.iter().any(|arm| matches!(arm.machine, Machine::Fake(_)));
    let nested = plan.arms.iter().any(|arm| matches!(arm.machine, Machine::Nested(_)));
    let unknown = match (fake, nested) {
        (true, _) => FAKE_TRIAL_SECONDS,
        (false, true) => NESTED_BOOT_SECONDS,
        (false, false) => BOOT_SECONDS,
    };
    let boot = known.boot_seconds.unwrap_or(unknown);
    let workloads: f64 =
        if fake { 0.0 } else { plan.workloads.iter().map(|workload| workload_seconds(&workload.kind)).sum() };
    boot + workloads
}

fn kernel_steps(plan: &Plan, known: &Known) -> Vec<Step> {
    let kernels = distinct_kernels(plan);
    let mut steps: Vec<Step> = Vec::new();
    for (index, kernel) in kernels.iter().enumerate() {
        if matches!(kernel.base.source, Source::PrebuiltImage { .. }) {
            // It is there already.
            continue;
        }
        let prebuilt = is_prebuilt(&kernel.base.source);
        // Objects are shared by the kernels of a base: only the first is built from nothing.
        let base_is_there = kernels[..index].iter().any(|earlier| earlier.base == kernel.base);
        let guess = match (prebuilt, base_is_there) {
            (true, _) => FETCH,
            (false, true) => REBUILD,
            (false, false) => COLD_BUILD,
        };
        let work = match known.kernels.get(index).copied().unwrap_or_default() {
            KernelWork::Cached => continue,
            KernelWork::Takes(seconds) => Work { seconds, ..guess },
            KernelWork::Unknown => guess,
        };
        // The places of a matrix mostly share a kernel.
        let mut arms: Vec<&str> = Vec::new();
        for arm in plan.arms.iter().filter(|arm| arm.kernel == **kernel) {
            let side = || plan.arms.iter().filter(|other| other.side() == arm.side());
            let name = if side().all(|other| other.kernel == **kernel) { arm.side() } else { &arm.name };
            if !arms.contains(&name) {
                arms.push(name);
            }
        }
        let verb = if prebuilt { "fetch" } else { "build" };
        let what = format!("{verb} {} ({})", title(kernel), arms.join(", "));
        steps.push(Step { what, seconds: work.seconds, bytes: work.bytes });
    }
    steps
}

/// `debian-6.12 + iommu-hooks + 2 options`.
fn title(kernel: &KernelSpec) -> String {
    let mut parts = vec![kernel.base.name.clone()];
    parts.extend(kernel.series.iter().map(|series| series.name.clone()));
    match kernel.options.len() {
        0 => {}
        1 => parts.push("1 option".to_owned()),
        several => parts.push(format!("{several} options")),
    }
    parts.join(" + ")
}

fn workload_seconds(kind: &WorkloadKind) -> f64 {
    let measured = match kind {
        WorkloadKind::Iperf3(iperf3) => {
            let seconds = match iperf3.amount {
                Amount::Seconds(seconds) => f64::from(seconds),
                #[expect(clippy::cast_precision_loss, reason = "an estimate")]
                Amount::Bytes(bytes) => bytes as f64 / BYTES_PER_SECOND,
            };
            seconds + f64::from(iperf3.warmup_s)
        }
        WorkloadKind::Stream(stream) => match stream.amount {
            Amount::Seconds(seconds) => f64::from(seconds),
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            Amount::Bytes(bytes) => bytes as f64 / BYTES_PER_SECOND,
        },
        WorkloadKind::Sockperf(sockperf) => f64::from(sockperf.seconds),
        // Nobody knows how long a program takes; it is at most its deadline.
        WorkloadKind::Command(command) => {
            COMMAND_SECONDS.min(f64::from(command.deadline_s)) * f64::from(command.repeat)
        }
        WorkloadKind::Ktap(ktap) => f64::from(ktap.deadline_s),
        WorkloadKind::Imported(_) => 0.0,
    };
    measured + WORKLOAD_SECONDS
}
