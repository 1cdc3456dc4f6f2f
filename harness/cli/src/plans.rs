//! `assay plan`: what a scenario would do.

use std::time::Duration;

use anyhow::Context;
use plan::{Dimension, Plan, Scope};
use runner::schedule;
use scenario::{Estimate, KernelWork, Known};

use crate::{
    budget,
    builds::of_kernel,
    failure::Failure,
    lab::{Lab, host_facts},
    progress::rough,
    timed::Sessions,
};

/// Prints the plan with every default decided, then the boots in order, and what it will all cost.
pub(crate) fn print(lab: &Lab, plan: &Plan, budget: Option<Duration>, json: bool) -> Result<(), Failure> {
    if json {
        println!("{}", serde_json::to_string_pretty(plan).context("writing the plan as JSON")?);
        return Ok(());
    }
    print!("{}", scenario::to_yaml(plan)?);
    for line in matrix(plan) {
        println!("{line}");
    }
    println!("\n# Boots in order, block by block:");
    let trials = schedule(plan);
    for block in trials.chunk_by(|a, b| a.block == b.block) {
        let arms: Vec<&str> = block.iter().map(|trial| trial.arm.as_str()).collect();
        let kind = if block[0].traced { ", traced" } else { "" };
        let replicate = runner::perturbation(plan, block[0].block);
        let replicate = replicate.map_or_else(String::new, |replicate| format!(" ({replicate})"));
        println!("#   block {:>2}{kind}: {}{replicate}", block[0].block + 1, arms.join(", "));
    }
    if let Some(expected) = report::expected_blocks(plan) {
        println!("\n# {expected}");
    }
    for line in calibrated(lab, plan)? {
        println!("# {line}");
    }
    let estimate = estimate(lab, plan)?;
    let at_most = if plan.design.stop.is_at_the_end() { "About" } else { "At most about" };
    println!(
        "\n# {at_most} {} and {:.1} GB:",
        rough(std::time::Duration::from_secs_f64(estimate.seconds)),
        gigabytes(estimate.bytes)
    );
    for step in &estimate.steps {
        println!(
            "#   {:>8}  {:>6.2} GB  {}",
            rough(std::time::Duration::from_secs_f64(step.seconds)),
            gigabytes(step.bytes),
            step.what
        );
    }
    if let Some(budget) = budget {
        println!("# {}", against(plan, &estimate, budget));
    }
    for remark in scenario::remarks(plan) {
        println!("# {remark}");
    }
    Ok(())
}

/// What its boots can show on this machine, if identical arms were booted here.
fn calibrated(lab: &Lab, plan: &Plan) -> Result<Vec<String>, Failure> {
    let Some(noise) = Sessions::of(lab).find(plan, &host_facts()?, None)? else { return Ok(vec![]) };
    Ok(report::plan_lines(&noise, plan))
}

/// How long a plan takes, given what is in the cache.
pub(crate) fn estimate(lab: &Lab, plan: &Plan) -> Result<Estimate, Failure> {
    let kernels = lab.kernels()?;
    let mut known = Known::default();
    for kernel in scenario::distinct_kernels(plan) {
        known.kernels.push(match kernels.lookup(kernel).map_err(of_kernel)? {
            Some(_) => KernelWork::Cached,
            None => KernelWork::Unknown,
        });
    }
    Ok(scenario::estimate(plan, &known))
}

/// What a budget has time for, in a line.
pub(crate) fn against(plan: &Plan, estimate: &Estimate, budget: Duration) -> String {
    let boots = scenario::trial_seconds(plan, &Known::default()) * schedule(plan).len() as f64;
    let builds = Duration::from_secs_f64((estimate.seconds - boots).max(0.0));
    let fit = budget::fitting(plan, &[], budget.saturating_sub(builds));
    let what = budget::describe(plan, &fit).unwrap_or_else(|| "there is time for everything".to_owned());
    let after =
        if builds.is_zero() { String::new() } else { format!("after about {} of builds ", rough(builds)) };
    format!("A budget of {}: {after}{what}.", rough(budget))
}

/// What the scenario's lists multiply out to; nothing if it has none.
fn matrix(plan: &Plan) -> Vec<String> {
    if plan.dimensions.is_empty() {
        return Vec::new();
    }
    let multiplies = |scope: &Scope| match scope {
        Scope::Arms => "boots".to_owned(),
        Scope::Workload(of) => format!("runs of {of} within each boot"),
    };
    let widest = |length: fn(&Dimension) -> usize| plan.dimensions.iter().map(length).max().unwrap_or(0);
    let name = widest(|dimension| dimension.name.chars().count());
    let values = widest(|dimension| dimension.values.join(", ").chars().count());
    let mut lines = vec![String::new(), "# Matrix:".to_owned()];
    for dimension in &plan.dimensions {
        let (listed, what) = (dimension.values.join(", "), multiplies(&dimension.scope));
        let count = dimension.values.len();
        lines.push(format!("#   {:name$}  {listed:values$}  {count} x {what}", dimension.name));
    }
    let (arms, sides) = (plan.arms.len(), plan.sides());
    let places = arms / sides.len().max(1);
    lines.push(format!(
        "#   {} at {} are {}; each boot runs {}",
        counted(sides.len(), "arm"),
        counted(places, "place"),
        counted(arms, "boot") + " a block",
        counted(plan.workloads.len(), "workload"),
    ));
    let comparisons: usize = plan.gates.iter().map(|gate| plan.comparisons(gate).count()).sum();
    lines.push(format!(
        "#   {} judged in {}",
        if plan.gates.len() == 1 {
            "1 gate is".to_owned()
        } else {
            format!("{} gates are", plan.gates.len())
        },
        counted(comparisons, "comparison"),
    ));
    lines
}

/// `1 boot`, `2 boots`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[expect(clippy::cast_precision_loss, reason = "printed with two digits")]
pub(crate) fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use scenario::{Overrides, Project};

    use super::*;

    fn plan(name: &str) -> Plan {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let scenario = root.join("scenarios").join(name);
        scenario::load(&scenario, &Project::at(root), &Overrides::default())
            .unwrap_or_else(|problems| panic!("{problems}"))
    }

    #[test]
    fn a_matrix_is_counted() {
        let expected = [
            "",
            "# Matrix:",
            "#   vcpus  1, 2  2 x boots",
            "#   flows  1, 4  2 x runs of tcp within each boot",
            "#   2 arms at 2 places are 4 boots a block; each boot runs 2 workloads",
            "#   1 gate is judged in 4 comparisons",
        ];
        assert_eq!(matrix(&plan("flows.yaml")), expected);
        assert!(matrix(&plan("null.yaml")).is_empty());
    }
}
