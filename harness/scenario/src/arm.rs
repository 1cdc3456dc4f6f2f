//! `arms`, with the scenario's defaults laid under each, to [`plan::Arm`]s.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    path::Path,
};

use plan::{Arm, Base, ConfigOption, ConfigValue, KernelSpec, Knobs, Series};

use crate::{
    base::{is_prebuilt, read_base},
    fields::{Fields, entries, items, text_of},
    machine::machine,
    overrides::{Chosen, Overrides, choose, option, refuse_prebuilt},
    problem::{Findings, Place},
    project::Project,
    schema::{
        self, BASE_NAME, CONFIG_OPTION, KERNEL_PARAMETER, NAME, SERIES_REFERENCE, SYSCTL_NAME, SYSCTL_VALUE,
    },
    series::{patches_for, read_series_file},
    tree::{Node, Value},
    value::printable,
};

/// Most arms of a scenario.
const MAX_ARMS: usize = 16;

/// Kernel parameters that the machine sets from the plan, with the way to ask for what they do.
const MACHINES_OWN: &[(&str, &str)] = &[
    ("amd_iommu", "machine.server.iommu instead"),
    ("console", "leave it out: the console is the machine's"),
    ("earlyprintk", "leave it out: the console is the machine's"),
    ("init", "leave it out: the agent is the guest's init"),
    ("initrd", "leave it out: the boot image is the machine's"),
    ("intel_iommu", "machine.server.iommu instead"),
    ("iommu", "machine.server.iommu instead"),
    ("iommu.passthrough", "machine.server.iommu instead"),
    ("iommu.strict", "machine.server.iommu instead"),
    ("maxcpus", "machine.vcpus instead"),
    ("oops", "leave it out: an oops ends the trial"),
    ("mem", "machine.memory instead"),
    ("nr_cpus", "machine.vcpus instead"),
    ("panic", "leave it out: a panic ends the trial"),
    ("rdinit", "leave it out: the agent is the guest's init"),
    ("reboot", "leave it out: the machine ends trials"),
    ("root", "leave it out: the root is the machine's"),
    ("rootflags", "leave it out: the root is the machine's"),
    ("rootfstype", "leave it out: the root is the machine's"),
];

/// Reads arms; keeps every base that it has read.
pub(crate) struct Arms<'a> {
    pub(crate) project: &'a Project,
    /// The scenario's folder: relative paths start there.
    pub(crate) folder: &'a Path,
    overrides: &'a Overrides,
    bases: HashMap<String, Option<Base>>,
}

impl<'a> Arms<'a> {
    pub(crate) fn new(project: &'a Project, folder: &'a Path, overrides: &'a Overrides) -> Self {
        Self { project, folder, overrides, bases: HashMap::new() }
    }

