//! Doors to this crate's parsers.

use std::path::Path;

use crate::{
    apply, build, config, image, inspect,
    kconfig::{self, Asked, Values},
    patch, selftests, warnings,
};

/// Reads the Kconfig files of `tree` and explains why each option of the configuration `asked` is not in `merged`.
#[must_use]
pub fn explain(tree: &Path, merged: &str, asked: &str) -> Vec<String> {
    let kconfig = kconfig::read(tree, "x86");
    let values = Values::parse(merged);
    let asked = asked.lines().filter_map(config::assignment).map(|(name, value)| Asked {
        name: name.to_owned(),
        value: value.to_owned(),
        by: "arm".to_owned(),
    });
    asked.take(20).map(|asked| kconfig::explain(&kconfig, &values, &asked)).collect()
}

/// A fragment over a configuration: the result, in which every option of the fragment has its value.
///
/// # Errors
/// The line that is none of a configuration.
pub fn merge(start: &str, fragment: &str) -> Result<String, String> {
    let fragment = plan::ConfigFragment { name: "fragment".into(), text: fragment.to_owned() };
    let asked = config::fragment_lines("base", &fragment).map_err(|error| error.to_string())?;
    let merged = config::merge(start, &asked);
    let _targets = image::targets(&merged);
    Ok(merged)
}

/// What git said of a patch that does not apply, and of paths that it refuses.
#[must_use]
pub fn refusal(patch_text: &str, stderr: &str) -> measure::ApplyFailure {
    let _refused = patch::refused_path(stderr);
    for path in patch::touched(patch_text.as_bytes()) {
        let _escapes = apply::refuse_escape("patch", &path);
    }
    patch::failure("patch".to_owned(), patch_text, stderr)
}

/// What builds and `checkpatch.pl` print: the warnings, the first errors, the findings and what did not compile.
#[must_use]
pub fn build_log(text: &str) -> (Vec<String>, String, usize) {
    let warnings = warnings::in_output(text);
    let places: usize = warnings.iter().map(|warning| warnings::without_place(warning).len()).sum();
    assert!(places <= text.len(), "a warning without its place is shorter");
    let found = inspect::findings(text).len() + selftests::log::failures(text).len();
    (warnings, build::first_errors(text), found)
}
