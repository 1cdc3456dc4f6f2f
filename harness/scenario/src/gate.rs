//! `gates` to [`plan::Gate`]s that the workloads and collectors of the scenario can feed.

use std::collections::BTreeMap;

use measure::{Better, MetricDef, YieldedBy, metric};
use plan::{
    Arm, Collector, Expectation, Gate, Iperf3Direction, MetricSelector, SockperfMode, Transport, Workload,
    WorkloadKind,
};

use crate::{
    fields::{Fields, items, text_of},
    problem::{Findings, Place},
    schema::{self, NAME, one_of},
    tree::Node,
    value::{printable, suggestion},
};

/// Most gates: every further one costs the others power.
const MAX_GATES: usize = 3;

/// What gates are checked against. Parts that have problems of their own are absent.
pub(crate) struct Surroundings<'a> {
    pub(crate) arms: &'a [Option<Arm>],
    /// The names of all workloads.
    pub(crate) names: &'a [String],
    pub(crate) workloads: &'a [Option<Workload>],
    pub(crate) collectors: Option<&'a [Collector]>,
}

/// A gate and where it stands.
pub(crate) struct PlacedGate {
    pub(crate) gate: Gate,
    pub(crate) place: Place,
    /// Whether its samples come from traced boots.
    pub(crate) traced: bool,
}

/// All gates, each `None` if something is wrong with it.
pub(crate) fn gates(
    scenario: &Fields<'_>,
    surroundings: &Surroundings<'_>,
    findings: &mut Findings,
) -> Vec<Option<PlacedGate>> {
    let Some(node) = scenario.value("gates", findings) else { return Vec::new() };
    let allowed = schema::SCENARIO.key("gates").kind.allowed();
    let items = items(&node, &allowed, findings);
    if items.len() > MAX_GATES {
        findings.add(&node.place, format!("{} gates", items.len()), allowed);
    }
    if let ([_, ..], [_]) = (items, surroundings.arms) {
        findings.add(&node.place, "gates, but only one arm", "no gates, or at least two arms");
    }
    let gates: Vec<Option<PlacedGate>> =
        items.iter().map(|item| gate(item, surroundings, findings)).collect();
    for (index, later) in gates.iter().enumerate() {
        let Some(later) = later else { continue };
        if gates[..index].iter().flatten().any(|earlier| earlier.gate.select == later.gate.select) {
            findings.add(&later.place, "judges what another gate judges already", "each metric once");
        }
    }
    gates
}

fn gate(node: &Node, surroundings: &Surroundings<'_>, findings: &mut Findings) -> Option<PlacedGate> {
    let fields = Fields::open(node, &schema::GATE, findings)?;
    let margin = fields.percent("margin", findings);
    let expect = fields.choice::<Expectation>("expect", findings);
    let workload_name = fields.text("workload", findings);
    let workload = workload_name.as_deref().and_then(|name| workload(name, &fields, surroundings, findings));
    let metric =
        fields.given("metric").and_then(|node| metric_called(node, workload, surroundings, findings));
    let dims = dims(&fields, metric, workload, surroundings, findings);
    let (metric, workload) = (metric?, workload_name?);
    Some(PlacedGate {
        gate: Gate {
            select: MetricSelector { workload, metric: metric.name.to_owned(), dims: dims? },
            margin: margin?,
            expect: expect?,
        },
        place: node.place.clone(),
        traced: metric.yielded_by == YieldedBy::IotlbAroundBulk,
    })
}

/// The workload called `name`; `None` if there is none, or if it has problems of its own.
fn workload<'a>(
    name: &str,
    fields: &Fields<'_>,
    surroundings: &Surroundings<'a>,
    findings: &mut Findings,
) -> Option<&'a Workload> {
    if !surroundings.names.iter().any(|known| known == name) {
        let known: Vec<&str> = surroundings.names.iter().map(String::as_str).collect();
        let message = format!("there is no workload `{name}`{}", suggestion(name, &known));
        findings.add(&fields.place_of("workload"), message, one_of(&known));
    }
    surroundings.workloads.iter().flatten().find(|workload| workload.name == name)
}

fn metric_called(
    node: &Node,
    workload: Option<&Workload>,
    surroundings: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<&'static MetricDef> {
    let name = text_of(node, NAME, findings)?;
    let gateable: Vec<&str> = metric::ALL
        .iter()
        .filter(|metric| metric.better != Better::Neither)
        .filter(|metric| workload.is_none_or(|workload| yields(workload, metric)))
        .map(|metric| metric.name)
        .collect();
    let Some(metric) = metric::find(&name) else {
        let message = format!("there is no metric `{}`{}", printable(&name), suggestion(&name, &gateable));
        findings.add(&node.place, message, one_of(&gateable));
        return None;
    };
    if metric.better == Better::Neither {
        let message = format!("`{name}` explains, but neither more nor less of it is better");
        findings.add(&node.place, message, one_of(&gateable));
        return None;
    }
    let workload = workload?;
    if !yields(workload, metric) {
        let message = format!("the workload `{}` does not yield `{name}`", workload.name);
        findings.add(&node.place, message, one_of(&gateable));
        return None;
    }
    if let (Some(collector), Some(collectors)) = (collector_of(metric.yielded_by), surroundings.collectors)
        && !collectors.contains(&collector)
    {
        let collector = format!("{collector:?}").to_lowercase();
        findings.add(
            &node.place,
            format!("`{name}` is not collected"),
            format!("with `{collector}` in `collect`"),
        );
        return None;
    }
    Some(metric)
}

