//! What ends a command early, and the exit status that says whose it is.

use std::{fmt, path::PathBuf, process::ExitCode};

use scenario::Problems;
use serde::Serialize;

use crate::hints;

/// Exit status of what somebody stopped: 128 and SIGINT's number, as shells have it.
pub(crate) const INTERRUPTED: u8 = 130;

/// A command could not give an answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The user's to mend: exit 2. Every problem at once.
    User(Mistakes),
    /// The machine's or ours: exit 69 (`EX_UNAVAILABLE`). Says nothing about any kernel.
    Infrastructure(anyhow::Error),
    /// Ctrl-C or SIGTERM: exit 130.
    Interrupted(String),
}

/// Everything that is wrong with the input, and what to type next.
#[derive(Debug)]
pub(crate) struct Mistakes {
    problems: Vec<Mistake>,
    hints: Vec<String>,
}

/// One thing that is wrong.
#[derive(Debug, Serialize)]
struct Mistake {
    /// What is wrong; some span several lines.
    message: String,
    /// In which file, if it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    /// In which line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// At which key: `gates[1].margin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<String>,
    /// As a person reads it.
    #[serde(skip)]
    text: String,
}

/// A failure for programs: `--json` prints it to standard error. Empty lists and what is unknown are left out.
#[derive(Serialize)]
struct Report<'a> {
    kind: &'static str,
    exit: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [Mistake],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<String>,
}

impl Failure {
    /// A mistake of the user's.
    pub(crate) fn user(mistakes: impl Into<Mistakes>) -> Self {
        Self::User(mistakes.into())
    }

    /// What to type next, for a mistake of the user's.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::User(mistakes) = &mut self {
            mistakes.hints.push(hint.into());
        }
        self
    }

    /// Whether a guest has gone while something was asked of it.
    pub(crate) fn is_closed_session(&self) -> bool {
        let Self::Infrastructure(error) = self else { return false };
        matches!(error.downcast_ref(), Some(machine::SessionError::Closed { .. }))
    }

    /// Prints it once, on standard error: for people, or as one JSON document.
    pub(crate) fn tell(&self, json: bool) {
        if json {
            self.print_json();
        } else {
            self.print();
        }
    }

    /// Prints it, once, causes included.
    pub(crate) fn print(&self) {
        match self {
            Self::User(mistakes) => eprintln!("{mistakes}"),
            Self::Infrastructure(error) => {
                eprintln!("error: {error}");
                for cause in error.chain().skip(1) {
                    eprintln!("  caused by: {cause}");
                }
            }
            Self::Interrupted(message) => eprintln!("{message}"),
        }
        for hint in self.hints() {
            eprintln!("  hint: {hint}");
        }
    }

    fn print_json(&self) {
        let (message, causes, problems) = match self {
            Self::User(mistakes) => (None, vec![], mistakes.problems.as_slice()),
            Self::Infrastructure(error) => {
                let causes = error.chain().skip(1).map(ToString::to_string).collect();
                (Some(error.to_string()), causes, &[][..])
            }
            Self::Interrupted(message) => (Some(message.clone()), vec![], &[][..]),
        };
        let kind = match self {
            Self::User(_) => "user",
            Self::Infrastructure(_) => "infrastructure",
            Self::Interrupted(_) => "interrupted",
        };
        let report = Report { kind, exit: self.status(), message, causes, problems, hints: self.hints() };
        eprintln!("{}", serde_json::json!({ "error": report }));
    }

    /// All of it in one line, causes included.
    pub(crate) fn in_a_line(&self) -> String {
        match self {
            Self::User(mistakes) => mistakes.to_string(),
            Self::Interrupted(message) => message.clone(),
            Self::Infrastructure(error) => {
                error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
            }
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status())
    }

    fn status(&self) -> u8 {
        match self {
            Self::User(_) => 2,
            Self::Infrastructure(_) => 69,
            Self::Interrupted(_) => INTERRUPTED,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::User(mistakes) => mistakes.hints.clone(),
            Self::Infrastructure(error) => hints::of(error),
            Self::Interrupted(_) => vec![],
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Infrastructure(error.into())
    }
}

impl From<String> for Mistakes {
    /// One problem a line; a line that begins with a space belongs to the one before it.
    fn from(text: String) -> Self {
        let mut problems: Vec<Mistake> = vec![];
        for line in text.lines() {
            match problems.last_mut().filter(|_| line.starts_with(' ')) {
                Some(before) => {
                    for words in [&mut before.message, &mut before.text] {
                        words.push('\n');
                        words.push_str(line);
                    }
                }
                None => problems.push(Mistake {
                    message: line.strip_prefix("assay: ").unwrap_or(line).to_owned(),
                    file: None,
                    line: None,
                    key: None,
                    allowed: None,
                    text: line.to_owned(),
                }),
            }
        }
        Self { problems, hints: vec![] }
    }
}

impl From<&str> for Mistakes {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<Problems> for Mistakes {
    fn from(problems: Problems) -> Self {
        let problems = problems.iter().map(|problem| Mistake {
            message: problem.message.clone(),
            file: Some(problem.file.clone()),
            line: problem.line,
            key: Some(problem.path.clone()).filter(|key| !key.is_empty()),
            allowed: Some(problem.allowed.clone()).filter(|allowed| !allowed.is_empty()),
            text: problem.to_string(),
        });
        Self { problems: problems.collect(), hints: vec![] }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<&str> = self.problems.iter().map(|problem| problem.text.as_str()).collect();
        f.write_str(&texts.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_problems_and_indented_ones_are_not() {
        let mistakes = Mistakes::from("assay: which guest:\n  --pid 7  6.12\nassay: --disk: two many");
        let messages: Vec<&str> = mistakes.problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(messages, ["which guest:\n  --pid 7  6.12", "--disk: two many"]);
        assert_eq!(mistakes.to_string(), "assay: which guest:\n  --pid 7  6.12\nassay: --disk: two many");
    }
}
