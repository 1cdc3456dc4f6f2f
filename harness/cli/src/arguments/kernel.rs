//! `assay kernel`.

use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCandidates;

use super::{Flavour, SeriesFlags, help};

#[derive(Debug, Subcommand)]
pub(crate) enum Kernel {
    /// The bases of this project, and what the cache holds.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Build a kernel, or take it from the cache; prints the path of its image.
    #[command(after_long_help = help::KERNEL_BUILD)]
    Build {
        #[command(flatten)]
        choice: KernelChoice,
        /// How the build ended and all that is known of the image, as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the path of a built kernel's folder; fails if it is not built.
    Path {
        #[command(flatten)]
        choice: KernelChoice,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the merged configuration of a kernel.
    Config(KernelChoice),
    /// Print a configuration fragment with all that Assay's guests need, for the kernel's scripts/kconfig/merge_config.sh.
    Fragment,
    /// Build a kernel again from nothing, and say whether the image is the same to the byte.
    #[command(after_long_help = help::KERNEL_REPRODUCE)]
    Reproduce {
        #[command(flatten)]
        choice: KernelChoice,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Remove what was not used for longest until the cache is small enough.
    #[command(after_long_help = help::KERNEL_GC)]
    Gc {
        /// Size to stay under, in GiB.
        #[arg(long, default_value_t = 20, value_name = "GIB")]
        under: u64,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct KernelChoice {
    /// A base: the name of a file in `kernels/`.
    #[arg(add = ArgValueCandidates::new(crate::complete::bases))]
    pub(crate) base: String,
    /// What it is built for: `debug` has KASAN, lockdep and more.
    #[arg(long, value_enum)]
    pub(crate) flavour: Option<Flavour>,
    /// An option beyond the base's own configuration, as in a scenario's `config`: `LKDTM=y`. May be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = super::config_option)]
    pub(crate) option: Vec<plan::ConfigOption>,
    #[command(flatten)]
    pub(crate) series: SeriesFlags,
}

impl Kernel {
    /// Whether the answer is to be JSON.
    pub(super) fn wants_json(&self) -> bool {
        match self {
            Self::List { json }
            | Self::Build { json, .. }
            | Self::Path { json, .. }
            | Self::Reproduce { json, .. }
            | Self::Gc { json, .. } => *json,
            Self::Config(_) | Self::Fragment => false,
        }
    }
}
