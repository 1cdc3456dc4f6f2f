//! What is searched: the commits of a range; or the patches of a series, options or words, one more in each node.

use std::path::Path;

use ::bisect::Stage;
use kernel_tree::{KernelTree, Range, RangeCommit};
use plan::{Arm, Base, ConfigOption, Flavour, KernelSpec, Plan, Source, Stop};
use scenario::{Overrides, Project};

use super::{
    options,
    state::{Asked, By, Node, Unit},
    units, words,
};
use crate::{
    arguments::{self, Places, TreeConfig},
    builds::{describe, of_kernel, show},
    failure::Failure,
    lab::Lab,
    progress::Progress,
    series::{of_series, resolve, waiting},
    tree_build::of_tree,
    tree_run::{self, lab_config, tree_config},
};

/// The question about a series for which no other is asked.
const DEFAULT_SCENARIO: &str = "net";
/// More commits than these take longer to think about than to halve with releases.
const MOST_COMMITS: usize = 20_000;
/// What touches nothing else is hardly ever seen in a kernel: the prior weight of such a commit.
const HARMLESS: f64 = 0.01;

/// What a search is about, from the command line.
pub(super) fn asked(
    places: &Places,
    flags: &arguments::Bisect,
    lab: &Lab,
    progress: &mut Progress,
) -> Result<Asked, Failure> {
    if flags.subset && flags.range.is_some() {
        return Err(Failure::user(
            "assay: --subset: the commits of a --range do not stand alone: each is made for the tree that those before it left (remedy: a --series)",
        ));
    }
    let given = given(flags)?;
    let named = flags.scenario.as_deref().unwrap_or(Path::new(DEFAULT_SCENARIO));
    let (path, project) = tree_run::scenario(places, named)?;
    let base = flags.base.as_deref().map(|name| scenario::base(name, &project)).transpose();
    let mut overrides =
        Overrides { base: base.map_err(Failure::user)?, arm: flags.arm.clone(), series: None, flavour: None };
    let (nodes, of_series) = if let Some((good, bad)) = &flags.range {
        let folder = flags.tree.clone().unwrap_or_else(|| ".".into());
        let tree = KernelTree::containing(&folder).map_err(of_tree)?.ok_or_else(|| {
            Failure::user(format!(
                "assay: --range: {} is in no kernel tree (remedy: --tree DIR)",
                folder.display()
            ))
        })?;
        progress.status(&format!("reading {good}..{bad} of {}", tree.root().display()), "");
        let range = Range::of(&tree, good, bad, &lab.supervisor).map_err(of_tree)?;
        overrides.base = Some(base_of(&range, &tree, &folder, flags.config, &project, progress)?);
        let nodes = commits(&range, lab, progress)?;
        overrides.series = Some(nodes.last().map(|node| node.series.clone()).unwrap_or_default());
        (nodes, vec![])
    } else if matches!(given, Given::Nothing) {
        let (_, base) = scenario::candidate(&path, &project, &overrides).map_err(Failure::user)?;
        let series = resolve(&flags.series, &base.name, &project, lab, progress)?;
        let of_series = units::of_series(&series);
        overrides.series = Some(series);
        (vec![], of_series)
    } else {
        (vec![], vec![])
    };
    let (name, _) = scenario::candidate(&path, &project, &overrides).map_err(Failure::user)?;
    let plan = scenario::load(&path, &project, &overrides).map_err(Failure::user)?;
    if !plan.dimensions.is_empty() {
        return Err(Failure::user(format!(
            "assay: {} lists several values: a search needs a scenario with one kernel, machine and workload each",
            plan.name
        )));
    }
    let by = by(&plan, flags)?;
    let mut arm = plan.arm(&name).ok_or_else(|| anyhow::anyhow!("the plan has no arm {name}"))?.clone();
    // What the arm has besides the series under search is below it, in every node.
    let searched = overrides.series.unwrap_or_default();
    let mut own = arm.kernel.series.clone();
    own.retain(|series| !searched.iter().any(|one| one.folder == series.folder));
    if flags.range.is_some() {
        let below = |node: Node| Node { series: own.iter().cloned().chain(node.series).collect(), ..node };
        let nodes = nodes.into_iter().map(below).collect();
        return Ok(Asked::new(Plan { arms: vec![arm], ..plan }, by, flags.confidence, nodes, true));
    }
    let units = match given {
        Given::Nothing => of_series,
        Given::Options(given) => of_options(given, &mut arm.kernel, lab, progress)?,
        Given::Words(words) => {
            // The good end is the arm without them.
            arm.cmdline.retain(|word| !words.contains(word));
            words.into_iter().map(|word| Unit::Word { word }).collect()
        }
    };
    if units.is_empty() {
        return Err(Failure::user("assay: bisect what? the series has no patch"));
    }
    let good = match units.first() {
        Some(Unit::Option { .. }) => "without the options",
        Some(Unit::Word { .. }) => "without the words",
        _ => "without the series",
    };
    let mut nodes = units::in_a_row(&units, good, |unit| match unit {
        Unit::Patch { series } => of_patch(series),
        Unit::Option { .. } | Unit::Word { .. } => units::plain(unit),
    });
    nodes[0].series = own;
    let mut asked = Asked::new(Plan { arms: vec![arm], ..plan }, by, flags.confidence, nodes, false);
    asked.units = units;
    asked.subset = flags.subset;
    asked.nodes = units::nodes(&asked.nodes, &asked.units, &Stage::first(asked.units.len()));
    Ok(asked)
}

