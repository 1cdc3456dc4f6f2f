//! How a count was distributed over calls.

use serde::{Deserialize, Serialize};

/// How large something was each time: number, sum, extremes, and how many were in each range between powers of two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// How many times.
    pub count: u64,
    /// Of all times together.
    pub sum: u64,
    /// The smallest; none if it never happened.
    pub min: Option<u64>,
    /// The largest; none if it never happened.
    pub max: Option<u64>,
    /// Entry 0 counts zeros, entry n those of 2^(n-1) to 2^n - 1. Ends with the last that is not 0.
    pub powers_of_two: Vec<u64>,
}

impl Distribution {
    /// Adds one time.
    pub fn add(&mut self, value: u64) {
        self.count += 1;
        self.sum += value;
        self.min = Some(self.min.map_or(value, |min| min.min(value)));
        self.max = Some(self.max.map_or(value, |max| max.max(value)));
        let range = (u64::BITS - value.leading_zeros()) as usize;
        if self.powers_of_two.len() <= range {
            self.powers_of_two.resize(range + 1, 0);
        }
        self.powers_of_two[range] += 1;
    }

    /// Adds all of another's.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = [self.min, other.min].into_iter().flatten().min();
        self.max = [self.max, other.max].into_iter().flatten().max();
        if self.powers_of_two.len() < other.powers_of_two.len() {
            self.powers_of_two.resize(other.powers_of_two.len(), 0);
        }
        for (mine, others) in self.powers_of_two.iter_mut().zip(&other.powers_of_two) {
            *mine += others;
        }
    }

    /// The mean; none if it never happened.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of calls stay far below 2^53")]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_in_the_range_of_its_power_of_two() {
        let mut seen = Distribution::default();
        assert_eq!(seen.mean(), None);
        for value in [0, 1, 2, 3, 4, 1023, 1024] {
            seen.add(value);
        }
        assert_eq!(seen.powers_of_two, [1, 1, 2, 1, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!((seen.count, seen.sum, seen.min, seen.max), (7, 2057, Some(0), Some(1024)));
    }

    #[test]
    fn merged_is_as_if_all_were_added_to_one() {
        let (mut left, mut right, mut both) = Default::default();
        for (value, of_left) in [(3, true), (900, false), (0, true), (7, false)] {
            let into: &mut Distribution = if of_left { &mut left } else { &mut right };
            into.add(value);
            Distribution::add(&mut both, value);
        }
        left.merge(&right);
        left.merge(&Distribution::default());
        assert_eq!(left, both);
    }
}
