//! Verdicts on the few comparisons that were named beforehand.
//!
//! Each comparison allows three claims, each of which refutes one null hypothesis about the relative change `c` of the
//! candidate against the baseline, with the margin `m` of its gate:
//!
//! | claim | null hypothesis | p-value |
//! |---|---|---|
//! | worse (more is better) | `c >= -m` | signed ranks around `ln(1 - m)` |
//! | better (more is better) | `c <= +m` | signed ranks around `ln(1 + m)` |
//! | same | `c <= -m` or `c >= +m` | the larger of the two one-sided tests (Schuirmann 1987) |
//!
//! *Multiplicity.* Holm's procedure runs over all comparisons, once for each kind of claim. The hypotheses of each kind are
//! fixed before the data, so Holm's theorem applies as it stands and for any dependence between metrics and arms: with
//! level `alpha`, the probability that any `worse` is false is at most `alpha`, and so for any `better` and for any `same`.
//! (One procedure over each comparison's best claim would spend less, but picks its hypotheses by looking at the data, and
//! is then not known to control directional errors under dependence: Shaffer 1980, Ann. Statist. 8:1342; Finner 1999, Ann. Statist. 27:274.)
//! On identical arms, `worse` and `better` are both false; each has probability at most `alpha`, and far less once the
//! margin exceeds what the data can resolve. A comparison can carry one claim only: any two of its three p-values
//! sum to more than one, and levels are below one half.
//!
//! *The adjusted interval.* A claim that Holm accepts as the k-th of m was held to `alpha / (m - k + 1)`; the interval
//! shown with it is the one at that one-sided level, of confidence `1 - 2 alpha / (m - k + 1)`. It lies wholly beyond the margin, or
//! wholly inside, exactly when the claim is accepted. What is certain of all accepted claims together is the claims, not these
//! intervals (Guilbaud 2008, Biom. J. 50:678). A comparison without a claim shows the interval at the level at which the
//! procedures stopped, the lowest of the three. Its ends are simultaneous bounds with the claims of their direction
//! (Strassburger and Bretz 2008, Statist. Med. 27:4914), so that notes on which claims they exclude hold as well.

use crate::{
    Better, Block, Claim, Comparison, Differences, Effect, HolmStep, Interval, Judgement, Looks,
    NotComparable, Note, SignedRanks, StatsError, Verdict, boots_needed, holm,
};

/// Judges all gated comparisons of a run together, at family-wise level `alpha`. In the order of the input.
///
/// A comparison without data counts in the family as one that shows nothing.
///
/// # Errors
/// A value that is not finite, a level that is not between 0 and 0.5, a margin that is not between 0 and 1.
pub fn judge(comparisons: &[Comparison], alpha: f64) -> Result<Vec<Judgement>, StatsError> {
    judge_at(comparisons, alpha, None)
}

/// As [`judge`], in a run that is looked at after every block: p-values, levels and intervals are those that hold for all looks
/// together, so that whoever stops at any of them makes a false claim of a kind with probability at most `alpha`. Each comparison is as far
/// as it has blocks.
///
/// # Errors
/// As [`judge`].
pub fn judge_at(
    comparisons: &[Comparison],
    alpha: f64,
    looks: Option<&Looks>,
) -> Result<Vec<Judgement>, StatsError> {
    check(comparisons, alpha)?;
    let tested =
        comparisons.iter().map(|comparison| Tested::new(comparison, looks)).collect::<Result<Vec<_>, _>>()?;
    let families = Claim::ALL.map(|claim| {
        let p: Vec<f64> = tested.iter().map(|t| t.p(claim)).collect();
        holm(&p, alpha)
    });
    let count = u32::try_from(comparisons.len()).unwrap_or(u32::MAX);
    let needed = match looks {
        None => boots_needed(alpha, count),
        Some(looks) => looks.first(alpha / f64::from(count)).and_then(|first| u32::try_from(first).ok()),
    };
    let judged = comparisons.iter().zip(&tested).enumerate().map(|(index, (comparison, tested))| {
        let steps = Claim::ALL.iter().zip(&families).map(|(claim, family)| (*claim, family[index])).collect();
        conclude(&comparison.blocks, tested, &Steps(steps), needed)
    });
    Ok(judged.collect())
}

/// Refuses what nothing can be judged by.
pub(crate) fn check(comparisons: &[Comparison], alpha: f64) -> Result<(), StatsError> {
    if !(alpha > 0.0 && alpha < 0.5) {
        return Err(StatsError::BadLevel { alpha });
    }
    for (comparison, Comparison { margin, .. }) in comparisons.iter().enumerate() {
        if !(*margin > 0.0 && *margin < 1.0) {
            return Err(StatsError::BadMargin { comparison, margin: *margin });
        }
    }
    Ok(())
}

