//! A scenario file to a [`Plan`]: reads every part, then checks the parts against each other.

use std::path::Path;

use plan::{Arm, Base, Collector, Design, Evidence, IommuMode, Machine, Plan, WorkloadKind};
use stats::{MOST_NEEDED, boots_needed, smallest_p};

use crate::{
    arm::Arms,
    base::is_prebuilt,
    boots, exact,
    fields::{Fields, items, text_of},
    gate::{PlacedGate, Surroundings, gates},
    machine::iommus,
    matrix::Matrix,
    nested,
    overrides::Overrides,
    problem::{Findings, Place, Problems},
    project::{Project, read_yaml},
    schema::{self, COMPLAINT, KNOWN_COMPLAINTS, NAME},
    stream,
    workload::workloads,
    zcsim,
};

/// The plan of the scenario at `path`, whose bases and series are those of `project` where `overrides` gives no other.
///
/// # Errors
/// Everything that is wrong with the scenario and the files that it names, at once.
pub fn load(path: &Path, project: &Project, overrides: &Overrides) -> Result<Plan, Problems> {
    let mut findings = Findings::default();
    let plan = read(path, project, overrides, &mut findings);
    findings.conclude(plan)
}

/// The name and the base of the arm that `overrides` would put a series in: what the series has to apply to. `series`
/// itself is not looked at.
///
/// # Errors
/// Everything that stands in the way of knowing it.
pub fn candidate(path: &Path, project: &Project, overrides: &Overrides) -> Result<(String, Base), Problems> {
    let mut findings = Findings::default();
    let file = read_yaml(path, &mut findings);
    let fields = file.as_ref().and_then(|file| Fields::open(&file.root, &schema::SCENARIO, &mut findings));
    let folder = path.parent().unwrap_or(Path::new(""));
    // An arm that is added for the series is there, whatever the series will be.
    let overrides = Overrides { series: Some(Vec::new()), ..overrides.clone() };
    let candidate =
        fields.and_then(|fields| Arms::new(project, folder, &overrides).candidate(&fields, &mut findings));
    if candidate.is_none() {
        // The caller stops here, so everything else that is wrong is told now.
        read(path, project, &overrides, &mut findings);
    }
    findings.conclude(candidate)
}

fn read(path: &Path, project: &Project, overrides: &Overrides, findings: &mut Findings) -> Option<Plan> {
    let file = read_yaml(path, findings)?;
    let fields = Fields::open(&file.root, &schema::SCENARIO, findings)?;
    if file.comment.is_empty() {
        let message = "does not begin with a comment that tells the question";
        findings.add(&Place::file(path, Some(1)), message, "# Is it faster? ...");
    }
    let name = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| (NAME.holds)(stem));
    if name.is_none() {
        let message = "the file's name without its ending is no name, but names the run";
        findings.add(&Place::file(path, None), message, NAME.what);
    }

    let folder = path.parent().unwrap_or(Path::new(""));
    let sides = Arms::new(project, folder, overrides).read(&fields, findings);
    let groups = fields.given("workloads").map_or_else(Vec::new, |node| workloads(node, folder, findings));
    let matrix = Matrix::of(&sides, &groups, findings);
    let dimensions = matrix.dimensions();
    let side_count = sides.len();
    let group_names: Vec<String> = groups.iter().map(|group| group.of.clone()).collect();
    let mut arms = matrix.arms(sides, findings);
    let mut workloads = matrix.workloads(groups, findings);
    let (evidence, collectors) = exact::evidence(&fields, findings);
    if evidence == Some(Evidence::Exact) {
        exact::check(&fields, &mut arms, &mut workloads, findings);
    }
    stream::check(&fields.place_of("workloads"), &arms, &workloads, findings);
    let surroundings = Surroundings {
        arms: &arms,
        sides: side_count,
        names: &group_names,
        dimensions: &dimensions,
        workloads: &workloads,
        collectors: collectors.as_deref(),
    };
    let (gates, test_gates) = gates(&fields, &surroundings, findings);
    let mut design = design(&fields, evidence, collectors.as_deref(), findings);
    let debug = arms.iter().flatten().any(|arm| !arm.kernel.base.flavour.is_plain());
    let known_complaints = known_complaints(&fields, findings);
    let tests = workloads.iter().flatten().any(|workload| matches!(workload.kind, WorkloadKind::Ktap(_)));
    check_machines(&fields, &arms, collectors.as_deref(), tests, findings);
    let place = fields.place_of("workloads");
    // Once, and not for each arm.
    if let Some(arm) = arms.iter().flatten().find(|arm| matches!(arm.machine, Machine::Nested(_))) {
        for workload in workloads.iter().flatten() {
            nested::check_workload(arm, workload, &place, findings);
        }
    }
    if let Some(design) = &mut design {
        // Gates on metrics are set aside under debug kernels.
        if !debug {
            let comparisons = comparisons(&gates, side_count.saturating_sub(1));
            check_power(&fields, design, &gates, comparisons, findings);
            boots::check_stop(&fields, design, evidence, (&gates, &test_gates), comparisons, findings);
        }
        let patience = arms.iter().flatten().map(|arm| arm.kernel.base.flavour.patience()).max();
        design.link_delay = exact::has_wire(&arms, &design.replicates);
        design.boot_deadline_s = design.boot_deadline_s.saturating_mul(patience.unwrap_or(1));
        check_boots(&fields, design, arms.len(), findings);
    }

    Some(Plan {
        format: plan::FORMAT,
        name: name?.to_owned(),
        question: file.comment,
        dimensions,
        arms: arms.into_iter().collect::<Option<_>>()?,
        workloads: workloads.into_iter().collect::<Option<_>>()?,
        collectors: collectors?,
        design: design?,
        gates: gates.into_iter().map(|gate| gate.map(|gate| gate.gate)).collect::<Option<_>>()?,
        test_gates: test_gates.into_iter().collect::<Option<_>>()?,
        known_complaints: known_complaints?,
    })
}

