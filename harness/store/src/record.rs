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
