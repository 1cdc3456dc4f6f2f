//! What a user, a terminal and a scheduler send.

use std::{
    fs::File,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    pty::openpty,
    sys::signal::Signal,
};

use super::kills::running_after;
use crate::{
    census,
    child::{DEADLINE, Said, send, until},
    fault::{Chance, Ending, Fault, Then},
    scene::Scene,
    world::World,
};

/// Longer than anything waits for a machine that does not answer at once.
const ASLEEP: Duration = Duration::from_millis(1500);

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "ctrl-c",
        injected: "SIGINT in the middle of a run",
        scene: Scene::Fake,
        short: 2,
        whole: 10,
        ends: &[Ending::Exit(130)],
        says: "go on with: assay run --resume",
        then: Then::Resume,
        inject: |world, chance| signals(world, chance, &[Signal::SIGINT]),
    },
    Fault {
        name: "ctrl-c-twice",
        injected: "SIGINT, and again at once",
        scene: Scene::Fake,
        short: 2,
        whole: 10,
        ends: &[Ending::Exit(130)],
        says: "go on with: assay run --resume",
        then: Then::Resume,
        inject: |world, chance| signals(world, chance, &[Signal::SIGINT, Signal::SIGINT]),
    },
    Fault {
        name: "terminated",
        injected: "SIGTERM, as `systemctl stop` and a shutdown send it",
        scene: Scene::Fake,
        short: 1,
        whole: 10,
        ends: &[Ending::Exit(130)],
        says: "go on with: assay run --resume",
        then: Then::Resume,
        inject: |world, chance| signals(world, chance, &[Signal::SIGTERM]),
    },
    Fault {
        name: "hung-up",
        injected: "SIGHUP, as a lost ssh connection sends it",
        scene: Scene::Fake,
        short: 1,
        whole: 10,
        ends: &[Ending::Exit(130)],
        says: "go on with: assay run --resume",
        then: Then::Resume,
        inject: |world, chance| signals(world, chance, &[Signal::SIGHUP]),
    },
    Fault {
        name: "terminal-closed",
        injected: "the terminal that it runs in is closed: SIGHUP, and nothing can be written any more",
        scene: Scene::Fake,
        short: 1,
        whole: 10,
        ends: &[Ending::Exit(130)],
        says: "",
        then: Then::Resume,
        inject: terminal,
    },
    Fault {
        name: "suspended",
        injected: "SIGSTOP to everything, and SIGCONT a while later, as when a laptop sleeps",
        scene: Scene::Fake,
        short: 1,
        whole: 5,
        ends: &[Ending::Exit(1)],
        says: "candidate: worse",
        then: Then::Resume,
        inject: suspended,
    },
];

pub(super) fn signals(world: &mut World, chance: &mut Chance, signals: &[Signal]) -> Result<Said> {
    let mut assay = world.start()?;
    let trial = chance.trial(world);
    running_after(world, &mut assay, trial)?;
    for signal in signals {
        assay.signal(*signal)?;
    }
    assay.wait()
}

/// The end that we hold is closed.
fn terminal(world: &mut World, chance: &mut Chance) -> Result<Said> {
    let ends = openpty(None, None).context("opening a terminal")?;
    // Else the child would hold the end that is to be closed.
    fcntl(&ends.master, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).context("keeping a terminal's end")?;
    world.through = ["setsid", "--ctty"].map(str::to_owned).into();
    let mut assay = world.start_on(File::from(ends.slave))?;
    let trial = chance.trial(world);
    running_after(world, &mut assay, trial)?;
    let master: OwnedFd = ends.master;
    drop(master);
    assay.wait()
}

fn suspended(world: &mut World, chance: &mut Chance) -> Result<Said> {
    let mut assay = world.start()?;
    let trial = chance.trial(world);
    running_after(world, &mut assay, trial)?;
    let everybody = || -> Result<Vec<u32>> {
        let ids = census::processes()?;
        Ok(ids.iter().filter_map(|process| process.split(' ').next()?.parse().ok()).collect())
    };
    // A process may begin while others are stopped; one that is gone needs nothing.
    let stopped = |id: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with(['T', 'Z', 'X']))
    };
    until(DEADLINE, || {
        let everybody = everybody()?;
        everybody.iter().for_each(|id| drop(send(*id, Signal::SIGSTOP)));
        Ok(everybody.iter().all(stopped))
    })
    .context("waiting until everything is stopped")?;
    let awake = Instant::now() + ASLEEP;
    until(DEADLINE, || Ok(Instant::now() >= awake))?;
    for id in everybody()? {
        send(id, Signal::SIGCONT)?;
    }
    assay.wait()
}
