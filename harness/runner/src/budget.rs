//! What a run may take: whole blocks as long as there is time, and which places of a matrix get it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use measure::TrialRecord;
use plan::{DimensionValues, Plan};

use crate::Trial;

/// Room for what differs from boot to boot, as a part of what a block is expected to take.
const SLACK: f64 = 0.2;

/// Time that a run has.
#[derive(Clone, Debug)]
pub struct Budget {
    /// When it is used up. A trial that runs then does not count.
    pub until: Instant,
    /// What a trial takes of an arm that has not been booted yet.
    pub guess: Duration,
    /// The places of the matrix that are booted; all if it is empty.
    pub places: Vec<DimensionValues>,
}

impl Budget {
    /// Whether `arm` is booted.
    pub(crate) fn has_place_for(&self, plan: &Plan, arm: &str) -> bool {
        self.places.is_empty() || plan.arm(arm).is_some_and(|arm| self.places.contains(arm.dims()))
    }

    /// Whether `trials`, the rest of a block, are expected to be over in time.
    pub(crate) fn has_time_for(&self, trials: &[&Trial], pace: &Pace, now: Instant) -> bool {
        let expected: f64 = trials.iter().map(|trial| pace.of(&trial.arm, self.guess).as_secs_f64()).sum();
        now + Duration::from_secs_f64(expected * (1.0 + SLACK)) <= self.until
    }
}

/// What trials have taken so far.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    arms: BTreeMap<String, (f64, u32)>,
}

impl Pace {
    /// The pace of trials that are finished.
    #[must_use]
    pub fn of_trials(trials: &[TrialRecord]) -> Self {
        let mut pace = Self::default();
        for trial in trials {
            pace.add(&trial.arm, Duration::from_secs_f64(trial.took_seconds.max(0.0)));
        }
        pace
    }

    pub(crate) fn add(&mut self, arm: &str, took: Duration) {
        let (seconds, count) = self.arms.entry(arm.to_owned()).or_default();
        *seconds += took.as_secs_f64();
        *count += 1;
    }

    /// What a trial of `arm` is expected to take: its mean, else that of all arms, else the guess.
    #[must_use]
    pub fn of(&self, arm: &str, guess: Duration) -> Duration {
        let mean = |(seconds, count): (f64, u32)| {
            (count > 0).then(|| Duration::from_secs_f64(seconds / f64::from(count)))
        };
        let all = || self.arms.values().fold((0.0, 0), |sum, arm| (sum.0 + arm.0, sum.1 + arm.1));
        self.arms.get(arm).copied().and_then(mean).or_else(|| mean(all())).unwrap_or(guess)
    }
}

/// What fits into a time: places of the matrix, then blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The places that are booted; empty outside a matrix, and if all are.
    pub places: Vec<DimensionValues>,
    /// Blocks, traced ones included, that will be whole at these places, those that are whole already among them.
    pub blocks: u32,
    /// What one whole block takes at these places.
    pub block: Duration,
}

/// Chooses what fits into `time`: as many places as get all that they lack, but at least one. `left` are the trials that are not
/// finished, in the order of the schedule.
#[must_use]
pub fn fit(plan: &Plan, left: &[Trial], time: Duration, pace: &Pace, guess: Duration) -> Fit {
    let order = balanced(plan);
    let cost = |arm: &str| pace.of(arm, guess).as_secs_f64() * (1.0 + SLACK);
    let is_in = |places: &[DimensionValues], arm: &str| {
        places.is_empty() || plan.arm(arm).is_some_and(|arm| places.contains(arm.dims()))
    };
    let whole = |places: &[DimensionValues]| -> f64 {
        left.iter().filter(|trial| is_in(places, &trial.arm)).map(|trial| cost(&trial.arm)).sum()
    };
    let seconds = time.as_secs_f64();
    let count = (1..=order.len()).rev().find(|count| whole(&order[..*count]) <= seconds).unwrap_or(1);
    let places = if count < order.len() { order[..count].to_vec() } else { Vec::new() };
    let mut spent = 0.0;
    let mut blocks = 0;
    for block in 0..plan.design.boots + plan.design.traced_boots {
        let of_block = left.iter().filter(|trial| trial.block == block && is_in(&places, &trial.arm));
        spent += of_block.map(|trial| cost(&trial.arm)).sum::<f64>();
        if spent > seconds {
            break;
        }
        blocks += 1;
    }
    let arms = plan.arms.iter().filter(|arm| is_in(&places, &arm.name));
    let block = Duration::from_secs_f64(arms.map(|arm| cost(&arm.name)).sum());
    Fit { places, blocks, block }
}

