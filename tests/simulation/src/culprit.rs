//! Histories in which one commit made something slower, and how long each way to look for it takes.

mod git;
mod machine;
mod posterior;
mod report;
mod world;

pub use git::{Boots, git_bisect};
pub use machine::COSTS;
pub use posterior::posterior_bisect;
pub use report::culprits;
pub use world::{NOISE, SLOWER, Worlds};

use self::machine::Found;
use crate::{Share, float};

/// How one way to look fared over many histories.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fared {
    /// It named the culprit, or the set of commits that nobody can tell it from.
    pub right: Share,
    /// Machine time in seconds, a mean.
    pub seconds: f64,
    /// Builds, whether they came to an end or not, a mean.
    pub builds: f64,
    /// Boots, a mean.
    pub boots: f64,
}

impl Fared {
    /// Of all searches.
    #[must_use]
    fn of(all: &[Found]) -> Self {
        let mut fared = Self::default();
        for found in all {
            fared.right.add(found.is_right);
            fared.seconds += found.seconds;
            fared.builds += float(found.builds);
            fared.boots += float(found.boots);
        }
        for sum in [&mut fared.seconds, &mut fared.builds, &mut fared.boots] {
            *sum /= float(all.len().max(1));
        }
        fared
    }
}
