//! Ways of receiving beside each other, with the slides' ratios.

use measure::{Dims, Provenance, Sample, TrialEnd, Void, metric};
use plan::{Cell, Dimension, Scope, Workload};
use report::Outcome;

use crate::lab::Lab;

const MODES: [&str; 2] = ["plain", "devmem"];
const GRO: [&str; 2] = ["false", "true"];

fn dims(values: &[(&str, &str)]) -> Dims {
    values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn place(mode: &str, gro: &str) -> Dims {
    dims(&[("receive", mode), ("hardware-gro", gro), ("cores", "two")])
}

/// One arm, two modes over two kinds of GRO; devmem over hardware GRO is void in both boots.
fn battle(void: bool) -> report::Model {
    let mut lab = Lab::new(&[]);
    let dimension = |name: &str, values: &[&str]| Dimension {
        name: name.into(),
        values: values.iter().map(|value| (*value).into()).collect(),
        numbers: None,
        scope: Scope::Workload("rx".into()),
    };
    lab.plan.dimensions =
        vec![dimension("receive", &MODES), dimension("hardware-gro", &GRO), dimension("cores", &["two"])];
    let kind = lab.plan.workloads[0].kind.clone();
    lab.plan.workloads = MODES
        .iter()
        .flat_map(|mode| GRO.map(|gro| (*mode, gro)))
        .map(|(mode, gro)| Workload {
            name: format!("rx@receive={mode},hardware-gro={gro}"),
            cell: Some(Cell { of: "rx".into(), dims: place(mode, gro) }),
            kind: kind.clone(),
        })
        .collect();
    lab.plan.gates.clear();
    for block in 0..2 {
        let mut samples = Vec::new();
        for (mode, gro, value) in [
            ("plain", "false", 1e9),
            ("plain", "true", 2e9),
            ("devmem", "false", 2e9),
            ("devmem", "true", 3e9),
        ] {
            if void && (mode, gro) == ("devmem", "true") {
                continue;
            }
            let mut all = place(mode, gro);
            all.extend(dims(&[("workload", "rx"), ("direction", "client-to-server")]));
            samples.extend(Sample::new(&metric::THROUGHPUT, value, all, Provenance::Bench));
        }
        lab.push("baseline", block, TrialEnd::Measured { samples });
    }
    if void {
        for trial in &mut lab.trials {
            let workload = "rx@receive=devmem,hardware-gro=true".to_owned();
            trial.voids.push(Void { workload, reason: "hardware GRO made no packet".into() });
        }
    }
    lab.model()
}

#[test]
fn the_slides_ratios_stand_beside_ours_as_another_machines() {
    let page = report::html(&battle(false));
    assert!(page.contains("id=\"streams\"") && page.contains("devmem, HW GRO"));
    // 3 over 2 Gbit/s beside 111.95 over 118.47.
    let row = page.split("<tr>").find(|row| row.contains("0.945")).expect("the slides' own ratio");
    assert!(row.contains("1.500"), "{row}");
    assert!(page.contains("another machine's") && page.contains("not in this run"));
}

#[test]
fn a_void_cell_has_a_place_and_no_bar() {
    let model = battle(true);
    assert_eq!(report::overall(&model), Outcome::Unclear);
    let page = report::html(&model);
    let chart = page.split("id=\"streams\"").nth(1).and_then(|rest| rest.split("</section>").next()).unwrap();
    assert!(chart.contains(">void<"), "{chart}");
    assert_eq!(chart.matches("<rect").count(), 3);
}
