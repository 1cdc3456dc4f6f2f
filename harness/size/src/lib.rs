//! How much of everything a receiver needs, so that a stream of some rate over some round trip is not held up by what is
//! too small: rings, device memory, socket buffers, huge pages, batches.
//!
//! The rules are those of "The Battle of the ZCs" (netdev conf), a comparison of zero-copy receivers at 200 Gbit/s; where
//! it only gives a number, the rule is ours, says so, and comes to the same number there. Each [`Rule`] carries how its value comes
//! about, why, and the source.
//!
//! Invariant: arithmetic. No I/O, no plans, no kernels.

#![deny(missing_docs)]

mod need;
mod quantity;
mod rule;
mod setting;
mod shortage;
mod sizes;
mod text;

pub use need::{Ip, Need};
pub use quantity::{bytes, bytes_of, duration, duration_of, rate, rate_of};
pub use rule::{Rule, Unit};
pub use setting::{Setting, Side};
pub use shortage::Provision;
pub use sizes::{MOST_BYTES_PER_READ, MOST_DESCRIPTORS, MOST_REFILL_ENTRIES, MOST_TOKENS, Sizes};
pub use text::text;

use serde::Serialize;

/// All that is said about a need.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// What was asked.
    pub need: Need,
    /// What it comes to.
    pub sizes: Sizes,
    /// Each size with its reason.
    pub rules: Vec<Rule>,
    /// How to set it.
    pub settings: Vec<Setting>,
    /// What does not fit, or could be had for less.
    pub notes: Vec<String>,
}

impl Answer {
    /// The sizes for a need.
    #[must_use]
    pub fn to(need: Need) -> Self {
        let sizes = Sizes::of(&need);
        let rules = rule::rules(&need, &sizes);
        let settings = setting::settings(&need, &sizes);
        let notes = rule::notes(&need, &sizes);
        Self { need, sizes, rules, settings, notes }
    }
}
