//! From visits to a posterior: what crate `bisect` is told.

use std::collections::{BTreeMap, BTreeSet};

use ::bisect::{Boots, Costs, Failing, GOOD, History, Noise, Policy, Question, Search};
use measure::{Better, TrialEnd};
use plan::{Evidence, Gate, Plan};
use report::arm_series;
use store::Stored;

use super::state::{Asked, By, Found, Node, Visit};
use crate::failure::Failure;

/// How far boots of one kernel spread, as a share, before any were made: known only as well as two degrees of freedom, so that the boots of the ends
/// soon say it themselves.
const SPREAD: (f64, f64) = (0.03, 2.0);
/// How far builds whose work is the same are taken to spread against boots: layout, and the hour at which they were visited.
const OF_BUILDS: f64 = 0.25;
/// The same for exact counts, where no calibration says it.
const EXACT_BUILDS: f64 = 0.001;
/// Of a full build and of one that starts from its objects, in seconds, before any was made.
const FULL_BUILD: f64 = 600.0;
const BUILDS: (f64, f64) = (30.0, 120.0);
/// From so many commits on a build takes the most.
const FAR: f64 = 1000.0;

/// The gate that is asked about.
pub(super) fn gate(asked: &Asked) -> Option<&Gate> {
    match asked.by {
        By::Metric { gate } => asked.plan.gates.get(gate),
        By::Tests { .. } | By::Crash => None,
    }
}

/// The search as far as these visits have led it. `noise` is what null patches do to exact counts, as far as that is known.
pub(super) fn search(asked: &Asked, visits: &[Visit], null_patches: Option<f64>) -> Result<Search, Failure> {
    let parents: Vec<Vec<usize>> = asked.nodes.iter().skip(1).map(|node| node.parents.clone()).collect();
    let history = History::new(&parents).map_err(anyhow::Error::from)?;
    let policy = Policy { confidence: asked.confidence, ..Policy::default() };
    let mut search =
        Search::new(history, question(asked, null_patches), costs(visits, boot_guess(&asked.plan)), policy);
    let weights: Vec<f64> = asked.nodes.iter().skip(1).map(|node| node.weight).collect();
    search.weigh(&weights);
    let mut same: BTreeMap<(Source<'_>, &[String]), usize> = BTreeMap::new();
    for (number, node) in asked.nodes.iter().enumerate() {
        let first = *same.entry((source(node), node.words.as_slice())).or_insert(number);
        if first != number {
            search.alike(first, number);
        }
    }
    tell(&mut search, asked, visits);
    Ok(search)
}

/// What a node's kernel is made from, as far as nodes differ: checksums of patches, and options.
type Source<'a> = (Vec<&'a str>, Vec<String>);

fn source(node: &Node) -> Source<'_> {
    let patches = node.series.iter().flat_map(|series| &series.patches);
    (
        patches.map(|patch| patch.sha256.as_str()).collect(),
        node.options.iter().map(ToString::to_string).collect(),
    )
}

fn tell(search: &mut Search, asked: &Asked, visits: &[Visit]) {
    // All nodes have one kernel then, which is built once.
    let differ_by_words = asked.nodes.last().is_some_and(|node| !node.words.is_empty());
    // The same image boots otherwise with other words.
    let mut images: BTreeMap<(&str, &[String]), usize> = BTreeMap::new();
    let at_good: Vec<&Found> =
        visits.iter().filter(|visit| visit.node == GOOD).map(|visit| &visit.found).collect();
    let known_failures: BTreeSet<&str> = at_good
        .iter()
        .flat_map(|found| match found {
            Found::Tests { failing } => failing.iter().flatten().map(String::as_str).collect(),
            _ => BTreeSet::new(),
        })
        .collect();
    // Every build starts from a copy of the objects of the base.
    if visits.iter().any(|visit| visit.image.is_some()) {
        search.stands_at(GOOD);
    }
    for visit in visits {
        if let Some(image) = &visit.image {
            let node = &asked.nodes[visit.node];
            search.built(visit.node);
            if differ_by_words {
                (0..asked.nodes.len()).for_each(|number| search.built(number));
            }
            let first = *images.entry((image, node.words.as_slice())).or_insert(visit.node);
            if first != visit.node {
                search.alike(first, visit.node);
            }
        }
        match &visit.found {
            Found::Values { values } => search.measured(visit.node, &worse(asked, values, &at_good)),
            Found::Crashes { failed, passed } => {
                search.booted(visit.node, Boots { failed: *failed, passed: *passed });
            }
            Found::Tests { failing } => {
                let is_new =
                    |boot: &&Vec<String>| boot.iter().any(|test| !known_failures.contains(test.as_str()));
                let failed = failing.iter().filter(is_new).count();
                search.booted(
                    visit.node,
                    Boots { failed: count(failed), passed: count(failing.len() - failed) },
                );
            }
            Found::Untestable { .. } => search.untestable(visit.node),
        }
    }
}

