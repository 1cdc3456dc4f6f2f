//! What must be known to read the numbers rightly, drawn from the model itself.

use std::collections::BTreeSet;

use measure::{BuildEnd, Dims, GuestFacts, KernelImage, Provenance};
use plan::{Iommu, IommuMode, Machine, Topology};

use crate::{
    Arm, Gate, Model, Stopped, Trial, describe, number,
    places::{self, asked},
    shape,
};

/// Every remark, gravest first, as sentences.
#[must_use]
pub fn remarks(model: &Model) -> Vec<String> {
    let mut all = model.run.left_out.clone();
    all.extend(model.run.stopped.map(Stopped::in_words));
    all.extend(fake(model));
    all.extend(imported(model));
    all.extend(debug(model));
    all.extend(once(model.candidates().filter_map(|arm| identical(model.baseline_of(arm)?, arm))));
    all.extend(emulated(model));
    all.extend(calibrated(model));
    all.extend(model.noise.iter().cloned());
    all.extend(mixed_accelerators(model));
    all.extend(iommus_not_as_asked(model));
    all.extend(model.baselines().filter_map(baseline_fails_at_times));
    all.extend(noisy(model));
    all.extend(shape::shapes(model));
    all.extend(known_complaints(model));
    all.extend(made_again(model));
    all.extend(model.warnings.iter().cloned());
    all
}

/// Whether any number comes from there.
fn has(model: &Model, provenance: Provenance) -> bool {
    let gates = model.gates.iter().flat_map(|gate| gate.provenance.iter());
    let rows = model.explored.iter().flat_map(|row| row.provenance.iter());
    gates.chain(rows).any(|own| *own == provenance)
}

fn fake(model: &Model) -> Option<String> {
    let machine = model.arms.iter().any(|arm| matches!(arm.machine, Machine::Fake(_)));
    (machine || has(model, Provenance::Fake)).then(|| {
        "These numbers are canned output of a fake machine: they say nothing about any kernel.".to_owned()
    })
}

/// Why nothing is judged.
fn imported(model: &Model) -> Option<String> {
    model.is_imported().then(|| {
        "Imported: measured elsewhere, and read from what tools and scripts wrote there. In which order and beside what is not known, so \
         numbers stand beside each other, and none is tested against another."
            .to_owned()
    })
}

/// Why gates were set aside.
fn debug(model: &Model) -> Option<String> {
    let plan = &model.plan;
    let aside = match plan.set_aside.as_slice() {
        [] => String::new(),
        gates => format!(" Set aside for that reason: {}.", gates.join("; ")),
    };
    (!plan.flavour.is_plain()).then(|| {
        format!(
            "The kernels are of the {} flavour: what they complain about is the result, and nothing that was timed under them is compared.{aside}",
            plan.flavour.word()
        )
    })
}

/// What the scenario says is known, so that it is not forgotten.
fn known_complaints(model: &Model) -> Vec<String> {
    let mut remarks = Vec::new();
    for arm in &model.arms {
        let titles: BTreeSet<&str> = arm
            .trials
            .iter()
            .flat_map(|trial| &trial.known_complaints)
            .map(|known| known.title.as_str())
            .collect();
        for title in titles {
            let has = |trial: &&Trial| trial.known_complaints.iter().any(|known| known.title == title);
            let boots = arm.trials.iter().filter(has).count();
            let of = number::counted(arm.trials.len(), "boot");
            remarks.push(format!("Known, and not judged: {}, {boots} of {of}: {title}.", arm.name));
        }
    }
    remarks
}

/// What the emulator spoilt, by arm: if one arm is hit more often than another, the reader has to know.
fn made_again(model: &Model) -> Vec<String> {
    let of_arm = |arm: &Arm| {
        let reasons: Vec<&String> = arm.trials.iter().flat_map(|trial| &trial.set_aside).collect();
        let first = *reasons.first()?;
        let boots = number::counted(reasons.len(), "boot");
        Some(format!(
            "{}: {boots} set aside and made again, since the emulator spoilt {}: {first}. What was seen of them is in `set-aside-N` of their trials.",
            arm.name,
            if reasons.len() == 1 { "it" } else { "them" },
        ))
    };
    model.arms.iter().filter_map(of_arm).collect()
}

