//! Many comparisons at once.

/// What Holm's procedure says of one hypothesis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HolmStep {
    /// The adjusted p-value: the smallest family-wise level at which the hypothesis is rejected, at most 1.
    pub adjusted: f64,
    /// The level at which the raw p-value was held: `alpha / (m - k + 1)` for the k-th that is rejected, and
    /// `alpha / (m - r)` for all that are left once r were rejected.
    pub level: f64,
    /// Whether the hypothesis is rejected.
    pub rejected: bool,
}

/// Holm's step-down procedure: controls the probability of any false rejection at `alpha` whatever the dependence
/// between the p-values. Holm (1979), "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6:65.
/// In the order of the input.
#[must_use]
pub fn holm(p: &[f64], alpha: f64) -> Vec<HolmStep> {
    let order = ascending(p);
    let mut steps = vec![HolmStep { adjusted: 1.0, level: alpha, rejected: false }; p.len()];
    let mut adjusted = 0.0_f64;
    for (rank, index) in order.iter().copied().enumerate() {
        let left = count(p.len() - rank);
        adjusted = adjusted.max(left * p[index]).min(1.0);
        steps[index].adjusted = adjusted;
        // The tolerance is that of the sign flips: 2^-n and alpha / left may differ in the last bit only.
        steps[index].rejected = adjusted <= alpha * (1.0 + 1e-12);
        steps[index].level = alpha / left;
    }
    let rejected = steps.iter().filter(|step| step.rejected).count();
    if rejected < p.len() {
        let level = alpha / count(p.len() - rejected);
        steps.iter_mut().filter(|step| !step.rejected).for_each(|step| step.level = level);
    }
    steps
}

/// P-values adjusted to control the false discovery rate, which they do for independent and positively dependent
/// metrics. Benjamini and Hochberg (1995), JRSS B 57:289; Benjamini and Yekutieli (2001), Ann. Statist. 29:1165. In the
/// order of the input.
#[must_use]
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![1.0; p.len()];
    let mut smallest = 1.0_f64;
    for (rank, index) in ascending(p).iter().copied().enumerate().rev() {
        smallest = smallest.min(p[index] * count(p.len()) / count(rank + 1));
        adjusted[index] = smallest;
    }
    adjusted
}

/// Indices in ascending order of value; equal values stay in the order of the input.
fn ascending(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    order
}

#[expect(clippy::cast_precision_loss, reason = "a number of comparisons")]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adjusted(p: &[f64]) -> Vec<f64> {
        holm(p, 0.05).iter().map(|step| (step.adjusted * 1e6).round() / 1e6).collect()
    }

    #[test]
    fn holm_adjusts_as_in_a_worked_example() {
        assert_eq!(adjusted(&[0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02]);
    }

    #[test]
    fn holm_stops_at_the_first_that_fails() {
        // The third would pass at 0.05 / 1, but the second does not at 0.05 / 2.
        let steps = holm(&[0.001, 0.03, 0.04], 0.05);
        assert_eq!(steps.iter().map(|step| step.rejected).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(steps.iter().map(|step| step.level).collect::<Vec<_>>(), [0.05 / 3.0, 0.025, 0.025]);
    }

    #[test]
    fn holm_is_monotone_and_never_stricter_than_bonferroni() {
        let p = [0.2, 0.004, 0.03, 0.004, 1.0, 0.012];
        let steps = holm(&p, 0.05);
        for (p_a, a) in p.iter().zip(&steps) {
            assert!(a.adjusted <= (6.0 * p_a).min(1.0) && a.adjusted >= *p_a);
            for (p_b, b) in p.iter().zip(&steps) {
                assert!(p_a > p_b || a.adjusted <= b.adjusted, "{p_a} {p_b}");
            }
        }
    }

    #[test]
    fn one_hypothesis_is_left_alone_and_none_is_nothing() {
        assert_eq!(holm(&[0.04], 0.05), [HolmStep { adjusted: 0.04, level: 0.05, rejected: true }]);
        assert_eq!(holm(&[], 0.05), []);
        assert_eq!(benjamini_hochberg(&[0.3]), [0.3]);
        assert_eq!(benjamini_hochberg(&[]), [0.0; 0]);
    }

    #[test]
    fn benjamini_hochberg_adjusts_as_in_a_worked_example() {
        let q = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.5]);
        let expected = [0.04, 0.04 * 4.0 / 3.0, 0.04 * 4.0 / 3.0, 0.5];
        assert!(q.iter().zip(expected).all(|(q, e)| (q - e).abs() < 1e-12), "{q:?}");
    }
}
