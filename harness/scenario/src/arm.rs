//! `arms`, with the scenario's defaults laid under each, to [`plan::Arm`]s.

mod settings;

use std::{borrow::Cow, collections::HashMap, path::Path};

use plan::{Arm, Base, Flavour, KernelSpec, Machine, Series};
use settings::{cmdline, knobs, options};

use crate::{
    base::{in_flavour, read_base},
    fields::{Fields, entries, items, text_of},
    machine::machine,
    matrix::{Axis, Expanded, multiply, of_arm},
    overrides::{Chosen, Overrides, choose, option, refuse_prebuilt},
    problem::{Findings, Place},
    project::Project,
    schema::{self, BASE_NAME, NAME, SERIES_REFERENCE},
    series::{patches_for, read_series_file},
    tree::{Node, Value},
    value::printable,
};

/// Most arms of a scenario.
const MAX_ARMS: usize = 16;

/// Reads arms; keeps every base that it has read.
pub(crate) struct Arms<'a> {
    pub(crate) project: &'a Project,
    /// The scenario's folder: relative paths start there.
    pub(crate) folder: &'a Path,
    overrides: &'a Overrides,
    /// That of every arm, and where it is asked for.
    flavour: (Flavour, Place),
    bases: HashMap<String, Option<Base>>,
}

impl<'a> Arms<'a> {
    pub(crate) fn new(project: &'a Project, folder: &'a Path, overrides: &'a Overrides) -> Self {
        let flavour = (overrides.flavour.unwrap_or_default(), option("--flavour"));
        Self { project, folder, overrides, flavour, bases: HashMap::new() }
    }

    /// Takes the scenario's flavour, unless the caller puts another in its place.
    fn take_flavour(&mut self, scenario: &Fields<'_>, findings: &mut Findings) {
        let own = scenario.choice::<Flavour>("flavour", findings);
        if let (None, Some(flavour)) = (self.overrides.flavour, own) {
            self.flavour = (flavour, scenario.place_of("flavour"));
        }
    }

    /// All arms, at every combination of the values that they list.
    pub(crate) fn read(&mut self, scenario: &Fields<'_>, findings: &mut Findings) -> Vec<Expanded<Arm>> {
        self.take_flavour(scenario, findings);
        let Some(node) = scenario.given("arms") else {
            self.check_defaults(scenario, findings);
            return Vec::new();
        };
        let allowed = schema::SCENARIO.key("arms").kind.allowed();
        let entries = entries(node, &allowed, findings);
        if node.is_empty_map() || entries.len() > MAX_ARMS {
            findings.add(&node.place, format!("{} arms", entries.len()), allowed);
        }
        let Overrides { arm, series, .. } = self.overrides;
        let arms: Vec<Expanded<Arm>> = choose(entries, arm.as_deref(), series.is_some(), findings)
            .iter()
            .map(|chosen| {
                if !chosen.is_added && !(NAME.holds)(&chosen.name) {
                    let message = format!("`{}` is no name", printable(&chosen.name));
                    findings.add(&chosen.node.place, message, NAME.what);
                }
                match Fields::open(chosen.node, &schema::ARM, findings) {
                    Some(arm) => self.expanded(chosen, &Layers { scenario, arm: &arm }, findings),
                    None => Expanded {
                        of: chosen.name.clone(),
                        place: chosen.node.place.clone(),
                        axes: Vec::new(),
                        cells: vec![None],
                    },
                }
            })
            .collect();
        if arms.iter().flat_map(|arm| &arm.cells).all(Option::is_none) {
            self.check_defaults(scenario, findings);
        }
        arms
    }

