//! A JSON schema of scenario files, for editors, from the tables of the schema.
//!
//! It says what a JSON schema can: keys, types, ranges, words. Names, files and contradictions are for `assay plan`, so every
//! file that loads is valid under it, and some that do not load are as well.

use serde_json::{Map, Value, json};

use crate::{
    schema::{
        ARM, Absent, BOOTS, COMMAND, FAKE, GATE, GUEST_LEVEL, HOST_LEVEL, IOMMU, IPERF3, KTAP, Key, Kind,
        MACHINE, METRIC, NESTED, NIC, PEER_LEVEL, SCENARIO, SOCKPERF, STREAM, Section, TEST_GATE, VERSION,
        WIRE,
    },
    workload::COLLECTORS,
};

/// The tools of workloads, with their sections.
const TOOLS: &[(&str, &Section)] = &[
    ("iperf3", &IPERF3),
    ("sockperf", &SOCKPERF),
    ("command", &COMMAND),
    ("ktap", &KTAP),
    ("stream", &STREAM),
];

/// Sections that others refer to.
const DEFINITIONS: &[&Section] = &[
    &ARM,
    &BOOTS,
    &MACHINE,
    &NESTED,
    &HOST_LEVEL,
    &GUEST_LEVEL,
    &PEER_LEVEL,
    &FAKE,
    &NIC,
    &IOMMU,
    &WIRE,
    &IPERF3,
    &SOCKPERF,
    &COMMAND,
    &METRIC,
    &KTAP,
    &STREAM,
    &GATE,
    &TEST_GATE,
];

/// The schema (JSON Schema 2020-12): what `scenarios/scenario.schema.json` holds.
#[must_use]
pub fn json_schema() -> String {
    let mut schema = object(&SCENARIO);
    schema.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".into(), json!("Assay scenario"));
    let definitions: Map<String, Value> =
        DEFINITIONS.iter().map(|section| (slug(section), Value::Object(object(section)))).collect();
    schema.insert("$defs".into(), Value::Object(definitions));
    let mut text = serde_json::to_string_pretty(&schema).expect("a tree of texts and numbers serialises");
    text.push('\n');
    text
}

/// A map with the keys of a section, and no others.
fn object(section: &Section) -> Map<String, Value> {
    let properties: Map<String, Value> =
        section.keys.iter().map(|key| (key.name.to_owned(), property(section, key))).collect();
    let required: Vec<&str> = section
        .keys
        .iter()
        .filter(|key| matches!(key.absent, Absent::Required))
        .map(|key| key.name)
        .collect();
    let mut object = Map::new();
    object.insert("type".into(), json!("object"));
    object.insert("description".into(), json!(section.intro));
    object.insert("properties".into(), Value::Object(properties));
    if !required.is_empty() {
        object.insert("required".into(), json!(required));
    }
    object.insert("additionalProperties".into(), json!(false));
    object
}

fn property(section: &Section, key: &Key) -> Value {
    let one = match &key.kind {
        Kind::Shape(_) => return described(shape(section, key.name), key),
        kind => scalar(kind),
    };
    let may_be_listed = is_matrix(section) && !matches!(key.name, "tool" | "kind");
    described(if may_be_listed { or_list(one) } else { one }, key)
}

fn described(mut schema: Value, key: &Key) -> Value {
    let absent = match key.absent {
        Absent::Required => String::new(),
        Absent::Default(value) => format!(" If absent: {value}."),
        Absent::Otherwise(what) => format!(" If absent: {what}."),
    };
    schema["description"] = json!(format!("{} {}.{absent}", key.help, key.kind.allowed()));
    schema
}

/// Whether the section's single values may be lists, which are then dimensions.
fn is_matrix(section: &Section) -> bool {
    let of_tools = TOOLS.iter().map(|(_, section)| *section);
    [&MACHINE, &NIC, &IOMMU, &WIRE, &NESTED, &HOST_LEVEL, &GUEST_LEVEL, &PEER_LEVEL, &FAKE]
        .into_iter()
        .chain(of_tools)
        .any(|matrix| std::ptr::eq(matrix, section))
}

fn scalar(kind: &Kind) -> Value {
    match kind {
        Kind::Integer { min, max: u64::MAX } => json!({ "type": "integer", "minimum": min }),
        Kind::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Size { min, max } => json!({ "anyOf": [
            { "type": "integer", "minimum": min, "maximum": max },
            { "type": "string", "pattern": "^[0-9]+[KMGT]$" },
        ] }),
        Kind::Duration { .. } => json!({ "type": "string", "pattern": "^[0-9]+[smh]$" }),
        Kind::Delay { .. } => json!({ "type": "string", "pattern": "^[0-9]+(ns|us|ms|s)$" }),
        Kind::Rate { .. } => json!({ "type": "string", "pattern": "^[0-9]+[KMG]$" }),
        Kind::Percent { .. } => json!({ "type": "string", "pattern": "^[0-9]+([.][0-9]+)?%$" }),
        Kind::Fraction { max } => json!({ "type": "number", "exclusiveMinimum": 0, "maximum": max }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Choice(words) => json!({ "enum": choices(words) }),
        // A text that looks like a number or a flag is one to a YAML parser.
        Kind::Text(_) => text(),
        Kind::Shape(_) => unreachable!("shapes are made by code of their own"),
    }
}

/// The words, and those that are numbers to a YAML parser as numbers too.
fn choices(words: &[&str]) -> Vec<Value> {
    let numbers = words.iter().filter_map(|word| {
        let number: Value = serde_json::from_str(word).ok()?;
        number.is_number().then_some(number)
    });
    words.iter().map(|word| json!(word)).chain(numbers).collect()
}

fn text() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}

