//! Stopping when all is decided, beside a fixed number of boots.

use stats::{Draws, Interval, Looks, LooksOfShape, PowerCurve, SignedRanks, attainable_level};

use crate::{ALPHA, Share, World, float};

/// A way to stop early.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Assay's.
    Looks,
    /// Assay's with another shape of boundary.
    Shape(f64),
    /// The errors of all looks summed up: levels that grow with the square of the blocks.
    Sum,
    /// An e-value: money that is bet on signs, in proportion to sequential ranks, for a grid of stakes.
    Bets,
}

impl Method {
    /// In words.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Looks => "Assay's".to_owned(),
            Self::Shape(shape) => format!("its boundary with shape {shape}"),
            Self::Sum => "errors of all looks summed up".to_owned(),
            Self::Bets => "e-value, bets on signed sequential ranks".to_owned(),
        }
    }
}

/// A method for a number of blocks.
#[derive(Debug)]
enum Rule {
    Levels(Vec<f64>),
    Bets,
}

impl Rule {
    fn new(method: Method, most: usize) -> Self {
        let from = |level: &dyn Fn(usize) -> f64| Self::Levels((1..=most).map(level).collect());
        match method {
            Method::Looks => {
                let looks = Looks::new(most).expect("few blocks");
                from(&|blocks| looks.level(blocks, ALPHA))
            }
            Method::Shape(shape) => {
                let looks: LooksOfShape = Looks::with_shape(most, shape);
                from(&|blocks| looks.level(blocks, ALPHA))
            }
            Method::Sum => {
                let mut spent = 0.0;
                let levels = (1..=most).map(|blocks| {
                    let level =
                        attainable_level(blocks, ALPHA * (float(blocks) / float(most)).powi(2) - spent);
                    spent += level;
                    level
                });
                Self::Levels(levels.collect())
            }
            Method::Bets => Self::Bets,
        }
    }

    /// After how many blocks "the shift is not below zero" is refuted; none if it never is.
    fn refutes(&self, differences: &[f64]) -> Option<usize> {
        match self {
            Self::Levels(levels) => levels.iter().enumerate().find_map(|(block, level)| {
                let p = SignedRanks::new(&differences[..=block]).p_below(0.0);
                (p <= level * (1.0 + 1e-12)).then_some(block + 1)
            }),
            Self::Bets => bets(differences),
        }
    }

    /// After how many blocks the shift is shown to lie within a margin.
    fn shows_within(&self, differences: &[f64], margin: f64) -> Option<usize> {
        let Self::Levels(levels) = self else { return None };
        let within = Interval { low: -margin, high: margin };
        levels.iter().enumerate().find_map(|(block, level)| {
            let p = SignedRanks::new(&differences[..=block]).p_within(within);
            (p <= level * (1.0 + 1e-12)).then_some(block + 1)
        })
    }
}

/// Given the absolute differences, signs are fair coins, and so is a bet on them, of a stake in proportion to the rank among the
/// differences so far (Reynolds 1975, Ann. Statist. 3:382, has the ranks). The mean of the capital over a grid of stakes is an e-process: it reaches 20 with
/// probability at most 0.05 (Ville 1939; Waudby-Smith and Ramdas 2024, JRSS B 86:1).
fn bets(differences: &[f64]) -> Option<usize> {
    const STAKES: [f64; 5] = [0.2, 0.4, 0.6, 0.8, 0.95];
    let mut capital = STAKES.map(|_| 1.0);
    differences.iter().enumerate().find_map(|(block, d)| {
        let rank = differences[..=block].iter().filter(|other| other.abs() <= d.abs()).count();
        let outcome = -d.signum() * float(rank) / float(block + 1);
        capital.iter_mut().zip(STAKES).for_each(|(capital, stake)| *capital *= 1.0 + stake * outcome);
        (capital.iter().sum::<f64>() / float(STAKES.len()) >= 1.0 / ALPHA).then_some(block + 1)
    })
}

/// A design that stops early, beside the fixed one of the same power.
#[derive(Clone, Debug)]
pub struct Sequential {
    /// How it stops.
    pub method: Method,
    /// Where values vary.
    pub world: World,
    /// Blocks of the fixed design.
    pub fixed: usize,
    /// The most blocks of this one.
    pub most: usize,
    /// A claim, at any look, although the change is just the margin.
    pub false_claims: Share,
    /// `same`, at any look, although the change is just the margin.
    pub false_same: Share,
    /// The intervals of all looks hold the truth; two-sided 90 %.
    pub covered: Share,
    /// Found by the fixed design, at the design effect.
    pub fixed_power: Share,
    /// Found by this one.
    pub power: Share,
    /// Mean number of blocks at the design effect, over those of the fixed design.
    pub blocks: f64,
    /// At twice the design effect.
    pub blocks_at_twice: f64,
    /// With identical arms and a margin within which the fixed design shows them to be in 90 of 100: mean number of blocks, over those
    /// of the fixed design.
    pub blocks_when_same: f64,
    /// How often it then says so.
    pub same: Share,
}

