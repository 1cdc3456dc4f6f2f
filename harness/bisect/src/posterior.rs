//! Bayes' rule over all hypotheses.

use std::collections::BTreeMap;

use crate::{
    Question, Search,
    history::{GOOD, Node},
    levels::{Grid, Level},
    rates::{Boots, evidence},
};

/// How probable each commit is to have done it.
#[derive(Clone, Debug)]
pub struct Posterior {
    /// By node; of number 0, that nothing in the range did it.
    pub of: Vec<f64>,
    /// What is known of both sides.
    pub seen: Seen,
    /// All ways in which hypotheses divide the tested nodes.
    pub(crate) divisions: Vec<Divided>,
    /// By node, as a hypothesis: its division; none if it cannot have done it.
    pub(crate) division_of: Vec<Option<usize>>,
}

/// One way to divide the tested nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Divided {
    /// How probable it is.
    pub(crate) share: f64,
    /// What then is known of nodes without the culprit, and of nodes with it; of rates, their mean and variance.
    pub(crate) sides: [Level; 2],
}

/// What nodes without the culprit and nodes with it are like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Seen {
    /// Levels, and how far boots spread; none where no such node was tested.
    Levels {
        /// Without the culprit.
        good: Option<Level>,
        /// With it.
        bad: Option<Level>,
        /// Standard deviation between boots.
        boots: f64,
    },
    /// How often boots fail.
    Rates {
        /// Without the culprit.
        good: f64,
        /// With it.
        bad: f64,
    },
}

/// The likelihood of everything under one division of the tested nodes, and what both sides are then like.
#[derive(Clone, Copy, Debug)]
struct Weighed {
    log_evidence: f64,
    good: Option<Level>,
    bad: Option<Level>,
}

/// A model of the tested nodes, all of them with their boots.
enum Model {
    Levels(Grid),
    Rates(Vec<Boots>, crate::Failing),
}

impl Posterior {
    pub(crate) fn of(search: &Search) -> Self {
        let history = &search.history;
        let tested: Vec<Node> = (0..history.nodes()).filter(|node| search.known[*node].is_tested()).collect();
        let (model, boots) = model(search, &tested);
        // Commits that divide the tested nodes alike have one likelihood.
        let mut divisions: BTreeMap<Vec<bool>, Vec<Node>> = BTreeMap::new();
        for commit in (1..history.nodes()).filter(|commit| !history.is_excluded(*commit)) {
            let bad = tested.iter().map(|node| history.carries(*node, commit)).collect();
            divisions.entry(bad).or_default().push(commit);
        }
        let mut logs = vec![f64::NEG_INFINITY; history.nodes()];
        let nothing = model.undivided();
        logs[GOOD] = search.prior[GOOD] + nothing.log_evidence;
        let mut weighed = vec![nothing];
        let mut division_of = vec![None; history.nodes()];
        division_of[GOOD] = Some(0);
        for (bad, commits) in divisions {
            let found = model.divided(&bad);
            for commit in commits {
                logs[commit] = search.prior[commit] + found.log_evidence;
                division_of[commit] = Some(weighed.len());
            }
            weighed.push(found);
        }
        let highest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut of: Vec<f64> = logs.iter().map(|log| (log - highest).exp()).collect();
        let all: f64 = of.iter().sum();
        of.iter_mut().for_each(|probability| *probability /= all);
        let mut divisions: Vec<Divided> =
            weighed.iter().map(|found| Divided { share: 0.0, sides: found.sides() }).collect();
        for (division, probability) in division_of.iter().zip(&of) {
            if let Some(division) = division {
                divisions[*division].share += probability;
            }
        }
        let seen = seen(&divisions, &weighed, &model, boots);
        Self { of, seen, divisions, division_of }
    }
}

fn model(search: &Search, tested: &[Node]) -> (Model, f64) {
    match search.question {
        Question::Level(noise) => {
            let values: Vec<&[f64]> =
                tested.iter().map(|node| search.known[*node].values.as_slice()).collect();
            (Model::Levels(Grid::new(&values, &noise)), noise.seen(&values))
        }
        Question::Failing(failing) => {
            (Model::Rates(tested.iter().map(|node| search.known[*node].boots).collect(), failing), 0.0)
        }
    }
}

impl Model {
    fn undivided(&self) -> Weighed {
        match self {
            Self::Levels(grid) => grid.undivided().into(),
            Self::Rates(boots, _) => self.divided(&vec![false; boots.len()]),
        }
    }

    fn divided(&self, bad: &[bool]) -> Weighed {
        match self {
            Self::Levels(grid) => grid.divided(bad).into(),
            Self::Rates(boots, prior) => {
                let side = |which: bool| -> Boots {
                    boots.iter().zip(bad).filter(|(_, bad)| **bad == which).map(|(boots, _)| *boots).sum()
                };
                let (of_good, good) = evidence(prior.good, side(false));
                let (of_bad, bad) = evidence(prior.bad, side(true));
                Weighed { log_evidence: of_good + of_bad, good: Some(good), bad: Some(bad) }
            }
        }
    }
}

impl Weighed {
    fn sides(&self) -> [Level; 2] {
        [self.good.unwrap_or_default(), self.bad.unwrap_or_default()]
    }
}

impl From<crate::levels::Division> for Weighed {
    fn from(division: crate::levels::Division) -> Self {
        Self { log_evidence: division.log_evidence, good: division.good, bad: division.bad }
    }
}

/// The mean of both sides over all divisions, as probable as they are. If nothing did it, there is no bad side.
fn seen(divisions: &[Divided], weighed: &[Weighed], model: &Model, boots: f64) -> Seen {
    let shares = || divisions.iter().map(|division| division.share).zip(weighed);
    let good = mixed(shares().map(|(share, one)| (share, one.good)));
    let bad = mixed(shares().skip(1).map(|(share, one)| (share, one.bad)));
    match model {
        Model::Levels(_) => Seen::Levels { good, bad, boots },
        Model::Rates(..) => {
            let rate = |side: Option<Level>| side.map_or(0.0, |side| side.mean);
            Seen::Rates { good: rate(good), bad: rate(bad) }
        }
    }
}

fn mixed(parts: impl Iterator<Item = (f64, Option<Level>)>) -> Option<Level> {
    let parts: Vec<(f64, Level)> = parts.filter_map(|(share, level)| Some((share, level?))).collect();
    let all: f64 = parts.iter().map(|(share, _)| share).sum();
    if all <= 0.0 {
        return None;
    }
    let mean = parts.iter().map(|(share, level)| share * level.mean).sum::<f64>() / all;
    let squares: f64 =
        parts.iter().map(|(share, level)| share * (level.variance + (level.mean - mean).powi(2))).sum();
    Some(Level { mean, variance: squares / all })
}
