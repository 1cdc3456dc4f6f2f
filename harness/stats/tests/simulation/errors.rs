//! How often a claim is false.

use stats::{Better, Block, Comparison, Differences, SignedRanks, Verdict, attainable_level, judge};

use crate::{
    at_most,
    noise::{self, Lab, Noise},
    share,
};

const ALPHA: f64 = 0.05;

fn verdict(blocks: Vec<Block>, margin: f64) -> Verdict {
    judge(&[Comparison { blocks, better: Better::Higher, margin }], ALPHA).expect("the input is valid")[0]
        .verdict
}

#[derive(Default)]
struct Tally {
    worse: u32,
    better: u32,
    same: u32,
}

fn tally(draws: u32, mut draw: impl FnMut() -> Verdict) -> Tally {
    let mut tally = Tally::default();
    for _ in 0..draws {
        match draw() {
            Verdict::Worse => tally.worse += 1,
            Verdict::Better => tally.better += 1,
            Verdict::Same => tally.same += 1,
            Verdict::Unclear => {}
        }
    }
    tally
}

#[test]
fn identical_arms_are_seldom_called_different() {
    const DRAWS: u32 = 4000;
    for noise in noise::ALL {
        for boots in [5, 8, 11] {
            let mut lab = Lab::new(100 + u64::from(boots));
            // The spread between boots equals the margin: a gate that the data can hardly serve.
            let seen = tally(DRAWS, || verdict(lab.blocks(boots, noise, 0.02, 0.0), 0.02));
            let alarms = share(seen.worse + seen.better, DRAWS);
            assert!(alarms <= ALPHA, "{noise:?}, {boots} boots: {alarms}");
        }
    }
}

#[test]
fn without_a_margin_to_speak_of_each_direction_still_keeps_its_level() {
    const DRAWS: u32 = 4000;
    for noise in noise::ALL {
        let mut lab = Lab::new(7);
        let seen = tally(DRAWS, || verdict(lab.blocks(8, noise, 0.02, 0.0), 1e-9));
        let limit = at_most(ALPHA, DRAWS);
        let (worse, better) = (share(seen.worse, DRAWS), share(seen.better, DRAWS));
        assert!(worse <= limit && better <= limit, "{noise:?}: worse {worse}, better {better}");
        // 12 of 256 flips: the level is used and not merely kept.
        assert!(worse >= 0.03 && better >= 0.03, "{noise:?}: worse {worse}, better {better}");
    }
}

#[test]
fn a_change_of_just_the_margin_is_seldom_same_and_seldom_worse() {
    const DRAWS: u32 = 4000;
    for noise in noise::ALL {
        let mut lab = Lab::new(8);
        let seen = tally(DRAWS, || verdict(lab.blocks(9, noise, 0.004, -0.02), 0.02));
        let limit = at_most(ALPHA, DRAWS);
        assert!(share(seen.same, DRAWS) <= limit, "{noise:?}: {}", seen.same);
        assert!(share(seen.worse, DRAWS) <= limit, "{noise:?}: {}", seen.worse);
        assert_eq!(seen.better, 0, "{noise:?}");
    }
}

#[test]
fn intervals_cover_the_truth_exactly_as_often_as_they_say() {
    const DRAWS: u32 = 4000;
    for noise in noise::ALL {
        for (boots, level) in [(6_u32, 0.05), (10, 0.025), (10, 0.1)] {
            let mut lab = Lab::new(9);
            let mut missed = 0;
            for _ in 0..DRAWS {
                let differences =
                    Differences::relative(&lab.blocks(boots, noise, 0.03, 0.04)).unwrap().unwrap();
                let interval = SignedRanks::new(&differences.values).interval(level).unwrap();
                missed += u32::from(!(interval.low..=interval.high).contains(&1.04_f64.ln()));
            }
            let nominal = 2.0 * attainable_level(boots as usize, level);
            let missed = share(missed, DRAWS);
            assert!(missed <= at_most(nominal, DRAWS), "{noise:?}, {boots} boots: {missed} {nominal}");
            assert!(
                missed >= 2.0 * nominal - at_most(nominal, DRAWS),
                "{noise:?}, {boots} boots: {missed} {nominal}"
            );
        }
    }
}

/// Three gated comparisons whose noise is shared in part, as it is between metrics of one boot.
fn family(lab: &mut Lab, boots: u32, changes: [f64; 3]) -> Vec<Comparison> {
    let shared = lab.blocks(boots, Noise::HeavyTailed, 0.005, 0.0);
    let comparisons = changes.map(|change| {
        let own = lab.blocks(boots, Noise::Normal, 0.005, change);
        let blocks = shared.iter().zip(&own).map(|(a, b)| {
            let product = |x: Option<f64>, y: Option<f64>| Some(x? * y? / 9.4e9);
            Block { baseline: product(a.baseline, b.baseline), candidate: product(a.candidate, b.candidate) }
        });
        Comparison { blocks: blocks.collect(), better: Better::Higher, margin: 0.02 }
    });
    comparisons.into()
}

/// Whether a verdict is false for a true relative change, at a margin of 0.02. A change of just the margin is none of the
/// three, so any claim about it is false.
fn is_false(verdict: Verdict, change: f64) -> bool {
    match verdict {
        Verdict::Worse => change >= -0.02,
        Verdict::Better => change <= 0.02,
        Verdict::Same => change <= -0.02 || change >= 0.02,
        Verdict::Unclear => false,
    }
}

#[test]
fn a_family_of_gates_makes_any_false_claim_of_a_kind_at_most_at_its_level() {
    const DRAWS: u32 = 3000;
    let truths = [
        [-0.02, -0.02, -0.02],
        [-0.02, 0.02, 0.02],
        // Clear effects are rejected first and give the last one the whole level.
        [-0.3, -0.3, -0.02],
        [-0.3, 0.0, 0.02],
        [0.0, 0.0, 0.02],
        [0.3, -0.02, 0.02],
        [-0.025, -0.015, 0.02],
    ];
    for changes in truths {
        let mut lab = Lab::new(11);
        let kinds = [Verdict::Worse, Verdict::Better, Verdict::Same];
        let mut wrong = [0; 3];
        for _ in 0..DRAWS {
            let judged = judge(&family(&mut lab, 8, changes), ALPHA).unwrap();
            for (kind, wrong) in kinds.iter().zip(&mut wrong) {
                let any =
                    judged.iter().zip(changes).any(|(j, c)| j.verdict == *kind && is_false(j.verdict, c));
                *wrong += u32::from(any);
            }
        }
        for (kind, wrong) in kinds.iter().zip(wrong) {
            let wrong = share(wrong, DRAWS);
            assert!(wrong <= at_most(ALPHA, DRAWS), "{changes:?}, {kind}: {wrong}");
        }
    }
}

#[test]
fn without_the_adjustment_a_family_of_gates_would_break_its_level() {
    // The check above must be able to fail: the same draws, each gate judged as if it were alone.
    const DRAWS: u32 = 3000;
    let mut lab = Lab::new(11);
    let mut wrong = 0;
    for _ in 0..DRAWS {
        let family = family(&mut lab, 8, [-0.02; 3]);
        wrong += u32::from(family.into_iter().any(|c| verdict(c.blocks, 0.02) == Verdict::Worse));
    }
    assert!(share(wrong, DRAWS) > at_most(ALPHA, DRAWS), "{wrong}");
}
