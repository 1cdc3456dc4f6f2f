//! The next test: the one that is expected to tell most, for each second that it takes.

use crate::{Level, Posterior, Question, Search, Seen, channel::Channel, history::Node, levels::median};

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
    /// The bad end is booted until it fails, and at most so often: a failure that does not come tells nothing of where it came from.
    pub first_failure: u32,
    /// How many boots a visit may have.
    pub batches: Vec<u32>,
    /// What a test is held against.
    pub weigh: Weigh,
    /// A test is worth it if fewer visits than this, each of which tells as much, would tell all that is not known.
    pub most_visits: f64,
    /// Tests cannot tell more than there was to know. What they were expected to tell comes to more than so many times that in less than one search of so many,
    /// if values are as they are taken to be (Doob's inequality: what is not known, and what was promised, is a martingale together). Then nodes are not of two kinds, or
    /// their noise is not what it is said to be, and more tests would promise for ever.
    pub most_promised: f64,
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
            first_failure: 60,
            batches: vec![1, 2, 3, 4, 5, 6, 8, 10, 12],
            weigh: Weigh::Seconds,
            most_visits: 100.0,
            most_promised: 4.0,
            untestable: (1.0, 20.0),
        }
    }
}

/// Of all commits that are less probable than this, a thousand together make no difference.
const NEGLIGIBLE: f64 = 1e-6;

/// So many nodes that are not built are looked at closely.
const LOOKED_AT: usize = 12;

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

/// What is predicted of any node, if it is bad and if it is not, under each division that is not negligible.
struct Predictions<'a> {
    search: &'a Search,
    /// By division, first without the culprit and then with it.
    sides: Vec<Level>,
    /// By node: how probable each of these is.
    weights: Vec<Vec<f64>>,
    /// By number of boots: the channel of nodes of which nothing but their side is known.
    channels: Vec<(u32, Channel)>,
    /// Standard deviation between boots.
    spread: f64,
}

impl Search {
    /// The best test; none if none is worth it.
    pub(crate) fn choose(&self, posterior: &Posterior) -> Option<(Node, u32)> {
        let batches = &self.policy.batches;
        let predictions = Predictions::of(self, posterior, batches);
        let least = self.left(posterior) / self.policy.most_visits;
        let nodes: Vec<Node> =
            (0..self.history.nodes()).filter(|node| !self.known[*node].is_untestable).collect();
        // One number of boots says which nodes are worth a look at all of them.
        let middle = batches.len() / 2;
        let mut promising: Vec<Offer> =
            nodes.iter().filter_map(|node| self.offer(&predictions, *node, middle)).collect();
        promising.sort_by(|one, other| other.rate.total_cmp(&one.rate));
        let (built, others): (Vec<Node>, Vec<Node>) =
            promising.iter().map(|offer| offer.node).partition(|node| self.known[*node].is_built);
        let first = built.into_iter().chain(others.into_iter().take(LOOKED_AT));
        let best = |nodes: &mut dyn Iterator<Item = Node>| {
            nodes
                .flat_map(|node| (0..batches.len()).map(move |batch| (node, batch)))
                .filter_map(|(node, batch)| self.offer(&predictions, node, batch))
                .filter(|offer| offer.tells > least)
                .max_by(|one, other| one.rate.total_cmp(&other.rate))
        };
        // None is worth it only if none of all is.
        let best = best(&mut first.into_iter()).or_else(|| best(&mut nodes.iter().copied()))?;
        Some((best.node, best.boots))
    }

    fn offer(&self, predictions: &Predictions<'_>, node: Node, batch: usize) -> Option<Offer> {
        let (boots, tells) = predictions.tell(node, batch)?;
        let chance = if self.known[node].is_built { 1.0 } else { self.chance_to_be_testable() };
        let tells = chance * tells;
        Some(Offer { node, boots, tells, rate: tells / self.held_against(node, boots) })
    }

    /// What so many boots of a node are expected to tell, in nats.
    pub(crate) fn expected(&self, posterior: &Posterior, node: Node, boots: u32) -> f64 {
        Predictions::of(self, posterior, &[boots]).tell(node, 0).map_or(0.0, |(_, tells)| tells)
    }

    fn held_against(&self, node: Node, boots: u32) -> f64 {
        match self.policy.weigh {
            Weigh::Seconds => self.visit_seconds(node, boots),
            Weigh::Boots => f64::from(boots),
        }
    }

