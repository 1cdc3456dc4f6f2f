//! `assay calibrate`: boots of identical arms, in the order of time, on this machine.

use std::process::ExitCode;

use anyhow::Context;
use jiff::Timestamp;
use plan::{Arm, Evidence, Expectation, Plan, Stop};
use report::{Noise, Session, TWINS};
use store::Stored;

use super::Sessions;
use crate::{
    arguments::{self, Places, Question},
    failure::Failure,
    lab::{Lab, host_facts},
    progress::Progress,
    reports,
    run::{Images, Order, carry_out, planned},
};

/// The second arm.
const TWIN: &str = "twin";

pub(crate) fn calibrate(places: &Places, flags: &arguments::Calibrate) -> Result<ExitCode, Failure> {
    let mut progress = Progress::new();
    let lab = Lab::open(places)?;
    if flags.show {
        return show(places, &lab, flags, &mut progress);
    }
    let stored = match &flags.from {
        Some(run) => store::read(&places.run_folder(run)?).map_err(reports::user)?,
        None => measured(places, &lab, flags, &mut progress)?,
    };
    progress.clear();
    let plan = &stored.file.plan;
    if plan.evidence() == Evidence::Exact {
        return Err(Failure::user(format!("assay: {} counts instructions: add --exact", stored.file.run)));
    }
    let [first, second] = plan.arms.as_slice() else { return Err(no_twins(&stored)) };
    let twin = Arm { name: TWIN.to_owned(), ..first.clone() };
    if !plan.name.starts_with(TWINS) || *second != twin {
        return Err(no_twins(&stored));
    }
    let model = reports::model(&stored)?;
    reports::keep(&stored, &model)?;
    let started = stored.file.started.parse::<Timestamp>().map_or(0, |at| at.as_second());
    let about = (&*stored.file.run, &*stored.file.started, u64::try_from(started).unwrap_or(0));
    let session = Session::of_run(plan, &stored.trials, &stored.samples, &model.host, about)
        .context("calibrating")?
        .with_context(|| format!("nothing was measured: see the report of {}", stored.file.run))?;
    let sessions = Sessions::of(&lab);
    let path = sessions.add(&session)?;
    let host = &stored.file.host;
    let noise = sessions.find(plan, host, Some(&host.qemu))?.context("a session that was kept is found")?;
    tell(&noise, flags.json);
    if !flags.json && !crate::terminal::quiet() {
        eprintln!("\nKept as {}.\n{}", path.display(), reports::address(&stored.folder)?);
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(noise: &Noise, json: bool) {
    if json {
        print!("{}", report::noise_json(noise));
    } else {
        print!("{}", report::noise_text(noise));
    }
}

fn no_twins(stored: &Stored) -> Failure {
    Failure::user(format!("assay: --from: {} is no run of identical arms", stored.file.run))
        .hint("assay calibrate SCENARIO makes one")
}

/// What is known already.
fn show(
    places: &Places,
    lab: &Lab,
    flags: &arguments::Calibrate,
    progress: &mut Progress,
) -> Result<ExitCode, Failure> {
    let (plan, _) = twins(places, lab, flags, progress)?;
    progress.clear();
    let noise = Sessions::of(lab).find(&plan, &host_facts()?, None)?.ok_or_else(|| {
        let named = flags.scenario.as_ref().map(|named| named.display().to_string()).unwrap_or_default();
        Failure::user(format!("assay: {named} is not calibrated on this machine"))
            .hint(format!("assay calibrate {named}"))
    })?;
    tell(&noise, flags.json);
    Ok(ExitCode::SUCCESS)
}

/// Boots the baseline of a scenario as two arms.
fn measured(
    places: &Places,
    lab: &Lab,
    flags: &arguments::Calibrate,
    progress: &mut Progress,
) -> Result<Stored, Failure> {
    let (plan, scenario) = twins(places, lab, flags, progress)?;
    let named = flags.scenario.as_ref().context("a calibration is of a scenario")?;
    progress.line(format!(
        "{} boots of identical arms; if this is interrupted: assay run --resume RUN, then assay calibrate --from RUN",
        2 * plan.design.boots
    ));
    let order = Order {
        command: format!("assay calibrate --boots {} {}", 2 * plan.design.boots, named.display()),
        plan,
        scenario: Some(scenario),
        images: Images::Built,
        replay: None,
        limit: None,
        calibration: None,
    };
    carry_out(places, lab, order, progress)
}

/// The plan of a scenario with its baseline and nothing else, twice.
fn twins(
    places: &Places,
    lab: &Lab,
    flags: &arguments::Calibrate,
    progress: &mut Progress,
) -> Result<(Plan, Vec<u8>), Failure> {
    let named = flags.scenario.as_ref().context("a calibration is of a scenario")?;
    let question = Question { scenario: Some(named.clone()), ..Question::default() };
    let (mut plan, _, scenario) = planned(places, &question, lab, progress)?;
    let refused = |why: &str| Failure::user(format!("assay: {}: {why}", plan.name));
    if plan.evidence() == Evidence::Exact {
        return Err(refused("its evidence is exact, and is calibrated by null patches: add --exact"));
    }
    if !plan.flavour().is_plain() {
        return Err(refused("nothing that its kernels do is timed"));
    }
    if !plan.dimensions.is_empty() {
        return Err(refused("it lists several values: a calibration is of one machine and its workloads"));
    }
    let baseline = plan.baseline().context("a plan has a baseline")?.clone();
    plan.arms = vec![baseline.clone(), Arm { name: TWIN.to_owned(), ..baseline }];
    plan.question =
        format!("What do identical arms do on this machine? (the baseline of {}, twice)", plan.name);
    plan.name = format!("{TWINS}{}", plan.name);
    plan.design.stop = Stop::AtTheEnd;
    plan.design.traced_boots = 0;
    plan.design.trim = 0;
    plan.design.set_boots(flags.boots / 2);
    plan.test_gates.clear();
    for gate in &mut plan.gates {
        gate.expect = Expectation::Same;
    }
    Ok((plan, scenario))
}
