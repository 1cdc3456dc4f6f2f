//! One metric over runs, in the order of time.

use measure::{Better, Unit};
use serde::Serialize;
use stats::{Interval, StatsError, change_point, holm, median_interval, summarise};

use crate::{
    SeriesKey, Terminal, describe, number,
    table::{Align, hang, plain},
    verdict::direction,
};

/// Intervals of medians have 95 % confidence, each for itself.
const LEVEL: f64 = 0.025;
/// Series that are shown; a metric of each core has hundreds.
const MOST: usize = 12;
/// Runs on either side of a change.
const LEAST: usize = 3;
/// Columns of an interval's picture: none at all where there are fewer.
const STRIP: std::ops::RangeInclusive<usize> = 12..=40;

/// The values of one arm of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct TrendInput {
    /// Name of the run.
    pub run: String,
    /// Its scenario.
    pub scenario: String,
    /// When it was started, RFC 3339.
    pub started: String,
    /// Whether every boot was made.
    pub finished: bool,
    /// The arm.
    pub arm: String,
    /// `uname -r` of its kernel, or what it was made from.
    pub kernel: String,
    /// Which series.
    pub series: SeriesKey,
    /// The workload's tool and parameters.
    pub runs: Option<String>,
    /// Where it booted.
    pub machine: String,
    /// Unit of the values.
    pub unit: Unit,
    /// Which way it is better.
    pub better: Better,
    /// Where the numbers come from.
    pub provenance: String,
    /// One for each boot.
    pub values: Vec<f64>,
}

/// A metric over runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trend {
    /// [`super::HISTORY_FORMAT`] of the writer.
    pub format: u32,
    /// The metric's name.
    pub metric: String,
    /// What must be known to read the numbers rightly.
    pub note: &'static str,
    /// Numbers that can be looked at side by side: same workload and parameters, machine, dimensions and provenance.
    pub groups: Vec<TrendGroup>,
}

/// Runs whose numbers can be looked at side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrendGroup {
    /// Which series.
    #[serde(flatten)]
    pub series: SeriesKey,
    /// The workload's tool and parameters.
    pub runs: Option<String>,
    /// Where it booted.
    pub machine: String,
    /// Unit of the values.
    pub unit: Unit,
    /// Which way it is better.
    pub better: Better,
    /// Where the numbers come from.
    pub provenance: String,
    /// Oldest first.
    pub points: Vec<TrendPoint>,
    /// Where its medians most likely changed; none with fewer than six runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<TrendChange>,
}

/// The most likely change in a series of runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrendChange {
    /// The first run after it.
    pub run: String,
    /// The median of the medians before it.
    pub before: f64,
    /// The median of those after it.
    pub after: f64,
    /// Of "nothing changes anywhere", over all places where the series could change.
    pub p: f64,
    /// That p adjusted for all series that were looked at (Holm).
    pub adjusted: f64,
    /// Whether it is for the worse.
    pub worse: bool,
}

/// One arm of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrendPoint {
    /// Name of the run.
    pub run: String,
    /// Its scenario.
    pub scenario: String,
    /// When it was started, RFC 3339.
    pub started: String,
    /// Whether every boot was made.
    pub finished: bool,
    /// The arm.
    pub arm: String,
    /// `uname -r` of its kernel, or what it was made from.
    pub kernel: String,
    /// How many boots.
    pub boots: usize,
    /// Over boots.
    pub median: f64,
    /// Of the median, with 95 % confidence; null with fewer than six boots.
    pub interval: Option<Interval>,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
}

const NOTE: &str = "Runs of different times: the host may have been busier, warmer or newer, and no boot of one run was paired with one \
                    of another. A change says that something changed, not that a kernel did.";

