//! What was read of a file.

use std::collections::HashMap;

use measure::{Dims, MetricDef};

use crate::{
    Format, RunName,
    limits::{COMPLAINTS, FIGURES},
    text::word,
};

/// What was read of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// In the order of the file.
    pub parts: Vec<Part>,
    /// What could not be read, in the order of the file.
    pub complaints: Vec<Complaint>,
    /// Complaints beyond those.
    pub more_complaints: usize,
    /// Lines that are prose, commands or headings.
    pub prose: usize,
    figures: usize,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// From 1.
    pub line: usize,
    /// Why not: a fragment.
    pub message: String,
}

/// What one tool wrote under one heading.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Which tool.
    pub format: Format,
    /// The run that it belongs to, if a run's name stood before it.
    pub run: Option<RunName>,
    /// What the tool calls the run, where that is no run's name.
    pub label: Option<String>,
    /// What it is of: the heading as a name, if there is one.
    pub workload: Option<String>,
    /// Headings and commands that stood with it.
    pub said: Vec<String>,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// What the tool says that it could not measure.
    pub unavailable: Vec<String>,
    /// The first line.
    pub line: usize,
}

/// One number.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What it is of.
    pub metric: &'static MetricDef,
    /// In the metric's unit; finite.
    pub value: f64,
    /// The metric's dimensions.
    pub dims: Dims,
    /// Where it stands.
    pub line: usize,
}

impl Part {
    pub(crate) fn new(format: Format, line: usize) -> Self {
        Self {
            format,
            run: None,
            label: None,
            workload: None,
            said: Vec::new(),
            figures: Vec::new(),
            unavailable: Vec::new(),
            line,
        }
    }

    /// Adds a number.
    pub(crate) fn add(&mut self, metric: &'static MetricDef, value: f64, dims: &[(&str, &str)], line: usize) {
        let dims: Dims = dims.iter().map(|(name, value)| ((*name).to_owned(), word(value))).collect();
        debug_assert!(
            dims.keys().all(|name| metric.dims.contains(&name.as_str())),
            "{} {dims:?}",
            metric.name
        );
        self.figures.push(Figure { metric, value, dims, line });
    }
}

impl Reading {
    /// Notes what cannot be read.
    pub(crate) fn complain(&mut self, line: usize, message: String) {
        if self.complaints.len() < COMPLAINTS {
            self.complaints.push(Complaint { line, message });
        } else {
            self.more_complaints += 1;
        }
    }

    /// Takes a part, as far as there is room.
    pub(crate) fn push(&mut self, mut part: Part) {
        let room = FIGURES.saturating_sub(self.figures);
        if let Some(first) = part.figures.get(room) {
            let message =
                format!("more than {FIGURES} numbers in a file: this one and all later ones are not read");
            let line = first.line;
            part.figures.truncate(room);
            if room > 0 || self.complaints.last().is_none_or(|last| last.message != message) {
                self.complain(line, message);
            }
        }
        self.figures += part.figures.len();
        if !part.figures.is_empty() || !part.unavailable.is_empty() {
            self.parts.push(part);
        }
    }

    /// Where a part has two numbers of one name, the later one counts, and that is told. A value that is no number, which a sum may
    /// come to, is told as well.
    pub(crate) fn settle(&mut self) {
        let mut complaints = Vec::new();
        for part in &mut self.parts {
            let mut last: HashMap<(&str, Dims), usize> = HashMap::new();
            for (index, figure) in part.figures.iter().enumerate() {
                last.insert((figure.metric.name, figure.dims.clone()), index);
            }
            let mut index = 0;
            part.figures.retain(|figure| {
                let of = last[&(figure.metric.name, figure.dims.clone())];
                let is_last = of == index;
                index += 1;
                // A map that is printed again is the same map later.
                if !is_last && part.format != Format::Bpftrace {
                    complaints.push((
                        figure.line,
                        format!("{} is given again below, and the later one counts", name(figure)),
                    ));
                }
                if is_last && !figure.value.is_finite() {
                    complaints.push((figure.line, format!("{} is no finite number", name(figure))));
                }
                is_last && figure.value.is_finite()
            });
        }
        for (line, message) in complaints {
            self.complain(line, message);
        }
        self.complaints.sort_by_key(|complaint| complaint.line);
        self.parts.retain(|part| !part.figures.is_empty() || !part.unavailable.is_empty());
    }

    /// The formats that something was read of.
    #[must_use]
    pub fn formats(&self) -> Vec<Format> {
        let mut formats: Vec<Format> = self.parts.iter().map(|part| part.format).collect();
        formats.sort_unstable();
        formats.dedup();
        formats
    }

    /// How many numbers were read.
    #[must_use]
    pub fn figures(&self) -> usize {
        self.parts.iter().map(|part| part.figures.len()).sum()
    }
}

fn name(figure: &Figure) -> String {
    let dims: Vec<&str> = figure.dims.values().map(String::as_str).collect();
    format!("{} {}", figure.metric.name, dims.join(" ")).trim_end().to_owned()
}