/// Whether `metric` can be measured around `workload`, given the right collector.
fn yields(workload: &Workload, metric: &MetricDef) -> bool {
    let several_flows = matches!(&workload.kind, WorkloadKind::Iperf3(iperf3) if iperf3.flows > 1);
    match (metric.yielded_by, &workload.kind) {
        (YieldedBy::Iperf3, WorkloadKind::Iperf3(_)) => {
            metric.name != metric::FLOW_THROUGHPUT.name || several_flows
        }
        (YieldedBy::Sockperf, WorkloadKind::Sockperf(sockperf)) => {
            // In ping-pong every message is awaited, so none can be missing.
            metric.name != metric::MESSAGE_LOSS.name || sockperf.mode != SockperfMode::PingPong
        }
        (YieldedBy::Iperf3, WorkloadKind::Sockperf(_)) | (YieldedBy::Sockperf, WorkloadKind::Iperf3(_)) => {
            false
        }
        (YieldedBy::Cpu | YieldedBy::Net, _) => true,
        (YieldedBy::NetAroundTcp, WorkloadKind::Sockperf(sockperf)) => sockperf.transport == Transport::Tcp,
        (YieldedBy::NetAroundBulk | YieldedBy::IotlbAroundBulk, WorkloadKind::Sockperf(_)) => false,
        (
            YieldedBy::NetAroundTcp | YieldedBy::NetAroundBulk | YieldedBy::IotlbAroundBulk,
            WorkloadKind::Iperf3(_),
        ) => true,
        (YieldedBy::Boot, _) => false,
    }
}

fn collector_of(source: YieldedBy) -> Option<Collector> {
    match source {
        YieldedBy::Cpu => Some(Collector::Cpu),
        YieldedBy::Net | YieldedBy::NetAroundTcp | YieldedBy::NetAroundBulk => Some(Collector::Net),
        YieldedBy::IotlbAroundBulk => Some(Collector::Iotlb),
        YieldedBy::Iperf3 | YieldedBy::Sockperf | YieldedBy::Boot => None,
    }
}

/// The keys of a gate that name dimensions.
const DIMENSIONS: &[&str] = &["percentile", "direction", "side", "core", "flow", "interface"];

fn dims(
    fields: &Fields<'_>,
    metric: Option<&MetricDef>,
    workload: Option<&Workload>,
    surroundings: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<BTreeMap<String, String>> {
    let mut dims = BTreeMap::new();
    let mut clean = true;
    for &key in DIMENSIONS {
        let is_word = matches!(schema::GATE.key(key).kind, schema::Kind::Choice(_));
        let value = if is_word { fields.word(key, findings) } else { fields.text(key, findings) };
        let allowed = format!("{key}: {}", schema::GATE.key(key).kind.allowed());
        match (fields.given(key), metric) {
            (Some(node), Some(metric)) if !metric.dims.contains(&key) => {
                let known =
                    if metric.dims.is_empty() { "no such key".to_owned() } else { one_of(metric.dims) };
                findings.add(&node.place, format!("`{}` has no {key}", metric.name), known);
                clean = false;
            }
            (Some(node), _) => match value {
                Some(value) if is_absent_side(key, &value, metric, surroundings) => {
                    let message = format!("no arm has the cores of the side `{value}`");
                    findings.add(&node.place, message, "guest with one guest, server or client with two");
                    clean = false;
                }
                Some(value) => drop(dims.insert(key.to_owned(), value)),
                None => clean = false,
            },
            (None, Some(metric))
                if metric.dims.contains(&key) && is_plural(key, metric, workload, surroundings) =>
            {
                let message = format!("`{}` has several samples in a boot, one for each {key}", metric.name);
                findings.add(fields.place(), message, allowed);
                clean = false;
            }
            (None, _) => {}
        }
    }
    clean.then_some(dims)
}

/// Whether `value` names a side whose cores are in no arm: two sides in one guest share its cores.
fn is_absent_side(
    key: &str,
    value: &str,
    metric: Option<&MetricDef>,
    surroundings: &Surroundings<'_>,
) -> bool {
    let of_cores = key == "side" && metric.is_some_and(|metric| metric.yielded_by == YieldedBy::Cpu);
    let guests = if value == "guest" { 1 } else { 2 };
    let mut arms = surroundings.arms.iter().flatten().peekable();
    of_cores && arms.peek().is_some() && !arms.any(|arm| arm.machine.guests() == guests)
}

/// Whether one boot yields samples of `metric` that differ in the dimension `key`.
fn is_plural(
    key: &str,
    metric: &MetricDef,
    workload: Option<&Workload>,
    surroundings: &Surroundings<'_>,
) -> bool {
    let sends_both_ways = workload.is_some_and(|workload| {
        matches!(&workload.kind, WorkloadKind::Iperf3(iperf3) if iperf3.direction == Iperf3Direction::Both)
    });
    let two_guests = surroundings.arms.iter().flatten().any(|arm| arm.machine.guests() == 2);
    match (key, metric.yielded_by) {
        ("direction", _) => sends_both_ways,
        // Both sides yield these; the others come from the side that sends, or has the IOMMU.
        ("side", YieldedBy::Cpu | YieldedBy::Net) => two_guests,
        ("side", _) => sends_both_ways,
        _ => true,
    }
}