/// Puts the values of one metric in the order of time, those side by side that can be looked at side by side: of each such group the newest
/// `last` runs, or all. What changed before them is then over, and can neither be found nor hide what changed since.
///
/// # Errors
/// A value that is not finite.
pub fn trend(metric: &str, inputs: Vec<TrendInput>, last: Option<usize>) -> Result<Trend, StatsError> {
    let mut groups: Vec<TrendGroup> = Vec::new();
    for input in inputs {
        let Some(summary) = summarise(&input.values)? else { continue };
        let point = TrendPoint {
            interval: median_interval(&input.values, LEVEL)?,
            boots: summary.boots,
            median: summary.median,
            min: summary.min,
            max: summary.max,
            run: input.run,
            scenario: input.scenario,
            started: input.started,
            finished: input.finished,
            arm: input.arm,
            kernel: input.kernel,
        };
        let like = groups.iter_mut().find(|group| {
            (&group.series, &group.runs, &group.machine, group.unit, &group.provenance)
                == (&input.series, &input.runs, &input.machine, input.unit, &input.provenance)
        });
        match like {
            Some(group) => group.points.push(point),
            None => groups.push(TrendGroup {
                series: input.series,
                runs: input.runs,
                machine: input.machine,
                unit: input.unit,
                better: input.better,
                provenance: input.provenance,
                points: vec![point],
                change: None,
            }),
        }
    }
    for group in &mut groups {
        group.points.sort_by(|a, b| (&a.started, &a.run).cmp(&(&b.started, &b.run)));
        let older = group.points.len().saturating_sub(last.unwrap_or(usize::MAX));
        group.points.drain(..older);
    }
    for group in &mut groups {
        group.change = changed(group)?;
    }
    let p: Vec<f64> = groups.iter().filter_map(|group| Some(group.change.as_ref()?.p)).collect();
    let adjusted = holm(&p, LEVEL).into_iter().map(|step| step.adjusted);
    for (change, adjusted) in groups.iter_mut().filter_map(|group| group.change.as_mut()).zip(adjusted) {
        change.adjusted = adjusted;
    }
    // The longest histories first, and wholes before their parts; otherwise as they came.
    groups.sort_by_key(|group| (describe::is_part(&group.series), std::cmp::Reverse(group.points.len())));
    Ok(Trend { format: super::HISTORY_FORMAT, metric: metric.to_owned(), note: NOTE, groups })
}

/// The most likely change of a series.
fn changed(group: &TrendGroup) -> Result<Option<TrendChange>, StatsError> {
    let medians: Vec<f64> = group.points.iter().map(|point| point.median).collect();
    let Some(change) = change_point(&medians, LEAST)? else { return Ok(None) };
    let worse = match group.better {
        Better::Higher => change.after < change.before,
        Better::Lower => change.after > change.before,
        Better::Neither => false,
    };
    Ok(group.points.get(change.at).map(|first| TrendChange {
        run: first.run.clone(),
        before: change.before,
        after: change.after,
        p: change.p,
        adjusted: change.p,
        worse,
    }))
}

/// The series that changed for the worse, at a level over all series together, each in a line.
#[must_use]
pub fn trend_worse(trend: &Trend, level: f64) -> Vec<String> {
    let is_worse = |change: &&TrendChange| change.worse && change.adjusted <= level;
    let worse =
        trend.groups.iter().filter_map(|group| Some((group, group.change.as_ref().filter(is_worse)?)));
    worse
        .map(|(group, change)| format!("{}: {}", describe::label(&group.series), in_words(group, change)))
        .collect()
}

fn in_words(group: &TrendGroup, change: &TrendChange) -> String {
    let (divisor, symbol) = number::scale(change.before.abs().max(change.after.abs()), group.unit);
    let text = |value: f64| number::significant(value / divisor, 3);
    format!(
        "from {} to {} {symbol} with {}, p {} ({} for all series)",
        text(change.before),
        text(change.after),
        change.run,
        number::probability(change.p),
        number::probability(change.adjusted),
    )
}

/// The trend as JSON.
#[must_use]
pub fn trend_json(trend: &Trend) -> String {
    super::json(trend)
}

