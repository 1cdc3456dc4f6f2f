//! The report as markdown that a cover letter can carry: plain enough to be read as mail.

use stats::Summary;

use crate::{
    Colour, Gate, Model, Suite, VoidCell, along, describe, explored,
    facts::facts,
    findings::findings,
    number,
    outcome::conclude,
    plot, profile,
    remarks::remarks,
    suite::words,
    syscalls,
    table::{self, Align, hang, literal as plain, wrap},
    timeline, verdict,
};

/// Mail is wrapped here. Tables are not.
const COLUMNS: usize = 75;
/// Differences beyond the gates that a letter shows.
const LEADS: usize = 30;

/// The report as markdown, with a newline at its end.
#[must_use]
pub fn markdown(model: &Model) -> String {
    let mut sections = vec![head(model)];
    sections.extend(gates(model));
    sections.extend(profile::markdown_section(model));
    sections.extend(model.suites.iter().map(suite));
    sections.extend(over_time(model));
    sections.extend(system_calls(model));
    sections.extend(failures(model));
    sections.extend(list(
        "### Void: not on the path that was asked for",
        model.voids.iter().map(VoidCell::sentence).collect(),
    ));
    sections.extend(list("### To be read with it", remarks(model)));
    sections.extend(curves(model));
    sections.extend(notable(model));
    sections.extend(list("### Unavailable", model.unavailable.iter().map(|u| u.reason.clone()).collect()));
    sections.push(facts_section(model));
    sections.extend(repeat(model));
    Colour::Never.harmless(&(sections.join("\n\n") + "\n"))
}

fn head(model: &Model) -> String {
    let conclusion = conclude(model);
    let outcome = if model.is_imported() { "imported" } else { conclusion.outcome.word() };
    let mut lines = vec![format!("## {}: {outcome}", model.plan.scenario), String::new()];
    lines.extend(wrap(&plain(&model.plan.question), COLUMNS));
    lines.push(String::new());
    for reason in &conclusion.reasons {
        lines.extend(hang("- ", &plain(reason), COLUMNS));
    }
    lines.join("\n")
}

fn gates(model: &Model) -> Option<String> {
    let baseline = model.baseline_side();
    // With one candidate its name heads a column; with several, each row says whose it is.
    let candidates = model.candidate_sides();
    let single = if let [only] = candidates.as_slice() { Some(*only) } else { None };
    let mut rows = vec![
        ["metric", baseline, single.unwrap_or("candidate"), "change", "margin", "p", "verdict"]
            .map(ToOwned::to_owned)
            .to_vec(),
    ];
    rows.extend(model.gates.iter().map(|gate| gate_row(gate, single.is_some())));
    if model.gates.is_empty() {
        return None;
    }
    let align =
        [Align::Left, Align::Right, Align::Right, Align::Right, Align::Right, Align::Right, Align::Left];
    let mut lines = table::markdown(&rows, &align);
    lines.push(String::new());
    lines.extend(wrap(&legend(model), COLUMNS));
    lines.extend(plots(model));
    lines.extend(notes(model));
    Some(lines.join("\n"))
}

fn gate_row(gate: &Gate, single: bool) -> Vec<String> {
    let judgement = &gate.judgement;
    let label = describe::label(&gate.series);
    let label = if single { label } else { format!("{label}, {}", gate.arm) };
    let (label, before, after) = match (&gate.baseline, &gate.candidate) {
        (Some(baseline), Some(candidate)) => {
            let (before, after, unit) = number::medians(baseline, candidate, gate.unit);
            (if unit.is_empty() { label } else { format!("{label} ({unit})") }, before, after)
        }
        (baseline, candidate) => {
            let text = |summary: &Option<Summary>| {
                summary.as_ref().map_or_else(|| "-".to_owned(), |summary| number::median(summary, gate.unit))
            };
            (label, text(baseline), text(candidate))
        }
    };
    vec![
        label,
        before,
        after,
        verdict::change(gate),
        number::percent(gate.margin),
        judgement.effect.map_or_else(|| "-".to_owned(), |_| number::probability(judgement.p)),
        judgement.verdict.to_string(),
    ]
}

fn legend(model: &Model) -> String {
    let confidences: Vec<f64> =
        model.gates.iter().filter_map(|gate| gate.judgement.effect.map(|effect| effect.confidence)).collect();
    let least = confidences.iter().copied().reduce(f64::min);
    let most = confidences.iter().copied().reduce(f64::max);
    let intervals = match (least.map(number::percent), most.map(number::percent)) {
        (Some(least), Some(most)) if least == most => format!(" with {least} intervals"),
        (Some(least), Some(most)) => format!(" with intervals of {least} to {most} confidence"),
        _ => String::new(),
    };
    format!(
        "Medians over boots; Hodges-Lehmann estimate of the change{intervals}, and p of the verdict (if unclear, of the closest \
         one), both by signed ranks within blocks, adjusted for {} (Holm).",
        number::counted(model.gates.len(), "comparison")
    )
}

