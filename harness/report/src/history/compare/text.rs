//! A comparison for a terminal, and for mail.

use stats::Summary;

use super::{Compared, Times, VersusGate, VersusRow};
use crate::{
    Colour, Terminal, describe, number,
    table::{self, Align, hang, plain, wrap},
    verdict::{self, direction},
};

/// Rows that are shown of one comparison.
const MOST: usize = 60;
/// Mail is wrapped here. Tables are not.
const MAIL: usize = 75;

/// The comparison for a terminal.
#[must_use]
pub fn compare_text(compared: &Compared, terminal: Terminal) -> String {
    let (colour, columns) = (terminal.colour, terminal.columns.clamp(60, 140));
    let mut lines =
        vec![format!("{}: {}", title(compared), colour.outcome(compared.outcome, compared.outcome.word()))];
    for reason in compared.reasons.iter().chain(&compared.calibration) {
        lines.extend(hang("  - ", reason, columns));
    }
    section(&mut lines, colour, "What differs besides the numbers");
    for difference in &compared.differences {
        lines.extend(hang(&format!("  {}: ", difference.what), &difference.first, columns));
        let indent = difference.what.chars().count();
        lines.extend(hang(&format!("  {:>indent$}  ", "->"), &difference.second, columns));
    }
    if compared.differences.is_empty() {
        lines.push("  nothing that was recorded".to_owned());
    }
    if !compared.refused.is_empty() {
        section(&mut lines, colour, "Not compared");
        for refused in &compared.refused {
            lines.extend(hang(&format!("  {}: ", refused.what), &refused.why, columns));
        }
    }
    if !compared.gates.is_empty() {
        section(&mut lines, colour, "Gates of the scenario on these two arms");
        let legend = verdict::legend(compared.gates.iter().map(|gate| &gate.judgement));
        lines.extend(legend.iter().flat_map(|legend| hang("  ", legend, columns)));
        for gate in &compared.gates {
            lines.extend(gate_lines(gate, compared, colour, columns));
        }
    }
    let (rows, hidden) = shown(compared);
    if !rows.is_empty() {
        section(&mut lines, colour, heading(compared.times));
        lines.extend(hang("  ", legend(compared.times), columns));
        lines.extend(row_lines(&rows, compared, columns));
    }
    lines.extend(remainder(compared, &hidden).into_iter().flat_map(|text| hang("  ", &text, columns)));
    colour.harmless(&(lines.join("\n") + "\n"))
}

/// The comparison as markdown.
#[must_use]
pub fn compare_markdown(compared: &Compared) -> String {
    let mut lines = vec![format!("## {}: {}", title(compared), compared.outcome.word()), String::new()];
    for reason in compared.reasons.iter().chain(&compared.calibration) {
        lines.extend(hang("- ", reason, MAIL));
    }
    lines.extend([String::new(), "### What differs besides the numbers".to_owned(), String::new()]);
    for difference in &compared.differences {
        let text = format!("{}: {} -> {}", difference.what, difference.first, difference.second);
        lines.extend(hang("- ", &text, MAIL));
    }
    if compared.differences.is_empty() {
        lines.push("Nothing that was recorded.".to_owned());
    }
    if !compared.refused.is_empty() {
        lines.extend([String::new(), "### Not compared".to_owned(), String::new()]);
        for refused in &compared.refused {
            lines.extend(hang("- ", &format!("{}: {}", refused.what, refused.why), MAIL));
        }
    }
    let align =
        [Align::Left, Align::Right, Align::Right, Align::Right, Align::Right, Align::Right, Align::Left];
    if !compared.gates.is_empty() {
        lines.extend([String::new(), "### Gates".to_owned(), String::new()]);
        let mut rows = vec![
            ["metric", "first", "second", "change", "margin", "p", "verdict"].map(ToOwned::to_owned).to_vec(),
        ];
        rows.extend(compared.gates.iter().map(|gate| {
            let change = gate.judgement.effect.as_ref().map(|effect| number::effect(effect, gate.unit));
            vec![
                describe::label(&gate.series),
                median(gate.first.as_ref(), gate),
                median(gate.second.as_ref(), gate),
                change.unwrap_or_else(|| "not compared".to_owned()),
                number::percent(gate.margin),
                gate.judgement
                    .effect
                    .map_or_else(|| "-".to_owned(), |_| number::probability(gate.judgement.p)),
                gate.judgement.verdict.to_string(),
            ]
        }));
        lines.extend(table::markdown(&rows, &align));
        if let Some(legend) = verdict::legend(compared.gates.iter().map(|gate| &gate.judgement)) {
            lines.push(String::new());
            lines.extend(wrap(&legend, MAIL));
        }
    }
    let (rows, hidden) = shown(compared);
    if !rows.is_empty() {
        lines.extend([String::new(), format!("### {}", heading(compared.times)), String::new()]);
        lines.extend(wrap(legend(compared.times), MAIL));
        lines.push(String::new());
        // Between runs there is no p-value, and so no q.
        let columns = if compared.times == Times::SameBlocks { 5 } else { 4 };
        let heading = ["metric", "first", "second", "change", "q"];
        let mut cells: Vec<Vec<String>> = vec![heading[..columns].iter().map(ToString::to_string).collect()];
        cells.extend(rows.iter().map(|row| {
            let [first, second] = both(row);
            let all = [
                describe::label(&row.series),
                first,
                second,
                change(row),
                row.q.map_or_else(|| "-".to_owned(), number::probability),
            ];
            all[..columns].to_vec()
        }));
        lines.extend(table::markdown(&cells, &align[..columns]));
    }
    for text in remainder(compared, &hidden) {
        lines.push(String::new());
        lines.extend(wrap(&text, MAIL));
    }
    Colour::Never.harmless(&(lines.join("\n") + "\n"))
}

