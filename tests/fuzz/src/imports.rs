//! What others measured, of every format.

use std::collections::BTreeSet;

use import::{Format, Reading, Source, arrange, limits, read, run_name};

use crate::sections::{Section, split};

/// One input: a file as it is, whose first line may be a run's name; it is read as what it is, and as what it is not. Or the
/// files of one run, each a section.
pub fn run(input: &[u8]) {
    let files = split(input);
    if files.len() > 1 {
        return of_one_run(&files);
    }
    let run =
        input.split(|byte| *byte == b'\n').next().and_then(|line| run_name(std::str::from_utf8(line).ok()?));
    let lines = input.iter().filter(|byte| **byte == b'\n').count() + 1;
    let other = Format::ALL[input.len() % Format::ALL.len()];
    for format in [None, Some(other)] {
        let reading = read(input, format);
        check(&reading, lines);
        let sources = ["a/x.log", "b/x.log"].map(|name| Source {
            name: name.to_owned(),
            run: run.clone(),
            reading: reading.clone(),
        });
        arranged(sources.into());
    }
}

fn of_one_run(files: &[Section<'_>]) {
    let run = files.iter().find_map(|(name, _)| run_name(name.split('/').next()?));
    let source = |(index, (name, content)): (usize, &Section<'_>)| {
        let reading = read(content, None);
        check(&reading, content.iter().filter(|byte| **byte == b'\n').count() + 1);
        // No folder has two files of one name.
        Source { name: format!("{index}-{name}"), run: run.clone(), reading }
    };
    arranged(files.iter().enumerate().map(source).collect());
}

fn check(reading: &Reading, lines: usize) {
    assert!(reading.figures() <= limits::FIGURES);
    assert!(reading.complaints.len() <= limits::COMPLAINTS);
    for complaint in &reading.complaints {
        assert!((1..=lines).contains(&complaint.line), "line {} of {lines}", complaint.line);
        assert!(
            complaint.message.len() < 4096 && !complaint.message.contains(char::is_control),
            "{complaint:?}"
        );
    }
    for figure in reading.parts.iter().flat_map(|part| &part.figures) {
        assert!(figure.value.is_finite());
        for (name, text) in &figure.dims {
            assert!(figure.metric.dims.contains(&name.as_str()), "{name}");
            assert!(text.chars().count() <= limits::WORD + 3 && !text.contains(char::is_control), "{text:?}");
        }
    }
}

/// Names are fit for files, every trial is one of an arm, and has no number twice.
fn arranged(sources: Vec<Source>) {
    let arranged = arrange("x", "?", sources);
    let plan = serde_json::to_vec(&arranged.plan).expect("it has string keys");
    assert_eq!(
        serde_json::from_slice::<plan::Plan>(&plan).expect("what was written can be read"),
        arranged.plan
    );
    for name in
        arranged.plan.arms.iter().map(|arm| &arm.name).chain(arranged.plan.workloads.iter().map(|w| &w.name))
    {
        assert!(!name.is_empty() && !name.contains(['/', '\0']) && name != "..", "{name}");
    }
    for trial in &arranged.trials {
        assert!(arranged.plan.arm(&trial.arm).is_some(), "{}", trial.arm);
        let mut known = BTreeSet::new();
        for sample in trial.end.samples() {
            let mut dims = sample.dims.clone();
            dims.remove("tool");
            assert!(known.insert((&sample.metric, dims)), "{sample:?}");
        }
    }
}
