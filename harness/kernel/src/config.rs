//! From a starting point, fragments and options to a merged configuration in which everything asked for survived.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    path::Path,
    time::Duration,
};

use plan::{ConfigFragment, ConfigStart, KernelSpec};
use subprocess::Supervisor;

use crate::{
    KernelError, build,
    error::{io, tool},
    folder,
    kconfig::{self, Asked, Values},
    sandbox::{self, OBJECTS, SOURCE, Sandbox},
};

/// Building `conf` and running it takes seconds.
const DEADLINE: Duration = Duration::from_secs(600);
/// Larger than any `.config`.
const MAX_BYTES: u64 = 4 << 20;
/// Where configurations are made, beside the `.config` that objects were built with, so that one which comes out the
/// same leaves that untouched.
const DRAFT: &str = "draft.config";
/// kbuild's name for x86-64.
const ARCHITECTURE: &str = "x86";

/// How configuring ended.
#[derive(Debug)]
pub(crate) enum ConfigEnd {
    /// All that was asked for is in it.
    Merged {
        /// The merged configuration.
        config: String,
        /// A line for each wish of the tree's own fragments that did not survive.
        unfulfilled: Vec<String>,
    },
    /// A line for each option that did not survive.
    Lost(Vec<String>),
    /// The tree's own Makefiles or Kconfig files fail.
    Broken {
        /// make's words.
        errors: String,
    },
}

/// Makes the merged configuration in `objects` from the tree at `tree`. `.config` there is only replaced where it
/// would be another, since make rebuilds what is newer.
pub(crate) fn configure(
    supervisor: &Supervisor,
    spec: &KernelSpec,
    tree: &Path,
    objects: &Path,
    log: &Path,
) -> Result<ConfigEnd, KernelError> {
    let asked = asked(spec)?;
    let wishes = wishes(spec, tree, &asked)?;
    let draft = objects.join(DRAFT);
    let make = |target: &str| -> Result<Option<String>, KernelError> {
        let output = Sandbox::new()
            .read(tree, SOURCE)
            .write(objects, OBJECTS)
            .tool(
                SOURCE,
                ["make", &format!("O={OBJECTS}"), &format!("KCONFIG_CONFIG={OBJECTS}/{DRAFT}"), target],
            )
            .deadline(DEADLINE)
            .log(log)
            .run_unchecked(supervisor)
            .map_err(tool(format!("make {target}")))?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        if output.ended.is_success() {
            return Ok(None);
        }
        match build::host_failure(&stderr, output.ended) {
            Some(reason) => Err(KernelError::BuildInterrupted { reason, log: log.to_owned() }),
            None => Ok(Some(stderr.trim().to_owned())),
        }
    };
    let target = match &spec.base.config.start {
        ConfigStart::Tinyconfig => Some("tinyconfig"),
        ConfigStart::Defconfig => Some("defconfig"),
        ConfigStart::File(file) => {
            replace(&draft, &file.text)?;
            None
        }
    };
    if let Some(errors) = target.map(make).transpose()?.flatten() {
        return Ok(ConfigEnd::Broken { errors });
    }
    let start = read(&draft)?;
    let everything: Vec<Asked> = asked.iter().chain(&wishes).cloned().collect();
    replace(&draft, &merge(&start, &everything))?;
    if let Some(errors) = make("olddefconfig")? {
        return Ok(ConfigEnd::Broken { errors });
    }
    let merged = read(&draft)?;
    let lost = lost(&merged, &asked);
    if !lost.is_empty() {
        let (kconfig, values) = (kconfig::read(tree, ARCHITECTURE), Values::parse(&merged));
        let problems = lost.into_iter().map(|asked| kconfig::explain(&kconfig, &values, asked)).collect();
        return Ok(ConfigEnd::Lost(problems));
    }
    let unfulfilled = if wishes.is_empty() { Vec::new() } else { unfulfilled(tree, &merged, &wishes) };
    let current = objects.join(".config");
    if fs::symlink_metadata(&current).is_err() || read(&current)? != merged {
        replace(&current, &merged)?;
    }
    Ok(ConfigEnd::Merged { config: merged, unfulfilled })
}

