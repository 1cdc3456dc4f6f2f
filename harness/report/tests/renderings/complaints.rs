//! What kernels complained about, in reports.

use measure::{Complaint, ComplaintKind, Frame, SourceLine};
use report::Outcome;

use crate::{baseline, check, lab};

fn warning() -> Complaint {
    let line =
        |function: &str, file: &str, line| SourceLine { function: function.into(), file: file.into(), line };
    let frame = |function: &str, lines| Frame {
        function: function.into(),
        offset: 0x1c,
        size: 0x80,
        module: None,
        certain: true,
        lines,
    };
    Complaint {
        kind: ComplaintKind::Warning,
        guest: "server".into(),
        title: "WARNING in page_pool_put_netmem: negative inflight".into(),
        words: "WARNING: CPU: 0 PID: 12 at net/core/page_pool.c:612 page_pool_put_netmem+0x1c/0x80".into(),
        fingerprint: "0123456789ab".into(),
        frames: vec![
            frame(
                "page_pool_put_netmem",
                vec![
                    line("page_pool_inflight", "net/core/page_pool.c", 612),
                    line("page_pool_put_netmem", "net/core/page_pool.c", 850),
                ],
            ),
            Frame { certain: false, ..frame("guessed", vec![]) },
            frame("napi_poll", vec![]),
        ],
        undecoded: None,
        excerpt: "negative inflight\nWARNING: CPU: 0 PID: 12 at net/core/page_pool.c:612".into(),
        fatal: false,
        times: 3,
    }
}

#[test]
fn a_warning_that_only_the_candidate_has_fails_the_run() {
    let model = baseline(&["leaky"])
        .boots("leaky", 0.001, -0.002, 1.0)
        .complaining("leaky", 1..3, &warning())
        .model();
    check("complaint", &model, Outcome::Fails);
}

#[test]
fn a_warning_that_the_baseline_has_as_well_is_no_failure_of_the_candidate() {
    let model = baseline(&["leaky"])
        .boots("leaky", 0.001, -0.002, 1.0)
        .complaining("baseline", 0..1, &warning())
        .complaining("leaky", 1..3, &warning())
        .model();
    let reasons = report::conclude(&model);
    assert_eq!(reasons.outcome, Outcome::Holds, "{reasons:?}");
}

#[test]
fn a_warning_that_is_known_decides_nothing_and_is_not_forgotten() {
    let mut lab =
        baseline(&["leaky"]).boots("leaky", 0.001, -0.002, 1.0).complaining("leaky", 1..3, &warning());
    lab.plan.known_complaints = vec!["WARNING in page_pool_*".into()];
    let model = lab.model();
    assert_eq!(report::overall(&model), Outcome::Holds);
    let remarks = report::remarks(&model);
    let known =
        "Known, and not judged: leaky, 2 of 8 boots: WARNING in page_pool_put_netmem: negative inflight.";
    assert!(remarks.iter().any(|remark| remark == known), "{remarks:?}");
}

#[test]
fn under_debug_kernels_complaints_decide_and_nothing_timed_is_compared() {
    let debug = |lab: crate::lab::Lab| {
        let mut lab = lab;
        for arm in &mut lab.plan.arms {
            arm.kernel.base.flavour = plan::Flavour::Debug;
        }
        lab.model()
    };
    // Half as fast, and no word about it.
    let quiet = debug(baseline(&["slow"]).boots("slow", -0.5, 0.001, 1.0));
    let conclusion = report::conclude(&quiet);
    assert_eq!(conclusion.outcome, Outcome::Holds, "{conclusion:?}");
    assert_eq!(conclusion.reasons, ["no kernel complains of anything that the baseline's does not"]);
    assert!(quiet.gates.is_empty() && !quiet.plan.set_aside.is_empty());
    assert!(quiet.explored.iter().flat_map(|row| &row.candidates).all(|one| one.exploration.is_none()));
    let loud =
        debug(baseline(&["leaky"]).boots("leaky", 0.001, -0.002, 1.0).complaining("leaky", 1..3, &warning()));
    check("debug-flavour", &loud, Outcome::Fails);
}

#[test]
fn a_crash_with_a_stack_shows_its_lines_of_source() {
    let panic = Complaint {
        kind: ComplaintKind::Oops,
        title: "NULL pointer dereference in page_pool_put_netmem".into(),
        fatal: true,
        ..warning()
    };
    let model = baseline(&["broken"])
        .ended("broken", 0..2, &lab::panic())
        .complaining("broken", 0..2, &panic)
        .model();
    check("crash-with-lines", &model, Outcome::Fails);
}