fn title(compared: &Compared) -> String {
    let (first, second) = (&compared.first, &compared.second);
    if compared.times == Times::SameBlocks {
        return format!("{}: {} -> {}", first.run, first.arm, second.arm);
    }
    format!("{} {} -> {} {}", first.run, first.arm, second.run, second.arm)
}

fn section(lines: &mut Vec<String>, colour: Colour, heading: &str) {
    lines.extend([String::new(), colour.heading(heading)]);
}

fn heading(times: Times) -> &'static str {
    match times {
        Times::SameBlocks => "Everything else: leads, not verdicts",
        Times::NotCalibrated => "Everything that both measured: exploratory",
        Times::Calibrated => "Everything else that both measured: leads, not verdicts",
    }
}

fn legend(times: Times) -> &'static str {
    match times {
        Times::SameBlocks => {
            "Medians of both, and the change with its 95 % interval within blocks, each for itself; q: p adjusted by Benjamini-Hochberg; \
             *: q at most 0.05"
        }
        Times::NotCalibrated => {
            "Medians over boots; Hodges-Lehmann shift between the two sets of boots with its 95 % interval, each for itself. The interval \
             knows how boots stray within each run, and nothing of what changed between the runs."
        }
        Times::Calibrated => {
            "Medians over boots; Hodges-Lehmann shift between the two sets of boots with its 95 % interval, each for itself. Where a series is \
             calibrated the interval holds what the times do by themselves; where it is not, it knows of the boots of each run alone."
        }
    }
}

/// Rows that are not shown.
struct Hidden {
    /// Of single cores, flows and the like.
    parts: usize,
    /// More than [`MOST`].
    further: usize,
}

/// The rows that are shown, in their order: single cores, flows and the like only where they differ or were asked for, and of too
/// many those with the surest differences.
fn shown(compared: &Compared) -> (Vec<&VersusRow>, Hidden) {
    let notable = |row: &VersusRow| row.q.is_some_and(|q| q <= crate::explored::NOTABLE);
    let wanted = |row: &&VersusRow| compared.filtered || !describe::is_part(&row.series) || notable(row);
    let wanted: Vec<&VersusRow> = compared.rows.iter().filter(wanted).collect();
    let hidden =
        Hidden { parts: compared.rows.len() - wanted.len(), further: wanted.len().saturating_sub(MOST) };
    let mut ranked: Vec<(usize, &VersusRow)> = wanted.into_iter().enumerate().collect();
    let q = |row: &VersusRow| row.q.filter(|_| notable(row)).unwrap_or(1.0);
    ranked.sort_by(|(_, a), (_, b)| q(a).total_cmp(&q(b)));
    ranked.truncate(MOST);
    ranked.sort_by_key(|(position, _)| *position);
    (ranked.into_iter().map(|(_, row)| row).collect(), hidden)
}

