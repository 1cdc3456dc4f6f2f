//! `workloads` to [`plan::Workload`]s, and `collect`.

use std::path::Path;

use plan::{
    Amount, Collector, Iperf3, Iperf3Direction, Sockperf, SockperfMode, Transport, Workload, WorkloadKind,
};

use crate::{
    command::{check_metrics, command},
    fields::{Fields, entries, from_word, items},
    ktap::ktap,
    matrix::{Expanded, multiply, of_workload},
    problem::Findings,
    schema::{self, Kind, NAME, Section},
    stream::stream,
    tree::Node,
    value::printable,
};

/// The words of `collect`.
pub(crate) static COLLECTORS: [&str; Collector::ALL.len()] = {
    let mut words = [""; Collector::ALL.len()];
    let mut position = 0;
    while position < words.len() {
        words[position] = Collector::ALL[position].word();
        position += 1;
    }
    words
};
/// Most workloads of a scenario.
const MAX_WORKLOADS: usize = 16;
/// What is measured when neither a duration nor an amount is given, in seconds.
const DEFAULT_SECONDS: u32 = 10;

/// All workloads, at every combination of the values that they list; relative paths start at `folder`.
pub(crate) fn workloads(node: &Node, folder: &Path, findings: &mut Findings) -> Vec<Expanded<Workload>> {
    let allowed = schema::SCENARIO.key("workloads").kind.allowed();
    let entries = entries(node, &allowed, findings);
    if node.is_empty_map() || entries.len() > MAX_WORKLOADS {
        findings.add(&node.place, format!("{} workloads", entries.len()), allowed);
    }
    let workloads: Vec<Expanded<Workload>> = entries
        .iter()
        .map(|(name, node)| {
            if !(NAME.holds)(name) {
                findings.add(&node.place, format!("`{}` is no name", printable(name)), NAME.what);
            }
            expanded(name, node, folder, findings)
        })
        .collect();
    check_metrics(&workloads, node, findings);
    workloads
}

fn expanded(name: &str, node: &Node, folder: &Path, findings: &mut Findings) -> Expanded<Workload> {
    let tool = tool(node, findings);
    let axes = tool.map_or_else(Vec::new, |tool| of_workload(name, node, tool.section, findings));
    // The path of a list begins with `workloads` and the name.
    let nodes = multiply(node, &axes, 2, &node.place, findings);
    let read = |node: &Node, findings: &mut Findings| {
        let tool = tool?;
        let kind = (tool.read)(&Fields::open(node, tool.section, findings)?, folder, findings)?;
        Some(Workload { name: name.to_owned(), cell: None, kind })
    };
    let cells = match nodes {
        Some(nodes) => nodes.iter().map(|node| read(node, findings)).collect(),
        None => vec![None],
    };
    Expanded { of: name.to_owned(), place: node.place.clone(), axes, cells }
}

