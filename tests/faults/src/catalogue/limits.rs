//! Limits on how many processes and threads there may be, as systemd (`TasksMax`), containers and administrators set them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use rand::RngExt as _;

use super::{builds::building, kills::running_after};
use crate::{
    child::{Said, until},
    fault::{Chance, Ending, Fault, Inject, Then},
    scene::Scene,
    world::{World, to_the_end},
};

/// Where the controller of processes is, of the first and of the second version of control groups.
const CONTROLLERS: [&str; 2] = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"];

const fn fault(
    name: &'static str,
    injected: &'static str,
    scene: Scene,
    whole: u32,
    says: &'static str,
    inject: Inject,
) -> Fault {
    let ends = &[Ending::Exit(69)];
    Fault { name, injected, scene, short: 1, whole, ends, says, then: Then::Resume, inject }
}

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "few-processes",
        "a control group that allows 4, 8, ... 40 processes and threads",
        Scene::Fake,
        10,
        "more processes and threads may be started here|Resource temporarily unavailable",
        |world, chance| {
            let most = 4 + 4 * chance.round;
            in_a_group(world, chance, &most.to_string(), |world, _, _| to_the_end(world))
        },
    ),
    fault(
        "no-more-processes-in-a-run",
        "from the middle of a run on, no process and no thread can be made",
        Scene::Fake,
        5,
        "Resource temporarily unavailable",
        |world, chance| {
            in_a_group(world, chance, "max", |world, chance, limit| {
                let trial = chance.trial(world);
                let mut assay = world.start()?;
                running_after(world, &mut assay, trial)?;
                fs::write(limit, "0").context("limiting processes")?;
                assay.wait()
            })
        },
    ),
    fault(
        "no-more-processes-in-a-build",
        "from the middle of a build on, no process can be made",
        Scene::Build,
        5,
        "ended by this host|Resource temporarily unavailable",
        |world, chance| {
            in_a_group(world, chance, "max", |world, _, limit| {
                let (assay, _) = building(world, "make")?;
                fs::write(limit, "0").context("limiting processes")?;
                assay.wait()
            })
        },
    ),
];

/// Does something while every `assay` is in a control group of its own, with such a limit of processes and threads.
fn in_a_group(
    world: &mut World,
    chance: &mut Chance,
    most: &str,
    act: impl FnOnce(&World, &mut Chance, &Path) -> Result<Said>,
) -> Result<Said> {
    let group = group(chance.random.random())?;
    let limit = group.join("pids.max");
    fs::write(&limit, most).context("limiting processes")?;
    let enter = format!("echo 0 > {}/cgroup.procs && exec \"$@\"", group.display());
    world.through = ["sh", "-c", &enter, "sh"].map(str::to_owned).into();
    let said = act(world, chance, &limit);
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