/// What is searched besides commits and series, as far as the command line says it.
enum Given {
    Nothing,
    Options(Vec<options::File>),
    Words(Vec<String>),
}

/// Reads it. All that is wrong with it is told at once.
fn given(flags: &arguments::Bisect) -> Result<Given, Failure> {
    if let Some(text) = &flags.cmdline {
        let words = words::words(text).map_err(|wrong| {
            let wrong: Vec<String> = wrong.iter().map(|why| format!("assay: --cmdline: {why}")).collect();
            Failure::user(wrong.join("\n"))
        })?;
        return Ok(Given::Words(words));
    }
    let (mut files, mut wrong) = (vec![], vec![]);
    for path in &flags.options {
        match std::fs::read_to_string(path) {
            Ok(text) => match options::read(path, &text) {
                Ok(file) => files.push(file),
                Err(of_file) => wrong.extend(of_file),
            },
            Err(error) => wrong.push(format!("assay: --options: cannot read {}: {error}", path.display())),
        }
    }
    if !wrong.is_empty() {
        return Err(Failure::user(wrong.join("\n")));
    }
    if !flags.option.is_empty() {
        files.push(options::File { options: flags.option.clone(), is_whole: false });
    }
    if !files.is_empty() {
        return Ok(Given::Options(files));
    }
    if flags.range.is_none() && flags.series.is_empty() {
        return Err(Failure::user(
            "assay: bisect what? a --series, commits: --range GOOD..BAD, --options or --option, or a --cmdline",
        ));
    }
    Ok(Given::Nothing)
}

/// The units of options. Of a whole configuration these are the options that differ from what the kernel has without any of them; so that is made, unless it was built before.
fn of_options(
    given: Vec<options::File>,
    kernel: &mut KernelSpec,
    lab: &Lab,
    progress: &mut Progress,
) -> Result<Vec<Unit>, Failure> {
    if matches!(kernel.base.source, Source::PrebuiltImage { .. } | Source::DebianImage { .. }) {
        return Err(Failure::user(format!(
            "assay: {} is prebuilt: its options are what they are (remedy: --base BASE, one that is built)",
            kernel.base.name
        )));
    }
    // The good end is the arm without them.
    let all: Vec<&ConfigOption> = given.iter().flat_map(|file| &file.options).collect();
    kernel.options.retain(|own| !all.contains(&own));
    let config = if given.iter().any(|file| file.is_whole) {
        let config = lab.kernels()?.config(kernel, &mut show(progress)).map_err(of_kernel)?;
        Some(config.map_err(|end| Failure::user(format!("assay: the good end: {}", describe(&end))))?)
    } else {
        None
    };
    let mut options: Vec<ConfigOption> = vec![];
    for file in given {
        let of_file = match &config {
            Some(config) if file.is_whole => options::that_differ(file.options, config),
            _ => file.options,
        };
        for one in of_file {
            options.retain(|before| before.name != one.name);
            options.push(one);
        }
    }
    if options.is_empty() {
        return Err(Failure::user(format!(
            "assay: --options: {} has all of them as they are there",
            kernel.base.name
        )));
    }
    Ok(options.into_iter().map(|option| Unit::Option { option }).collect())
}

/// A patch's file name and the subject of it.
fn of_patch(series: &plan::Series) -> (String, String) {
    let Some(patch) = series.patches.first() else { return (series.name.clone(), series.name.clone()) };
    let file = patch.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    (file.clone(), title(&patch.path).unwrap_or(file))
}

fn by(plan: &Plan, flags: &arguments::Bisect) -> Result<By, Failure> {
    let gates = plan.gates.len();
    match (flags.crash, flags.gate) {
        (true, _) => Ok(By::Crash),
        (false, Some(gate)) if (1..=gates).contains(&gate) => Ok(By::Metric { gate: gate - 1 }),
        (false, Some(gate)) => {
            Err(Failure::user(format!("assay: --gate {gate}: {} has {gates} gates on metrics", plan.name)))
        }
        (false, None) if gates > 0 => Ok(By::Metric { gate: 0 }),
        (false, None) => match plan.test_gates.first() {
            Some(gate) => Ok(By::Tests { workload: gate.workload.clone() }),
            None => Err(Failure::user(format!(
                "assay: {} has no gate, so that nothing tells good from bad (remedy: a gate, or --crash)",
                plan.name
            ))),
        },
    }
}

