//! Counts of two outcomes in two groups.

use serde::{Deserialize, Serialize};

/// How often something passed and failed in one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassFail {
    /// Boots in which it passed.
    pub passed: u32,
    /// Boots in which it failed.
    pub failed: u32,
}

impl PassFail {
    /// Boots in which it did either.
    #[must_use]
    pub fn total(self) -> u32 {
        self.passed + self.failed
    }
}

/// Probabilities that differ less than this, relatively, are taken for equal, as in R's `fisher.test`: tables that are
/// equally likely must count alike, whatever the rounding.
const TIES: f64 = 1e-7;

/// Fisher's exact test, two-sided: how likely a table is that is no likelier than this one, given its margins, if both
/// groups fail equally often. Fisher (1935), "The Logic of Inductive Inference", JRSS 98:39; the two-sided rule is that
/// of R's `fisher.test` and of SciPy. 1 where a margin leaves only one table.
#[must_use]
pub fn fisher_exact(one: PassFail, other: PassFail) -> f64 {
    let (n, m) = (u64::from(one.total()), u64::from(other.total()));
    let failed = u64::from(one.failed) + u64::from(other.failed);
    let (low, high) = (failed.saturating_sub(m), failed.min(n));
    // ln P(X = k) of the hypergeometric distribution, up to a constant that the sum below takes out.
    let ln_choose = |n: u64, k: u64| ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    let ln_p = |k: u64| ln_choose(n, k) + ln_choose(m, failed - k);
    let observed = ln_p(u64::from(one.failed));
    let (mut all, mut extreme) = (0.0, 0.0);
    for k in low..=high {
        let relative = (ln_p(k) - observed).exp();
        all += relative;
        if relative <= 1.0 + TIES {
            extreme += relative;
        }
    }
    (extreme / all).min(1.0)
}

/// ln n!, summed: counts are boots, and there are few of them.
fn ln_factorial(n: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a number of boots")]
    let ln = |k: u64| (k as f64).ln();
    (2..=n).map(ln).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(a: Group, b: Group) -> f64 {
        let counts = |(passed, failed)| PassFail { passed, failed };
        fisher_exact(counts(a), counts(b))
    }

    #[test]
    fn agrees_with_scipy() {
        // scipy.stats.fisher_exact([[a, b], [c, d]]), SciPy 1.17.
        for (a, b, expected) in SCIPY {
            let found = p(a, b);
            assert!((found / expected - 1.0).abs() < 1e-9, "{a:?} {b:?}: {found} instead of {expected}");
        }
    }

    /// Passes and failures of one group.
    type Group = (u32, u32);

    const SCIPY: [(Group, Group, f64); 12] = [
        ((2, 0), (0, 2), 0.3333333333333333),
        ((4, 0), (0, 4), 0.028571428571428567),
        ((5, 0), (1, 4), 0.047619047619047616),
        ((7, 0), (2, 5), 0.02097902097902098),
        ((3, 1), (1, 3), 0.48571428571428565),
        ((10, 2), (3, 15), 0.0005367241191434357),
        ((8, 2), (1, 5), 0.034965034965034975),
        ((100, 3), (90, 20), 0.0002812014682012966),
        ((1, 9), (11, 3), 0.0027594561852200836),
        ((20, 0), (17, 3), 0.23076923076923084),
        ((500, 500), (450, 550), 0.02820356890423392),
        ((1, 0), (0, 1), 1.0),
    ];

    #[test]
    fn a_table_that_is_the_only_one_is_no_evidence() {
        assert_eq!(p((5, 0), (5, 0)), 1.0);
        assert_eq!(p((0, 7), (0, 2)), 1.0);
        assert_eq!(p((0, 0), (3, 4)), 1.0);
        assert_eq!(p((0, 0), (0, 0)), 1.0);
    }

    #[test]
    fn neither_the_order_of_the_groups_nor_that_of_the_outcomes_matters() {
        for a in 0..6 {
            for b in 0..6 {
                for c in 0..6 {
                    for d in 0..6 {
                        let found = p((a, b), (c, d));
                        assert!(found > 0.0 && found <= 1.0, "{a} {b} {c} {d}: {found}");
                        assert!((found - p((c, d), (a, b))).abs() < 1e-12);
                        assert!((found - p((b, a), (d, c))).abs() < 1e-12);
                    }
                }
            }
        }
    }

    #[test]
    fn p_values_are_valid_at_every_level() {
        // Given the margins, P(p <= x) is at most x.
        for (n, m, failed) in [(5_u32, 5_u32, 4_u32), (3, 8, 5), (10, 10, 10), (2, 2, 2)] {
            let tables: Vec<(f64, f64)> = (failed.saturating_sub(m)..=failed.min(n))
                .map(|k| {
                    let choose = |n: u32, k: u32| -> f64 {
                        (0..k).map(|i| f64::from(n - i) / f64::from(i + 1)).product()
                    };
                    let weight = choose(n, k) * choose(m, failed - k) / choose(n + m, failed);
                    (p((n - k, k), (m - (failed - k), failed - k)), weight)
                })
                .collect();
            for (level, _) in &tables {
                let size: f64 = tables.iter().filter(|(p, _)| p <= level).map(|(_, weight)| weight).sum();
                assert!(size <= level + 1e-9, "{n} {m} {failed}: {size} at {level}");
            }
        }
    }
}
