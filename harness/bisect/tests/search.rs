//! Whole searches with a hidden culprit: in any history, with noise, failures and commits that cannot be tested.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod common;

use bisect::{Conclusion, Culprits, Failing, GOOD, History, Node, Noise, Policy, Question, Search, Step};
use common::{COSTS, EXACT, histories};
use proptest::prelude::*;
use stats::Draws;

/// What a search found, and how many tests it made.
fn search(mut search: Search, mut test: impl FnMut(&mut Search, Node, u32)) -> (Conclusion, usize) {
    for tests in 0..2000 {
        match search.next() {
            Step::Test { node, boots } => test(&mut search, node, boots),
            Step::Done(conclusion) => return (conclusion, tests),
        }
    }
    let posterior = search.posterior();
    panic!("2000 tests do not end a search: {:?}, {:?}", search.culprits(&posterior), posterior.seen);
}

/// Commits that no test of the nodes that can be tested tells from `culprit`.
fn alike(history: &History, culprit: Node, untestable: &[Node]) -> Vec<Node> {
    let seen = |commit| -> Vec<bool> {
        (0..history.nodes())
            .filter(|node| !untestable.contains(node))
            .map(|node| history.carries(node, commit))
            .collect()
    };
    (1..history.nodes()).filter(|commit| seen(*commit) == seen(culprit)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Without noise every culprit is found, in any history, whatever cannot be tested.
    #[test]
    fn exact_numbers_lead_to_the_culprit_or_to_those_that_nothing_tells_from_it(
        history in histories(60), culprit in any::<prop::sample::Index>(), skips in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let tip = history.tip();
        let culprit = 1 + culprit.index(tip);
        let untestable: Vec<Node> =
            skips.iter().map(|skip| skip.index(history.nodes())).filter(|node| *node != GOOD && *node != tip).collect();
        let begun = Search::new(history.clone(), Question::Level(EXACT), COSTS, Policy::default());
        let (conclusion, tests) = search(begun, |search, node, boots| {
            search.stands_at(node);
            if untestable.contains(&node) {
                search.untestable(node);
            } else {
                let value = if history.carries(node, culprit) { 0.03 } else { 0.0 };
                search.measured(node, &vec![value; boots as usize]);
            }
        });
        let Conclusion::Found(Culprits { commits, probability }) = conclusion else {
            return Err(TestCaseError::fail(format!("{conclusion:?}")));
        };
        prop_assert_eq!(commits, alike(&history, culprit, &untestable));
        prop_assert!(probability >= 0.95);
        prop_assert!(tests <= history.nodes() + 2, "no node is tested twice for an exact number: {tests}");
    }

    /// A posterior is a distribution, and what cannot be tested changes nothing in it.
    #[test]
    fn probabilities_add_up_and_a_skip_says_nothing(history in histories(60), seed in 0_u64..1000) {
        let mut draws = Draws::new(seed);
        let noise = Noise { boots: 0.02, known_by: 10.0, builds: 0.003, least: 0.01 };
        let mut search = Search::new(history.clone(), Question::Level(noise), COSTS, Policy::default());
        for _ in 0..6 {
            let node = draws.below(history.nodes());
            let values: Vec<f64> = (0..3).map(|_| 0.02 * draws.normal()).collect();
            search.measured(node, &values);
        }
        let before = search.posterior().of;
        prop_assert!((before.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        prop_assert!(before.iter().all(|share| *share >= 0.0));
        search.untestable(draws.below(history.nodes()));
        prop_assert_eq!(search.posterior().of, before);
    }
}

/// Searches of `commits` in a row in which number `culprit` makes values worse by three halves of their spread.
fn noisy(commits: usize, culprit: Option<Node>, seed: u64) -> Conclusion {
    let noise = Noise { boots: 0.02, known_by: f64::INFINITY, builds: 0.0, least: 0.01 };
    let history = History::linear(commits).unwrap();
    let mut draws = Draws::new(seed);
    let begun = Search::new(history, Question::Level(noise), COSTS, Policy::default());
    let (conclusion, _) = search(begun, |search, node, boots| {
        let level = if culprit.is_some_and(|culprit| node >= culprit) { 0.03 } else { 0.0 };
        let values: Vec<f64> = (0..boots).map(|_| level + 0.02 * draws.normal()).collect();
        search.stands_at(node);
        search.measured(node, &values);
    });
    conclusion
}

#[test]
fn noise_is_seen_through_as_often_as_is_promised() {
    let right = (0..100).filter(|seed| {
        let culprit = 1 + usize::try_from(seed * 7 % 64).unwrap();
        matches!(noisy(64, Some(culprit), *seed), Conclusion::Found(found) if found.commits == [culprit])
    });
    // 95 are promised, and 2.2 is a standard error.
    let right = right.count();
    assert!(right >= 91, "{right} of 100");
}

#[test]
fn a_range_in_which_nothing_happened_is_told_as_such() {
    let nothing = (0..40).filter(|seed| matches!(noisy(64, None, *seed), Conclusion::NothingInRange { .. }));
    let nothing = nothing.count();
    assert!(nothing >= 36, "{nothing} of 40");
}

#[test]
fn a_tree_that_is_near_and_an_image_that_is_there_are_preferred() {
    let history = History::linear(400).unwrap();
    let begin = || {
        let mut search = Search::new(history.clone(), Question::Level(EXACT), COSTS, Policy::default());
        search.measured(GOOD, &[0.0]);
        search.measured(400, &[0.03]);
        search.stands_at(400);
        search
    };
    let Step::Test { node, .. } = begin().next() else { panic!("a test") };
    assert!((200..400).contains(&node), "half way, and a little nearer to the tree: {node}");
    let mut cached = begin();
    cached.built(150);
    assert_eq!(cached.next(), Step::Test { node: 150, boots: 1 });
}

#[test]
fn a_commit_that_changes_no_code_is_not_suspected_and_a_prior_is_heard() {
    let history = History::linear(3).unwrap();
    let mut search = Search::new(history, Question::Level(EXACT), COSTS, Policy::default());
    search.measured(GOOD, &[0.0]);
    search.measured(3, &[0.03]);
    search.alike(1, 2);
    let posterior = search.posterior();
    assert_eq!(posterior.of[2], 0.0);
    assert!((posterior.of[1] - posterior.of[3]).abs() < 1e-12);
    search.weigh(&[3.0, 1.0, 1.0]);
    let posterior = search.posterior();
    assert!((posterior.of[1] - 3.0 * posterior.of[3]).abs() < 1e-9);
}

#[test]
fn an_end_that_cannot_be_tested_ends_the_search() {
    let history = History::linear(3).unwrap();
    let mut search = Search::new(history, Question::Failing(Failing::default()), COSTS, Policy::default());
    search.untestable(GOOD);
    assert_eq!(search.next(), Step::Done(Conclusion::EndUntestable(GOOD)));
}