/// How a tool's parameters are read.
#[derive(Clone, Copy)]
struct Tool {
    section: &'static Section,
    /// Relative paths start at the folder.
    read: fn(&Fields<'_>, &Path, &mut Findings) -> Option<WorkloadKind>,
}

fn tool(node: &Node, findings: &mut Findings) -> Option<Tool> {
    let tool_key = schema::WORKLOAD.key("tool");
    let Some(tool) = node.get(tool_key.name) else {
        if !entries(node, "a map, see *Workload*", findings).is_empty() || node.is_empty_map() {
            let allowed = format!("{}: {}", tool_key.name, tool_key.kind.allowed());
            findings.add(&node.place, "the key `tool` is missing", allowed);
        }
        return None;
    };
    match tool_key.kind.word(tool) {
        Ok("iperf3") => {
            Some(Tool { section: &schema::IPERF3, read: |fields, _, findings| iperf3(fields, findings) })
        }
        Ok("command") => Some(Tool { section: &schema::COMMAND, read: command }),
        Ok("ktap") => {
            Some(Tool { section: &schema::KTAP, read: |fields, _, findings| ktap(fields, findings) })
        }
        Ok("stream") => {
            Some(Tool { section: &schema::STREAM, read: |fields, _, findings| stream(fields, findings) })
        }
        Ok(_) => {
            Some(Tool { section: &schema::SOCKPERF, read: |fields, _, findings| sockperf(fields, findings) })
        }
        Err(message) => {
            findings.add(&tool.place, message, tool_key.kind.allowed());
            None
        }
    }
}

fn iperf3(fields: &Fields<'_>, findings: &mut Findings) -> Option<WorkloadKind> {
    let flows = fields.count("flows", findings);
    let direction = fields.choice::<Iperf3Direction>("direction", findings);
    let warmup_s = fields.seconds_u32("warmup", findings);
    let message_bytes = fields.bytes_u32("message", findings);
    let congestion = fields.optional_text("congestion", findings);
    let amount = amount(fields, findings);
    Some(WorkloadKind::Iperf3(Iperf3 {
        flows: flows?,
        direction: direction?,
        amount: amount?,
        warmup_s: warmup_s?,
        message_bytes: message_bytes?,
        congestion: congestion?,
    }))
}

/// What `duration` or `bytes` says.
pub(crate) fn amount(fields: &Fields<'_>, findings: &mut Findings) -> Option<Amount> {
    let seconds = fields.seconds_u32("duration", findings);
    let bytes = fields.bytes("bytes", findings);
    match (fields.given("duration"), fields.given("bytes")) {
        (Some(_), Some(node)) => {
            findings.add(&node.place, "given beside `duration`", "either duration or bytes");
            None
        }
        (None, None) => Some(Amount::Seconds(DEFAULT_SECONDS)),
        (Some(_), None) => seconds.map(Amount::Seconds),
        (None, Some(_)) => bytes.map(Amount::Bytes),
    }
}

fn sockperf(fields: &Fields<'_>, findings: &mut Findings) -> Option<WorkloadKind> {
    let mode = sockperf_mode(fields, findings);
    let transport = fields.choice::<Transport>("transport", findings);
    let message_bytes = fields.bytes_u32("message", findings);
    let seconds = fields.seconds_u32("duration", findings);
    Some(WorkloadKind::Sockperf(Sockperf {
        mode: mode?,
        transport: transport?,
        message_bytes: message_bytes?,
        seconds: seconds?,
    }))
}

fn sockperf_mode(fields: &Fields<'_>, findings: &mut Findings) -> Option<SockperfMode> {
    let mode = fields.word("mode", findings);
    let rate = fields.count("rate", findings);
    match (mode.as_deref()?, fields.given("rate")) {
        ("ping-pong", None) => Some(SockperfMode::PingPong),
        ("ping-pong", Some(node)) => {
            findings.add(&node.place, "ping-pong has no rate: one message is in flight", "mode: under-load");
            None
        }
        (_, None) => {
            let allowed = format!("rate: {}", schema::SOCKPERF.key("rate").kind.allowed());
            findings.add(fields.place(), "under-load without a rate", allowed);
            None
        }
        (_, Some(_)) => Some(SockperfMode::UnderLoad { messages_per_second: rate? }),
    }
}

/// The collectors of `collect`.
pub(crate) fn collectors(scenario: &Fields<'_>, findings: &mut Findings) -> Option<Vec<Collector>> {
    let words = Kind::Choice(&COLLECTORS);
    let node = scenario.value("collect", findings)?;
    let allowed = schema::SCENARIO.key("collect").kind.allowed();
    let mut collectors = Vec::new();
    let mut clean = true;
    for item in items(&node, &allowed, findings) {
        match words.word(item).and_then(from_word::<Collector>) {
            Ok(collector) if collectors.contains(&collector) => {
                findings.add(&item.place, format!("{} again", item.describe()), "each collector once");
                clean = false;
            }
            Ok(collector) => collectors.push(collector),
            Err(message) => {
                findings.add(&item.place, message, words.allowed());
                clean = false;
            }
        }
    }
    clean.then_some(collectors)
}
