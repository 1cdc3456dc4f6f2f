//! Reports of runs whose scenario lists several values.

use measure::{Dims, Provenance, Sample, TrialEnd, metric};
use plan::{Cell, Dimension, Scope, Workload};
use report::{Model, Outcome, markdown, overall, terminal};

use crate::{PLAIN, check, lab::Lab};

const FLOWS: [&str; 3] = ["1", "4", "16"];
const VCPUS: [&str; 2] = ["1", "2"];

fn dims(values: &[(&str, &str)]) -> Dims {
    values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn dimension(name: &str, values: &[&str], scope: Scope) -> Dimension {
    let numbers = values.iter().map(|value| value.parse().ok()).collect();
    Dimension {
        name: name.into(),
        values: values.iter().map(|value| (*value).into()).collect(),
        numbers,
        scope,
    }
}

/// Two sides at two numbers of vCPUs, three of flows. The candidate is slower by a twentieth where four flows meet two vCPUs.
fn matrix(sides: &[&str]) -> Lab {
    let [_, candidates @ ..] = sides else { panic!("a baseline at least") };
    let mut lab = Lab::new(candidates);
    lab.plan.dimensions = vec![
        dimension("vcpus", &VCPUS, Scope::Arms),
        dimension("flows", &FLOWS, Scope::Workload("tcp".into())),
    ];
    let [tcp, rr] = lab.plan.workloads.as_slice() else { panic!("two workloads") };
    let rr = rr.clone();
    let flows = |flows: &&str| Workload {
        name: format!("tcp@flows={flows}"),
        cell: Some(Cell { of: "tcp".into(), dims: dims(&[("flows", flows)]) }),
        kind: tcp.kind.clone(),
    };
    lab.plan.workloads = FLOWS.iter().map(flows).chain([rr]).collect();
    let place = |(arm, vcpus): (&plan::Arm, &str)| plan::Arm {
        name: format!("{}@vcpus={vcpus}", arm.name),
        cell: Some(Cell { of: arm.name.clone(), dims: dims(&[("vcpus", vcpus)]) }),
        ..arm.clone()
    };
    let arms = std::mem::take(&mut lab.plan.arms);
    lab.plan.arms = arms.iter().flat_map(|arm| VCPUS.map(|vcpus| place((arm, vcpus)))).collect();
    let builds = std::mem::take(&mut lab.builds);
    for (side, build) in builds {
        for vcpus in VCPUS {
            lab.builds.insert(format!("{side}@vcpus={vcpus}"), build.clone());
        }
    }
    // Gates at eight places need eight boots; without latency there are six.
    lab.plan.gates.truncate(1);
    lab
}

fn boots(mut lab: Lab, side: &str) -> Lab {
    for vcpus in VCPUS {
        for block in 0..lab.plan.design.boots {
            let mut samples = Vec::new();
            for (flows, speed) in FLOWS.iter().zip([1.0, 2.5, 3.0]) {
                let slow = side == "slow" && vcpus == "2" && *flows == "4";
                let stray = 0.002 * f64::from((block * 5 + u32::from(side == "slow") * 3) % 8) - 0.007;
                let value = 500e6 * speed * (1.0 + stray) * if slow { 0.95 } else { 1.0 };
                let place = [("workload", "tcp"), ("flows", *flows), ("vcpus", vcpus)];
                let mut add = |metric, value, provenance, own: &[(&str, &str)]| {
                    let dims = dims(&[&place[..], own].concat());
                    samples.extend(Sample::new(metric, value, dims, provenance));
                };
                let direction = [("direction", "client-to-server")];
                add(&metric::THROUGHPUT, value, Provenance::Iperf3, &direction);
                let busy = [("side", "server"), ("core", "all")];
                add(&metric::CPU_BUSY, 60.0 * (1.0 - stray), Provenance::Procfs, &busy);
            }
            lab.push(&format!("{side}@vcpus={vcpus}"), block, TrialEnd::Measured { samples });
        }
    }
    lab
}

pub(crate) fn worse_at_one_place() -> Model {
    boots(boots(matrix(&["baseline", "slow"]), "baseline"), "slow").model()
}

#[test]
fn a_candidate_that_is_worse_at_one_place() {
    let model = worse_at_one_place();
    check("matrix", &model, Outcome::Fails);
    let verdicts: Vec<_> = model.gates.iter().map(|gate| gate.judgement.verdict.to_string()).collect();
    assert_eq!(verdicts, ["same", "same", "same", "same", "worse", "same"]);
    assert!(model.gates.iter().all(|gate| gate.arm == "slow" && gate.series.at.len() == 2));

    let curves: Vec<_> = model.curves.iter().filter(|curve| curve.gated).collect();
    let along = |name: &str| curves.iter().filter(|curve| curve.dimension == name).count();
    assert_eq!((along("flows"), along("vcpus")), (2, 3), "one for each value of the other dimension");
    let flows = curves.iter().find(|curve| curve.dimension == "flows").unwrap();
    let numbers: Vec<_> = flows.sides[1].points.iter().map(|point| point.number).collect();
    assert_eq!(numbers, [Some(1.0), Some(4.0), Some(16.0)]);
    assert!(flows.sides.iter().flat_map(|side| &side.points).all(|point| {
        let interval = point.interval.unwrap();
        point.by_boot.len() == 8 && interval.low < interval.high
    }));
}

#[test]
fn a_matrix_without_a_comparison_shows_its_curves() {
    let mut lab = matrix(&["baseline"]);
    lab.plan.gates.clear();
    check("matrix-alone", &boots(lab, "baseline").model(), Outcome::Holds);
}

#[test]
fn a_place_without_a_baseline_takes_no_other_with_it() {
    let mut lab = boots(boots(matrix(&["baseline", "slow"]), "baseline"), "slow");
    for trial in lab.trials.iter_mut().filter(|trial| trial.arm == "baseline@vcpus=1") {
        trial.end = crate::lab::panic();
    }
    let model = lab.model();
    assert_eq!(overall(&model), Outcome::Fails);
    let text = terminal(&model, PLAIN);
    for words in ["baseline@vcpus=1", "nothing can be compared there", "worse at flows 4, vcpus 2"] {
        assert!(text.contains(words), "{words} in {text}");
    }
    assert!(!text.contains("slow@vcpus=1: "), "{text}");
    assert!(markdown(&model).contains("| slow"));
}
