//! Wall clocks that jump. `clock.c` moves the clock as every process of the run reads it.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

use super::kills::running_after;
use crate::{
    child::Said,
    fault::{Chance, Ending, Fault, Then},
    scene::Scene,
    world::{OWN, World},
};

const YEAR: i64 = 365 * 86_400;
const SOURCE: &str = include_str!("../clock.c");

const fn fault(name: &'static str, injected: &'static str, inject: crate::fault::Inject) -> Fault {
    let (ends, says) = (&[Ending::Exit(1)], "candidate: worse");
    Fault { name, injected, scene: Scene::Fake, short: 1, whole: 10, ends, says, then: Then::Resume, inject }
}

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "clock-jumps-forward",
        "the host's clock jumps forward by a year in the middle of a run",
        |world, chance| jump(world, chance, 0, YEAR),
    ),
    fault(
        "clock-jumps-back",
        "the host's clock jumps back by a year in the middle of a run",
        |world, chance| jump(world, chance, 0, -YEAR),
    ),
    fault(
        "clock-unset",
        "the clock of a host without a battery: 1970 when the run begins, then set",
        |world, chance| {
            let now = std::fs::metadata("/proc/self")
                .and_then(|about| about.modified())
                .context("reading the time")?;
            let since = now.duration_since(std::time::UNIX_EPOCH).context("a time after 1970")?.as_secs();
            jump(world, chance, 60 - i64::try_from(since).context("a time before the year 292277026596")?, 0)
        },
    ),
];

/// The clock is `first` seconds from the real time when a run begins, and `then` seconds after some trial.
fn jump(world: &mut World, chance: &mut Chance, first: i64, then: i64) -> Result<Said> {
    let (library, file) = (format!("{OWN}/clock.so"), format!("{OWN}/clock"));
    if !Path::new(&library).exists() {
        let source = format!("{OWN}/clock.c");
        fs::write(&source, SOURCE).context("writing the clock's source")?;
        world.tool("cc", &["-O2", "-shared", "-fPIC", "-o", &library, &source, "-ldl"])?;
    }
    fs::write(&file, first.to_ne_bytes()).context("setting the clock")?;
    world.variables = [("LD_PRELOAD", &library), ("CLOCK_OFFSET", &file)]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
    let mut assay = world.start()?;
    let trial = chance.trial(world);
    running_after(world, &mut assay, trial)?;
    // In place: it is mapped.
    let clock = fs::File::options().write(true).open(&file).context("opening the clock")?;
    std::os::unix::fs::FileExt::write_all_at(&clock, &then.to_ne_bytes(), 0).context("moving the clock")?;
    let said = assay.wait()?;
    let run = world.run()?.context("a run was made")?;
    let name = run.file_name().unwrap_or_default().to_string_lossy().into_owned();
    ensure!(first == 0 || name.starts_with("1970"), "the clock was not moved: {name}");
    Ok(said)
}
