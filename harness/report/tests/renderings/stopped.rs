//! Runs that stop when all is decided.

use plan::Stop;
use report::Outcome;

use crate::{baseline, check};

#[test]
fn a_run_that_stopped_says_after_how_many_blocks_of_how_many() {
    let mut lab = baseline(&["slow"]).boots("slow", -0.2, 0.3, 1.0);
    // Eight of ten blocks were made.
    lab.plan.design.boots = 10;
    lab.plan.design.stop = Stop::WhenDecided;
    lab.finished = false;
    let model = lab.model();
    assert!(model.run.finished && report::decided(&model));
    check("stopped", &model, Outcome::Fails);
    assert!(report::html(&model).contains("8 of at most 10 boots of each"));
}

#[test]
fn a_run_that_goes_on_is_not_finished() {
    let mut lab = baseline(&["noisy"]).boots("noisy", 0.02, 0.01, 20.0);
    lab.plan.design.boots = 20;
    lab.plan.design.stop = Stop::WhenDecided;
    lab.finished = false;
    let model = lab.model();
    assert!(!model.run.finished && model.run.stopped.is_none() && !report::decided(&model));
    let conclusion = report::conclude(&model);
    assert!(conclusion.reasons.iter().any(|reason| reason.contains("not finished")), "{conclusion:?}");
}

#[test]
fn a_run_that_made_all_its_boots_says_that_not_all_is_decided() {
    let mut lab = baseline(&["noisy"]).boots("noisy", 0.02, 0.01, 20.0);
    lab.plan.design.stop = Stop::WhenDecided;
    let model = lab.model();
    let stopped = model.run.stopped.expect("it is at its end");
    assert_eq!((stopped.blocks, stopped.most, stopped.decided), (8, 8, false));
    assert!(
        report::remarks(&model).iter().any(|remark| remark.starts_with("Not decided after all 8 blocks"))
    );
}

#[test]
fn boots_that_fall_into_two_groups_or_drift_are_told_with_what_usually_causes_it() {
    let mut lab = baseline(&["same"]).boots("same", 0.0, 0.0, 1.0);
    let throughput = |lab: &mut crate::lab::Lab, change: &dyn Fn(u32) -> f64| {
        for trial in lab.trials.iter_mut().filter(|trial| trial.arm == "same") {
            let block = trial.block;
            let samples = trial.end.samples_mut().expect("the boot was measured");
            let of_tcp = samples.iter_mut().filter(|sample| sample.metric == "throughput");
            of_tcp.for_each(|sample| sample.value *= change(block));
        }
    };
    throughput(&mut lab, &|block| if block % 3 == 0 { 0.8 } else { 1.0 });
    let remarks = report::remarks(&lab.model());
    assert!(
        remarks.iter().any(|r| r.contains("same: boots fall into two groups, 3 around 446")),
        "{remarks:#?}"
    );
    let mut lab = baseline(&["same"]).boots("same", 0.0, 0.0, 1.0);
    throughput(&mut lab, &|block| 1.0 - 0.03 * f64::from(block));
    let remarks = report::remarks(&lab.model());
    assert!(remarks.iter().any(|r| r.contains("same: the level drifts by -1")), "{remarks:#?}");
}
