//! What each QEMU can do, as it says itself over QMP: one short run of a machine without anything in it.

use std::{collections::BTreeSet, ffi::OsString, path::PathBuf};

use serde_json::Value;
use subprocess::{Input, Supervisor, Tool};

use super::DEADLINE;

const PROGRAM: &str = "qemu-system-x86_64";

/// QEMU reads it as a file, and so to its end without anybody waiting for answers.
const QUESTIONS: &str = r#"{"execute":"qmp_capabilities"}
{"execute":"query-version"}
{"execute":"qom-list-types","arguments":{"implements":"device"}}
{"execute":"qom-list-types","arguments":{"implements":"user-creatable"}}
{"execute":"qom-list-types","arguments":{"implements":"accel"}}
{"execute":"query-command-line-options"}
{"execute":"query-qmp-schema"}
{"execute":"quit"}
"#;

/// A QEMU that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QemuProbe {
    /// Where it is.
    pub place: String,
    /// What it can do; otherwise why that is not known.
    pub features: Result<Features, String>,
}

/// What a QEMU can do of what matters to Assay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Such as `11.1.3`.
    pub version: String,
    /// Its devices, objects and accelerators (`kvm-accel`), by the names of their types.
    pub types: BTreeSet<String>,
    /// Its command-line options, without the dash.
    pub options: BTreeSet<String>,
    /// Its kinds of `-netdev`.
    pub netdevs: BTreeSet<String>,
}

/// The given ones, and every one on the search path.
pub(super) fn probe_all(given: Vec<(String, Vec<OsString>)>, supervisor: &Supervisor) -> Vec<QemuProbe> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut seen: Vec<PathBuf> = vec![];
    let mut all = vec![];
    for folder in std::env::split_paths(&path) {
        let program = folder.join(PROGRAM);
        // /bin is a link to /usr/bin, and one QEMU is not two.
        let Ok(real) = program.canonicalize() else { continue };
        if !seen.contains(&real) {
            seen.push(real);
            all.push((program.display().to_string(), vec![program.into_os_string()]));
        }
    }
    all.extend(given);
    std::thread::scope(|scope| {
        let probes: Vec<_> = all
            .into_iter()
            .map(|(place, argv)| (place, scope.spawn(move || ask(&argv, supervisor))))
            .collect();
        probes
            .into_iter()
            .map(|(place, probe)| QemuProbe {
                place,
                features: probe.join().unwrap_or_else(|_| Err("the probe panicked".to_owned())),
            })
            .collect()
    })
}

fn ask(argv: &[OsString], supervisor: &Supervisor) -> Result<Features, String> {
    let (program, first) = argv.split_first().ok_or("it has no command line")?;
    let output = Tool::new(program)
        .args(first)
        .args(["-M", "none", "-accel", "tcg", "-display", "none", "-nodefaults", "-qmp", "stdio"])
        .stdin(Input::Bytes(QUESTIONS.into()))
        .deadline(DEADLINE)
        .run(supervisor)
        .map_err(|error| error.to_string())?;
    understand(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| "its answers over QMP make no sense".into())
}

/// The answers, one JSON object a line, told apart by their shape.
pub(crate) fn understand(said: &str) -> Option<Features> {
    let mut features = Features::default();
    for line in said.lines() {
        let message: Value = serde_json::from_str(line).ok()?;
        let answer = &message["return"];
        if let Some(version) = answer.get("qemu") {
            features.version = format!("{}.{}.{}", version["major"], version["minor"], version["micro"]);
        }
        for entry in answer.as_array().into_iter().flatten() {
            let name = |key: &str| entry[key].as_str().map(str::to_owned);
            if let Some(option) = name("option") {
                features.options.insert(option);
            } else if entry["meta-type"] == "enum" {
                // Types have numbers for names in the schema; the drivers of networks are the enumeration with a hub port.
                let values: Vec<&str> =
                    entry["values"].as_array()?.iter().filter_map(Value::as_str).collect();
                if values.contains(&"hubport") {
                    features.netdevs = values.into_iter().map(str::to_owned).collect();
                }
            } else if entry.get("meta-type").is_none() {
                features.types.extend(name("name"));
            }
        }
    }
    (!features.version.is_empty()).then_some(features)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_by_their_shape() {
        // Captured from QEMU 11.1.3 and shortened.
        let features = understand(include_str!("../../tests/fixtures/qmp-11.1.3.jsonl")).unwrap();
        assert_eq!(features.version, "11.1.3");
        for name in ["igb", "intel-iommu", "iommufd", "vfio-user-pci", "kvm-accel"] {
            assert!(features.types.contains(name), "{name}");
        }
        assert!(features.netdevs.contains("stream"));
        assert!(features.options.contains("sandbox") && features.options.contains("plugin"));
        assert!(!features.types.contains("sandbox"));
    }

    #[test]
    fn half_an_answer_is_none() {
        assert_eq!(understand(""), None);
        assert_eq!(understand("qemu-system-x86_64: not a JSON line"), None);
        assert_eq!(understand("{\"return\": {}}\n"), None);
    }
}