/// The places of the matrix in such an order that any number of the first ones has every value of every dimension as equally
/// often as possible; among equals, the order of the plan. Nothing is lost that way but precision: each value is still compared somewhere.
fn balanced(plan: &Plan) -> Vec<DimensionValues> {
    let mut left: Vec<&DimensionValues> = Vec::new();
    for arm in &plan.arms {
        if !arm.dims().is_empty() && !left.contains(&arm.dims()) {
            left.push(arm.dims());
        }
    }
    let mut taken: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    let mut order = Vec::new();
    while !left.is_empty() {
        let often = |place: &&DimensionValues| -> (u32, u32) {
            let counts = place
                .iter()
                .map(|(name, value)| taken.get(&(name.as_str(), value.as_str())).copied().unwrap_or(0));
            (counts.clone().max().unwrap_or(0), counts.sum())
        };
        let Some((at, place)) = left.iter().copied().enumerate().min_by_key(|(_, place)| often(place)) else {
            break;
        };
        for (name, value) in place {
            *taken.entry((name, value)).or_default() += 1;
        }
        order.push(place.clone());
        left.remove(at);
    }
    order
}

#[cfg(test)]
mod tests {
    use plan::{
        Arm, Base, Cell, ConfigStart, Design, FakeMachine, KernelConfig, KernelSpec, Machine, Source,
    };

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn plan(values: &[(&str, &str)]) -> Plan {
        let arm = |side: &str, (vcpus, nic): (&str, &str)| {
            let dims =
                [("vcpus", vcpus), ("nic", nic)].map(|(name, value)| (name.to_owned(), value.to_owned()));
            Arm {
                name: format!("{side}@vcpus={vcpus},nic={nic}"),
                cell: Some(Cell { of: side.into(), dims: dims.into() }),
                kernel: KernelSpec {
                    base: Base {
                        name: "image".into(),
                        version: "6.12".into(),
                        source: Source::PrebuiltImage { image: "/image".into(), modules: None, config: None },
                        config: KernelConfig {
                            start: ConfigStart::Tinyconfig,
                            fragments: vec![],
                            tree_fragments: vec![],
                        },
                        flavour: plan::Flavour::Plain,
                    },
                    series: vec![],
                    options: vec![],
                },
                cmdline: vec![],
                machine: Machine::Fake(FakeMachine { script: "/script".into() }),
            }
        };
        Plan {
            format: plan::FORMAT,
            name: "test".into(),
            question: "What fits?".into(),
            dimensions: vec![],
            arms: ["old", "new"]
                .iter()
                .flat_map(|side| values.iter().map(|place| arm(side, *place)))
                .collect(),
            workloads: vec![],
            collectors: vec![],
            design: Design::of(5),
            gates: vec![],
            test_gates: vec![],
            known_complaints: vec![],
        }
    }

    const FOUR: [(&str, &str); 4] = [("1", "igb"), ("1", "e1000"), ("2", "igb"), ("2", "e1000")];

    fn places(fit: &Fit) -> Vec<(&str, &str)> {
        fit.places.iter().map(|place| (place["vcpus"].as_str(), place["nic"].as_str())).collect()
    }

    fn all_of(plan: &Plan, time: Duration) -> Fit {
        fit(plan, &crate::schedule(plan), time, &Pace::default(), MINUTE)
    }

    #[test]
    fn what_is_finished_costs_nothing() {
        let plan = plan(&FOUR);
        let left: Vec<Trial> = crate::schedule(&plan).into_iter().filter(|trial| trial.block >= 3).collect();
        // Two blocks of eight arms, a minute each and the slack.
        let fit = fit(&plan, &left, 20 * MINUTE, &Pace::default(), MINUTE);
        assert_eq!((places(&fit), fit.blocks), (vec![], 5));
    }

    #[test]
    fn with_time_for_everything_nothing_is_left_out() {
        // Eight arms, five blocks, a minute each.
        let fit = all_of(&plan(&FOUR), 49 * MINUTE);
        assert_eq!((places(&fit), fit.blocks), (vec![], 5));
    }

    #[test]
    fn half_of_a_matrix_has_every_value_once() {
        let fit = all_of(&plan(&FOUR), 26 * MINUTE);
        assert_eq!((places(&fit), fit.blocks), (vec![("1", "igb"), ("2", "e1000")], 5));
    }

    #[test]
    fn where_one_place_is_too_much_it_has_fewer_blocks() {
        let fit = all_of(&plan(&FOUR), 8 * MINUTE);
        assert_eq!((places(&fit), fit.blocks), (vec![("1", "igb")], 3));
    }

    #[test]
    fn an_arm_that_was_seen_has_its_own_pace() {
        let mut pace = Pace::default();
        pace.arms.insert("slow".into(), (30.0, 3));
        assert_eq!(pace.of("slow", MINUTE), Duration::from_secs(10));
        assert_eq!(pace.of("new", MINUTE), Duration::from_secs(10));
        assert_eq!(Pace::default().of("new", MINUTE), MINUTE);
    }
}
