//! The null distribution of signed ranks: one fair coin for each block.

use std::{
    iter::Sum,
    sync::{Arc, OnceLock},
};

/// With more blocks than this the sums of ranks lie dense enough, and squares would take long to count.
const MOST_WITH_SQUARES: usize = 16;
/// Distributions that are kept once they were computed.
const KEPT: usize = 65;

static KNOWN: [OnceLock<Arc<Null>>; KEPT] = [const { OnceLock::new() }; KEPT];

/// What chosen ranks sum up to, they and their squares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Score {
    sum: usize,
    squares: usize,
}

impl Score {
    /// For numbers of blocks whose squares are not counted.
    pub(crate) fn of_sum(sum: usize) -> Self {
        Self { sum, squares: 0 }
    }
}

impl Sum<usize> for Score {
    fn sum<I: Iterator<Item = usize>>(ranks: I) -> Self {
        ranks.fold(Self::default(), |score, rank| Self {
            sum: score.sum + rank,
            squares: score.squares + rank * rank,
        })
    }
}

/// The distribution of the score of those of the ranks 1 to n that fair coins choose. Scores are ordered by the sum of ranks, and
/// with up to sixteen blocks those of equal sums by the sum of squares: the normal-optimal scores, which are convex in the rank, order equal
/// sums in this way, too.
pub(crate) struct Null {
    /// `P(score <= s)`, in the order of scores.
    cumulative: Vec<f64>,
    /// How many values the sum of squares is given; 1 if squares do not count.
    stride: usize,
}

impl std::fmt::Debug for Null {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Null").field("stride", &self.stride).finish_non_exhaustive()
    }
}

impl Null {
    /// For this number of blocks.
    pub(crate) fn of(blocks: usize) -> Arc<Self> {
        match KNOWN.get(blocks) {
            Some(known) => Arc::clone(known.get_or_init(|| Arc::new(Self::compute(blocks)))),
            None => Arc::new(Self::compute(blocks)),
        }
    }

    pub(crate) fn counts_squares(&self) -> bool {
        self.stride > 1
    }

    /// The probability of a score that is no larger.
    pub(crate) fn p(&self, score: Score) -> f64 {
        let squares = if self.counts_squares() { score.squares } else { 0 };
        self.cumulative[score.sum * self.stride + squares]
    }

    /// The largest probability, at most `level`, that a score can have; zero if there is none.
    pub(crate) fn attainable(&self, level: f64) -> f64 {
        let rejected = crate::signed_rank::rejected_at(&self.cumulative, level);
        rejected.checked_sub(1).map_or(0.0, |last| self.cumulative[last])
    }

    fn compute(blocks: usize) -> Self {
        let stride = if blocks > 1 && blocks <= MOST_WITH_SQUARES {
            blocks * (blocks + 1) * (2 * blocks + 1) / 6 + 1
        } else {
            1
        };
        let step = |rank: usize| rank * stride + if stride > 1 { rank * rank } else { 0 };
        let mut probability = vec![0.0; blocks * (blocks + 1) / 2 * stride + stride];
        probability[0] = 1.0;
        let mut reached = 0;
        for rank in 1..=blocks {
            reached += step(rank);
            for score in (0..=reached).rev() {
                let without = probability[score];
                let with = if score >= step(rank) { probability[score - step(rank)] } else { 0.0 };
                probability[score] = without / 2.0 + with / 2.0;
            }
        }
        let mut total = 0.0;
        for value in &mut probability {
            total += *value;
            // Rounding must not make the whole more or less than one.
            *value = if total > 1.0 - 1e-12 { 1.0 } else { total };
        }
        Self { cumulative: probability, stride }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn critical_values_are_those_of_the_tables() {
        // The largest sum of ranks that one-sided 5 % rejects: n = 5: 0, 6: 2, 10: 10, 12: 17, 20: 60, 50: 466.
        for (n, largest) in [(5, 0), (6, 2), (10, 10), (12, 17), (20, 60), (50, 466)] {
            let null = Null::of(n);
            let whole = |sum: usize| null.cumulative[sum * null.stride + null.stride - 1];
            assert!(whole(largest) <= 0.05 && whole(largest + 1) > 0.05, "n = {n}");
        }
    }

    #[test]
    fn squares_order_equal_sums_and_nothing_else() {
        let score = |ranks: &[usize]| ranks.iter().copied().sum::<Score>();
        assert!(score(&[1, 2, 3]) < score(&[2, 4]) && score(&[2, 4]) < score(&[6]));
        assert!(score(&[6]) < score(&[1, 2, 4]));
        let null = Null::of(8);
        // Ten of 256 have a sum of at most 5; then 1 + 2 + 3, then 2 + 4.
        assert_eq!(null.p(score(&[5])), 10.0 / 256.0);
        assert_eq!(null.p(score(&[1, 2, 3])), 11.0 / 256.0);
        assert_eq!(null.p(score(&[2, 4])), 12.0 / 256.0);
        assert_eq!(null.p(score(&[6])), 14.0 / 256.0);
    }

    #[test]
    fn hundreds_of_blocks_are_no_approximation_either() {
        let null = Null::of(400);
        // By symmetry, with mean n(n+1)/4.
        assert!((null.cumulative[40_100 - 1] - 0.5).abs() < 1e-4);
        assert_eq!(null.cumulative.last(), Some(&1.0));
    }

    #[test]
    fn whatever_the_coins_the_whole_is_one() {
        for n in 0..=20 {
            assert_eq!(Null::of(n).cumulative.last(), Some(&1.0), "{n}");
            assert_eq!(Null::of(n).p(Score::default()), 0.5_f64.powi(i32::try_from(n).unwrap()), "{n}");
        }
    }
}
