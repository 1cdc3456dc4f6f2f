//! How builds and trials ended. A series that does not apply, does not build or panics is a finding, so it is a value.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::Sample;

/// A kernel ready to boot: paths into the cache, and facts for the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelImage {
    /// The cache key, in hexadecimal: source, series, merged configuration, compiler, linker.
    pub key: String,
    /// What `uname -r` will say.
    pub release: String,
    /// The exact version of the source: a package version, a commit, a checksum.
    pub source_version: String,
    /// The image that boots: an uncompressed, stripped ELF with a PVH note, or a bzImage.
    pub image: PathBuf,
    /// With symbols and line numbers, if there is one.
    pub vmlinux: Option<PathBuf>,
    /// `System.map`, if there is one.
    pub system_map: Option<PathBuf>,
    /// The merged configuration, if known.
    pub config: Option<PathBuf>,
    /// The folder that holds `lib/modules/<release>`, if the kernel has modules.
    pub modules: Option<PathBuf>,
    /// sha256 of `image`, in hexadecimal.
    pub image_sha256: String,
    /// `gcc ...; ld ...` as the build saw them; empty for a prebuilt image.
    pub toolchain: String,
    /// Seconds that the build took; 0 when it came from the cache or was prebuilt.
    pub build_seconds: f64,
}

/// How a build ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "kebab-case", deny_unknown_fields)]
pub enum BuildEnd {
    /// There is an image.
    Built(KernelImage),
    /// A patch of the series does not apply.
    DoesNotApply(ApplyFailure),
    /// The patched tree does not compile or link.
    DoesNotCompile {
        /// The first errors of the compiler, a few lines.
        errors: String,
        /// The whole output.
        log: PathBuf,
    },
    /// A configuration option that was asked for did not survive.
    ConfigLost {
        /// One line for each option: what was asked, what it became, which dependency it lacks.
        problems: Vec<String>,
    },
}

/// Where a series stopped applying.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyFailure {
    /// The series and the file name of the patch: `iommu-hooks/0002-....patch`.
    pub patch: String,
    /// The file in the tree, if git named one.
    pub file: Option<String>,
    /// The line at which the hunk should have gone, if git named one.
    pub line: Option<u32>,
    /// The hunk that did not fit, as in the patch, if one could be told.
    pub hunk: Option<String>,
    /// What git said.
    pub message: String,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TrialEnd {
    /// All workloads ran.
    Measured {
        /// In the order in which they were taken. Stored in `samples.jsonl`, not with the record.
        #[serde(skip)]
        samples: Vec<Sample>,
    },
    /// The kernel crashed or the machine hung.
    Crashed {
        /// What was seen.
        report: CrashReport,
        /// What had been measured before.
        #[serde(skip)]
        samples: Vec<Sample>,
    },
    /// A workload failed in a machine that lives: no route, a tool's error, a deadline within the guest.
    WorkloadFailed {
        /// The workload's name in the plan.
        workload: String,
        /// The tool's own words.
        message: String,
        /// What had been measured before.
        #[serde(skip)]
        samples: Vec<Sample>,
    },
    /// The guest cannot run what was asked: a sysctl it does not have, a mode it did not take.
    NotTestable {
        /// Which demand, and what the guest said.
        message: String,
    },
}

impl TrialEnd {
    /// Whether something can have been measured.
    #[must_use]
    pub fn can_have_samples(&self) -> bool {
        !matches!(self, Self::NotTestable { .. })
    }

    /// Whatever was measured, however it ended.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        match self {
            Self::Measured { samples }
            | Self::Crashed { samples, .. }
            | Self::WorkloadFailed { samples, .. } => samples,
            Self::NotTestable { .. } => &[],
        }
    }

    /// Where the samples go when a stored record is put together again.
    pub fn samples_mut(&mut self) -> Option<&mut Vec<Sample>> {
        match self {
            Self::Measured { samples }
            | Self::Crashed { samples, .. }
            | Self::WorkloadFailed { samples, .. } => Some(samples),
            Self::NotTestable { .. } => None,
        }
    }
}

/// What kind of crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrashKind {
    /// `Kernel panic - not syncing`.
    Panic,
    /// An oops, a BUG or a general protection fault that did not (yet) panic.
    Oops,
    /// A lockup, a hung task or an RCU stall that the kernel itself reported.
    Stall,
    /// Never ready: the boot deadline passed.
    BootHang,
    /// Was ready, then stopped answering until a deadline.
    Hang,
    /// The machine reset or stopped by itself: a triple fault, or an unexpected power-off.
    Stopped,
    /// The agent died; it is PID 1, so the machine stops.
    AgentDied,
}

/// A crash as it was seen from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrashReport {
    /// What kind.
    pub kind: CrashKind,
    /// Which guest: `server`, `client` or `guest`.
    pub guest: String,
    /// One line: the kernel's own words where it had any.
    pub title: String,
    /// The console around it, at most a few hundred lines.
    pub excerpt: String,
    /// Where its CPUs were when it hung, as its emulator says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<CpuState>,
}

/// Where a guest's CPU is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuState {
    /// From 0.
    pub cpu: u32,
    /// Address of the next instruction.
    pub address: u64,
    /// Privilege: 0 in the kernel, 3 in a program.
    pub ring: u8,
    /// Whether it waits for an interrupt.
    pub halted: bool,
    /// Whether it takes interrupts.
    pub interrupts: bool,
}

impl CpuState {
    /// Whether it does something in the kernel.
    #[must_use]
    pub fn is_busy_in_kernel(&self) -> bool {
        self.ring == 0 && !self.halted
    }
}

impl std::fmt::Display for CpuState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match (self.halted, self.ring) {
            (true, _) => "waits for an interrupt",
            (false, 0) => "is in the kernel",
            (false, _) => "is in a program",
        };
        let interrupts = if self.interrupts { "on" } else { "off" };
        write!(f, "CPU {} {what} at {:#018x}, interrupts {interrupts}", self.cpu, self.address)
    }
}

/// What a guest says of itself once it is up; recorded with every trial.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestFacts {
    /// `uname -r`.
    pub release: String,
    /// `/proc/cmdline`.
    pub cmdline: String,
    /// Each file of `/sys/devices/system/cpu/vulnerabilities` and what it says.
    pub mitigations: BTreeMap<String, String>,
    /// Interface name to the type of its IOMMU group (`DMA`, `DMA-FQ`, `identity`), or `none`.
    pub iommu: BTreeMap<String, String>,
    /// `kvm` or `tcg`: how it really ran.
    pub accel: String,
}
