//! What each replicate of exact evidence is begun with: a pure function of the plan's seed and the replicate's number.

use measure::Perturbation;
use plan::{Evidence, Plan};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// Few enough to be read out.
const SEEDS: u64 = 1_000_000;

/// Longest wait before the workloads: more than a tick of the slowest timer that kernels are built with (`CONFIG_HZ=100`).
const LONGEST_START_US: u64 = 12_000;

/// Most pipes and pairs of sockets.
const MOST_HELD: u64 = 96;

/// Most KiB that shift what is allocated, whole pages.
const MOST_LAYOUT_PAGES: u64 = 256;

/// Shortest and longest time that a wire holds what is sent: from a switch's to a data centre's. What is shorter costs the host
/// too much, as it has to look at the wire so often, and the guest's clock goes on in its idle time as well.
const LINK_US: std::ops::Range<u64> = 100..400;

/// What the boots of a block are begun with, the same for all arms. None where the evidence is timed.
#[must_use]
pub fn perturbation(plan: &Plan, block: u32) -> Option<Perturbation> {
    if plan.evidence() == Evidence::Timed {
        return None;
    }
    let seed = plan.design.seed;
    let replicate = match plan.design.replicate(block) {
        Some(number) => replicate(seed, number),
        // A plan of before there were replicates.
        None if plan.design.replicates.is_empty() => {
            Perturbation { number: block, seed: fold(seed).wrapping_add(block), ..Perturbation::default() }
        }
        None => replicate(seed, block),
    };
    let link_us = if plan.design.link_delay { replicate.link_us } else { 0 };
    Some(Perturbation { link_us, ..replicate })
}

/// The replicate of this number under a plan's seed. Each has a stream of random numbers to itself, so that it is the same
/// however many there are.
fn replicate(seed: u64, number: u32) -> Perturbation {
    if number == 0 {
        return Perturbation { seed: fold(seed), ..Perturbation::default() };
    }
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    random.set_stream(number.into());
    let mut below = |bound: u64| small(random.next_u64() % bound);
    Perturbation {
        number,
        seed: below(SEEDS),
        start_us: 1 + below(LONGEST_START_US),
        held: 1 + below(MOST_HELD),
        layout_kib: 4 * (1 + below(MOST_LAYOUT_PAGES)),
        // Drawn last, so that all others are what they were before there was a wire among them.
        link_us: small(LINK_US.start) + below(LINK_US.end - LINK_US.start),
    }
}

/// QEMU's seed has half the bits of a plan's.
fn fold(seed: u64) -> u32 {
    small((seed ^ (seed >> 32)) & u64::from(u32::MAX))
}

fn small(value: u64) -> u32 {
    u32::try_from(value).expect("below a bound of 32 bits")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_number_is_a_replicate_of_its_own_and_always_the_same() {
        let distinct = |of: fn(&Perturbation) -> u32| {
            (1..200).map(|number| of(&replicate(7, number))).collect::<BTreeSet<u32>>().len()
        };
        assert_eq!(distinct(|replicate| replicate.seed), 199);
        assert!(distinct(|replicate| replicate.start_us) > 190);
        assert!(distinct(|replicate| replicate.held) > 70);
        assert!(distinct(|replicate| replicate.layout_kib) > 100);
        assert!(distinct(|replicate| replicate.link_us) > 100);
        assert_eq!(replicate(7, 3), replicate(7, 3));
        assert_ne!(replicate(7, 3), replicate(8, 3));
        // What reports of earlier runs name must stay what it was.
        let third = "p3: seed 668587, start +6592 us, 11 pipes and sockets, layout +516 KiB";
        assert_eq!(replicate(1, 3).to_string(), format!("{third}, link +106 us"));
        assert_eq!(Perturbation { link_us: 0, ..replicate(1, 3) }.to_string(), third);
    }

    #[test]
    fn the_first_is_not_perturbed() {
        assert_eq!(replicate(5, 0), Perturbation { seed: 5, ..Perturbation::default() });
        assert_eq!(fold(u64::MAX), 0);
        assert_ne!(fold(7), fold(7 << 33), "the upper half of the plan's seed counts as well");
    }
}
