//! `gates` to [`plan::Gate`]s that the workloads and collectors of the scenario can feed.

use std::collections::BTreeMap;

use measure::{Around, Better, Definition, YieldedBy, metric};
use plan::{
    Arm, Collector, Dimension, DimensionValues, Expectation, Gate, MetricSelector, OCCURRENCE, Scope,
    SockperfMode, TestGate, Transport, Workload, WorkloadKind,
};

use crate::{
    dimension,
    fields::{Fields, entries, items, text_of},
    ktap::{is_test_gate, test_gate},
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
    /// How many arms the file has.
    pub(crate) sides: usize,
    /// What the file calls its workloads.
    pub(crate) names: &'a [String],
    pub(crate) dimensions: &'a [Dimension],
    pub(crate) workloads: &'a [Option<Workload>],
    pub(crate) collectors: Option<&'a [Collector]>,
}

/// A gate and where it stands.
pub(crate) struct PlacedGate {
    pub(crate) gate: Gate,
    pub(crate) place: Place,
    /// Whether its samples come from traced boots.
    pub(crate) traced: bool,
    /// At how many places, and with how many arms, it compares the baseline.
    pub(crate) comparisons: usize,
}

/// Gates on metrics, and gates on tests.
type Gates = (Vec<Option<PlacedGate>>, Vec<Option<TestGate>>);

/// All gates, each `None` if something is wrong with it.
pub(crate) fn gates(
    scenario: &Fields<'_>,
    surroundings: &Surroundings<'_>,
    findings: &mut Findings,
) -> Gates {
    let Some(node) = scenario.value("gates", findings) else { return Gates::default() };
    let allowed = schema::SCENARIO.key("gates").kind.allowed();
    let items = items(&node, &allowed, findings);
    if items.len() > MAX_GATES {
        findings.add(&node.place, format!("{} gates", items.len()), allowed);
    }
    if let ([_, ..], 1) = (items, surroundings.sides) {
        findings.add(&node.place, "gates, but only one arm", "no gates, or at least two arms");
    }
    let (on_tests, on_metrics): (Vec<&Node>, Vec<&Node>) =
        items.iter().partition(|item| is_test_gate(item, surroundings));
    let test_gates = test_gates(&on_tests, surroundings, findings);
    let gates: Vec<Option<PlacedGate>> =
        on_metrics.iter().map(|item| gate(item, surroundings, findings)).collect();
    for (index, later) in gates.iter().enumerate() {
        let Some(later) = later else { continue };
        if gates[..index].iter().flatten().any(|earlier| overlap(&earlier.gate, &later.gate)) {
            findings.add(&later.place, "judges what another gate judges already", "each metric once");
        }
    }
    (gates, test_gates)
}

fn test_gates(
    nodes: &[&Node],
    surroundings: &Surroundings<'_>,
    findings: &mut Findings,
) -> Vec<Option<TestGate>> {
    let gates: Vec<Option<TestGate>> =
        nodes.iter().map(|node| test_gate(node, surroundings, findings)).collect();
    for (index, gate) in gates.iter().enumerate() {
        if gate.is_some() && gates[..index].contains(gate) {
            findings.add(
                &nodes[index].place,
                "judges what another gate judges already",
                "each workload once",
            );
        }
    }
    gates
}

/// Whether two gates judge the same metric at some place.
fn overlap(one: &Gate, other: &Gate) -> bool {
    let apart = |(name, value): (&String, &String)| other.at.get(name).is_some_and(|theirs| theirs != value);
    one.select == other.select && !one.at.iter().any(apart)
}

