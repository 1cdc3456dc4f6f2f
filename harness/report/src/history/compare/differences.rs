//! In what two sides differ besides their numbers.

use std::collections::BTreeSet;

use plan::ConfigStart;

use super::{Comparing, Difference};
use crate::{
    Arm, describe,
    facts::bench,
    number,
    remarks::{image, mitigations, short},
};

/// Lines of a configuration that are named; more of them are counted.
const OPTIONS: usize = 6;
/// The fact after which differences between configurations are listed.
const KERNEL_CONFIGURATION_FOLLOWS: &str = "compiler";

/// Everything that may explain a difference between the numbers: where they come from first, then the machine, the kernel, the
/// host and what ran.
pub(super) fn differences(first: &Comparing<'_>, second: &Comparing<'_>) -> Vec<Difference> {
    let theirs = facts(second);
    let mut found = Vec::new();
    for (what, first_fact) in facts(first) {
        let second_fact = theirs.iter().find(|(other, _)| *other == what).map(|(_, fact)| fact.clone());
        let second_fact = second_fact.unwrap_or_default();
        if first_fact != second_fact {
            found.push(Difference { what: what.to_owned(), first: first_fact, second: second_fact });
        }
        if what == KERNEL_CONFIGURATION_FOLLOWS {
            found.extend(configuration(first, second));
        }
    }
    found
}

/// Every fact that is compared, in the order in which differences are listed.
fn facts(of: &Comparing<'_>) -> Vec<(&'static str, String)> {
    let arm = of.model.arms.iter().find(|arm| arm.name == of.arm);
    let text = |fact: Option<String>| {
        fact.filter(|fact| !fact.is_empty()).unwrap_or_else(|| "(not recorded)".to_owned())
    };
    let of_arm = |fact: &dyn Fn(&Arm) -> String| text(arm.map(fact));
    let of_image = |fact: &dyn Fn(&measure::KernelImage) -> String| text(arm.and_then(image).map(fact));
    let host = &of.model.host;
    let mut facts = vec![
        ("sources of the numbers", sources(of)),
        ("machine", of_arm(&|arm| describe::machine(&arm.machine).join("; "))),
        ("ran under", of_arm(&|arm| each(arm, |facts| facts.accel.clone()))),
        ("IOMMU domains", of_arm(&iommu)),
        ("mitigations", of_arm(&|arm| each(arm, mitigations))),
        ("kernel", of_arm(&describe::arm)),
        ("kernel source", of_image(&|image| image.source_version.clone())),
        ("kernel release", of_image(&|image| image.release.clone())),
        ("kernel image", of_image(&|image| short(&image.image_sha256))),
        (KERNEL_CONFIGURATION_FOLLOWS, of_image(&|image| image.toolchain.clone())),
        ("host CPU", text(host.cpu.clone())),
        ("host CPUs online", text(host.cpus.map(|cpus| cpus.to_string()))),
        ("host memory", text(host.memory_mib.map(|memory| format!("{memory} MiB")))),
        ("host kernel", text(host.kernel.clone())),
        ("bench", text(Some(bench(host)))),
        ("QEMU", text(host.qemu.clone())),
        ("accelerator", text(host.accel.clone())),
    ];
    facts.extend(of.facts.iter().cloned());
    let workloads: Vec<&str> = of.plan.workloads.iter().map(|workload| workload.name.as_str()).collect();
    facts.push(("workloads", workloads.join(", ")));
    facts.push(("collectors", collectors(of)));
    facts.push(("assay", of.model.run.assay.clone()));
    facts.push(("started", number::instant(&of.model.run.started)));
    facts
}

/// Of everything that the arm yielded.
fn sources(of: &Comparing<'_>) -> String {
    let trials: BTreeSet<u32> =
        of.trials.iter().filter(|trial| trial.arm == of.arm).map(|trial| trial.index).collect();
    let kinds: BTreeSet<u32> = of
        .samples
        .entries()
        .iter()
        .filter(|entry| trials.contains(&entry.trial))
        .map(|entry| entry.kind)
        .collect();
    let kinds = of.samples.kinds().iter().zip(0_u32..).filter(|(_, position)| kinds.contains(position));
    let sources: BTreeSet<String> = kinds.map(|(kind, _)| kind.provenance.to_string()).collect();
    sources.into_iter().collect::<Vec<_>>().join(", ")
}

fn each(arm: &Arm, of: impl Fn(&measure::GuestFacts) -> String) -> String {
    arm.guests.iter().map(|(name, facts)| format!("{name}: {}", of(facts))).collect::<Vec<_>>().join("; ")
}

fn iommu(arm: &Arm) -> String {
    let modes = arm.guests.iter().flat_map(|(guest, facts)| {
        facts.iommu.iter().map(move |(interface, kind)| format!("{guest} {interface} {kind}"))
    });
    modes.collect::<Vec<_>>().join(", ")
}

fn collectors(of: &Comparing<'_>) -> String {
    let name = |collector| match serde_json::to_value(collector) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    };
    of.plan.collectors.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// The lines of the kernel's configuration that only one side asks for.
fn configuration(first: &Comparing<'_>, second: &Comparing<'_>) -> Option<Difference> {
    let (ours, theirs) = (lines(first), lines(second));
    let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
        let only: Vec<&str> = one.difference(other).map(String::as_str).collect();
        match only.len() {
            0 => "nothing beyond the other".to_owned(),
            count if count > OPTIONS => {
                format!("{}, and {} more", only[..OPTIONS].join(", "), count - OPTIONS)
            }
            _ => only.join(", "),
        }
    };
    (ours != theirs).then(|| Difference {
        what: "kernel configuration".to_owned(),
        first: only(&ours, &theirs),
        second: only(&theirs, &ours),
    })
}

fn lines(of: &Comparing<'_>) -> BTreeSet<String> {
    let Some(arm) = of.plan.arm(of.arm) else { return BTreeSet::new() };
    let config = &arm.kernel.base.config;
    let mut lines = BTreeSet::new();
    let start = match &config.start {
        ConfigStart::Tinyconfig => {
            lines.insert("make tinyconfig".to_owned());
            None
        }
        ConfigStart::Defconfig => {
            lines.insert("make defconfig".to_owned());
            None
        }
        ConfigStart::File(fragment) => Some(fragment),
    };
    for fragment in start.into_iter().chain(&config.fragments) {
        let is_option = |line: &&str| {
            line.starts_with("CONFIG_") || (line.starts_with("# CONFIG_") && line.ends_with(" is not set"))
        };
        lines.extend(fragment.text.lines().map(str::trim).filter(is_option).map(ToOwned::to_owned));
    }
    lines.extend(arm.kernel.options.iter().map(ToString::to_string));
    lines
}
