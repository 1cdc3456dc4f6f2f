//! Files that are wrong, each with everything that is said about it.
//!
//! `bad/` holds scenarios, read with the bases and series of `project/`; `broken/` holds bases and series.

use std::path::Path;

use scenario::{Overrides, Problems, Project, base, load, series};

/// The names of the entries of a folder of this test, sorted.
fn names(folder: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder is beside this test")
        .map(|entry| {
            entry.expect("the folder can be read").file_name().into_string().expect("names are UTF-8")
        })
        .collect();
    names.sort();
    names
}

/// The names of the YAML files of a folder, without their ending.
fn stems(folder: &str) -> Vec<String> {
    names(folder).iter().filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned)).collect()
}

#[track_caller]
fn assert_all_are_told_well(problems: &Problems) {
    for problem in problems {
        assert!(!problem.message.is_empty() && !problem.allowed.is_empty(), "{problem}: says too little");
        let whole_file = problem.file.is_dir() || !problem.file.exists();
        assert!(problem.line.is_some() || whole_file, "{problem}: names no line");
    }
}

#[test]
fn scenarios() {
    let stems = stems("tests/bad");
    assert!(stems.len() >= 30);
    for stem in stems {
        let path = format!("tests/bad/{stem}.yaml");
        let problems =
            load(Path::new(&path), &Project::at("tests/project"), &Overrides::default()).expect_err(&path);
        assert_all_are_told_well(&problems);
        insta::assert_snapshot!(format!("bad-{stem}"), problems.to_string());
    }
}

#[test]
fn bases() {
    for stem in stems("tests/broken/kernels") {
        let problems = base(&stem, &Project::at("tests/broken")).expect_err(&stem);
        assert_all_are_told_well(&problems);
        insta::assert_snapshot!(format!("base-{stem}"), problems.to_string());
    }
}

#[test]
fn patch_series() {
    for name in names("tests/broken/patches") {
        let problems = series(&name, "tree", &Project::at("tests/broken")).expect_err(&name);
        assert_all_are_told_well(&problems);
        insta::assert_snapshot!(format!("series-{name}"), problems.to_string());
    }
}
