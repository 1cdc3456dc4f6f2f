//! How often what is there is found.

use stats::{Better, Comparison, Verdict, judge};

use crate::{
    noise::{Lab, Noise},
    share,
};

const DRAWS: u32 = 1000;

/// How often one gate with a margin of 2 % ends in `verdict` at level 0.05.
fn found(verdict: Verdict, boots: u32, noise: Noise, spread: f64, change: f64) -> f64 {
    let mut lab = Lab::new(21);
    let mut found = 0;
    for _ in 0..DRAWS {
        let blocks = lab.blocks(boots, noise, spread, change);
        let comparison = Comparison { blocks, better: Better::Higher, margin: 0.02 };
        let judged = judge(&[comparison], 0.05).expect("the input is valid");
        found += u32::from(judged[0].verdict == verdict);
    }
    share(found, DRAWS)
}

#[test]
fn a_loss_of_five_per_cent_is_found() {
    // Boots that spread by 1 %: six of them find it nine times in ten, eight nearly always.
    let six = found(Verdict::Worse, 6, Noise::Normal, 0.01, -0.05);
    let eight = found(Verdict::Worse, 8, Noise::Normal, 0.01, -0.05);
    assert!(six >= 0.9 && eight >= 0.99 && eight >= six, "{six} {eight}");
    let gained = found(Verdict::Better, 8, Noise::Normal, 0.01, 0.05);
    assert!(gained >= 0.99, "{gained}");
}

#[test]
fn a_drift_between_blocks_hides_nothing() {
    let found = found(Verdict::Worse, 8, Noise::Drifting, 0.01, -0.05);
    assert!(found >= 0.99, "{found}");
}

#[test]
fn a_boot_far_out_now_and_then_hides_little() {
    let found = found(Verdict::Worse, 12, Noise::HeavyTailed, 0.005, -0.05);
    assert!(found >= 0.8, "{found}");
}

#[test]
fn equal_arms_are_called_same() {
    let eight = found(Verdict::Same, 8, Noise::Normal, 0.01, 0.0);
    let twelve = found(Verdict::Same, 12, Noise::Normal, 0.01, 0.005);
    assert!(eight >= 0.9 && twelve >= 0.9, "{eight} {twelve}");
}

#[test]
fn noise_beyond_the_margin_ends_in_unclear_and_not_in_same() {
    let unclear = found(Verdict::Unclear, 6, Noise::Normal, 0.1, 0.0);
    assert!(unclear >= 0.9, "{unclear}");
    // Such data could not have shown a small effect, and says so.
    let blocks = Lab::new(22).blocks(6, Noise::Normal, 0.1, 0.0);
    let judged = judge(&[Comparison { blocks, better: Better::Higher, margin: 0.02 }], 0.05).unwrap();
    assert!(judged[0].smallest_shown.is_some_and(|smallest| smallest > 0.05), "{judged:?}");
}
