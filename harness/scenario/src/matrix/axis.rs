//! Finds the lists in a map, and multiplies them out.

use crate::{
    nested,
    problem::{Findings, Place},
    schema::{self, Kind, Section},
    tree::{Node, Value},
    value::printable,
};

use super::MAX_CELLS;

/// A knob for which the file gives a list.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// The keys that lead to it, from the arm's or the file's top.
    pub(crate) path: Vec<String>,
    /// Where the list stands.
    pub(crate) place: Place,
    /// What the values are called.
    pub(crate) labels: Vec<String>,
    /// What numbers the values are, if all are.
    pub(crate) numbers: Option<Vec<f64>>,
    values: Vec<Node>,
}

impl Axis {
    /// Whether there are several values: a list of one is that value.
    pub(crate) fn is_dimension(&self) -> bool {
        self.values.len() > 1
    }
}

/// The lists of an arm, with the scenario's defaults under it.
pub(crate) fn of_arm(arm: &Node, findings: &mut Findings) -> Vec<Axis> {
    let mut search = Search { axes: Vec::new(), findings };
    // A version is not a number: 6.12 comes after 6.9.
    search.knob(arm, &["base"], Some(&Kind::Text(schema::BASE_NAME)));
    search.entries(arm, "config");
    search.entries(arm, "sysctls");
    search.lists(arm, &["cmdline"]);
    if let Some(machine) = arm.get("machine") {
        if nested::is_nested(machine) {
            search.nested(arm);
            return search.axes;
        }
        let section = if machine.get("fake").is_some() { &schema::FAKE } else { &schema::MACHINE };
        search.section(arm, &["machine"], section);
        search.section(arm, &["machine", "wire"], &schema::WIRE);
        for side in ["server", "client"] {
            search.section(arm, &["machine", side], &schema::NIC);
            // A word or a map: a list of these is a list of values, and a map has knobs of its own.
            search.knob(arm, &["machine", side, "iommu"], None);
            search.section(arm, &["machine", side, "iommu"], &schema::IOMMU);
        }
    }
    search.axes
}

/// The lists of the workload called `name`, whose keys are those of `section`.
pub(crate) fn of_workload(
    name: &str,
    workload: &Node,
    section: &'static Section,
    findings: &mut Findings,
) -> Vec<Axis> {
    let mut search = Search { axes: Vec::new(), findings };
    search.section(workload, &[], section);
    // Of a command: each variable is a knob, and what runs is a list already.
    search.entries(workload, "env");
    search.lists(workload, &["run"]);
    for axis in &mut search.axes {
        axis.path.splice(0..0, ["workloads".to_owned(), name.to_owned()]);
    }
    search.axes
}

struct Search<'f> {
    axes: Vec<Axis>,
    findings: &'f mut Findings,
}

impl Search<'_> {
    /// The levels of a nested machine.
    fn nested(&mut self, arm: &Node) {
        self.section(arm, &["machine"], &schema::NESTED);
        let levels =
            [("host", &schema::HOST_LEVEL), ("guest", &schema::GUEST_LEVEL), ("peer", &schema::PEER_LEVEL)];
        for (level, section) in levels {
            self.section(arm, &["machine", level], section);
        }
        self.knob(arm, &["machine", "host", "iommu"], None);
        self.section(arm, &["machine", "host", "iommu"], &schema::IOMMU);
    }

    /// Every key of a section that takes a single value. The tool decides which keys a workload has, and the kind those of a
    /// machine, so these are single.
    fn section(&mut self, root: &Node, path: &[&str], section: &'static Section) {
        for key in section.keys.iter().filter(|key| !matches!(key.name, "tool" | "kind")) {
            if !matches!(key.kind, Kind::Shape(_)) {
                let path: Vec<&str> = path.iter().copied().chain([key.name]).collect();
                self.knob(root, &path, Some(&key.kind));
            }
        }
    }

    /// A key that takes a single value: a list is several of them.
    fn knob(&mut self, root: &Node, path: &[&str], kind: Option<&Kind>) {
        if let Some(Node { place, value: Value::List(items) }) = root.at(path) {
            self.add(path, place, items, kind);
        }
    }

    /// Every entry of a map whose keys are free.
    fn entries(&mut self, root: &Node, map: &str) {
        if let Some(Node { value: Value::Map(entries), .. }) = root.get(map) {
            for (key, _) in entries {
                self.knob(root, &[map, key], None);
            }
        }
    }

    /// A key that takes a list: `{ any: [...] }` is several of them.
    fn lists(&mut self, root: &Node, path: &[&str]) {
        if let Some(Node { value: Value::Map(entries), .. }) = root.at(path)
            && let [(any, Node { place, value: Value::List(items) })] = entries.as_slice()
            && any == "any"
        {
            self.add(path, place, items, None);
        }
    }

    fn add(&mut self, path: &[&str], place: &Place, items: &[Node], kind: Option<&Kind>) {
        if items.is_empty() {
            // Told as a list where a value belongs.
            return;
        }
        let labels: Vec<String> = items.iter().map(label).collect();
        let numbers: Option<Vec<f64>> = items.iter().map(|item| number(item, kind)).collect();
        for (index, item) in items.iter().enumerate() {
            let same_number =
                |other: usize| numbers.as_ref().is_some_and(|numbers| numbers[other] == numbers[index]);
            if (0..index).any(|other| labels[other] == labels[index] || same_number(other)) {
                let message = format!("`{}` again", printable(&labels[index]));
                self.findings.add(&item.place, message, "each value once");
            }
        }
        self.axes.push(Axis {
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            place: place.clone(),
            labels,
            numbers,
            values: items.to_vec(),
        });
    }
}

