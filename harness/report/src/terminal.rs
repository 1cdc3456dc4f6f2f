//! The report on a terminal.

use std::fmt::Write as _;

use measure::Unit;
use stats::Summary;

use crate::{
    Colour, Gate, Model, Outcome, SuiteComparison, along,
    explored::{self, Group},
    facts::facts,
    findings::findings,
    number,
    outcome::{conclude, gate_outcome},
    places, plot, profile,
    remarks::remarks,
    suite::words,
    syscalls,
    table::{Align, hang, plain},
    timeline, verdict,
};

/// Rows that are shown of what no gate names, unless everything is asked for: a run has thousands.
const ROWS: usize = 120;

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Single cores and flows only where they differ between arms, and no more rows than one reads.
    Short,
    /// Everything.
    Full,
}

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Whether to use colour.
    pub colour: Colour,
    /// Its width; no more than 100 columns are used, and no fewer than 60.
    pub columns: usize,
    /// How much is shown.
    pub detail: Detail,
}

/// The report for a terminal, with a newline at its end.
#[must_use]
pub fn terminal(model: &Model, terminal: Terminal) -> String {
    let mut page =
        Page { text: String::new(), colour: terminal.colour, columns: terminal.columns.clamp(60, 100) };
    page.head(model);
    page.findings(model);
    page.voids(model);
    page.gates(model);
    page.profiles(model);
    page.suites(model);
    page.timelines(model, terminal.detail);
    page.syscalls(model, terminal.detail);
    page.remarks(model);
    page.curves(model);
    page.explored(model, terminal.detail);
    page.facts(model);
    page.colour.harmless(&page.text)
}

/// Text so far, and what it must fit.
struct Page {
    text: String,
    colour: Colour,
    columns: usize,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn lines(&mut self, lines: impl IntoIterator<Item = String>) {
        lines.into_iter().for_each(|line| self.line(&line));
    }

    fn heading(&mut self, heading: &str) {
        let heading = self.colour.heading(heading);
        self.line("");
        self.line(&heading);
    }

    fn hang(&mut self, lead: &str, text: &str) {
        let lines = hang(lead, text, self.columns);
        self.lines(lines);
    }

    fn head(&mut self, model: &Model) {
        let conclusion = conclude(model);
        let name = self.colour.heading(&model.plan.scenario);
        let outcome = match model.is_imported() {
            true => "imported".to_owned(),
            false => self.colour.outcome(conclusion.outcome, conclusion.outcome.word()),
        };
        self.line(&format!("{name}: {outcome}"));
        self.hang("", &model.plan.question);
        self.line("");
        for reason in &conclusion.reasons {
            self.hang("  - ", reason);
        }
    }

    fn findings(&mut self, model: &Model) {
        let findings = findings(model);
        if findings.is_empty() {
            return;
        }
        self.heading("What failed");
        for finding in findings {
            self.hang("  ", &finding.title);
            // A hunk or a console is not wrapped: its columns mean something.
            self.lines(finding.excerpt.iter().map(|line| format!("    | {line}").trim_end().to_owned()));
            if let Some(evidence) = finding.evidence {
                let evidence = match &model.run.folder {
                    Some(folder) => folder.join(evidence).display().to_string(),
                    None => evidence,
                };
                self.line(&format!("    see {evidence}"));
            }
        }
    }

    fn gates(&mut self, model: &Model) {
        if model.gates.is_empty() {
            return;
        }
        self.heading(&format!("Gates, at a family-wise level of {}", model.plan.alpha));
        if let Some(legend) = verdict::legend(model.gates.iter().map(|gate| &gate.judgement)) {
            self.hang("  ", &legend);
            self.line("");
        }
        for (index, gates) in places::asked(&model.gates).enumerate() {
            if index > 0 {
                self.line("");
            }
            match gates {
                [gate] => self.gate(model, gate),
                several => self.gate_at_places(several),
            }
        }
    }

