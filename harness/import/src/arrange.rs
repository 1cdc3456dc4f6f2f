//! From what was read of files to a plan and its trials.
//!
//! Arms are the places of a matrix: a kernel's release is a side, and what run names differ in (flows, cores, ring, socket buffers,
//! modes) are dimensions. One that says nothing beyond another (as many cores as flows) is none, and stands among the facts of
//! its arms. What is there twice of one place is a repeat: a block of its own.

use std::collections::{BTreeMap, BTreeSet};

use measure::{Dims, Provenance, Sample, TrialEnd, TrialRecord};
use plan::{
    Arm, Base, Cell, ConfigStart, Design, Dimension, Flavour, ImportedMachine, ImportedWorkload,
    KernelConfig, KernelSpec, Machine, Plan, Scope, Source as KernelSource, Workload, WorkloadKind,
};

use crate::{Format, Part, Reading, RunName, derive::derive, text::slug};

/// What every part of a run is called, whichever of its files it is from.
const RUN: &str = "run";
/// What a kernel is called that nobody named.
const UNKNOWN: &str = "unknown-kernel";
/// Most words that a workload keeps of what stood with its numbers.
const SAID: usize = 40;

/// A file that was read.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path below what was imported.
    pub name: String,
    /// The run that its folder's name, or its own, says it is of.
    pub run: Option<RunName>,
    /// What was read of it.
    pub reading: Reading,
}

/// What an import comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Arranged {
    /// Without gates: nothing in it was measured in an order that a verdict could rest on.
    pub plan: Plan,
    /// Block after block.
    pub trials: Vec<TrialRecord>,
}

/// What tells arms apart, by the names of dimensions.
type Place = BTreeMap<&'static str, String>;

/// The dimensions that there can be, in the order of importance.
const AXES: [&str; 7] = ["flows", "host-mode", "guest-mode", "ring", "socket-buffer", "cores", "run"];

/// One part on its way.
struct Item {
    release: Option<String>,
    place: Place,
    /// Parts of one are never in different blocks of an arm.
    instance: String,
    workload: String,
    facts: BTreeMap<String, String>,
    part: Part,
}

/// One trial in the making.
#[derive(Default)]
struct Block {
    instance: Option<String>,
    taken: BTreeSet<(String, &'static str, Dims)>,
    items: Vec<usize>,
}

/// Arranges what was read under the name `name`.
#[must_use]
pub fn arrange(name: &str, question: &str, sources: Vec<Source>) -> Arranged {
    let items: Vec<Item> = items(sources);
    let mut places: Vec<(Option<String>, Place)> = Vec::new();
    for item in &items {
        let of = (item.release.clone(), item.place.clone());
        if !places.contains(&of) {
            places.push(of);
        }
    }
    let dimensions = dimensions(&places);
    let mut arms: Vec<Arm> = Vec::new();
    let mut blocks: Vec<Vec<Block>> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let (name, cell) = arm_name(item, &dimensions);
        let position = arms.iter().position(|arm| arm.name == name).unwrap_or_else(|| {
            arms.push(arm(name, cell, item));
            blocks.push(Vec::new());
            arms.len() - 1
        });
        if let Machine::Imported(machine) = &mut arms[position].machine {
            add_facts(&mut machine.facts, &item.facts);
        }
        put(&mut blocks[position], index, item);
    }
    let trials = trials(&arms, &blocks, &items);
    let boots = blocks.iter().map(Vec::len).max().unwrap_or(0);
    let plan = Plan {
        format: plan::FORMAT,
        name: name.to_owned(),
        question: question.to_owned(),
        dimensions,
        arms: sorted(arms.clone()),
        workloads: workloads(&items),
        collectors: vec![],
        design: Design { seed: 0, ..Design::of(u32::try_from(boots).unwrap_or(u32::MAX)) },
        gates: vec![],
        test_gates: vec![],
        known_complaints: vec![],
    };
    Arranged { plan, trials }
}

/// Sides stand together, in the order in which they were found.
fn sorted(mut arms: Vec<Arm>) -> Vec<Arm> {
    let mut sides: Vec<String> = Vec::new();
    for arm in &arms {
        if !sides.iter().any(|side| side == arm.side()) {
            sides.push(arm.side().to_owned());
        }
    }
    let position = |arm: &Arm| sides.iter().position(|side| side == arm.side());
    arms.sort_by_key(position);
    arms
}