/// A value as it is called in names and reports.
fn label(node: &Node) -> String {
    match &node.value {
        Value::Null => "none".to_owned(),
        Value::Scalar { text, .. } => text.clone(),
        Value::List(items) if items.is_empty() => "none".to_owned(),
        Value::List(items) => items.iter().map(label).collect::<Vec<_>>().join(" "),
        Value::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, node)| format!("{key}={}", label(node))).collect();
            entries.join(" ")
        }
    }
}

/// The number that a value is: in bytes, in seconds, in bits per second, or as it stands.
fn number(node: &Node, kind: Option<&Kind>) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a place on an axis")]
    let exact = |number: u64| number as f64;
    match kind {
        Some(kind @ Kind::Integer { .. }) => kind.integer(node).ok().map(exact),
        Some(kind @ Kind::Size { .. }) => kind.bytes(node).ok().map(exact),
        Some(kind @ Kind::Duration { .. }) => kind.seconds(node).ok().map(exact),
        Some(kind @ Kind::Delay { .. }) => kind.nanoseconds(node).ok().map(|ns| exact(ns) / 1e9),
        Some(kind @ Kind::Rate { .. }) => kind.rate(node).ok().map(exact),
        Some(_) => None,
        None => match &node.value {
            Value::Scalar { text, quoted: false } => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                // Rust's own parser would take `inf` and `1e9`.
                let plain = digits.starts_with(|c: char| c.is_ascii_digit())
                    && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
                plain.then(|| text.parse().ok()).flatten()
            }
            _ => None,
        },
    }
}

/// The position in each axis of the combination number `index`, the last axis turning fastest.
pub(crate) fn positions(axes: &[Axis], index: usize) -> Vec<usize> {
    let mut rest = index;
    let mut positions: Vec<usize> = axes
        .iter()
        .rev()
        .map(|axis| {
            let position = rest % axis.values.len();
            rest /= axis.values.len();
            position
        })
        .collect();
    positions.reverse();
    positions
}