    /// What it is expected to take to build a node, unless it is built, and to boot it so many times.
    #[must_use]
    pub fn visit_seconds(&self, node: Node, boots: u32) -> f64 {
        self.build_seconds(node) + f64::from(boots) * self.costs.boot
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

impl<'a> Predictions<'a> {
    fn of(search: &'a Search, posterior: &Posterior, batches: &[u32]) -> Self {
        let weighty: Vec<usize> = (0..posterior.divisions.len())
            .filter(|division| posterior.divisions[*division].share > NEGLIGIBLE)
            .collect();
        let mut place = vec![None; posterior.divisions.len()];
        weighty.iter().enumerate().for_each(|(at, division)| place[*division] = Some(2 * at));
        let sides = weighty.iter().flat_map(|division| posterior.divisions[*division].sides).collect();
        let all: f64 = weighty.iter().map(|division| posterior.divisions[*division].share).sum();
        let mut none_bad = vec![0.0; 2 * weighty.len()];
        weighty
            .iter()
            .enumerate()
            .for_each(|(at, division)| none_bad[2 * at] = posterior.divisions[*division].share / all);
        let mut weights = vec![none_bad; search.history.nodes()];
        for (commit, share) in posterior.of.iter().enumerate().skip(1).filter(|(_, share)| **share > 0.0) {
            let Some(at) = posterior.division_of[commit].and_then(|division| place[division]) else {
                continue;
            };
            for node in search.history.carriers(commit) {
                weights[node][at] -= share / all;
                weights[node][at + 1] += share / all;
            }
        }
        // Differences of what is nearly equal.
        weights.iter_mut().flatten().for_each(|weight| *weight = weight.max(0.0));
        let spread = match posterior.seen {
            Seen::Levels { boots, .. } => boots,
            Seen::Rates { .. } => 0.0,
        };
        let mut predictions = Self { search, sides, weights, channels: vec![], spread };
        predictions.channels =
            batches.iter().map(|boots| (*boots, predictions.channel(None, *boots))).collect();
        predictions
    }

    /// What the boots of a batch tell of a node, in nats, if it can be tested; how many these are.
    fn tell(&self, node: Node, batch: usize) -> Option<(u32, f64)> {
        let (boots, fresh) = self.channels.get(batch)?;
        let made = self.search.known[node].count();
        let weights = &self.weights[node];
        let tells = match self.search.question {
            // Of a build that was booted its own deviation is known in part. The same number again tells nothing.
            Question::Level(noise) if made > 0 && noise.builds > 0.0 && self.spread > 0.0 => {
                self.channel(Some(node), *boots).tells(weights)
            }
            Question::Level(_) if made > 0 && self.spread <= 0.0 => 0.0,
            _ => fresh.tells(weights),
        };
        Some((*boots, tells.min(most(made, *boots))))
    }

    /// Of so many boots of a node, or of any that was not booted.
    fn channel(&self, node: Option<Node>, boots: u32) -> Channel {
        let Question::Level(noise) = self.search.question else {
            return Channel::failures(boots, &self.sides);
        };
        let of_boots = self.spread.powi(2) / f64::from(boots);
        // A spread of zero is no division by zero: numbers that do not vary at all are told apart by what counts.
        let least = (0.01 * noise.least.max(f64::MIN_POSITIVE)).powi(2).max(f64::MIN_POSITIVE);
        let own = node.map(|node| &self.search.known[node].values);
        let of_builds = noise.builds.powi(2);
        // How much of how far the node lies from its side is its own.
        let known = own.map_or(0.0, |own| {
            let of_mean = self.spread.powi(2) / float(own.len());
            of_builds / (of_builds + of_mean)
        });
        let seen = own.map_or(0.0, |own| median(own));
        let predict = |side: &Level| Level {
            mean: (1.0 - known) * side.mean + known * seen,
            variance: ((1.0 - known).powi(2) * side.variance + of_builds * (1.0 - known) + of_boots)
                .max(least),
        };
        Channel::normal(&self.sides.iter().map(predict).collect::<Vec<_>>())
    }
}

/// More than this nothing is told by so many boots of a node of which some were made: what they tell of its own level, in the
/// mean over what it may be, if nothing else tells of it. It is what ends searches whose nodes are of more than two kinds, and of which each boot seems to tell much.
fn most(made: u32, boots: u32) -> f64 {
    0.5 * (f64::from(boots) / f64::from(made)).ln_1p()
}

#[expect(clippy::cast_precision_loss, reason = "a number of nodes")]
fn float(n: usize) -> f64 {
    n as f64
}