/// Most patterns of known complaints.
const MAX_KNOWN: usize = 100;

fn known_complaints(fields: &Fields<'_>, findings: &mut Findings) -> Option<Vec<String>> {
    let node = fields.value("known-complaints", findings)?;
    let list = items(&node, KNOWN_COMPLAINTS.what, findings);
    if list.len() > MAX_KNOWN {
        findings.add(&node.place, format!("{} entries", list.len()), format!("at most {MAX_KNOWN}"));
    }
    list.iter().map(|item| text_of(item, COMPLAINT, findings)).collect::<Vec<_>>().into_iter().collect()
}

fn design(
    fields: &Fields<'_>,
    evidence: Option<Evidence>,
    collectors: Option<&[Collector]>,
    findings: &mut Findings,
) -> Option<Design> {
    let boots = boots::boots(fields, findings);
    let traced_boots = traced_boots(fields, collectors, findings);
    let seed = fields.integer("seed", findings);
    let alpha = fields.fraction("alpha", findings);
    let boot_deadline_s = fields.seconds_u32("boot-deadline", findings);
    let replicates = exact::replicates(fields, evidence, boots.map_or(0, |(boots, _)| boots), findings);
    let trim = boots::trim(fields, boots, evidence, findings);
    Some(Design {
        boots: boots?.0,
        stop: boots?.1,
        traced_boots: traced_boots?,
        seed: seed?,
        alpha: alpha?,
        boot_deadline_s: boot_deadline_s?,
        replicates: replicates?,
        link_delay: false,
        trim: trim?,
    })
}

fn traced_boots(
    fields: &Fields<'_>,
    collectors: Option<&[Collector]>,
    findings: &mut Findings,
) -> Option<u32> {
    let given = fields.count("traced-boots", findings);
    let traces = collectors?.iter().any(|collector| collector.is_tracing());
    let Some(node) = fields.given("traced-boots") else { return Some(u32::from(traces)) };
    match (given?, traces) {
        (0, true) => {
            findings.add(
                &node.place,
                "no traced boots, but `collect` has a collector that traces",
                "at least 1",
            );
            None
        }
        (boots, false) if boots > 0 => {
            findings.add(
                &node.place,
                "traced boots, but nothing in `collect` traces",
                "0, or iotlb, syscalls, tracepoints, probes or timeline in `collect`",
            );
            None
        }
        (boots, _) => Some(boots),
    }
}