/// Everything that is asked for, the last word on each option, in the order of names.
fn asked(spec: &KernelSpec) -> Result<Vec<Asked>, KernelError> {
    let mut asked = BTreeMap::new();
    for fragment in &spec.base.config.fragments {
        for entry in fragment_lines(&spec.base.name, fragment)? {
            asked.insert(entry.name.clone(), entry);
        }
    }
    for option in &spec.options {
        let line = option.to_string();
        let (name, value) = assignment(&line).expect("an option prints as a line of a .config");
        let entry = Asked { name: name.to_owned(), value: value.to_owned(), by: "the arm".to_owned() };
        asked.insert(entry.name.clone(), entry);
    }
    Ok(asked.into_values().collect())
}

/// What the tree's own fragments ask for beyond that, the last word on each option, in the order of names.
fn wishes(spec: &KernelSpec, tree: &Path, asked: &[Asked]) -> Result<Vec<Asked>, KernelError> {
    let mut wishes = BTreeMap::new();
    for path in &spec.base.config.tree_fragments {
        let file = tree.join(path);
        if !file.is_file() {
            return Err(KernelError::BadBase {
                base: spec.base.name.clone(),
                reason: format!("its tree has no file {path}, which tree-fragments names"),
            });
        }
        // These files are the kernel's, and have other lines at times.
        for (name, value) in read(&file)?.lines().filter_map(assignment) {
            let (name, value) = (name.to_owned(), value.to_owned());
            wishes.insert(name.clone(), Asked { name, value, by: path.clone() });
        }
    }
    let settled = |name: &String| asked.iter().any(|asked| asked.name == *name);
    Ok(wishes.into_iter().filter(|(name, _)| !settled(name)).map(|(_, wish)| wish).collect())
}

/// Wishes that did not survive, with the reasons. What is built in is better than a module.
fn unfulfilled(tree: &Path, merged: &str, wishes: &[Asked]) -> Vec<String> {
    let values = Values::parse(merged);
    let fulfilled = |wish: &Asked| wish.value == "m" && values.get(&wish.name) == "y";
    let lost: Vec<&Asked> = lost(merged, wishes).into_iter().filter(|wish| !fulfilled(wish)).collect();
    if lost.is_empty() {
        return Vec::new();
    }
    let kconfig = kconfig::read(tree, ARCHITECTURE);
    lost.into_iter().map(|wish| kconfig::explain(&kconfig, &values, wish)).collect()
}

pub(crate) fn fragment_lines(base: &str, fragment: &ConfigFragment) -> Result<Vec<Asked>, KernelError> {
    let mut asked = Vec::new();
    for (number, line) in fragment.text.lines().enumerate() {
        if let Some((name, value)) = assignment(line) {
            let by = fragment.name.clone();
            asked.push(Asked { name: name.to_owned(), value: value.to_owned(), by });
        } else if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
            return Err(KernelError::BadBase {
                base: base.to_owned(),
                reason: format!(
                    "fragment {}, line {}: `{line}` is neither `CONFIG_X=...` nor `# CONFIG_X is not set` nor a comment",
                    fragment.name,
                    number + 1
                ),
            });
        }
    }
    Ok(asked)
}

/// The option and the value of a line of a `.config`; `n` for one that is not set.
pub(crate) fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_end();
    let (name, value) = match line.strip_prefix("# CONFIG_") {
        Some(rest) => (rest.strip_suffix(" is not set")?, "n"),
        None => line.strip_prefix("CONFIG_")?.split_once('=')?,
    };
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    plain.then_some((name, value))
}

/// `start` without the options that are asked for, followed by those: what `merge_config.sh -m` makes.
pub(crate) fn merge(start: &str, asked: &[Asked]) -> String {
    let names: std::collections::BTreeSet<&str> = asked.iter().map(|asked| asked.name.as_str()).collect();
    let kept = start.lines().filter(|line| assignment(line).is_none_or(|(name, _)| !names.contains(name)));
    let mut text: String = kept.flat_map(|line| [line, "\n"]).collect();
    for Asked { name, value, .. } in asked {
        match value.as_str() {
            "n" => text.push_str(&format!("# CONFIG_{name} is not set\n")),
            value => text.push_str(&format!("CONFIG_{name}={value}\n")),
        }
    }
    text
}

