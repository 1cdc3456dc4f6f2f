//! Arms that failed: what happened, how often, and where to look.

use measure::{ApplyFailure, BuildEnd};

use crate::{Arm, End, Model, describe, number, outcome::build_failure};

/// So many lines of a log are shown; the rest is in the evidence.
const EXCERPT_LINES: usize = 12;

/// One thing that went wrong with an arm.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What happened to which arm, as a sentence without a full stop.
    pub(crate) title: String,
    /// Lines of a hunk, a compiler or a console.
    pub(crate) excerpt: Vec<String>,
    /// The file or folder with the rest; relative paths are relative to the run's folder.
    pub(crate) evidence: Option<String>,
}

/// What went wrong, in the order of the arms. Boots that failed in the same way are one finding.
pub(crate) fn findings(model: &Model) -> Vec<Finding> {
    model.arms.iter().flat_map(|arm| build(arm).into_iter().chain(boots(arm))).collect()
}

fn build(arm: &Arm) -> Option<Finding> {
    let end = arm.build.as_ref()?;
    let title = format!("{} {}", arm.name, build_failure(end)?);
    Some(match end {
        BuildEnd::Built(_) => return None,
        BuildEnd::DoesNotApply(failure) => Finding {
            title: format!("{title}{}", place(failure)),
            excerpt: failure
                .hunk
                .as_deref()
                .unwrap_or(&failure.message)
                .lines()
                .map(ToOwned::to_owned)
                .collect(),
            evidence: None,
        },
        BuildEnd::DoesNotCompile { errors, log } => Finding {
            title,
            excerpt: errors.lines().take(EXCERPT_LINES).map(ToOwned::to_owned).collect(),
            evidence: Some(log.display().to_string()),
        },
        BuildEnd::ConfigLost { problems } => Finding {
            title: format!("{} lacks options that were asked for", arm.name),
            excerpt: problems.clone(),
            evidence: None,
        },
    })
}

fn place(failure: &ApplyFailure) -> String {
    match (&failure.file, failure.line) {
        (Some(file), Some(line)) => format!(" at {file}:{line}"),
        (Some(file), None) => format!(" at {file}"),
        (None, _) => String::new(),
    }
}

fn boots(arm: &Arm) -> Vec<Finding> {
    let mut groups: Vec<(String, Vec<String>, u32, usize)> = Vec::new();
    for trial in &arm.trials {
        let Some((what, excerpt)) = ending(&trial.end) else { continue };
        match groups.iter_mut().find(|(known, ..)| *known == what) {
            Some((.., boots)) => *boots += 1,
            None => groups.push((what, excerpt, trial.index, 1)),
        }
    }
    let of = number::counted(arm.trials.len(), "boot");
    let finding = |(what, excerpt, first, boots)| Finding {
        title: format!("{}, {boots} of {of}: {what}", arm.name),
        excerpt,
        evidence: Some(format!("trials/{first}/")),
    };
    groups.into_iter().map(finding).collect()
}

fn ending(end: &End) -> Option<(String, Vec<String>)> {
    match end {
        End::Measured => None,
        End::Crashed { report } => {
            let what =
                format!("{} of the {}: {}", describe::crash(report.kind), guest(&report.guest), report.title);
            Some((what, around(&report.excerpt, &report.title)))
        }
        End::WorkloadFailed { workload, message } => {
            Some((format!("workload {workload} failed"), message.lines().map(ToOwned::to_owned).collect()))
        }
        End::NotTestable { message } => Some((format!("not testable: {message}"), Vec::new())),
    }
}

fn guest(name: &str) -> String {
    if name == "guest" { name.to_owned() } else { format!("{name} guest") }
}

/// The lines from the title on, or the last ones if it is not there.
fn around(excerpt: &str, title: &str) -> Vec<String> {
    let lines: Vec<&str> = excerpt.lines().map(str::trim_end).collect();
    let found = lines.iter().position(|line| !title.is_empty() && line.contains(title));
    let start = found.unwrap_or(lines.len().saturating_sub(EXCERPT_LINES));
    lines.iter().skip(start).take(EXCERPT_LINES).map(ToString::to_string).collect()
}
