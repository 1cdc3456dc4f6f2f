//! How small a p-value a number of boots can yield at all.

/// Beyond so many blocks nobody asks for a level that needs them.
pub const MOST_NEEDED: u32 = 16;

/// The smallest one-sided p-value that `blocks` blocks can yield: all `2^blocks` sign flips are equally likely, and the
/// data is one of them.
#[must_use]
pub fn smallest_p(blocks: u32) -> f64 {
    0.5f64.powi(i32::try_from(blocks).unwrap_or(i32::MAX))
}

/// The fewest blocks with which each of `comparisons` comparisons can be decided even if it comes first in Holm's
/// order, where the level is `alpha / comparisons`; none if sixteen do not suffice.
#[must_use]
pub fn boots_needed(alpha: f64, comparisons: u32) -> Option<u32> {
    let level = alpha / f64::from(comparisons.max(1));
    (1..=MOST_NEEDED).find(|blocks| smallest_p(*blocks) <= level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_boot_halves_the_smallest_p() {
        assert_eq!(smallest_p(0), 1.0);
        assert_eq!(smallest_p(5), 0.03125);
        assert_eq!(smallest_p(20), smallest_p(19) / 2.0);
    }

    #[test]
    fn more_comparisons_need_more_boots() {
        assert_eq!(boots_needed(0.0625, 1), Some(4), "a level that is reached exactly will do");
        assert_eq!(boots_needed(0.05, 1), Some(5));
        assert_eq!(boots_needed(0.05, 2), Some(6));
        assert_eq!(boots_needed(0.05, 3), Some(6));
        assert_eq!(boots_needed(0.01, 3), Some(9));
        assert_eq!(boots_needed(1e-6, 1), None);
    }
}
