//! Bisection that believes each answer: `git bisect` with repeats, and syzkaller's rule.

use bisect::{GOOD, History, Node};

use super::{
    Fared, SLOWER, Worlds,
    machine::{Found, Machine},
    world::World,
};

/// How a commit is called good or bad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Boots {
    /// Bad if the mean of so many boots is nearer to the bad end's mean than to the good end's; each end is booted so many times first.
    Mean {
        /// Of a commit.
        each: usize,
        /// Of an end.
        ends: usize,
    },
    /// As syzkaller does (`pkg/bisect/bisect.go`: `test`, `bisectionDecision`): ten boots of a commit, twenty of the first one, and bad if any boot fails. A boot
    /// fails if its value is worse than this share of the way from the good level to the bad one, and more. It is granted the knowledge of both levels.
    Any {
        /// 0 at the good level, 1 at the bad one.
        above: f64,
    },
}

/// What `git bisect` does with answers (git's `bisect.c`): of the candidates the one that has nearest to half of them behind it; a commit that cannot be tested is
/// passed over for the next best.
fn bisect(history: &History, mut test: impl FnMut(Node) -> Option<bool>) -> Vec<Node> {
    let tip = history.tip();
    let mut suspects: Vec<Node> = (1..=tip).collect();
    let mut last_bad = tip;
    let mut skipped = vec![false; history.nodes()];
    loop {
        let all = suspects.len();
        let next = suspects
            .iter()
            .filter(|node| **node != last_bad && !skipped[**node])
            .map(|node| {
                let behind = suspects.iter().filter(|commit| history.carries(*node, **commit)).count();
                (behind.min(all - behind), *node)
            })
            .max_by_key(|(balance, node)| (*balance, std::cmp::Reverse(*node)));
        let Some((_, node)) = next else { return suspects };
        match test(node) {
            Some(true) => {
                suspects.retain(|commit| history.carries(node, *commit));
                last_bad = node;
            }
            Some(false) => suspects.retain(|commit| !history.carries(node, *commit)),
            None => skipped[node] = true,
        }
    }
}

fn search(world: &World, boots: Boots) -> Found {
    let mut machine = Machine::new(world);
    let mean = |machine: &mut Machine<'_>, node: Node, boots: usize| {
        (0..boots).map(|_| machine.boot(node)).sum::<f64>() / crate::float(boots)
    };
    let tip = world.history.tip();
    machine.build(GOOD);
    let mut first = true;
    let mut any = |machine: &mut Machine<'_>, node: Node, above: f64| {
        let boots = if std::mem::take(&mut first) { 20 } else { 10 };
        (0..boots).filter(|_| machine.boot(node) > above * SLOWER.ln_1p()).count() > 0
    };
    let threshold = match boots {
        Boots::Mean { ends, .. } => {
            let good = mean(&mut machine, GOOD, ends);
            machine.build(tip);
            f64::midpoint(good, mean(&mut machine, tip, ends))
        }
        Boots::Any { above } => {
            any(&mut machine, GOOD, above);
            machine.build(tip);
            any(&mut machine, tip, above);
            above
        }
    };
    let named = bisect(&world.history, |node| {
        machine.build(node).then(|| match boots {
            Boots::Mean { each, .. } => mean(&mut machine, node, each) > threshold,
            Boots::Any { above } => any(&mut machine, node, above),
        })
    });
    machine.named(&named)
}

/// Searches histories so.
#[must_use]
pub fn git_bisect(worlds: Worlds, boots: Boots, histories: usize, seed: u64) -> Fared {
    let all: Vec<Found> =
        (0..histories as u64).map(|n| search(&World::draw(worlds, seed + n), boots)).collect();
    Fared::of(&all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_are_right_find_every_culprit_in_about_as_many_tests_as_bits() {
        let world = World::draw(Worlds::Plain, 3);
        let commits = world.history.tip();
        for culprit in [1, commits / 3, commits] {
            let mut tests = 0;
            let named = bisect(&world.history, |node| {
                tests += 1;
                Some(world.history.carries(node, culprit))
            });
            assert_eq!(named, [culprit]);
            assert!(tests <= commits.ilog2() + 4, "{tests} of {commits}");
        }
    }

    #[test]
    fn skipped_commits_are_told_with_the_one_after_them() {
        let history = History::linear(8).expect("eight commits");
        let named = bisect(&history, |node| (node != 4 && node != 5).then_some(node >= 5));
        assert_eq!(named, [4, 5, 6]);
    }
}
