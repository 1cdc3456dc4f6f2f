//! Arms that failed: what happened, how often, and where to look.

use measure::{ApplyFailure, BuildEnd, Complaint};

use crate::{
    Arm, End, Model, Trial, describe, number,
    outcome::{build_failure, build_name},
};

/// So many lines of a log are shown; the rest is in the evidence.
const EXCERPT_LINES: usize = 12;

/// One thing that went wrong with an arm.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The arm.
    pub(crate) arm: String,
    /// What happened, in a word or two.
    pub(crate) kind: &'static str,
    /// What happened to which arm, as a sentence without a full stop.
    pub(crate) title: String,
    /// Lines of a hunk, a compiler or a console.
    pub(crate) excerpt: Vec<String>,
    /// Whether these are lines of a patch.
    pub(crate) is_hunk: bool,
    /// All lines that were kept, where the excerpt is but some of them.
    pub(crate) whole: Vec<String>,
    /// The file or folder with the rest; relative paths are relative to the run's folder.
    pub(crate) evidence: Option<String>,
}

/// What went wrong, in the order of the arms. Boots that failed in the same way are one finding.
pub(crate) fn findings(model: &Model) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for arm in &model.arms {
        // A build that fails does so at every place of the matrix.
        let name = build_name(model, arm);
        findings
            .extend(build(arm, name).filter(|build| findings.iter().all(|known| known.title != build.title)));
        findings.extend(boots(arm));
    }
    findings
}

fn build(arm: &Arm, name: &str) -> Option<Finding> {
    let end = arm.build.as_ref()?;
    let title = format!("{name} {}", build_failure(end)?);
    Some(match end {
        BuildEnd::Built(_) => return None,
        BuildEnd::DoesNotApply(failure) => Finding {
            arm: arm.name.clone(),
            kind: "does not apply",
            title: format!("{title}{}", place(failure)),
            excerpt: lines(failure.hunk.as_deref().unwrap_or(&failure.message)),
            is_hunk: failure.hunk.is_some(),
            whole: Vec::new(),
            evidence: None,
        },
        BuildEnd::DoesNotCompile { errors, log } => Finding {
            arm: arm.name.clone(),
            kind: "does not compile",
            title,
            excerpt: lines(errors).into_iter().take(EXCERPT_LINES).collect(),
            is_hunk: false,
            whole: lines(errors),
            evidence: Some(log.display().to_string()),
        },
        BuildEnd::ConfigLost { problems } => Finding {
            arm: arm.name.clone(),
            kind: "options lost",
            title: format!("{name} lacks options that were asked for"),
            excerpt: problems.clone(),
            is_hunk: false,
            whole: Vec::new(),
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

fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// How a boot ended badly.
struct Ending {
    kind: &'static str,
    what: String,
    excerpt: Vec<String>,
    whole: Vec<String>,
}

fn boots(arm: &Arm) -> Vec<Finding> {
    // An ending, the first boot that had it, and how many had.
    let mut groups: Vec<(Ending, u32, usize)> = Vec::new();
    for trial in &arm.trials {
        let survived = trial.complaints.iter().filter(|complaint| !complaint.fatal).map(survived);
        for ending in ending(trial).into_iter().chain(survived) {
            match groups.iter_mut().find(|(known, ..)| known.what == ending.what) {
                Some((.., boots)) => *boots += 1,
                None => groups.push((ending, trial.index, 1)),
            }
        }
    }
    let of = number::counted(arm.trials.len(), "boot");
    let finding = |(ending, first, boots): (Ending, u32, usize)| Finding {
        arm: arm.name.clone(),
        kind: ending.kind,
        title: format!("{}, {boots} of {of}: {}", arm.name, ending.what),
        excerpt: ending.excerpt,
        is_hunk: false,
        whole: ending.whole,
        evidence: Some(format!("trials/{first}/")),
    };
    groups.into_iter().map(finding).collect()
}

/// What the kernel complained about and lived on.
fn survived(complaint: &Complaint) -> Ending {
    Ending {
        kind: complaint.kind.words(),
        what: format!("{}, and the {} went on", complaint.title, guest(&complaint.guest)),
        excerpt: stack(complaint),
        whole: lines(&complaint.excerpt),
    }
}

/// A complaint's first line, and its stack with lines of source.
#[must_use]
pub fn stack(complaint: &Complaint) -> Vec<String> {
    let mut text = vec![complaint.words.clone()];
    for frame in complaint.frames.iter().filter(|frame| frame.certain).take(EXCERPT_LINES) {
        let module = frame.module.as_ref().map(|module| format!(" [{module}]")).unwrap_or_default();
        let symbol = format!("{}+{:#x}/{:#x}{module}", frame.function, frame.offset, frame.size);
        // The line itself may be in a function that was inlined; the frame's own function comes last.
        match frame.lines.split_last() {
            None => text.push(format!("  {symbol}")),
            Some((own, inlined)) => {
                let inlined = inlined.iter();
                text.extend(
                    inlined.map(|at| format!("  {} at {}:{} (inlined)", at.function, at.file, at.line)),
                );
                text.push(format!("  {symbol} at {}:{}", own.file, own.line));
            }
        }
    }
    let reason = complaint.undecoded.as_ref();
    text.extend(reason.map(|reason| format!("  (no lines of source: {reason})")));
    text
}

fn ending(trial: &Trial) -> Option<Ending> {
    let fatal = trial.complaints.iter().find(|complaint| complaint.fatal);
    Some(match &trial.end {
        End::Measured => return None,
        End::Crashed { report } if let Some(complaint) = fatal => Ending {
            kind: complaint.kind.words(),
            what: match complaint.guest.as_str() {
                "guest" => complaint.title.clone(),
                name => format!("{} ({})", complaint.title, guest(name)),
            },
            excerpt: stack(complaint),
            whole: lines(&report.excerpt),
        },
        End::Crashed { report } => Ending {
            kind: describe::crash(report.kind),
            what: format!(
                "{} of the {}: {}",
                describe::crash(report.kind),
                guest(&report.guest),
                report.title
            ),
            excerpt: around(&report.excerpt, &report.title),
            whole: lines(&report.excerpt),
        },
        End::WorkloadFailed { workload, message } => Ending {
            kind: "workload failed",
            what: format!("workload {workload} failed"),
            excerpt: lines(message),
            whole: Vec::new(),
        },
        End::NotTestable { message } => Ending {
            kind: "not testable",
            what: format!("not testable: {message}"),
            excerpt: Vec::new(),
            whole: Vec::new(),
        },
    })
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
