//! Sets of small numbers.

/// A set of numbers below a bound that is given when it is made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// The empty set of numbers below `bound`.
    pub(crate) fn none(bound: usize) -> Self {
        Self(vec![0; bound.div_ceil(64)])
    }

    pub(crate) fn insert(&mut self, number: usize) {
        self.0[number / 64] |= 1 << (number % 64);
    }

    pub(crate) fn contains(&self, number: usize) -> bool {
        self.0[number / 64] >> (number % 64) & 1 == 1
    }

    /// Adds all of another set.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }

    /// What is in exactly one of both.
    pub(crate) fn difference(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(word, other)| word ^ other).collect())
    }

    /// How many are in exactly one of both.
    pub(crate) fn distance(&self, other: &Self) -> usize {
        self.0.iter().zip(&other.0).map(|(word, other)| (word ^ other).count_ones() as usize).sum()
    }

    /// What is in both.
    pub(crate) fn both(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(word, other)| word & other).collect())
    }

    /// Whether what is in both is just `wanted`.
    pub(crate) fn meets(&self, other: &Self, wanted: &Self) -> bool {
        let words = self.0.iter().zip(&other.0).zip(&wanted.0);
        words.into_iter().all(|((word, other), wanted)| word & other == *wanted)
    }

    /// In ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                (left != 0).then(|| {
                    let bit = left.trailing_zeros() as usize;
                    left &= left - 1;
                    64 * at + bit
                })
            })
        })
    }
}