    /// A gate at several places: a line for each, with as much as fits.
    fn gate_at_places(&mut self, gates: &[Gate]) {
        let [gate, ..] = gates else { return };
        let (label, expected) = (places::label(&gate.series), crate::describe::expectation(gate.expect));
        let (margin, direction) = (number::percent(gate.margin), verdict::direction(gate.better));
        self.hang(
            "  ",
            &format!("{label}, {} (expected: {expected}; margin {margin}, {direction})", gate.arm),
        );
        let tables = [(true, true), (false, true), (true, false), (false, false)];
        let tables = tables.map(|(baseline, plot)| (plot, places_table(gates, baseline, plot)));
        let fits = |lines: &[String]| lines.iter().all(|line| line.chars().count() <= self.columns);
        let narrowest = tables.len() - 1;
        let chosen = tables.iter().position(|(_, lines)| fits(lines)).unwrap_or(narrowest);
        let (has_plot, lines) = &tables[chosen];
        for (index, line) in lines.iter().enumerate() {
            // The verdict stands first in its line. The line above them all is the plots' header.
            let gate = index.checked_sub(usize::from(*has_plot)).and_then(|index| gates.get(index));
            let line = match gate {
                Some(gate) => {
                    let word = gate.judgement.verdict.to_string();
                    line.replacen(&word, &self.colour.verdict(gate.judgement.verdict), 1)
                }
                None => self.colour.faint(line),
            };
            self.line(&line);
        }
        for gate in gates {
            for note in verdict::notes(gate) {
                self.hang("      - ", &format!("{}: {note}", crate::describe::place(&gate.series.at)));
            }
        }
    }

    fn gate(&mut self, model: &Model, gate: &Gate) {
        let word = self.colour.verdict(gate.judgement.verdict);
        let outcome = gate_outcome(gate);
        let expected = format!("expected: {}", crate::describe::expectation(gate.expect));
        let outcome = match outcome {
            Outcome::Unclear => expected,
            decided => format!("{}, {expected}", self.colour.outcome(decided, decided.word())),
        };
        let label = crate::describe::label(&gate.series);
        self.hang("  ", &format!("{label}, {}: {word} ({outcome})", gate.arm));
        let baseline = model.baseline_side();
        let width = baseline.chars().count().max(gate.arm.chars().count()).max("change".len());
        for (name, summary) in [(baseline, gate.baseline), (gate.arm.as_str(), gate.candidate)] {
            let values = summary.map_or_else(|| "no values".to_owned(), |summary| boots(&summary, gate.unit));
            self.line(&format!("    {name:width$}  {values}"));
        }
        self.hang(&format!("    {:width$}  ", "change"), &change(gate));
        for note in verdict::notes(gate) {
            self.hang(&format!("    {:width$}  ", ""), &note);
        }
        if let Some(plot) = plot::plot(gate) {
            let header = self.colour.faint(plot::header().trim_end());
            self.line(&format!("    {:width$}  {header}", ""));
            self.line(format!("    {:width$}  {plot}", "").trim_end());
        }
    }

    fn profiles(&mut self, model: &Model) {
        if model.profiles.is_empty() {
            return;
        }
        self.heading(profile::HEADING);
        for profiled in &model.profiles {
            let (colour, columns) = (self.colour, self.columns);
            self.lines(profile::section_lines(profiled, colour, columns));
        }
        for legend in profile::legends(&model.profiles, false) {
            self.hang("  ", &legend);
        }
        self.hang("  ", profile::MORE);
    }

    fn suites(&mut self, model: &Model) {
        const DIFFERING: usize = 40;
        const FAILURES: usize = 30;
        for suite in &model.suites {
            self.heading(&format!("Kernel tests: {}", suite.workload));
            let numbers = [Align::Left, Align::Left];
            let right = [Align::Right; 6];
            let lines = plain(&words::counts(suite), &[&numbers[..], &right[..]].concat());
            self.lines(lines.into_iter().map(|line| format!("  {line}")));
            if !suite.failures.is_empty() {
                self.line("");
                self.line("  What fails:");
                for line in words::failures(&suite.failures, FAILURES) {
                    self.hang("    ", &line);
                }
            }
            for comparison in &suite.comparisons {
                self.line("");
                if let Some(gate) = &comparison.gate {
                    let word = self.colour.outcome(gate.outcome, gate.outcome.word());
                    let expected = words::expectation(gate.expect);
                    self.hang("  ", &format!("{}: {word} (expected: {expected})", comparison.arm));
                    for reason in &gate.reasons {
                        self.hang("    - ", reason);
                    }
                }
                if comparison.differing.is_empty() {
                    self.line(&format!(
                        "  No test differs between {} and {}.",
                        comparison.baseline, comparison.arm
                    ));
                } else {
                    self.differing(comparison, DIFFERING);
                    let more = comparison.differing.len().saturating_sub(DIFFERING);
                    if more > 0 {
                        self.line(&format!("  {more} more, in report.json"));
                    }
                }
                self.hang("  ", &words::alike(comparison));
                if !comparison.common_failures.is_empty() {
                    self.line("  Fail in every boot of both:");
                    for line in words::failures(&comparison.common_failures, FAILURES) {
                        self.hang("    ", &line);
                    }
                }
            }
        }
    }

