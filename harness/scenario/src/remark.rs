//! What a reader of a plan should know that is no problem.

mod provision;

use plan::{Accel, Arm, Collector, IommuMode, Machine, Plan};

use crate::{machine::iommus, nested};

/// Remarks on a plan, each a sentence: what kind of comparison it is, and what it cannot show.
#[must_use]
pub fn remarks(plan: &Plan) -> Vec<String> {
    let mut remarks = Vec::new();
    // Alike at every place of a matrix.
    let is_twin = |side: &&str| {
        let mut arms = plan.candidates().filter(|arm| arm.side() == *side);
        arms.all(|arm| plan.baseline_of(arm).is_some_and(|baseline| alike(arm, baseline)))
    };
    let candidates: Vec<&str> = plan.sides().into_iter().skip(1).collect();
    let twins: Vec<&str> = candidates.iter().copied().filter(is_twin).collect();
    if !twins.is_empty() && twins.len() == candidates.len() {
        remarks.push(
            "All arms are alike: this is an A/A test, and a verdict of better or worse would be a false alarm."
                .to_owned(),
        );
    } else if !twins.is_empty() {
        remarks.push(format!("Like the baseline in everything: {}.", twins.join(", ")));
    }
    if !plan.flavour().is_plain() {
        let aside = match plan.gates.len() {
            0 => String::new(),
            1 => ", and the gate on a metric is set aside".to_owned(),
            many => format!(", and the {many} gates on metrics are set aside"),
        };
        remarks.push(format!(
            "Kernels are of the {} flavour: what they complain about is the result. Nothing that is timed under them is compared{aside}.",
            plan.flavour().word()
        ));
    }
    if plan.gates.is_empty() && plan.test_gates.is_empty() {
        remarks.push("There are no gates: every metric is exploratory, and there is no verdict.".to_owned());
    }
    if plan.collectors.iter().any(|collector| collector.is_tracing()) {
        let traced = plan.design.traced_boots;
        remarks.push(format!("Tracing collectors run in boots of their own, {traced} of each arm; no timed sample comes from them."));
    }
    if plan.arms.iter().any(|arm| matches!(arm.machine, Machine::Fake(_))) {
        remarks.push("The machines are fake: the numbers say nothing about any kernel.".to_owned());
    }
    if plan.arms.iter().any(|arm| matches!(&arm.machine, Machine::Qemu(qemu) if qemu.accel == Accel::Tcg)) {
        remarks.push(
            "Guests run under emulation (TCG): ratios between arms are measured, absolute numbers say nothing about \
             hardware."
                .to_owned(),
        );
    }
    let names = |wanted: &dyn Fn(&&Arm) -> bool| -> String {
        let names: Vec<&str> = plan.arms.iter().filter(wanted).map(|arm| arm.name.as_str()).collect();
        names.join(", ")
    };
    let forced = names(&|arm| {
        iommus(&arm.machine).iter().any(|iommu| iommu.caching_mode && iommu.mode == IommuMode::Lazy)
    });
    if !forced.is_empty() {
        remarks.push(format!(
            "{forced}: a kernel may turn lazy into strict because of the caching mode; the mode it really has is recorded."
        ));
    }
    let idle = names(&|arm| {
        !iommus(&arm.machine).iter().any(|iommu| !matches!(iommu.mode, IommuMode::None | IommuMode::Off))
    });
    if plan.collectors.contains(&Collector::Iotlb) && !idle.is_empty() {
        remarks.push(format!("{idle}: no IOMMU in use, so `iotlb` is unavailable there."));
    }
    remarks.extend(nested::remarks(plan));
    remarks.extend(provision::remarks(plan));
    remarks
}

/// Whether two arms differ in nothing but their names.
fn alike(one: &Arm, other: &Arm) -> bool {
    one.kernel == other.kernel && one.cmdline == other.cmdline && one.machine == other.machine
}
