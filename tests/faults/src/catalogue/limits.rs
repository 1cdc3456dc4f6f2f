//! Limits on how many processes and threads there may be, as systemd (`TasksMax`), containers and administrators set them.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use rand::RngExt as _;

use crate::{
    child::{Said, until},
    fault::{Chance, Ending, Fault, Inject, Then},
    scene::Scene,
    world::{World, empty, to_the_end},
};

/// Where the controller of processes is, of the first and of the second version of control groups.
const CONTROLLERS: [&str; 2] = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"];

const fn fault(
    name: &'static str,
    injected: &'static str,
    scene: Scene,
    whole: u32,
    inject: Inject,
) -> Fault {
    let (ends, says) = (&[Ending::Exit(69)], "processes|Resource temporarily unavailable");
    Fault { name, injected, scene, short: 2, whole, ends, says, then: Then::Resume, inject }
}

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "few-processes-in-a-run",
        "a control group that allows 2 to 12 processes and threads",
        Scene::Fake,
        11,
        |world, chance| {
            let most = 2 + chance.round;
            limited(world, chance, most)
        },
    ),
    fault(
        "few-processes-in-a-build",
        "the same for a build with nothing in the cache, which is allowed 2 to 12",
        Scene::Build,
        11,
        |world, chance| {
            empty(&world.cache())?;
            let most = 2 + chance.round;
            limited(world, chance, most)
        },
    ),
];

/// Runs the scene's command with at most so many processes and threads in all.
fn limited(world: &mut World, chance: &mut Chance, most: u32) -> Result<Said> {
    let group = group(chance.random.random())?;
    fs::write(group.join("pids.max"), most.to_string()).context("limiting processes")?;
    let enter = format!("echo 0 > {}/cgroup.procs && exec \"$@\"", group.display());
    world.through = ["sh", "-c", &enter, "sh"].map(str::to_owned).into();
    let said = to_the_end(world);
    until(Duration::from_secs(10), || Ok(fs::remove_dir(&group).is_ok()))
        .context("removing the control group: something is left in it")?;
    said
}

/// An empty control group in which processes can be limited.
fn group(number: u64) -> Result<PathBuf> {
    let folders = CONTROLLERS.map(|top| PathBuf::from(top).join(format!("assay-faults-{number:016x}")));
    for folder in &folders {
        if fs::create_dir(folder).is_ok() {
            if folder.join("pids.max").exists() {
                return Ok(folder.clone());
            }
            fs::remove_dir(folder).with_context(|| format!("removing {}", folder.display()))?;
        }
    }
    anyhow::bail!(
        "no control group can be made that limits processes: neither {} nor {}",
        folders[0].display(),
        folders[1].display()
    )
}
