//! What is running while something breaks: a scenario, and how it ends when nothing does.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::world::{ROOM, World};

/// Something to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// Twelve trials on the fake machine, in some tenths of a second.
    Fake,
    /// A toy kernel and a series on it, built in the sandbox; then trials on the fake machine.
    Build,
    /// Four boots of a real kernel, which is in the machine's cache; what is written to that cache goes to a layer of the world's own.
    Guests,
}

/// The files of the toy kernel, in `tests/fixtures/toy-kernel`.
const TOY: [&str; 6] = ["Makefile", "Kconfig", "scripts/conf.awk", "include/toy.h", "alpha.c", "beta.c"];

const TOY_SCENARIO: &str = "\
# Does another sum make the toy slower?
schema: 1
machine: { fake: ../script.json }
base: toy
arms:
  baseline: {}
  candidate: { series: ../series }
workloads:
  tcp: { tool: iperf3, duration: 2s, warmup: 0s }
collect: []
boots: 2
";

const GUESTS_SCENARIO: &str = "\
# Does a guest count?
schema: 1
base: debian-6.12
machine: { topology: loopback }
arms:
  baseline: {}
  candidate: { cmdline: [quiet] }
workloads:
  count: { tool: command, run: [seq, \"100000\"] }
collect: []
boots: 2
";

impl Scene {
    /// Makes the files that it needs.
    pub(crate) fn prepare(self, world: &World) -> Result<()> {
        match self {
            Self::Fake => Ok(()),
            Self::Build => toy_project(world),
            Self::Guests => {
                write("guests.yaml", GUESTS_SCENARIO)?;
                world.layer_over_the_machines_cache()
            }
        }
    }

    /// The arguments of the command that asks its question.
    pub(crate) fn command(self) -> Vec<String> {
        let words: &[&str] = match self {
            Self::Fake => &["run", "tests/fixtures/fake/scenarios/slower.yaml"],
            Self::Build => &["--project", "/tmp/f/toy", "run", "/tmp/f/toy/scenarios/toy.yaml"],
            Self::Guests => &["--project", ".", "run", "/tmp/f/guests.yaml"],
        };
        words.iter().map(|&word| word.to_owned()).collect()
    }

    /// The exit status when nothing breaks.
    pub(crate) fn exit(self) -> i32 {
        match self {
            Self::Fake => 1,
            Self::Build | Self::Guests => 0,
        }
    }

    /// Trials of the whole run.
    pub(crate) fn trials(self) -> usize {
        match self {
            Self::Fake => 12,
            Self::Build | Self::Guests => 4,
        }
    }
}

fn write(name: &str, text: &str) -> Result<PathBuf> {
    let path = PathBuf::from(ROOM).join(name);
    fs::create_dir_all(path.parent().context("a file has a folder")?).context("making a folder")?;
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

/// A project whose one base is the toy kernel.
fn toy_project(world: &World) -> Result<()> {
    let fixtures = world.top.join("tests/fixtures");
    let tree = PathBuf::from(ROOM).join("linux-6.12.7");
    for name in TOY {
        let to = tree.join(name);
        fs::create_dir_all(to.parent().context("a file has a folder")?).context("making the toy's tree")?;
        fs::copy(fixtures.join("toy-kernel").join(name), &to).with_context(|| format!("copying {name}"))?;
    }
    let tarball = format!("{ROOM}/toy/linux-6.12.7.tar");
    fs::create_dir_all(format!("{ROOM}/toy")).context("making the toy's project")?;
    world.tool("tar", &["--create", "--file", &tarball, "--directory", ROOM, "linux-6.12.7"])?;
    let sums = world.tool("sha256sum", &[&tarball])?;
    let sha256 = sums.split(' ').next().unwrap_or_default();
    write(
        "toy/kernels/toy.yaml",
        &format!(
            "# A toy with the targets and the options of a kernel.\nschema: 1\nversion: \"6.12\"\n\
             source: {{ kind: tarball, location: ../linux-6.12.7.tar, sha256: {sha256} }}\n\
             config: {{ start: tinyconfig, fragments: [toy] }}\n"
        ),
    )?;
    write("toy/kernels/fragments/toy.config", "CONFIG_PCI=y\n")?;
    write("toy/scenarios/toy.yaml", TOY_SCENARIO)?;
    let patch = fs::read_to_string(fixtures.join("toy-kernel/0001-another-sum.patch"))
        .context("reading the toy's patch")?;
    write("toy/series/0001-another-sum.patch", &patch)?;
    let script =
        fs::read_to_string(fixtures.join("fake/script.json")).context("reading the fake machine's script")?;
    // Its files stand beside the fixtures.
    write("toy/script.json", &script.replace("\"../", &format!("\"{}/", fixtures.display())))?;
    Ok(())
}
