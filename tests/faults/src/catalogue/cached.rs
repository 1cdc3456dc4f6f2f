//! Flipped bits in what guests boot and run on: boot images, the unpacked QEMU, the packages that it comes from.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use rand::seq::IndexedRandom as _;

use super::builds::{files, flip};
use crate::{
    child::Said,
    fault::{Chance, Ending, Fault, Then},
    scene::Scene,
    world::{World, to_the_end},
};

const fn fault(
    name: &'static str,
    injected: &'static str,
    whole: u32,
    says: &'static str,
    inject: crate::fault::Inject,
) -> Fault {
    let ends = &[Ending::Exit(0)];
    Fault { name, injected, scene: Scene::Guests, short: 0, whole, ends, says, then: Then::Resume, inject }
}

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "initramfs-flipped",
        "one bit of the cached initramfs is flipped",
        3,
        "The boot image",
        |world, chance| boot_image(world, chance, "cpio"),
    ),
    fault(
        "root-image-flipped",
        "one bit of the cached image of the guests' root is flipped",
        2,
        "The boot image",
        |world, chance| boot_image(world, chance, "erofs"),
    ),
    fault(
        "qemu-flipped",
        "one bit of a random file of the unpacked QEMU is flipped",
        2,
        "The unpacked packages in",
        |world, chance| {
            for root in roots_of_qemu(world)? {
                let own = files(&root)?;
                flip(own.choose(&mut chance.random).context("QEMU has files")?, chance)?;
            }
            to_the_end(world)
        },
    ),
    Fault {
        ends: &[Ending::Exit(69)],
        then: Then::Again,
        ..fault(
            "package-flipped",
            "one bit of QEMU's package is flipped as well, and there is no network to fetch it again",
            1,
            "fetching ",
            package,
        )
    },
];

/// Flips a bit of an image that the guests of this scene boot.
fn boot_image(world: &World, chance: &mut Chance, extension: &str) -> Result<Said> {
    let image = world
        .boots
        .iter()
        .find(|path| path.extension().is_some_and(|found| found == extension))
        .with_context(|| format!("the guests boot no .{extension}"))?;
    flip(image, chance)?;
    to_the_end(world)
}

/// The folders with QEMU's files: an older one may still be there.
fn roots_of_qemu(world: &World) -> Result<Vec<PathBuf>> {
    let roots = world.cache().join("roots");
    let entries = fs::read_dir(&roots).context("reading the roots")?;
    let found = entries.filter_map(|entry| Some(entry.ok()?.path().join("root")));
    let found: Vec<PathBuf> =
        found.filter(|root| root.join("usr/bin/qemu-system-x86_64").is_file()).collect();
    ensure!(!found.is_empty(), "QEMU is not in the cache");
    Ok(found)
}

/// The package is damaged, and so is what was unpacked of it; then it is fetched.
fn package(world: &mut World, chance: &mut Chance) -> Result<Said> {
    let pool = files(&world.cache().join("packages/pool"))?;
    let is_it = |path: &&PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("qemu-system-x86_"))
    };
    let packages: Vec<&PathBuf> = pool.iter().filter(is_it).collect();
    ensure!(!packages.is_empty(), "QEMU's package is not in the pool");
    let whole: Vec<Vec<u8>> = packages
        .iter()
        .map(|package| fs::read(package).context("reading a package"))
        .collect::<Result<_>>()?;
    for package in &packages {
        flip(package, chance)?;
    }
    for root in roots_of_qemu(world)? {
        flip(&root.join("usr/bin/qemu-system-x86_64"), chance)?;
    }
    let said = to_the_end(world)?;
    ensure!(said.line("qemu-system-x86_").is_some(), "the package is not named: {}", said.all());
    for (package, bytes) in packages.iter().zip(whole) {
        fs::write(package, bytes).context("having the package again")?;
    }
    Ok(said)
}