/// The design effect of a fixed design, in standard deviations of a difference: what it finds in 90 of 100.
fn design_effect(fixed: usize) -> f64 {
    let blocks = u32::try_from(fixed).unwrap_or(u32::MAX);
    PowerCurve::new(blocks, ALPHA).map_or(f64::INFINITY, |curve| curve.detectable(0.9))
}

/// The margin within which a fixed design shows identical arms in 90 of 100: each side in 95.
fn design_margin(fixed: usize) -> f64 {
    let blocks = u32::try_from(fixed).unwrap_or(u32::MAX);
    PowerCurve::new(blocks, ALPHA).map_or(f64::INFINITY, |curve| curve.detectable(0.95))
}

/// The fewest blocks with which a method has the power of a fixed design, on normal noise; none up to twice as many.
#[must_use]
pub fn equal_power(method: Method, fixed: usize, data_sets: usize, seed: u64) -> Option<usize> {
    let effect = design_effect(fixed);
    let level = attainable_level(fixed, ALPHA);
    let mut draws = Draws::new(seed);
    let all: Vec<Vec<f64>> =
        (0..data_sets).map(|_| (0..2 * fixed).map(|_| draws.normal() - effect).collect()).collect();
    let finds = |differences: &Vec<f64>| SignedRanks::new(&differences[..fixed]).p_below(0.0) <= level;
    let needed = all.iter().filter(|differences| finds(differences)).count();
    (fixed..=2 * fixed).find(|most| {
        let rule = Rule::new(method, *most);
        all.iter().filter(|differences| rule.refutes(&differences[..*most]).is_some()).count() >= needed
    })
}

/// Simulates one cell.
#[must_use]
pub fn sequential(
    method: Method,
    world: World,
    fixed: usize,
    most: usize,
    data_sets: usize,
    seed: u64,
) -> Sequential {
    // What a difference spreads by, as the mean over the fixed design's blocks shows.
    let spread = world.of_mean_difference(fixed) * float(fixed).sqrt();
    let (effect, margin) = (design_effect(fixed) * spread, design_margin(fixed) * spread);
    let rule = Rule::new(method, most);
    let level = attainable_level(fixed, ALPHA);
    let mut draws = Draws::new(seed);
    let mut cell = Sequential {
        method,
        world,
        fixed,
        most,
        false_claims: Share::default(),
        false_same: Share::default(),
        covered: Share::default(),
        fixed_power: Share::default(),
        power: Share::default(),
        blocks: 0.0,
        blocks_at_twice: 0.0,
        blocks_when_same: 0.0,
        same: Share::default(),
    };
    for _ in 0..data_sets {
        let noise = world.draw(&mut draws, most.max(fixed)).differences();
        let changed = |by: f64| -> Vec<f64> { noise.iter().map(|d| d - by).collect() };
        let blocks = |by: f64| rule.refutes(&changed(by)[..most]);
        cell.false_claims.add(blocks(0.0).is_some());
        // The other end of the interval, at every look.
        let above: Vec<f64> = noise.iter().map(|d| -d).collect();
        cell.covered.add(blocks(0.0).is_none() && rule.refutes(&above[..most]).is_none());
        cell.false_same.add(rule.shows_within(&changed(margin)[..most], margin).is_some());
        let found = SignedRanks::new(&changed(effect)[..fixed]).p_below(0.0) <= level;
        cell.fixed_power.add(found);
        let stopped = blocks(effect);
        cell.power.add(stopped.is_some());
        cell.blocks += float(stopped.unwrap_or(most));
        cell.blocks_at_twice += float(blocks(2.0 * effect).unwrap_or(most));
        let same = rule.shows_within(&noise[..most], margin);
        cell.same.add(same.is_some());
        cell.blocks_when_same += float(same.unwrap_or(most));
    }
    for blocks in [&mut cell.blocks, &mut cell.blocks_at_twice, &mut cell.blocks_when_same] {
        *blocks /= float(data_sets) * float(fixed);
    }
    cell
}

/// The worst that noise can do to looks: each difference is larger than all before it, so that each look has most in it that is new.
#[must_use]
pub fn growing(most: usize, data_sets: usize, seed: u64) -> Share {
    let rule = Rule::new(Method::Looks, most);
    let mut draws = Draws::new(seed);
    let mut share = Share::default();
    for _ in 0..data_sets {
        let differences: Vec<f64> =
            (1..=most).map(|block| if draws.coin() { float(block) } else { -float(block) }).collect();
        share.add(rule.refutes(&differences).is_some());
    }
    share
}

/// What stops early in some way: beside Assay's, for the choice.
pub(crate) const METHODS: [Method; 7] = [
    Method::Looks,
    Method::Shape(0.0),
    Method::Shape(0.75),
    Method::Shape(2.0),
    Method::Shape(3.0),
    Method::Sum,
    Method::Bets,
];
