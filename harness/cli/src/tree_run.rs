//! `assay run` in a kernel tree: its working tree in the place of a scenario's candidate, the merge-base with upstream in the
//! place of its base.

use std::path::{Path, PathBuf};

use anyhow::Context;
use kernel_tree::{BuildFolder, Changes, KernelTree, Version};
use plan::{Base, ConfigFragment, ConfigStart, Flavour, KernelConfig, Source};
use scenario::{Overrides, Project};

use crate::{
    arguments::{Places, TreeConfig, TreeFlags},
    failure::Failure,
    hints::meant,
    lab::Lab,
    progress::Progress,
    series::{of_series, waiting},
    tree_build::of_tree,
};

/// What the tree puts in place of what `scenario` says: base and series, on top of what was `given`. Nothing outside kernel
/// trees, and where the scenario has a series of its own and the tree was not asked for.
pub(crate) fn overrides(
    places: &Places,
    (scenario, project): (&Path, &Project),
    given: Overrides,
    flags: &TreeFlags,
    lab: &Lab,
    progress: &mut Progress,
) -> Result<Overrides, Failure> {
    if flags.no_tree {
        return Ok(given);
    }
    let folder = flags.tree.clone().flatten().unwrap_or_else(|| ".".into());
    let Some(tree) = KernelTree::containing(&folder).map_err(of_tree)? else {
        return if flags.is_asked() {
            let shown = folder.display();
            Err(Failure::user(format!("assay: --tree: {shown} is in no kernel tree (remedy: --tree=DIR)")))
        } else {
            Ok(given)
        };
    };
    if !flags.is_asked()
        && let Some(why) = stays(scenario, project, &given)
    {
        progress.line(format!("note: {why}, so the tree {} is left out", tree.root().display()));
        return Ok(given);
    }
    progress.status(&format!("reading {}", tree.root().display()), "");
    let results = std::path::absolute(&places.results).context("resolving the results folder")?;
    // As the tree's own path is: without links, as far as it is there.
    let results = results.canonicalize().unwrap_or(results);
    let changes = Changes::of(&tree, flags.against.as_deref(), &results, &lab.supervisor).map_err(of_tree)?;
    let (config, how) = match flags.config {
        TreeConfig::Lab => lab_config(project, changes.version)?,
        TreeConfig::Tree => tree_config(&tree, &folder)?,
    };
    let cache = lab.series_cache();
    let series = series::shelve_files(&changes.name, &changes.patches, &cache, &mut waiting(progress))
        .map_err(of_series)?;
    progress.line(format!(
        "note: candidate: the working tree of {} ({}: {}); base: {}, its merge-base with {} ({})",
        tree.root().display(),
        changes.name,
        changes.summary(),
        changes.described,
        changes.against.reference,
        changes.against.why
    ));
    for note in &changes.notes {
        progress.line(format!("note: {note}"));
    }
    progress.line(format!("note: {how}"));
    let repository =
        tree.root().to_str().context("the tree's path is not UTF-8, which plans are")?.to_owned();
    let base = Base {
        name: changes.described.clone(),
        version: changes.version.to_string(),
        source: Source::Git { repository, reference: changes.base.clone() },
        config,
        flavour: Flavour::Plain,
    };
    Ok(Overrides { base: Some(base), series: Some(vec![series]), ..given })
}

/// Whether a working tree is what is asked about, where no scenario says what to ask.
pub(crate) fn in_tree(flags: &TreeFlags) -> Result<bool, Failure> {
    let folder = flags.tree.clone().flatten().unwrap_or_else(|| ".".into());
    Ok(!flags.no_tree && KernelTree::containing(&folder).map_err(of_tree)?.is_some())
}

/// A scenario by its path; else, where there is no such file, by its name in the project's `scenarios/`.
pub(crate) fn scenario(places: &Places, named: &Path) -> Result<(PathBuf, Project), Failure> {
    let is_name = named.components().count() == 1 && named.extension().is_none();
    // In a kernel tree, `net` is a folder.
    if is_name && !named.is_file() {
        let project = places.project(Path::new("."))?;
        let path = project.root.join("scenarios").join(named).with_extension("yaml");
        if path.is_file() {
            return Ok((path, project));
        }
    }
    if !named.exists() {
        return Err(no_scenario(places, named));
    }
    Ok((named.to_owned(), places.project(named)?))
}

