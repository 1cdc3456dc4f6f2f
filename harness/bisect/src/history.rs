//! The range that is searched, as a graph.

use crate::bits::Bits;

/// A commit of the range by its number; [`GOOD`] is the state before all of them.
pub type Node = usize;

/// The good end: it has none of the range's commits.
pub const GOOD: Node = 0;

/// A range of commits with all its merges. Commits are numbered from 1, each after its parents; number 0 is the good end, and stands for
/// whatever lies outside the range.
///
/// What a commit did is seen by it and by every commit that descends from it, on whatever branch. A commit that takes the effect away again has to be
/// told with [`History::alike`].
#[derive(Clone, Debug)]
pub struct History {
    /// By node: the commits that it carries, itself included.
    carries: Vec<Bits>,
    /// By commit: the nodes that carry it.
    carried_by: Vec<Bits>,
    /// Commits that cannot have done it, since they would tell nodes apart whose code is the same.
    excluded: Bits,
    /// By node: the first one whose code it shares.
    same_as: Vec<Node>,
}

/// Parents from which no history can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// Nothing to search.
    #[error("the range has no commit")]
    Empty,
    /// A parent that does not come before its child.
    #[error("commit {commit} has the parent {parent}, which does not come before it")]
    ParentAfterChild {
        /// The child.
        commit: Node,
        /// What was called its parent.
        parent: Node,
    },
}

impl History {
    /// From the parents of commits 1, 2, ..., each of which has a smaller number than its child; [`GOOD`] for those outside the range.
    ///
    /// # Errors
    /// When there is no commit, or a parent does not come before its child.
    pub fn new(parents: &[Vec<Node>]) -> Result<Self, HistoryError> {
        if parents.is_empty() {
            return Err(HistoryError::Empty);
        }
        let nodes = parents.len() + 1;
        let mut carries = vec![Bits::none(nodes)];
        for (commit, parents) in (1..).zip(parents) {
            let mut own = Bits::none(nodes);
            own.insert(commit);
            for parent in parents {
                let of_parent = carries.get(*parent);
                own.add(of_parent.ok_or(HistoryError::ParentAfterChild { commit, parent: *parent })?);
            }
            carries.push(own);
        }
        let mut carried_by = vec![Bits::none(nodes); nodes];
        for (node, carried) in carries.iter().enumerate() {
            carried.iter().for_each(|commit| carried_by[commit].insert(node));
        }
        Ok(Self { carries, carried_by, excluded: Bits::none(nodes), same_as: (0..nodes).collect() })
    }

    /// One commit after the other, as the patches of a series are.
    ///
    /// # Errors
    /// When there is none.
    pub fn linear(commits: usize) -> Result<Self, HistoryError> {
        Self::new(&(0..commits).map(|before| vec![before]).collect::<Vec<_>>())
    }

    /// How many nodes there are: the commits, and the good end.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.carries.len()
    }

    /// The last commit.
    #[must_use]
    pub fn tip(&self) -> Node {
        self.nodes() - 1
    }

    /// Whether `node` is `commit` or descends from it.
    #[must_use]
    pub fn carries(&self, node: Node, commit: Node) -> bool {
        self.carries[node].contains(commit)
    }

    /// How many commits only one of both carries: what lies between two trees.
    #[must_use]
    pub fn distance(&self, one: Node, other: Node) -> usize {
        self.carries[one].distance(&self.carries[other])
    }

    /// Two nodes are the same code, so that no commit which only one of them carries can have done anything that is seen. That is how documentation and other
    /// architectures drop out, and a commit together with its revert.
    pub fn alike(&mut self, one: Node, other: Node) {
        let apart = self.carries[one].difference(&self.carries[other]);
        self.excluded.add(&apart);
        let (first, last) = (self.same_as[one], self.same_as[other]);
        let (first, last) = (first.min(last), first.max(last));
        self.same_as.iter_mut().filter(|same| **same == last).for_each(|same| *same = first);
    }

    /// The first node whose code a node shares: itself, unless [`History::alike`] said otherwise.
    #[must_use]
    pub fn same_as(&self, node: Node) -> Node {
        self.same_as[node]
    }

    /// Whether a commit cannot have done it, by [`History::alike`].
    #[must_use]
    pub fn is_excluded(&self, commit: Node) -> bool {
        self.excluded.contains(commit)
    }

    /// The nodes that carry a commit, in ascending order.
    pub(crate) fn carriers(&self, commit: Node) -> impl Iterator<Item = Node> + '_ {
        self.carried_by[commit].iter()
    }

    /// Whether those of `nodes` that carry a commit are just `wanted`.
    pub(crate) fn is_seen_at(&self, commit: Node, nodes: &Bits, wanted: &Bits) -> bool {
        self.carried_by[commit].meets(nodes, wanted)
    }

    /// By what a commit is told from others: those of `nodes` that carry it.
    pub(crate) fn seen_at(&self, commit: Node, nodes: &Bits) -> Bits {
        self.carried_by[commit].both(nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_carries_both_sides_and_each_side_only_its_own() {
        // 1 - 2 ---- 4
        //  \-- 3 ---/
        let history = History::new(&[vec![GOOD], vec![1], vec![1], vec![2, 3]]).unwrap();
        let carried = |node| (1..=4).filter(|commit| history.carries(node, *commit)).collect::<Vec<_>>();
        assert_eq!(carried(4), [1, 2, 3, 4]);
        assert_eq!(carried(2), [1, 2]);
        assert_eq!(carried(3), [1, 3]);
        assert_eq!(history.carriers(2).collect::<Vec<_>>(), [2, 4]);
        assert_eq!((history.distance(2, 3), history.distance(GOOD, 4)), (2, 4));
    }

    #[test]
    fn a_commit_and_its_revert_drop_out_together() {
        let mut history = History::linear(4).unwrap();
        history.alike(1, 3);
        let excluded: Vec<Node> = (1..=4).filter(|commit| history.is_excluded(*commit)).collect();
        assert_eq!(excluded, [2, 3]);
        assert_eq!((history.same_as(3), history.same_as(2)), (1, 2));
    }

    #[test]
    fn what_is_no_history_is_refused() {
        assert_eq!(History::linear(0).unwrap_err(), HistoryError::Empty);
        assert_eq!(
            History::new(&[vec![GOOD], vec![3], vec![2]]).unwrap_err(),
            HistoryError::ParentAfterChild { commit: 2, parent: 3 }
        );
    }
}
