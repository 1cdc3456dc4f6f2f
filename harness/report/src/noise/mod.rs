//! What identical arms do on a machine: how often they look different, where their numbers vary, what a number of boots can show.
//!
//! Sessions are made at different times, and each adds to what is known: [`Noise`] is all sessions of one scenario's machine and workloads
//! on one host, put together. A time is a clock hour of a session; what times do to levels is known from how far those of several times lie
//! apart, and is what runs of different times are judged by ([`Noise::between`]).

mod levels;
mod session;
mod words;

use measure::Unit;
use serde::{Deserialize, Serialize};
use stats::{
    Alarms, Better, Block, Comparison, PowerCurve, StatsError, TimeNoise, Verdict, blocks_for_on,
    false_alarms, judge,
};

use crate::SeriesKey;

pub use levels::{Spread, TimeLevel};
pub use session::{SESSION_FORMAT, Session, SessionBlock, SessionSeries, TWINS, WithinBoots};
pub use words::{noise_json, noise_text, plan_lines};

/// Version of [`Noise`]'s serialised form.
pub const NOISE_FORMAT: u32 = 1;

/// Numbers of boots of each arm that comparisons are made with.
pub const DESIGNS: [usize; 4] = [6, 8, 12, 20];
/// Changes for which it is said how many boots they take.
pub const CHANGES: [f64; 3] = [0.01, 0.02, 0.05];
/// How often a change is to be shown.
pub(crate) const POWER: f64 = 0.9;

/// All that is known of identical arms of a scenario's machine and workloads on one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// [`NOISE_FORMAT`] of the writer.
    pub format: u32,
    /// The scenario of the newest session.
    pub scenario: String,
    /// The bases of the kernels that were booted.
    pub bases: Vec<String>,
    /// Its sessions, oldest first.
    pub sessions: Vec<SessionSummary>,
    /// The level at which comparisons were made.
    pub alpha: f64,
    /// How often identical arms looked different, over all series: two-sided p at most that level, without any margin.
    pub alarms: Option<Alarms>,
    /// Comparisons of the scenario's gates with their margins, as a run judges them; `better` and `worse` among them.
    pub judged: Judged,
    /// Series by series, those of gates first.
    pub series: Vec<SeriesNoise>,
}

/// One session, without its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSummary {
    /// The run that measured it.
    pub run: String,
    /// Its first block began then, in seconds since 1970.
    pub from: u64,
    /// And its last one.
    pub until: u64,
    /// Boots that ran all workloads.
    pub boots: usize,
}

/// Verdicts on identical arms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// All of them.
    pub comparisons: usize,
    /// `better` or `worse`, each of which is false.
    pub wrong: usize,
    /// `same`.
    pub same: usize,
}

/// What one series does when nothing is changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesNoise {
    /// What it is.
    pub series: SeriesKey,
    /// Unit of the values.
    pub unit: Unit,
    /// Which way it is better.
    pub better: measure::Better,
    /// The margin of the scenario's gate, if there is one.
    pub margin: Option<f64>,
    /// The median over all boots.
    pub median: f64,
    /// Where values vary, as standard deviations of logarithms: 0.02 is about two per cent.
    pub spread: Spread,
    /// Levels by time, oldest first.
    pub times: Vec<TimeLevel>,
    /// How often it looked different.
    pub alarms: Option<Alarms>,
    /// Differences within blocks, of logarithms, in the order of time.
    pub differences: Vec<f64>,
    /// The smallest change that is shown nine times in ten, by the boots of each arm.
    pub seen: Vec<(u32, f64)>,
    /// Boots of each arm that show a change nine times in ten; none if a hundred do not.
    pub needed: Vec<(f64, Option<u32>)>,
}

impl Noise {
    /// Puts sessions together, which must be of one plan's machine and workloads. None without a session.
    ///
    /// # Errors
    /// If numbers cannot be analysed.
    pub fn of(mut sessions: Vec<Session>) -> Result<Option<Self>, StatsError> {
        sessions.sort_by(|a, b| (&a.started, &a.run).cmp(&(&b.started, &b.run)));
        let Some(newest) = sessions.last() else { return Ok(None) };
        let alpha = newest.alpha;
        let mut bases: Vec<String> = sessions.iter().map(|session| session.base.clone()).collect();
        bases.sort();
        bases.dedup();
        let mut series = Vec::new();
        for of_newest in &newest.series {
            series.extend(SeriesNoise::of(&sessions, of_newest, alpha)?);
        }
        let differences: Vec<Vec<Vec<Option<f64>>>> = sessions
            .iter()
            .map(|session| session.series.iter().map(|series| by_block(&series.blocks)).collect())
            .collect();
        let summary = |session: &Session| {
            let began =
                |blocks: &[SessionBlock]| -> Vec<u64> { blocks.iter().map(|block| block.began).collect() };
            let all = session.series.first().map(|series| began(&series.blocks)).unwrap_or_default();
            SessionSummary {
                run: session.run.clone(),
                from: all.iter().copied().min().unwrap_or(0),
                until: all.iter().copied().max().unwrap_or(0),
                boots: session.boots,
            }
        };
        Ok(Some(Self {
            format: NOISE_FORMAT,
            scenario: newest.scenario.clone(),
            bases,
            alpha,
            alarms: false_alarms(&differences, &DESIGNS, alpha)?,
            judged: judged(&sessions)?,
            series,
            sessions: sessions.iter().map(summary).collect(),
        }))
    }

    /// Boots of all sessions.
    #[must_use]
    pub fn boots(&self) -> usize {
        self.sessions.iter().map(|session| session.boots).sum()
    }

