//! A series patch by patch: whether each applies after the ones before it, and what the tree's own checkpatch says.

use std::{path::Path, time::Duration};

use measure::ApplyFailure;
use plan::{KernelSpec, PatchFile, Series};
use serde::Serialize;
use subprocess::{Output, Supervisor};

use crate::{
    KernelError,
    apply::{self, ApplyEnd},
    error::tool,
    folder, prebuilt,
    progress::{Listener, stage},
    sandbox::{self, INPUT, SOURCE, Sandbox},
    site::Site,
    source,
    work::Work,
};

/// checkpatch takes seconds for a patch of a thousand lines.
const DEADLINE: Duration = Duration::from_secs(600);

/// What was found out about one patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspected {
    /// The series and the file name: `iommu-hooks/0002-....patch`.
    pub patch: String,
    /// Whether it applies after those before it.
    pub applies: Applies,
    /// What checkpatch says.
    pub style: Style,
}

/// Whether a patch applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Applies {
    /// It does.
    Yes,
    /// It does not.
    No(ApplyFailure),
    /// One before it does not.
    NotReached,
}

/// What checkpatch says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// It was run.
    Checked(Vec<StyleFinding>),
    /// It could not be run, and why.
    Unavailable(String),
}

/// One complaint of checkpatch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StyleFinding {
    /// How bad it is.
    pub level: StyleLevel,
    /// checkpatch's own name for it: `LONG_LINE`.
    pub kind: String,
    /// The line of the patch's file.
    pub line: u32,
    /// Its words.
    pub message: String,
}

/// checkpatch's levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StyleLevel {
    /// `ERROR`.
    Error,
    /// `WARNING`.
    Warning,
    /// `CHECK`, of `--strict`.
    Check,
}

/// Applies every patch in turn to a private copy of the base's tree.
pub(crate) fn inspect(
    site: &Site,
    spec: &KernelSpec,
    listener: &mut Listener<'_>,
) -> Result<Vec<Inspected>, KernelError> {
    if prebuilt::is_prebuilt(&spec.base.source) {
        let reason = "it is prebuilt: it cannot be patched".to_owned();
        return Err(KernelError::BadBase { base: spec.base.name.clone(), reason });
    }
    site.require_build()?;
    let base = source::obtain(site, &spec.base, listener)?;
    let work = Work::new(&site.layout)?;
    let tree = work.at("tree");
    folder::link_tree(&base.path, &tree, sandbox::owner())?;
    let mut inspected = Vec::new();
    let mut failed = false;
    for (series, patch) in
        spec.series.iter().flat_map(|series| series.patches.iter().map(move |patch| (series, patch)))
    {
        let single = Series { patches: vec![patch.clone()], ..series.clone() };
        let name = format!("{}/{}", series.name, apply::file_name(patch));
        stage(listener, format!("check {name} on {}", spec.base.name));
        let applies = if failed {
            Applies::NotReached
        } else {
            match apply::apply(&site.supervisor, &[single], &tree, &work.at("patches"))? {
                ApplyEnd::Applied(_) => Applies::Yes,
                ApplyEnd::Failed(failure) => Applies::No(failure),
            }
        };
        failed |= applies != Applies::Yes;
        let style = checkpatch(&site.supervisor, &tree, patch, &work.at("checked"))?;
        inspected.push(Inspected { patch: name, applies, style });
    }
    Ok(inspected)
}

/// Runs the tree's own script. A series may have changed it, so that it is in the sandbox like everything else of a series.
fn checkpatch(
    supervisor: &Supervisor,
    tree: &Path,
    patch: &PatchFile,
    copy: &Path,
) -> Result<Style, KernelError> {
    if !tree.join(SCRIPT).is_file() {
        return Ok(Style::Unavailable(format!("the base has no {SCRIPT}")));
    }
    folder::write_durably(copy, &apply::read_planned(patch)?)?;
    let options = ["--terse", "--show-types", "--no-summary", "--strict", "--color=never"];
    let output = Sandbox::new()
        .read(tree, SOURCE)
        .read(copy, INPUT)
        .tool(SOURCE, ["perl", SCRIPT].iter().chain(&options).chain(&[INPUT]))
        .deadline(DEADLINE)
        .run_unchecked(supervisor)
        .map_err(tool("run checkpatch"))?;
    Ok(style(&output))
}

const SCRIPT: &str = "scripts/checkpatch.pl";

fn style(output: &Output) -> Style {
    let findings = findings(&String::from_utf8_lossy(&output.stdout));
    // It ends with 1 if there is anything to say, and with other statuses if it did not work.
    if output.ended.is_success() || !findings.is_empty() {
        return Style::Checked(findings);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last = stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
    Style::Unavailable(format!("checkpatch {}: {last}", output.ended))
}

/// `/in:12: WARNING:LONG_LINE: line length of 120 exceeds 100 columns`.
pub(crate) fn findings(text: &str) -> Vec<StyleFinding> {
    text.lines()
        .filter_map(|line| {
            let (place, rest) = line.split_once(": ")?;
            let (_, number) = place.rsplit_once(':')?;
            let (level, rest) = rest.split_once(':')?;
            let level = match level {
                "ERROR" => StyleLevel::Error,
                "WARNING" => StyleLevel::Warning,
                "CHECK" => StyleLevel::Check,
                _ => return None,
            };
            let (kind, message) = rest.split_once(": ")?;
            Some(StyleFinding {
                level,
                kind: kind.to_owned(),
                line: number.parse().ok()?,
                message: message.trim().to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From 6.12's checkpatch.pl with the options above.
    const OUTPUT: &str = "\
/in:24: ERROR:TRAILING_WHITESPACE: trailing whitespace
/in:27: WARNING:LONG_LINE: line length of 121 exceeds 100 columns
/in:31: CHECK:SPACING: spaces preferred around that '*' (ctx:VxV)
";

    #[test]
    fn complaints_have_a_level_a_kind_and_a_line() {
        let findings = findings(OUTPUT);
        let levels: Vec<StyleLevel> = findings.iter().map(|finding| finding.level).collect();
        assert_eq!(levels, [StyleLevel::Error, StyleLevel::Warning, StyleLevel::Check]);
        assert_eq!((findings[1].kind.as_str(), findings[1].line), ("LONG_LINE", 27));
        assert_eq!(findings[2].message, "spaces preferred around that '*' (ctx:VxV)");
    }
}