/// The image that an arm boots.
pub(crate) fn image(arm: &Arm) -> Option<&KernelImage> {
    match arm.build.as_ref()? {
        BuildEnd::Built(image) => Some(image),
        BuildEnd::DoesNotApply(_) | BuildEnd::DoesNotCompile { .. } | BuildEnd::ConfigLost { .. } => None,
    }
}

fn identical(baseline: &Arm, arm: &Arm) -> Option<String> {
    let (ours, theirs) = (image(baseline)?, image(arm)?);
    let same = ours.image_sha256 == theirs.image_sha256
        && baseline.cmdline == arm.cmdline
        && baseline.machine == arm.machine;
    same.then(|| {
        format!(
            "A/A: {} and {} boot the same image ({}) in the same way, so any difference between them is noise.",
            baseline.side,
            arm.side,
            short(&ours.image_sha256)
        )
    })
}

/// The first digits of a checksum, enough to tell images apart by eye.
pub(crate) fn short(sha256: &str) -> String {
    format!("sha256 {}", sha256.get(..12).unwrap_or(sha256))
}

/// How guests really ran.
pub(crate) fn accelerators(model: &Model) -> Vec<&str> {
    // Guests within a guest have its KVM, in whatever way it is executed itself.
    let here = |arm: &'_ Arm, guest: &str| {
        !(matches!(arm.machine, Machine::Nested(_)) && matches!(guest, "server" | "neighbour"))
    };
    let guests = model.arms.iter().flat_map(|arm| arm.guests.iter().map(move |guest| (arm, guest)));
    let facts = guests.filter(|(arm, (guest, _))| here(arm, guest)).map(|(_, (_, facts))| facts);
    let mut accelerators: Vec<&str> = facts.map(|facts| facts.accel.as_str()).collect();
    accelerators.sort_unstable();
    accelerators.dedup();
    accelerators
}

fn emulated(model: &Model) -> Option<String> {
    if has(model, Provenance::TcgInsn) {
        return Some(
            "Exact evidence: instructions as QEMU's TCG executes them, the same on every machine. Blocks of boots \
             differ by what they are perturbed with. What they cannot show: caches and TLBs, contention between processors, \
             interrupts between them, the time of devices and of DMA."
                .to_owned(),
        );
    }
    accelerators(model).contains(&"tcg").then(|| {
        "QEMU emulated every instruction (TCG): times compare these arms with each other, and say nothing about hardware."
            .to_owned()
    })
}

/// What a difference of exact counts means, or that this is not known.
fn calibrated(model: &Model) -> Vec<String> {
    if !has(model, Provenance::TcgInsn) || model.gates.is_empty() {
        return Vec::new();
    }
    let Some(calibration) = &model.calibration else {
        return vec![format!(
            "Not calibrated: how far a patch that changes no work moves these counts is not known for this kernel, machine and \
             workload; `assay calibrate --exact {}` measures it, and later verdicts use it.",
            model.plan.scenario
        )];
    };
    let of_gate = |gate: &Gate| {
        let (_, largest) = calibration.largest.iter().find(|(series, _)| *series == gate.series)?;
        let smallest = if gate.margin <= *largest { ", which is the margin here" } else { "" };
        Some(format!(
            "No change in work has moved {} by up to {}{smallest}: calibration of {}, {}.",
            describe::label(&gate.series),
            number::percent(*largest),
            number::instant(&calibration.started),
            number::counted(calibration.patches, "null patch"),
        ))
    };
    once(model.gates.iter().filter_map(of_gate))
}

fn mixed_accelerators(model: &Model) -> Option<String> {
    let accelerators = accelerators(model);
    (accelerators.len() > 1).then(|| {
        format!(
            "Guests ran under different accelerators ({}): their times are not comparable.",
            accelerators.join(", ")
        )
    })
}

/// The type of the group of a NIC in each mode, as `GuestFacts::iommu` has it.
fn expected_type(mode: IommuMode) -> &'static str {
    match mode {
        IommuMode::None | IommuMode::Off => "none",
        IommuMode::Pt => "identity",
        IommuMode::Lazy => "DMA-FQ",
        IommuMode::Strict => "DMA",
    }
}

