//! Verdicts between two runs, whose boots share no block: a shift of boots, and what the times of the runs may have done by themselves.
//!
//! Let a time add an amount of its own to every boot that is made then. Calibration, boots of one kernel at several times, gives levels of such
//! times, and with them how far the levels of two further times lie apart: with probability `1 - 2a` by at most `t(a) * s * sqrt(2)`, `s` being
//! the standard deviation of the calibrated levels and `t` Student's quantile with their degrees of freedom (a prediction interval;
//! Hahn 1969, J. Qual. Technol. 1:168). `s` holds the noise of the boots of which the levels are made as well, so that it is rather too large.
//! The shift of the boots themselves, given both times, has the interval of the rank-sum test ([`UnpairedShifts`]). Each is held
//! to half of the level, and their sum then holds what the kernels did at the whole (Bonferroni), however the two depend on each other.
//!
//! Times are taken for draws of one normal distribution, of which the calibrated ones are some. That is an assumption, the only one
//! in this crate that data do not bear out by themselves, and the caller has to say which times are covered.
//!
//! A claim's p-value is the smallest level at which the interval lies in the claim's region; Holm's procedure and the rest are those
//! of [`judge`](crate::judge).

use crate::{
    Better, Claim, Comparison, Effect, Interval, Judgement, Scale, StatsError, UnpairedShifts, holm,
    judge::{Steps, settle},
    student_t,
};

/// Levels between which p-values are looked for.
const LOWEST: f64 = 1e-6;
const HALVINGS: u32 = 30;

/// How far the level of a time strays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeNoise {
    /// Standard deviation of the logarithms of the levels of times.
    pub spread: f64,
    /// Its degrees of freedom: the number of times that say so, less one.
    pub freedom: u32,
}

/// One comparison between runs.
#[derive(Clone, Debug, PartialEq)]
pub struct BetweenRuns {
    /// A value of each of the first run's boots.
    pub first: Vec<f64>,
    /// A value of each of the second run's.
    pub second: Vec<f64>,
    /// Which way the metric is better.
    pub better: Better,
    /// The relative change that matters, as a fraction of the first.
    pub margin: f64,
    /// What times do by themselves.
    pub noise: TimeNoise,
}

/// Judges comparisons between two runs together, at family-wise level `alpha`. In the order of the input. Of values that are not
/// positive nothing is judged: relative changes of them are not known.
///
/// # Errors
/// As [`judge`](crate::judge).
pub fn judge_between(comparisons: &[BetweenRuns], alpha: f64) -> Result<Vec<Judgement>, StatsError> {
    let plain = comparisons.iter().map(|comparison| Comparison {
        blocks: Vec::new(),
        better: comparison.better,
        margin: comparison.margin,
    });
    crate::judge::check(&plain.collect::<Vec<_>>(), alpha)?;
    let mut shifts = UnpairedShifts::default();
    let mut p: [Vec<f64>; 3] = [vec![], vec![], vec![]];
    for comparison in comparisons {
        for (claim, p) in Claim::ALL.into_iter().zip(&mut p) {
            p.push(smallest_level(comparison, claim, &mut shifts)?);
        }
    }
    let families = p.map(|p| holm(&p, alpha));
    let mut judged = Vec::with_capacity(comparisons.len());
    for (index, comparison) in comparisons.iter().enumerate() {
        let steps = Claim::ALL.iter().zip(&families).map(|(claim, family)| (*claim, family[index])).collect();
        let steps = Steps(steps);
        let effect = between(comparison, steps.level(), &mut shifts)?;
        let used = comparison.first.len().min(comparison.second.len());
        let interval = effect.and_then(|effect| effect.interval).map(on_log);
        judged.push(settle(&steps, effect, interval, comparison.margin, comparison.better, (used, 0, None)));
    }
    Ok(judged)
}

/// The shift from the first run to the second with the interval in which both the boots and the times are, of confidence `1 - 2 * level`;
/// none if a value is not positive, or there is none.
///
/// # Errors
/// A value that is not finite.
pub fn between(
    comparison: &BetweenRuns,
    level: f64,
    shifts: &mut UnpairedShifts,
) -> Result<Option<Effect>, StatsError> {
    let BetweenRuns { first, second, noise, .. } = comparison;
    let Some(effect) = shifts.effect(first, second, level / 2.0)? else { return Ok(None) };
    if effect.scale == Scale::Absolute {
        return Ok(None);
    }
    let times = student_t(level / 2.0, noise.freedom) * noise.spread * std::f64::consts::SQRT_2;
    let interval = effect.interval.filter(|_| times.is_finite()).map(|interval| {
        let Interval { low, high } = on_log(interval);
        Interval { low: (low - times).exp_m1(), high: (high + times).exp_m1() }
    });
    Ok(Some(Effect { interval, confidence: 1.0 - 2.0 * level, ..effect }))
}

fn on_log(interval: Interval) -> Interval {
    Interval { low: interval.low.ln_1p(), high: interval.high.ln_1p() }
}

