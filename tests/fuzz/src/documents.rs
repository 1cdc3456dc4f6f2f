//! Files in formats of ours: scenarios, bases, series files; runs with their trials and samples.

use std::path::Path;

use scenario::{Overrides, Problems, Project};

use crate::{
    scratch,
    sections::{Section, split},
};

/// One input: files of a project in sections named by their paths, the first being a scenario, a base or a `series.yaml`; or the
/// files of a run, the first being `run.json`.
pub fn run(input: &[u8]) {
    let sections = split(input);
    let Some(&(first, _)) = sections.first() else { return };
    let folder = scratch::folder();
    for (name, content) in &sections {
        scratch::write(folder.path(), name, content);
    }
    if first == "run.json" {
        stored(folder.path());
    } else {
        project(folder.path(), &sections);
    }
}

fn project(folder: &Path, sections: &[Section<'_>]) {
    let project = Project::at(folder);
    for (name, _) in sections {
        if let Some(base) = name.strip_prefix("kernels/").and_then(|name| name.strip_suffix(".yaml")) {
            told(scenario::base(base, &project));
        } else if let Some(series) =
            name.strip_prefix("patches/").and_then(|name| name.strip_suffix("/series.yaml"))
        {
            for base in project.bases() {
                told(scenario::series(series, &base, &project));
            }
        } else if name.ends_with(".yaml") {
            let path = folder.join(name);
            if let Some(plan) = told(scenario::load(&path, &project, &Overrides::default())) {
                let yaml = scenario::to_yaml(&plan).expect("a plan can be written");
                assert!(!yaml.is_empty());
                let json = serde_json::to_string(&plan).expect("a plan can be written");
                let again: plan::Plan = serde_json::from_str(&json).expect("what was written can be read");
                assert_eq!(again, plan);
                let _estimate = scenario::estimate(&plan, &scenario::Known::default());
                let _remarks = scenario::remarks(&plan);
            }
        }
    }
}

/// What it is, or problems, each of which names a place that there is.
fn told<T>(read: Result<T, Problems>) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(problems) => {
            assert!(problems.iter().count() > 0, "refused without a problem");
            for problem in problems.iter() {
                let text = std::fs::read(&problem.file).unwrap_or_default();
                let lines = text.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 1;
                assert!(problem.line.is_none_or(|line| line >= 1 && line - 1 <= lines), "{problem:?}");
                assert!(!problem.to_string().contains(|c: char| c.is_control() && c != '\n'), "{problem}");
            }
            None
        }
    }
}

fn stored(folder: &Path) {
    let Ok(stored) = store::read(folder) else { return };
    let json = serde_json::to_vec(&stored.file).expect("it was read");
    let again: store::RunFile = serde_json::from_slice(&json).expect("what was written can be read");
    assert_eq!(again, stored.file);
    for trial in &stored.trials {
        let json = serde_json::to_vec(trial).expect("it was read");
        let again: measure::TrialRecord =
            serde_json::from_slice(&json).expect("what was written can be read");
        assert_eq!(&again, trial);
    }
    for entry in stored.samples.entries() {
        assert!(entry.value.is_finite(), "{}", entry.value);
    }
}
