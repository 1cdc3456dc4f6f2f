//! Pictures of the HTML report, wide and narrow, light and dark, from headless Chromium: for the README, and to be looked at.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    run::{self, Run},
    setup,
};

/// Real runs: the scenario's name. The first is the README's.
const REAL: [&str; 3] = ["planted-slowdown", "iommu-hooks", "failures"];
/// Runs of the fake machine.
const FAKE: [&str; 3] = ["slower", "twins", "failures"];

/// What is shown of a page, in CSS pixels. The whole page is longer; what is below is looked at with the dark ones.
struct Shape {
    name: &'static str,
    width: u32,
    height: u32,
}

const SHAPES: [Shape; 2] =
    [Shape { name: "wide", width: 1280, height: 3600 }, Shape { name: "narrow", width: 390, height: 7000 }];

/// For the README: the beginning of the page.
const README: [Shape; 2] =
    [Shape { name: "wide", width: 1280, height: 1130 }, Shape { name: "narrow", width: 390, height: 1500 }];

/// Chromium's values of `prefers-color-scheme` (`blink::mojom::PreferredColorScheme`).
const SCHEMES: [(&str, u32); 2] = [("dark", 0), ("light", 1)];

/// What one committed picture may weigh.
const BYTES: u64 = 200_000;

pub(crate) fn screenshots() -> Result<()> {
    setup::everything()?;
    setup::packages(&[("chromium", "screenshots of the HTML report, nothing else")])?;
    let folder = run::target().join("screenshots");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let mut pages = Vec::new();
    for scenario in REAL {
        pages.push((scenario.to_owned(), real(scenario)?));
    }
    for scenario in FAKE {
        pages.push((format!("fake-{scenario}"), fake(scenario, &folder)?));
    }
    for (name, page) in &pages {
        for shape in &SHAPES {
            for scheme in SCHEMES {
                let picture = folder.join(format!("{name}-{}-{}.png", shape.name, scheme.0));
                take(page, shape, scheme.1, &picture, &folder)?;
                println!("{}", picture.display());
            }
        }
    }
    let (_, page) = pages.first().context("there is a page for the README")?;
    readme(page, &folder)
}

/// The page of the newest run of a scenario, which is run now if it never was.
fn real(scenario: &str) -> Result<PathBuf> {
    let newest = || -> Result<Option<PathBuf>> {
        let results = run::top().join("results");
        let Ok(entries) = fs::read_dir(&results) else { return Ok(None) };
        let mut runs = Vec::new();
        for entry in entries {
            let name = entry.context("listing the results")?.file_name().to_string_lossy().into_owned();
            // A name is the time, in digits and dashes, and then the scenario's.
            let is_of = name
                .strip_suffix(scenario)
                .is_some_and(|time| time.chars().all(|c| c.is_ascii_digit() || c == '-'));
            if is_of && results.join(&name).join("report.json").exists() {
                runs.push(name);
            }
        }
        Ok(runs.into_iter().max().map(|name| results.join(name)))
    };
    let folder = match newest()? {
        Some(folder) => folder,
        None => {
            println!("no run of {scenario} is stored: running it");
            verdict(Run::new(run::assay()).args(["run", &format!("scenarios/{scenario}.yaml")]))?;
            newest()?.with_context(|| format!("the run of {scenario} is not in results/"))?
        }
    };
    // Made anew: what is looked at is what this source writes.
    verdict(Run::new(run::assay()).args(["report"]).args([&folder]).quiet())?;
    Ok(folder.join("report.html"))
}

/// The page of a run of the fake machine.
fn fake(scenario: &str, folder: &Path) -> Result<PathBuf> {
    let results = folder.join(format!("fake-{scenario}"));
    if results.exists() {
        fs::remove_dir_all(&results).with_context(|| format!("removing {}", results.display()))?;
    }
    verdict(
        Run::new(run::assay())
            .args(["--project", "tests/fixtures/fake", "--results"])
            .args([&results])
            .args(["--cache"])
            .args([folder.join("cache")])
            .args(["run", &format!("tests/fixtures/fake/scenarios/{scenario}.yaml")])
            .quiet(),
    )?;
    let runs = fs::read_dir(&results).with_context(|| format!("listing {}", results.display()))?;
    let run = runs.filter_map(Result::ok).next().context("the fake run has a folder")?;
    Ok(run.path().join("report.html"))
}

/// Any verdict will do.
fn verdict(run: Run) -> Result<()> {
    match run.ended()?.code {
        Some(0 | 1 | 3) => Ok(()),
        code => bail!("assay ended with {code:?}, which is no verdict"),
    }
}

/// The pictures that the README shows.
fn readme(page: &Path, folder: &Path) -> Result<()> {
    let shown = run::top().join("harness/report/screenshots");
    fs::create_dir_all(&shown).with_context(|| format!("creating {}", shown.display()))?;
    for shape in &README {
        let picture = shown.join(format!("{}.png", shape.name));
        take(page, shape, 1, &picture, folder)?;
        let bytes =
            fs::metadata(&picture).with_context(|| format!("looking at {}", picture.display()))?.len();
        println!("{} ({bytes} bytes)", picture.display());
        if bytes > BYTES {
            bail!("{} is larger than {BYTES} bytes", picture.display());
        }
    }
    Ok(())
}

fn take(page: &Path, shape: &Shape, scheme: u32, picture: &Path, folder: &Path) -> Result<()> {
    if picture.exists() {
        fs::remove_file(picture).with_context(|| format!("removing {}", picture.display()))?;
    }
    let mut arguments = vec![
        "--headless".to_owned(),
        "--disable-gpu".to_owned(),
        "--hide-scrollbars".to_owned(),
        format!("--user-data-dir={}", folder.join("profile").display()),
        format!("--window-size={},{}", shape.width, shape.height),
        format!("--blink-settings=preferredColorScheme={scheme}"),
        format!("--screenshot={}", picture.display()),
    ];
    // Chromium refuses to sandbox itself as root; the page is our own, and its policy lets nothing be loaded.
    if nix::unistd::geteuid().is_root() {
        arguments.push("--no-sandbox".to_owned());
    }
    arguments.push(format!("file://{}", page.display()));
    Run::new("chromium").args(arguments).quiet().ok()?;
    if !picture.exists() {
        bail!("chromium wrote no {}", picture.display());
    }
    Ok(())
}