/// Holm's step of each claim on one comparison.
pub(crate) struct Steps(pub(crate) Vec<(Claim, HolmStep)>);

impl Steps {
    fn accepted(&self) -> Option<(Claim, HolmStep)> {
        self.0.iter().copied().find(|(_, step)| step.rejected)
    }

    /// The claim with the smallest adjusted p-value.
    fn closest(&self) -> (Claim, HolmStep) {
        let closest = self.0.iter().copied().min_by(|a, b| a.1.adjusted.total_cmp(&b.1.adjusted));
        closest.expect("there are three claims")
    }

    /// The lowest level at which a family stopped: its interval is in no claim's region.
    fn lowest_level(&self) -> f64 {
        self.0.iter().map(|(_, step)| step.level).fold(f64::INFINITY, f64::min)
    }

    /// The level of the interval that is shown.
    pub(crate) fn level(&self) -> f64 {
        self.accepted().map_or_else(|| self.lowest_level(), |(_, step)| step.level)
    }
}

/// A comparison's differences and signed ranks, or why there are none.
struct Tested<'a> {
    data: Result<(Differences, SignedRanks), NotComparable>,
    better: Better,
    margin: Interval,
    looks: Option<&'a Looks>,
}

impl<'a> Tested<'a> {
    fn new(comparison: &Comparison, looks: Option<&'a Looks>) -> Result<Self, StatsError> {
        let differences = Differences::relative(&comparison.blocks)?;
        let data = differences.map(|differences| {
            let ranks = SignedRanks::new(&differences.values);
            (differences, ranks)
        });
        let margin = Interval { low: (-comparison.margin).ln_1p(), high: comparison.margin.ln_1p() };
        Ok(Self { data, better: comparison.better, margin, looks })
    }

    fn p(&self, claim: Claim) -> f64 {
        let Ok((differences, ranks)) = &self.data else { return 1.0 };
        let at_once = match (claim, self.better) {
            (Claim::Same, _) => ranks.p_within(self.margin),
            (Claim::Worse, Better::Higher) | (Claim::Better, Better::Lower) => ranks.p_below(self.margin.low),
            (Claim::Better, Better::Higher) | (Claim::Worse, Better::Lower) => {
                ranks.p_above(self.margin.high)
            }
        };
        self.looks.map_or(at_once, |looks| looks.p(differences.values.len(), at_once))
    }

    /// What signed ranks are held to at this look for `level` over all looks.
    fn at_once(&self, blocks: usize, level: f64) -> f64 {
        self.looks.map_or(level, |looks| looks.level(blocks, level))
    }
}

fn conclude(blocks: &[Block], tested: &Tested<'_>, steps: &Steps, needed: Option<u32>) -> Judgement {
    let used = blocks.iter().filter(|block| block.is_complete()).count();
    let counts = (used, blocks.len() - used, needed);
    let level = steps.level();
    let shown = tested.data.as_ref().ok().map(|(differences, ranks)| {
        let interval = ranks.interval(tested.at_once(differences.values.len(), level));
        (Effect::new(differences, interval, ranks, level), interval)
    });
    let (effect, interval) = shown.unzip();
    let margin = tested.margin.high.exp_m1();
    let mut judgement = settle(steps, effect, interval.flatten(), margin, tested.better, counts);
    if let Err(why) = &tested.data {
        judgement.notes.push(Note::NotComparable { why: *why });
    }
    judgement
}

/// What Holm's steps make of a comparison, whose interval is on the scale of logarithms. Of the three counts, blocks were used, were left out, and
/// are needed.
pub(crate) fn settle(
    steps: &Steps,
    effect: Option<Effect>,
    interval: Option<Interval>,
    margin: f64,
    better: Better,
    (used, left_out, needed): (usize, usize, Option<u32>),
) -> Judgement {
    let (claim, step) = steps.accepted().unwrap_or_else(|| steps.closest());
    let verdict = if step.rejected { claim.verdict() } else { Verdict::Unclear };
    let (mut smallest_shown, mut notes) = (None, Vec::new());
    match (verdict, interval) {
        (Verdict::Unclear, None) if effect.is_some() => notes.push(Note::TooFewBlocks { used, needed }),
        (Verdict::Unclear, Some(interval)) => {
            let margin = Interval { low: (-margin).ln_1p(), high: margin.ln_1p() };
            let half_width = (interval.high - interval.low) / 2.0;
            smallest_shown = Some((half_width + margin.high).exp_m1());
            notes.extend(excluded(interval, margin, better));
        }
        _ => {}
    }
    Judgement { verdict, effect, claim, p: step.adjusted, smallest_shown, notes, used, left_out }
}

