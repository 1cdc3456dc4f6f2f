//! Many tests that pass or fail, in two arms over several boots.

use serde::{Deserialize, Serialize};

use crate::{PassFail, benjamini_hochberg, fisher_exact};

/// What one test did in one arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Boots in which it passed or failed.
    pub counts: PassFail,
    /// Boots in which it said neither: skipped, or not built.
    pub silent: u32,
}

impl Tally {
    fn passes(self) -> bool {
        self.counts.passed > 0 && self.counts.failed == 0
    }

    fn fails(self) -> bool {
        self.counts.failed > 0 && self.counts.passed == 0
    }
}

/// What a test's outcomes in two arms look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Passes in every boot of the baseline, fails in every boot of the candidate.
    NewlyFailing,
    /// Fails in every boot of the baseline, passes in every boot of the candidate.
    Fixed,
    /// Passes in every boot of the baseline, fails in some of the candidate's.
    SometimesFailing,
    /// Passes and fails within the baseline, or within both arms.
    Flaky,
    /// Passes or fails in one arm; in the other it is skipped, not built, or not there.
    OneArmOnly,
    /// Fails in every boot of both.
    AlwaysFails,
    /// Passes in every boot of both.
    AlwaysPasses,
    /// Passes and fails in neither.
    Silent,
}

/// What one comparison shows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contrast {
    /// What the outcomes look like.
    pub class: Class,
    /// Fisher's exact test, two-sided; none unless both arms passed or failed.
    pub p: Option<f64>,
    /// That p-value adjusted for the false discovery rate (Benjamini-Hochberg) over all tests that are compared together
    /// and whose outcomes vary. One that always passes, or always fails, has p 1 whatever the arms are, so it cannot be a
    /// false discovery and does not count: Tarone (1990), Biometrics 46:515; Gilbert (2005), Appl. Statist. 54:143.
    pub q: Option<f64>,
}

/// Compares tests together: each entry holds the baseline's and the candidate's outcomes of one. In the order of the
/// input.
#[must_use]
pub fn contrast(tests: &[(Tally, Tally)]) -> Vec<Contrast> {
    let mut contrasts: Vec<Contrast> = tests
        .iter()
        .map(|(baseline, candidate)| {
            let both = baseline.counts.total() > 0 && candidate.counts.total() > 0;
            let p = both.then(|| fisher_exact(baseline.counts, candidate.counts));
            Contrast { class: class(*baseline, *candidate), p, q: p }
        })
        .collect();
    let varies = |(index, _): &(usize, &Contrast)| {
        let (baseline, candidate) = tests[*index];
        let failed = baseline.counts.failed + candidate.counts.failed;
        failed > 0 && baseline.counts.passed + candidate.counts.passed > 0
    };
    let tested: Vec<(usize, f64)> = contrasts
        .iter()
        .enumerate()
        .filter(varies)
        .filter_map(|(index, contrast)| Some((index, contrast.p?)))
        .collect();
    let p: Vec<f64> = tested.iter().map(|(_, p)| *p).collect();
    for ((index, _), q) in tested.into_iter().zip(benjamini_hochberg(&p)) {
        contrasts[index].q = Some(q);
    }
    contrasts
}

fn class(baseline: Tally, candidate: Tally) -> Class {
    match (baseline.counts.total(), candidate.counts.total()) {
        (0, 0) => Class::Silent,
        (0, _) | (_, 0) => Class::OneArmOnly,
        _ if baseline.passes() && candidate.passes() => Class::AlwaysPasses,
        _ if baseline.fails() && candidate.fails() => Class::AlwaysFails,
        _ if baseline.passes() && candidate.fails() => Class::NewlyFailing,
        _ if baseline.fails() && candidate.passes() => Class::Fixed,
        _ if baseline.passes() => Class::SometimesFailing,
        _ => Class::Flaky,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u32, failed: u32) -> Tally {
        Tally { counts: PassFail { passed, failed }, silent: 0 }
    }

    #[test]
    fn outcomes_are_told_apart() {
        let silent = Tally { silent: 3, ..Tally::default() };
        let pairs = [
            (tally(3, 0), tally(0, 3), Class::NewlyFailing),
            (tally(0, 3), tally(3, 0), Class::Fixed),
            (tally(3, 0), tally(2, 1), Class::SometimesFailing),
            (tally(2, 1), tally(3, 0), Class::Flaky),
            (tally(2, 1), tally(0, 3), Class::Flaky),
            (tally(0, 3), tally(1, 2), Class::Flaky),
            (tally(3, 0), silent, Class::OneArmOnly),
            (Tally::default(), tally(0, 1), Class::OneArmOnly),
            (tally(0, 3), tally(0, 2), Class::AlwaysFails),
            (tally(3, 0), tally(1, 0), Class::AlwaysPasses),
            (silent, Tally::default(), Class::Silent),
        ];
        for (baseline, candidate, expected) in pairs {
            assert_eq!(class(baseline, candidate), expected, "{baseline:?} {candidate:?}");
        }
    }

    #[test]
    fn tests_that_never_vary_cost_the_others_nothing() {
        let mut tests = vec![(tally(5, 0), tally(5, 0)); 1000];
        tests.push((tally(5, 0), tally(0, 5)));
        tests.push((tally(4, 1), tally(5, 0)));
        tests.push((tally(5, 0), Tally::default()));
        let contrasts = contrast(&tests);
        let p = 2.0 / 252.0;
        assert!((contrasts[1000].p.unwrap() - p).abs() < 1e-12);
        assert!((contrasts[1000].q.unwrap() - 2.0 * p).abs() < 1e-12, "two vary");
        assert_eq!((contrasts[0].p, contrasts[0].q), (Some(1.0), Some(1.0)));
        assert_eq!((contrasts[1002].p, contrasts[1002].q), (None, None));
    }

    #[test]
    fn one_boot_of_each_can_show_nothing() {
        let contrasts = contrast(&[(tally(1, 0), tally(0, 1))]);
        assert_eq!((contrasts[0].class, contrasts[0].p), (Class::NewlyFailing, Some(1.0)));
    }
}