/// There is no such scenario; those that there are, in the same folder or in the project's `scenarios/`.
fn no_scenario(places: &Places, named: &Path) -> Failure {
    let wanted = named.file_stem().unwrap_or_default().to_string_lossy();
    let project = places.project(Path::new(".")).map(|project| project.root.join("scenarios"));
    let beside = named.parent().filter(|folder| named.components().count() > 1 && folder.is_dir());
    let folder = beside.map(Path::to_owned).or(project.ok());
    let entries = folder.as_deref().and_then(|folder| folder.read_dir().ok());
    let yaml = |path: &Path| path.extension().is_some_and(|extension| extension == "yaml");
    let mut names: Vec<String> = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()).filter(|path| yaml(path)))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    let question = meant(&wanted, names.iter().map(String::as_str));
    let shown = named.display();
    match folder.filter(|_| !names.is_empty()) {
        Some(folder) => Failure::user(format!(
            "assay: there is no scenario `{shown}`{question} ({} has {})",
            folder.display(),
            names.join(", ")
        )),
        None => Failure::user(format!("assay: there is no scenario `{shown}`")),
    }
}

/// Why a scenario is to be run as it is; nothing if the tree can take its candidate's place.
fn stays(scenario: &Path, project: &Project, given: &Overrides) -> Option<String> {
    // Where it cannot be loaded, either it lacks a candidate, which the tree will be, or all that is wrong is told when the tree
    // is in it.
    let plan = scenario::load(scenario, project, given).ok()?;
    let Ok((name, _)) = scenario::candidate(scenario, project, given) else {
        return Some("the scenario has several arms that a tree could be, and --arm names none".into());
    };
    let arm = plan.arm(&name)?;
    (!arm.kernel.series.is_empty()).then(|| format!("the scenario's arm {name} has a series of its own"))
}

/// The configuration of the base in `kernels/` that is nearest to a version: the newest that is not newer, else the oldest.
pub(crate) fn lab_config(project: &Project, version: Version) -> Result<(KernelConfig, String), Failure> {
    let mut known = Vec::new();
    for name in project.bases() {
        let base = scenario::base(&name, project).map_err(Failure::user)?;
        let prebuilt = matches!(base.source, Source::DebianImage { .. } | Source::PrebuiltImage { .. });
        if let Some(version) = Version::parse(&base.version).filter(|_| !prebuilt) {
            known.push((version, base));
        }
    }
    let base = nearest(known, version).ok_or_else(|| {
        let folder = project.root.join("kernels");
        Failure::user(format!(
            "assay: no base in {} is built from source, whose configuration a tree's kernel could have (remedy: --config tree)",
            folder.display()
        ))
    })?;
    let how = format!(
        "configured as {}, the nearest to {version}; --config tree takes the tree's own .config",
        base.name
    );
    Ok((base.config, how))
}

fn nearest<T>(known: Vec<(Version, T)>, wanted: Version) -> Option<T> {
    let (older, newer): (Vec<_>, Vec<_>) = known.into_iter().partition(|(version, _)| *version <= wanted);
    // Of equals the first one, in the order of names.
    let newest = older.into_iter().rev().max_by_key(|(version, _)| *version);
    newest.or_else(|| newer.into_iter().min_by_key(|(version, _)| *version)).map(|(_, found)| found)
}

/// The tree's own configuration with what guests and scenarios lack in it.
pub(crate) fn tree_config(tree: &KernelTree, here: &Path) -> Result<(KernelConfig, String), Failure> {
    let output = std::env::var_os("KBUILD_OUTPUT");
    let folder = BuildFolder::find(here, None, output.as_deref()).map_err(of_tree)?;
    let path = folder.as_ref().map_or(tree.root(), BuildFolder::path).join(".config");
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Failure::user(format!(
            "assay: --config tree: cannot read {}: {error} (remedy: make defconfig)",
            path.display()
        ))
    })?;
    let missing = kernel_tree::missing_fragment(&text);
    let start = ConfigStart::File(ConfigFragment { name: "tree".into(), text });
    let what = match missing.lines().count() {
        0 => "which has all that Assay needs".to_owned(),
        1 => "and one option that Assay needs on top".to_owned(),
        added => format!("and {added} options that Assay needs on top"),
    };
    let how = format!("configured by {}, {what}", path.display());
    let fragments = vec![ConfigFragment { name: "assay".into(), text: missing }];
    Ok((KernelConfig { start, fragments, tree_fragments: Vec::new() }, how))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_configuration_that_is_not_newer_is_the_nearest() {
        let version = |text: &str| Version::parse(text).unwrap();
        let known = |names: &[(&str, &'static str)]| -> Vec<(Version, &'static str)> {
            names.iter().map(|(text, name)| (version(text), *name)).collect()
        };
        let bases = [("6.12", "lts"), ("6.12", "other"), ("7.3", "new")];
        let find = |wanted: &str| nearest(known(&bases), version(wanted));
        assert_eq!(
            [find("6.12"), find("6.19"), find("7.3"), find("8.0")],
            [Some("lts"), Some("lts"), Some("new"), Some("new")]
        );
        assert_eq!(find("6.1"), Some("lts"));
        assert_eq!(nearest(known(&[]), version("6.12")), None);
    }
}
