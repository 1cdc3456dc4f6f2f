//! `assay profile`, and the profiles in reports.

mod load;
mod modules;

use std::process::ExitCode;

use anyhow::Context;
use plan::{Arm, Evidence, Plan};
use report::{Model, ProfilePage, Profiled, Terminal, Unavailable};
use store::Stored;

use crate::{
    arguments::{self, Format, Places},
    failure::Failure,
    reports::{self, Output},
};
use load::Loader;

/// What exact evidence cannot see.
const UNSEEN: &str = "Exact evidence: instructions as QEMU's TCG executes them. They do not show caches and TLBs, contention between real \
    processors, interrupts between them, the time of devices and of DMA.";

pub(crate) fn profile(places: &Places, flags: &arguments::Profile) -> Result<ExitCode, Failure> {
    let stored = store::read(&reports::folder(places, flags.run.as_deref())?).map_err(reports::user)?;
    let format = flags.format.or_json(flags.json);
    let sides = sides(&stored, flags)?;
    let mut loader = Loader::new(&stored)?;
    let mut profiles = Vec::new();
    for workload in workloads(&stored.file.plan, flags.workload.as_deref())? {
        for (baseline, arm) in &sides {
            let mut profiled = profiled(&mut loader, workload, *baseline, arm, flags.by.into())?;
            if format != Format::Json {
                profiled.table = profiled.table.top(flags.top, flags.top);
            }
            profiles.push(profiled);
        }
    }
    if flags.folded {
        return folded(&profiles);
    }
    let mut notes = loader.notes();
    notes.push(UNSEEN.to_owned());
    let page = ProfilePage {
        run: stored.file.run.clone(),
        scenario: stored.file.plan.name.clone(),
        profiles,
        notes,
    };
    let text = match format {
        Format::Terminal => {
            let columns = match Output::standard() {
                Output::Terminal { columns } => columns,
                Output::Pipe | Output::File => 100,
            };
            report::profile_text(
                &page,
                Terminal { colour: reports::colour(), columns, detail: report::Detail::Short },
            )
        }
        Format::Markdown => report::profile_markdown(&page),
        Format::Json => report::profile_json(&page).context("writing the profile as JSON")?,
        Format::Html => report::profile_html(&page),
        Format::RunMetrics => {
            return Err(Failure::user("assay: a profile has no run metrics; `assay report` prints them"));
        }
    };
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

/// Prints the stacks of one profile, in the format of other tools for flame graphs.
fn folded(profiles: &[Profiled]) -> Result<ExitCode, Failure> {
    let [profiled] = profiles else {
        return Err(Failure::user(format!(
            "assay: --folded: the stacks of one arm in one workload are a file, and here are {}",
            profiles.len()
        ))
        .hint("--arm ARM and --workload WORKLOAD choose one"));
    };
    match &profiled.flame {
        Some(Ok(flame)) => {
            print!("{}", flame.folded(profiled.table.baseline.is_some()));
            Ok(ExitCode::SUCCESS)
        }
        Some(Err(why)) => Err(Failure::user(format!("assay: --folded: unavailable: {why}"))),
        None => unreachable!("stacks are looked at with every profile"),
    }
}

/// Puts the first rows of each candidate's profile into the model of a run that counted instructions; or why there are none.
pub(crate) fn put(stored: &Stored, model: &mut Model) {
    let plan = &stored.file.plan;
    if plan.evidence() != Evidence::Exact {
        return;
    }
    let read = || -> Result<Vec<Profiled>, Failure> {
        let mut loader = Loader::new(stored)?;
        let mut profiles = Vec::new();
        for workload in &plan.workloads {
            for (baseline, arm) in candidates(plan) {
                let mut profiled = profiled(&mut loader, workload, baseline, arm, profile::By::Function)?;
                profiled.table = profiled.table.top(report::ROWS_IN_REPORTS, report::STRING_ROWS_IN_REPORTS);
                if !profiled.table.blocks.is_empty() {
                    profiles.push(profiled);
                }
            }
        }
        Ok(profiles)
    };
    match read() {
        Ok(profiles) => model.profiles = profiles,
        Err(failure) => model.unavailable.push(Unavailable {
            reason: format!("profile by function: {}", failure.in_a_line().trim_start_matches("assay: ")),
            boots: model.run.boots_made,
        }),
    }
}

/// Each candidate with the baseline at its place.
fn candidates(plan: &Plan) -> impl Iterator<Item = (Option<&Arm>, &Arm)> {
    let baseline = plan.arms.first().map_or("", Arm::side);
    let is_baseline = move |arm: &&Arm| arm.side() == baseline;
    plan.arms.iter().filter(move |arm| !is_baseline(arm)).map(move |arm| {
        let same = |other: &&Arm| is_baseline(other) && other.dims() == arm.dims();
        (plan.arms.iter().find(same), arm)
    })
}

/// What is compared with what.
fn sides<'a>(
    stored: &'a Stored,
    flags: &arguments::Profile,
) -> Result<Vec<(Option<&'a Arm>, &'a Arm)>, Failure> {
    let plan = &stored.file.plan;
    let named = |name: &String| {
        plan.arm(name).ok_or_else(|| {
            let arms: Vec<&str> = plan.arms.iter().map(|arm| arm.name.as_str()).collect();
            Failure::user(format!("assay: {} has no arm `{name}`, but {}", stored.file.run, arms.join(", ")))
        })
    };
    let baseline = flags.baseline.as_ref().map(named).transpose()?;
    let arm = flags.arm.as_ref().map(named).transpose()?;
    let sides: Vec<(Option<&Arm>, &Arm)> = match (baseline, arm) {
        (baseline, Some(arm)) => vec![(baseline, arm)],
        (Some(baseline), None) => plan
            .arms
            .iter()
            .filter(|arm| arm.name != baseline.name)
            .map(|arm| (Some(baseline), arm))
            .collect(),
        (None, None) => candidates(plan).collect(),
    };
    // A run of a single arm has no candidate.
    Ok(if sides.is_empty() { plan.arms.iter().map(|arm| (None, arm)).collect() } else { sides })
}

fn workloads<'a>(plan: &'a Plan, asked: Option<&str>) -> Result<Vec<&'a plan::Workload>, Failure> {
    let is_meant = |workload: &&plan::Workload| {
        asked.is_none_or(|asked| workload.name == asked || workload.group() == asked)
    };
    let found: Vec<&plan::Workload> = plan.workloads.iter().filter(is_meant).collect();
    match asked {
        Some(asked) if found.is_empty() => {
            let known: Vec<&str> = plan.workloads.iter().map(|workload| workload.name.as_str()).collect();
            Err(Failure::user(format!("assay: there is no workload `{asked}`, but {}", known.join(", "))))
        }
        _ => Ok(found),
    }
}

fn profiled(
    loader: &mut Loader<'_>,
    workload: &plan::Workload,
    baseline: Option<&Arm>,
    arm: &Arm,
    by: profile::By,
) -> Result<Profiled, Failure> {
    for arm in baseline.into_iter().chain([arm]) {
        loader.load(arm)?;
    }
    let baseline = baseline.map(|baseline| loader.bind(baseline, workload));
    let arm_boots = loader.bind(arm, workload);
    let table = profile::Differential::new(baseline.as_ref(), &arm_boots, by);
    let flame = profile::Flame::new(&table, baseline.as_ref(), &arm_boots);
    let mut at = workload.dims().clone();
    at.extend(arm.dims().clone());
    Ok(Profiled { workload: workload.group().to_owned(), at, table, flame: Some(flame) })
}
