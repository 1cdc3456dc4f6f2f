//! What kernels are built for: to be fast, or to say what they do wrong.

use serde::{Deserialize, Serialize};

/// The flavour of a run's kernels: all arms have the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flavour {
    /// As the base is configured: what is timed means something.
    #[default]
    Plain,
    /// With `kernels/fragments/debug.config`: sanitizers, the lock validator, checks of objects and pages, detectors of
    /// stalls. What such kernels complain about is the result; what is timed under them is not compared.
    Debug,
}

impl Flavour {
    /// Whether kernels are as their base is configured.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::Plain
    }

    /// The word, as in scenarios.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Debug => "debug",
        }
    }

    /// The fragment of `kernels/fragments/` that makes it.
    #[must_use]
    pub fn fragment(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Debug => Some("debug"),
        }
    }

    /// Kernel parameters that it takes. Without the first, KASAN falls silent after one report, be that one known or not
    /// (`mm/kasan/report.c`); the second has free pages hold a pattern, which is checked (`mm/page_poison.c`).
    #[must_use]
    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &[],
            Self::Debug => &["kasan_multi_shot", "page_poison=1"],
        }
    }

    /// The least memory of a guest, in MiB. KASAN's shadow takes an eighth, its quarantine a 32nd, and lockdep's tables and
    /// the image with its checks 200 MiB.
    #[must_use]
    pub fn least_memory_mib(self) -> u32 {
        match self {
            Self::Plain => 0,
            Self::Debug => 1024,
        }
    }

    /// How much longer than a plain kernel one of this flavour may take to boot.
    #[must_use]
    pub fn patience(self) -> u32 {
        match self {
            Self::Plain => 1,
            Self::Debug => 4,
        }
    }
}
