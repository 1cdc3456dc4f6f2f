//! The machine on which searches are made: it builds, boots, and counts the time.

use bisect::{Costs, Node};
use stats::Draws;

use super::world::{NOISE, SLOWER, World};

/// What builds and boots take, in seconds.
pub const COSTS: Costs =
    Costs { full_build: 600.0, least_build: 30.0, most_build: 120.0, far: 1000.0, boot: 25.0 };

/// How a search ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// It named the culprit, or the set of commits that nobody can tell it from.
    pub(super) is_right: bool,
    /// Machine time.
    pub(super) seconds: f64,
    /// Builds.
    pub(super) builds: usize,
    /// Boots.
    pub(super) boots: usize,
}

pub(super) struct Machine<'a> {
    world: &'a World,
    draws: Draws,
    stands_at: Option<Node>,
    images: Vec<bool>,
    seconds: f64,
    builds: usize,
    boots: usize,
}

impl<'a> Machine<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        Self {
            draws: Draws::new(world.seed ^ 0x5eed_b007),
            stands_at: None,
            images: vec![false; world.history.nodes()],
            seconds: 0.0,
            builds: 0,
            boots: 0,
            world,
        }
    }

    /// Builds a node, unless its image is there; false if it does not build. A build that fails takes as long as one that does not.
    pub(super) fn build(&mut self, node: Node) -> bool {
        if self.images[node] {
            return true;
        }
        let distance = self.stands_at.map(|stands| self.world.history.distance(stands, node));
        self.seconds += COSTS.build(distance);
        self.builds += 1;
        self.stands_at = Some(node);
        self.images[node] = self.world.builds[node];
        self.images[node]
    }

    /// Boots a node that was built, and gives what was measured; higher is worse.
    pub(super) fn boot(&mut self, node: Node) -> f64 {
        self.seconds += COSTS.boot;
        self.boots += 1;
        let is_bad = self.world.culprit.is_some_and(|culprit| self.world.history.carries(node, culprit));
        NOISE * self.draws.normal() + if is_bad { SLOWER.ln_1p() } else { 0.0 }
    }

    /// Whether what is named is right; where nothing did it, to name nothing is.
    pub(super) fn named(&self, commits: &[Node]) -> Found {
        Found {
            is_right: commits == self.world.alike(),
            seconds: self.seconds,
            builds: self.builds,
            boots: self.boots,
        }
    }
}