    /// When the first and the last of them were made, in seconds since 1970.
    #[must_use]
    pub fn span(&self) -> (u64, u64) {
        let from = self.sessions.iter().map(|session| session.from).min();
        let until = self.sessions.iter().map(|session| session.until).max();
        (from.unwrap_or(0), until.unwrap_or(0))
    }

    /// What is known of a series.
    #[must_use]
    pub fn of_series(&self, series: &SeriesKey) -> Option<&SeriesNoise> {
        self.series.iter().find(|own| own.series == *series)
    }

    /// What the times of two runs, in seconds since 1970, may have done to a series; or why that is not known.
    ///
    /// # Errors
    /// In words for people.
    pub fn between(&self, series: &SeriesKey, first: u64, second: u64) -> Result<TimeNoise, String> {
        let (from, until) = self.span();
        if [first, second].into_iter().any(|at| at < from || at > until) {
            return Err(format!(
                "it covers {} to {}, and not both runs",
                words::instant(from),
                words::instant(until)
            ));
        }
        let of_series = self.of_series(series).ok_or_else(|| "it does not have this series".to_owned())?;
        levels::time_noise(&of_series.times, first, second)
    }

    /// Whether its numbers can be what they are said to be: it may be a stranger's.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_name = |text: &String| text.len() <= 200 && !text.chars().any(char::is_control);
        let is_number = |value: &f64| value.is_finite();
        let sound = |series: &SeriesNoise| {
            series.differences.iter().all(is_number)
                && series.median.is_finite()
                && series.times.iter().all(|time| time.level.is_finite())
                && series.margin.is_none_or(|margin| margin > 0.0 && margin < 1.0)
                && series.differences.len() <= 100_000
        };
        self.series.iter().all(sound)
            && self.alpha > 0.0
            && self.alpha < 0.5
            && self.bases.iter().chain([&self.scenario]).all(is_name)
            && self.sessions.iter().all(|session| is_name(&session.run))
    }
}

impl SeriesNoise {
    fn of(sessions: &[Session], like: &SessionSeries, alpha: f64) -> Result<Option<Self>, StatsError> {
        let all: Vec<&SessionSeries> = sessions
            .iter()
            .filter_map(|session| session.series.iter().find(|own| own.series == like.series))
            .filter(|own| own.unit == like.unit)
            .collect();
        let values =
            || all.iter().flat_map(|series| &series.blocks).flat_map(|block| [block.first, block.second]);
        let values: Vec<f64> = values().flatten().collect();
        let Some(summary) = stats::summarise(&values)? else { return Ok(None) };
        let blocks: Vec<Vec<Vec<Option<f64>>>> =
            all.iter().map(|series| vec![by_block(&series.blocks)]).collect();
        let differences: Vec<f64> = blocks.iter().flatten().flatten().flatten().copied().collect();
        let times = levels::times(&all);
        let seen = DESIGNS.iter().filter_map(|boots| {
            let boots = u32::try_from(*boots).ok()?;
            Some((boots, smallest_seen(&differences, boots, alpha)?))
        });
        Ok(Some(Self {
            series: like.series.clone(),
            unit: like.unit,
            better: like.better,
            margin: like.margin,
            median: summary.median,
            spread: levels::spread(&all)?,
            times,
            alarms: false_alarms(&blocks, &DESIGNS, alpha)?,
            seen: seen.collect(),
            needed: CHANGES.map(|change| (change, boots_for(&differences, change, alpha))).into(),
            differences,
        }))
    }
}

/// The smallest relative change that so many boots show nine times in ten beyond what is tested, at a one-sided level; none if they show none.
pub(crate) fn smallest_seen(differences: &[f64], boots: u32, level: f64) -> Option<f64> {
    let change = PowerCurve::on(differences, boots, level)?.detectable(POWER);
    (change > 0.0).then(|| change.exp_m1())
}

/// The boots of each arm that show a relative change nine times in ten beyond what is tested, at a one-sided level.
pub(crate) fn boots_for(differences: &[f64], change: f64, level: f64) -> Option<u32> {
    blocks_for_on(differences, change.ln_1p(), level, POWER)
}

/// Differences of logarithms; none where a boot yielded nothing.
fn by_block(blocks: &[SessionBlock]) -> Vec<Option<f64>> {
    blocks.iter().map(|block| Some(block.second?.ln() - block.first?.ln())).collect()
}

/// What a run of each number of consecutive blocks would have said of its gates.
fn judged(sessions: &[Session]) -> Result<Judged, StatsError> {
    let mut judged = Judged::default();
    for session in sessions {
        let gated: Vec<(&SessionSeries, f64, Better)> = session
            .series
            .iter()
            .filter_map(|series| {
                let better = match series.better {
                    measure::Better::Higher => Better::Higher,
                    measure::Better::Lower => Better::Lower,
                    measure::Better::Neither => return None,
                };
                Some((series, series.margin?, better))
            })
            .collect();
        let blocks = gated.first().map_or(0, |(series, ..)| series.blocks.len());
        for design in DESIGNS {
            for first in 0..(blocks + 1).saturating_sub(design) {
                let comparison = |(series, margin, better): &(&SessionSeries, f64, Better)| Comparison {
                    blocks: series.blocks[first..first + design]
                        .iter()
                        .map(|block| Block { baseline: block.first, candidate: block.second })
                        .collect(),
                    better: *better,
                    margin: *margin,
                };
                for judgement in judge(&gated.iter().map(comparison).collect::<Vec<_>>(), session.alpha)? {
                    judged.comparisons += 1;
                    judged.wrong +=
                        usize::from(matches!(judgement.verdict, Verdict::Better | Verdict::Worse));
                    judged.same += usize::from(judgement.verdict == Verdict::Same);
                }
            }
        }
    }
    Ok(judged)
}

#[cfg(test)]
mod tests;
