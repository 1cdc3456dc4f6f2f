//! The facts that a reviewer needs, as named lines: once for all arms where they agree, else for each arm.

use std::collections::BTreeMap;

use measure::Dims;
use plan::Scope;

use crate::{
    Arm, Host, Model, Stopped, WorkloadSummary, describe, number,
    remarks::{image, mitigations, short},
};

/// A named line.
pub(crate) type Fact = (String, String);

/// Everything about where and how it was measured.
pub(crate) fn facts(model: &Model) -> Vec<Fact> {
    let mut facts = Vec::new();
    for side in model.sides() {
        let arms: Vec<&Arm> = model.arms.iter().filter(|arm| arm.side == side).collect();
        facts.extend(at_places(&arms, &format!("arm {side}"), kernel));
    }
    let (all, up): (Vec<&Arm>, Vec<&Arm>) =
        (model.arms.iter().collect(), model.arms.iter().filter(|arm| !arm.guests.is_empty()).collect());
    facts.extend(agreed(&all, "machine", |arm| describe::machine(&arm.machine).join("; ")));
    if up.is_empty() && !model.is_imported() {
        facts.push(("guests".to_owned(), "unavailable: none came up".to_owned()));
    }
    facts.extend(agreed(&up, "ran under", |arm| each_guest(arm, |facts| facts.accel.clone())));
    facts.extend(agreed(&up, "mitigations", |arm| each_guest(arm, mitigations)));
    facts.extend(agreed(&up, "iommu", iommu));
    facts.extend(model.plan.dimensions.iter().map(|dimension| {
        let what = match &dimension.scope {
            Scope::Arms if model.is_imported() => "every arm".to_owned(),
            Scope::Arms => "every arm, in boots of its own".to_owned(),
            Scope::Workload(of) => format!("the workload {of}, within each boot"),
        };
        (format!("dimension {}", dimension.name), format!("{}; of {what}", dimension.values.join(", ")))
    }));
    facts.extend(workloads(model));
    if !model.plan.flavour.is_plain() {
        facts.push(("flavour".to_owned(), format!("{}, of all kernels", model.plan.flavour.word())));
    }
    if model.is_imported() {
        facts.push(("run".to_owned(), format!("{} by assay {}", model.run.name, model.run.assay)));
        facts.push(("time".to_owned(), format!("imported {}", number::instant(&model.run.started))));
        return facts;
    }
    facts.push(("design".to_owned(), design(model)));
    facts.extend(replicates(model).map(|replicates| ("replicates".to_owned(), replicates)));
    facts.push(("host".to_owned(), host(&model.host)));
    if !model.host.bench.is_empty() {
        facts.push(("bench".to_owned(), bench(&model.host)));
    }
    facts.push(("QEMU".to_owned(), recorded(model.host.qemu.as_deref())));
    facts.push(("run".to_owned(), format!("{} by assay {}", model.run.name, model.run.assay)));
    facts.push(("time".to_owned(), time(model)));
    facts
}

/// One line if all these arms agree, otherwise one for each place of the matrix if the arms there agree, otherwise one for
/// each arm.
fn agreed(arms: &[&Arm], name: &str, of: impl Fn(&Arm) -> String) -> Vec<Fact> {
    let lines: Vec<(&Arm, String)> = arms.iter().map(|arm| (*arm, of(arm))).collect();
    match lines.as_slice() {
        [] => Vec::new(),
        [(_, first), rest @ ..] if rest.iter().all(|(_, line)| line == first) => {
            vec![(name.to_owned(), first.clone())]
        }
        all => {
            let alike = |(arm, line): &(&Arm, String)| {
                all.iter().filter(|(other, _)| other.at == arm.at).all(|(_, other)| other == line)
            };
            let sides_agree = all.iter().all(alike);
            if sides_agree {
                return at_places(arms, name, of);
            }
            all.iter().map(|(arm, line)| (format!("{name} of {}", arm.name), line.clone())).collect()
        }
    }
}

