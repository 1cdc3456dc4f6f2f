//! What is wrong with a file, and where.

use std::{
    fmt::{self, Write as _},
    path::{Path, PathBuf},
    rc::Rc,
};

/// One thing that is wrong with a file of the user's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, by the path under which it was opened.
    pub file: PathBuf,
    /// The line, counted from 1; none if the file could not be read at all.
    pub line: Option<usize>,
    /// Where in the file's structure: `machine.server.iommu`, `gates[1].margin`; empty for the file as a whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub allowed: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map(|line| format!("{line}:")).unwrap_or_default();
        let path = if self.path.is_empty() { String::new() } else { format!(" {}:", self.path) };
        let text = format!("{}:{line}{path} {} ({})", self.file.display(), self.message, self.allowed);
        // A file's name may hold what a terminal obeys.
        text.chars().try_for_each(|c| f.write_char(if c.is_control() && c != '\n' { '\u{fffd}' } else { c }))
    }
}

/// Everything that is wrong with a scenario and the files that it names: never empty, in order of file and line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Each problem.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    /// One line for each problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A place in a file: the file, a line, and the path of keys that leads there.
#[derive(Clone, Debug)]
pub(crate) struct Place(Rc<Step>);

#[derive(Debug)]
struct Step {
    file: Rc<Path>,
    line: Option<usize>,
    parent: Option<Place>,
    name: StepName,
}

#[derive(Debug)]
enum StepName {
    Root,
    Key(String),
    Index(usize),
}

impl Place {
    /// The whole of `file`.
    pub(crate) fn file(file: &Path, line: Option<usize>) -> Self {
        Self(Rc::new(Step { file: file.into(), line, parent: None, name: StepName::Root }))
    }

    /// The value of `key` in the map at this place.
    pub(crate) fn key(&self, key: &str, line: usize) -> Self {
        self.child(StepName::Key(key.to_owned()), Some(line))
    }

    /// The value of `key` in the map at this place, where the file does not have it: on the map's own line.
    pub(crate) fn absent_key(&self, key: &str) -> Self {
        self.child(StepName::Key(key.to_owned()), self.0.line)
    }

    /// An item of the list at this place.
    pub(crate) fn item(&self, index: usize, line: usize) -> Self {
        self.child(StepName::Index(index), Some(line))
    }

    fn child(&self, name: StepName, line: Option<usize>) -> Self {
        Self(Rc::new(Step { file: Rc::clone(&self.0.file), line, parent: Some(self.clone()), name }))
    }

    /// The line, if there is one.
    pub(crate) fn line(&self) -> Option<usize> {
        self.0.line
    }

    /// The path of keys: `arms.candidate.series[0]`.
    fn path(&self) -> String {
        let mut path = self.0.parent.as_ref().map_or_else(String::new, Self::path);
        match &self.0.name {
            StepName::Root => {}
            StepName::Key(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
            StepName::Index(index) => path.push_str(&format!("[{index}]")),
        }
        path
    }
}

/// Collects problems, so that all are told at once.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Problem>);

impl Findings {
    /// Something is wrong at `place`, and `allowed` would be right.
    pub(crate) fn add(&mut self, place: &Place, message: impl Into<String>, allowed: impl Into<String>) {
        self.0.push(Problem {
            file: place.0.file.to_path_buf(),
            line: place.0.line,
            path: place.path(),
            message: message.into(),
            allowed: allowed.into(),
        });
    }

    /// `value`, if nothing is wrong.
    ///
    /// # Errors
    /// All problems, each once: a default that several arms share is read once for each of them.
    ///
    /// # Panics
    /// If there is neither a value nor a problem, which would leave the user without a reason.
    pub(crate) fn conclude<T>(mut self, value: Option<T>) -> Result<T, Problems> {
        if self.0.is_empty() {
            return Ok(value.expect("whatever could not be read left a problem"));
        }
        self.0.sort();
        self.0.dedup();
        Err(Problems(self.0))
    }
}
