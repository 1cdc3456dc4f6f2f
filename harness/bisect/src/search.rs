//! A search: what was found so far, and what follows from it.

use std::collections::BTreeMap;

use crate::{
    History, Noise, Policy, Posterior,
    bits::Bits,
    channel::entropy,
    costs::Costs,
    history::{GOOD, Node},
    rates::{Boots, Failing},
};

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Question {
    /// Where values became worse. Higher is worse: whoever gives them turns them round where it is not.
    Level(Noise),
    /// Where boots began to fail.
    Failing(Failing),
}

/// A commit that is so much less probable than another is left out when sets of them are weighed.
const UNWEIGHTY: f64 = 1e-4;

/// What is known of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Known {
    pub(crate) values: Vec<f64>,
    pub(crate) boots: Boots,
    pub(crate) is_built: bool,
    pub(crate) is_untestable: bool,
}

impl Known {
    pub(crate) fn is_tested(&self) -> bool {
        self.count() > 0
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.values.len()).unwrap_or(u32::MAX).max(self.boots.failed + self.boots.passed)
    }
}

/// A search for the commit that did it.
#[derive(Clone, Debug)]
pub struct Search {
    pub(crate) history: History,
    pub(crate) question: Question,
    pub(crate) policy: Policy,
    /// By node: the logarithm of the prior; of number 0, that nothing in the range did it.
    pub(crate) prior: Vec<f64>,
    pub(crate) known: Vec<Known>,
    /// The node whose objects stand in the tree.
    pub(crate) stands_at: Option<Node>,
    pub(crate) costs: Costs,
    /// What all tests after the first boots were expected to tell, in nats.
    pub(crate) promised: f64,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Build this node, unless it is built, and boot it so many times.
    Test {
        /// Which.
        node: Node,
        /// How often.
        boots: u32,
    },
    /// There is nothing more to do.
    Done(Conclusion),
}

/// Commits between which nothing tells, and the probability that it is one of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Culprits {
    /// In ascending order; several where what lies between them cannot be tested.
    pub commits: Vec<Node>,
    /// That it is one of them.
    pub probability: f64,
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Conclusion {
    /// As probable as was asked for.
    Found(Culprits),
    /// Both ends are alike: nothing in the range did it.
    NothingInRange {
        /// That it is so.
        probability: f64,
    },
    /// An end cannot be tested, so that there is nothing to compare with.
    EndUntestable(Node),
    /// No test is worth it, or tests tell far less than they should ([`Search::is_believed`]); these are the most probable.
    Exhausted(Culprits),
}

impl Search {
    /// With no test made. `weights` says by commit, from number 1, how often such a commit is the culprit; any scale, all equal if it is empty. `none` is the probability that nothing
    /// in the range did it.
    #[must_use]
    pub fn new(history: History, question: Question, costs: Costs, policy: Policy) -> Self {
        let nodes = history.nodes();
        let mut search = Self {
            prior: vec![],
            known: vec![Known::default(); nodes],
            stands_at: None,
            history,
            question,
            policy,
            costs,
            promised: 0.0,
        };
        search.weigh(&vec![1.0; nodes - 1]);
        search
    }

    /// Says by commit, from number 1, how often such a commit is the culprit, on any scale. Weights that are not positive, or are left out, become next to nothing: data can still speak
    /// for every commit.
    pub fn weigh(&mut self, weights: &[f64]) {
        const LEAST: f64 = 1e-6;
        let highest = weights.iter().copied().filter(|weight| weight.is_finite()).fold(0.0, f64::max);
        let of = |commit: Node| {
            let weight = weights.get(commit - 1).copied().filter(|weight| weight.is_finite());
            if highest > 0.0 { (weight.unwrap_or(0.0) / highest).max(LEAST) } else { 1.0 }
        };
        let all: f64 = (1..self.history.nodes()).map(of).sum();
        let none = self.policy.nothing;
        self.prior = std::iter::once(none.ln())
            .chain((1..self.history.nodes()).map(|commit| ((1.0 - none) * of(commit) / all).ln()))
            .collect();
    }

    /// The range.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Better expectations of what builds and boots take.
    pub fn expect(&mut self, costs: Costs) {
        self.costs = costs;
    }

    /// A node's image is there: it can be booted without another build.
    pub fn built(&mut self, node: Node) {
        self.known[node].is_built = true;
    }

    /// The objects that the next build begins from are those of this node, whether its own build came to an end or not.
    pub fn stands_at(&mut self, node: Node) {
        self.stands_at = Some(node);
    }

    /// Boots of a node gave these values, of which higher is worse. Those that are not finite are no values, and left out.
    pub fn measured(&mut self, node: Node, values: &[f64]) {
        self.promise(node, u32::try_from(values.len()).unwrap_or(u32::MAX));
        self.known[node].is_built = true;
        self.known[node].values.extend(values.iter().filter(|value| value.is_finite()));
    }

    /// So many boots of a node failed, and so many did not.
    pub fn booted(&mut self, node: Node, boots: Boots) {
        self.promise(node, boots.failed + boots.passed);
        self.known[node].is_built = true;
        let before = self.known[node].boots;
        self.known[node].boots = [before, boots].into_iter().sum();
    }

    /// A node cannot be tested: it does not build, or does not come as far as the question. That says nothing about the culprit.
    pub fn untestable(&mut self, node: Node) {
        self.known[node].is_untestable = true;
    }

    /// Two nodes have the same code: see [`History::alike`].
    pub fn alike(&mut self, one: Node, other: Node) {
        self.history.alike(one, other);
    }