/// Each text the first time that it comes: places of a matrix have much in common.
fn once(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = Vec::new();
    for text in texts {
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    seen
}

/// The arms whose guests do not have the modes that were asked for, those with the same together.
fn iommus_not_as_asked(model: &Model) -> Vec<String> {
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    for arm in &model.arms {
        for what in iommu_not_as_asked(arm) {
            match found.iter_mut().find(|(known, _)| *known == what) {
                Some((_, arms)) => arms.push(&arm.name),
                None => found.push((what, vec![&arm.name])),
            }
        }
    }
    found.into_iter().map(|(what, arms)| format!("{}: {what}", arms.join(", "))).collect()
}

/// A mode that was asked for and that no interface of the guest has: QEMU's caching mode turns lazy into strict, say.
fn iommu_not_as_asked(arm: &Arm) -> Vec<String> {
    let asked: Vec<(&str, Iommu)> = match &arm.machine {
        Machine::Fake(_) | Machine::Imported(_) => Vec::new(),
        Machine::Nested(nested) => nested.governed(),
        Machine::Qemu(qemu) => match &qemu.topology {
            Topology::Loopback => Vec::new(),
            Topology::TwoNamespaces { server, .. } => vec![("guest", server.iommu)],
            Topology::TwoGuests { server, client } => {
                vec![("server", server.iommu), ("client", client.iommu)]
            }
        },
    };
    let remark = |(guest, iommu): (&str, Iommu)| {
        let had = &arm.guests.get(guest).filter(|facts| !facts.iommu.is_empty())?.iommu;
        let expected = expected_type(iommu.mode);
        let missing = !had.values().any(|kind| kind == expected);
        missing.then(|| {
            let had: Vec<_> = had.iter().map(|(interface, kind)| format!("{interface} {kind}")).collect();
            format!(
                "the IOMMU mode asked for the {guest} gives domains of type {expected}, but it has: {}.",
                had.join(", ")
            )
        })
    };
    asked.into_iter().filter_map(remark).collect()
}

fn baseline_fails_at_times(baseline: &Arm) -> Option<String> {
    let at =
        if baseline.at.is_empty() { String::new() } else { format!(" at {}", describe::place(&baseline.at)) };
    let failed = baseline.trials.len() - baseline.measured();
    (failed > 0 && baseline.measured() > 0).then(|| {
        let of = number::counted(baseline.trials.len(), "boot");
        format!("The baseline itself failed in {failed} of {of}{at}.")
    })
}

/// Gates whose margin is below what single boots differ by: more boots are needed, or a quieter host.
fn noisy(model: &Model) -> Vec<String> {
    let remarks = asked(&model.gates).filter_map(|gates| {
        let variation = |gate: &Gate| gate.baseline.and_then(|summary| summary.variation);
        let noisy: Vec<(&Gate, f64)> = gates
            .iter()
            // Where instructions are counted, boots differ because they are meant to, and blocks take that away.
            .filter(|gate| !gate.provenance.contains(&Provenance::TcgInsn))
            .filter_map(|gate| Some((gate, variation(gate).filter(|variation| *variation > gate.margin)?)))
            .collect();
        let (first, _) = noisy.first()?;
        let most = noisy.iter().map(|(_, variation)| *variation).fold(0.0, f64::max);
        let places: Vec<&Dims> = noisy.iter().map(|(gate, _)| &gate.series.at).collect();
        Some(format!(
            "Noisy: {}{} of the baseline varies by {}{} from boot to boot, more than its margin of {}.",
            places::label(&first.series),
            places::at(&places, gates.len()),
            if noisy.len() > 1 { "up to " } else { "" },
            number::rough_percent(most),
            number::percent(first.margin)
        ))
    });
    once(remarks)
}

/// Which mitigations a guest lacks, in a line.
pub(crate) fn mitigations(facts: &GuestFacts) -> String {
    if facts.mitigations.is_empty() {
        return "unavailable: the guest reported none".to_owned();
    }
    let vulnerable: Vec<_> = facts
        .mitigations
        .iter()
        .filter(|(_, state)| state.starts_with("Vulnerable"))
        .map(|(name, _)| name.as_str())
        .collect();
    if vulnerable.is_empty() {
        "on".to_owned()
    } else {
        format!("off or lacking for {}", vulnerable.join(", "))
    }
}