    /// The name and the base of the arm that a series would go to.
    pub(crate) fn candidate(
        &mut self,
        scenario: &Fields<'_>,
        findings: &mut Findings,
    ) -> Option<(String, Base)> {
        let node = scenario.given("arms")?;
        let allowed = schema::SCENARIO.key("arms").kind.allowed();
        let entries = entries(node, &allowed, findings);
        if node.is_empty_map() {
            findings.add(&node.place, "0 arms", allowed);
        }
        let arms = choose(entries, self.overrides.arm.as_deref(), true, findings);
        let chosen = arms.iter().find(|chosen| chosen.is_candidate)?;
        let fields = Fields::open(chosen.node, &schema::ARM, findings)?;
        let merged = Layers { scenario, arm: &fields }.merged();
        let bases = of_arm(&merged, findings).into_iter().find(|axis| axis.path == ["base"]);
        if let (Some(bases), None) = (bases.filter(Axis::is_dimension), &self.overrides.base) {
            let message = format!("a series would have to apply to each of {}", bases.labels.join(", "));
            findings.add(&bases.place, message, "a single base, or one with --base");
            return None;
        }
        let base = self.base(&Fields::open(&merged, &schema::ARM, findings)?, findings)?;
        Some((chosen.name.clone(), base))
    }

    /// Reads the defaults as if an arm had no keys of its own: where arms cannot be read, nobody else looks at them.
    fn check_defaults(&mut self, scenario: &Fields<'_>, findings: &mut Findings) {
        if scenario.given("base").is_some() {
            let arm = Node::empty_map(scenario.place_of("arms"));
            let chosen = Chosen { name: String::new(), node: &arm, is_candidate: false, is_added: false };
            if let Some(fields) = Fields::open(&arm, &schema::ARM, findings) {
                self.expanded(&chosen, &Layers { scenario, arm: &fields }, findings);
            }
        }
    }

    fn expanded(
        &mut self,
        chosen: &Chosen<'_>,
        layers: &Layers<'_, '_>,
        findings: &mut Findings,
    ) -> Expanded<Arm> {
        let merged = layers.merged();
        let mut axes = of_arm(&merged, findings);
        if self.overrides.base.is_some() {
            axes.retain(|axis| axis.path != ["base"]);
        }
        let nodes = multiply(&merged, &axes, 0, layers.arm.place(), findings);
        let mut series = HashMap::new();
        let mut read = |node: &Node, findings: &mut Findings| {
            let fields = Fields::open(node, &schema::ARM, findings)?;
            let base = self.base(&fields, findings);
            // A series is a list already, so that it differs between the cells of an arm by their bases only.
            let of_base = base.as_ref().map(|base| base.name.clone());
            let series = series
                .entry(of_base)
                .or_insert_with(|| self.all_series(chosen, layers, base.as_ref(), findings))
                .clone();
            self.arm(chosen, &fields, base, series, findings)
        };
        let cells = match nodes {
            Some(nodes) => nodes.iter().map(|node| read(node, findings)).collect(),
            None => vec![None],
        };
        Expanded { of: chosen.name.clone(), place: layers.arm.place().clone(), axes, cells }
    }

    fn arm(
        &self,
        chosen: &Chosen<'_>,
        fields: &Fields<'_>,
        base: Option<Base>,
        series: Option<Vec<Series>>,
        findings: &mut Findings,
    ) -> Option<Arm> {
        let options = options(fields, base.as_ref(), findings);
        let cmdline = cmdline(fields, findings);
        let knobs = knobs(fields, findings);
        let absent = Node::empty_map(fields.place_of("machine"));
        let machine_node = fields.given("machine").unwrap_or(&absent);
        let machine = machine(machine_node, knobs.unwrap_or_default(), self.folder, findings);
        let flavour = self.flavour.0;
        let parameters = flavour.parameters().iter().map(|parameter| (*parameter).to_owned());
        let mut machine = machine?;
        if let Machine::Qemu(qemu) = &mut machine {
            qemu.memory_mib = qemu.memory_mib.max(flavour.least_memory_mib());
        }
        if let Machine::Nested(nested) = &mut machine {
            let guest = &mut nested.guest;
            guest.memory_mib = guest.memory_mib.max(flavour.least_memory_mib());
        }
        Some(Arm {
            name: chosen.name.clone(),
            cell: None,
            kernel: KernelSpec { base: base?, series: series?, options: options? },
            cmdline: parameters.chain(cmdline?).collect(),
            machine,
        })
    }

