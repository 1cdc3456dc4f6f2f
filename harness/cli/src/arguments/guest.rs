//! The guest that `exec` and `shell` boot.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCandidates;

use super::SeriesFlags;

/// What one guest boots, and its shape.
#[derive(Debug, Args)]
pub(crate) struct GuestFlags {
    /// A base: the name of a file in `kernels/` [default: in a kernel tree, the kernel that is built there, else debian-6.12].
    #[arg(long, add = ArgValueCandidates::new(crate::complete::bases))]
    pub(crate) base: Option<String>,
    #[command(flatten)]
    pub(crate) series: SeriesFlags,
    /// Boot the kernel that is built in this folder: a kernel tree, or the output folder of `make O=` [default: the one that
    /// the current folder is in, or KBUILD_OUTPUT of the tree that it is in].
    #[arg(long, value_name = "DIR", conflicts_with_all = ["base", "series"])]
    pub(crate) build: Option<PathBuf>,
    /// Build the tree's kernel first: `make olddefconfig` and `make` in its own build folder.
    #[arg(long, conflicts_with_all = ["base", "series"])]
    pub(crate) make: bool,
    /// Extra kernel parameters.
    #[arg(long, value_name = "PARAMETER")]
    pub(crate) cmdline: Vec<String>,
    /// How instructions are executed.
    #[arg(long, value_enum, default_value_t = Accel::Auto)]
    pub(crate) accel: Accel,
    /// Virtual CPUs.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) vcpus: u32,
    /// Memory in MiB.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(128..=262_144))]
    pub(crate) memory: u32,
    /// An image that the guest gets as a read-only disk: `/dev/vdb`, the next one `/dev/vdc`. May be given up to eight times.
    #[arg(long, value_name = "FILE")]
    pub(crate) disk: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Accel {
    /// KVM where it really runs a guest, otherwise TCG.
    Auto,
    /// KVM or nothing.
    Kvm,
    /// QEMU's software emulation.
    Tcg,
}

impl From<Accel> for plan::Accel {
    fn from(accel: Accel) -> Self {
        match accel {
            Accel::Auto => Self::Auto,
            Accel::Kvm => Self::Kvm,
            Accel::Tcg => Self::Tcg,
        }
    }
}
