//! How often verdicts are wrong, and how often they find what is there: seeded simulation of whole designs.
//!
//! A [`World`] says where values vary. Each data set drawn from it holds the boots of two arms in randomised blocks, interval by interval. On
//! the same data sets stand Assay's own tests (crate `stats`, as `assay run` calls them), a test that knows the variances, and the rules
//! that other projects publish.
//!
//! `cargo xtask simulate` makes all cells and writes `tests/SIMULATION.md`; this crate's own tests make a few of them.
//!
//! Invariant: seeds decide everything; the number of threads does not.

mod culprit;
mod drift;
mod fixed;
mod many;
mod others;
mod parallel;
mod report;
mod sequential;
mod world;

pub use culprit::{Boots, COSTS, Fared, NOISE, SLOWER, Worlds, culprits, git_bisect, posterior_bisect};
pub use drift::{Drift, REAL, fit, real};
pub use fixed::{Fixed, fixed};
pub use many::{Many, many};
pub use others::{Other, Rates, others};
pub use parallel::in_parallel;
pub use report::{Size, everything};
pub use sequential::{Method, Sequential, equal_power, growing, sequential};
pub use world::{BOOT_SPREADS, INTERVALS, MARGIN, Modes, Pairs, WITHIN, World};

/// The family-wise level of all designs.
pub const ALPHA: f64 = 0.05;

/// The quantile of the standard normal that is exceeded with probability [`ALPHA`].
pub(crate) const Z_ALPHA: f64 = 1.644_853_627;
/// The quantile of the standard normal below which 0.9 lie.
pub(crate) const Z_POWER: f64 = 1.281_551_566;

#[expect(clippy::cast_precision_loss, reason = "counts of data sets and boots")]
pub(crate) fn float(n: usize) -> f64 {
    n as f64
}

/// A share of data sets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share {
    /// In how many.
    pub of: usize,
    /// Of how many.
    pub all: usize,
}

impl Share {
    /// Counts one more.
    pub fn add(&mut self, is: bool) {
        self.of += usize::from(is);
        self.all += 1;
    }

    /// As a fraction.
    #[must_use]
    pub fn value(self) -> f64 {
        float(self.of) / float(self.all.max(1))
    }

    /// Whether it is at most `nominal`, but for two standard errors of so many data sets.
    #[must_use]
    pub fn is_at_most(self, nominal: f64) -> bool {
        self.value() <= nominal + 2.0 * (nominal * (1.0 - nominal) / float(self.all.max(1))).sqrt()
    }
}