/// Which direction an interval excludes that decides nothing.
fn excluded(interval: Interval, margin: Interval, better: Better) -> Option<Note> {
    let not_lower = interval.low > margin.low;
    let not_higher = interval.high < margin.high;
    match (not_lower, not_higher, better) {
        (true, false, Better::Higher) | (false, true, Better::Lower) => Some(Note::NotWorse),
        (true, false, Better::Lower) | (false, true, Better::Higher) => Some(Note::NotBetter),
        (true, true, _) | (false, false, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks whose candidate differs by these relative changes.
    fn changed(changes: &[f64]) -> Vec<Block> {
        changes.iter().map(|change| Block::both(200.0, 200.0 * (1.0 + change))).collect()
    }

    fn one(blocks: Vec<Block>, better: Better, margin: f64) -> Judgement {
        judge(&[Comparison { blocks, better, margin }], 0.05).unwrap().remove(0)
    }

    #[test]
    fn an_interval_beyond_the_margin_is_worse_or_better_by_direction() {
        let changes = [0.051, 0.048, 0.055, 0.049, 0.052];
        let judgement = one(changed(&changes), Better::Higher, 0.02);
        assert_eq!((judgement.verdict, judgement.p), (Verdict::Better, 1.0 / 32.0));
        assert_eq!(judgement.smallest_shown, None);
        assert_eq!(one(changed(&changes), Better::Lower, 0.02).verdict, Verdict::Worse);
        let down = changes.map(|change| -change);
        assert_eq!(one(changed(&down), Better::Higher, 0.02).verdict, Verdict::Worse);
        assert_eq!(one(changed(&down), Better::Lower, 0.02).verdict, Verdict::Better);
    }

    #[test]
    fn an_interval_inside_the_margin_is_same_even_if_it_excludes_zero() {
        let judgement = one(changed(&[0.004, 0.006, 0.005, 0.005, 0.004]), Better::Higher, 0.02);
        assert_eq!(judgement.verdict, Verdict::Same);
        let effect = judgement.effect.unwrap();
        assert!((effect.confidence - 0.9).abs() < 1e-12);
        assert!(effect.interval.unwrap().low > 0.0);
    }

    #[test]
    fn an_interval_across_the_margin_is_unclear_and_says_what_it_excludes() {
        let changes = [0.001, 0.03, 0.012, 0.025, 0.018];
        let judgement = one(changed(&changes), Better::Higher, 0.02);
        assert_eq!((judgement.verdict, judgement.notes), (Verdict::Unclear, vec![Note::NotWorse]));
        assert_eq!(one(changed(&changes), Better::Lower, 0.02).notes, [Note::NotBetter]);
        let wide = one(changed(&[-0.09, 0.08, 0.01, -0.03, 0.05]), Better::Higher, 0.02);
        assert_eq!((wide.verdict, wide.notes), (Verdict::Unclear, vec![]));
    }

    #[test]
    fn the_smallest_effect_shown_would_have_been_decided() {
        let changes = [0.001, 0.03, 0.012, 0.025, 0.018];
        let judgement = one(changed(&changes), Better::Higher, 0.02);
        // Five blocks at 0.05: the interval is the range of the data.
        let half_width = (1.03_f64.ln() - 1.001_f64.ln()) / 2.0;
        let expected = (half_width + 1.02_f64.ln()).exp_m1();
        let smallest = judgement.smallest_shown.unwrap();
        assert!((smallest - expected).abs() < 1e-9, "{smallest} {expected}");
        // Move the interval's centre there: just beyond is better, just short of it is not.
        let interval = judgement.effect.unwrap().interval.unwrap();
        let centre = f64::midpoint(interval.low.ln_1p(), interval.high.ln_1p());
        for (factor, verdict) in [(1.0001, Verdict::Better), (0.9999, Verdict::Unclear)] {
            let shift = smallest.ln_1p() * factor - centre;
            let moved: Vec<f64> = changes.iter().map(|c| (c.ln_1p() + shift).exp_m1()).collect();
            assert_eq!(one(changed(&moved), Better::Higher, 0.02).verdict, verdict, "factor {factor}");
        }
    }

    #[test]
    fn too_few_blocks_decide_nothing_and_say_how_many_it_takes() {
        let judgement = one(changed(&[0.5, 0.5, 0.5, 0.5]), Better::Higher, 0.02);
        assert_eq!(judgement.verdict, Verdict::Unclear);
        assert_eq!(judgement.notes, [Note::TooFewBlocks { used: 4, needed: Some(5) }]);
        assert_eq!((judgement.effect.unwrap().interval, judgement.smallest_shown), (None, None));
    }

    #[test]
    fn crashed_boots_are_counted_and_left_out() {
        let mut blocks = changed(&[0.0; 6]);
        blocks[2].candidate = None;
        let judgement = one(blocks, Better::Higher, 0.02);
        assert_eq!((judgement.used, judgement.left_out, judgement.verdict), (5, 1, Verdict::Same));
    }

    #[test]
    fn no_data_and_values_of_zero_are_unclear_with_the_reason() {
        let judgement = one(vec![], Better::Higher, 0.02);
        assert_eq!(judgement.notes, [Note::NotComparable { why: NotComparable::NoBlocks }]);
        assert_eq!((judgement.verdict, judgement.p, judgement.effect), (Verdict::Unclear, 1.0, None));
        let judgement = one(vec![Block::both(0.0, 1.0); 6], Better::Higher, 0.02);
        assert_eq!(judgement.notes, [Note::NotComparable { why: NotComparable::NotPositive { blocks: 6 } }]);
    }

    #[test]
    fn holm_gives_the_second_claim_more_room() {
        // Six blocks: the smallest p is 1/64, below 0.05 / 3. Five blocks: 1/32 passes at 0.05 / 1 only.
        let six = Comparison { blocks: changed(&[0.1; 6]), better: Better::Higher, margin: 0.02 };
        let five = Comparison { blocks: changed(&[0.1; 5]), better: Better::Higher, margin: 0.02 };
        let judged = judge(&[five.clone(), six.clone(), six.clone()], 0.05).unwrap();
        assert!(judged.iter().all(|judgement| judgement.verdict == Verdict::Better));
        assert!((judged[0].effect.unwrap().confidence - 0.9).abs() < 1e-12);
        assert!((judged[1].effect.unwrap().confidence - (1.0 - 0.1 / 3.0)).abs() < 1e-12);
        // The first to fail ends it: five blocks are then held to 0.05 / 2.
        let judged = judge(&[five.clone(), six, five], 0.05).unwrap();
        let verdicts: Vec<_> = judged.iter().map(|judgement| judgement.verdict).collect();
        assert_eq!(verdicts, [Verdict::Unclear, Verdict::Better, Verdict::Unclear]);
    }

    #[test]
    fn refuses_levels_and_margins_that_mean_nothing() {
        let comparison = |margin| Comparison { blocks: changed(&[0.0; 6]), better: Better::Higher, margin };
        assert_eq!(judge(&[comparison(0.1)], 0.5), Err(StatsError::BadLevel { alpha: 0.5 }));
        assert!(matches!(judge(&[comparison(0.1)], f64::NAN), Err(StatsError::BadLevel { .. })));
        let error = judge(&[comparison(0.1), comparison(0.0)], 0.05).unwrap_err();
        assert_eq!(error.to_string(), "margin 0 of comparison 1 is not between 0 and 1");
        assert_eq!(judge(&[], 0.05), Ok(vec![]));
    }

    #[test]
    fn looks_ask_for_more_and_claims_still_agree_with_their_intervals() {
        let looks = Looks::new(12).unwrap();
        let gate = |blocks: usize, change: f64| {
            let changes: Vec<f64> =
                (0..blocks).map(|b| change + 0.004 * ((b * 7 % 5) as f64 - 2.0)).collect();
            Comparison { blocks: changed(&changes), better: Better::Higher, margin: 0.02 }
        };
        let mut decided = 0;
        for blocks in 1..=12 {
            for change in [0.0, 0.01, 0.022, 0.04, -0.05] {
                let gates = [gate(blocks, change), gate(blocks, 0.0)];
                let (fixed, looked) =
                    (judge(&gates, 0.05).unwrap(), judge_at(&gates, 0.05, Some(&looks)).unwrap());
                for (fixed, looked) in fixed.iter().zip(&looked) {
                    assert!(looked.p >= fixed.p.min(1.0) * 0.9, "{fixed:?} {looked:?}");
                    let interval = looked.effect.unwrap().interval;
                    let verdict = match interval {
                        Some(i) if i.low > 0.02 => Verdict::Better,
                        Some(i) if i.high < -0.02 => Verdict::Worse,
                        Some(i) if i.low > -0.02 && i.high < 0.02 => Verdict::Same,
                        _ => Verdict::Unclear,
                    };
                    assert_eq!(looked.verdict, verdict, "{blocks} {change} {looked:?}");
                    decided += u32::from(verdict != Verdict::Unclear);
                }
            }
        }
        assert!(decided > 30, "{decided}");
        // Six blocks would decide alone, and do not where there will be looks at six more.
        assert_eq!(one(changed(&[0.1; 6]), Better::Higher, 0.02).verdict, Verdict::Better);
        let six = Comparison { blocks: changed(&[0.1; 6]), better: Better::Higher, margin: 0.02 };
        let judged = judge_at(&[six], 0.05, Some(&looks)).unwrap().remove(0);
        assert_eq!(judged.notes, [Note::TooFewBlocks { used: 6, needed: Some(7) }]);
    }
}