fn gate(node: &Node, surroundings: &Surroundings<'_>, findings: &mut Findings) -> Option<PlacedGate> {
    let fields = Fields::open(node, &schema::GATE, findings)?;
    let margin = fields.percent("margin", findings);
    let expect = fields.choice::<Expectation>("expect", findings);
    let workload = fields.text("workload", findings);
    let at = at(&fields, workload.as_deref(), surroundings, findings);
    let judged = Judged::new(workload.as_deref(), at.as_ref(), &fields, surroundings, findings);
    let metric = fields.given("metric").and_then(|node| judged.metric_called(node, surroundings, findings));
    let dims = dims(&fields, metric.as_ref(), &judged, findings);
    let (metric, workload, at) = (metric?, workload?, at?);
    let places = surroundings.dimensions.iter().filter(|dimension| belongs(dimension, Some(&workload)));
    let free = places.filter(|dimension| !at.contains_key(&dimension.name));
    let places: usize = free.map(|dimension| dimension.values.len()).product();
    Some(PlacedGate {
        gate: Gate {
            select: MetricSelector { workload, metric: metric.name.to_owned(), dims: dims? },
            at,
            margin: margin?,
            expect: expect?,
        },
        place: node.place.clone(),
        traced: metric.yielded_by.is_traced(),
        comparisons: places * surroundings.sides.saturating_sub(1),
    })
}

/// Tells that there is no workload called `name`, if there is none.
fn check_known(name: &str, fields: &Fields<'_>, surroundings: &Surroundings<'_>, findings: &mut Findings) {
    if !surroundings.names.iter().any(|known| known == name) {
        let known: Vec<&str> = surroundings.names.iter().map(String::as_str).collect();
        let message = format!("there is no workload `{}`{}", printable(name), suggestion(name, &known));
        findings.add(&fields.place_of("workload"), message, one_of(&known));
    }
}

/// The workload called `name`; `None` if there is none, or if it has problems of its own.
pub(crate) fn known_workload<'a>(
    name: &str,
    fields: &Fields<'_>,
    surroundings: &Surroundings<'a>,
    findings: &mut Findings,
) -> Option<&'a Workload> {
    check_known(name, fields, surroundings, findings);
    surroundings.workloads.iter().flatten().find(|workload| workload.group() == name)
}

/// Whether a gate on `workload` is judged at each value of `dimension`.
fn belongs(dimension: &Dimension, workload: Option<&str>) -> bool {
    match &dimension.scope {
        Scope::Arms => true,
        Scope::Workload(of) => Some(of.as_str()) == workload,
    }
}

/// The values at which the gate is judged.
fn at(
    fields: &Fields<'_>,
    workload: Option<&str>,
    surroundings: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<DimensionValues> {
    let Some(node) = fields.given("at") else { return Some(DimensionValues::new()) };
    let dimensions: Vec<&Dimension> =
        surroundings.dimensions.iter().filter(|dimension| belongs(dimension, workload)).collect();
    let names: Vec<&str> = dimensions.iter().map(|dimension| dimension.name.as_str()).collect();
    let allowed = schema::GATE.key("at").kind.allowed();
    let read = entries(node, &allowed, findings).iter().map(|(name, node)| {
        let Some(dimension) = dimensions.iter().find(|dimension| dimension.name == *name) else {
            let message =
                format!("`{}` is no dimension of this gate's{}", printable(name), suggestion(name, &names));
            let allowed =
                if names.is_empty() { "no `at`: nothing is listed".to_owned() } else { one_of(&names) };
            findings.add(&node.place, message, allowed);
            return None;
        };
        let values: Vec<&str> = dimension.values.iter().map(String::as_str).collect();
        match node.text() {
            Some(text) if values.contains(&text) => Some((name.clone(), text.to_owned())),
            _ => {
                let message = format!("{} is not among the values of `{name}`", node.describe());
                findings.add(&node.place, message, one_of(&values));
                None
            }
        }
    });
    read.collect::<Vec<_>>().into_iter().collect()
}

/// What a gate is judged on.
struct Judged<'a> {
    /// At each of its places; without those that have problems of their own.
    workloads: Vec<&'a Workload>,
    /// None where an arm has problems of its own: what it yields is not known.
    arms: Option<Vec<&'a Arm>>,
}

