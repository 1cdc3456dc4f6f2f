//! What the machine can do for Assay, in a few lines.

use serde::Serialize;

use super::{Finding, Group, State};

/// Something that Assay does, and how well it goes here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ability {
    /// What, such as `timed evidence`.
    pub what: String,
    /// How well.
    pub state: State,
    /// Why not better; what it rests on.
    pub how: String,
}

/// What the machine can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Whether Assay's main job can be done: build kernels, boot them, compare.
    pub can_run: bool,
    /// Each thing that Assay does.
    pub abilities: Vec<Ability>,
    /// Subjects of the findings that keep Assay from its main job.
    pub lacking: Vec<String>,
}

pub(super) fn of(findings: &[Finding]) -> Summary {
    let lacking: Vec<&Finding> = findings.iter().filter(|finding| finding.blocks()).collect();
    let state = |subject: &str| {
        findings
            .iter()
            .find(|finding| finding.subject == subject)
            .map_or(State::Unavailable, |finding| finding.state)
    };
    let boots =
        !lacking.iter().any(|finding| finding.group == Group::Guests || finding.subject == "guest agent");
    Summary {
        can_run: lacking.is_empty(),
        abilities: vec![
            builds(&lacking),
            timed(boots, findings, &state),
            nested(boots, &state),
            passthrough(findings),
            counters(&state),
        ],
        lacking: lacking.iter().map(|finding| finding.subject.clone()).collect(),
    }
}

fn ability(what: &str, state: State, how: impl Into<String>) -> Ability {
    Ability { what: what.to_owned(), state, how: how.into() }
}

fn builds(lacking: &[&Finding]) -> Ability {
    let missing: Vec<&str> = lacking
        .iter()
        .filter(|finding| {
            matches!(finding.group, Group::Building | Group::Storage) && finding.subject != "guest agent"
        })
        .map(|finding| finding.subject.as_str())
        .collect();
    if missing.is_empty() {
        ability("build kernels", State::Ok, "yes, in a sandbox")
    } else {
        ability("build kernels", State::Missing, format!("no: {}", missing.join(", ")))
    }
}

fn timed(boots: bool, findings: &[Finding], state: &dyn Fn(&str) -> State) -> Ability {
    let what = "timed evidence";
    if !boots {
        return ability(what, State::Missing, "no: nothing can be booted");
    }
    let noisy: Vec<&str> = findings
        .iter()
        .filter(|finding| {
            matches!(finding.group, Group::Cpus | Group::Quiet) && finding.state == State::Limited
        })
        .map(|finding| finding.subject.as_str())
        .collect();
    let noise = match noisy.len() {
        0 => "; a quiet machine".to_owned(),
        _ => format!("; noise from: {}", noisy.join(", ")),
    };
    if state("KVM") == State::Ok {
        let level = if noisy.is_empty() { State::Ok } else { State::Limited };
        ability(what, level, format!("yes, guests run with KVM{noise}"))
    } else {
        ability(what, State::Limited, format!("ratios only, guests run under TCG{noise}"))
    }
}

fn nested(boots: bool, state: &dyn Fn(&str) -> State) -> Ability {
    let what = "guests in guests";
    match (boots, state("nested KVM")) {
        (false, _) => ability(what, State::Missing, "no: nothing can be booted"),
        (true, State::Ok) => ability(what, State::Ok, "yes, with KVM"),
        (true, State::Missing) => ability(what, State::Missing, "not with KVM until its module allows it"),
        (true, _) => ability(what, State::Limited, "under TCG only"),
    }
}

fn passthrough(findings: &[Finding]) -> Ability {
    let what = "passthrough";
    let nics: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.group == Group::Passthrough && finding.subject.starts_with("NIC "))
        .collect();
    let free = nics.iter().filter(|finding| finding.state == State::Ok).count();
    let blocked = findings.iter().find(|finding| {
        matches!(finding.subject.as_str(), "host IOMMU" | "VFIO") && finding.state != State::Ok
    });
    match (blocked, free) {
        (Some(finding), _) => {
            ability(what, finding.state, format!("no: {}: {}", finding.subject, finding.found))
        }
        (None, 0) => ability(what, State::Unavailable, "no network device to spare"),
        (None, free) => ability(what, State::Ok, format!("{free} of {} network devices", nics.len())),
    }
}

fn counters(state: &dyn Fn(&str) -> State) -> Ability {
    let parts = [
        ("hardware counters", "cycles"),
        ("uncore counters", "uncore"),
        ("IOMMU counters", "IOMMU"),
        ("power sensors", "power"),
    ];
    let there = |wanted: bool| -> Vec<&str> {
        let found = parts
            .iter()
            .filter(|(subject, _)| matches!(state(subject), State::Ok | State::Limited) == wanted);
        found.map(|(_, name)| *name).collect()
    };
    let (yes, no) = (there(true), there(false));
    let what = "hardware counters";
    match (yes.as_slice(), no.as_slice()) {
        ([], _) => ability(what, State::Unavailable, "none: no cycles, uncore, IOMMU or power"),
        (yes, []) => ability(what, State::Ok, yes.join(", ")),
        (yes, no) => ability(what, State::Limited, format!("{}; without {}", yes.join(", "), no.join(", "))),
    }
}