/// A line for each setting of those dimensions that make a difference to it. Arms at the same place must agree.
fn at_places(arms: &[&Arm], name: &str, of: impl Fn(&Arm) -> String) -> Vec<Fact> {
    let lines: Vec<(&Arm, String)> = arms.iter().map(|arm| (*arm, of(arm))).collect();
    let matters = |dimension: &String| {
        let without = |arm: &Arm| -> Dims {
            let others = arm.at.iter().filter(|(name, _)| *name != dimension);
            others.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        lines.iter().any(|(one, line)| {
            lines.iter().any(|(other, other_line)| line != other_line && without(one) == without(other))
        })
    };
    let mut facts: Vec<Fact> = Vec::new();
    for (arm, line) in &lines {
        let at: Dims = arm
            .at
            .iter()
            .filter(|(name, _)| matters(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let name =
            if at.is_empty() { name.to_owned() } else { format!("{name} at {}", describe::place(&at)) };
        let fact = (name, line.clone());
        if !facts.contains(&fact) {
            facts.push(fact);
        }
    }
    facts
}

/// What runs; of a group that is multiplied out, the first and how many others there are.
fn workloads(model: &Model) -> Vec<Fact> {
    let groups = model.plan.workloads.chunk_by(|one, other| one.group == other.group);
    let fact = |group: &[WorkloadSummary]| {
        let first = group.first()?;
        let name = format!("workload {}", first.group);
        Some(match group.len() {
            1 => (name, first.runs.clone()),
            many => {
                let (place, others) = (describe::place(&first.at), number::counted(many - 1, "other place"));
                (format!("{name} at {place}"), format!("{}; likewise at {others}", first.runs))
            }
        })
    };
    groups.filter_map(fact).collect()
}

/// A fact of each guest; once if the guests agree.
fn each_guest(arm: &Arm, of: impl Fn(&measure::GuestFacts) -> String) -> String {
    let lines: Vec<(&String, String)> = arm.guests.iter().map(|(name, facts)| (name, of(facts))).collect();
    match lines.as_slice() {
        [] => String::new(),
        [(_, first), rest @ ..] if rest.iter().all(|(_, line)| line == first) => first.clone(),
        all => all.iter().map(|(name, line)| format!("{name}: {line}")).collect::<Vec<_>>().join("; "),
    }
}

/// The IOMMU modes that interfaces really had.
fn iommu(arm: &Arm) -> String {
    let mut modes = Vec::new();
    for (guest, facts) in &arm.guests {
        for (interface, kind) in &facts.iommu {
            modes.push(format!("{guest} {interface} {kind}"));
        }
    }
    if modes.is_empty() { "unavailable: no guest reported an interface".to_owned() } else { modes.join(", ") }
}

fn kernel(arm: &Arm) -> String {
    let mut text = describe::arm(arm);
    if let Some(image) = image(arm) {
        text.push_str(&format!(
            "; source {}, release {}, image {}",
            image.source_version,
            image.release,
            short(&image.image_sha256)
        ));
        if !image.toolchain.is_empty() {
            text.push_str(&format!(", {}", image.toolchain));
        }
    }
    text
}

fn design(model: &Model) -> String {
    let plan = &model.plan;
    let boots = match model.run.stopped {
        Some(Stopped { blocks, most, .. }) => {
            format!("{blocks} of at most {}", number::counted(most, "boot"))
        }
        None => number::counted(plan.boots, "boot"),
    };
    let mut text = format!("{boots} of each arm in randomised blocks, seed {}", plan.seed);
    if plan.trim > 0 {
        let first = number::counted(plan.trim, "boot");
        text.push_str(&format!(", of which the first and the last {first} do not count"));
    }
    if plan.traced_boots > 0 {
        text.push_str(&format!(", and {} with tracing", plan.traced_boots));
    }
    if !model.gates.is_empty() {
        text.push_str(&format!("; family-wise level {} (Holm)", plan.alpha));
    }
    text
}

/// Replicates that are named one by one.
const MOST_REPLICATES: usize = 20;

/// What the boots of each block began with; nothing where the evidence is timed.
fn replicates(model: &Model) -> Option<String> {
    let all = model.arms.iter().flat_map(|arm| &arm.trials).filter_map(|trial| trial.perturbation);
    let by_number: BTreeMap<u32, String> =
        all.map(|replicate| (replicate.number, replicate.to_string())).collect();
    let mut words: Vec<String> = by_number.into_values().collect();
    if words.len() > MOST_REPLICATES {
        let more = words.split_off(MOST_REPLICATES).len();
        words.push(format!("and {more} more, each in its boots' trial.json"));
    }
    (!words.is_empty()).then(|| words.join("; "))
}

fn host(host: &Host) -> String {
    let cpus = host.cpus.map_or_else(|| recorded(None), |cpus| number::counted(cpus, "CPU"));
    let memory = host.memory_mib.map_or_else(|| recorded(None), |memory| format!("{memory} MiB"));
    let (cpu, kernel) = (recorded(host.cpu.as_deref()), recorded(host.kernel.as_deref()));
    format!("{cpu}, {cpus}, {memory}, Linux {kernel}")
}

/// How the machine stood for timed runs.
pub(crate) fn bench(host: &Host) -> String {
    host.bench.iter().map(|(what, how)| format!("{what} {how}")).collect::<Vec<_>>().join(", ")
}

fn recorded(value: Option<&str>) -> String {
    value.filter(|value| !value.is_empty()).map_or_else(|| "(not recorded)".to_owned(), ToOwned::to_owned)
}

fn time(model: &Model) -> String {
    let run = &model.run;
    let builds = match run.build_seconds {
        seconds if seconds > 0.0 => format!("{} in builds", number::duration(seconds)),
        _ => "no kernel was built".to_owned(),
    };
    format!(
        "started {}; {builds}, {} in {}",
        number::instant(&run.started),
        number::duration(run.trial_seconds),
        number::counted(run.boots_made, "boot")
    )
}