/// What was asked for and is not so.
fn lost<'a>(merged: &str, asked: &'a [Asked]) -> Vec<&'a Asked> {
    let values = Values::parse(merged);
    asked.iter().filter(|asked| values.get(&asked.name) != asked.value).collect()
}

fn read(path: &Path) -> Result<String, KernelError> {
    folder::read_regular(path, MAX_BYTES).map(|text| String::from_utf8_lossy(&text).into_owned())
}

/// Puts a file where a sandboxed command may have left anything: what was there is not written through.
fn replace(path: &Path, text: &str) -> Result<(), KernelError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io("replace", path)(error)),
        _ => {}
    }
    File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(io("write", path))?;
    folder::give(path, sandbox::owner())
}

#[cfg(test)]
mod tests {
    use plan::{Base, ConfigOption, ConfigValue, KernelConfig, Source};

    use super::*;

    fn spec(fragments: &[(&str, &str)], options: &[(&str, ConfigValue)]) -> KernelSpec {
        let fragments = fragments
            .iter()
            .map(|(name, text)| ConfigFragment { name: (*name).to_owned(), text: (*text).to_owned() })
            .collect();
        KernelSpec {
            base: Base {
                name: "b".into(),
                version: "6.12".into(),
                source: Source::Tarball { location: "x".into(), sha256: "0".into() },
                config: KernelConfig {
                    start: ConfigStart::Tinyconfig,
                    fragments,
                    tree_fragments: Vec::new(),
                },
                flavour: plan::Flavour::Plain,
            },
            series: vec![],
            options: options
                .iter()
                .map(|(name, value)| ConfigOption { name: (*name).to_owned(), value: value.clone() })
                .collect(),
        }
    }

    #[test]
    fn the_last_word_counts() {
        let spec = spec(
            &[
                ("lab", "CONFIG_SMP=y\nCONFIG_NR_CPUS=64\n"),
                ("small", "# one core\n# CONFIG_SMP is not set\n"),
            ],
            &[("NR_CPUS", ConfigValue::Number(8)), ("CMD", ConfigValue::Text("a \"b\"".into()))],
        );
        let asked = asked(&spec).unwrap();
        let text: Vec<String> = asked.iter().map(Asked::to_string).collect();
        assert_eq!(
            text,
            [
                "CONFIG_CMD=\"a \\\"b\\\"\" (asked by the arm)",
                "CONFIG_NR_CPUS=8 (asked by the arm)",
                "CONFIG_SMP off (asked by small)"
            ]
        );
        let merged = merge("# x\nCONFIG_SMP=y\nCONFIG_A=y\n# CONFIG_NR_CPUS is not set\n", &asked);
        assert_eq!(
            merged,
            "# x\nCONFIG_A=y\nCONFIG_CMD=\"a \\\"b\\\"\"\nCONFIG_NR_CPUS=8\n# CONFIG_SMP is not set\n"
        );
    }

    #[test]
    fn a_line_that_asks_for_nothing_is_refused_with_its_place() {
        let error = asked(&spec(&[("lab", "CONFIG_SMP=y\nSMP=y\n")], &[])).unwrap_err();
        assert!(error.to_string().contains("fragment lab, line 2: `SMP=y`"), "{error}");
        assert_eq!(error.fault(), crate::Fault::User);
    }

    #[test]
    fn what_came_out_otherwise_is_lost() {
        let spec =
            spec(&[("f", "CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\n# CONFIG_D is not set\n")], &[]);
        let asked = asked(&spec).unwrap();
        let lost: Vec<&str> = lost("CONFIG_A=m\nCONFIG_B=m\nCONFIG_C=y\n", &asked)
            .iter()
            .map(|asked| asked.name.as_str())
            .collect();
        assert_eq!(lost, ["A", "C"]);
    }
}
