//! A disk that fails while a run goes on: a file system of its own in a file, which is told that its disk has failed.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::kills::running_after;
use crate::{
    census,
    child::{DEADLINE, Said, until},
    fault::{Chance, Ending, Fault, Then},
    scene::Scene,
    world::{OWN, World, empty},
};

pub(super) const FAULTS: &[Fault] = &[Fault {
    name: "results-turn-read-only",
    injected: "the disk of the results fails in the middle of a run, and ext4 makes its file system read-only",
    scene: Scene::Fake,
    short: 1,
    whole: 5,
    ends: &[Ending::Exit(69)],
    says: "Read-only file system|Structure needs cleaning|Input/output error",
    then: Then::Resume,
    inject: fails,
}];

fn fails(world: &mut World, chance: &mut Chance) -> Result<Said> {
    let (image, results, kept) = (format!("{OWN}/disk"), world.results(), Path::new(OWN).join("kept"));
    let place = results.display().to_string();
    let file = fs::File::create(&image).context("creating a disk")?;
    file.set_len(64 << 20).context("creating a disk")?;
    world.tool("mkfs.ext4", &["-q", "-F", &image])?;
    world.tool("mount", &["-n", "-o", "loop,errors=remount-ro", &image, &place])?;
    let said = run_until_it_fails(world, chance, &place);
    until(DEADLINE, || Ok(census::processes()?.is_empty()))
        .context("waiting for the end of every process")?;
    // The user takes what can still be read to a disk that works.
    world.tool("cp", &["--archive", &place, &kept.display().to_string()])?;
    world.tool("umount", &["-n", &place])?;
    empty(&results)?;
    world.tool("cp", &["--archive", &format!("{}/.", kept.display()), &place])?;
    fs::remove_dir(results.join("lost+found")).context("removing what ext4 made")?;
    fs::remove_dir_all(&kept).context("removing a copy")?;
    fs::remove_file(&image).context("removing a disk")?;
    said
}

fn run_until_it_fails(world: &World, chance: &mut Chance, place: &str) -> Result<Said> {
    let device = world.tool("findmnt", &["--noheadings", "--output", "SOURCE", "--mountpoint", place])?;
    // The folder's own file system lies below it.
    let device = device.lines().find_map(|line| line.strip_prefix("/dev/")).context("a disk is mounted")?;
    let trial = chance.trial(world);
    let mut assay = world.start()?;
    running_after(world, &mut assay, trial)?;
    // fs/ext4/sysfs.c, trigger_test_error: as if the disk had.
    fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "a disk that fails")
        .context("making the disk fail")?;
    assay.wait()
}
