//! Where values vary: within a boot, from boot to boot, from block to block, from time to time.

use serde::{Deserialize, Serialize};
use stats::{StatsError, TimeNoise, components};

use super::{SessionSeries, session::SessionBlock};

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;
/// A time of fewer blocks belongs to the one before it.
const FEWEST_BLOCKS: usize = 4;
/// Two times say nothing of a third.
const FEWEST_TIMES: usize = 3;

/// Standard deviations of logarithms. What cannot be told from the level above it is none there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Of a boot's parts: intervals of a run, or runs of a command. None where the tool does not say.
    pub part: Option<f64>,
    /// Whether these are runs.
    pub runs: bool,
    /// Between boots of one block, without what their parts explain if that is known.
    pub boot: Option<f64>,
    /// Between blocks of one time.
    pub block: Option<f64>,
    /// Between times.
    pub time: Option<f64>,
}

/// The boots of one clock hour of a session.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeLevel {
    /// When the first block began, in seconds since 1970.
    pub from: u64,
    /// And the last one.
    pub until: u64,
    /// How many boots.
    pub boots: usize,
    /// The median of their logarithms.
    pub level: f64,
}

/// Blocks by time: a session is cut where a clock hour begins.
fn by_time<'a>(sessions: &[&'a SessionSeries]) -> Vec<&'a [SessionBlock]> {
    let mut times: Vec<&[SessionBlock]> = Vec::new();
    for session in sessions {
        let blocks = session.blocks.as_slice();
        let mut first = 0;
        for next in 1..=blocks.len() {
            let ends = next == blocks.len();
            let turns = !ends && blocks[next].began / HOUR != blocks[next - 1].began / HOUR;
            let rest = blocks.len() - next;
            if ends || (turns && next - first >= FEWEST_BLOCKS && rest >= FEWEST_BLOCKS) {
                times.push(&blocks[first..next]);
                first = next;
            }
        }
    }
    times
}

fn logs(blocks: &[SessionBlock]) -> Vec<f64> {
    blocks.iter().flat_map(|block| [block.first, block.second]).flatten().map(f64::ln).collect()
}

/// Levels by time, oldest first.
pub(super) fn times(sessions: &[&SessionSeries]) -> Vec<TimeLevel> {
    let level = |blocks: &&[SessionBlock]| {
        let logs = logs(blocks);
        let summary = stats::summarise(&logs).ok()??;
        Some(TimeLevel {
            from: blocks.iter().map(|block| block.began).min()?,
            until: blocks.iter().map(|block| block.began).max()?,
            boots: logs.len(),
            level: summary.median,
        })
    };
    let mut times: Vec<TimeLevel> = by_time(sessions).iter().filter_map(level).collect();
    times.sort_by_key(|time| time.from);
    times
}

/// Components of the variance of logarithms: boots within blocks within times, and parts within boots.
pub(super) fn spread(sessions: &[&SessionSeries]) -> Result<Spread, StatsError> {
    let nested: Vec<Vec<Vec<f64>>> = by_time(sessions)
        .iter()
        .map(|blocks| blocks.iter().map(|block| logs(std::slice::from_ref(block))).collect())
        .collect();
    let found = components(&nested)?;
    let within = within(sessions);
    let deviation =
        |component: Option<stats::Component>| component.map(|component| component.variance.sqrt());
    Ok(Spread {
        part: within.map(|(variance, ..)| variance.sqrt()),
        runs: within.is_some_and(|(.., runs)| runs),
        boot: found.and_then(|found| found.interval).map(|boot| {
            let of_parts = within.map_or(0.0, |(variance, parts, _)| variance / parts);
            (boot.variance - of_parts).max(0.0).sqrt()
        }),
        block: found.and_then(|found| deviation(found.run)),
        time: found.and_then(|found| deviation(found.boot)),
    })
}

/// Variance of parts, how many a boot has, and whether they are runs, over all sessions.
fn within(sessions: &[&SessionSeries]) -> Option<(f64, f64, bool)> {
    let all = || sessions.iter().filter_map(|session| session.within);
    #[expect(clippy::cast_precision_loss, reason = "a number of parts")]
    let freedom: f64 = all().map(|within| within.freedom as f64).sum();
    #[expect(clippy::cast_precision_loss, reason = "a number of parts")]
    let variance = all().map(|within| within.variance * within.freedom as f64).sum::<f64>() / freedom;
    let first = all().next()?;
    Some((variance, first.parts, first.runs))
}

/// How far the levels of the times of two runs stray: of runs of one day by the hours that were calibrated, of runs of different days by the
/// days, or by the hours where these stray further.
pub(super) fn time_noise(times: &[TimeLevel], first: u64, second: u64) -> Result<TimeNoise, String> {
    let levels: Vec<f64> = times.iter().map(|time| time.level).collect();
    let mut days: Vec<(u64, Vec<f64>)> = Vec::new();
    for time in times {
        match days.iter_mut().find(|(day, _)| *day == time.from / DAY) {
            Some((_, levels)) => levels.push(time.level),
            None => days.push((time.from / DAY, vec![time.level])),
        }
    }
    let of_one_day = first / DAY == second / DAY;
    let (units, what) = if of_one_day { (levels.len(), "hour") } else { (days.len(), "day") };
    if units < FEWEST_TIMES {
        return Err(format!(
            "it has boots of {} alone, and what times do is known from three on",
            crate::number::counted(units, what)
        ));
    }
    let of_times = deviation(&levels);
    let of_days: Vec<f64> = days.iter().map(|(_, levels)| mean(levels)).collect();
    let spread = if of_one_day { of_times } else { of_times.max(deviation(&of_days)) };
    Ok(TimeNoise { spread, freedom: u32::try_from(units - 1).unwrap_or(u32::MAX) })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values.len())
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / count(values.len().saturating_sub(1).max(1))).sqrt()
}

#[expect(clippy::cast_precision_loss, reason = "a number of times")]
fn count(n: usize) -> f64 {
    n as f64
}