    /// All arms, each `None` if something is wrong with it.
    pub(crate) fn read(&mut self, scenario: &Fields<'_>, findings: &mut Findings) -> Vec<Option<Arm>> {
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
        let arms: Vec<Option<Arm>> = choose(entries, arm.as_deref(), series.is_some(), findings)
            .iter()
            .map(|chosen| {
                if !chosen.is_added && !(NAME.holds)(&chosen.name) {
                    let message = format!("`{}` is no name", printable(&chosen.name));
                    findings.add(&chosen.node.place, message, NAME.what);
                }
                let fields = Fields::open(chosen.node, &schema::ARM, findings)?;
                self.arm(chosen, &Layers { scenario, arm: &fields }, findings)
            })
            .collect();
        if arms.iter().all(Option::is_none) {
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
        let base = self.base(&Layers { scenario, arm: &fields }, findings)?;
        Some((chosen.name.clone(), base))
    }

    /// Reads the defaults as if an arm had no keys of its own: where arms cannot be read, nobody else looks at them.
    fn check_defaults(&mut self, scenario: &Fields<'_>, findings: &mut Findings) {
        if scenario.given("base").is_some() {
            let arm = Node::empty_map(scenario.place_of("arms"));
            let chosen = Chosen { name: String::new(), node: &arm, is_candidate: false, is_added: false };
            if let Some(fields) = Fields::open(&arm, &schema::ARM, findings) {
                self.arm(&chosen, &Layers { scenario, arm: &fields }, findings);
            }
        }
    }

    fn arm(&mut self, chosen: &Chosen<'_>, layers: &Layers<'_, '_>, findings: &mut Findings) -> Option<Arm> {
        let base = self.base(layers, findings);
        let series = match &self.overrides.series {
            Some(given) if chosen.is_candidate => {
                // In place of the arm's own; what all arms have stays, or there would be two differences.
                let under = if chosen.is_added {
                    layers.value("series")
                } else {
                    layers.scenario.given("series").map(Cow::Borrowed)
                };
                let under = self.series(under.as_deref(), base.as_ref(), findings);
                let patchable = match (&base, given.as_slice()) {
                    (Some(base), [_, ..]) => refuse_prebuilt(base, &option("--series"), findings),
                    _ => Some(()),
                };
                under.zip(patchable).map(|(under, ())| [under, given.clone()].concat())
            }
            _ => self.series(layers.value("series").as_deref(), base.as_ref(), findings),
        };
        let options = options(layers, base.as_ref(), findings);
        let cmdline = cmdline(layers, findings);
        let knobs = knobs(layers, findings);
        let machine_node = layers
            .value("machine")
            .unwrap_or_else(|| Cow::Owned(Node::empty_map(layers.place_of("machine"))));
        let machine = machine(&machine_node, knobs.unwrap_or_default(), self.folder, findings);
        Some(Arm {
            name: chosen.name.clone(),
            cell: None,
            kernel: KernelSpec { base: base?, series: series?, options: options? },
            cmdline: cmdline?,
            machine: machine?,
        })
    }

    fn base(&mut self, layers: &Layers<'_, '_>, findings: &mut Findings) -> Option<Base> {
        if let Some(base) = &self.overrides.base {
            return Some(base.clone());
        }
        let Some(node) = layers.value("base") else {
            let allowed = format!("base: {}, for this arm or for the whole scenario", BASE_NAME.what);
            findings.add(layers.arm.place(), "the arm has no base", allowed);
            return None;
        };
        let name = text_of(&node, BASE_NAME, findings)?;
        if let Some(base) = self.bases.get(&name) {
            return base.clone();
        }
        let base = read_base(&name, &node.place, self.project, findings);
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

    /// Where `key` stands, or would stand.
    fn place_of(&self, key: &str) -> Place {
        match (self.arm.given(key), self.scenario.given(key)) {
            (None, Some(node)) => node.place.clone(),
            _ => self.arm.place_of(key),
        }
    }
}

fn options(
    layers: &Layers<'_, '_>,
    base: Option<&Base>,
    findings: &mut Findings,
) -> Option<Vec<ConfigOption>> {
    let Some(node) = layers.value("config") else { return Some(Vec::new()) };
    let allowed = schema::ARM.key("config").kind.allowed();
    let entries = entries(&node, &allowed, findings);
    if let (Some(base), [_, ..]) = (base, entries)
        && is_prebuilt(&base.source)
    {
        let message = format!("`{}` is prebuilt: it cannot be configured", base.name);
        findings.add(&node.place, message, "a base that is built from source, or no config");
        return None;
    }
    let read: Vec<Option<ConfigOption>> = entries
        .iter()
        .map(|(name, node)| {
            if !(CONFIG_OPTION.holds)(name) {
                findings.add(&node.place, format!("`{}` is no option", printable(name)), CONFIG_OPTION.what);
                return None;
            }
            match config_value(node) {
                Ok(value) => Some(ConfigOption { name: name.clone(), value }),
                Err(message) => {
                    findings.add(&node.place, message, "y, m, n, a number or a \"quoted text\"");
                    None
                }
            }
        })
        .collect();
    read.into_iter().collect()
}

fn config_value(node: &Node) -> Result<ConfigValue, String> {
    match &node.value {
        Value::Scalar { text, quoted: true } if text.chars().any(char::is_control) => {
            Err("a text of more than one line".to_owned())
        }
        Value::Scalar { text, quoted: true } => Ok(ConfigValue::Text(text.clone())),
        Value::Scalar { text, quoted: false } => match text.as_str() {
            "y" => Ok(ConfigValue::Yes),
            "m" => Ok(ConfigValue::Module),
            "n" => Ok(ConfigValue::No),
            text => number(text).ok_or_else(|| format!("`{}` is no value of an option", printable(text))),
        },
        _ => Err(format!("{} is no value of an option", node.describe())),
    }
}

/// `100`, `-1` or `0x64`.
fn number(text: &str) -> Option<ConfigValue> {
    let decimal =
        |text: &str| text.chars().all(|c| c.is_ascii_digit()).then(|| text.parse::<i64>().ok()).flatten();
    match (text.strip_prefix("0x"), text.strip_prefix('-')) {
        (Some(digits), _) => {
            let clean = digits.chars().all(|c| c.is_ascii_hexdigit());
            clean.then(|| u64::from_str_radix(digits, 16).ok()).flatten().map(ConfigValue::Hex)
        }
        (None, Some(digits)) => decimal(digits).map(|number| ConfigValue::Number(-number)),
        (None, None) => decimal(text).map(ConfigValue::Number),
    }
}

fn cmdline(layers: &Layers<'_, '_>, findings: &mut Findings) -> Option<Vec<String>> {
    let Some(node) = layers.value("cmdline") else { return Some(Vec::new()) };
    let read: Vec<Option<String>> = items(&node, &schema::ARM.key("cmdline").kind.allowed(), findings)
        .iter()
        .map(|item| {
            let parameter = text_of(item, KERNEL_PARAMETER, findings)?;
            // The kernel takes `-` and `_` in parameters for the same.
            let name =
                parameter.split_once("=").map_or(parameter.as_str(), |(name, _)| name).replace("-", "_");
            if name.starts_with("assay.") {
                findings.add(
                    &item.place,
                    format!("`{name}` is for the agent"),
                    "the kernel's own parameters",
                );
                return None;
            }
            if let Some((_, instead)) = MACHINES_OWN.iter().find(|(own, _)| *own == name) {
                findings.add(&item.place, format!("`{name}` is set by the machine itself"), *instead);
                return None;
            }
            Some(parameter)
        })
        .collect();
    read.into_iter().collect()
}

fn knobs(layers: &Layers<'_, '_>, findings: &mut Findings) -> Option<Knobs> {
    let Some(node) = layers.value("sysctls") else { return Some(Knobs::default()) };
    let read: Vec<Option<(String, String)>> =
        entries(&node, &schema::ARM.key("sysctls").kind.allowed(), findings)
            .iter()
            .map(|(name, node)| {
                if !(SYSCTL_NAME.holds)(name) {
                    findings.add(
                        &node.place,
                        format!("`{}` is no sysctl", printable(name)),
                        SYSCTL_NAME.what,
                    );
                    return None;
                }
                Some((name.clone(), text_of(node, SYSCTL_VALUE, findings)?))
            })
            .collect();
    let sysctls: Option<BTreeMap<String, String>> = read.into_iter().collect();
    sysctls.map(|sysctls| Knobs { sysctls })
}