fn items(sources: Vec<Source>) -> Vec<Item> {
    // Several files of one format in one folder are told apart by their names.
    let folder = |name: &str| name.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
    let mut formats: BTreeMap<(String, Format), usize> = BTreeMap::new();
    for source in &sources {
        for format in source.reading.formats() {
            *formats.entry((folder(&source.name), format)).or_default() += 1;
        }
    }
    let mut items = Vec::new();
    for Source { name, run, reading } in sources {
        for part in reading.parts {
            let run = part.run.clone().or_else(|| run.clone());
            let several = formats.get(&(folder(&name), part.format)).is_some_and(|files| *files > 1);
            items.push(item(&name, &folder(&name), run, several, part));
        }
    }
    items
}

fn item(file: &str, folder: &str, run: Option<RunName>, several: bool, part: Part) -> Item {
    let mut place = Place::new();
    let mut facts = BTreeMap::new();
    let label = part.label.clone().or_else(|| (!folder.is_empty()).then(|| folder.to_owned()));
    let (release, instance) = match &run {
        Some(run) => {
            let optional = |number: Option<u32>| number.map(|number| number.to_string());
            let axes = [
                ("flows", Some(run.flows.to_string())),
                ("host-mode", Some(run.host.clone())),
                ("guest-mode", run.guest.clone()),
                ("ring", optional(run.ring)),
                ("socket-buffer", optional(run.socket_buffer)),
                ("cores", optional(run.cores)),
            ];
            place.extend(axes.into_iter().filter_map(|(name, value)| Some((name, slug(&value?)))));
            facts = run.facts();
            facts.insert("run".to_owned(), run.name.clone());
            (Some(run.release.clone()), run.name.clone())
        }
        None => {
            if let Some(label) = &label {
                place.insert("run", slug(label));
                facts.insert("run".to_owned(), label.clone());
            }
            (None, label.clone().unwrap_or_default())
        }
    };
    let workload = match (&run, &part.workload) {
        (Some(_), _) => RUN.to_owned(),
        (None, _) if part.format == Format::RunMetrics => RUN.to_owned(),
        (None, Some(heading)) => heading.clone(),
        (None, None) if several => slug(file.rsplit('/').next().unwrap_or(file)),
        (None, None) => part.format.name().to_owned(),
    };
    Item { release, place, instance, workload, facts, part }
}

/// What differs between places, without what only says again what another dimension says.
fn dimensions(places: &[(Option<String>, Place)]) -> Vec<Dimension> {
    let value = |place: &Place, axis: &str| place.get(axis).cloned().unwrap_or_else(|| "unknown".to_owned());
    let mut kept: Vec<Dimension> = Vec::new();
    for axis in AXES {
        let mut values: Vec<String> = Vec::new();
        for (_, place) in places {
            let value = value(place, axis);
            if !values.contains(&value) {
                values.push(value);
            }
        }
        let says_the_same = |dimension: &Dimension| {
            let pairs: BTreeSet<(String, String)> =
                places.iter().map(|(_, place)| (value(place, &dimension.name), value(place, axis))).collect();
            pairs.len() == dimension.values.len() && pairs.len() == values.len()
        };
        if values.len() < 2 || kept.iter().any(says_the_same) {
            continue;
        }
        let numbers: Option<Vec<f64>> = values.iter().map(|value| crate::text::number(value)).collect();
        let numbers = numbers.map(|mut numbers| {
            values.sort_by(|a, b| {
                crate::text::number(a).unwrap_or(0.0).total_cmp(&crate::text::number(b).unwrap_or(0.0))
            });
            numbers.sort_by(f64::total_cmp);
            numbers
        });
        kept.push(Dimension { name: axis.to_owned(), values, numbers, scope: Scope::Arms });
    }
    kept
}

/// A kernel's name, fit for a file's.
fn side(release: Option<&str>) -> String {
    let harmless = |char: char| {
        if char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.') { char } else { '_' }
    };
    release.map_or_else(|| UNKNOWN.to_owned(), |release| release.chars().map(harmless).collect())
}

fn arm_name(item: &Item, dimensions: &[Dimension]) -> (String, Option<Cell>) {
    let side = side(item.release.as_deref());
    if dimensions.is_empty() {
        return (side, None);
    }
    let dims: BTreeMap<String, String> = dimensions
        .iter()
        .map(|dimension| {
            let value = item.place.get(dimension.name.as_str());
            (dimension.name.clone(), value.cloned().unwrap_or_else(|| "unknown".to_owned()))
        })
        .collect();
    let at: Vec<String> = dims.iter().map(|(name, value)| format!("{name}={value}")).collect();
    (format!("{side}@{}", at.join(",")), Some(Cell { of: side, dims }))
}