    /// A table, or where names are too long for one, a paragraph for each test.
    fn differing(&mut self, comparison: &SuiteComparison, most: usize) {
        let lines = plain(&words::differing(comparison, most), &[Align::Left; 4]);
        if lines.iter().all(|line| line.chars().count() + 2 <= self.columns) {
            return self.lines(lines.into_iter().map(|line| format!("  {line}")));
        }
        for row in comparison.differing.iter().take(most) {
            self.hang("  ", &words::sentence(comparison, row));
        }
    }

    fn voids(&mut self, model: &Model) {
        if model.voids.is_empty() {
            return;
        }
        self.heading("Void: not on the path that was asked for, and compared with nothing");
        for cell in &model.voids {
            self.hang("  - ", &format!("{}, {}: {}", cell.name(), cell.share(), cell.why()));
        }
    }

    /// What the levels did over time.
    fn timelines(&mut self, model: &Model, detail: Detail) {
        let most = match detail {
            Detail::Short => 4,
            Detail::Full => usize::MAX,
        };
        let (shown, left_out) = timeline::shown(model, most);
        if shown.is_empty() {
            return;
        }
        self.heading(timeline::HEADING);
        self.hang("  ", timeline::LEGEND);
        for timeline in shown {
            self.hang("  ", &timeline.title());
            let lines = plain(&timeline.table(), &timeline::ALIGN);
            self.lines(lines.into_iter().map(|line| format!("    {line}")));
        }
        if left_out > 0 {
            self.hang("  ", &format!("{left_out} more: report.html"));
        }
    }

    fn syscalls(&mut self, model: &Model, detail: Detail) {
        let tables = syscalls::tables(model);
        if tables.is_empty() {
            return;
        }
        self.heading(syscalls::HEADING);
        self.hang("  ", syscalls::LEGEND);
        let (most, calls) = match detail {
            Detail::Short => (6, 8),
            Detail::Full => (usize::MAX, usize::MAX),
        };
        for table in tables.iter().take(most) {
            self.hang("  ", &table.title);
            let lines = plain(&table.rows(calls), &table.align());
            self.lines(lines.into_iter().map(|line| format!("    {line}")));
            self.lines(table.left_out(calls).map(|more| format!("    {more}")));
        }
        let more = tables.len().saturating_sub(most);
        if more > 0 {
            self.hang("  ", &format!("{}: report.html", number::counted(more, "more table")));
        }
    }

    fn remarks(&mut self, model: &Model) {
        let remarks = remarks(model);
        if remarks.is_empty() && model.unavailable.is_empty() {
            return;
        }
        self.heading("To be read with it");
        for remark in remarks {
            self.hang("  - ", &remark);
        }
        for unavailable in &model.unavailable {
            let boots = number::counted(unavailable.boots, "boot");
            self.hang("  - ", &format!("unavailable in {boots}: {}", unavailable.reason));
        }
    }

    /// The numbers along each dimension of a matrix.
    fn curves(&mut self, model: &Model) {
        for group in along::groups(model) {
            self.heading(&format!("Along {}", group.dimension));
            self.hang("  ", &along::legend(&group));
            let lines = along::terminal(&group, self.columns);
            self.lines(lines);
            if let Some(left_out) = along::left_out(&group) {
                self.hang("  ", &left_out);
            }
        }
    }

    fn explored(&mut self, model: &Model, detail: Detail) {
        // In a matrix every number is there once for each place: what stands along its dimensions above is enough.
        let is_matrix = !model.curves.is_empty();
        let shown = |row: &crate::Row| match detail {
            Detail::Full => true,
            Detail::Short if is_matrix => explored::is_notable(row),
            Detail::Short => !explored::is_detail(row),
        };
        let mut groups = explored::groups(model, shown);
        if detail == Detail::Short {
            groups = explored::bounded(groups, ROWS);
        }
        if groups.is_empty() && (!is_matrix || model.explored.is_empty()) {
            return;
        }
        if model.explored.iter().any(explored::is_compared) {
            self.heading("Everything else: leads, not verdicts");
            self.hang(
                "  ",
                "Medians of the baseline, where they fit, and changes with 95 % intervals, each for itself; q: p adjusted by \
                 Benjamini-Hochberg; *: q at most 0.05",
            );
        } else {
            self.heading("Everything that was measured");
        }
        for group in &groups {
            self.line(&format!("  {}", group.title));
            let lines = self.group(model, group);
            self.lines(lines.into_iter().map(|line| format!("  {line}")));
        }
        let rows = || groups.iter().flat_map(|group| group.rows.iter().copied());
        let notable = model.explored.iter().filter(|row| explored::is_notable(row)).count()
            - rows().filter(|row| explored::is_notable(row)).count();
        let hidden = model.explored.len() - rows().count();
        if notable > 0 {
            let hidden = number::counted(hidden, "row");
            self.hang(
                "  ",
                &format!("{hidden} left out, {notable} of them with a difference; report.json has all"),
            );
        } else if hidden > 0 {
            let hidden = number::counted(hidden, "row");
            let what = if is_matrix { "" } else { " of single cores, flows and the like" };
            let compared = model.explored.iter().any(explored::is_compared);
            let how = if compared { "without a difference left out" } else { "left out" };
            self.hang("  ", &format!("{hidden}{what} {how}; report.json has all"));
        }
    }

