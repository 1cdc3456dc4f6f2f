//! Every search ends, whatever it is told, and those that name a culprit are right as often as they promise.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod common;

use bisect::{Boots, Conclusion, Failing, GOOD, History, Node, Noise, Policy, Question, Search, Step};
use common::{COSTS, histories, with_one_tip};
use proptest::prelude::*;
use stats::Draws;

/// Of searches in histories of so few commits: the bound that is proven is higher.
const MOST_VISITS: usize = 2000;
/// Cases of each kind, and in a long run, which is for changes of the method.
const CASES: u32 = 400;
const CASES_LONG: u32 = 20_000;

/// What nodes are like, whatever the search takes them to be.
#[derive(Clone, Copy, Debug)]
enum World {
    /// As it is taken to be: those that carry the culprit are worse by this.
    TwoKinds(f64),
    /// Each node has a level of its own, and boots spread by this share of what is said.
    EachItsOwn(f64),
    /// The ends differ, and all others are half way between, without any noise.
    HalfWay,
    /// The level wanders from boot to boot.
    Wandering(f64),
    /// Some boots are very far out (Cauchy).
    FarOut,
    /// Two commits made it worse.
    Twice,
    /// Every boot is fast or slow by chance.
    TwoModes,
    /// All boots give one number.
    Constant,
}

fn worlds() -> impl Strategy<Value = World> {
    prop_oneof![
        3 => (0.0_f64..0.1).prop_map(World::TwoKinds),
        1 => (0.0_f64..3.0).prop_map(World::EachItsOwn),
        1 => Just(World::HalfWay),
        1 => (0.0_f64..0.02).prop_map(World::Wandering),
        1 => Just(World::FarOut),
        1 => Just(World::Twice),
        1 => Just(World::TwoModes),
        1 => Just(World::Constant),
    ]
}

/// How a search ends, and after how many visits; those of `untestable` cannot be tested.
fn end(
    search: &mut Search,
    untestable: &[Node],
    mut test: impl FnMut(&mut Search, Node, u32),
) -> (Conclusion, usize) {
    for visits in 0.. {
        match search.next() {
            Step::Test { node, .. } if untestable.contains(&node) => search.untestable(node),
            Step::Test { node, boots } => {
                search.stands_at(node);
                test(search, node, boots);
            }
            Step::Done(conclusion) => return (conclusion, visits),
        }
        assert!(visits < MOST_VISITS, "{MOST_VISITS} visits do not end a search");
    }
    unreachable!("visits are counted from 0 on");
}

fn value(
    world: World,
    history: &History,
    node: Node,
    culprits: [Node; 2],
    walk: &mut f64,
    draws: &mut Draws,
) -> f64 {
    const SPREAD: f64 = 0.02;
    let is_bad = history.carries(node, culprits[0]);
    let step = |by: f64| if is_bad { by } else { 0.0 };
    let boot = SPREAD * draws.normal();
    match world {
        World::TwoKinds(by) => step(by) + boot,
        World::EachItsOwn(spread) => {
            0.1 * Draws::new(node as u64 + 1000 * culprits[1] as u64).uniform() + spread * boot
        }
        World::HalfWay if node == GOOD => 0.0,
        World::HalfWay if node == history.tip() => 0.04,
        World::HalfWay => 0.02,
        World::Wandering(by) => {
            *walk += by * draws.normal();
            *walk + step(0.03) + boot
        }
        World::FarOut => step(0.03) + boot / draws.normal(),
        World::Twice => step(0.03) + if history.carries(node, culprits[1]) { 0.02 } else { 0.0 } + boot,
        World::TwoModes => {
            if draws.uniform() < 0.5 {
                0.0
            } else {
                0.05
            }
        }
        World::Constant => 1.0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("ASSAY_TEST_LONG").is_some() { CASES_LONG } else { CASES }))]

    #[test]
    fn searches_for_a_level_end(
        history in histories(16), world in worlds(), seed in any::<u64>(), confidence in prop::sample::select(vec![0.5, 0.9, 0.95, 0.99]),
        boots in prop::sample::select(vec![0.0, 0.002, 0.02, 0.2]), builds in prop::sample::select(vec![0.0, 0.003, 0.03]),
        known_by in prop::sample::select(vec![f64::INFINITY, 2.0]), skips in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut draws = Draws::new(seed);
        let culprits = [1 + draws.below(history.tip()), 1 + draws.below(history.tip())];
        let untestable: Vec<Node> = skips.iter().map(|skip| skip.index(history.nodes())).collect();
        let question = Question::Level(Noise { boots, known_by, builds, least: 0.01 });
        let mut search = Search::new(history.clone(), question, COSTS, Policy { confidence, ..Policy::default() });
        let mut walk = 0.0;
        let (_, visits) = end(&mut search, &untestable, |search, node, boots| {
            let values: Vec<f64> =
                (0..boots).map(|_| value(world, &history, node, culprits, &mut walk, &mut draws)).collect();
            search.measured(node, &values);
        });
        prop_assert!(visits as f64 <= search.most_visits());
    }

    #[test]
    fn searches_for_a_failure_end(
        history in histories(16), seed in any::<u64>(), confidence in prop::sample::select(vec![0.5, 0.9, 0.95, 0.99]),
        rates in (0.0_f64..1.0, 0.0_f64..1.0), own in prop::sample::select(vec![0.0, 0.3, 1.0]), skips in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut draws = Draws::new(seed);
        let culprit = 1 + draws.below(history.tip());
        let untestable: Vec<Node> = skips.iter().map(|skip| skip.index(history.nodes())).collect();
        let question = Question::Failing(Failing::default());
        let mut search = Search::new(history.clone(), question, COSTS, Policy { confidence, ..Policy::default() });
        let (_, visits) = end(&mut search, &untestable, |search, node, boots| {
            // Nodes may have rates of their own, so that they are not of two kinds.
            let own = own * Draws::new(seed ^ node as u64).uniform();
            let rate = if history.carries(node, culprit) { rates.0.max(own) } else { (rates.1 * rates.1).max(own * own) };
            let failed = (0..boots).map(|_| u32::from(draws.uniform() < rate)).sum();
            search.booted(node, Boots { failed, passed: boots - failed });
        });
        prop_assert!(visits as f64 <= search.most_visits());
    }
}

