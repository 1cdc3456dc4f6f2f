//! What is known of identical arms, for people.

use jiff::Timestamp;
use plan::Plan;
use stats::{Alarms, PowerCurve, blocks_for_on};

use super::{CHANGES, DESIGNS, Noise, POWER, SeriesNoise, boots_for, smallest_seen};
use crate::{
    describe, number,
    series::selects,
    table::{Align, hang, plain},
};

/// Lines are no longer.
const COLUMNS: usize = 100;
/// Series that have lines of their own.
const MOST: usize = 12;
/// Times whose levels are listed.
const MOST_TIMES: usize = 24;

/// `2026-01-02 03:04 UTC`.
pub(super) fn instant(seconds: u64) -> String {
    let stamp = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    stamp.map_or_else(
        || "an unknown time".to_owned(),
        |stamp| stamp.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}

/// What is known as JSON.
#[must_use]
pub fn noise_json(noise: &Noise) -> String {
    crate::json::pretty(noise).expect("there are no paths in it")
}

/// What is known as text: tables and what follows from them.
#[must_use]
pub fn noise_text(noise: &Noise) -> String {
    let mut lines = hang("", &format!("Identical arms: {}.", made(noise)), COLUMNS);
    lines.push(String::new());
    if let Some(alarms) = &noise.alarms {
        lines.extend(hang("  ", &alarmed(alarms, noise.alpha), COLUMNS));
    }
    if noise.judged.comparisons > 0 {
        lines.extend(hang("  ", &judged(noise), COLUMNS));
    }
    let series: Vec<&SeriesNoise> = noise.series.iter().take(MOST).collect();
    section(&mut lines, "Where values vary, as standard deviations");
    lines.extend(plain(&spreads(&series), &[Align::Left]));
    if series.iter().all(|series| series.spread.time.is_none()) {
        lines.extend(hang(
            "  ",
            "Between times: unknown from one time alone; calibrate again at another hour, and on another day.",
            COLUMNS,
        ));
    }
    section(
        &mut lines,
        "The smallest change that is seen nine times in ten, and the boots of each arm that see one of",
    );
    lines.extend(plain(&seen(&series), &[Align::Left]));
    let times = series.first().map_or(0, |series| series.times.len());
    if times > 1 {
        section(&mut lines, "Levels by time");
        lines.extend(plain(&levels(&series), &[Align::Left]));
    }
    let noisy: Vec<String> = series
        .iter()
        .filter(|series| series.margin.is_some())
        .filter_map(|s| too_noisy(s, noise.alpha))
        .collect();
    if !noisy.is_empty() {
        lines.push(String::new());
        lines.extend(noisy.iter().flat_map(|noisy| hang("", noisy, COLUMNS)));
    }
    lines.join("\n") + "\n"
}

fn section(lines: &mut Vec<String>, title: &str) {
    lines.extend([String::new(), format!("{title}:")]);
}

/// `60 boots of debian-6.12 in 1 session, 2026-01-02 03:04 UTC to 04:05 UTC`.
fn made(noise: &Noise) -> String {
    let (from, until) = noise.span();
    format!(
        "{} of {} in {}, {} to {}",
        number::counted(noise.boots(), "boot"),
        noise.bases.join(" and "),
        number::counted(noise.sessions.len(), "session"),
        instant(from),
        instant(until)
    )
}

fn alarmed(alarms: &Alarms, alpha: f64) -> String {
    let designs: Vec<String> = DESIGNS.iter().map(ToString::to_string).collect();
    let (last, others) = designs
        .split_last()
        .map_or((String::new(), String::new()), |(last, others)| (last.clone(), others.join(", ")));
    format!(
        "False alarms at {}: {} of {} comparisons of {others} and {last} consecutive blocks, {} (they share blocks and boots, and are worth {:.0} \
         independent ones: [{}, {}]; the order of boots alone makes as many with a probability of {})",
        number::percent(alpha),
        alarms.alarms,
        alarms.comparisons,
        share(alarms.alarms, alarms.comparisons),
        alarms.worth,
        tenths(alarms.interval.low),
        tenths(alarms.interval.high),
        number::probability(alarms.p)
    )
}

fn judged(noise: &Noise) -> String {
    let judged = noise.judged;
    format!(
        "Its gates with their margins, as `assay run` judges them: {} of {} better or worse ({}), {} same",
        judged.wrong,
        judged.comparisons,
        share(judged.wrong, judged.comparisons),
        judged.same
    )
}

fn share(of: usize, all: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "numbers of comparisons")]
    tenths(of as f64 / all as f64)
}

/// Rates, which more digits would make look surer than they are.
fn tenths(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), number::percent)
}

fn spreads(series: &[&SeriesNoise]) -> Vec<Vec<String>> {
    let parts = if series.iter().any(|series| series.spread.runs) { "runs" } else { "intervals" };
    let mut rows = vec![["  ", "median", parts, "boots", "blocks", "times"].map(ToOwned::to_owned).to_vec()];
    for series in series {
        let (divisor, symbol) = number::scale(series.median.abs(), series.unit);
        let median = format!("{} {symbol}", number::significant(series.median / divisor, 3));
        rows.push(vec![
            format!("  {}", describe::label(&series.series)),
            median.trim_end().to_owned(),
            cell(series.spread.part),
            cell(series.spread.boot),
            cell(series.spread.block),
            cell(series.spread.time),
        ]);
    }
    rows
}

