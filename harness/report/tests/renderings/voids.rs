//! Cells whose path was not taken, in every form of the report, and what becomes of the run.

use report::Outcome;

use crate::{baseline, check, lab};

const WHY: &str = "receive: devmem: 0 of 1048576 bytes went without a copy";

#[test]
fn a_candidate_that_leaves_the_path_of_its_baseline_fails() {
    let model =
        baseline(&["leaves"]).boots("leaves", 0.001, -0.002, 1.0).void("leaves", 0..8, "rr", WHY).model();
    check("void", &model, Outcome::Fails);
    let page = report::html(&model);
    assert!(page.contains("id=\"void\"") && page.contains(WHY), "the page has it, too");
    let document: report::Document<'_> = serde_json::from_str(&report::json(&model).unwrap()).unwrap();
    assert_eq!((document.model.voids.len(), document.model.voids[0].boots), (1, 8));
    let gates = model.gates.iter().filter(|gate| gate.series.workload.as_deref() == Some("rr"));
    assert!(gates.clone().count() > 0 && gates.into_iter().all(|gate| gate.candidate.is_none()));
}

#[test]
fn what_is_void_everywhere_was_not_answered() {
    let lab: lab::Lab = baseline(&["same"]).boots("same", 0.001, -0.002, 1.0).without_gates();
    // Counts that differ from boot to boot are one reason.
    let other = "receive: devmem: 4096 of 2097152 bytes went without a copy";
    let model =
        lab.void("baseline", 0..8, "rr", WHY).void("same", 0..2, "rr", WHY).void("same", 2..3, "rr", other);
    let conclusion = report::conclude(&model.model());
    assert_eq!(conclusion.outcome, Outcome::Unclear, "{conclusion:?}");
    let reason = "same: rr: void in 3 of 8 boots: receive: devmem: 0 of 1048576 bytes went without a copy";
    assert!(conclusion.reasons.iter().any(|said| said == reason), "{conclusion:?}");
}
