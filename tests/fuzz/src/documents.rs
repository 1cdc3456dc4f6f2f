//! Files that a user writes: scenarios, bases, series files, scripts of fake machines.

use std::path::Path;

use scenario::{Overrides, Problems, Project};
use tempfile::TempDir;

use crate::{
    scratch,
    sections::{Section, split},
};

thread_local! {
    /// The project that the scenario crate's tests are read in. Most scenarios are read there, since making one takes longer than
    /// reading a scenario.
    static AROUND: TempDir = {
        let folder = scratch::folder();
        scratch::copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../harness/scenario/tests/project"), folder.path());
        folder
    };
}

/// One input: a scenario, in that project; files of another project in sections named by their paths, the first
/// being a scenario, a base or a `series.yaml`; or a script and the files beside it, the first being `script.json`.
pub fn run(input: &[u8]) {
    match split(input).as_slice() {
        [(name, content)] if !name.contains('/') && name.ends_with(".yaml") => AROUND.with(|around| {
            scratch::write(around.path(), name, content);
            project(around.path(), &[(name, content)]);
            // Files of many names would slow down what lists them.
            let _ = std::fs::remove_file(around.path().join(name));
        }),
        sections @ [(first, _), ..] => {
            let folder = scratch::folder();
            for (name, content) in sections {
                scratch::write(folder.path(), name, content);
            }
            if *first == "script.json" {
                if let Err(said) = machine::fuzzing::fake_script(&folder.path().join(first)) {
                    assert!(!said.is_empty());
                }
            } else {
                project(folder.path(), sections);
            }
        }
        [] => {}
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
