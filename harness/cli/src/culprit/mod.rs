//! `assay bisect`: which commit, patch, option or word did it, or which of them together. Asks the pipeline of `assay run` for one visit after the other; crate `bisect` says which.

mod evidence;
mod nodes;
mod options;
mod sets;
mod state;
mod told;
mod units;
mod words;

use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use ::bisect::{After, Conclusion, GOOD, Search, Step};
use anyhow::Context;
use jiff::Timestamp;
use measure::BuildEnd;
use plan::Evidence;
use store::Stored;

use self::{
    sets::Sets,
    state::{Asked, Found, State, Visit},
    told::{Ended, Told},
};
use crate::{
    arguments::{self, Places},
    builds::{describe, obtain, of_kernel},
    exact::Calibrations,
    failure::Failure,
    lab::Lab,
    progress::{Progress, rough},
    run::{Images, Order, carry_out},
};

/// Exit status of a search that is not decided.
const UNDECIDED: u8 = 3;

pub(crate) fn bisect(places: &Places, flags: &arguments::Bisect) -> Result<ExitCode, Failure> {
    let mut progress = Progress::new();
    let until = flags.budget.map(|budget| Instant::now() + budget);
    let lab = Lab::open(places)?;
    let mut state = match &flags.resume {
        Some(folder) => {
            let folder = std::path::absolute(folder).context("resolving the folder")?;
            let state = State::open(&folder)?;
            progress.line(format!("{}: {} visits are made", folder.display(), state.visits().count()));
            state
        }
        None => begin(places, flags, &lab, &mut progress)?,
    };
    let (search, ended, is_calibrated) = lead(places, &lab, &mut state, until, &mut progress)?;
    progress.clear();
    let (asked, visits) = state.under_way();
    let told = Told { asked: &asked, visits: &visits, search: &search, ended, is_calibrated };
    let sets = state.asked.subset.then(|| Sets { asked: &state.asked, legs: &state.legs, told: &told });
    if flags.json {
        println!("{:#}", sets.map_or_else(|| told.json(), |sets| sets.json()));
    } else {
        println!("{}", sets.map_or_else(|| told.text(), |sets| sets.text()).trim_end());
        if let Ended::OutOfBudget { .. } = told.ended {
            println!("\nGo on with: assay bisect --resume {}", state.folder.display());
        }
    }
    Ok(match &told.ended {
        Ended::Concluded(Conclusion::Found(_)) => ExitCode::SUCCESS,
        // A later stage finds none only if the one before it was wrong.
        Ended::Concluded(Conclusion::NothingInRange { .. }) if state.legs.len() == 1 => ExitCode::FAILURE,
        Ended::Concluded(Conclusion::NothingInRange { .. }) => ExitCode::from(UNDECIDED),
        Ended::Concluded(Conclusion::EndUntestable(_) | Conclusion::Exhausted(_))
        | Ended::OutOfBudget { .. } => ExitCode::from(UNDECIDED),
    })
}

fn begin(
    places: &Places,
    flags: &arguments::Bisect,
    lab: &Lab,
    progress: &mut Progress,
) -> Result<State, Failure> {
    let asked = nodes::asked(places, flags, lab, progress)?;
    let results = std::path::absolute(&places.results).context("resolving the results folder")?;
    let started = Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    let folder = results.join("bisect").join(format!("{started}-{}-{}", asked.plan.name, std::process::id()));
    progress.line(format!("{}; kept in {}", told::count(&asked), folder.display()));
    State::create(folder, asked)
}

