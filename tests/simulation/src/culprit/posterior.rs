//! Assay's search, by the code that `assay bisect` calls.

use bisect::{Conclusion, Noise, Policy, Question, Search, Step};

use super::{
    COSTS, NOISE,
    machine::{Found, Machine},
    world::World,
};

/// More tests than any search needs.
const MOST_TESTS: usize = 1000;

/// Searches one history as a policy says. The spread between boots is known, as a calibration tells it; the size of the change is not.
#[must_use]
pub(super) fn search(world: &World, policy: &Policy) -> Found {
    let noise = Noise { boots: NOISE, known_by: f64::INFINITY, builds: 0.0, least: 0.01 };
    let mut search = Search::new(world.history.clone(), Question::Level(noise), COSTS, policy.clone());
    let mut machine = Machine::new(world);
    for _ in 0..MOST_TESTS {
        match search.next() {
            Step::Test { node, boots } => {
                let is_built = machine.build(node);
                search.stands_at(node);
                if is_built {
                    let values: Vec<f64> = (0..boots).map(|_| machine.boot(node)).collect();
                    search.measured(node, &values);
                } else {
                    search.untestable(node);
                }
            }
            Step::Done(Conclusion::Found(culprits) | Conclusion::Exhausted(culprits)) => {
                return machine.named(&culprits.commits);
            }
            Step::Done(Conclusion::NothingInRange { .. } | Conclusion::EndUntestable(_)) => {
                return machine.named(&[]);
            }
        }
    }
    machine.named(&search.culprits(&search.posterior()).commits)
}

/// Searches histories as a policy says.
#[must_use]
pub fn posterior_bisect(worlds: super::Worlds, policy: &Policy, histories: usize, seed: u64) -> super::Fared {
    let all: Vec<Found> =
        (0..histories as u64).map(|n| search(&World::draw(worlds, seed + n), policy)).collect();
    super::Fared::of(&all)
}