/// `node` once for each combination, in the order of their numbers. Paths of axes start at `node`, after `skip` keys. `None`
/// if there are more than anyone could want.
pub(crate) fn multiply(
    node: &Node,
    axes: &[Axis],
    skip: usize,
    place: &Place,
    findings: &mut Findings,
) -> Option<Vec<Node>> {
    let count = axes.iter().fold(1_usize, |count, axis| count.saturating_mul(axis.values.len()));
    if count > MAX_CELLS {
        let factors: Vec<String> = axes.iter().map(|axis| axis.values.len().to_string()).collect();
        let message = format!("{} combinations of listed values", factors.join(" x "));
        findings.add(place, message, format!("at most {MAX_CELLS}"));
        return None;
    }
    let cells = (0..count).map(|index| {
        let mut cell = node.clone();
        for (axis, at) in axes.iter().zip(positions(axes, index)) {
            cell.set(&axis.path[skip..], &axis.values[at]);
        }
        cell
    });
    Some(cells.collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::tree::parse;

    fn node(text: &str) -> Node {
        parse(text, Path::new("x"), &mut Findings::default()).unwrap()
    }

    fn found(axes: &[Axis]) -> Vec<(String, String)> {
        axes.iter().map(|axis| (axis.path.join("/"), axis.labels.join("|"))).collect()
    }

    fn pair(path: &str, labels: &str) -> (String, String) {
        (path.to_owned(), labels.to_owned())
    }

    #[test]
    fn only_lists_where_single_values_belong_are_dimensions() {
        let arm = node(
            "base: [a, b]\nseries: [x, y]\ncmdline: [quiet, nosmt]\nsysctls: { net.x: [1, 2] }\n\
             config: { HZ: [100, 1000] }\n\
             machine: { vcpus: [1, 2], memory: 1G, server: { mtu: [1500, 9000], iommu: [lazy, { mode: strict }] } }",
        );
        let axes = of_arm(&arm, &mut Findings::default());
        assert_eq!(
            found(&axes),
            [
                pair("base", "a|b"),
                pair("config/HZ", "100|1000"),
                pair("sysctls/net.x", "1|2"),
                pair("machine/vcpus", "1|2"),
                pair("machine/server/mtu", "1500|9000"),
                pair("machine/server/iommu", "lazy|mode=strict"),
            ]
        );
    }

    #[test]
    fn several_command_lines_are_asked_for_in_so_many_words() {
        let axes = of_arm(&node("cmdline: { any: [[], [nosmt, quiet]] }"), &mut Findings::default());
        assert_eq!(found(&axes), [pair("cmdline", "none|nosmt quiet")]);
        assert!(of_arm(&node("cmdline: [[], [quiet]]"), &mut Findings::default()).is_empty());
    }

    #[test]
    fn a_command_may_have_several_arguments_and_variables() {
        let node =
            node("run: { any: [[bench, -n, 1], [bench, -n, 4]] }\nenv: { THREADS: [1, 4], MODE: fast }");
        let axes = of_workload("w", &node, &schema::COMMAND, &mut Findings::default());
        assert_eq!(
            found(&axes),
            [pair("workloads/w/env/THREADS", "1|4"), pair("workloads/w/run", "bench -n 1|bench -n 4")]
        );
    }

    #[test]
    fn knobs_within_an_iommu_are_found() {
        let arm = node("machine: { server: { iommu: { mode: [lazy, strict], caching-mode: true } } }");
        let axes = of_arm(&arm, &mut Findings::default());
        assert_eq!(found(&axes), [pair("machine/server/iommu/mode", "lazy|strict")]);
    }

    #[test]
    fn numbers_are_in_base_units_and_all_or_none() {
        let axis =
            |text: &str| of_workload("w", &node(text), &schema::IPERF3, &mut Findings::default()).remove(0);
        assert_eq!(axis("message: [64, 128K]").numbers, Some(vec![64.0, 131_072.0]));
        assert_eq!(axis("duration: [90s, 2m]").numbers, Some(vec![90.0, 120.0]));
        assert_eq!(axis("congestion: [cubic, reno]").numbers, None);
        assert_eq!(axis("flows: [1, many]").numbers, None);
        let bases = of_arm(&node("base: [6.9, 6.12]"), &mut Findings::default());
        assert_eq!(bases[0].numbers, None);
    }

    #[test]
    fn the_product_has_every_combination_once() {
        let root = node("machine: { vcpus: [1, 2], memory: [1G, 2G, 4G] }");
        let axes = of_arm(&root, &mut Findings::default());
        let cells = multiply(&root, &axes, 0, &root.place, &mut Findings::default()).unwrap();
        let texts: Vec<_> = cells
            .iter()
            .map(|cell| {
                ["vcpus", "memory"].map(|key| cell.at(&["machine", key]).unwrap().text().unwrap()).join(" ")
            })
            .collect();
        assert_eq!(texts, ["1 1G", "1 2G", "1 4G", "2 1G", "2 2G", "2 4G"]);
    }

    #[test]
    fn what_nobody_could_run_is_refused_before_it_is_made() {
        let values: Vec<String> = (0..1000).map(|value| value.to_string()).collect();
        let values = values.join(", ");
        let root = node(&format!(
            "sysctls: {{ a.a: [{values}], a.b: [{values}], a.c: [{values}], a.d: [{values}] }}"
        ));
        let axes = of_arm(&root, &mut Findings::default());
        let mut findings = Findings::default();
        assert!(multiply(&root, &axes, 0, &root.place, &mut findings).is_none());
        let problems = findings.conclude::<()>(None).unwrap_err().to_string();
        assert!(problems.contains("1000 x 1000 x 1000 x 1000 combinations"), "{problems}");
    }
}
