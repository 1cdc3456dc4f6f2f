//! What is judged, and what a judgement says.

use serde::{Deserialize, Serialize};

use crate::{Block, Differences, Interval, NotComparable, Scale, SignedRanks};

/// Which way a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// One comparison that is judged: a gate on one candidate arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// One for each block that was run, crashed boots included.
    pub blocks: Vec<Block>,
    /// Which way the metric is better.
    pub better: Better,
    /// The relative change that matters, as a fraction of the baseline; between 0 and 1.
    pub margin: f64,
}

/// What the data says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The adjusted interval lies wholly beyond the margin, in the better direction.
    Better,
    /// The adjusted interval lies wholly beyond the margin, in the worse direction.
    Worse,
    /// The adjusted interval lies inside the margin.
    Same,
    /// None of these.
    Unclear,
}

impl Verdict {
    /// The word, as in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Same => "same",
            Self::Unclear => "unclear",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

/// Something that a comparison can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// Worse by more than the margin.
    Worse,
    /// Better by more than the margin.
    Better,
    /// Within the margin.
    Same,
}

impl Claim {
    pub(crate) const ALL: [Self; 3] = [Self::Worse, Self::Better, Self::Same];

    pub(crate) fn verdict(self) -> Verdict {
        match self {
            Self::Worse => Verdict::Worse,
            Self::Better => Verdict::Better,
            Self::Same => Verdict::Same,
        }
    }
}

/// An effect with its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effect {
    /// What the numbers mean.
    pub scale: Scale,
    /// The Hodges-Lehmann estimate: the median over all pairs of blocks of their mean difference.
    pub estimate: f64,
    /// None if there are too few blocks for its level.
    pub interval: Option<Interval>,
    /// Confidence of the interval, such as 0.9.
    pub confidence: f64,
}

impl Effect {
    /// From the scale of the differences to the one on which people read them.
    pub(crate) fn new(
        differences: &Differences,
        interval: Option<Interval>,
        ranks: &SignedRanks,
        level: f64,
    ) -> Self {
        let shown = |d| differences.scale.shown(d);
        let interval = interval.map(|i| Interval { low: shown(i.low), high: shown(i.high) });
        Self {
            scale: differences.scale,
            estimate: shown(ranks.estimate().unwrap_or_default()),
            interval,
            confidence: 1.0 - 2.0 * level,
        }
    }
}

/// Something that a verdict of `unclear` leaves unsaid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Note {
    /// The interval excludes `worse`, but not both `better` and `same`.
    NotWorse,
    /// The interval excludes `better`, but not both `worse` and `same`.
    NotBetter,
    /// Not even the clearest data could have decided at this level.
    TooFewBlocks {
        /// Blocks that have a value of both arms.
        used: usize,
        /// Blocks that it takes; none if no number will do.
        needed: Option<u32>,
    },
    /// There is no effect to speak of.
    NotComparable {
        /// Why.
        why: NotComparable,
    },
}

/// The judgement of one comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// What the data says.
    pub verdict: Verdict,
    /// With the adjusted interval; none if the arms are not comparable.
    pub effect: Option<Effect>,
    /// The claim of the verdict, or the one that came closest.
    pub claim: Claim,
    /// The Holm-adjusted p-value of that claim: it is accepted where this is at most the family-wise level.
    pub p: f64,
    /// For `unclear`: the smallest change, either way, that would have been `better` or `worse` with boots that spread like
    /// these: the margin and half the interval's width, added on the log scale. A smaller one may be hidden here.
    pub smallest_shown: Option<f64>,
    /// For `unclear`: what can be said nevertheless.
    pub notes: Vec<Note>,
    /// Blocks with a value of both arms.
    pub used: usize,
    /// Blocks that lack a value of one arm or of both.
    pub left_out: usize,
}