impl<'a> Judged<'a> {
    fn new(
        workload: Option<&str>,
        at: Option<&DimensionValues>,
        fields: &Fields<'_>,
        surroundings: &Surroundings<'a>,
        findings: &mut Findings,
    ) -> Self {
        if let Some(name) = workload {
            check_known(name, fields, surroundings, findings);
        }
        // Of what is wrong with `at`, nothing follows for the rest.
        let is_there = |dims: &DimensionValues| {
            at.into_iter().flatten().all(|(name, value)| dims.get(name).is_none_or(|own| own == value))
        };
        let workloads = surroundings.workloads.iter().flatten();
        let arms = surroundings.arms.iter().map(Option::as_ref).collect::<Option<Vec<&Arm>>>();
        Self {
            workloads: workloads
                .filter(|one| Some(one.group()) == workload && is_there(one.dims()))
                .collect(),
            arms: arms.map(|arms| arms.into_iter().filter(|arm| is_there(arm.dims())).collect()),
        }
    }

    fn metric_called(
        &self,
        node: &Node,
        surroundings: &Surroundings<'a>,
        findings: &mut Findings,
    ) -> Option<Definition<'a>> {
        let name = text_of(node, NAME, findings)?;
        // Of the gate's workload where it is known, of all where not.
        let all: Vec<&Workload> = surroundings.workloads.iter().flatten().collect();
        let asked = if self.workloads.is_empty() { &all } else { &self.workloads };
        let own = asked.iter().flat_map(|workload| workload.own_metrics());
        let mut known: Vec<Definition<'a>> = metric::ALL.to_vec();
        for metric in own {
            if known.iter().all(|known| known.name != metric.name) {
                known.push(metric);
            }
        }
        let is_collected = |metric: &Definition<'_>| match (metric.yielded_by, surroundings.collectors) {
            (YieldedBy::Collector(collector, _), Some(collectors)) => collectors.contains(&collector),
            // Where instructions are counted, nothing is timed.
            (_, Some(collectors)) => !collectors.contains(&Collector::Instructions),
            (_, None) => true,
        };
        let gateable: Vec<&str> = known
            .iter()
            .filter(|metric| metric.better != Better::Neither && is_collected(metric))
            .filter(|metric| self.workloads.iter().all(|workload| yields(workload, metric)))
            .map(|metric| metric.name)
            .collect();
        let Some(metric) = known.iter().copied().find(|metric| metric.name == name) else {
            let message =
                format!("there is no metric `{}`{}", printable(&name), suggestion(&name, &gateable));
            findings.add(&node.place, message, one_of(&gateable));
            return None;
        };
        if metric.better == Better::Neither {
            let message = format!("`{name}` explains, but neither more nor less of it is better");
            findings.add(&node.place, message, one_of(&gateable));
            return None;
        }
        if self.workloads.is_empty() {
            return None;
        }
        if let Some(workload) = self.workloads.iter().find(|workload| !yields(workload, &metric)) {
            let message = format!("the workload `{}` does not yield `{name}`", workload.name);
            findings.add(&node.place, message, one_of(&gateable));
            return None;
        }
        if let YieldedBy::Collector(collector, _) = metric.yielded_by
            && !is_collected(&metric)
        {
            let allowed = format!("with `{collector}` in `collect`");
            findings.add(&node.place, format!("`{name}` is not collected"), allowed);
            return None;
        }
        if !is_collected(&metric) {
            let message = format!("`{name}` is a time, and exact evidence has none");
            findings.add(&node.place, message, one_of(&gateable));
            return None;
        }
        Some(metric)
    }
}

