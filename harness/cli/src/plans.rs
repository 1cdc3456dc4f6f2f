//! `assay plan`: what a scenario would do.

use anyhow::Context;
use plan::Plan;
use runner::schedule;
use scenario::{KernelWork, Known};

use crate::{builds::of_kernel, failure::Failure, lab::Lab, progress::rough};

/// Prints the plan with every default decided, then the boots in order, and what it will all cost.
pub(crate) fn print(lab: &Lab, plan: &Plan, json: bool) -> Result<(), Failure> {
    if json {
        println!("{}", serde_json::to_string_pretty(plan).context("writing the plan as JSON")?);
        return Ok(());
    }
    print!("{}", scenario::to_yaml(plan)?);
    println!("\n# Boots in order, block by block:");
    let trials = schedule(plan);
    for block in trials.chunk_by(|a, b| a.block == b.block) {
        let arms: Vec<&str> = block.iter().map(|trial| trial.arm.as_str()).collect();
        let kind = if block[0].traced { ", traced" } else { "" };
        println!("#   block {:>2}{kind}: {}", block[0].block + 1, arms.join(", "));
    }
    let kernels = lab.kernels()?;
    let mut known = Known::default();
    for kernel in scenario::distinct_kernels(plan) {
        known.kernels.push(match kernels.lookup(kernel).map_err(of_kernel)? {
            Some(_) => KernelWork::Cached,
            None => KernelWork::Unknown,
        });
    }
    let estimate = scenario::estimate(plan, &known);
    println!(
        "\n# About {} and {:.1} GB:",
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
    for remark in scenario::remarks(plan) {
        println!("# {remark}");
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "printed with two digits")]
pub(crate) fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}
