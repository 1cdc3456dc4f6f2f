//! What sets of boots that share no block can show, and what they cannot.

use stats::{UnpairedShifts, median_interval};

use crate::{noise::Lab, share};

const LEVEL: f64 = 0.025;
const DRAWS: u32 = 2000;

/// `boots` boots of a level that strays by `between` from one run to the next, as fractions.
fn run(lab: &mut Lab, boots: u32, between: f64) -> Vec<f64> {
    let level = 9.4e9_f64.ln() + between * lab.normal();
    (0..boots).map(|_| (level + 0.02 * lab.normal()).exp()).collect()
}

/// How often the interval of the shift between two runs of one kernel misses zero.
fn missed(between: f64) -> f64 {
    let (mut lab, mut shifts, mut missed) = (Lab::new(11), UnpairedShifts::default(), 0);
    for _ in 0..DRAWS {
        let (first, second) = (run(&mut lab, 8, between), run(&mut lab, 10, between));
        let effect =
            shifts.effect(&first, &second, LEVEL).expect("the input is valid").expect("both have boots");
        let interval = effect.interval.expect("eight boots suffice");
        missed += u32::from(interval.low > 0.0 || interval.high < 0.0);
    }
    share(missed, DRAWS)
}

#[test]
fn where_the_times_are_alike_the_interval_holds() {
    let missed = missed(0.0);
    assert!(missed <= crate::at_most(2.0 * LEVEL, DRAWS), "{missed}");
}

#[test]
fn where_the_times_differ_as_boots_do_no_verdict_could_be_drawn_from_it() {
    // Runs that stray from each other as single boots do: most pairs of runs of one kernel would be called different.
    let missed = missed(0.02);
    assert!(missed > 0.4, "{missed}");
}

#[test]
fn the_median_of_a_run_is_covered() {
    let mut lab = Lab::new(12);
    let mut missed = 0;
    for _ in 0..DRAWS {
        let values: Vec<f64> = (0..9).map(|_| (0.02 * lab.normal()).exp()).collect();
        let interval =
            median_interval(&values, LEVEL).expect("the input is valid").expect("nine boots suffice");
        missed += u32::from(interval.low > 1.0 || interval.high < 1.0);
    }
    let missed = share(missed, DRAWS);
    assert!(missed <= crate::at_most(2.0 * LEVEL, DRAWS), "{missed}");
}
