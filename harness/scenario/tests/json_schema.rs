//! The schema for editors agrees with the reader: whatever loads is valid, and what has the wrong shape is not.

use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::Value;

fn validator() -> Validator {
    let schema: Value = serde_json::from_str(&scenario::json_schema()).expect("the schema is JSON");
    jsonschema::draft202012::new(&schema).expect("the schema is one")
}

/// A YAML file as an editor sees it.
fn yaml(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("the file is in the checkout");
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(folder)
        .expect("the folder is in the checkout")
        .map(|entry| entry.expect("the folder can be read").path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
}

#[test]
fn what_loads_is_valid() {
    let validator = validator();
    for folder in ["../../scenarios", "tests/good"] {
        let files = files(folder);
        assert!(!files.is_empty());
        for path in files {
            let problems: Vec<String> = validator
                .iter_errors(&yaml(&path))
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(problems.is_empty(), "{}: {problems:#?}", path.display());
        }
    }
}

#[test]
fn what_has_the_wrong_shape_is_not() {
    let validator = validator();
    let mut valid = Vec::new();
    for name in [
        "arms-as-a-list",
        "collect-as-a-word",
        "collectors",
        "command",
        "design-types",
        "design-values",
        "fake-with-other-keys",
        "gate-keys-missing",
        "gates-as-a-map",
        "iommu-map",
        "iperf3-values",
        "ktap",
        "machine-words",
        "many-things-at-once",
        "missing-keys",
        "no-arms",
        "not-a-map",
        "schema-missing",
        "schema-newer",
        "schema-of-another-type",
        "sockperf-values",
        "unknown-keys",
        "workload-tools",
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/bad/{name}.yaml"));
        if validator.is_valid(&yaml(&path)) {
            valid.push(name);
        }
    }
    assert!(valid.is_empty(), "valid under the schema: {valid:?}");
}
