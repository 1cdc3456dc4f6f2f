//! Files that end too soon, at every byte.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    child::Said,
    fault::{Chance, Ending, Fault, Then},
    scene::Scene,
    world::{OWN, ROOM, World},
};

/// In the short form one cut of so many is made, at another place for another seed.
const STRIDE: u64 = 97;
/// Every cut of an index is one cut of so many: it is a database of tens of kilobytes, and its pages are alike.
const INDEX_STRIDE: usize = 61;

/// Every cut of a bundle is one cut of so many: it is compressed, so that its bytes are alike; `harness/bundle` tests all.
const BUNDLE_STRIDE: usize = 13;

const fn cut(
    name: &'static str,
    injected: &'static str,
    says: &'static str,
    inject: crate::fault::Inject,
) -> Fault {
    let ends = &[Ending::Exit(2), Ending::Exit(69), Ending::Exit(0)];
    Fault { name, injected, scene: Scene::Fake, short: 1, whole: 1, ends, says, then: Then::Nothing, inject }
}

pub(super) const FAULTS: &[Fault] = &[
    cut("scenario-cut", "a scenario is cut at every byte, and planned", "cut.yaml:", |world, chance| {
        let text = String::from_utf8(fixture(world, "tests/fixtures/fake/scenarios/slower.yaml")?)
            .context("reading a scenario")?;
        let script = world.top.join("tests/fixtures/fake/script.json").display().to_string();
        let whole = text.replace("../script.json", &script).into_bytes();
        let file = own("cut.yaml");
        let command = ["--project", "tests/fixtures/fake", "plan", "/tmp/f/own/cut.yaml"];
        sweep(
            world,
            chance,
            &Cut {
                file: &file,
                whole: &whole,
                stride: 1,
                command: &command,
                ends: &[0, 2],
                names: "cut.yaml",
            },
        )
    }),
    Fault {
        scene: Scene::Build,
        ..cut(
            "base-cut",
            "the file of a kernel is cut at every byte, and planned with",
            "toy.yaml:",
            |world, chance| {
                let file = Path::new(ROOM).join("toy/kernels/toy.yaml");
                let whole = fs::read(&file).context("reading the toy's base")?;
                let command = ["--project", "/tmp/f/toy", "plan", "/tmp/f/toy/scenarios/toy.yaml"];
                sweep(
                    world,
                    chance,
                    &Cut {
                        file: &file,
                        whole: &whole,
                        stride: 1,
                        command: &command,
                        ends: &[0, 2],
                        names: "toy",
                    },
                )
            },
        )
    },
    cut(
        "mbox-cut",
        "a mailbox with two patches is cut at every byte, and shown",
        "cut.mbox",
        |world, chance| {
            let whole = fixture(world, "tests/fixtures/series/slow-receive.mbox")?;
            let command = ["series", "show", "/tmp/f/own/cut.mbox"];
            sweep(
                world,
                chance,
                &Cut {
                    file: &own("cut.mbox"),
                    whole: &whole,
                    stride: 1,
                    command: &command,
                    ends: &[0, 2],
                    names: "",
                },
            )
        },
    ),
    cut("patch-cut", "a patch of a series is cut at every byte, and shown", "cut off", |world, chance| {
        let whole = fixture(world, "tests/fixtures/toy-kernel/0001-another-sum.patch")?;
        let command = ["series", "show", "/tmp/f/own/cut"];
        sweep(
            world,
            chance,
            &Cut {
                file: &own("cut/cut.patch"),
                whole: &whole,
                stride: 1,
                command: &command,
                ends: &[0, 2],
                names: "",
            },
        )
    }),
    cut(
        "run-cut",
        "`run.json` of a finished run is cut at every byte, and reported",
        "run.json",
        |world, chance| result(world, chance, "run.json"),
    ),
    cut(
        "trial-cut",
        "`trial.json` of a finished trial is cut at every byte, and reported",
        "trial.json",
        |world, chance| result(world, chance, "trials/0/trial.json"),
    ),
    cut(
        "samples-cut",
        "`samples.jsonl` of a finished run is cut at every byte, and reported",
        "samples.jsonl",
        |world, chance| result(world, chance, "samples.jsonl"),
    ),
    cut("bundle-cut", "a bundle is cut at every 13th byte, and shown", "cut.bundle", |world, chance| {
        finished_run(world)?;
        let file = own("cut.bundle");
        let made = world.assay(&["bundle", "--no-images", "--output", "/tmp/f/own/cut.bundle"])?.wait()?;
        ensure!(made.ending == Ending::Exit(0), "the bundle to be cut: {}", made.all());
        let whole = fs::read(&file).context("reading the bundle")?;
        let command = ["bundle", "--show", "/tmp/f/own/cut.bundle"];
        sweep(
            world,
            chance,
            &Cut {
                file: &file,
                whole: &whole,
                stride: BUNDLE_STRIDE,
                command: &command,
                ends: &[2],
                names: "cut.bundle",
            },
        )
    }),
    cut(
        "index-cut",
        "`index.sqlite` is cut at every 61st byte, and runs are listed",
        "small",
        |world, chance| {
            finished_run(world)?;
            world.assay(&["runs"])?.wait()?;
            let file = world.results().join("index.sqlite");
            let whole = fs::read(&file).context("reading the index")?;
            sweep(
                world,
                chance,
                &Cut {
                    file: &file,
                    whole: &whole,
                    stride: INDEX_STRIDE,
                    command: &["runs"],
                    ends: &[0],
                    names: "",
                },
            )
        },
    ),
];