/// Half of them in a row, and half with merges.
fn drawn(draws: &mut Draws) -> History {
    let commits = 2 + draws.below(62);
    if draws.uniform() < 0.5 {
        return History::linear(commits).unwrap();
    }
    let mut parents: Vec<Vec<Node>> = Vec::new();
    for commit in 1..=commits {
        let back = |draws: &mut Draws, far: usize| (commit - 1).saturating_sub(draws.below(far));
        let mut of = vec![back(draws, 4)];
        if draws.uniform() < 0.25 {
            of.push(back(draws, 12));
        }
        parents.push(of);
    }
    with_one_tip(parents)
}

/// How many of `searches` end with the right culprit, with a wrong one, and with none.
fn shares(searches: u64, run: impl Fn(u64) -> (Node, Conclusion)) -> [u32; 3] {
    let mut shares = [0; 3];
    for seed in 0..searches {
        let (culprit, conclusion) = run(seed);
        let which = match conclusion {
            Conclusion::Found(found) if found.commits == [culprit] => 0,
            Conclusion::Found(_) | Conclusion::NothingInRange { .. } => 1,
            Conclusion::Exhausted(_) | Conclusion::EndUntestable(_) => 2,
        };
        shares[which] += 1;
    }
    shares
}

/// No fewer are right than are promised, but for three standard errors; and the search must not save itself by naming none.
fn keeps_its_promise([right, wrong, none]: [u32; 3], confidence: f64, most_without: f64) {
    let named = f64::from(right + wrong);
    let error = (confidence * (1.0 - confidence) / named).sqrt();
    let share = f64::from(right) / named;
    assert!(
        share >= confidence - 3.0 * error,
        "{confidence}: {right} right, {wrong} wrong, {none} with none"
    );
    assert!(
        f64::from(none) <= most_without * (named + f64::from(none)),
        "{confidence}: {right} right, {wrong} wrong, {none} with none"
    );
}

#[test]
fn levels_are_told_apart_as_surely_as_is_promised() {
    for (confidence, builds, by) in
        [(0.8, 0.0, 0.03), (0.95, 0.0, 0.03), (0.95, 0.004, 0.03), (0.95, 0.0, 0.015), (0.99, 0.0, 0.06)]
    {
        let shares = shares(100, |seed| {
            let mut draws = Draws::new(seed + 77);
            let history = drawn(&mut draws);
            let culprit = 1 + draws.below(history.tip());
            let question =
                Question::Level(Noise { boots: 0.02, known_by: f64::INFINITY, builds, least: 0.01 });
            let own: Vec<f64> = (0..history.nodes()).map(|_| builds * draws.normal()).collect();
            let policy = Policy { confidence, ..Policy::default() };
            let mut search = Search::new(history.clone(), question, COSTS, policy);
            let (conclusion, _) = end(&mut search, &[], |search, node, boots| {
                let level = own[node] + if history.carries(node, culprit) { by } else { 0.0 };
                let values: Vec<f64> = (0..boots).map(|_| level + 0.02 * draws.normal()).collect();
                search.measured(node, &values);
            });
            (culprit, conclusion)
        });
        keeps_its_promise(shares, confidence, 0.02);
    }
}

#[test]
fn failures_are_traced_back_as_surely_as_is_promised() {
    for (confidence, good, bad) in
        [(0.8, 0.002, 0.5), (0.95, 0.01, 0.5), (0.95, 0.0, 0.2), (0.999, 0.002, 0.5)]
    {
        let shares = shares(100, |seed| {
            let mut draws = Draws::new(seed + 77);
            let history = drawn(&mut draws);
            let culprit = 1 + draws.below(history.tip());
            let policy = Policy { confidence, ..Policy::default() };
            let mut search =
                Search::new(history.clone(), Question::Failing(Failing::default()), COSTS, policy);
            let (conclusion, _) = end(&mut search, &[], |search, node, boots| {
                let rate = if history.carries(node, culprit) { bad } else { good };
                let failed = (0..boots).map(|_| u32::from(draws.uniform() < rate)).sum();
                search.booted(node, Boots { failed, passed: boots - failed });
            });
            (culprit, conclusion)
        });
        keeps_its_promise(shares, confidence, 0.05);
    }
}

#[test]
fn only_the_good_end_can_tell_whether_the_first_commit_did_it_and_is_asked() {
    // All nodes but the good end lie alike, with many boots each; the good end with few of them is not quite where they are. Boots of the others say no more.
    let question = Question::Level(Noise { boots: 0.02, known_by: f64::INFINITY, builds: 0.0, least: 0.01 });
    let mut search = Search::new(History::linear(4).unwrap(), question, COSTS, Policy::default());
    let around = |level: f64, boots: u32| -> Vec<f64> {
        (0..boots).map(|n| level + if n % 2 == 0 { 0.02 } else { -0.02 }).collect()
    };
    search.measured(GOOD, &around(0.012, 6));
    for node in 1..=4 {
        search.measured(node, &around(0.03, 40));
    }
    let Step::Test { node, .. } = search.next() else { panic!("a test") };
    assert_eq!(node, GOOD);
}