fn smallest_level(
    comparison: &BetweenRuns,
    claim: Claim,
    shifts: &mut UnpairedShifts,
) -> Result<f64, StatsError> {
    let (low, high) = ((-comparison.margin).ln_1p(), comparison.margin.ln_1p());
    let mut holds = |level: f64| -> Result<bool, StatsError> {
        let interval = between(comparison, level, shifts)?.and_then(|effect| effect.interval).map(on_log);
        Ok(interval.is_some_and(|interval| match (claim, comparison.better) {
            (Claim::Same, _) => interval.low > low && interval.high < high,
            (Claim::Worse, Better::Higher) | (Claim::Better, Better::Lower) => interval.high < low,
            (Claim::Better, Better::Higher) | (Claim::Worse, Better::Lower) => interval.low > high,
        }))
    };
    // Beyond a half a claim and its contrary might both hold.
    let (mut fails, mut held) = (LOWEST, 0.5);
    if !holds(held)? {
        return Ok(1.0);
    }
    if holds(fails)? {
        return Ok(fails);
    }
    for _ in 0..HALVINGS {
        let middle = (fails * held).sqrt();
        if holds(middle)? { held = middle } else { fails = middle }
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Draws, Verdict};

    const NOISE: TimeNoise = TimeNoise { spread: 0.01, freedom: 9 };

    fn boots(draws: &mut Draws, count: usize, level: f64, spread: f64) -> Vec<f64> {
        (0..count).map(|_| (level + spread * draws.normal()).exp()).collect()
    }

    fn comparison(first: Vec<f64>, second: Vec<f64>, noise: TimeNoise) -> BetweenRuns {
        BetweenRuns { first, second, better: Better::Higher, margin: 0.05, noise }
    }

    #[test]
    fn a_loss_beyond_what_times_do_is_worse_and_less_is_unclear() {
        let mut draws = Draws::new(1);
        let mut verdict = |change: f64, noise| {
            let (first, second) =
                (boots(&mut draws, 8, 7.0, 0.005), boots(&mut draws, 8, 7.0 + change, 0.005));
            judge_between(&[comparison(first, second, noise)], 0.05).unwrap().remove(0)
        };
        let worse = verdict(-0.15, NOISE);
        assert_eq!(worse.verdict, Verdict::Worse);
        let interval = worse.effect.unwrap().interval.unwrap();
        assert!(interval.high < -0.05 && interval.low > -0.25, "{interval:?}");
        assert_eq!(verdict(0.15, NOISE).verdict, Verdict::Better);
        assert_eq!(verdict(-0.07, NOISE).verdict, Verdict::Unclear);
        assert_eq!(verdict(0.0, TimeNoise { spread: 0.005, freedom: 9 }).verdict, Verdict::Same);
        // Two times alone say next to nothing, and one says nothing at all.
        assert_eq!(verdict(-0.15, TimeNoise { spread: 0.01, freedom: 1 }).verdict, Verdict::Unclear);
        assert_eq!(verdict(-0.9, TimeNoise { spread: 0.01, freedom: 0 }).verdict, Verdict::Unclear);
    }

    #[test]
    fn claims_between_runs_are_false_no_more_often_than_they_may_be() {
        // Levels of six calibrated times and of the two runs are draws alike; the change is just the margin.
        let mut draws = Draws::new(2);
        let (mut worse, mut covered) = (0, 0);
        const ROUNDS: usize = 2_000;
        for _ in 0..ROUNDS {
            let levels: Vec<f64> = (0..6).map(|_| 0.02 * draws.normal()).collect();
            let mean = levels.iter().sum::<f64>() / 6.0;
            let spread = (levels.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / 5.0).sqrt();
            let (one, other) = (0.02 * draws.normal(), 0.02 * draws.normal());
            let change = (-0.05_f64).ln_1p();
            let (first, second) =
                (boots(&mut draws, 7, one, 0.01), boots(&mut draws, 7, other + change, 0.01));
            let comparison = comparison(first, second, TimeNoise { spread, freedom: 5 });
            let judged = judge_between(std::slice::from_ref(&comparison), 0.05).unwrap();
            worse += usize::from(judged[0].verdict == Verdict::Worse);
            let effect = between(&comparison, 0.025, &mut UnpairedShifts::default()).unwrap().unwrap();
            let interval = effect.interval.unwrap();
            covered += usize::from((interval.low..=interval.high).contains(&-0.05));
        }
        assert!(worse <= 120, "{worse} of {ROUNDS}");
        assert!(covered >= 1880, "{covered} of {ROUNDS}");
    }

    #[test]
    fn what_can_be_zero_is_not_judged() {
        let judged = judge_between(&[comparison(vec![0.0; 8], vec![1.0; 8], NOISE)], 0.05).unwrap();
        assert_eq!((judged[0].verdict, judged[0].effect), (Verdict::Unclear, None));
        assert!(judge_between(&[comparison(vec![1.0], vec![1.0], NOISE)], 0.7).is_err());
    }
}
