//! `assay calibrate --exact`: what patches that change no work do to the counts of a scenario.

use std::{path::Path, process::ExitCode};

use anyhow::{Context, anyhow};
use measure::BuildEnd;
use null_patches::null_patches;
use plan::{Arm, Evidence, Plan};
use report::Calibration;
use serde_json::json;
use store::Stored;

use super::calibrated::Calibrations;
use crate::{
    arguments::{self, Places, Question},
    builds::{obtain, of_kernel},
    failure::Failure,
    lab::Lab,
    places::Runtime,
    progress::Progress,
    reports,
    run::{Images, Order, carry_out, planned},
    series::{of_series, waiting},
};

/// What the names of runs of null patches begin with.
const PREFIX: &str = "calibrate-";

pub(crate) fn calibrate(places: &Places, flags: &arguments::Calibrate) -> Result<ExitCode, Failure> {
    let mut progress = Progress::new();
    let lab = Lab::open(places)?;
    let stored = match &flags.from {
        Some(run) => store::read(&places.run_folder(run)?).map_err(reports::user)?,
        None => measured(places, &lab, flags, &mut progress)?,
    };
    progress.clear();
    let model = reports::model(&stored)?;
    reports::keep(&stored, &model)?;
    if !stored.file.plan.name.starts_with(PREFIX) {
        return Err(Failure::user(format!("assay: --from: {} is no run of null patches", stored.file.run)));
    }
    let calibration = Calibration::of_run(&model, &stored.file.plan).context("calibrating")?;
    let calibration = calibration.filter(|calibration| !calibration.metrics.is_empty());
    let calibration = calibration
        .ok_or_else(|| anyhow!("no null patch was measured: see the report of {}", stored.file.run))?;
    let path = Calibrations::of(&lab).add(&calibration)?;
    if flags.json {
        println!("{:#}", json!({ "calibration": calibration, "file": path }));
    } else {
        print!("{}", told(&calibration));
        if !crate::terminal::quiet() {
            eprintln!("\n{}", reports::address(&stored.folder)?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds and boots the null patches of a scenario's baseline.
fn measured(
    places: &Places,
    lab: &Lab,
    flags: &arguments::Calibrate,
    progress: &mut Progress,
) -> Result<Stored, Failure> {
    let named = flags.scenario.as_ref().context("a calibration is of a scenario")?;
    let question = Question { scenario: Some(named.clone()), ..Question::default() };
    let (mut plan, _, scenario) = planned(places, &question, lab, progress)?;
    if plan.evidence() == Evidence::Timed {
        let what = format!(
            "assay: the evidence of {} is timed: only exact counts are calibrated by null patches",
            plan.name
        );
        return Err(Failure::user(what));
    }
    let patched = patched(lab, &mut plan, flags.patches, progress)?;
    progress.line(format!(
        "{patched} null patches and the baseline, {} boots of each; what is built stays in the cache",
        plan.design.boots
    ));
    let order = Order {
        command: format!("assay calibrate --exact --patches {} {}", flags.patches, named.display()),
        plan,
        scenario: Some(scenario),
        images: Images::Built,
        replay: None,
        limit: None,
        calibration: None,
    };
    carry_out(places, lab, order, progress)
}

/// Gives the plan the baseline and null patches of its tree for arms. How many there are.
fn patched(lab: &Lab, plan: &mut Plan, count: usize, progress: &mut Progress) -> Result<usize, Failure> {
    let baseline = plan.baseline().context("a plan has a baseline")?.clone();
    if !plan.dimensions.is_empty() {
        return Err(Failure::user(format!(
            "assay: {} lists several values: a calibration is of one kernel, machine and workload each",
            plan.name
        )));
    }
    let kernels = lab.kernels()?;
    let runtime = Runtime::create()?;
    let image = match obtain(&kernels, &baseline.kernel, &runtime.folder().join("builds"), progress)? {
        BuildEnd::Built(image) => image,
        failed => {
            return Err(Failure::user(format!("assay: the baseline: {}", crate::builds::describe(&failed))));
        }
    };
    let tree = kernels.unpacked_base(&baseline.kernel, &image).map_err(of_kernel)?;
    let tree =
        tree.context("the base's tree is no longer unpacked in the cache: assay kernel build makes it anew")?;
    let read = |path: &str| std::fs::read_to_string(tree.join(Path::new(path))).ok();
    let patches = null_patches(count, read);
    if patches.len() < count {
        progress.line(format!(
            "note: of {} only {} null patches can be made",
            baseline.kernel.base.name,
            patches.len()
        ));
    }
    plan.arms = vec![baseline.clone()];
    for (patch, number) in patches.iter().zip(1..) {
        let file = (format!("0001-{}.patch", patch.name), patch.text.clone().into_bytes());
        let cache = lab.series_cache();
        let series = series::shelve_files(&patch.name, &[file], &cache, &mut waiting(progress));
        let series = series.map_err(of_series)?;
        let mut arm = Arm { name: format!("null-{number:02}-{}", patch.kind.word()), ..baseline.clone() };
        arm.kernel.series.push(series);
        plan.arms.push(arm);
    }
    plan.name = format!("{PREFIX}{}", plan.name);
    plan.question = format!(
        "How far do patches that change no work move these counts? (null patches against the baseline of {})",
        plan.name
    );
    plan.gates.clear();
    plan.test_gates.clear();
    Ok(patches.len())
}

fn told(calibration: &Calibration) -> String {
    let patches = calibration.patches.len();
    let mut text =
        format!("No change in work, as {patches} null patches over {} blocks show it:\n", calibration.boots);
    for metric in &calibration.metrics {
        text.push_str(&format!(
            "  {}: moved by up to {:.3} %; with the margin that the others give, {} of {patches} would be worse and {} better\n",
            report::label(&metric.series),
            100.0 * metric.largest,
            metric.worse,
            metric.better,
        ));
        let mut changes: Vec<_> = metric.changes.iter().collect();
        changes.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
        for (arm, change) in changes {
            text.push_str(&format!("    {arm:<34} {:+9.4} %\n", 100.0 * change));
        }
    }
    text.push_str("Verdicts of the same kernel, machine and workload take no smaller margin from now on.\n");
    text
}
