//! The kernel's own tests for the arms of a plan: built once for each tree that they come from.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Context;
use kernel::Kernels;
use measure::BuildEnd;
use plan::{Arm, KernelSpec, Ktap, Machine, Plan, TestsFrom, WorkloadKind};

use crate::{
    builds::{describe, of_kernel, show},
    failure::Failure,
    progress::Progress,
};

/// The folders with installed tests that each arm's guests get, one for each workload that runs tests, in the order of the
/// plan. An arm whose series keeps its tests from being built ends as one that does not build.
pub(crate) fn obtain(
    kernels: &Kernels,
    plan: &Plan,
    builds: &mut BTreeMap<String, BuildEnd>,
    logs: &Path,
    progress: &mut Progress,
) -> Result<BTreeMap<String, Vec<PathBuf>>, Failure> {
    let suites: Vec<&Ktap> = plan
        .workloads
        .iter()
        .filter_map(|workload| match &workload.kind {
            WorkloadKind::Ktap(ktap) => Some(ktap),
            WorkloadKind::Iperf3(_)
            | WorkloadKind::Sockperf(_)
            | WorkloadKind::Command(_)
            | WorkloadKind::Stream(_)
            | WorkloadKind::Imported(_) => None,
        })
        .collect();
    let mut folders = BTreeMap::new();
    if suites.is_empty() {
        return Ok(folders);
    }
    std::fs::create_dir_all(logs).with_context(|| format!("creating {}", logs.display()))?;
    // A fake machine has its own idea of what tests say.
    for arm in plan.arms.iter().filter(|arm| !matches!(arm.machine, Machine::Fake(_))) {
        if !matches!(builds.get(&arm.name), Some(BuildEnd::Built(_))) {
            continue;
        }
        let mut of_arm = Vec::new();
        for suite in &suites {
            let made = kernels
                .selftests(&source(arm, suite.from), &suite.built_collections(), logs, &mut show(progress))
                .map_err(of_kernel)?;
            match made {
                Ok(tests) => of_arm.push(tests.folder),
                Err(end) => {
                    progress.line(format!("{}: its selftests: {}", arm.name, describe(&end)));
                    builds.insert(arm.name.clone(), end);
                    break;
                }
            }
        }
        if of_arm.len() == suites.len() {
            folders.insert(arm.name.clone(), of_arm);
        }
    }
    Ok(folders)
}

/// What the tests are built from.
fn source(arm: &Arm, from: TestsFrom) -> KernelSpec {
    match from {
        TestsFrom::Arm => arm.kernel.clone(),
        TestsFrom::Base => KernelSpec { series: Vec::new(), ..arm.kernel.clone() },
    }
}
