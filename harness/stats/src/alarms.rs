//! How often identical arms look different, in boots as they were made.
//!
//! Every run of consecutive blocks is compared as a run of that many blocks would be. Such comparisons share blocks, and metrics of one boot
//! have causes in common, so that they are far fewer than they look. How many they are worth is known: if the arms are identical, then the
//! coins that ordered each block might as well have fallen the other way, for all metrics of the block at once. The spread of the number of
//! alarms over such coins, beside the spread that independent comparisons would have, is their design effect (Kish 1965, "Survey Sampling",
//! section 8.2), and the interval of the rate is that of so many independent ones ([`share_interval`]). The same coins say how likely it is to
//! see as many alarms as were seen: what makes that small is no chance of the order, but something that goes with an arm.

use serde::{Deserialize, Serialize};

use crate::{Interval, SignedRanks, StatsError, draws::Draws, share_interval, summary::all_finite};

/// Sets of coins.
const DRAWS: usize = 1_000;
const SEED: u64 = 0x00a1_a236;

/// How often identical arms looked different.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alarms {
    /// Comparisons that were made.
    pub comparisons: usize,
    /// Those with a two-sided p-value of at most the level.
    pub alarms: usize,
    /// How many independent comparisons they are worth.
    pub worth: f64,
    /// Of their share, with 95 % confidence.
    pub interval: Interval,
    /// The probability that the order of boots alone makes so many or more.
    pub p: f64,
}

/// Counts the alarms of every comparison of so many consecutive blocks, for each number in `designs`. Each session holds, for each metric, the
/// difference between its two arms in each block, in the order of time; none where a boot yielded nothing. All metrics of a session have
/// the same blocks. None if there is no comparison.
///
/// # Errors
/// A value that is not finite.
pub fn false_alarms(
    sessions: &[Vec<Vec<Option<f64>>>],
    designs: &[usize],
    level: f64,
) -> Result<Option<Alarms>, StatsError> {
    for metric in sessions.iter().flatten() {
        all_finite(&metric.iter().flatten().copied().collect::<Vec<_>>())?;
    }
    let blocks = |session: &Vec<Vec<Option<f64>>>| session.iter().map(Vec::len).max().unwrap_or(0);
    let count = |signs: &[Vec<f64>]| -> (usize, usize) {
        let (mut comparisons, mut alarms) = (0, 0);
        for (session, signs) in sessions.iter().zip(signs) {
            for metric in session {
                let flipped: Vec<Option<f64>> =
                    metric.iter().zip(signs).map(|(d, sign)| d.map(|d| d * sign)).collect();
                for design in designs.iter().filter(|design| **design > 0) {
                    for window in flipped.windows(*design) {
                        let differences: Vec<f64> = window.iter().flatten().copied().collect();
                        // A comparison that lost its boots is none.
                        if differences.len() * 2 > *design {
                            comparisons += 1;
                            alarms +=
                                usize::from(SignedRanks::new(&differences).p_equal(0.0) <= level + 1e-12);
                        }
                    }
                }
            }
        }
        (comparisons, alarms)
    };
    let as_made: Vec<Vec<f64>> = sessions.iter().map(|session| vec![1.0; blocks(session)]).collect();
    let (comparisons, alarms) = count(&as_made);
    if comparisons == 0 {
        return Ok(None);
    }
    let mut draws = Draws::new(SEED);
    let of = float(comparisons);
    let mut shares = Vec::with_capacity(DRAWS);
    let mut as_many = 1;
    for _ in 0..DRAWS {
        let mut coins =
            |blocks: usize| (0..blocks).map(|_| if draws.coin() { 1.0 } else { -1.0 }).collect::<Vec<f64>>();
        let signs: Vec<Vec<f64>> = sessions.iter().map(|session| coins(blocks(session))).collect();
        let (_, drawn) = count(&signs);
        as_many += usize::from(drawn >= alarms);
        shares.push(float(drawn) / of);
    }
    let mean = shares.iter().sum::<f64>() / float(DRAWS);
    let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / float(DRAWS - 1);
    let worth = if variance > 0.0 { (mean * (1.0 - mean) / variance).clamp(1.0, of) } else { of };
    Ok(Some(Alarms {
        comparisons,
        alarms,
        worth,
        interval: share_interval(float(alarms) / of, worth, 0.025),
        p: float(as_many) / float(1 + DRAWS),
    }))
}

#[expect(clippy::cast_precision_loss, reason = "numbers of comparisons and draws")]
fn float(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(draws: &mut Draws, metrics: usize, blocks: usize, shared: f64) -> Vec<Vec<Option<f64>>> {
        let common: Vec<f64> = (0..blocks).map(|_| draws.normal()).collect();
        let own = (1.0 - shared * shared).sqrt();
        (0..metrics)
            .map(|_| common.iter().map(|c| Some(shared * c + own * draws.normal())).collect())
            .collect()
    }

    #[test]
    fn identical_arms_alarm_as_often_as_the_level_says() {
        let mut draws = Draws::new(4);
        let (mut alarms, mut comparisons, mut held) = (0, 0, 0);
        const ROUNDS: usize = 40;
        for _ in 0..ROUNDS {
            let found = false_alarms(&[noise(&mut draws, 3, 30, 0.5)], &[8], 0.05).unwrap().unwrap();
            assert_eq!(found.comparisons, 69);
            assert!(found.worth > 3.0 && found.worth < 40.0, "{found:?}");
            // Eight blocks have 10 of 256 or 12 of 256 to give.
            held += usize::from((found.interval.low..=found.interval.high).contains(&0.047));
            (alarms, comparisons) = (alarms + found.alarms, comparisons + found.comparisons);
        }
        let share = float(alarms) / float(comparisons);
        assert!((0.02..0.075).contains(&share), "{share}");
        assert!(held >= ROUNDS - 5, "{held} of {ROUNDS}");
    }

    #[test]
    fn metrics_with_one_cause_are_worth_one() {
        let mut draws = Draws::new(5);
        let one = noise(&mut draws, 1, 30, 0.0);
        let thrice = vec![one[0].clone(), one[0].clone(), one[0].clone()];
        let (alone, together) = (
            false_alarms(&[one], &[8], 0.05).unwrap().unwrap(),
            false_alarms(&[thrice], &[8], 0.05).unwrap().unwrap(),
        );
        assert_eq!((together.comparisons, together.alarms), (3 * alone.comparisons, 3 * alone.alarms));
        assert!((together.worth - alone.worth).abs() < 1e-9);
    }

    #[test]
    fn what_goes_with_an_arm_is_no_chance() {
        let mut draws = Draws::new(6);
        let biased: Vec<Option<f64>> = (0..30).map(|_| Some(1.5 + draws.normal())).collect();
        let found = false_alarms(&[vec![biased]], &[8], 0.05).unwrap().unwrap();
        assert!(found.alarms > 15 && found.p < 0.01, "{found:?}");
    }

    #[test]
    fn sessions_are_not_compared_across_and_lost_boots_make_no_comparison() {
        let session = |blocks: usize| vec![vec![Some(0.1); blocks]];
        assert_eq!(false_alarms(&[session(7), session(7)], &[8], 0.05), Ok(None));
        let lost: Vec<Option<f64>> = (0..8).map(|block| if block < 4 { None } else { Some(0.1) }).collect();
        assert_eq!(false_alarms(&[vec![lost]], &[8], 0.05), Ok(None));
        assert!(false_alarms(&[vec![vec![Some(f64::NAN); 8]]], &[8], 0.05).is_err());
    }
}
