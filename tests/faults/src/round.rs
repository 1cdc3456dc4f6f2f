//! One fault, as often as it is asked for, and everything that is looked at afterwards.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};

use crate::{
    census,
    child::{Said, until},
    fault::{Chance, Ending, Fault, Then},
    finished,
    world::{World, names, portable},
};

/// Within this time after a command's end every process of it must be gone. The kernel ends them at once; a busy machine needs a while to
/// take an emulator's memory back.
const GONE: Duration = Duration::from_secs(10);

/// Set if all that was said is to be shown.
pub(crate) const VERBOSE: &str = "ASSAY_FAULTS_VERBOSE";

/// What came of a fault.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    /// How often it was injected.
    pub(crate) rounds: u32,
    /// How the command ended, each way once.
    pub(crate) endings: Vec<String>,
    /// The line that told the user.
    pub(crate) line: String,
    /// Trials that were finished when the fault hit, over all rounds; none of them was lost.
    pub(crate) kept: usize,
    pub(crate) seconds: f64,
    /// Why the fault was not survived.
    pub(crate) failed: Option<String>,
}

/// What one round showed.
struct Seen {
    ending: Ending,
    line: String,
    kept: usize,
}

/// Injects a fault in a world of its own.
pub(crate) fn all(fault: &Fault, short: bool, seed: u64) -> Outcome {
    let begin = Instant::now();
    let of = if short { fault.short } else { fault.whole };
    let mut outcome = Outcome {
        name: fault.name.into(),
        rounds: 0,
        endings: vec![],
        line: String::new(),
        kept: 0,
        seconds: 0.0,
        failed: None,
    };
    let mut chance =
        Chance { random: ChaCha12Rng::seed_from_u64(seed), round: 0, of, seed, short, injections: 0 };
    let played = World::enter(fault.scene).and_then(|mut world| {
        for round in 0..of {
            (chance.round, chance.injections) = (round, 0);
            let seen = one(fault, &mut world, &mut chance)
                .with_context(|| format!("round {} of {of}", round + 1))?;
            outcome.rounds += chance.injections.max(1);
            outcome.kept += seen.kept;
            let ending = seen.ending.to_string();
            if !outcome.endings.contains(&ending) {
                outcome.endings.push(ending);
            }
            // Most of the line is alike in every round; where trials were finished it says more.
            if outcome.line.is_empty() || seen.kept > 0 && outcome.kept == seen.kept {
                outcome.line = seen.line;
            }
        }
        Ok(())
    });
    outcome.failed = played.err().map(|error| format!("{error:#}"));
    outcome.seconds = begin.elapsed().as_secs_f64();
    outcome
}

fn one(fault: &Fault, world: &mut World, chance: &mut Chance) -> Result<Seen> {
    world.forget_results()?;
    let said = (fault.inject)(world, chance)?;
    (world.through, world.variables) = (vec![], vec![]);
    if std::env::var_os(VERBOSE).is_some() {
        eprintln!("--- {} {}: {}", fault.name, chance.round + 1, said.all());
    }
    nobody_is_left()?;
    ensure!(fault.ends.contains(&said.ending), "it ended with: {}", said.all());
    let mut line = match said.line(fault.says) {
        _ if fault.says.is_empty() => String::new(),
        Some(line) => match said.stderr.lines().find(|line| line.starts_with("error: ")) {
            Some(error) if line.trim().starts_with("caused by: ") => format!("{error}: {}", line.trim()),
            _ => line.trim().to_owned(),
        },
        None => bail!("it does not say `{}`: {}", fault.says, said.all()),
    };
    ensure!(!said.stderr.contains("panicked at"), "it panicked: {}", said.stderr);

    let run = world.run()?;
    let before = run.as_deref().map(finished::trials).transpose()?.unwrap_or_default();
    if fault.then != Then::Nothing {
        let next = match (&run, fault.then) {
            (Some(run), Then::Resume) => {
                let run = run.display().to_string();
                world.assay(&["run", "--resume", &run])?.wait()?
            }
            _ => world.start()?.wait()?,
        };
        ensure!(next.ending == Ending::Exit(world.scene.exit()), "afterwards, {}", next.all());
        if line.is_empty() {
            line = next.line("trials are finished").unwrap_or("(the next run)").trim().to_owned();
        }
        whole(world, &next, run.as_deref().filter(|_| fault.then == Then::Resume), &before)?;
    }
    nobody_is_left()?;
    let left = world.census()?.since(&world.before);
    ensure!(left.is_empty(), "left behind:\n  {}", left.join("\n  "));
    Ok(Seen { ending: said.ending, line: portable(&line, &world.top), kept: before.len() })
}

fn nobody_is_left() -> Result<()> {
    until(GONE, || Ok(census::processes()?.is_empty())).with_context(|| match census::processes() {
        Ok(left) => format!("processes live on: {left:?}"),
        Err(error) => format!("{error:#}"),
    })
}

/// The run that was taken up, or made anew, is what it would have been without the fault.
fn whole(
    world: &World,
    said: &Said,
    taken_up: Option<&std::path::Path>,
    before: &std::collections::BTreeMap<u32, finished::Record>,
) -> Result<()> {
    let run = match taken_up {
        Some(run) => run.to_owned(),
        None => world.run()?.context("a run was made")?,
    };
    let after = finished::trials(&run)?;
    ensure!(after.len() == world.scene.trials(), "{} trials are finished: {}", after.len(), said.all());
    if taken_up.is_some() {
        let lost = finished::lost(before, &after);
        ensure!(lost.is_empty(), "trials {lost:?} are not what they were before the fault");
    }
    let found = names(&run)?;
    // Logs of builds are there if something had to be built.
    let differ: Vec<_> =
        found.symmetric_difference(&world.names).filter(|name| !name.starts_with("builds")).collect();
    ensure!(differ.is_empty(), "the run's folder differs from that of an undisturbed run: {differ:?}");
    let others: Vec<_> = std::fs::read_dir(world.results())
        .context("reading the results")?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir() && !path.join("run.json").exists())
        .collect();
    ensure!(others.is_empty(), "folders of runs that never began are left: {others:?}");
    Ok(())
}
