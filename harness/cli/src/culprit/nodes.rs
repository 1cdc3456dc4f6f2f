//! What is searched: the prefixes of a series, or the commits of a range.

use std::path::Path;

use kernel_tree::{KernelTree, Range, RangeCommit};
use plan::{Arm, Base, Flavour, Plan, Source, Stop};
use scenario::{Overrides, Project};

use super::state::{Asked, By, Node};
use crate::{
    arguments::{self, Places, TreeConfig},
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
    let named = flags.scenario.as_deref().unwrap_or(Path::new(DEFAULT_SCENARIO));
    let (path, project) = tree_run::scenario(places, named)?;
    let base = flags.base.as_deref().map(|name| scenario::base(name, &project)).transpose();
    let mut overrides =
        Overrides { base: base.map_err(Failure::user)?, arm: flags.arm.clone(), series: None, flavour: None };
    let nodes = if let Some((good, bad)) = &flags.range {
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
        commits(&range, lab, progress)?
    } else {
        if flags.series.series.is_empty() {
            return Err(Failure::user("assay: bisect what? a --series, or commits: --range GOOD..BAD"));
        }
        let (_, base) = scenario::candidate(&path, &project, &overrides).map_err(Failure::user)?;
        patches(&resolve(&flags.series, &base.name, &project, lab, progress)?)
    };
    overrides.series = Some(nodes.last().map(|node| node.series.clone()).unwrap_or_default());
    let (name, _) = scenario::candidate(&path, &project, &overrides).map_err(Failure::user)?;
    let plan = scenario::load(&path, &project, &overrides).map_err(Failure::user)?;
    if !plan.dimensions.is_empty() {
        return Err(Failure::user(format!(
            "assay: {} lists several values: a search needs a scenario with one kernel, machine and workload each",
            plan.name
        )));
    }
    let by = by(&plan, flags)?;
    let candidate = plan.arm(&name).ok_or_else(|| anyhow::anyhow!("the plan has no arm {name}"))?.clone();
    // What the arm has besides the series under search is below it, in every node.
    let own: Vec<plan::Series> = candidate
        .kernel
        .series
        .iter()
        .filter(|series| !nodes.iter().any(|node| node.series.iter().any(|one| one.folder == series.folder)))
        .cloned()
        .collect();
    let nodes = nodes
        .into_iter()
        .map(|node| Node { series: own.iter().cloned().chain(node.series).collect(), ..node })
        .collect();
    Ok(Asked::new(Plan { arms: vec![candidate], ..plan }, by, flags.confidence, nodes, flags.range.is_some()))
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

/// The base without the series, and with one patch more each.
fn patches(series: &[plan::Series]) -> Vec<Node> {
    let good = Node {
        name: "base".to_owned(),
        title: "without the series".to_owned(),
        parents: vec![],
        series: vec![],
        weight: 1.0,
    };
    let mut nodes = vec![good];
    for (place, one) in series.iter().enumerate() {
        for (number, patch) in one.patches.iter().enumerate() {
            let mut cut = one.clone();
            cut.patches.truncate(number + 1);
            let file = patch.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            nodes.push(Node {
                title: title(&patch.path).unwrap_or_else(|| file.clone()),
                name: file,
                parents: vec![nodes.len() - 1],
                series: series[..place].iter().cloned().chain([cut]).collect(),
                weight: 1.0,
            });
        }
    }
    nodes
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