/// Makes visits until the search ends, with all its stages, or the time is over.
fn lead(
    places: &Places,
    lab: &Lab,
    state: &mut State,
    until: Option<Instant>,
    progress: &mut Progress,
) -> Result<(Search, Ended, bool), Failure> {
    let mut places = places.clone();
    places.results = state.runs();
    let mut noise = null_noise(lab, state)?;
    loop {
        let (asked, visits) = state.under_way();
        let mut search = evidence::search(&asked, &visits, noise)?;
        if visits.is_empty() && is_cached(lab, &asked)? {
            // Its objects are kept beside it: the next build begins from them.
            search.built(GOOD);
            search.stands_at(GOOD);
        }
        let (node, boots) = match search.next() {
            Step::Done(conclusion) => {
                if let (true, Conclusion::Found(culprits)) = (asked.subset, &conclusion)
                    && let After::Next(stage) = state.leg().stage.after(&culprits.commits)
                {
                    progress.line(format!(
                        "stage {}: with {} {} needed; is anything else?",
                        state.legs.len() + 1,
                        told::percent(culprits.probability),
                        sets::held(&state.asked, &stage.held)
                    ));
                    state.begin(stage, culprits.probability)?;
                    continue;
                }
                return Ok((search, Ended::Concluded(conclusion), noise.is_some()));
            }
            Step::Test { node, boots } => (node, boots),
        };
        let seconds = search.visit_seconds(node, boots);
        let fits = |until: Instant| {
            Duration::from_secs_f64(seconds) <= until.saturating_duration_since(Instant::now())
        };
        if !until.is_none_or(fits) {
            let ended = Ended::OutOfBudget { next_seconds: seconds };
            return Ok((search, ended, noise.is_some()));
        }
        let culprits = search.culprits(&search.posterior());
        let title: String = asked.nodes[node].title.chars().take(60).collect();
        progress.line(format!(
            "visit {}: {boots} boots of {title}; most probable so far: {} with {:.0} %",
            state.visits().count() + 1,
            culprits.commits.first().map_or("none", |first| asked.nodes[*first].title.as_str()),
            100.0 * culprits.probability
        ));
        let visit = visit(&places, lab, (state, &asked), (node, boots), until, progress)?;
        state.add(visit)?;
        noise = null_noise(lab, state)?;
    }
}

/// Whether the good end was built before this search, which a budget need not pay for then.
fn is_cached(lab: &Lab, asked: &Asked) -> Result<bool, Failure> {
    let plan = nodes::visit(asked, GOOD, 1);
    Ok(lab.kernels()?.lookup(&plan.arms[0].kernel).map_err(of_kernel)?.is_some())
}

/// What null patches do to the exact counts that are asked about, once there is an image to ask of.
fn null_noise(lab: &Lab, state: &State) -> Result<Option<f64>, Failure> {
    if state.asked.plan.evidence() == Evidence::Timed {
        return Ok(None);
    }
    let Some(gate) = evidence::gate(&state.asked) else { return Ok(None) };
    let good = state.visits().find(|visit| visit.node == GOOD && visit.image.is_some());
    let Some(good) = good else { return Ok(None) };
    let Stored { file, .. } =
        store::read(&state.runs().join(&good.run)).context("reading the good end's run")?;
    let build = file.kernels.values().next().map(|kernel| &kernel.build);
    let calibration = Calibrations::of(lab).find(&file.plan, build, &file.host.qemu)?;
    let select = &gate.select;
    let largest = calibration.iter().flat_map(|calibration| &calibration.metrics).find(|metric| {
        metric.series.workload.as_ref() == Some(&select.workload) && metric.series.metric == select.metric
    });
    Ok(largest.map(|metric| metric.largest))
}

/// Builds and boots one node.
fn visit(
    places: &Places,
    lab: &Lab,
    (state, asked): (&State, &Asked),
    (node, boots): (usize, u32),
    until: Option<Instant>,
    progress: &mut Progress,
) -> Result<Visit, Failure> {
    let plan = nodes::visit(asked, node, boots);
    let began = Instant::now();
    let cache = lab.kernels()?;
    // Built before the run, so that the time of the build is known apart; the run then finds it in the cache.
    let build = obtain(&cache, &plan.arms[0].kernel, &state.folder.join("builds"), progress)?;
    let build_seconds = began.elapsed().as_secs_f64();
    let BuildEnd::Built(image) = &build else {
        let reason = describe(&build);
        progress.line(format!("cannot be tested: {}", told::in_a_line(&reason)));
        return Ok(Visit {
            node,
            run: String::new(),
            image: None,
            found: Found::Untestable { reason },
            build_seconds,
            boot_seconds: 0.0,
            boots: 0,
        });
    };
    let image = image.image_sha256.clone();
    let command = format!("assay bisect --resume {}", state.folder.display());
    let limit = None;
    let order = Order {
        plan,
        command,
        scenario: None,
        images: Images::Built,
        replay: None,
        limit,
        calibration: None,
    };
    let stored = carry_out(places, lab, order, progress)?;
    if let Some(until) = until {
        progress.status("left of the budget", &rough(until.saturating_duration_since(Instant::now())));
    }
    let made = u32::try_from(stored.trials.len()).unwrap_or(u32::MAX);
    let boot_seconds = stored.trials.iter().map(|trial| trial.took_seconds).sum();
    Ok(Visit {
        node,
        run: name(&stored.folder),
        image: Some(image),
        found: evidence::found(asked, &stored)?,
        build_seconds,
        boot_seconds,
        boots: made,
    })
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