/// What arms and collectors ask of machines together.
fn check_machines(
    fields: &Fields<'_>,
    arms: &[Option<Arm>],
    collectors: Option<&[Collector]>,
    tests: bool,
    findings: &mut Findings,
) {
    let Some(arms) = arms.iter().map(Option::as_ref).collect::<Option<Vec<&Arm>>>() else { return };
    let fakes = arms.iter().filter(|arm| matches!(arm.machine, Machine::Fake(_))).count();
    if fakes != 0 && fakes != arms.len() {
        let message = "fake machines beside real ones: their numbers cannot be compared";
        findings.add(&fields.place_of("arms"), message, "all arms fake, or none");
    }
    for arm in &arms {
        zcsim::check_driver(arm, &fields.place_of("arms"), findings);
        if tests && !matches!(arm.machine, Machine::Fake(_)) && is_prebuilt(&arm.kernel.base.source) {
            let message =
                format!("{}: `{}` is prebuilt: there are no tests to build", arm.name, arm.kernel.base.name);
            findings.add(
                &fields.place_of("arms"),
                message,
                "a base that is built from source, with `tool: ktap`",
            );
        }
    }
    nested::check_kernels(&arms, &fields.place_of("arms"), findings);
    let traces_iotlb = collectors.is_some_and(|collectors| collectors.contains(&Collector::Iotlb));
    let translates = |arm: &&Arm| {
        iommus(&arm.machine)
            .iter()
            .any(|iommu| matches!(iommu.mode, IommuMode::Pt | IommuMode::Lazy | IommuMode::Strict))
    };
    if traces_iotlb && fakes == 0 && !arms.is_empty() && !arms.iter().any(translates) {
        let message = "`iotlb`, but no arm has an IOMMU that is in use";
        findings.add(&fields.place_of("collect"), message, "with machine.server.iommu: pt, lazy or strict");
    }
}

/// Gates times candidate arms and their places. A gate that has problems of its own will be one when they are mended.
fn comparisons(gates: &[Option<PlacedGate>], candidates: usize) -> u32 {
    let of = |gate: &Option<PlacedGate>| gate.as_ref().map_or(candidates, |gate| gate.comparisons);
    u32::try_from(gates.iter().map(of).sum::<usize>()).unwrap_or(u32::MAX)
}

/// Refuses a design in which no outcome at all could reach a gate's threshold.
fn check_power(
    fields: &Fields<'_>,
    design: &Design,
    gates: &[Option<PlacedGate>],
    comparisons: u32,
    findings: &mut Findings,
) {
    if comparisons == 0 {
        return;
    }
    let Some(needed) = boots_needed(design.alpha, comparisons) else {
        let message =
            format!("no number of boots can decide {} at this level", counted(comparisons, "comparison"));
        let smallest = (smallest_p(MOST_NEEDED) * f64::from(comparisons) * 1e6).ceil() / 1e6;
        findings.add(&fields.place_of("alpha"), message, format!("alpha: at least {smallest:.6}"));
        return;
    };
    let traced = gates.iter().flatten().any(|gate| gate.traced);
    for (key, boots) in [
        ("boots", design.stop.is_at_the_end().then_some(design.counted_boots())),
        ("traced-boots", traced.then_some(design.traced_boots)),
    ] {
        if let Some(boots) = boots.filter(|boots| *boots < needed) {
            let message = format!(
                "{} of each arm cannot decide {}, gates times candidate arms and their places: the smallest possible p, \
                 1/2^{boots}, is above the first threshold, {}/{comparisons}",
                counted(boots, "boot"),
                counted(comparisons, "comparison"),
                design.alpha
            );
            findings.add(&fields.place_of(key), message, format!("{key}: at least {needed}"));
        }
    }
}

/// Refuses what would not end.
fn check_boots(fields: &Fields<'_>, design: &Design, arms: usize, findings: &mut Findings) {
    let boots = u64::from(design.boots) + u64::from(design.traced_boots);
    let all = boots.saturating_mul(u64::try_from(arms).unwrap_or(u64::MAX));
    if all > MAX_BOOTS {
        let message = format!("{all} boots: {boots} of each of {arms} arms, once lists are multiplied out");
        findings.add(&fields.place_of("boots"), message, format!("at most {MAX_BOOTS} in all"));
    }
}

/// `1 boot`, `2 boots`.
fn counted(count: u32, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Most boots of a run: days, at a few seconds each.
const MAX_BOOTS: u64 = 50_000;
