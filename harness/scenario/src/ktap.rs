//! `tool: ktap`, and gates on what the tests say.

use plan::{Ktap, TestExpectation, TestGate, TestNic, TestsFrom, WorkloadKind};

use crate::{
    fields::{Fields, items, text_of},
    gate::{Surroundings, known_workload},
    problem::Findings,
    schema::{self, COLLECTION, Syntax, TEST, TEST_PATTERN},
    tree::Node,
};

/// Most entries of each list.
const MAX_ENTRIES: usize = 1000;

pub(crate) fn ktap(fields: &Fields<'_>, findings: &mut Findings) -> Option<WorkloadKind> {
    let collections = list(fields, "collections", COLLECTION, findings);
    let tests = list(fields, "tests", TEST, findings);
    let build = list(fields, "build", COLLECTION, findings);
    let skip = list(fields, "skip", TEST_PATTERN, findings);
    let flakes = list(fields, "flakes", TEST_PATTERN, findings);
    let timeout_s = fields.seconds_u32("timeout", findings);
    let deadline_s = fields.seconds_u32("deadline", findings);
    let from = fields.choice::<TestsFrom>("from", findings);
    let nic = fields.choice::<TestNic>("nic", findings);
    let (collections, tests) = (collections?, tests?);
    if collections.is_empty() && tests.is_empty() {
        let message = "neither `collections` nor `tests`: nothing runs";
        findings.add(fields.place(), message, "collections: [net], or tests: [net:tls]");
        return None;
    }
    Some(WorkloadKind::Ktap(Ktap {
        collections,
        tests,
        build: build?,
        skip: skip?,
        flakes: flakes?,
        timeout_s: timeout_s?,
        deadline_s: deadline_s?,
        from: from?,
        nic: nic?,
    }))
}

fn list(fields: &Fields<'_>, key: &str, syntax: Syntax, findings: &mut Findings) -> Option<Vec<String>> {
    let node = fields.value(key, findings)?;
    let list = items(&node, &schema::KTAP.key(key).kind.allowed(), findings);
    if list.len() > MAX_ENTRIES {
        findings.add(&node.place, format!("{} entries", list.len()), format!("at most {MAX_ENTRIES}"));
    }
    list.iter().map(|item| text_of(item, syntax, findings)).collect::<Vec<_>>().into_iter().collect()
}

/// Whether an item of `gates` is one on tests: it says so, or it names their workload.
pub(crate) fn is_test_gate(node: &Node, surroundings: &Surroundings<'_>) -> bool {
    let says = matches!(node.get("expect").and_then(Node::text), Some("no-new-failures" | "fixed"));
    let names = node.get("workload").and_then(Node::text).is_some_and(|name| {
        let of_name = |workload: &&plan::Workload| workload.group() == name;
        let workload = surroundings.workloads.iter().flatten().find(of_name);
        workload.is_some_and(|workload| matches!(workload.kind, WorkloadKind::Ktap(_)))
    });
    says || names
}

pub(crate) fn test_gate(
    node: &Node,
    surroundings: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<TestGate> {
    let fields = Fields::open(node, &schema::TEST_GATE, findings)?;
    let expect = fields.choice::<TestExpectation>("expect", findings);
    let name = fields.text("workload", findings)?;
    let workload = known_workload(&name, &fields, surroundings, findings)?;
    if !matches!(workload.kind, WorkloadKind::Ktap(_)) {
        let message = format!("the workload `{name}` runs no tests");
        findings.add(&fields.place_of("workload"), message, "a workload of the tool ktap, or a metric");
        return None;
    }
    Some(TestGate { workload: name, expect: expect? })
}
