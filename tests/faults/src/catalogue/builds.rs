//! What can happen while a kernel is built, and to what was built.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use rand::{RngExt, seq::IndexedRandom as _};

use crate::{
    census,
    child::{DEADLINE, Said, Started, send, until},
    fault::{Chance, Ending, Fault, Then},
    scene::Scene,
    world::{World, empty, to_the_end},
};

const fn fault(
    name: &'static str,
    injected: &'static str,
    says: &'static str,
    inject: crate::fault::Inject,
) -> Fault {
    let ends = &[Ending::Exit(69)];
    Fault { name, injected, scene: Scene::Build, short: 1, whole: 10, ends, says, then: Then::Resume, inject }
}

pub(super) const FAULTS: &[Fault] = &[
    fault("make-killed", "kill -9 of make, as the OOM killer does it", "ended by this host", |world, _| {
        in_a_build(world, "make", Signal::SIGKILL)
    }),
    fault("compiler-killed", "kill -9 of the compiler", "ended by this host", |world, _| {
        in_a_build(world, "cc1", Signal::SIGKILL)
    }),
    fault("sandbox-killed", "kill -9 of the build's sandbox", "ended by this host", |world, _| {
        let (assay, _) = building(world, "make")?;
        kill_each(|command| command.starts_with("bwrap "))?;
        assay.wait()
    }),
    Fault {
        ends: &[Ending::Killed],
        ..fault(
            "build-killed",
            "kill -9 of `assay run` at a random moment, with nothing in the cache",
            "",
            |world, chance| {
                empty(&world.cache())?;
                super::kills::harness(world, chance)
            },
        )
    },
    Fault {
        ends: &[Ending::Exit(130)],
        ..fault("build-interrupted", "SIGINT while a kernel is built", "interrupted", |world, _| {
            let assay = building(world, "make")?.0;
            assay.signal(Signal::SIGINT)?;
            assay.wait()
        })
    },
    Fault {
        ends: &[Ending::Exit(0)],
        ..fault(
            "image-flipped",
            "one bit of a cached kernel's image is flipped",
            "is damaged",
            |world, chance| {
                let images = files(&world.cache().join("kernels/images"))?;
                let images: Vec<_> = images.iter().filter(|path| path.ends_with("image")).collect();
                flip(images.choose(&mut chance.random).context("an image is in the cache")?, chance)?;
                to_the_end(world)
            },
        )
    },
    Fault {
        ends: &[Ending::Exit(0)],
        whole: 40,
        short: 4,
        ..fault(
            "kernel-flipped",
            "one bit of a random file of a cached kernel is flipped",
            "",
            |world, chance| {
                flip_one(world, chance, "kernels/images")?;
                to_the_end(world)
            },
        )
    },
    Fault {
        ends: &[Ending::Exit(0)],
        whole: 5,
        ..fault(
            "two-at-once",
            "two runs of one question at once, with nothing in the cache",
            "",
            |world, _| {
                empty(&world.cache())?;
                let (one, other) = (world.start()?, world.start()?);
                let (one, other) = (one.wait()?, other.wait()?);
                ensure!(
                    one.ending == other.ending,
                    "the two end differently: {}\n{}",
                    one.all(),
                    other.all()
                );
                Ok(one)
            },
        )
    },
    Fault {
        ends: &[Ending::Exit(0)],
        ..fault(
            "one-of-two-killed",
            "two runs at once, with nothing in the cache, and kill -9 of the one that builds",
            "",
            |world, _| {
                let (first, _) = building(world, "make")?;
                let other = world.start()?;
                first.signal(Signal::SIGKILL)?;
                first.wait()?;
                other.wait()
            },
        )
    },
    fault(
        "cache-not-ours",
        "a folder of the cache may not be written to by the user who builds",
        "closed to others",
        |world, _| {
            empty(&world.cache())?;
            // As with a home folder of mode 0700: builds run as a user who belongs to nobody.
            fs::set_permissions(world.cache(), fs::Permissions::from_mode(0o700))
                .context("closing the cache")?;
            let said = to_the_end(world);
            fs::set_permissions(world.cache(), fs::Permissions::from_mode(0o755))
                .context("opening the cache")?;
            said
        },
    ),
];

/// Starts a run with nothing in the cache and waits until a process called `name` is at work; gives its id.
pub(super) fn building(world: &World, name: &str) -> Result<(Started, u32)> {
    empty(&world.cache())?;
    let mut assay = world.start()?;
    let mut found = None;
    until(DEADLINE, || {
        for process in census::processes()? {
            let Some((id, command)) = process.split_once(' ') else { continue };
            let program = command.split(' ').next().unwrap_or_default();
            if Path::new(program).file_name().is_some_and(|file| file == name) {
                found = id.parse().ok();
            }
        }
        Ok(found.is_some() || assay.ended()?)
    })
    .with_context(|| format!("waiting for {name}"))?;
    match found {
        Some(id) => Ok((assay, id)),
        None => anyhow::bail!("the run was over before there was a {name}: {}", assay.wait()?.all()),
    }
}

fn in_a_build(world: &World, name: &str, signal: Signal) -> Result<Said> {
    let (assay, id) = building(world, name)?;
    send(id, signal).with_context(|| format!("{name} was over too soon"))?;
    assay.wait()
}

/// Sends SIGKILL to every process with such a command line.
fn kill_each(is_victim: impl Fn(&str) -> bool) -> Result<()> {
    let mut hit = false;
    for process in census::processes()? {
        if let Some((id, command)) = process.split_once(' ')
            && is_victim(command)
        {
            // The first may have taken the others along.
            hit |= send(id.parse().context("a process id")?, Signal::SIGKILL).is_ok();
        }
    }
    ensure!(hit, "there was nothing to kill");
    Ok(())
}

/// Flips a bit of a file below `folder` of the cache; both are drawn.
fn flip_one(world: &World, chance: &mut Chance, folder: &str) -> Result<()> {
    let files = files(&world.cache().join(folder))?;
    flip(files.choose(&mut chance.random).with_context(|| format!("{folder} holds no file"))?, chance)
}

/// Every file below `folder` with something in it, in a fixed order.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    Ok(files)
}

pub(super) fn flip(file: &Path, chance: &mut Chance) -> Result<()> {
    let mut bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let (at, bit) = (chance.random.random_range(0..bytes.len()), chance.random.random_range(0..8));
    bytes[at] ^= 1_u8 << bit;
    fs::write(file, bytes).with_context(|| format!("writing {}", file.display()))
}

/// Every file with something in it.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry.context("reading the cache")?;
        let about = entry.metadata().context("looking at a file of the cache")?;
        if about.is_dir() {
            collect(&entry.path(), files)?;
        } else if about.len() > 0 {
            files.push(entry.path());
        }
    }
    Ok(())
}
