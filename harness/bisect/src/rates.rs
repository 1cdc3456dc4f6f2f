//! Boots that fail or do not: how likely they are if some nodes fail as often as the good end and the others more often.

use crate::Level;

/// How often boots fail, before any was made: beta distributions, as so many failures and passes that are thought of as seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Failing {
    /// Of a node without the culprit: what fails by itself.
    pub good: (f64, f64),
    /// Of one with it.
    pub bad: (f64, f64),
}

impl Default for Failing {
    /// A good kernel fails in one of forty boots, give or take; of a bad one nothing is known (Jeffreys' prior).
    fn default() -> Self {
        Self { good: (0.5, 19.5), bad: (0.5, 0.5) }
    }
}

/// Boots of one node, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boots {
    /// How many failed.
    pub failed: u32,
    /// How many did not.
    pub passed: u32,
}

impl std::iter::Sum for Boots {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, boots| Self {
            failed: sum.failed + boots.failed,
            passed: sum.passed + boots.passed,
        })
    }
}

/// The logarithm of the likelihood of boots whose rate has a beta prior, and what is then known of the rate.
pub(crate) fn evidence((failures, passes): (f64, f64), boots: Boots) -> (f64, Level) {
    let (failed, passed) = (failures + f64::from(boots.failed), passes + f64::from(boots.passed));
    // The product form of the ratio of beta functions: few boots, no gamma function.
    let rising = |from: f64, steps: u32| (0..steps).map(|step| (from + f64::from(step)).ln()).sum::<f64>();
    let all = boots.failed + boots.passed;
    let log = rising(failures, boots.failed) + rising(passes, boots.passed) - rising(failures + passes, all);
    let known_by = failed + passed;
    let mean = failed / known_by;
    (log, Level { mean, variance: mean * (1.0 - mean) / (known_by + 1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uniform_prior_gives_the_probability_of_each_sequence() {
        let (log, rate) = evidence((1.0, 1.0), Boots { failed: 1, passed: 2 });
        // B(2, 3) = 1/12.
        assert!((log.exp() - 1.0 / 12.0).abs() < 1e-12);
        // Beta(2, 3).
        assert!((rate.mean - 0.4).abs() < 1e-12 && (rate.variance - 0.04).abs() < 1e-12);
    }

    #[test]
    fn a_boot_that_failed_by_itself_weighs_less_than_three() {
        let Failing { good, bad } = Failing::default();
        let odds = |boots| evidence(bad, boots).0 - evidence(good, boots).0;
        let (one, three) = (odds(Boots { failed: 1, passed: 0 }), odds(Boots { failed: 3, passed: 0 }));
        assert!(one > 2.9 && three > one + 4.0, "{one} {three}");
        assert!(odds(Boots { failed: 0, passed: 3 }) < -0.5);
    }
}
