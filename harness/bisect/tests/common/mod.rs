//! What tests of whole searches share.
// Each test program uses a part of it.
#![allow(dead_code, reason = "each test program uses a part of it")]

use bisect::{Costs, History, Node, Noise};
use proptest::prelude::*;

pub(crate) const COSTS: Costs =
    Costs { full_build: 600.0, least_build: 30.0, most_build: 120.0, far: 1000.0, boot: 25.0 };
/// Of counts: the same number every time.
pub(crate) const EXACT: Noise = Noise { boots: 0.0, known_by: f64::INFINITY, builds: 0.0005, least: 0.005 };

/// A history with merges, and one tip that has all commits behind it, from numbers that proptest can shrink: how far back the parents of each commit lie.
pub(crate) fn histories(most: usize) -> impl Strategy<Value = History> {
    proptest::collection::vec((0_usize..4, 0_usize..12), 1..most).prop_map(|backs| {
        let mut parents: Vec<Vec<Node>> = Vec::new();
        for (commit, (first, second)) in (1..).zip(backs) {
            let back = |far: usize| (commit - 1_usize).saturating_sub(far);
            parents.push(if second > 8 { vec![back(first), back(second)] } else { vec![back(first)] });
        }
        with_one_tip(parents)
    })
}

/// One commit more that merges all those that nobody descends from.
pub(crate) fn with_one_tip(mut parents: Vec<Vec<Node>>) -> History {
    let is_tip = |commit: &Node| !parents.iter().flatten().any(|parent| parent == commit);
    let tips: Vec<Node> = (1..=parents.len()).filter(is_tip).collect();
    parents.push(tips);
    History::new(&parents).expect("parents come before their children")
}
