//! No space left, in file systems of a few hundred KiB that belong to the world.

use std::path::Path;

use anyhow::Result;

use crate::{
    child::Said,
    fault::{Chance, Ending, Fault, Then},
    scene::Scene,
    world::{World, empty, to_the_end},
};

const ENDS: &[Ending] = &[Ending::Exit(69)];

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "disk-full-in-a-run",
        injected: "the disk of the results is full: at the first file, in trials, at the report",
        scene: Scene::Fake,
        short: 4,
        whole: 40,
        ends: ENDS,
        says: "No space left on device",
        then: Then::Resume,
        inject: results,
    },
    Fault {
        name: "disk-full-in-a-build",
        injected: "the disk of the cache is full: unpacking, patching, compiling, publishing",
        scene: Scene::Build,
        short: 4,
        whole: 30,
        ends: ENDS,
        // A build is ended while a little room is left for everybody else; make may meet the end of it first.
        says: "No space left on device|the disk is nearly full",
        then: Then::Resume,
        inject: cache,
    },
];

/// The disk has from nothing to nearly all of the room that a run takes; then it is made larger.
fn results(world: &mut World, chance: &mut Chance) -> Result<Said> {
    while_small(world, &world.results(), world.used.0, chance)
}

/// The same for a build that finds nothing in the cache.
fn cache(world: &mut World, chance: &mut Chance) -> Result<Said> {
    empty(&world.cache())?;
    while_small(world, &world.cache(), world.used.1, chance)
}

fn while_small(world: &World, disk: &Path, needs: u64, chance: &Chance) -> Result<Said> {
    // A page is the least that a file takes.
    let kib = (needs * 95 / 100 * u64::from(chance.round) / u64::from(chance.of)).max(4);
    world.resize(disk, Some(kib))?;
    let said = to_the_end(world);
    world.resize(disk, None)?;
    said
}