    /// What follows from all tests.
    #[must_use]
    pub fn posterior(&self) -> Posterior {
        Posterior::of(self)
    }

    /// The most probable set of commits between which nothing tells.
    #[must_use]
    pub fn culprits(&self, posterior: &Posterior) -> Culprits {
        let testable = self.testable();
        let Some((best, _)) =
            self.sets(posterior, &testable).into_iter().max_by(|(_, one), (_, other)| one.total_cmp(other))
        else {
            return Culprits { commits: vec![], probability: 0.0 };
        };
        let commits: Vec<Node> =
            self.possible().filter(|commit| self.history.is_seen_at(*commit, &testable, &best)).collect();
        let probability = commits.iter().map(|commit| posterior.of[*commit]).sum();
        Culprits { commits, probability }
    }

    /// What is not known of what tests can tell apart, in nats.
    pub(crate) fn left(&self, posterior: &Posterior) -> f64 {
        let sets = self.sets(posterior, &self.testable());
        let all: Vec<f64> = sets.into_values().chain([posterior.nothing()]).collect();
        entropy(&all)
    }

    /// How probable commits are that all carry the same of the testable nodes, by these. What is far less probable than the most probable one is left out.
    fn sets(&self, posterior: &Posterior, testable: &Bits) -> BTreeMap<Bits, f64> {
        let highest = self.possible().map(|commit| posterior.of[commit]).fold(0.0, f64::max);
        let mut sets: BTreeMap<Bits, f64> = BTreeMap::new();
        for commit in self.possible().filter(|commit| posterior.of[*commit] >= highest * UNWEIGHTY) {
            *sets.entry(self.history.seen_at(commit, testable)).or_default() += posterior.of[commit];
        }
        sets
    }

    fn possible(&self) -> impl Iterator<Item = Node> + '_ {
        (1..self.history.nodes()).filter(|commit| !self.history.is_excluded(*commit))
    }

    fn testable(&self) -> Bits {
        let mut testable = Bits::none(self.history.nodes());
        let known = self.known.iter().enumerate();
        known.filter(|(_, known)| !known.is_untestable).for_each(|(node, _)| testable.insert(node));
        testable
    }

    /// What to do next.
    #[must_use]
    pub fn next(&self) -> Step {
        for end in [GOOD, self.history.tip()] {
            if self.known[end].is_untestable {
                return Step::Done(Conclusion::EndUntestable(end));
            }
        }
        if let Some(step) = self.first_boots() {
            return step;
        }
        let posterior = self.posterior();
        if posterior.nothing() >= self.policy.confidence {
            return Step::Done(Conclusion::NothingInRange { probability: posterior.nothing() });
        }
        let culprits = self.culprits(&posterior);
        if culprits.probability >= self.policy.confidence {
            return Step::Done(Conclusion::Found(culprits));
        }
        match self.choose(&posterior).filter(|_| self.is_believed()) {
            Some((node, boots)) => Step::Test { node, boots },
            None => Step::Done(Conclusion::Exhausted(culprits)),
        }
    }

    /// Whether tests have told about as much as they were expected to: see [`Policy::most_promised`].
    #[must_use]
    pub fn is_believed(&self) -> bool {
        self.promised <= self.policy.most_promised * self.to_know()
    }

    /// Keeps account of what a test is expected to tell, before its result is known.
    fn promise(&mut self, node: Node, boots: u32) {
        if boots > 0 && self.first_boots().is_none() {
            self.promised += self.expected(&self.posterior(), node, boots);
        }
    }

    /// What was not known before the first test, in nats.
    fn to_know(&self) -> f64 {
        let shares: Vec<f64> = self.prior.iter().map(|log| log.exp()).collect();
        entropy(&shares)
    }

    /// No search has more visits, whatever they find: each one that is made is expected to tell its share of what is not known, which is more than nothing as long as nothing is as
    /// probable as is asked for; all of them together are expected to tell no more than is believed; and each node may turn out untestable once. It is far more than searches take.
    #[must_use]
    pub fn most_visits(&self) -> f64 {
        let policy = &self.policy;
        let doubt = entropy(&[policy.confidence, 1.0 - policy.confidence]);
        let first = policy.first_boots + policy.first_failure;
        let telling = policy.most_promised * self.to_know() * policy.most_visits / doubt;
        telling + f64::from(first) + self.history.nodes() as f64
    }

    /// Both ends are booted before anything else: without them there are no levels to tell apart.
    fn first_boots(&self) -> Option<Step> {
        // The good end first, so that its tree stands where most others start from.
        [GOOD, self.history.tip()].into_iter().find_map(|node| {
            let boots = self.first_boots_of(node);
            (boots > 0).then_some(Step::Test { node, boots })
        })
    }

    fn first_boots_of(&self, node: Node) -> u32 {
        let made = self.known[node].count();
        let first = self.policy.first_boots;
        match self.question {
            // The same number again.
            Question::Level(noise) if noise.boots == 0.0 && noise.known_by.is_infinite() => {
                1_u32.saturating_sub(made)
            }
            Question::Failing(_) if node != GOOD && self.known[node].boots.failed > 0 => 0,
            Question::Failing(_) if node != GOOD => {
                let left = self.policy.first_failure.saturating_sub(made);
                if made == 0 { left.min(1) } else { left.min(first) }
            }
            Question::Level(_) | Question::Failing(_) => first.saturating_sub(made),
        }
    }
}

impl Posterior {
    /// That nothing in the range did it.
    #[must_use]
    pub fn nothing(&self) -> f64 {
        self.of[GOOD]
    }
}