fn or_list(one: Value) -> Value {
    json!({ "anyOf": [one, list(one.clone())] })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// A list, or several of them, which are then a dimension.
fn any_of_several(one: Value) -> Value {
    let any = json!({
        "type": "object",
        "properties": { "any": list(one.clone()) },
        "required": ["any"],
        "additionalProperties": false,
    });
    json!({ "anyOf": [one, any] })
}

fn map(values: Value) -> Value {
    json!({ "type": "object", "additionalProperties": values })
}

fn reference(section: &Section) -> Value {
    json!({ "$ref": format!("#/$defs/{}", slug(section)) })
}

fn slug(section: &Section) -> String {
    section.title.to_lowercase().replace(' ', "-")
}

/// The values that the table tells in words.
///
/// # Panics
/// If a key has none here; a test looks at every one.
fn shape(section: &Section, key: &str) -> Value {
    match (section.title, key) {
        (_, "schema") => json!({ "const": VERSION }),
        ("Scenario" | "Arm", "base") => or_list(text()),
        ("Scenario" | "Arm", "series") => or_list(json!({ "type": "string" })),
        ("Scenario" | "Arm", "config" | "sysctls") => map(or_list(text())),
        ("Scenario" | "Arm", "cmdline") => any_of_several(list(text())),
        ("Scenario" | "Arm", "machine") => {
            json!({ "anyOf": [reference(&MACHINE), reference(&NESTED), reference(&FAKE)] })
        }
        ("Scenario", "arms") => bounded(map(reference(&ARM))),
        ("Scenario", "workloads") => bounded(map(workload())),
        ("Scenario", "collect") => list(json!({ "enum": &COLLECTORS[..] })),
        ("Scenario", "gates") => list(json!({ "anyOf": [reference(&GATE), reference(&TEST_GATE)] })),
        ("Machine", "server" | "client") => reference(&NIC),
        ("Machine", "wire") => reference(&WIRE),
        ("Nested machine", "host") => reference(&HOST_LEVEL),
        ("Nested machine", "guest") => reference(&GUEST_LEVEL),
        ("Nested machine", "peer") => reference(&PEER_LEVEL),
        ("NIC" | "Host", "iommu") => {
            let Kind::Choice(modes) = &IOMMU.key("mode").kind else {
                unreachable!("the mode of an IOMMU is one of some words")
            };
            let one = json!({ "anyOf": [{ "enum": modes }, reference(&IOMMU)] });
            or_list(one)
        }
        ("Scenario", "boots") => {
            json!({ "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 1000 }, reference(&BOOTS)] })
        }
        ("Scenario", "known-complaints") => list(json!({ "type": "string" })),
        ("Gate", "metric") => json!({ "type": "string" }),
        ("Gate", "at") => map(text()),
        ("command", "run") => any_of_several(list(text())),
        ("command", "server") => list(text()),
        ("command", "files") => list(json!({ "type": "string" })),
        ("command", "env") => map(or_list(text())),
        ("command", "exit") => {
            let status = json!({ "type": "integer", "minimum": 0, "maximum": 255 });
            json!({ "anyOf": [status, list(status.clone()), { "const": "any" }] })
        }
        ("command", "metrics") => list(reference(&METRIC)),
        ("ktap", "collections" | "tests" | "build" | "skip" | "flakes") => list(json!({ "type": "string" })),
        (title, key) => panic!("{title} has no schema for {key}"),
    }
}

/// From 1 to 16 entries.
fn bounded(mut map: Value) -> Value {
    map["minProperties"] = json!(1);
    map["maxProperties"] = json!(16);
    map
}

/// The tool decides which keys there are.
fn workload() -> Value {
    let names: Vec<&str> = TOOLS.iter().map(|(name, _)| *name).collect();
    let by_tool = TOOLS.iter().map(|(name, section)| {
        json!({
            "if": { "properties": { "tool": { "const": name } }, "required": ["tool"] },
            "then": reference(section),
        })
    });
    json!({
        "type": "object",
        "properties": { "tool": { "enum": names } },
        "required": ["tool"],
        "allOf": by_tool.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_in_scenarios_is_this_schema() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/scenario.schema.json");
        if std::env::var_os("ASSAY_UPDATE_REFERENCE").is_some() {
            std::fs::write(path, json_schema()).unwrap();
        }
        let file = std::fs::read_to_string(path).unwrap();
        assert!(file == json_schema(), "{path} is out of date: run this test with ASSAY_UPDATE_REFERENCE=1");
    }
}