fn remainder(compared: &Compared, hidden: &Hidden) -> Vec<String> {
    let mut texts = Vec::new();
    let mut left_out = Vec::new();
    if hidden.parts > 0 {
        left_out
            .push(format!("{} of single cores, flows and the like", number::counted(hidden.parts, "row")));
    }
    if hidden.further > 0 {
        left_out.push(format!("{} beyond the {MOST} above", number::counted(hidden.further, "row")));
    }
    if !left_out.is_empty() {
        let left_out = left_out.join(" and ");
        texts.push(format!("{left_out} left out; --metric, --workload and --dim narrow, --json has all"));
    }
    for (count, arm) in [(compared.only_first, &compared.first), (compared.only_second, &compared.second)] {
        if count > 0 {
            texts.push(format!("{count} series only in {} {}", arm.run, arm.arm));
        }
    }
    texts
}

fn gate_lines(gate: &VersusGate, compared: &Compared, colour: Colour, columns: usize) -> Vec<String> {
    let verdict = colour.verdict(gate.judgement.verdict);
    let mut lines = hang("  ", &format!("{}: {verdict}", describe::label(&gate.series)), columns);
    let (first, second) = match compared.times {
        Times::SameBlocks => (&compared.first.arm, &compared.second.arm),
        // Of two runs it is mostly the same arm.
        Times::NotCalibrated | Times::Calibrated => (&compared.first.run, &compared.second.run),
    };
    let width = first.chars().count().max(second.chars().count()).max("change".len());
    for (name, summary) in [(first, &gate.first), (second, &gate.second)] {
        lines.push(format!("    {name:width$}  {}", median(summary.as_ref(), gate)));
    }
    let change = match &gate.judgement.effect {
        Some(effect) => format!(
            "{} at {} confidence, p {}",
            number::effect(effect, gate.unit),
            number::percent(effect.confidence),
            number::probability(gate.judgement.p)
        ),
        None => "not compared".to_owned(),
    };
    let change = format!("{change}; margin {}, {}", number::percent(gate.margin), direction(gate.better));
    lines.extend(hang(&format!("    {:width$}  ", "change"), &change, columns));
    lines
}

fn median(summary: Option<&Summary>, gate: &VersusGate) -> String {
    summary.map_or_else(|| "no values".to_owned(), |summary| number::median(summary, gate.unit))
}

/// Both medians, in the unit of the first.
fn both(row: &VersusRow) -> [String; 2] {
    let (first, second, unit) = number::medians(&row.first, &row.second, row.unit);
    [first, second].map(|median| if unit.is_empty() { median } else { format!("{median} {unit}") })
}

fn change(row: &VersusRow) -> String {
    row.effect.as_ref().map_or_else(|| "-".to_owned(), |effect| number::effect(effect, row.unit))
}

/// Rows by workload; as many columns as fit.
fn row_lines(rows: &[&VersusRow], compared: &Compared, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for group in rows.chunk_by(|a, b| a.series.workload == b.series.workload) {
        lines.push(format!("  {}", group[0].series.workload.as_deref().unwrap_or("every boot")));
        let cells = |medians: bool| -> Vec<Vec<String>> {
            group
                .iter()
                .map(|row| {
                    let notable = row.q.is_some_and(|q| q <= crate::explored::NOTABLE);
                    let mut cells = vec![format!(
                        "{} {}",
                        if notable { "  *" } else { "   " },
                        describe::metric(&row.series)
                    )];
                    if medians {
                        cells.extend(both(row));
                    }
                    cells.push(change(row));
                    if compared.times == Times::SameBlocks {
                        cells.push(
                            row.q.map_or_else(|| "-".to_owned(), |q| format!("q {}", number::probability(q))),
                        );
                    }
                    cells
                })
                .collect()
        };
        let wide = plain(&cells(true), &[Align::Left, Align::Right, Align::Right]);
        let fits = wide.iter().all(|line| line.chars().count() <= columns);
        lines.extend(if fits { wide } else { plain(&cells(false), &[Align::Left]) });
    }
    lines
}
