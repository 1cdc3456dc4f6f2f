//! Remarks are drawn from what was recorded.

use report::remarks;

use crate::{
    baseline,
    lab::{self, Lab},
};

fn has(lab: Lab, words: &str) -> bool {
    let remarks = remarks(&lab.model());
    remarks.iter().any(|remark| remark.contains(words))
}

fn pair() -> Lab {
    baseline(&["hooks"]).boots("hooks", 0.0, 0.0, 1.0)
}

#[test]
fn emulation_is_said_and_hardware_is_not() {
    assert!(has(pair(), "say nothing about hardware"));
    let mut lab = pair();
    lab.trials
        .iter_mut()
        .flat_map(|trial| trial.facts.values_mut())
        .for_each(|facts| facts.accel = "kvm".into());
    assert!(!has(lab, "say nothing about hardware"));
}

#[test]
fn different_accelerators_are_said() {
    let mut lab = pair();
    let of_hooks = lab.trials.iter_mut().filter(|trial| trial.arm == "hooks");
    of_hooks.flat_map(|trial| trial.facts.values_mut()).for_each(|facts| facts.accel = "kvm".into());
    assert!(has(lab, "different accelerators (kvm, tcg)"));
    assert!(!has(pair(), "different accelerators"));
}

#[test]
fn an_iommu_mode_that_the_guest_did_not_take_is_said() {
    let mut lab = pair();
    for facts in lab.trials.iter_mut().filter_map(|trial| trial.facts.get_mut("server")) {
        facts.iommu.insert("eth0".into(), "DMA-FQ".into());
    }
    assert!(has(
        lab,
        "hooks: the IOMMU mode asked for the server gives domains of type DMA, but it has: eth0 DMA-FQ."
    ));
    assert!(!has(pair(), "IOMMU mode asked for"));
}

#[test]
fn noise_above_the_margin_is_said() {
    let noisy = Lab::new(&["hooks"]).boots("baseline", 0.0, 0.0, 9.0).boots("hooks", 0.0, 0.0, 9.0);
    assert!(has(noisy, "varies by 4.5 % from boot to boot, more than its margin of 2 %"));
    assert!(!has(pair(), "Noisy"));
}

#[test]
fn a_baseline_that_fails_at_times_is_said() {
    let mut lab = pair();
    lab.trials
        .iter_mut()
        .filter(|trial| trial.arm == "baseline")
        .take(2)
        .for_each(|trial| trial.end = lab::panic());
    assert!(has(lab, "The baseline itself failed in 2 of 8 boots."));
}

#[test]
fn arms_that_boot_one_image_differently_are_no_identical_arms() {
    let twins = || baseline(&["twin"]).boots("twin", 0.0, 0.0, 1.0);
    assert!(has(twins(), "A/A: baseline and twin boot the same image"));
    let mut lab = twins();
    lab.plan.arms[1].cmdline.push("mitigations=off".into());
    assert!(!has(lab, "A/A"));
}
