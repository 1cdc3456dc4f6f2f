//! The report as markdown that a cover letter can carry: plain enough to be read as mail.

use stats::Summary;

use crate::{
    Colour, Gate, Model, describe, explored,
    facts::facts,
    findings::findings,
    number,
    outcome::conclude,
    plot,
    remarks::remarks,
    table::{self, Align, hang, wrap},
    verdict,
};

/// Mail is wrapped here. Tables are not.
const COLUMNS: usize = 75;

/// The report as markdown, with a newline at its end.
#[must_use]
pub fn markdown(model: &Model) -> String {
    let mut sections = vec![head(model)];
    sections.extend(gates(model));
    sections.extend(failures(model));
    sections.extend(list("### To be read with it", remarks(model)));
    sections.extend(notable(model));
    sections.extend(list("### Unavailable", model.unavailable.iter().map(|u| u.reason.clone()).collect()));
    sections.push(facts_section(model));
    sections.extend(repeat(model));
    Colour::Never.harmless(&(sections.join("\n\n") + "\n"))
}

fn head(model: &Model) -> String {
    let conclusion = conclude(model);
    let mut lines = vec![format!("## {}: {}", model.plan.scenario, conclusion.outcome.word()), String::new()];
    lines.extend(wrap(&model.plan.question, COLUMNS));
    lines.push(String::new());
    for reason in &conclusion.reasons {
        lines.extend(hang("- ", &plain(reason), COLUMNS));
    }
    lines.join("\n")
}

fn gates(model: &Model) -> Option<String> {
    let baseline = model.baseline().map_or("baseline", |arm| arm.name.as_str());
    // With one candidate its name heads a column; with several, each row says whose it is.
    let single = if let [only] = model.candidates() { Some(only.name.as_str()) } else { None };
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
    let mut confidences: Vec<String> = Vec::new();
    for confidence in model.gates.iter().filter_map(verdict::confidence) {
        if !confidences.contains(&confidence) {
            confidences.push(confidence);
        }
    }
    let intervals = match confidences.as_slice() {
        [] => String::new(),
        [one] => format!(" with {one} intervals"),
        several => format!(" with intervals of {} confidence", several.join(" and ")),
    };
    format!(
        "Medians over boots; Hodges-Lehmann estimate of the change{intervals}, and p, both by signed ranks within blocks, adjusted \
         for {} (Holm).",
        number::counted(model.gates.len(), "comparison")
    )
}

/// All plots under one axis.
fn plots(model: &Model) -> Vec<String> {
    let several = model.candidates().len() > 1;
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

/// Text of a kernel or a tool, made safe for a line of markdown.
fn plain(text: &str) -> String {
    let mut safe = String::new();
    for letter in text.chars() {
        // Underscores within words and brackets without a target are left to be read as they are.
        if matches!(letter, '*' | '`' | '<' | '\\') {
            safe.push('\\');
        }
        safe.push(letter);
    }
    safe
}

fn notable(model: &Model) -> Option<String> {
    let all = model.explored.iter().filter(|row| explored::is_compared(row)).count();
    if all == 0 {
        return None;
    }
    let notable: Vec<_> = model.explored.iter().filter(|row| explored::is_notable(row)).collect();
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
    Some(lines.join("\n"))
}

fn other(count: usize) -> String {
    format!("{count} other {}", if count == 1 { "series" } else { "series of numbers" })
}

fn facts_section(model: &Model) -> String {
    let mut lines = vec!["### How it was measured".to_owned(), String::new()];
    for (name, fact) in facts(model) {
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
