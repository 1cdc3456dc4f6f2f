//! SIGKILL, to every process that takes part.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use rand::RngExt;

use crate::{
    census,
    child::{DEADLINE, Said, Started, send, until},
    fault::{Chance, Ending, Fault, Then},
    scene::Scene,
    world::World,
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "harness-killed",
        injected: "kill -9 of `assay run` at a random moment, on the fake machine",
        scene: Scene::Fake,
        short: 10,
        whole: 100,
        ends: &[Ending::Killed],
        says: "",
        then: Then::Resume,
        inject: harness,
    },
    Fault {
        name: "supervisor-killed",
        injected: "kill -9 of the supervisor in the middle of a run",
        scene: Scene::Fake,
        short: 2,
        whole: 10,
        ends: &[Ending::Exit(69)],
        says: "and with it every child it had",
        then: Then::Resume,
        inject: |world, chance| victim(world, chance, "__supervise"),
    },
    Fault {
        name: "machine-killed",
        injected: "kill -9 of the fake machine in the middle of a run",
        scene: Scene::Fake,
        short: 2,
        whole: 10,
        ends: &[Ending::Exit(69)],
        says: "was killed by SIGKILL",
        then: Then::Resume,
        inject: |world, chance| victim(world, chance, "__machine"),
    },
];

/// At a moment drawn from the length of an undisturbed run; earlier if it was over by then.
pub(super) fn harness(world: &mut World, chance: &mut Chance) -> Result<Said> {
    let mut share = chance.random.random_range(0.0..1.0);
    loop {
        let mut assay = world.start()?;
        let moment = Instant::now() + world.usual.mul_f64(share);
        until(DEADLINE, || Ok(Instant::now() >= moment || assay.ended()?))?;
        if !assay.ended()? {
            assay.signal(Signal::SIGKILL)?;
            let said = assay.wait()?;
            // A signal that meets a process on its way out does nothing.
            if said.ending == Ending::Killed {
                return Ok(said);
            }
        }
        share *= 0.8;
        world.forget_results()?;
    }
}

/// Some finished trials after its start, kills the process whose command line has a word that ends with `name`.
pub(super) fn victim(world: &mut World, chance: &mut Chance, name: &str) -> Result<Said> {
    let mut assay = world.start()?;
    let trial = chance.trial(world);
    running_after(world, &mut assay, trial)?;
    let mut hit = false;
    until(Duration::from_secs(30), || {
        for process in census::processes()? {
            if let Some((id, command)) = process.split_once(' ')
                && command.split(' ').any(|word| word.ends_with(name))
            {
                // It may have ended by itself; the next one will do.
                hit = send(id.parse().context("a process id")?, Signal::SIGKILL).is_ok();
            }
        }
        Ok(hit || assay.ended()?)
    })
    .with_context(|| format!("waiting for a process called {name}"))?;
    ensure!(hit, "the run was over before {name} could be killed");
    assay.wait()
}

/// Waits until a trial is finished and the run goes on.
pub(super) fn running_after(world: &World, assay: &mut Started, trial: u32) -> Result<()> {
    until(DEADLINE, || Ok(world.finished(trial)? || assay.ended()?))
        .with_context(|| format!("waiting for trial {trial}"))?;
    Ok(())
}
