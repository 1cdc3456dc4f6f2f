//! A list of runs.

use serde::Serialize;

use crate::{
    Colour, Outcome, Terminal, number,
    table::{Align, hang, plain},
};

/// A results folder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunList {
    /// [`super::HISTORY_FORMAT`] of the writer.
    pub format: u32,
    /// The folder.
    pub results: String,
    /// Newest first.
    pub runs: Vec<RunLine>,
    /// How many older ones there are.
    pub not_shown: usize,
    /// Names of folders for which kernels are being built right now.
    pub building: Vec<String>,
    /// Names of folders that interrupted builds left, with nothing but logs in them.
    pub leftovers: Vec<String>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunLine {
    /// Name of its folder.
    pub run: String,
    /// How far it got.
    #[serde(flatten)]
    pub state: RunState,
    /// When it was started, RFC 3339; this and all that follows is null or empty for a damaged run.
    pub started: Option<String>,
    /// Seconds since then, for people.
    #[serde(skip)]
    pub age_seconds: Option<f64>,
    /// The scenario's name.
    pub scenario: Option<String>,
    /// Its question.
    pub question: Option<String>,
    /// Version of the `assay` that ran it.
    pub assay: Option<String>,
    /// The host in a line.
    pub host: Option<String>,
    /// Boots that were made.
    pub trials_made: Option<u32>,
    /// Boots that were planned.
    pub trials_planned: Option<u32>,
    /// Whether its numbers were measured elsewhere: nothing of it is judged. Left out if they were not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// `holds`, `fails` or `unclear`.
    pub outcome: Option<Outcome>,
    /// The exit status that goes with it.
    pub exit: Option<u8>,
    /// In the order of the plan; the first is the baseline.
    pub arms: Vec<ArmLine>,
    /// Each gate on each candidate arm.
    pub gates: Vec<GateLine>,
}

/// How far a run got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RunState {
    /// Every boot was made, or left out because its arm had failed before.
    Complete,
    /// A process writes to it right now.
    Running,
    /// It can be taken up again.
    Interrupted,
    /// It cannot be read.
    Damaged {
        /// Why not.
        reason: String,
    },
}

/// An arm of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArmLine {
    /// Its name.
    pub name: String,
    /// The side of the comparison that it belongs to: its name without its place in a matrix.
    pub side: String,
    /// Base, series, options and parameters in a line.
    pub kernel: String,
    /// `uname -r`; null if there is no image.
    pub release: Option<String>,
    /// The exact version of the source; null if there is no image.
    pub source_version: Option<String>,
    /// Why there is no image; null if there is one.
    pub build_failure: Option<String>,
    /// Boots that were made.
    pub boots: u32,
    /// Boots in which not all workloads ran: crashes, hangs, tools that failed.
    pub boots_failed: u32,
}

/// A gate on a candidate arm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GateLine {
    /// The candidate: the side that is compared with the baseline.
    pub arm: String,
    /// What is judged.
    pub gate: String,
    /// `better`, `worse`, `same` or `unclear`.
    pub verdict: String,
}

/// The list as JSON.
#[must_use]
pub fn runs_json(list: &RunList) -> String {
    super::json(list)
}

/// The list for a terminal.
#[must_use]
pub fn runs_text(list: &RunList, terminal: Terminal) -> String {
    let colour = terminal.colour;
    let mut lines = Vec::new();
    if list.runs.is_empty() && list.not_shown == 0 {
        lines.push(format!("no runs in {}", list.results));
    } else {
        lines.extend(table(list, terminal));
    }
    if list.not_shown > 0 {
        lines.push(colour.faint(&format!("{} older runs are not shown", list.not_shown)));
    }
    for name in &list.building {
        lines.push(format!("{name}: kernels are being built for it"));
    }
    if !list.leftovers.is_empty() {
        let text = format!(
            "interrupted while kernels were built, nothing to go on with: {}. `assay runs --prune` removes such folders.",
            list.leftovers.join(", ")
        );
        lines.extend(hang("", &text, terminal.columns.max(40)));
    }
    colour.harmless(&(lines.join("\n") + "\n"))
}

fn table(list: &RunList, terminal: Terminal) -> Vec<String> {
    let columns = terminal.columns.max(40);
    let heading = ["run", "started", "boots", "result"].map(ToOwned::to_owned).to_vec();
    let rows: Vec<Vec<String>> =
        std::iter::once(heading).chain(list.runs.iter().map(|run| cells(run).to_vec())).collect();
    let align = [Align::Left, Align::Right, Align::Right, Align::Left];
    let table = plain(&rows, &align);
    let width = table.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (row, lead) in table.into_iter().enumerate() {
        let lead = format!("{lead:width$}  ");
        let Some(run) = row.checked_sub(1).map(|row| &list.runs[row]) else {
            lines.push(terminal.colour.heading(&format!("{lead}arms and verdicts")));
            continue;
        };
        let mut wrapped = hang(&lead, &verdicts(run), columns).into_iter();
        let first = wrapped.next().unwrap_or_else(|| lead.trim_end().to_owned());
        lines.push(painted(&first, run, terminal.colour));
        lines.extend(wrapped);
        match &run.state {
            RunState::Damaged { reason } => {
                lines.extend(hang("    ", &format!("cannot be read: {reason}"), columns));
            }
            RunState::Interrupted => lines.push(format!("    go on with: assay run --resume {}", run.run)),
            RunState::Complete | RunState::Running => {}
        }
    }
    lines
}