/// The trend for a terminal.
#[must_use]
pub fn trend_text(trend: &Trend, terminal: Terminal) -> String {
    let columns = terminal.columns.clamp(60, 140);
    let mut lines = hang("", trend.note, columns);
    for group in trend.groups.iter().take(MOST) {
        lines.push(String::new());
        lines.extend(group_lines(group, terminal, columns));
    }
    if let Some(more) = trend.groups.len().checked_sub(MOST).filter(|more| *more > 0) {
        lines.push(String::new());
        let text = format!(
            "{more} further series of {} are not shown: narrow them down with --workload and --dim",
            trend.metric
        );
        lines.extend(hang("", &text, columns));
    }
    terminal.colour.harmless(&(lines.join("\n") + "\n"))
}

fn group_lines(group: &TrendGroup, terminal: Terminal, columns: usize) -> Vec<String> {
    let medians: Vec<f64> = group.points.iter().map(|point| point.median).collect();
    let mut heading = terminal.colour.heading(&describe::label(&group.series));
    if medians.len() > 1 {
        heading.push_str(&format!("  {}", spark(&medians)));
    }
    let mut lines = vec![heading];
    let how: Vec<&str> = group.runs.as_deref().into_iter().chain([group.machine.as_str()]).collect();
    let how = format!("{}; {}", how.join("; "), direction(group.better));
    lines.extend(hang("  ", &how, columns).into_iter().map(|line| terminal.colour.faint(&line)));
    if let Some(change) = &group.change {
        let sure =
            if change.adjusted <= 2.0 * LEVEL { "changed" } else { "no change is sure; the most likely one" };
        lines.extend(hang("  ", &format!("{sure}: {}", in_words(group, change)), columns));
    }
    // One unit for all of them, so that they can be compared by eye.
    let unit = number::scale(medians.iter().fold(0.0, |most, median| median.abs().max(most)), group.unit);
    let cells = |point: &TrendPoint| {
        let unfinished = if point.finished { "" } else { " so far" };
        vec![
            format!("  {}", point.run),
            point.arm.clone(),
            point.kernel.clone(),
            numbers(point, &unit),
            format!("{}{unfinished}", number::counted(point.boots, "boot")),
        ]
    };
    let align = [Align::Left, Align::Left, Align::Left, Align::Right, Align::Right];
    let table = plain(&group.points.iter().map(cells).collect::<Vec<_>>(), &align);
    let width = table.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let room = columns.saturating_sub(width + 2).min(*STRIP.end());
    if group.points.len() == 1 || room < *STRIP.start() {
        lines.extend(table);
        return lines;
    }
    let ends =
        |point: &TrendPoint| point.interval.unwrap_or(Interval { low: point.median, high: point.median });
    let low = group.points.iter().map(|point| ends(point).low).fold(f64::INFINITY, f64::min);
    let high = group.points.iter().map(|point| ends(point).high).fold(f64::NEG_INFINITY, f64::max);
    for (line, point) in table.into_iter().zip(&group.points) {
        let strip = strip(ends(point), point.median, Interval { low, high }, room);
        lines.push(format!("{line:width$}  {strip}"));
    }
    lines
}

/// `939 [926, 981] Mbit/s`: median and interval in the unit of the group, with two digits of half the interval's width.
fn numbers(point: &TrendPoint, (divisor, symbol): &(f64, String)) -> String {
    let unit = if symbol.is_empty() { String::new() } else { format!(" {symbol}") };
    let Some(Interval { low, high }) = point.interval else {
        return format!("{}{unit} [no interval]", number::significant(point.median / divisor, 3));
    };
    let half_width = (high - low) / 2.0 / divisor;
    let digits = if half_width > 0.0 { (1 - number::magnitude(half_width)).clamp(0, 4) } else { 1 };
    let text = |value: f64| number::decimals(value / divisor, digits);
    format!("{} [{}, {}]{unit}", text(point.median), text(low), text(high))
}