    /// The series of the file, and what a caller puts in their place.
    fn all_series(
        &self,
        chosen: &Chosen<'_>,
        layers: &Layers<'_, '_>,
        base: Option<&Base>,
        findings: &mut Findings,
    ) -> Option<Vec<Series>> {
        match &self.overrides.series {
            Some(given) if chosen.is_candidate => {
                // In place of the arm's own; what all arms have stays, or there would be two differences.
                let under = if chosen.is_added {
                    layers.value("series")
                } else {
                    layers.scenario.given("series").map(Cow::Borrowed)
                };
                let under = self.series(under.as_deref(), base, findings);
                let patchable = match (base, given.as_slice()) {
                    (Some(base), [_, ..]) => refuse_prebuilt(base, &option("--series"), findings),
                    _ => Some(()),
                };
                under.zip(patchable).map(|(under, ())| [under, given.clone()].concat())
            }
            _ => self.series(layers.value("series").as_deref(), base, findings),
        }
    }

    fn base(&mut self, arm: &Fields<'_>, findings: &mut Findings) -> Option<Base> {
        let (flavour, asked_at) = &self.flavour;
        if let Some(base) = &self.overrides.base {
            return in_flavour(base.clone(), *flavour, asked_at, self.project, findings);
        }
        let Some(node) = arm.given("base") else {
            let allowed = format!("base: {}, for this arm or for the whole scenario", BASE_NAME.what);
            findings.add(arm.place(), "the arm has no base", allowed);
            return None;
        };
        let name = text_of(node, BASE_NAME, findings)?;
        if let Some(base) = self.bases.get(&name) {
            return base.clone();
        }
        let base = read_base(&name, &node.place, self.project, findings)
            .and_then(|base| in_flavour(base, *flavour, asked_at, self.project, findings));
        self.bases.insert(name, base.clone());
        base
    }

    fn series(
        &self,
        node: Option<&Node>,
        base: Option<&Base>,
        findings: &mut Findings,
    ) -> Option<Vec<Series>> {
        let Some(node) = node else { return Some(Vec::new()) };
        let single = std::slice::from_ref(node);
        let references = match &node.value {
            Value::Scalar { .. } => single,
            _ => items(node, &schema::ARM.key("series").kind.allowed(), findings),
        };
        if let (Some(base), [first, ..]) = (base, references) {
            refuse_prebuilt(base, &first.place, findings)?;
        }
        let read: Vec<Option<Series>> = references
            .iter()
            .map(|node| {
                let reference = text_of(node, SERIES_REFERENCE, findings)?;
                let file = read_series_file(&reference, self.folder, &node.place, self.project, findings)?;
                patches_for(&file, &base?.name, &node.place, findings)
            })
            .collect();
        read.into_iter().collect()
    }
}

/// The scenario's defaults and the arm over them.
struct Layers<'l, 'n> {
    scenario: &'l Fields<'n>,
    arm: &'l Fields<'n>,
}

impl<'n> Layers<'_, 'n> {
    /// What holds for `key`: maps are merged key by key, anything else is replaced.
    fn value(&self, key: &str) -> Option<Cow<'n, Node>> {
        match (self.scenario.given(key), self.arm.given(key)) {
            (None, None) => None,
            (Some(node), None) | (None, Some(node)) => Some(Cow::Borrowed(node)),
            (Some(under), Some(over)) => Some(Cow::Owned(over.over(under))),
        }
    }

    /// Everything that holds for the arm, in one map.
    fn merged(&self) -> Node {
        let held = |key: &schema::Key| Some((key.name.to_owned(), self.value(key.name)?.into_owned()));
        let entries = schema::ARM.keys.iter().filter_map(held).collect();
        Node { place: self.arm.place().clone(), value: Value::Map(entries) }
    }
}
