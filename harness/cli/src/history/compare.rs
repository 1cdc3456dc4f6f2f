//! `assay compare`.

use std::process::ExitCode;

use report::{CompareError, Comparing, Filter, Model, Noise};
use store::Stored;

use super::screen;
use crate::{
    arguments::{self, CompareFormat, Places},
    failure::Failure,
    lab::Lab,
    reports,
    timed::Sessions,
};

pub(crate) fn compare(places: &Places, flags: &arguments::Compare) -> Result<ExitCode, Failure> {
    let read = |run| -> Result<(Stored, Model), Failure> {
        let stored = store::read(&places.run_folder(run)?).map_err(reports::user)?;
        let model = reports::model(&stored)?;
        Ok((stored, model))
    };
    let first = read(&flags.first)?;
    let second = read(flags.second.as_ref().unwrap_or(&flags.first))?;
    let (of_first, of_second) = arms(&first.1, &second.1, &flags.arm)?;
    let filter = Filter {
        workload: flags.workload.clone(),
        metric: flags.metric.clone(),
        dims: flags.dim.iter().cloned().collect(),
    };
    let noise = noise(places, &first.0, &second.0)?;
    let (of_first, of_second) = (side(&first, &of_first), side(&second, &of_second));
    let compared = report::compare(&of_first, &of_second, &filter, noise.as_ref());
    let compared = compared.map_err(|error| match error {
        CompareError::NoSuchArm { .. }
        | CompareError::Itself { .. }
        | CompareError::NotTimed { .. }
        | CompareError::Imported { .. }
        | CompareError::NothingLeft { .. } => Failure::user(format!("assay: {error}")),
        other => other.into(),
    })?;
    let format = if flags.json { CompareFormat::Json } else { flags.format };
    let text = match format {
        CompareFormat::Terminal => report::compare_text(&compared, screen()),
        CompareFormat::Markdown => report::compare_markdown(&compared),
        CompareFormat::Json => report::compare_json(&compared),
    };
    print!("{text}");
    Ok(ExitCode::from(compared.outcome.exit_code()))
}

/// What is known of identical arms of both runs' machine and workloads, on the host and under the QEMU that both had.
fn noise(places: &Places, first: &Stored, second: &Stored) -> Result<Option<Noise>, Failure> {
    let (one, other) = (&first.file, &second.file);
    let host = |file: &store::RunFile| (file.host.cpu.clone(), file.host.cpus, file.host.qemu.clone());
    let alike = host(one) == host(other)
        && one.plan.workloads == other.plan.workloads
        && one.plan.collectors == other.plan.collectors
        && one.plan.baseline().map(|arm| (&arm.machine, &arm.cmdline))
            == other.plan.baseline().map(|arm| (&arm.machine, &arm.cmdline));
    if one.run == other.run || one.plan.is_imported() || !alike {
        return Ok(None);
    }
    Sessions::of(&Lab::open(places)?).find(&one.plan, &one.host, Some(&one.host.qemu))
}

fn side<'a>((stored, model): &'a (Stored, Model), arm: &'a str) -> Comparing<'a> {
    let host = &stored.file.host;
    let short = |sha256: &str| sha256.get(..12).unwrap_or(sha256).to_owned();
    Comparing {
        model,
        plan: &stored.file.plan,
        trials: &stored.trials,
        samples: &stored.samples,
        arm,
        facts: vec![
            ("guest root (sha256)", short(&host.guest_root.sha256)),
            ("guest initramfs (sha256)", short(&host.initramfs_sha256)),
        ],
    }
}

/// Which arm of each run: those asked for; else the one candidate that both have; else the one candidate of each.
fn arms(first: &Model, second: &Model, asked: &[String]) -> Result<(String, String), Failure> {
    let same_run = first.run.name == second.run.name;
    let candidates =
        |model: &Model| -> Vec<String> { model.candidates().map(|arm| arm.name.clone()).collect() };
    let of_first = match asked {
        [of_first, of_second] => return Ok((of_first.clone(), of_second.clone())),
        [both] if !same_run => return Ok((both.clone(), both.clone())),
        [one] => vec![one.clone()],
        [] => candidates(first),
        more => {
            return Err(Failure::user(format!("assay: {} arms were named, two are compared", more.len())));
        }
    };
    if same_run {
        // Within one run, a single arm is compared with the baseline at its place.
        let [only] = of_first.as_slice() else { return Err(Failure::user(choose(first, second))) };
        let arm = first.arms.iter().find(|arm| arm.name == *only);
        let baseline = arm.and_then(|arm| first.baseline_of(arm)).or(first.arms.first());
        return Ok((baseline.map_or(only, |arm| &arm.name).clone(), only.clone()));
    }
    let of_second = candidates(second);
    let shared: Vec<&String> = of_first.iter().filter(|arm| of_second.contains(arm)).collect();
    match (shared.as_slice(), of_first.as_slice(), of_second.as_slice()) {
        ([only], ..) => Ok(((*only).clone(), (*only).clone())),
        ([], [of_first], [of_second]) => Ok((of_first.clone(), of_second.clone())),
        _ => match (first.arms.as_slice(), second.arms.as_slice()) {
            ([of_first], [of_second]) => Ok((of_first.name.clone(), of_second.name.clone())),
            _ => Err(Failure::user(choose(first, second))),
        },
    }
}

fn choose(first: &Model, second: &Model) -> String {
    let names = |model: &Model| model.arms.iter().map(|arm| arm.name.as_str()).collect::<Vec<_>>().join(", ");
    if first.run.name == second.run.name {
        return format!("assay: which arms? Name two with --arm: {} has {}", first.run.name, names(first));
    }
    format!(
        "assay: which arms? Name one of each with --arm: {} has {}; {} has {}",
        first.run.name,
        names(first),
        second.run.name,
        names(second)
    )
}
