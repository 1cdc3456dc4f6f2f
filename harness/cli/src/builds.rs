//! Kernels of a plan: each distinct one is built once.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;
use kernel::{Fault, KernelError, Kernels};
use measure::BuildEnd;
use plan::{KernelSpec, Plan};

use crate::{
    failure::Failure,
    progress::{Progress, rough},
};

/// How each arm's kernel was come by, by arm. Arms with the same kernel share a build. As long as `kernels` lives, no
/// other process' collection takes them away.
pub(crate) fn build_arms(
    kernels: &Kernels,
    plan: &Plan,
    logs: &Path,
    progress: &mut Progress,
) -> Result<BTreeMap<String, BuildEnd>, Failure> {
    let mut done: Vec<(&KernelSpec, BuildEnd)> = Vec::new();
    let mut builds = BTreeMap::new();
    for arm in &plan.arms {
        let known = done.iter().find(|(spec, _)| **spec == arm.kernel).map(|(_, build)| build.clone());
        let build = match known {
            Some(build) => build,
            None => {
                let build = obtain(kernels, &arm.kernel, logs, progress)?;
                done.push((&arm.kernel, build.clone()));
                build
            }
        };
        if !matches!(build, BuildEnd::Built(_)) {
            progress.line(format!("{}: {}", arm.name, describe(&build)));
        }
        builds.insert(arm.name.clone(), build);
    }
    Ok(builds)
}

/// A kernel from the cache, or built now with its log in `logs`.
pub(crate) fn obtain(
    kernels: &Kernels,
    spec: &KernelSpec,
    logs: &Path,
    progress: &mut Progress,
) -> Result<BuildEnd, Failure> {
    if let Some(image) = kernels.lookup(spec).map_err(of_kernel)? {
        return Ok(BuildEnd::Built(image));
    }
    std::fs::create_dir_all(logs).with_context(|| format!("creating {}", logs.display()))?;
    let build = kernels.obtain(spec, logs, &mut show(progress)).map_err(of_kernel)?;
    if let BuildEnd::Built(image) = &build {
        progress.line(format!("built {} in {:.0} s", image.release, image.build_seconds));
    }
    Ok(build)
}

/// Shows the events of a build.
pub(crate) fn show(progress: &mut Progress) -> impl FnMut(kernel::Progress) {
    let mut stage = String::new();
    let mut total = None;
    let mut began = Instant::now();
    move |event| match event {
        kernel::Progress::Stage { what, total_hint } => {
            progress.status(&what, "");
            stage = what;
            total = total_hint;
            began = Instant::now();
        }
        kernel::Progress::Advance { done } => progress.status(&stage, &how_far(done, total, began.elapsed())),
        kernel::Progress::Note { message } => progress.line(message),
    }
}

/// How far a stage is, for how long it has gone on, and what is left at its mean pace.
fn how_far(done: u64, total: Option<u64>, elapsed: Duration) -> String {
    let so_far = rough(elapsed);
    match total {
        // The total is a guess: from the last build, or from another machine's.
        Some(total) if done > 0 && done < total => {
            let left = elapsed.mul_f64(exact(total - done) / exact(done));
            format!("{done} of about {total} steps in {so_far}, about {} left", rough(left))
        }
        Some(_) | None => format!("{done} steps in {so_far}"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a build has thousands of steps")]
fn exact(steps: u64) -> f64 {
    steps as f64
}

/// Whose failure it is.
pub(crate) fn of_kernel(error: KernelError) -> Failure {
    match error.fault() {
        Fault::User => Failure::user(format!("assay: {:#}", anyhow::Error::from(error))),
        Fault::Infrastructure => error.into(),
    }
}

/// A failed build in a line or a few.
pub(crate) fn describe(build: &BuildEnd) -> String {
    match build {
        BuildEnd::Built(image) => format!("built {}", image.release),
        BuildEnd::DoesNotApply(failure) => format!("does not apply: {}: {}", failure.patch, failure.message),
        BuildEnd::DoesNotCompile { errors, log } => {
            format!("does not compile; the whole log is in {}\n{errors}", log.display())
        }
        BuildEnd::ConfigLost { problems } => format!("configuration lost:\n{}", problems.join("\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_from_the_pace_so_far() {
        let minute = Duration::from_secs(60);
        assert_eq!(how_far(500, Some(2500), minute), "500 of about 2500 steps in 60 s, about 4 min left");
        assert_eq!(how_far(2600, Some(2500), 10 * minute), "2600 steps in 10 min");
        assert_eq!(how_far(0, Some(2500), minute), "0 steps in 60 s");
        assert_eq!(how_far(7, None, minute), "7 steps in 60 s");
    }
}
