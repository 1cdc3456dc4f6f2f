//! `FORMAT.md` describes the JSON, and every key of it.

use std::collections::BTreeSet;

use report::{Document, json};
use serde_json::Value;

use crate::{baseline, lab};

const DOCUMENT: &str = include_str!("../../FORMAT.md");

fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                // Maps whose keys are data, not schema.
                let data = ["at", "dims", "guests", "mitigations", "iommu", "sysctls", "classes"]
                    .iter()
                    .any(|map| path.ends_with(map));
                if !data {
                    found.insert(key.clone());
                }
                keys(value, &format!("{path}.{key}"), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, path, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_key_is_described() {
    let models = [
        baseline(&["hooks"]).boots("hooks", 0.004, 0.018, 9.0).model(),
        baseline(&["broken"]).ended("broken", 0..2, &lab::panic()).model(),
        crate::matrix::worse_at_one_place(),
        crate::suites::compared(),
        crate::profiles::model(),
        crate::within::warming_up(),
    ];
    let mut found = BTreeSet::new();
    for model in &models {
        keys(&serde_json::from_str(&json(model).unwrap()).unwrap(), "", &mut found);
    }
    let missing: Vec<_> = found.iter().filter(|key| !DOCUMENT.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "not in FORMAT.md: {missing:?}");
}

#[test]
fn the_document_can_be_read_back() {
    let model = baseline(&["hooks"]).boots("hooks", 0.001, -0.002, 1.0).model();
    for model in [
        model,
        crate::matrix::worse_at_one_place(),
        crate::suites::compared(),
        crate::profiles::model(),
        crate::within::warming_up(),
    ] {
        let document: Document<'_> = serde_json::from_str(&json(&model).unwrap()).unwrap();
        assert_eq!((document.format, document.model.as_ref()), (report::FORMAT, &model));
    }
}