fn seen(series: &[&SeriesNoise]) -> Vec<Vec<String>> {
    let mut heading = vec!["  boots".to_owned()];
    heading.extend(DESIGNS.map(|boots| boots.to_string()));
    heading.extend(CHANGES.map(|change| format!("| {}", number::percent(change))));
    let mut rows = vec![heading];
    for series in series {
        let mut row = vec![format!("  {}", describe::label(&series.series))];
        row.extend(DESIGNS.map(|design| {
            cell(series.seen.iter().find(|(boots, _)| *boots as usize == design).map(|(_, seen)| *seen))
        }));
        row.extend(series.needed.iter().map(|(_, boots)| match boots {
            Some(boots) => format!("| {boots}"),
            None => "| over 100".to_owned(),
        }));
        rows.push(row);
    }
    rows
}

fn levels(series: &[&SeriesNoise]) -> Vec<Vec<String>> {
    let gated: Vec<&&SeriesNoise> = series.iter().filter(|series| series.margin.is_some()).collect();
    let shown: Vec<&&SeriesNoise> = if gated.is_empty() { series.iter().take(2).collect() } else { gated };
    let mut heading = vec!["  ".to_owned(), "boots".to_owned()];
    heading.extend(shown.iter().map(|series| describe::label(&series.series)));
    let mut rows = vec![heading];
    let Some(first) = shown.first() else { return rows };
    for (index, time) in first.times.iter().enumerate().take(MOST_TIMES) {
        let mut row = vec![format!("  {}", instant(time.from)), time.boots.to_string()];
        row.extend(shown.iter().map(|series| {
            let (divisor, symbol) = number::scale(series.median.abs(), series.unit);
            let level = series.times.get(index).map(|time| time.level.exp() / divisor);
            level
                .map_or_else(|| "-".to_owned(), |level| format!("{} {symbol}", number::significant(level, 4)))
        }));
        rows.push(row);
    }
    rows
}

/// That no number of boots that anybody makes answers a gate of its margin; nothing if some does.
fn too_noisy(series: &SeriesNoise, level: f64) -> Option<String> {
    let margin = series.margin?;
    let answers = boots_for(&series.differences, margin, level).is_some();
    (!answers).then(|| {
        format!(
            "This machine is too noisy for {}: not even a hundred boots of each arm show {} nine times in ten. Exact evidence could: `evidence: \
             exact` counts the instructions that the kernel executes, which a busy machine does not move.",
            describe::label(&series.series),
            number::percent(margin)
        )
    })
}

/// What the boots of a plan can show of each of its gates, in sentences: for `assay plan`, and for reports.
#[must_use]
pub fn plan_lines(noise: &Noise, plan: &Plan) -> Vec<String> {
    let mut lines = vec![format!("Calibrated: {}.", made(noise))];
    if let Some(alarms) = &noise.alarms {
        lines.push(format!(
            "Identical arms looked different in {} of {} comparisons at {}, {} [{}, {}].",
            alarms.alarms,
            alarms.comparisons,
            number::percent(noise.alpha),
            share(alarms.alarms, alarms.comparisons),
            tenths(alarms.interval.low),
            tenths(alarms.interval.high)
        ));
    }
    let (boots, level) = (plan.design.counted_boots(), first_level(plan));
    for gate in &plan.gates {
        let found = noise.series.iter().find(|own| selects(&gate.select, &own.series));
        lines.push(match found {
            Some(own) => can_show(own, &describe::label(&own.series), gate.margin, boots, level),
            None => format!("{} {}: not calibrated.", gate.select.workload, gate.select.metric),
        });
    }
    lines
}

/// The level of the first claim of a run, in Holm's order.
fn first_level(plan: &Plan) -> f64 {
    let comparisons: usize = plan.gates.iter().map(|gate| plan.comparisons(gate).count()).sum();
    plan.design.alpha / f64::from(u32::try_from(comparisons.max(1)).unwrap_or(u32::MAX))
}

fn can_show(series: &SeriesNoise, label: &str, margin: f64, boots: u32, level: f64) -> String {
    let differences = &series.differences;
    // Beyond the margin by as much as is seen of no margin at all.
    let seen = smallest_seen(differences, boots, level).map(|seen| (1.0 + seen) * (1.0 + margin) - 1.0);
    let mut text = match seen {
        Some(seen) => format!(
            "{label}: {boots} boots of each arm show a change of {} or more nine times in ten, beyond the margin of {}",
            number::percent(seen),
            number::percent(margin)
        ),
        None => format!("{label}: {boots} boots of each arm show nothing at this level"),
    };
    // Both one-sided tests, of which each may fail in half of the rest.
    let each = f64::midpoint(1.0, POWER);
    let same = PowerCurve::on(differences, boots, level).map(|curve| 2.0 * curve.power(margin.ln_1p()) - 1.0);
    match same {
        Some(same) if same >= POWER => text.push_str("; identical arms are shown the same as often."),
        _ => match blocks_for_on(differences, margin.ln_1p(), level, each) {
            Some(needed) => {
                text.push_str(&format!("; that nothing changed takes {needed} boots of each arm."));
            }
            None => {
                text.push_str(&format!(
                    "; that nothing changed is beyond a hundred boots: too noisy a machine for {}, which exact evidence (`evidence: exact`) could answer.",
                    number::percent(margin)
                ));
            }
        },
    }
    text
}
