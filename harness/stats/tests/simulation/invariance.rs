//! What must not matter.

use stats::{Better, Block, Comparison, Judgement, Verdict, explore, judge};

use crate::noise::{self, Lab, Noise};

const CLOSE: f64 = 1e-9;

fn judged(blocks: Vec<Block>, better: Better) -> Judgement {
    judge(&[Comparison { blocks, better, margin: 0.02 }], 0.05).expect("the input is valid").remove(0)
}

/// Calls `check` with data of every noise and of many sizes of effect, at and beyond the limit of enumeration.
fn everywhere(mut check: impl FnMut(Vec<Block>)) {
    for (seed, noise) in (31..).zip(noise::ALL) {
        let mut lab = Lab::new(seed);
        for (boots, change) in [(5, 0.0), (6, -0.05), (8, 0.021), (12, 0.01), (16, -0.02), (17, 0.04)] {
            check(lab.blocks(boots, noise, 0.01, change));
        }
    }
}

#[test]
fn swapping_the_arms_turns_every_effect_around() {
    everywhere(|blocks| {
        let swap = |block: &Block| Block { baseline: block.candidate, candidate: block.baseline };
        let swapped = blocks.iter().map(swap).collect();
        let explored = explore(&[blocks, swapped]).unwrap();
        let (there, back) = (explored[0].effect.unwrap(), explored[1].effect.unwrap());
        assert!(((1.0 + there.estimate) * (1.0 + back.estimate) - 1.0).abs() < CLOSE);
        assert_eq!(explored[0].p, explored[1].p);
        let (Some(a), Some(b)) = (there.interval, back.interval) else {
            assert_eq!((there.interval, back.interval), (None, None));
            return;
        };
        assert!(((1.0 + a.low) * (1.0 + b.high) - 1.0).abs() < CLOSE, "{a:?} {b:?}");
        assert!(((1.0 + a.high) * (1.0 + b.low) - 1.0).abs() < CLOSE, "{a:?} {b:?}");
    });
}

#[test]
fn verdicts_are_what_the_shown_interval_says() {
    // Three gates at once, so that levels differ from gate to gate; effects on both sides of a margin of 2 %.
    let mut lab = Lab::new(35);
    let mut seen = [0; 4];
    for round in 0..400 {
        let changes = [0.0, 0.015, 0.025, -0.03].map(|change| change * f64::from(round % 5) / 2.0);
        let gate = |change: f64| Comparison {
            blocks: lab.blocks(7, Noise::HeavyTailed, 0.006, change),
            better: Better::Higher,
            margin: 0.02,
        };
        let gates: Vec<_> = changes.into_iter().map(gate).collect();
        for judgement in judge(&gates, 0.05).unwrap() {
            let interval = judgement.effect.unwrap().interval.unwrap();
            let verdict = match interval {
                i if i.low > 0.02 => Verdict::Better,
                i if i.high < -0.02 => Verdict::Worse,
                i if i.low > -0.02 && i.high < 0.02 => Verdict::Same,
                _ => Verdict::Unclear,
            };
            assert_eq!(judgement.verdict, verdict, "{judgement:?}");
            assert_eq!(verdict == Verdict::Unclear, judgement.p > 0.05, "{judgement:?}");
            seen[verdict as usize] += 1;
        }
    }
    assert!(seen.iter().all(|count| *count > 50), "every verdict was put to the test: {seen:?}");
}

#[test]
fn the_unit_does_not_matter() {
    everywhere(|blocks| {
        let scale = |value: Option<f64>| value.map(|value| value / 1e9);
        let scaled =
            blocks.iter().map(|b| Block { baseline: scale(b.baseline), candidate: scale(b.candidate) });
        let (a, b) = (judged(scaled.collect(), Better::Higher), judged(blocks, Better::Higher));
        assert_eq!((a.verdict, a.p, a.notes), (b.verdict, b.p, b.notes));
        assert!((a.effect.unwrap().estimate - b.effect.unwrap().estimate).abs() < CLOSE);
    });
}

#[test]
fn the_order_of_blocks_does_not_matter_where_all_flips_are_enumerated() {
    everywhere(|blocks| {
        if blocks.len() > 16 {
            return;
        }
        let mut turned = blocks.clone();
        turned.reverse();
        turned.rotate_left(2);
        let (a, b) = (judged(turned, Better::Lower), judged(blocks, Better::Lower));
        assert_eq!((a.verdict, a.p, a.notes), (b.verdict, b.p, b.notes));
    });
}

#[test]
fn nothing_is_drawn() {
    let blocks = Lab::new(33).blocks(20, Noise::Normal, 0.01, 0.01);
    assert_eq!(judged(blocks.clone(), Better::Higher), judged(blocks, Better::Higher));
}

#[test]
fn a_judgement_survives_being_written_down() {
    let judgement = judged(Lab::new(34).blocks(6, Noise::Normal, 0.03, 0.01), Better::Higher);
    let text = serde_json::to_string(&judgement).unwrap();
    assert_eq!(serde_json::from_str::<Judgement>(&text).unwrap(), judgement);
}
