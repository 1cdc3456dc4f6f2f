//! Blocks, and the paired differences that they yield.

use serde::{Deserialize, Serialize};

use crate::StatsError;

/// One block: one boot of each arm, reduced to the metric under comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The baseline's value; none if its boot yielded no such sample.
    pub baseline: Option<f64>,
    /// The candidate's value; none if its boot yielded no such sample.
    pub candidate: Option<f64>,
}

impl Block {
    /// A block in which both boots yielded a value.
    #[must_use]
    pub fn both(baseline: f64, candidate: f64) -> Self {
        Self { baseline: Some(baseline), candidate: Some(candidate) }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.baseline.is_some() && self.candidate.is_some()
    }
}

/// A side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// What is compared with.
    Baseline,
    /// What is compared.
    Candidate,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Baseline => "baseline",
            Self::Candidate => "candidate",
        })
    }
}

/// What a difference means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Differences of logarithms, shown as a relative change: 0.02 is two per cent more than the baseline.
    Relative,
    /// Plain differences in the metric's own unit, for metrics that can be zero.
    Absolute,
}

impl Scale {
    /// From the scale on which differences are averaged to the one on which people read them.
    #[must_use]
    pub(crate) fn shown(self, difference: f64) -> f64 {
        match self {
            // exp_m1 keeps the digits of changes far below a per cent.
            Self::Relative => difference.exp_m1(),
            Self::Absolute => difference,
        }
    }
}

/// Why two arms cannot be compared in a metric. A property of the data, not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case", deny_unknown_fields)]
pub enum NotComparable {
    /// No block has a value of both arms.
    NoBlocks,
    /// A relative change is undefined where a value is zero or negative.
    NotPositive {
        /// How many complete blocks hold such a value.
        blocks: usize,
    },
}

impl std::fmt::Display for NotComparable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoBlocks => f.write_str("no block has a value of both arms"),
            Self::NotPositive { blocks } => {
                write!(f, "values are zero or negative in {blocks} blocks, so a relative change is undefined")
            }
        }
    }
}

/// The paired differences of a comparison, one for each block that has both values.
#[derive(Clone, Debug, PartialEq)]
pub struct Differences {
    /// In the order of the blocks.
    pub values: Vec<f64>,
    /// What they mean.
    pub scale: Scale,
}

impl Differences {
    /// Differences of logarithms.
    ///
    /// # Errors
    /// A value that is not finite.
    pub fn relative(blocks: &[Block]) -> Result<Result<Self, NotComparable>, StatsError> {
        let pairs = complete(blocks)?;
        if pairs.is_empty() {
            return Ok(Err(NotComparable::NoBlocks));
        }
        let bad = pairs.iter().filter(|(baseline, candidate)| *baseline <= 0.0 || *candidate <= 0.0).count();
        if bad > 0 {
            return Ok(Err(NotComparable::NotPositive { blocks: bad }));
        }
        // Two logarithms instead of one of the quotient: swapping the arms then negates the difference exactly.
        let values = pairs.iter().map(|(baseline, candidate)| candidate.ln() - baseline.ln()).collect();
        Ok(Ok(Self { values, scale: Scale::Relative }))
    }

    /// Differences of logarithms where every value is positive, plain differences otherwise.
    ///
    /// # Errors
    /// A value that is not finite.
    pub fn relative_or_absolute(blocks: &[Block]) -> Result<Result<Self, NotComparable>, StatsError> {
        match Self::relative(blocks)? {
            Err(NotComparable::NotPositive { .. }) => {
                let values =
                    complete(blocks)?.iter().map(|(baseline, candidate)| candidate - baseline).collect();
                Ok(Ok(Self { values, scale: Scale::Absolute }))
            }
            other => Ok(other),
        }
    }
}

/// The values of the blocks that have both, after a check of all values.
fn complete(blocks: &[Block]) -> Result<Vec<(f64, f64)>, StatsError> {
    for (block, values) in blocks.iter().enumerate() {
        for (side, value) in [(Side::Baseline, values.baseline), (Side::Candidate, values.candidate)] {
            if let Some(value) = value.filter(|value| !value.is_finite()) {
                return Err(StatsError::NotFinite { side, block, value });
            }
        }
    }
    Ok(blocks.iter().filter_map(|block| Some((block.baseline?, block.candidate?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_out_blocks_in_which_a_boot_yielded_nothing() {
        let crashed = Block { baseline: Some(2.0), candidate: None };
        let differences = Differences::relative(&[Block::both(1.0, 2.0), crashed, Block::both(4.0, 2.0)]);
        let differences = differences.unwrap().unwrap();
        assert_eq!(differences.values, [2f64.ln(), 2f64.ln() - 4f64.ln()]);
    }

    #[test]
    fn refuses_values_that_are_not_finite_even_in_incomplete_blocks() {
        let block = Block { baseline: None, candidate: Some(f64::NAN) };
        let error = Differences::relative(&[Block::both(1.0, 1.0), block]).unwrap_err();
        assert_eq!(error.to_string(), "value NaN of the candidate in block 1 is not finite");
    }

    #[test]
    fn falls_back_to_absolute_differences_only_when_asked() {
        let blocks = [Block::both(0.0, 3.0), Block::both(1.0, 2.0)];
        assert_eq!(Differences::relative(&blocks).unwrap(), Err(NotComparable::NotPositive { blocks: 1 }));
        let differences = Differences::relative_or_absolute(&blocks).unwrap().unwrap();
        assert_eq!((differences.values, differences.scale), (vec![3.0, 1.0], Scale::Absolute));
    }

    #[test]
    fn nothing_in_common_is_a_reason_and_not_a_number() {
        let blocks = [Block { baseline: Some(1.0), candidate: None }];
        assert_eq!(Differences::relative_or_absolute(&blocks).unwrap(), Err(NotComparable::NoBlocks));
        assert_eq!(Differences::relative_or_absolute(&[]).unwrap(), Err(NotComparable::NoBlocks));
    }
}