/// Whether `metric` can be measured around `workload`, given the right collector.
fn yields(workload: &Workload, metric: &Definition<'_>) -> bool {
    let several_flows = matches!(&workload.kind, WorkloadKind::Iperf3(iperf3) if iperf3.flows > 1);
    match (metric.yielded_by, &workload.kind) {
        (YieldedBy::Iperf3, WorkloadKind::Iperf3(_)) => {
            metric.name != metric::FLOW_THROUGHPUT.name || several_flows
        }
        (YieldedBy::Sockperf, WorkloadKind::Sockperf(sockperf)) => {
            // In ping-pong every message is awaited, so none can be missing.
            metric.name != metric::MESSAGE_LOSS.name || sockperf.mode != SockperfMode::PingPong
        }
        // Exit statuses are not gateable, and the rest is the time and what the scenario defines.
        (YieldedBy::Command, WorkloadKind::Command(_)) => true,
        (YieldedBy::Bulk, WorkloadKind::Iperf3(_) | WorkloadKind::Stream(_)) => true,
        (YieldedBy::Stream, WorkloadKind::Stream(_)) => true,
        (
            YieldedBy::Iperf3
            | YieldedBy::Sockperf
            | YieldedBy::Command
            | YieldedBy::Bulk
            | YieldedBy::Stream
            | YieldedBy::Import,
            _,
        ) => false,
        // Nothing is collected around tests.
        (_, WorkloadKind::Ktap(_)) => false,
        (YieldedBy::Collector(_, around), kind) => match (around, kind) {
            (Around::Anything, _) => true,
            (Around::Tcp, WorkloadKind::Sockperf(sockperf)) => sockperf.transport == Transport::Tcp,
            (Around::Tcp, _) => true,
            (Around::Bulk, kind) => matches!(kind, WorkloadKind::Iperf3(_) | WorkloadKind::Stream(_)),
        },
        (YieldedBy::Boot, _) => false,
    }
}

/// The keys of a gate that name dimensions.
const DIMENSIONS: &[&str] =
    &["percentile", "direction", "side", "core", "flow", "interface", "event", OCCURRENCE];

/// The dimensions that a gate names. It names each of which one boot yields several values, and none that is not there.
fn dims(
    fields: &Fields<'_>,
    metric: Option<&Definition<'_>>,
    judged: &Judged<'_>,
    findings: &mut Findings,
) -> Option<BTreeMap<String, String>> {
    let mut dims = BTreeMap::new();
    let mut clean = true;
    for &key in DIMENSIONS {
        let is_word = matches!(schema::GATE.key(key).kind, schema::Kind::Choice(_));
        let value = if is_word { fields.word(key, findings) } else { fields.text(key, findings) };
        let given = fields.given(key);
        clean &= given.is_some() == value.is_some();
        let wrong = metric.and_then(|metric| {
            let check = |workload: &&Workload| {
                check(key, value.as_deref(), metric, workload, judged.arms.as_deref()).err()
            };
            judged.workloads.iter().find_map(check)
        });
        if let Some((message, allowed)) = wrong {
            // A value of the wrong form has been told.
            if given.is_none() || value.is_some() {
                findings.add(given.map_or(fields.place(), |node| &node.place), message, allowed);
            }
            clean = false;
        }
        dims.extend(value.map(|value| (key.to_owned(), value)));
    }
    clean.then_some(dims)
}

/// Whether a gate that gives `value` for the dimension `key` names one sample of each boot; if not, what is wrong and
/// what is allowed.
fn check(
    key: &str,
    value: Option<&str>,
    metric: &Definition<'_>,
    workload: &Workload,
    arms: Option<&[&Arm]>,
) -> Result<(), (String, String)> {
    let name = metric.name;
    if !metric.dims.contains(&key) {
        let known = if metric.dims.is_empty() { "no such key".to_owned() } else { one_of(metric.dims) };
        return if value.is_none() { Ok(()) } else { Err((format!("`{name}` has no {key}"), known)) };
    }
    let values = arms.and_then(|arms| dimension::values(key, metric, workload, arms));
    let Some(values) = values else {
        let allowed = format!("{key}: {}", schema::GATE.key(key).kind.allowed());
        return match value {
            None if arms.is_some() => {
                Err((format!("`{name}` has several samples in a boot, one for each {key}"), allowed))
            }
            _ => Ok(()),
        };
    };
    let words: Vec<&str> = values.iter().map(String::as_str).collect();
    match (value, words.as_slice()) {
        (_, []) => {
            let message = format!("`{name}` of this workload has no {key} that all arms share");
            Err((message, "another metric, workload or topology".to_owned()))
        }
        (None, [_]) => Ok(()),
        (None, _) => {
            let message = format!("`{name}` has several samples in a boot, one for each {key}");
            Err((message, format!("{key}: {}", one_of(&words))))
        }
        (Some(value), _) if words.contains(&value) => Ok(()),
        (Some(value), _) => {
            Err((format!("`{name}` of this workload has no {key} `{value}` in every arm"), one_of(&words)))
        }
    }
}
