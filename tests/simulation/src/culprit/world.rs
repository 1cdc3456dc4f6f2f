//! Histories with many merges, a culprit, and commits that do not build.

use bisect::{GOOD, History, Node};
use stats::Draws;

/// Standard deviation between boots, of the logarithm.
pub const NOISE: f64 = 0.02;
/// By what the culprit makes things worse, as a share.
pub const SLOWER: f64 = 0.03;
/// How many commits in a hundred do not build.
pub(super) const UNBUILDABLE: f64 = 0.1;
/// Fewest and most commits of a history.
pub(super) const COMMITS: (usize, usize) = (50, 1000);

/// One history.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) history: History,
    /// None if nothing did it.
    pub(super) culprit: Option<Node>,
    /// By node.
    pub(super) builds: Vec<bool>,
    /// What is drawn while it is searched.
    pub(super) seed: u64,
}

/// Which histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worlds {
    /// As the table says.
    Plain,
    /// In none of them anything changes.
    Unchanged,
}

impl World {
    pub(super) fn draw(worlds: Worlds, seed: u64) -> Self {
        let mut draws = Draws::new(seed);
        let commits = COMMITS.0 + draws.below(COMMITS.1 - COMMITS.0 + 1);
        let history =
            History::new(&parents(commits, &mut draws)).expect("parents come before their children");
        let culprit = 1 + draws.below(commits);
        let mut builds: Vec<bool> = (0..history.nodes()).map(|_| draws.uniform() > UNBUILDABLE).collect();
        // Both ends were seen to work, or nobody would search.
        builds[GOOD] = true;
        builds[history.tip()] = true;
        Self { culprit: (worlds == Worlds::Plain).then_some(culprit), history, builds, seed }
    }

    /// Commits that nobody can tell from the culprit, since what lies between them does not build; none if nothing did it.
    pub(super) fn alike(&self) -> Vec<Node> {
        let Some(culprit) = self.culprit else { return vec![] };
        let seen_at = |commit| -> Vec<Node> {
            (0..self.history.nodes())
                .filter(|node| self.builds[*node] && self.history.carries(*node, commit))
                .collect()
        };
        let wanted = seen_at(culprit);
        (1..self.history.nodes()).filter(|commit| seen_at(*commit) == wanted).collect()
    }
}

/// A main line, topic branches that leave it and come back, and one tip. About one commit in eight is a merge, as in Linux.
fn parents(commits: usize, draws: &mut Draws) -> Vec<Vec<Node>> {
    let mut parents: Vec<Vec<Node>> = Vec::new();
    let mut main = GOOD;
    let mut topics: Vec<Node> = Vec::new();
    while parents.len() + topics.len() < commits {
        let commit = parents.len() + 1;
        let kind = draws.uniform();
        if kind < 0.12 && !topics.is_empty() {
            let topic = topics.swap_remove(draws.below(topics.len()));
            parents.push(vec![main, topic]);
            main = commit;
        } else if kind < 0.24 && topics.len() < 6 && commits - parents.len() - topics.len() > 2 {
            // From where the main line was a while ago, or from before the range.
            let back = draws.below(40);
            let from = if main > back { ancestor(&parents, main, back) } else { GOOD };
            parents.push(vec![from]);
            topics.push(commit);
        } else if !topics.is_empty() && kind < 0.8 {
            let at = draws.below(topics.len());
            parents.push(vec![topics[at]]);
            topics[at] = commit;
        } else {
            parents.push(vec![main]);
            main = commit;
        }
    }
    for topic in topics {
        parents.push(vec![main, topic]);
        main = parents.len();
    }
    // The tip is the last commit, and all others are behind it.
    parents
}

/// So many first parents back.
fn ancestor(parents: &[Vec<Node>], from: Node, back: usize) -> Node {
    (0..back).fold(from, |node, _| if node == GOOD { GOOD } else { parents[node - 1][0] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_commit_is_behind_the_tip_and_some_are_merges() {
        for seed in 0..40 {
            let world = World::draw(Worlds::Plain, seed);
            let tip = world.history.tip();
            assert!((1..=tip).all(|commit| world.history.carries(tip, commit)), "{seed}");
            assert!((COMMITS.0..=COMMITS.1).contains(&tip), "{tip}");
        }
        let all = parents(800, &mut Draws::new(1));
        let merges = all.iter().filter(|parents| parents.len() == 2).count();
        assert!((60..140).contains(&merges), "{merges}");
    }

    #[test]
    fn the_culprit_is_among_those_that_nobody_can_tell_from_it() {
        let worlds = (0..60).map(|seed| World::draw(Worlds::Plain, seed));
        let sizes: Vec<usize> = worlds
            .map(|world| {
                let alike = world.alike();
                assert!(world.culprit.is_some_and(|culprit| alike.contains(&culprit)));
                alike.len()
            })
            .collect();
        assert!(sizes.iter().any(|size| *size > 1) && sizes.contains(&1), "{sizes:?}");
    }
}