/// One kind of cut.
struct Cut<'a> {
    /// Where the file stands that is cut.
    file: &'a Path,
    /// What it is when it is whole.
    whole: &'a [u8],
    /// One cut of so many is made.
    stride: usize,
    /// What reads it.
    command: &'a [&'a str],
    /// Exit statuses that are right.
    ends: &'a [i32],
    /// What a refusal must name.
    names: &'a str,
}

/// Makes every cut, and gives what was said of the last one that was refused, or of the last one if none was.
fn sweep(world: &World, chance: &mut Chance, cut: &Cut<'_>) -> Result<Said> {
    fs::create_dir_all(cut.file.parent().context("a file has a folder")?).context("making a folder")?;
    let (first, stride) = if chance.short {
        let offset = usize::try_from(chance.seed % STRIDE).context("a small number")?;
        (offset, cut.stride * usize::try_from(STRIDE).context("a small number")?)
    } else {
        (0, cut.stride)
    };
    let mut shown = None;
    for length in (first..cut.whole.len()).step_by(stride) {
        fs::write(cut.file, &cut.whole[..length])
            .with_context(|| format!("cutting {}", cut.file.display()))?;
        let said = world.assay(cut.command)?.wait()?;
        let Ending::Exit(code) = said.ending else { bail!("cut at {length}: {}", said.all()) };
        let right = cut.ends.contains(&code) && (code == 0 || said.stderr.contains(cut.names));
        ensure!(right && !said.stderr.contains("panicked at"), "cut at {length}: {}", said.all());
        chance.injections += 1;
        if code != 0 || shown.is_none() {
            shown = Some(said);
        }
    }
    fs::write(cut.file, cut.whole).context("mending what was cut")?;
    shown.with_context(|| format!("{} is too short to be cut", cut.file.display()))
}

/// A file of a finished run: whatever is cut off, the report must refuse and name the file, and never be about less.
fn result(world: &World, chance: &mut Chance, name: &str) -> Result<Said> {
    let run = finished_run(world)?;
    let file = run.join(name);
    let whole = fs::read(&file).with_context(|| format!("reading {name}"))?;
    let folder = run.display().to_string();
    let command = ["report", &folder];
    let short = Path::new(name).file_name().and_then(|name| name.to_str()).unwrap_or(name);
    sweep(
        world,
        chance,
        &Cut { file: &file, whole: &whole, stride: 1, command: &command, ends: &[2, 69], names: short },
    )
}

/// One boot of each arm: few samples, so that each of their bytes can have its turn.
const SMALL: &str = "\
# Is what was cut told?
schema: 1
machine: { fake: SCRIPT }
arms:
  baseline: { base: steady }
  candidate: { base: slower }
workloads:
  tcp: { tool: iperf3, duration: 2s, warmup: 0s }
collect: []
boots: 1
";

fn finished_run(world: &World) -> Result<PathBuf> {
    world.forget_results()?;
    let script = world.top.join("tests/fixtures/fake/script.json");
    let scenario = own("small.yaml");
    fs::write(&scenario, SMALL.replace("SCRIPT", &script.display().to_string()))
        .context("writing a scenario")?;
    let said = world.assay(&["--project", "tests/fixtures/fake", "run", "/tmp/f/own/small.yaml"])?.wait()?;
    ensure!(said.ending == Ending::Exit(0), "the run to be cut: {}", said.all());
    world.run()?.context("the run to be cut")
}

fn own(name: &str) -> PathBuf {
    Path::new(OWN).join(name)
}

fn fixture(world: &World, name: &str) -> Result<Vec<u8>> {
    fs::read(world.top.join(name)).with_context(|| format!("reading {name}"))
}