fn arm(name: String, cell: Option<Cell>, item: &Item) -> Arm {
    let release = item.release.clone().unwrap_or_else(|| UNKNOWN.to_owned());
    Arm {
        name,
        cell,
        kernel: KernelSpec {
            base: Base {
                name: release.clone(),
                version: release,
                source: KernelSource::Imported,
                config: KernelConfig {
                    start: ConfigStart::Tinyconfig,
                    fragments: vec![],
                    tree_fragments: vec![],
                },
                flavour: Flavour::Plain,
            },
            series: vec![],
            options: vec![],
        },
        cmdline: vec![],
        machine: Machine::Imported(ImportedMachine::default()),
    }
}

/// Facts of repeats stand side by side.
fn add_facts(facts: &mut BTreeMap<String, String>, more: &BTreeMap<String, String>) {
    for (name, value) in more {
        let known = facts.entry(name.clone()).or_default();
        if known.is_empty() {
            known.clone_from(value);
        } else if !known.split(", ").any(|known| known == value) {
            known.push_str(", ");
            known.push_str(value);
        }
    }
}

/// The first block in which nothing of it is already.
fn put(blocks: &mut Vec<Block>, index: usize, item: &Item) {
    let keys: Vec<_> = item
        .part
        .figures
        .iter()
        .map(|figure| (item.workload.clone(), figure.metric.name, figure.dims.clone()))
        .collect();
    let has_room = |block: &Block| {
        block.instance.as_ref().is_none_or(|instance| *instance == item.instance)
            && !keys.iter().any(|key| block.taken.contains(key))
    };
    let position = blocks.iter().position(has_room).unwrap_or_else(|| {
        blocks.push(Block::default());
        blocks.len() - 1
    });
    let block = &mut blocks[position];
    block.instance = Some(item.instance.clone());
    block.taken.extend(keys);
    block.items.push(index);
}

fn trials(arms: &[Arm], blocks: &[Vec<Block>], items: &[Item]) -> Vec<TrialRecord> {
    let most = blocks.iter().map(Vec::len).max().unwrap_or(0);
    let mut trials = Vec::new();
    for number in 0..most {
        for (arm, blocks) in arms.iter().zip(blocks) {
            let Some(block) = blocks.get(number) else { continue };
            let (samples, unavailable) = samples(arm, block, items);
            trials.push(TrialRecord {
                index: u32::try_from(trials.len()).unwrap_or(u32::MAX),
                block: u32::try_from(number).unwrap_or(u32::MAX),
                arm: arm.name.clone(),
                traced: false,
                perturbation: None,
                end: TrialEnd::Measured { samples },
                facts: BTreeMap::new(),
                boot_seconds: None,
                took_seconds: 0.0,
                unavailable,
                warnings: vec![],
                complaints: vec![],
                tests: vec![],
                voids: vec![],
                set_aside: vec![],
                within: vec![],
                timelines: vec![],
                began: None,
            });
        }
    }
    trials
}

fn samples(arm: &Arm, block: &Block, items: &[Item]) -> (Vec<Sample>, Vec<String>) {
    let mut by_workload: BTreeMap<&str, Vec<Sample>> = BTreeMap::new();
    let mut unavailable = Vec::new();
    let common = |workload: &str| {
        let mut dims: Dims = arm.dims().clone();
        dims.insert("workload".to_owned(), workload.to_owned());
        dims
    };
    for item in block.items.iter().map(|index| &items[*index]) {
        let samples = by_workload.entry(&item.workload).or_default();
        for figure in &item.part.figures {
            let mut dims = common(&item.workload);
            dims.insert("tool".to_owned(), item.part.format.name().to_owned());
            dims.extend(figure.dims.clone());
            samples.extend(Sample::new(figure.metric, figure.value, dims, Provenance::Imported));
        }
        for reason in &item.part.unavailable {
            if !unavailable.contains(reason) {
                unavailable.push(reason.clone());
            }
        }
    }
    let mut all = Vec::new();
    for (workload, mut samples) in by_workload {
        unavailable.extend(derive(&mut samples, &common(workload)));
        all.extend(samples);
    }
    (all, unavailable)
}

fn workloads(items: &[Item]) -> Vec<Workload> {
    let mut workloads: Vec<Workload> = Vec::new();
    for item in items {
        let position = workloads.iter().position(|known| known.name == item.workload).unwrap_or_else(|| {
            let kind = WorkloadKind::Imported(ImportedWorkload::default());
            workloads.push(Workload { name: item.workload.clone(), cell: None, kind });
            workloads.len() - 1
        });
        let WorkloadKind::Imported(imported) = &mut workloads[position].kind else { continue };
        let format = item.part.format.name().to_owned();
        if !imported.formats.contains(&format) {
            imported.formats.push(format);
        }
        for said in &item.part.said {
            if imported.said.len() < SAID && !imported.said.contains(said) {
                imported.said.push(said.clone());
            }
        }
    }
    workloads
}