/// All plots under one axis.
fn plots(model: &Model) -> Vec<String> {
    let several = model.candidate_sides().len() > 1;
    let label = |gate: &Gate| {
        let label = describe::label(&gate.series);
        if several { format!("{label}, {}", gate.arm) } else { label }
    };
    let drawn: Vec<_> =
        model.gates.iter().filter_map(|gate| Some((label(gate), plot::plot(gate)?))).collect();
    let width = drawn.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    if drawn.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), "```".to_owned()];
    lines.push(format!("{:width$}  {}", "", plot::header()).trim_end().to_owned());
    lines.extend(drawn.iter().map(|(label, plot)| format!("{label:width$}  {plot}").trim_end().to_owned()));
    lines.push("```".to_owned());
    lines
}

fn notes(model: &Model) -> Vec<String> {
    let mut lines = Vec::new();
    for gate in &model.gates {
        let notes = verdict::notes(gate);
        if !notes.is_empty() {
            let text = format!("{} on {}: {}.", describe::label(&gate.series), gate.arm, notes.join("; "));
            lines.extend(hang("- ", &text, COLUMNS));
        }
    }
    if !lines.is_empty() {
        lines.insert(0, String::new());
    }
    lines
}

/// One workload of kernel tests.
fn suite(suite: &Suite) -> String {
    const DIFFERING: usize = 60;
    const FAILURES: usize = 60;
    let mut lines = vec![format!("### Kernel tests: {}", suite.workload), String::new()];
    let align = [&[Align::Left; 2][..], &[Align::Right; 6][..]].concat();
    lines.extend(table::markdown(&words::counts(suite), &align));
    if !suite.failures.is_empty() {
        lines.extend([String::new(), "What fails:".to_owned(), String::new()]);
        let failures = words::failures(&suite.failures, FAILURES);
        lines.extend(failures.iter().flat_map(|line| hang("- ", &plain(line), COLUMNS)));
    }
    for comparison in &suite.comparisons {
        lines.push(String::new());
        let mut text = format!("{} against {}: ", comparison.arm, comparison.baseline);
        if let Some(gate) = &comparison.gate {
            let expected = words::expectation(gate.expect);
            text.push_str(&format!("{} (expected: {expected}); ", gate.outcome.word()));
            text.push_str(&gate.reasons.join("; "));
            text.push_str("; ");
        }
        text.push_str(&words::alike(comparison));
        lines.extend(wrap(&plain(&format!("{text}.")), COLUMNS));
        if !comparison.differing.is_empty() {
            lines.push(String::new());
            lines.extend(table::markdown(&words::differing(comparison, DIFFERING), &[Align::Left; 4]));
            let more = comparison.differing.len().saturating_sub(DIFFERING);
            if more > 0 {
                lines.extend([String::new(), format!("{more} more in report.json.")]);
            }
            let legend = "p: Fisher's exact test, two-sided; q: adjusted over all tests whose outcomes vary \
                          (Benjamini-Hochberg).";
            lines.push(String::new());
            lines.extend(wrap(legend, COLUMNS));
        }
        if !comparison.common_failures.is_empty() {
            lines.extend([String::new(), "Fail in every boot of both:".to_owned(), String::new()]);
            let failures = words::failures(&comparison.common_failures, FAILURES);
            lines.extend(failures.iter().flat_map(|line| hang("- ", &plain(line), COLUMNS)));
        }
    }
    lines.join("\n")
}

fn failures(model: &Model) -> Option<String> {
    let mut blocks = Vec::new();
    for finding in findings(model) {
        let mut lines = hang("- ", &plain(&finding.title), COLUMNS);
        if !finding.excerpt.is_empty() {
            // Four more than the list's indent: code inside the item, whatever backquotes the console has.
            lines.push(String::new());
            lines.extend(finding.excerpt.iter().map(|line| format!("      {line}").trim_end().to_owned()));
        }
        blocks.push(lines.join("\n"));
    }
    (!blocks.is_empty()).then(|| format!("### What failed\n\n{}", blocks.join("\n\n")))
}

/// The numbers along each dimension of a matrix.
fn curves(model: &Model) -> Vec<String> {
    let section = |group: along::Group<'_>| {
        let mut lines = vec![format!("### Along {}", group.dimension), String::new()];
        // A star at the beginning of a word would be emphasis.
        lines.extend(wrap(&plain(&sentence(&along::legend(&group))), COLUMNS));
        lines.push(String::new());
        lines.extend(along::markdown(&group));
        if let Some(left_out) = along::left_out(&group) {
            lines.push(String::new());
            lines.extend(wrap(&format!("{left_out}."), COLUMNS));
        }
        lines.join("\n")
    };
    along::groups(model).into_iter().map(section).collect()
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

