//! `--budget`: what a run has time for, and what it leaves out.

use std::time::{Duration, Instant};

use measure::TrialRecord;
use plan::{DimensionValues, Plan};
use runner::{Budget, Fit, Pace, Trial, fit, given_up, schedule};
use scenario::Known;
use store::Stored;

use crate::progress::rough;

/// The time that a run was given, and when it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) given: Duration,
    began: Instant,
}

/// A time as scenarios have it: `90s`, `30m`, `2h`.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("`{text}` is no time: whole seconds, minutes or hours above 0, such as 90s, 30m or 2h");
    let units = [('s', 1), ('m', 60), ('h', 3600)];
    let (number, factor) = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(*unit)?, *factor)))
        .ok_or_else(wrong)?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = number.parse::<u32>().ok().filter(|number| digits && *number > 0).ok_or_else(wrong)?;
    Ok(Duration::from_secs(u64::from(seconds) * factor))
}

impl Limit {
    /// A budget that begins now.
    pub(crate) fn begin(given: Duration) -> Self {
        Self { given, began: Instant::now() }
    }

    /// What is left of it is spent on these trials.
    pub(crate) fn spend(&self, plan: &Plan, finished: &[TrialRecord]) -> (Budget, Fit) {
        let until = self.began + self.given;
        let fit = fitting(plan, finished, until.saturating_duration_since(Instant::now()));
        (Budget { until, guess: guess(plan), places: fit.places.clone() }, fit)
    }
}

/// What fits into `time`.
pub(crate) fn fitting(plan: &Plan, finished: &[TrialRecord], time: Duration) -> Fit {
    let is_left = |trial: &Trial| {
        !finished.iter().any(|record| record.index == trial.index) && !given_up(finished, &trial.arm)
    };
    let left: Vec<Trial> = schedule(plan).into_iter().filter(is_left).collect();
    fit(plan, &left, time, &Pace::of_trials(finished), guess(plan))
}

fn guess(plan: &Plan) -> Duration {
    Duration::from_secs_f64(scenario::trial_seconds(plan, &Known::default()))
}

/// Says what fits, where not everything does.
pub(crate) fn describe(plan: &Plan, fit: &Fit) -> Option<String> {
    let all = blocks(plan);
    if fit.places.is_empty() && fit.blocks >= all {
        return None;
    }
    let block = rough(fit.block);
    let at = if fit.places.is_empty() {
        String::new()
    } else {
        format!(" at {} of {} places ({})", fit.places.len(), places(plan).len(), in_words(&fit.places))
    };
    Some(if fit.blocks == 0 {
        format!("there is no time for one block, which takes about {block}{at}")
    } else {
        format!("there is time for about {} of {all} blocks of about {block} each{at}", fit.blocks)
    })
}

/// What a run left out whose budget is used up, in sentences, the last of which says how to go on.
pub(crate) fn left_out(stored: &Stored) -> Vec<String> {
    let Some(seconds) = stored.budget_s else { return Vec::new() };
    let plan = &stored.file.plan;
    let trials: Vec<Trial> =
        schedule(plan).into_iter().filter(|trial| !given_up(&stored.trials, &trial.arm)).collect();
    let made = |trial: &&Trial| stored.trials.iter().any(|record| record.index == trial.index);
    let missing = trials.iter().filter(|trial| !made(trial)).count();
    if missing == 0 {
        return Vec::new();
    }
    let all = places(plan);
    let was_booted = |place: &DimensionValues| {
        trials.iter().any(|trial| made(&trial) && plan.arm(&trial.arm).is_some_and(|arm| arm.dims() == place))
    };
    let without: Vec<DimensionValues> = all.iter().filter(|place| !was_booted(place)).cloned().collect();
    let is_there = |trial: &&Trial| plan.arm(&trial.arm).is_none_or(|arm| !without.contains(arm.dims()));
    let whole = |block: &u32| {
        trials.iter().filter(|trial| trial.block == *block).filter(is_there).all(|trial| made(&trial))
    };
    let begun = |block: &u32| trials.iter().any(|trial| trial.block == *block && made(&trial));
    let planned = blocks(plan);
    let lacking: Vec<u32> = (0..planned).filter(|block| !(whole(block) && begun(block))).collect();
    let mut sentences = vec![format!(
        "The budget of {} was used up: {missing} of {} boots are left out.",
        rough(Duration::from_secs(seconds)),
        trials.len()
    )];
    if !without.is_empty() && without.len() < all.len() {
        let there: Vec<_> = all.iter().filter(|place| !without.contains(place)).cloned().collect();
        sentences.push(format!(
            "Booted at {} of the matrix's {} places, chosen so that every value comes as often as any other: {}; left out: {}.",
            there.len(),
            all.len(),
            in_words(&there),
            in_words(&without)
        ));
    }
    if !lacking.is_empty() {
        let sides = plan.sides().join(", ");
        sentences.push(format!("Left out of every arm ({sides}): {}.", block_words(plan, &lacking)));
    }
    let timed = (0..plan.design.boots).filter(|block| !lacking.contains(block)).count();
    sentences.extend(report::unreachable(plan, u32::try_from(timed).unwrap_or(u32::MAX)));
    sentences.push(format!("To go on: assay run --resume {}", stored.folder.display()));
    sentences
}

fn blocks(plan: &Plan) -> u32 {
    plan.design.boots + plan.design.traced_boots
}

/// The places of the matrix; none outside one.
fn places(plan: &Plan) -> Vec<DimensionValues> {
    let mut places: Vec<DimensionValues> = Vec::new();
    for arm in &plan.arms {
        if !arm.dims().is_empty() && !places.contains(arm.dims()) {
            places.push(arm.dims().clone());
        }
    }
    places
}

/// `vcpus=1, nic=igb; vcpus=2, nic=e1000`.
fn in_words(places: &[DimensionValues]) -> String {
    let place = |place: &DimensionValues| {
        place.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
    };
    places.iter().map(place).collect::<Vec<_>>().join("; ")
}

/// `block 5`, `blocks 5 to 9 of 9`; traced ones are said to be.
fn block_words(plan: &Plan, lacking: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for block in lacking {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *block => *last = *block,
            _ => ranges.push((*block, *block)),
        }
    }
    let range = |(first, last): &(u32, u32)| {
        if first == last { format!("{}", first + 1) } else { format!("{} to {}", first + 1, last + 1) }
    };
    let listed: Vec<String> = ranges.iter().map(range).collect();
    let noun = if lacking.len() == 1 { "block" } else { "blocks" };
    let traced = lacking.iter().filter(|block| **block >= plan.design.boots).count();
    let traced = if traced == 0 { String::new() } else { format!(", {traced} of them traced") };
    format!("{noun} {} of {}{traced}", listed.join(", "), blocks(plan))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(time("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(time("2h"), Ok(Duration::from_secs(7200)));
        for wrong in ["", "h", "2", "0m", "-1s", "1.5h", "+2h", "2 h", "99999999999h"] {
            assert!(time(wrong).unwrap_err().contains("such as 90s, 30m or 2h"), "{wrong}");
        }
    }
}