/// Logarithms, of which higher is worse. Exact ones are held against the good end's count in the same replicate, and are one number then: the replicates of
/// two kernels differ by nothing else.
fn worse(asked: &Asked, values: &[(u32, f64)], at_good: &[&Found]) -> Vec<f64> {
    let sign =
        match gate(asked).and_then(|gate| asked.plan.metric(&gate.select.metric)).map(|metric| metric.better)
        {
            Some(Better::Higher) => -1.0,
            _ => 1.0,
        };
    if asked.plan.evidence() == Evidence::Timed {
        return values.iter().map(|(_, value)| sign * value.ln()).collect();
    }
    let good: BTreeMap<u32, f64> = at_good
        .iter()
        .flat_map(|found| match found {
            Found::Values { values } => values.clone(),
            _ => vec![],
        })
        .collect();
    let ratios: Vec<f64> = values
        .iter()
        .filter_map(|(block, value)| Some(sign * (value / good.get(block)?).ln()))
        .filter(|ratio| ratio.is_finite())
        .collect();
    if ratios.is_empty() { vec![] } else { vec![ratios.iter().sum::<f64>() / float(ratios.len())] }
}

fn question(asked: &Asked, null_patches: Option<f64>) -> Question {
    let Some(gate) = gate(asked) else { return Question::Failing(Failing::default()) };
    let least = gate.margin.ln_1p();
    Question::Level(match asked.plan.evidence() {
        Evidence::Timed => {
            Noise { boots: SPREAD.0, known_by: SPREAD.1, builds: OF_BUILDS * SPREAD.0.min(least), least }
        }
        Evidence::Exact => {
            let builds = null_patches.unwrap_or(EXACT_BUILDS);
            Noise { boots: 0.0, known_by: f64::INFINITY, builds, least: least.max(2.0 * builds) }
        }
    })
}

/// What builds and boots are expected to take: what they took so far.
fn costs(visits: &[Visit], boot: f64) -> Costs {
    let boots: u32 = visits.iter().map(|visit| visit.boots).sum();
    let seconds: f64 = visits.iter().map(|visit| visit.boot_seconds).sum();
    let built = |is_first: bool| -> Vec<f64> {
        let all =
            visits.iter().filter(|visit| (visit.node == GOOD) == is_first && visit.build_seconds >= 1.0);
        all.map(|visit| visit.build_seconds).collect()
    };
    let others = built(false);
    let (least, most) = if others.is_empty() {
        BUILDS
    } else {
        let mean = others.iter().sum::<f64>() / float(others.len());
        (mean / 2.0, mean * 2.0)
    };
    Costs {
        full_build: built(true).first().copied().unwrap_or(FULL_BUILD),
        least_build: least,
        most_build: most,
        far: FAR,
        boot: if boots > 0 { (seconds / f64::from(boots)).max(0.01) } else { boot },
    }
}

fn boot_guess(plan: &Plan) -> f64 {
    scenario::trial_seconds(plan, &scenario::Known::default())
}

/// What a run of one node found.
pub(super) fn found(asked: &Asked, stored: &Stored) -> Result<Found, Failure> {
    let timed = || stored.trials.iter().filter(|trial| !trial.traced);
    let ended = |which: fn(&TrialEnd) -> bool| count(timed().filter(|trial| which(&trial.end)).count());
    let crashed = ended(|end| matches!(end, TrialEnd::Crashed { .. }));
    let nothing = || {
        let why = timed().next().map_or("nothing was booted", |trial| in_words(&trial.end));
        Found::Untestable { reason: why.to_owned() }
    };
    Ok(match &asked.by {
        By::Crash => match ended(|end| matches!(end, TrialEnd::Measured { .. })) {
            0 if crashed == 0 => nothing(),
            passed => Found::Crashes { failed: crashed, passed },
        },
        By::Tests { workload } => {
            let ran = timed().filter(|trial| trial.tests.iter().any(|test| test.workload == *workload));
            let failing: Vec<Vec<String>> = ran
                .map(|trial| {
                    let own = trial.tests.iter().filter(|test| test.workload == *workload);
                    own.filter(|test| test.result.passed() == Some(false))
                        .map(|test| test.test.clone())
                        .collect()
                })
                .collect();
            if failing.is_empty() { nothing() } else { Found::Tests { failing } }
        }
        By::Metric { .. } => {
            let gate = gate(asked).ok_or_else(|| anyhow::anyhow!("the search asks about no gate"))?;
            let all = arm_series(&stored.file.plan, &stored.trials, &stored.samples)
                .map_err(anyhow::Error::from)?;
            let select = &gate.select;
            let mut asked_for = all.into_iter().filter(|series| {
                series.key.workload.as_ref() == Some(&select.workload)
                    && series.key.metric == select.metric
                    && select.dims.iter().all(|(name, value)| series.key.dims.get(name) == Some(value))
            });
            match (asked_for.next(), asked_for.next()) {
                (Some(series), None) => Found::Values { values: series.by_block },
                (None, _) => nothing(),
                (Some(_), Some(_)) => {
                    return Err(Failure::user(format!(
                        "assay: the gate on {} {} means several numbers; name its dimensions in the scenario",
                        select.workload, select.metric
                    )));
                }
            }
        }
    })
}

fn in_words(end: &TrialEnd) -> &str {
    match end {
        TrialEnd::Measured { .. } => "it yields no such number",
        TrialEnd::Crashed { report, .. } => &report.title,
        TrialEnd::WorkloadFailed { message, .. } | TrialEnd::NotTestable { message } => message,
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "numbers of builds and replicates")]
fn float(n: usize) -> f64 {
    n as f64
}
