//! The smallest set of units that makes it bad, as a series of searches along one line each.

use std::collections::BTreeSet;

use crate::{History, HistoryError, history::Node};

/// A unit by its number, from 1, in the order in which all are put in place: a patch, an option, a word.
pub type Unit = usize;

/// One search in a line: which units its nodes have.
///
/// Node 0 has none. If nothing is held, node `n` has the first `n` of the rest; otherwise node 1 has all that is held, and node `1 + n` the first `n` of the rest as well. So the
/// culprit of the first stage is held in the second, whose node 1 asks whether it is bad alone; what is its culprit there is held as well in the third, and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What the set needs, in the order in which it was found. A group of several is one between whose units nothing that can be tested tells: it holds one at least that is needed.
    pub held: Vec<Vec<Unit>>,
    /// Of which some may be needed as well, in ascending order.
    pub rest: Vec<Unit>,
}

/// What follows from the culprits of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// One more is needed, and perhaps others: the next stage.
    Next(Stage),
    /// The set is told.
    Told {
        /// As in [`Stage::held`].
        held: Vec<Vec<Unit>>,
        /// Those of which nothing that can be tested tells whether some are needed; empty if the set is told wholly.
        unsure: Vec<Unit>,
    },
}

impl Stage {
    /// The first one, of so many units.
    #[must_use]
    pub fn first(units: usize) -> Self {
        Self { held: vec![], rest: (1..=units).collect() }
    }

    /// How many nodes it has.
    #[must_use]
    pub fn nodes(&self) -> usize {
        1 + usize::from(!self.held.is_empty()) + self.rest.len()
    }

    /// Its nodes in a row.
    ///
    /// # Errors
    /// When it has no unit.
    pub fn history(&self) -> Result<History, HistoryError> {
        History::linear(self.nodes() - 1)
    }

    /// The units that a node has.
    #[must_use]
    pub fn set(&self, node: Node) -> BTreeSet<Unit> {
        if node == 0 {
            return BTreeSet::new();
        }
        let more = node - usize::from(!self.held.is_empty());
        self.held.iter().flatten().chain(self.rest.iter().take(more)).copied().collect()
    }

    /// The units that a node has and the one before it has not.
    #[must_use]
    pub fn added(&self, node: Node) -> Vec<Unit> {
        let before = node.checked_sub(1).map(|before| self.set(before)).unwrap_or_default();
        self.set(node).difference(&before).copied().collect()
    }

    /// What follows if it was one of these nodes, in ascending order and of which nothing tells which.
    #[must_use]
    pub fn after(&self, culprits: &[Node]) -> After {
        let (Some(first), Some(last)) = (culprits.first(), culprits.last()) else {
            return After::Told { held: self.held.clone(), unsure: self.rest.clone() };
        };
        let is_alone = !self.held.is_empty() && *first == 1;
        // Also those in between that were left out because they changed nothing: only with them it is known to be bad.
        let group: Vec<Unit> =
            (*first + usize::from(is_alone)..=*last).flat_map(|node| self.added(node)).collect();
        if is_alone {
            return After::Told { held: self.held.clone(), unsure: group };
        }
        let rest: Vec<Unit> =
            self.rest.iter().copied().filter(|unit| self.set(first - 1).contains(unit)).collect();
        let held: Vec<Vec<Unit>> = self.held.iter().cloned().chain([group]).collect();
        if rest.is_empty() { After::Told { held, unsure: vec![] } } else { After::Next(Self { held, rest }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_comes_first_and_all_at_once() {
        let stage = Stage { held: vec![vec![7], vec![5]], rest: vec![1, 2, 3] };
        let sets: Vec<Vec<Unit>> =
            (0..stage.nodes()).map(|node| stage.set(node).into_iter().collect()).collect();
        assert_eq!(sets, [vec![], vec![5, 7], vec![1, 5, 7], vec![1, 2, 5, 7], vec![1, 2, 3, 5, 7]]);
        assert_eq!((stage.added(0), stage.added(1), stage.added(4)), (vec![], vec![5, 7], vec![3]));
    }

    #[test]
    fn what_comes_after_the_culprit_is_never_looked_at_again() {
        let first = Stage::first(9);
        let After::Next(second) = first.after(&[7]) else { panic!("units come before it") };
        assert_eq!(second, Stage { held: vec![vec![7]], rest: vec![1, 2, 3, 4, 5, 6] });
        let After::Next(third) = second.after(&[6]) else { panic!("units come before it") };
        assert_eq!(third, Stage { held: vec![vec![7], vec![5]], rest: vec![1, 2, 3, 4] });
        assert_eq!(third.after(&[1]), After::Told { held: vec![vec![7], vec![5]], unsure: vec![] });
        assert_eq!(third.after(&[2]), After::Told { held: vec![vec![7], vec![5], vec![1]], unsure: vec![] });
        assert_eq!(first.after(&[1]), After::Told { held: vec![vec![1]], unsure: vec![] });
    }

    #[test]
    fn units_that_nothing_tells_apart_stay_together() {
        let After::Next(second) = Stage::first(9).after(&[5, 7]) else { panic!("units come before them") };
        assert_eq!(second, Stage { held: vec![vec![5, 6, 7]], rest: vec![1, 2, 3, 4] });
        // Not even whether those that are held are bad alone.
        assert_eq!(second.after(&[1, 2, 3]), After::Told { held: vec![vec![5, 6, 7]], unsure: vec![1, 2] });
    }
}
