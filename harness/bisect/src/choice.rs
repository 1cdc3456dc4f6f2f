//! The next test: the one that is expected to tell most, for each second that it takes.

use crate::{
    Level, Posterior, Question, Search, Seen, channel,
    history::{GOOD, Node},
    search::apart,
};

/// What is held against what a test tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weigh {
    /// The seconds that it takes.
    Seconds,
    /// Its boots, whatever their builds take: for comparison.
    Boots,
}

/// How a search is led.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// It ends when commits between which nothing tells have this probability together.
    pub confidence: f64,
    /// The prior probability that nothing in the range did it.
    pub nothing: f64,
    /// Boots of each end before anything else.
    pub first_boots: u32,
    /// How many boots a visit may have.
    pub batches: Vec<u32>,
    /// What a test is held against.
    pub weigh: Weigh,
    /// How much of what better known levels would tell later is counted now.
    pub foresight: f64,
    /// How often a commit is expected not to be testable: as so many of so many.
    pub untestable: (f64, f64),
}

impl Default for Policy {
    /// The one that `tests/SIMULATION.md` has figures of.
    fn default() -> Self {
        Self {
            confidence: 0.95,
            nothing: 0.05,
            first_boots: 6,
            batches: vec![1, 2, 3, 4, 5, 6, 8, 10, 12],
            weigh: Weigh::Seconds,
            foresight: 0.2,
            untestable: (1.0, 20.0),
        }
    }
}

/// What is surer than this is sure.
const SURE: f64 = 1e-4;
/// Of all commits that are less probable than this, a thousand together make no difference.
const NEGLIGIBLE: f64 = 1e-8;
/// A test that tells less, in nats, is none.
const NOTHING: f64 = 1e-7;

/// What is expected of a node.
#[derive(Clone, Copy, Debug)]
struct View {
    /// That it is bad.
    share: f64,
    /// What it is like if it is not, and if it is.
    good: Level,
    bad: Level,
}

/// Levels mixed by their probabilities, as sums.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    share: f64,
    means: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, share: f64, level: Level) {
        self.share += share;
        self.means += share * level.mean;
        self.squares += share * (level.variance + level.mean.powi(2));
    }

    fn without(self, other: Self) -> Self {
        Self {
            share: self.share - other.share,
            means: self.means - other.means,
            squares: self.squares - other.squares,
        }
    }

    fn level(self) -> Level {
        if self.share <= 0.0 {
            return Level::default();
        }
        let mean = self.means / self.share;
        Level { mean, variance: (self.squares / self.share - mean.powi(2)).max(0.0) }
    }
}

/// A test and what it is worth.
#[derive(Clone, Copy, Debug)]
struct Offer {
    node: Node,
    boots: u32,
    /// In nats.
    tells: f64,
    /// In nats for what it is held against.
    rate: f64,
}

impl Search {
    /// The best test; none if no test would tell anything.
    pub(crate) fn choose(&self, posterior: &Posterior) -> Option<(Node, u32)> {
        let views = self.views(posterior);
        let best = self.best(&views, &posterior.seen)?;
        let level = self.of_levels(posterior, &views[best.node], best).filter(|level| level.rate > best.rate);
        let chosen = level.unwrap_or(best);
        Some((chosen.node, chosen.boots))
    }

    /// By node: how probable it is to be bad, and what it is like if it is, and if it is not.
    fn views(&self, posterior: &Posterior) -> Vec<View> {
        let mut bad = vec![Sums::default(); self.history.nodes()];
        let mut good = vec![Sums::default(); self.history.nodes()];
        let mut all_good = Sums::default();
        let weighty = posterior.of.iter().zip(&posterior.sides).enumerate();
        for (commit, (share, sides)) in weighty.filter(|(_, (share, _))| **share > NEGLIGIBLE) {
            all_good.add(*share, sides.good);
            // Number 0, nothing, is carried by no node.
            for node in self.history.carriers(commit) {
                bad[node].add(*share, sides.bad);
                good[node].add(*share, sides.good);
            }
        }
        let view = |(bad, carried): (Sums, Sums)| View {
            share: bad.share,
            bad: bad.level(),
            good: all_good.without(carried).level(),
        };
        bad.into_iter().zip(good).map(view).collect()
    }