/// The subject of a patch, without `[PATCH 1/2]`.
fn title(path: &Path) -> Option<String> {
    let text = String::from_utf8_lossy(&std::fs::read(path).ok()?).into_owned();
    let subject = text.lines().find_map(|line| line.strip_prefix("Subject: "))?;
    let rest =
        subject.strip_prefix('[').and_then(|tagged| tagged.split_once(']')).map_or(subject, |(_, rest)| rest);
    Some(rest.trim().to_owned())
}

fn base_of(
    range: &Range,
    tree: &KernelTree,
    folder: &Path,
    config: TreeConfig,
    project: &Project,
    progress: &mut Progress,
) -> Result<Base, Failure> {
    let (config, how) = match config {
        TreeConfig::Lab => lab_config(project, range.version)?,
        TreeConfig::Tree => tree_config(tree, folder)?,
    };
    progress.line(format!("note: {how}"));
    let repository = tree.root().to_str();
    let repository =
        repository.ok_or_else(|| anyhow::anyhow!("the tree's path is not UTF-8, which plans are"))?;
    Ok(Base {
        name: range.described.clone(),
        version: range.version.to_string(),
        source: Source::Git { repository: repository.to_owned(), reference: range.good.clone() },
        config,
        flavour: Flavour::Plain,
    })
}

/// Every commit as what leads from the good end to it, in one patch: so all of them start from one base's objects.
fn commits(range: &Range, lab: &Lab, progress: &mut Progress) -> Result<Vec<Node>, Failure> {
    let all = range.commits.len();
    if all > MOST_COMMITS {
        return Err(Failure::user(format!(
            "assay: --range: {all} commits; the most are {MOST_COMMITS} (remedy: try releases in between first)"
        )));
    }
    let mut nodes = vec![Node {
        name: range.good.clone(),
        title: range.described.clone(),
        parents: vec![],
        series: vec![],
        weight: 1.0,
        options: vec![],
        words: vec![],
    }];
    for (number, commit) in range.commits.iter().enumerate() {
        progress.status("reading commits", &format!("{} of {all}", number + 1));
        let patch = range.patch(commit).map_err(of_tree)?;
        let series = patch.map(|patch| {
            let files = [("0001-all-since-good.patch".to_owned(), patch)];
            series::shelve_files("range", &files, &lab.series_cache(), &mut waiting(progress))
                .map_err(of_series)
        });
        nodes.push(Node {
            name: commit.hash.clone(),
            title: commit.subject.clone(),
            parents: commit.parents.clone(),
            series: series.transpose()?.into_iter().collect(),
            weight: weight(commit),
            options: vec![],
            words: vec![],
        });
    }
    Ok(nodes)
}

/// How often a commit like this is the culprit, from what it touched.
fn weight(commit: &RangeCommit) -> f64 {
    let is_harmless = |file: &String| {
        let other_arch =
            file.strip_prefix("arch/").is_some_and(|rest| !rest.starts_with("x86/") && rest.contains('/'));
        other_arch
            || ["Documentation/", "LICENSES/", "samples/"].iter().any(|folder| file.starts_with(folder))
    };
    // Merges name no files.
    if !commit.files.is_empty() && commit.files.iter().all(is_harmless) { HARMLESS } else { 1.0 }
}

/// The plan of a visit: one arm, so many boots, and nothing that is judged.
pub(super) fn visit(asked: &Asked, node: usize, boots: u32) -> Plan {
    let mut plan = asked.plan.clone();
    let template: &Arm = &asked.plan.arms[0];
    let mut arm = Arm { name: "node".to_owned(), ..template.clone() };
    arm.kernel.series.clone_from(&asked.nodes[node].series);
    arm.kernel.options.extend(asked.nodes[node].options.iter().cloned());
    arm.cmdline.extend(asked.nodes[node].words.iter().cloned());
    plan.arms = vec![arm];
    plan.gates.clear();
    plan.test_gates.clear();
    plan.design.stop = Stop::AtTheEnd;
    plan.design.traced_boots = 0;
    plan.design.trim = 0;
    // Exact boots are the replicates of the scenario, all of them, every time.
    if plan.design.replicates.is_empty() {
        plan.design.set_boots(boots);
    }
    plan.name = "visit".to_owned();
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_that_touch_nothing_that_is_booted_are_hardly_suspected() {
        let of = |files: &[&str]| {
            weight(&RangeCommit {
                hash: String::new(),
                subject: String::new(),
                parents: vec![],
                tree: String::new(),
                files: files.iter().map(|file| (*file).to_owned()).collect(),
            })
        };
        assert_eq!(of(&["Documentation/networking/x.rst", "arch/arm64/kernel/setup.c"]), HARMLESS);
        assert_eq!([of(&[]), of(&["net/a.c"]), of(&["arch/Kconfig"]), of(&["arch/x86/a.c"])], [1.0; 4]);
    }
}