/// Medians as heights. The lowest is the lowest bar, not zero: what is looked for is change.
pub(crate) fn spark(values: &[f64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let bar = |value: &f64| BARS[position(*value, Interval { low, high }, BARS.len())];
    values.iter().map(bar).collect()
}

/// An interval on the axis that its group shares.
fn strip(interval: Interval, median: f64, axis: Interval, width: usize) -> String {
    let mut cells = vec![' '; width];
    let (low, high) = (position(interval.low, axis, width), position(interval.high, axis, width));
    cells[low..=high].fill('─');
    if low < high {
        (cells[low], cells[high]) = ('├', '┤');
    }
    cells[position(median, axis, width)] = '●';
    cells.into_iter().collect::<String>().trim_end().to_owned()
}

/// Which of so many cells a value is in.
fn position(value: f64, axis: Interval, cells: usize) -> usize {
    let width = axis.high - axis.low;
    let share = if width > 0.0 { (value - axis.low) / width } else { 0.5 };
    #[expect(clippy::cast_precision_loss, reason = "a number of columns")]
    let last = (cells - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the cells")]
    let cell = (share * last).round().clamp(0.0, last) as usize;
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: u32, value: f64) -> TrendInput {
        TrendInput {
            run: format!("run-{number:02}"),
            scenario: "net".into(),
            started: format!("2026-01-{number:02}T00:00:00Z"),
            finished: true,
            arm: "baseline".into(),
            kernel: "6.12".into(),
            series: SeriesKey {
                workload: Some("tcp".into()),
                metric: "throughput".into(),
                dims: measure::Dims::new(),
                at: measure::Dims::new(),
            },
            runs: None,
            machine: "one QEMU guest".into(),
            unit: Unit::BitsPerSecond,
            better: Better::Higher,
            provenance: "iperf3".into(),
            values: vec![value; 3],
        }
    }

    #[test]
    fn a_loss_that_stays_fails_the_gate_and_names_its_first_run() {
        let history = |factor: f64| {
            let runs = (1..=14)
                .map(|n| run(n, 1e9 * (1.0 + f64::from(n % 5) / 500.0) * if n > 8 { factor } else { 1.0 }));
            trend("throughput", runs.collect(), None).unwrap()
        };
        let lost = history(0.9);
        let change = lost.groups[0].change.as_ref().unwrap();
        assert_eq!((change.run.as_str(), change.worse), ("run-09", true));
        assert!(change.p < 0.01 && change.adjusted == change.p, "{change:?}");
        assert!(trend_worse(&lost, 0.01)[0].contains("with run-09"), "{:?}", trend_worse(&lost, 0.01));
        // A gain is a change, and no reason to fail; without one nothing is sure.
        assert!(
            trend_worse(&history(1.1), 0.01).is_empty()
                && !history(1.1).groups[0].change.as_ref().unwrap().worse
        );
        assert!(trend_worse(&history(1.0), 0.01).is_empty());
    }

    #[test]
    fn what_changed_before_the_last_runs_is_over() {
        // Lost with the ninth run of 24, and the same ever since.
        let all = || -> Vec<TrendInput> {
            (1..=24)
                .map(|n| run(n, 1e9 * (1.0 + f64::from(n % 5) / 500.0) * if n > 8 { 0.9 } else { 1.0 }))
                .collect()
        };
        assert_eq!(trend_worse(&trend("throughput", all(), None).unwrap(), 0.01).len(), 1);
        let last = trend("throughput", all(), Some(14)).unwrap();
        assert_eq!((last.groups[0].points.len(), &*last.groups[0].points[0].run), (14, "run-11"));
        assert!(trend_worse(&last, 0.01).is_empty());
    }

    #[test]
    fn pictures_span_the_values() {
        assert_eq!(spark(&[1.0, 2.0, 8.0, 4.5]), "▁▂█▅");
        assert_eq!(spark(&[3.0, 3.0]), "▅▅");
        let axis = Interval { low: 0.0, high: 23.0 };
        assert_eq!(strip(Interval { low: 2.0, high: 6.0 }, 4.0, axis, 24), "  ├─●─┤");
        assert_eq!(strip(Interval { low: 5.0, high: 5.0 }, 5.0, axis, 24), "     ●");
    }
}
