//! What `run.json` holds.

use std::collections::BTreeMap;

use measure::BuildEnd;
use plan::Plan;
use serde::{Deserialize, Serialize};

/// `run.json`: all that is known before the first trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    /// [`crate::FORMAT`] of the writer.
    pub format: u32,
    /// Name of the run's folder.
    pub run: String,
    /// Version of the `assay` that wrote it.
    pub assay: String,
    /// When the run was started, RFC 3339.
    pub started: String,
    /// What was to be done.
    pub plan: Plan,
    /// How each arm's kernel was come by, by arm.
    pub kernels: BTreeMap<String, ArmKernel>,
    /// Where it ran.
    pub host: Host,
    /// The command that repeats it, words quoted for a shell; empty in runs of older versions.
    #[serde(default)]
    pub command: String,
}

/// How an arm's kernel was come by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmKernel {
    /// How the build ended; an arm without an image takes part in no trial.
    pub build: BuildEnd,
}

/// Facts about the machine and the tools that a result depends on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// `uname -r` of the host.
    pub kernel: String,
    /// The CPU's own name for itself.
    pub cpu: String,
    /// Online CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// QEMU's version line.
    pub qemu: String,
    /// `kvm`, or `tcg` and the reason why not KVM.
    pub accel: String,
    /// sha256 of the guest's root image and the packages in it, `name version`.
    pub guest_root: GuestRoot,
    /// sha256 of the initramfs that carries the agent.
    pub initramfs_sha256: String,
    /// How the machine stood for timed runs when the run began; absent in runs of an Assay that did not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bench: Option<Bench>,
}

/// How the machine stood for timed runs. What it did not say is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bench {
    /// The frequency governor, or several with how many CPUs have each.
    pub governor: Option<String>,
    /// The frequency driver.
    pub driver: Option<String>,
    /// Whether turbo was allowed.
    pub turbo: Option<bool>,
    /// `/sys/devices/system/cpu/smt/control`.
    pub smt: Option<String>,
    /// The longest time that waking from an allowed idle state took, in microseconds.
    pub deepest_idle_us: Option<u32>,
    /// CPUs that the scheduler left alone.
    pub isolated: Option<String>,
    /// Load average over one minute.
    pub load: Option<f64>,
    /// Since when the machine was tuned with `assay tune`, RFC 3339; absent if it was not, `unknown: REASON` if
    /// that could not be told.
    pub tuned: Option<String>,
}

/// The root image of the guests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestRoot {
    /// Of the image file.
    pub sha256: String,
    /// Package name to version.
    pub packages: BTreeMap<String, String>,
}
