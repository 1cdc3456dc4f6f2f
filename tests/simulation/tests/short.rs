//! A few cells of the whole simulation, small: the promises hold, and the checks can fail.

use bisect::Policy;
use simulation::{
    Boots, Drift, Method, Modes, Other, World, Worlds, equal_power, fixed, git_bisect, growing, many, others,
    posterior_bisect, sequential,
};

const DATA_SETS: usize = 400;

#[test]
fn claims_are_false_no_more_often_than_they_say_in_any_world() {
    let drift = Some(Drift { spread: 2.0, memory: 0.7 });
    let modes = Some(Modes { slow: 0.25, by: 0.04 });
    for (drift, modes) in [(None, None), (drift, None), (None, modes)] {
        for boots in [6, 12] {
            let cell = fixed(World { boot: 0.5, drift, modes }, boots, DATA_SETS, 1);
            assert!(cell.false_worse.is_at_most(0.05) && cell.false_same.is_at_most(0.05), "{cell:?}");
            // Two standard errors of so few data sets are two points.
            assert!(cell.covered.value() >= 0.93, "{cell:?}");
        }
    }
}

#[test]
fn power_comes_near_that_of_a_test_which_knows_the_variances() {
    let ratio = |boots| fixed(World::plain(1.0), boots, DATA_SETS, 2).ratio();
    assert!(ratio(12) >= 0.9 && ratio(20) >= 0.9, "{} {}", ratio(12), ratio(20));
    // With six it does not, and no test within blocks does.
    let six = fixed(World::plain(1.0), 6, DATA_SETS, 2);
    assert_eq!(six.ceiling, Some(six.found));
    assert!(six.ratio() < 0.9, "{six:?}");
}

#[test]
fn twenty_gates_are_held_to_one_level_and_would_break_it_each_alone() {
    let cell = many(World::plain(0.5), 12, 200, 3);
    assert!(cell.any_false_worse.is_at_most(0.05), "{cell:?}");
    assert!(cell.any_unadjusted.value() > 0.2, "{cell:?}");
    assert_eq!(many(World::plain(0.5), 8, 50, 3).found.of, 0);
}

#[test]
fn a_run_that_stops_early_is_wrong_no_more_often_and_takes_fewer_boots() {
    let most = equal_power(Method::Looks, 16, 2 * DATA_SETS, 4).expect("fewer than twice as many");
    let cell = sequential(Method::Looks, World::plain(0.5), 16, most, DATA_SETS, 4);
    assert!(cell.false_claims.is_at_most(0.05) && cell.false_same.is_at_most(0.05), "{cell:?}");
    assert!(1.0 - cell.covered.value() <= 0.13, "{cell:?}");
    assert!(cell.blocks <= 0.8 && cell.blocks_at_twice <= 0.6, "{cell:?}");
    assert!(cell.power.value() >= cell.fixed_power.value() - 0.02, "{cell:?}");
}

#[test]
fn looking_after_every_block_at_the_level_of_one_would_be_wrong_more_often() {
    // The check above must be able to fail: a boundary that hardly holds early looks to less is still held to the level ...
    let shape = sequential(Method::Shape(0.0), World::plain(0.5), 16, 20, DATA_SETS, 5);
    assert!(shape.false_claims.is_at_most(0.05), "{shape:?}");
    // ... and noise that grows from block to block breaks it, as the table says.
    let worst = growing(24, 4000, 6).value();
    assert!((0.06..0.10).contains(&worst), "{worst}");
}

#[test]
fn values_of_one_boot_are_not_independent() {
    let pooled = others(Other::WelchOneBoot, World::plain(0.25), DATA_SETS, 7);
    let ours = others(Other::Assay(8), World::plain(0.25), DATA_SETS, 7);
    assert!(pooled.identical.value() > 0.3 && ours.identical.value() <= 0.05, "{pooled:?} {ours:?}");
    assert!(ours.loss.value() > 0.9, "{ours:?}");
}

#[test]
fn a_posterior_finds_culprits_in_less_time_than_repeats_and_names_none_where_there_is_none() {
    const HISTORIES: usize = 24;
    let ours = posterior_bisect(Worlds::Plain, &Policy::default(), HISTORIES, 1);
    assert!(ours.right.of >= HISTORIES - 3, "{ours:?}");
    // So many repeats are still too few to be right as often.
    let git = git_bisect(Worlds::Plain, Boots::Mean { each: 12, ends: 12 }, HISTORIES, 1);
    assert!(ours.seconds < 0.75 * git.seconds && ours.right.of >= git.right.of, "{ours:?} {git:?}");
    let unchanged = posterior_bisect(Worlds::Unchanged, &Policy::default(), 4, 1);
    assert_eq!(unchanged.right.of, 4, "{unchanged:?}");
}