    fn best(&self, views: &[View], seen: &Seen) -> Option<Offer> {
        let testable = self.chance_to_be_testable();
        let candidates = (0..self.history.nodes()).filter(|node| {
            (SURE..1.0 - SURE).contains(&views[*node].share) && !self.known[*node].is_untestable
        });
        candidates
            .flat_map(|node| self.policy.batches.iter().map(move |boots| (node, *boots)))
            .map(|(node, boots)| {
                let chance = if self.known[node].is_built { 1.0 } else { testable };
                let tells = chance * self.tells(node, boots, &views[node], seen);
                Offer { node, boots, tells, rate: tells / self.held_against(node, boots) }
            })
            .filter(|offer| offer.tells > NOTHING)
            .max_by(|one, other| one.rate.total_cmp(&other.rate))
    }

    /// What so many boots of a node tell, in nats, if it can be tested.
    fn tells(&self, node: Node, boots: u32, view: &View, seen: &Seen) -> f64 {
        let View { share, good, bad } = *view;
        match (*seen, self.question) {
            (Seen::Levels { boots: spread, .. }, Question::Level(noise)) => {
                // Values of a node tell sides apart only as well as the levels are known that they are held against, however many
                // there are.
                let unknown = f64::midpoint(good.variance, bad.variance);
                let made = self.known[node].count();
                let known = |boots| 1.0 / (unknown + 1.0 / precision(spread, noise.builds, boots));
                let gained = known(made + boots) - known(made);
                channel::normal(share, apart(good, bad) * gained.max(0.0).sqrt())
            }
            (Seen::Rates { .. }, Question::Failing(_)) => {
                channel::binomial(share, boots, good.mean, bad.mean)
            }
            _ => 0.0,
        }
    }

    /// More boots of an end, so that the tests after them tell more: worth the difference, over as many tests as are still to come.
    fn of_levels(&self, posterior: &Posterior, view: &View, best: Offer) -> Option<Offer> {
        let Seen::Levels { boots: spread, .. } = posterior.seen else { return None };
        let Question::Level(noise) = self.question else { return None };
        let left: f64 =
            posterior.of.iter().filter(|share| **share > 0.0).map(|share| -share * share.ln()).sum();
        let tests = (left / best.tells).max(1.0) * self.policy.foresight;
        let now = self.tells(best.node, best.boots, view, &posterior.seen);
        let ends = [GOOD, self.history.tip()].into_iter();
        let offers = ends.flat_map(|node| self.policy.batches.iter().map(move |boots| (node, *boots)));
        offers
            .map(|(node, boots)| {
                let made = self.known[node].count();
                let known = |boots| precision(spread, noise.builds, boots);
                let gained = known(made + boots) - known(made);
                let learnt =
                    |level: Level| Level { variance: 1.0 / (1.0 / level.variance + gained), ..level };
                let view = if node == GOOD {
                    View { good: learnt(view.good), ..*view }
                } else {
                    View { bad: learnt(view.bad), ..*view }
                };
                let tells = (self.tells(best.node, best.boots, &view, &posterior.seen) - now) * tests;
                Offer { node, boots, tells, rate: tells / self.held_against(node, boots) }
            })
            .filter(|offer| offer.tells > NOTHING)
            .max_by(|one, other| one.rate.total_cmp(&other.rate))
    }

    fn held_against(&self, node: Node, boots: u32) -> f64 {
        match self.policy.weigh {
            Weigh::Seconds => self.build_seconds(node) + f64::from(boots) * self.costs.boot,
            Weigh::Boots => f64::from(boots),
        }
    }

    /// What it is expected to take until a node's image is there.
    #[must_use]
    pub fn build_seconds(&self, node: Node) -> f64 {
        if self.known[node].is_built {
            return 0.0;
        }
        self.costs.build(self.stands_at.map(|stands| self.history.distance(stands, node)))
    }

    /// That a commit which was not tried can be tested, from those that were.
    fn chance_to_be_testable(&self) -> f64 {
        let (failed, all) = self.policy.untestable;
        let tried = self.known.iter().filter(|known| known.is_built || known.is_untestable).count();
        let not = self.known.iter().filter(|known| known.is_untestable).count();
        1.0 - (failed + float(not)) / (all + float(tried))
    }
}

/// How well the mean of so many boots of one build is known: the reciprocal of its variance.
fn precision(boots_spread: f64, builds_spread: f64, boots: u32) -> f64 {
    if boots == 0 {
        return 0.0;
    }
    // A spread of zero is no division by zero: what is next to nothing is as good.
    1.0 / (builds_spread.powi(2) + boots_spread.powi(2) / f64::from(boots)).max(1e-18)
}

#[expect(clippy::cast_precision_loss, reason = "a number of nodes")]
fn float(n: usize) -> f64 {
    n as f64
}
