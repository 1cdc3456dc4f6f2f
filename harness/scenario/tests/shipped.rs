//! Every YAML file that the project ships is read without a problem, and gives the plan that is expected.

use std::path::{Path, PathBuf};

use scenario::{Known, Overrides, Project, distinct_kernels, estimate, load, remarks, to_yaml};

/// The top of the checkout.
fn root() -> PathBuf {
    std::fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .expect("this crate is in the checkout")
}

/// The names of the YAML files of `folder`, without their ending.
fn stems(folder: &Path) -> Vec<String> {
    let mut stems: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder is in the checkout")
        .map(|entry| {
            entry.expect("the folder can be read").file_name().into_string().expect("names are UTF-8")
        })
        .filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned))
        .collect();
    stems.sort();
    stems
}

#[test]
fn every_base_is_read() {
    let project = Project::at(root());
    let bases = project.bases();
    assert_eq!(bases, stems(&root().join("kernels")));
    assert!(bases.iter().any(|base| base == "debian-6.12"));
    for name in bases {
        let base = scenario::base(&name, &project).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(base.name, name);
    }
}

#[test]
fn every_series_is_read_for_every_base_that_it_names() {
    let project = Project::at(root());
    for name in project.series() {
        let file = scenario::series_file(&name, &project).unwrap_or_else(|problems| panic!("{problems}"));
        for base in file.bases.unwrap().keys() {
            assert!(project.bases().contains(base), "{name} names the base {base}, which is not there");
            let (series, _) =
                scenario::series(&name, base, &project).unwrap_or_else(|problems| panic!("{problems}"));
            let folder = series.patches[0].path.parent().unwrap();
            assert!(
                folder.join("0000-cover-letter.patch").is_file(),
                "{name} has no cover letter for {base}"
            );
        }
    }
}

#[test]
fn every_scenario_gives_a_plan() {
    let project = Project::at(root());
    let scenarios = stems(&root().join("scenarios"));
    assert!(scenarios.iter().any(|name| name == "iommu-hooks"));
    for name in scenarios {
        let path = root().join("scenarios").join(format!("{name}.yaml"));
        let plan =
            load(&path, &project, &Overrides::default()).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(plan.question.ends_with('?') || plan.question.contains("? "), "{name}: {}", plan.question);
        let estimate = estimate(&plan, &Known::default());
        let steps: f64 = estimate.steps.iter().map(|step| step.seconds).sum();
        assert!(estimate.seconds > 0.0 && (estimate.seconds - steps).abs() < 1e-9);
        assert!(!distinct_kernels(&plan).is_empty());
    }
}

#[test]
fn every_scenario_of_the_fake_machine_gives_a_plan() {
    let project = Project::at(root().join("tests/fixtures/fake"));
    let scenarios = stems(&project.root.join("scenarios"));
    assert!(!scenarios.is_empty());
    for name in scenarios {
        let path = project.root.join(format!("scenarios/{name}.yaml"));
        assert_eq!(Project::containing(&path).expect("it is in a project"), project, "{name}");
        load(&path, &project, &Overrides::default()).unwrap_or_else(|problems| panic!("{problems}"));
    }
}

#[test]
fn the_demo_as_a_plan() {
    let mut plan =
        load(&root().join("scenarios/iommu-hooks.yaml"), &Project::at(root()), &Overrides::default())
            .unwrap_or_else(|problems| panic!("{problems}"));
    for arm in &mut plan.arms {
        // Texts and checksums belong to others; what is planned is the subject here.
        for fragment in &mut arm.kernel.base.config.fragments {
            assert!(!fragment.text.is_empty());
            fragment.text = "(text)".to_owned();
        }
        for patch in arm.kernel.series.iter_mut().flat_map(|series| &mut series.patches) {
            assert_eq!(patch.sha256.len(), 64);
            patch.sha256 = "(sha256)".to_owned();
            patch.path = patch.path.with_file_name("(patch)");
        }
        for series in &mut arm.kernel.series {
            series.patches.truncate(1);
        }
    }
    let text = to_yaml(&plan).unwrap().replace(root().to_str().unwrap(), "ROOT");
    insta::assert_snapshot!(text);
}

#[test]
fn identical_arms_are_remarked() {
    let plan =
        load(&root().join("scenarios/null.yaml"), &Project::at(root()), &Overrides::default()).unwrap();
    assert!(remarks(&plan).iter().any(|remark| remark.contains("A/A test")), "{:?}", remarks(&plan));
    assert_eq!(distinct_kernels(&plan).len(), 1, "one kernel serves both arms");
}