fn cells(run: &RunLine) -> [String; 4] {
    let boots = match (run.trials_made, run.trials_planned) {
        (Some(made), Some(planned)) => format!("{made}/{planned}"),
        _ => "-".to_owned(),
    };
    [run.run.clone(), run.age_seconds.map_or_else(|| "-".to_owned(), ago), boots, word(run).to_owned()]
}

/// The result, or why there is none yet.
fn word(run: &RunLine) -> &'static str {
    match (&run.state, run.outcome) {
        (RunState::Complete, _) if run.imported => "imported",
        (RunState::Complete, Some(outcome)) => outcome.word(),
        (RunState::Complete, None) => "-",
        (RunState::Running, _) => "running",
        (RunState::Interrupted, _) => "interrupted",
        (RunState::Damaged { .. }, _) => "damaged",
    }
}

fn painted(line: &str, run: &RunLine, colour: Colour) -> String {
    let outcome = match (&run.state, run.outcome) {
        (RunState::Complete, Some(outcome)) => outcome,
        (RunState::Damaged { .. }, _) => Outcome::Fails,
        _ => Outcome::Unclear,
    };
    if run.imported {
        return line.to_owned();
    }
    // After the name, which may hold the word as well.
    let word = word(run);
    match line.get(run.run.len()..).and_then(|rest| rest.find(&format!("  {word}"))) {
        Some(at) => {
            let at = run.run.len() + at + 2;
            format!("{}{}{}", &line[..at], colour.outcome(outcome, word), &line[at + word.len()..])
        }
        None => line.to_owned(),
    }
}

/// `6.12.57 baseline; hooks: same`: each release where it first appears, each side with its verdicts.
fn verdicts(run: &RunLine) -> String {
    let mut words = Vec::new();
    let mut last: Option<&str> = None;
    for arms in run.arms.chunk_by(|a, b| a.side == b.side) {
        let mut text = String::new();
        if let Some(release) = arms[0].release.as_deref().filter(|release| last != Some(release)) {
            text.push_str(release);
            text.push(' ');
            last = Some(release);
        }
        text.push_str(&arms[0].side);
        let found = findings(run, arms);
        if !found.is_empty() {
            text.push_str(&format!(": {}", found.join(", ")));
        }
        words.push(text);
    }
    words.join("; ")
}

/// What was found of the arms of one side.
fn findings(run: &RunLine, arms: &[ArmLine]) -> Vec<String> {
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for gate in run.gates.iter().filter(|gate| gate.arm == arms[0].side) {
        match counted.iter_mut().find(|(known, _)| *known == gate.verdict) {
            Some((_, count)) => *count += 1,
            None => counted.push((&gate.verdict, 1)),
        }
    }
    let verdict = |(verdict, count): (&str, usize)| {
        if count > 1 { format!("{verdict} x{count}") } else { verdict.to_owned() }
    };
    let mut found: Vec<String> = counted.into_iter().map(verdict).collect();
    // The name of the patch is in the report.
    let failure = arms.iter().find_map(|arm| arm.build_failure.as_deref()?.split(':').next());
    found.extend(failure.map(ToOwned::to_owned));
    let boots: u32 = arms.iter().map(|arm| arm.boots).sum();
    let failed: u32 = arms.iter().map(|arm| arm.boots_failed).sum();
    if failed > 0 {
        found.push(format!("{failed} of {} failed", number::counted(boots, "boot")));
    }
    found
}

/// `3 h ago`.
fn ago(seconds: f64) -> String {
    let (amount, unit) = match seconds {
        s if s < 90.0 => return "just now".to_owned(),
        s if s < 5400.0 => (s / 60.0, "min"),
        s if s < 48.0 * 3600.0 => (s / 3600.0, "h"),
        s if s < 60.0 * 86_400.0 => (s / 86_400.0, "days"),
        s if s < 730.0 * 86_400.0 => (s / (30.44 * 86_400.0), "months"),
        s => (s / (365.25 * 86_400.0), "years"),
    };
    format!("{amount:.0} {unit} ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_said_as_one_would() {
        let ages = [12.0, -5.0, 100.0, 5399.0, 7200.0, 3.0 * 86_400.0, 90.0 * 86_400.0, 1e8].map(ago);
        let expected = [
            "just now",
            "just now",
            "2 min ago",
            "90 min ago",
            "2 h ago",
            "3 days ago",
            "3 months ago",
            "3 years ago",
        ];
        assert_eq!(ages, expected);
    }
}