    /// As many columns as fit: the baseline's median goes first, then q, which the star stands for.
    fn group(&self, model: &Model, group: &Group<'_>) -> Vec<String> {
        let tables = [(true, true), (false, true), (false, false)]
            .map(|(baseline, q)| table(model, group, baseline, q));
        let fits = |lines: &Vec<String>| lines.iter().all(|line| line.chars().count() + 2 <= self.columns);
        let [widest, narrower, narrowest] = tables;
        [widest, narrower].into_iter().find(fits).unwrap_or(narrowest)
    }

    fn facts(&mut self, model: &Model) {
        self.heading("How it was measured");
        for (name, fact) in facts(model) {
            self.hang(&format!("  {name}: "), &fact);
        }
        if !model.run.repeat.is_empty() {
            self.heading("To repeat it");
            self.lines(model.run.repeat.iter().map(|command| format!("  {command}")));
        }
    }
}

/// `557.0 Mbit/s, median of 8 boots that vary by 0.5 %`.
fn boots(summary: &Summary, unit: Unit) -> String {
    let mut text = number::median(summary, unit);
    let _ = write!(text, ", median of {}", number::counted(summary.boots, "boot"));
    if let Some(variation) = summary.variation {
        let _ = write!(text, " that vary by {}", number::rough_percent(variation));
    }
    text
}

/// The change, and how sure it is.
fn change(gate: &Gate) -> String {
    let mut text = verdict::change(gate);
    if let Some(confidence) = verdict::confidence(gate) {
        let _ = write!(text, " at {confidence} confidence, p {}", number::probability(gate.judgement.p));
    }
    let _ = write!(text, "; margin {}, {}", number::percent(gate.margin), verdict::direction(gate.better));
    text
}

/// The places of a gate as lines.
fn places_table(gates: &[Gate], baseline: bool, with_plot: bool) -> Vec<String> {
    let rows = gates.iter().map(|gate| {
        let verdict = gate.judgement.verdict.to_string();
        let mut cells = vec![format!("    {verdict}"), crate::describe::place(&gate.series.at)];
        if baseline {
            cells.push(
                gate.baseline.map_or_else(|| "-".to_owned(), |summary| number::median(&summary, gate.unit)),
            );
        }
        cells.push(verdict::change(gate));
        if with_plot {
            cells.push(plot::plot(gate).unwrap_or_default());
        }
        cells
    });
    let mut rows: Vec<Vec<String>> = rows.collect();
    if with_plot {
        let mut header = vec![String::new(); rows.first().map_or(0, Vec::len)];
        if let Some(last) = header.last_mut() {
            *last = plot::header();
        }
        rows.insert(0, header);
    }
    let align = if baseline { vec![Align::Left, Align::Left, Align::Right] } else { vec![Align::Left] };
    plain(&rows, &align)
}

/// One group as lines.
fn table(model: &Model, group: &Group<'_>, baseline: bool, q: bool) -> Vec<String> {
    let several = model.candidate_sides().len() > 1;
    let mut rows = Vec::new();
    for row in &group.rows {
        let metric = crate::describe::metric(&row.series);
        if explored::candidates(row).next().is_none() {
            rows.push(vec![format!("  {metric}"), explored::baseline(row), spread(row)]);
        }
        for (index, candidate) in explored::candidates(row).enumerate() {
            let star = if explored::candidate_is_notable(candidate) { "*" } else { " " };
            let first = index == 0;
            let mut cells = vec![format!("{star} {}", if first { metric.as_str() } else { "" })];
            if baseline {
                cells.push(if first { explored::baseline(row) } else { String::new() });
            }
            if several {
                cells.push(candidate.arm.clone());
            }
            cells.push(explored::change(row, candidate));
            if q {
                cells.push(format!("q {}", explored::q(candidate)));
            }
            rows.push(cells);
        }
    }
    let align = if baseline { [Align::Left, Align::Right] } else { [Align::Left; 2] };
    plain(&rows, &align)
}

/// What a single arm's boots look like.
fn spread(row: &crate::Row) -> String {
    let Some(summary) = &row.baseline else { return String::new() };
    let of = |value| number::value(value, row.unit, summary.variation);
    format!("{} to {} in {}", of(summary.min), of(summary.max), number::counted(summary.boots, "boot"))
}