fn notable(model: &Model) -> Option<String> {
    let all = model.explored.iter().filter(|row| explored::is_compared(row)).count();
    if all == 0 {
        return None;
    }
    let mut notable: Vec<_> = model.explored.iter().filter(|row| explored::is_notable(row)).collect();
    let limit = explored::NOTABLE;
    let mut lines = vec!["### Everything else: leads, not verdicts".to_owned(), String::new()];
    let text = if notable.is_empty() {
        format!("None of {} differs at a false discovery rate of {limit} (Benjamini-Hochberg).", other(all))
    } else {
        let count = notable.len();
        let rest = "95 % intervals, each for itself; q: Benjamini-Hochberg";
        format!("{count} of {} differ at a false discovery rate of {limit}. {rest}.", other(all))
    };
    lines.extend(wrap(&text, COLUMNS));
    let more = notable.len().saturating_sub(LEADS);
    if more > 0 {
        notable.sort_by(|a, b| explored::surest(a).total_cmp(&explored::surest(b)));
        notable.truncate(LEADS);
    }
    if !notable.is_empty() {
        let mut rows = vec![["metric", "arm", "before", "change", "q"].map(ToOwned::to_owned).to_vec()];
        for row in notable {
            for candidate in
                row.candidates.iter().filter(|candidate| explored::candidate_is_notable(candidate))
            {
                rows.push(vec![
                    describe::label(&row.series),
                    candidate.arm.clone(),
                    explored::baseline(row),
                    explored::change(row, candidate),
                    explored::q(candidate),
                ]);
            }
        }
        lines.push(String::new());
        lines.extend(table::markdown(
            &rows,
            &[Align::Left, Align::Left, Align::Right, Align::Right, Align::Right],
        ));
    }
    if more > 0 {
        let text = format!("These are the {LEADS} with the lowest q; {more} more are in report.json.");
        lines.push(String::new());
        lines.extend(wrap(&text, COLUMNS));
    }
    Some(lines.join("\n"))
}

fn other(count: usize) -> String {
    format!("{count} other {}", if count == 1 { "series" } else { "series of numbers" })
}

/// What the levels did over time.
fn over_time(model: &Model) -> Option<String> {
    const MOST: usize = 4;
    let (shown, left_out) = timeline::shown(model, MOST);
    if shown.is_empty() {
        return None;
    }
    let mut lines = vec![format!("### {}", timeline::HEADING), String::new()];
    lines.extend(wrap(timeline::LEGEND, COLUMNS));
    for timeline in shown {
        lines.push(String::new());
        lines.extend(wrap(&plain(&timeline.title()), COLUMNS));
        lines.push(String::new());
        // A vertical bar would end a cell.
        let rows =
            timeline.table().into_iter().map(|row| row.iter().map(|cell| cell.replace('|', "")).collect());
        lines.extend(table::markdown(&rows.collect::<Vec<_>>(), &timeline::ALIGN));
    }
    if left_out > 0 {
        lines.extend([String::new(), format!("{left_out} more: report.html")]);
    }
    Some(lines.join("\n"))
}

fn system_calls(model: &Model) -> Option<String> {
    const MOST: usize = 8;
    const CALLS: usize = 10;
    let tables = syscalls::tables(model);
    if tables.is_empty() {
        return None;
    }
    let mut lines = vec![format!("### {}", syscalls::HEADING), String::new()];
    lines.extend(wrap(syscalls::LEGEND, COLUMNS));
    for shown in tables.iter().take(MOST) {
        lines.extend([String::new(), plain(&shown.title), String::new()]);
        lines.extend(table::markdown(&shown.rows(CALLS), &shown.align()));
        if let Some(more) = shown.left_out(CALLS) {
            lines.extend([String::new(), more]);
        }
    }
    let more = tables.len().saturating_sub(MOST);
    if more > 0 {
        lines.extend([String::new(), format!("{}: report.html", number::counted(more, "more table"))]);
    }
    Some(lines.join("\n"))
}

fn facts_section(model: &Model) -> String {
    let mut lines = vec!["### How it was measured".to_owned(), String::new()];
    for (name, fact) in facts(model) {
        // Commands in them stand in backquotes of ours; what a guest said of itself must not be read as HTML or a link.
        let fact = fact.replace('<', "\\<").replace("](", "]\\(");
        lines.extend(hang("- ", &format!("{name}: {fact}"), COLUMNS));
    }
    lines.join("\n")
}

fn list(heading: &str, items: Vec<String>) -> Option<String> {
    let lines: Vec<String> = items.iter().flat_map(|item| hang("- ", &plain(item), COLUMNS)).collect();
    (!lines.is_empty()).then(|| format!("{heading}\n\n{}", lines.join("\n")))
}

fn repeat(model: &Model) -> Option<String> {
    let commands: Vec<String> = model.run.repeat.iter().map(|command| format!("    {command}")).collect();
    (!commands.is_empty()).then(|| format!("### To repeat it\n\n{}", commands.join("\n")))
}
