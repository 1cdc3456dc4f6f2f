//! Folders that are not as they were, limits that are too low.

use std::{fs, os::unix::net::UnixListener, path::Path};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::kills::running_after;
use crate::{
    child::Said,
    fault::{Ending, Fault, Then},
    scene::Scene,
    world::{World, empty, to_the_end},
};

const FAILS: &[Ending] = &[Ending::Exit(69)];

const fn fault(
    name: &'static str,
    injected: &'static str,
    says: &'static str,
    inject: crate::fault::Inject,
) -> Fault {
    Fault {
        name,
        injected,
        scene: Scene::Fake,
        short: 1,
        whole: 5,
        ends: FAILS,
        says,
        then: Then::Resume,
        inject,
    }
}

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "results-read-only",
        "the results folder is on a read-only file system",
        "Read-only file system",
        |world, _| read_only(world, &world.results(), to_the_end),
    ),
    fault(
        "resumed-read-only",
        "a run is to be taken up on a file system that is read-only now",
        "Read-only file system",
        |world, chance| {
            let trial = chance.trial(world);
            let mut assay = world.start()?;
            running_after(world, &mut assay, trial)?;
            assay.signal(Signal::SIGKILL)?;
            assay.wait()?;
            let run = world.run()?.context("a run was begun")?.display().to_string();
            read_only(world, &world.results(), |world| world.assay(&["run", "--resume", &run])?.wait())
        },
    ),
    Fault {
        then: Then::Again,
        ..fault(
            "results-removed",
            "the results folder is removed in the middle of a run",
            "No such file or directory",
            |world, chance| {
                let trial = chance.trial(world);
                let mut assay = world.start()?;
                running_after(world, &mut assay, trial)?;
                world.forget_results()?;
                assay.wait()
            },
        )
    },
    Fault {
        ends: &[Ending::Exit(69), Ending::Exit(1)],
        ..fault("cache-removed", "the cache folder is removed in the middle of a run", "", |world, chance| {
            let trial = chance.trial(world);
            let mut assay = world.start()?;
            running_after(world, &mut assay, trial)?;
            empty(&world.cache())?;
            assay.wait()
        })
    },
    fault(
        "cache-read-only",
        "the cache is on a read-only file system and lacks a kernel",
        "Read-only file system",
        |world, _| {
            empty(&world.cache())?;
            read_only(world, &world.cache(), to_the_end)
        },
    ),
    Fault {
        ends: &[Ending::Exit(1)],
        ..fault(
            "stale-socket",
            "a folder of sockets that a dead invocation left, under the name of this one",
            "candidate: worse",
            |world, _| {
                let user = nix::unistd::geteuid();
                let base =
                    if user.is_root() { "/run/assay".to_owned() } else { format!("/tmp/assay-{user}") };
                // The ids that come next.
                let next = std::process::id() + 1;
                for id in next..next + 2000 {
                    let folder = Path::new(&base).join(format!("{id}-0"));
                    fs::create_dir_all(&folder).context("creating a stale folder")?;
                    if id % 500 == 0 {
                        drop(
                            UnixListener::bind(folder.join("guest.agent"))
                                .context("binding a stale socket")?,
                        );
                    }
                }
                to_the_end(world)
            },
        )
    },
    fault("few-descriptors", "RLIMIT_NOFILE of 16", "files may be open at once", |world, _| {
        world.through = ["prlimit", "--nofile=16:16"].map(str::to_owned).into();
        to_the_end(world)
    }),
];

/// Does something while nothing can be written to a disk.
fn read_only(world: &World, disk: &Path, act: impl FnOnce(&World) -> Result<Said>) -> Result<Said> {
    world.read_only(disk, true)?;
    let said = act(world);
    world.read_only(disk, false)?;
    said
}
