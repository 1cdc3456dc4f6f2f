//! A search on disk: what is asked, and every visit that is over. Visits are what follows is made from, so that an interrupted search goes on as if nothing had been.
//!
//! The first stage's visits are beside what is asked; each further one has a folder: `stage-2/stage.json`, `stage-2/visits.jsonl`. All runs are in `visits/`.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use ::bisect::Stage;
use anyhow::{Context, bail};
use plan::{ConfigOption, Plan};
use serde::{Deserialize, Serialize};

use super::units;
use crate::failure::Failure;

/// The version of the files. A reader refuses a newer one. Before 2 there were no options, words and stages.
const FORMAT: u32 = 2;
const SEARCH: &str = "bisect.json";
const VISITS: &str = "visits.jsonl";
const STAGE: &str = "stage.json";

/// What is asked: `bisect.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    pub(super) format: u32,
    /// Version of the `assay` that wrote it.
    pub(super) assay: String,
    /// Of its gates the one that is asked about still stands there; its only arm is the good end.
    pub(super) plan: Plan,
    pub(super) by: By,
    /// The probability at which it ends.
    pub(super) confidence: f64,
    /// By number; 0 is the good end, the last one the bad end.
    pub(super) nodes: Vec<Node>,
    /// Whether nodes are commits of a git tree.
    pub(super) is_git: bool,
    /// What each node after the good end adds to the one before it; empty where these are commits, or a series of before there were units.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) units: Vec<Unit>,
    /// Whether the smallest set of units is looked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) subset: bool,
}

/// What tells good from bad.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum By {
    /// The metric of the plan's gate with this number.
    Metric { gate: usize },
    /// Tests of a workload that fail and never failed at the good end.
    Tests { workload: String },
    /// Kernels that crash or hang.
    Crash,
}

/// What can be put in place by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "unit", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Unit {
    /// A patch: its series, of which only that is left.
    Patch { series: plan::Series },
    /// An option of the kernel's configuration.
    Option { option: ConfigOption },
    /// A word of the kernel's command line.
    Word { word: String },
}

/// A state of the source, of the configuration, or of the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Node {
    /// A commit, a patch's file name, an option or a word.
    pub(super) name: String,
    /// The first line of its message; the name where there is none.
    pub(super) title: String,
    /// Numbers of its parents.
    pub(super) parents: Vec<usize>,
    /// What is applied to the base.
    pub(super) series: Vec<plan::Series>,
    /// How often such a commit is the culprit, against others.
    pub(super) weight: f64,
    /// The options of its units, beyond the arm's; made anew from the units.
    #[serde(skip)]
    pub(super) options: Vec<ConfigOption>,
    /// The words of its units, after the arm's; made anew from the units.
    #[serde(skip)]
    pub(super) words: Vec<String>,
}

/// A node that was built and booted, or could not be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Visit {
    pub(super) node: usize,
    /// The run with all that was seen, in `visits/`.
    pub(super) run: String,
    /// sha256 of the image, if it was built.
    pub(super) image: Option<String>,
    pub(super) found: Found,
    /// Seconds until the image was there.
    pub(super) build_seconds: f64,
    /// Seconds of all boots.
    pub(super) boot_seconds: f64,
    /// How many boots.
    pub(super) boots: u32,
}

/// What a visit found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "found", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Found {
    /// The metric of each boot and its block, in the metric's unit.
    Values { values: Vec<(u32, f64)> },
    /// How many boots crashed, and how many did not.
    Crashes { failed: u32, passed: u32 },
    /// The tests that failed in each boot.
    Tests { failing: Vec<Vec<String>> },
    /// Nothing: why.
    Untestable { reason: String },
}

/// A stage and what was visited in it.
#[derive(Clone, Debug)]
pub(super) struct Leg {
    pub(super) stage: Stage,
    /// Their nodes are numbers of this stage.
    pub(super) visits: Vec<Visit>,
    /// How probable the answer of the stage before is, on which this one rests; 1 in the first.
    pub(super) rests_on: f64,
}

/// `stage.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StageFile {
    format: u32,
    held: Vec<Vec<usize>>,
    rest: Vec<usize>,
    rests_on: f64,
}

/// A search that is open for writing: nobody else goes on with it meanwhile.
#[derive(Debug)]
pub(super) struct State {
    pub(super) folder: PathBuf,
    pub(super) asked: Asked,
    /// By number; there is a first one.
    pub(super) legs: Vec<Leg>,
    /// Held as long as this lives.
    _lock: File,
}

impl State {
    /// A new search in a folder that does not exist yet.
    pub(super) fn create(folder: PathBuf, asked: Asked) -> Result<Self, Failure> {
        fs::create_dir_all(folder.join("visits"))
            .with_context(|| format!("creating {}", folder.display()))?;
        let lock = lock(&folder)?;
        let text = serde_json::to_vec_pretty(&asked).context("writing the search as JSON")?;
        let (path, unfinished) = (folder.join(SEARCH), folder.join("bisect.unfinished"));
        publish(&text, &unfinished, &path).with_context(|| format!("writing {}", path.display()))?;
        let legs = vec![Leg::first(&asked, vec![])];
        Ok(Self { folder, asked, legs, _lock: lock })
    }

    /// One that was begun before.
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(SEARCH);
        if !path.is_file() {
            return Err(Failure::user(format!("assay: {} holds no search (no {SEARCH})", folder.display())));
        }
        let lock = lock(folder)?;
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let damaged = || format!("{} is damaged", path.display());
        let value = known(&text, &path)?;
        let mut asked: Asked = serde_json::from_value(value).with_context(damaged)?;
        if asked.nodes.is_empty() || !asked.units.is_empty() && asked.units.len() + 1 != asked.nodes.len() {
            return Err(anyhow::anyhow!("its nodes are not those of its units").context(damaged()).into());
        }
        if !asked.units.is_empty() {
            asked.nodes = units::nodes(&asked.nodes, &asked.units, &Stage::first(asked.units.len()));
        }
        let made = visits(&folder.join(VISITS), asked.nodes.len())?;
        let mut legs = vec![Leg::first(&asked, made)];
        while let Some(leg) = further(folder, legs.len() + 1, asked.units.len())? {
            legs.push(leg);
        }
        Ok(Self { folder: folder.to_owned(), asked, legs, _lock: lock })
    }

    /// The stage that is under way.
    pub(super) fn leg(&self) -> &Leg {
        self.legs.last().expect("there is a first stage")
    }

    /// All visits that were made, stage by stage.
    pub(super) fn visits(&self) -> impl Iterator<Item = &Visit> {
        self.legs.iter().flat_map(|leg| &leg.visits)
    }

    /// The stage that is under way as a search by itself: its nodes, and all visits of the same sets of units, whichever stage made them.
    pub(super) fn under_way(&self) -> (Asked, Vec<Visit>) {
        let leg = self.leg();
        if self.legs.len() == 1 {
            return (self.asked.clone(), leg.visits.clone());
        }
        let numbers: BTreeMap<_, usize> =
            (0..leg.stage.nodes()).map(|node| (leg.stage.set(node), node)).collect();
        let taken_over = self.legs.iter().flat_map(|leg| {
            leg.visits.iter().filter_map(|visit| {
                let node = *numbers.get(&leg.stage.set(visit.node))?;
                Some(Visit { node, ..visit.clone() })
            })
        });
        let asked = Asked {
            nodes: units::nodes(&self.asked.nodes, &self.asked.units, &leg.stage),
            ..self.asked.clone()
        };
        (asked, taken_over.collect())
    }

    /// Begins another stage, which rests on an answer of this probability.
    pub(super) fn begin(&mut self, stage: Stage, rests_on: f64) -> Result<(), Failure> {
        let folder = stage_folder(&self.folder, self.legs.len() + 1);
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let file = StageFile { format: FORMAT, held: stage.held.clone(), rest: stage.rest.clone(), rests_on };
        let text = serde_json::to_vec_pretty(&file).context("writing a stage as JSON")?;
        let path = folder.join(STAGE);
        publish(&text, &folder.join("stage.unfinished"), &path)
            .with_context(|| format!("writing {}", path.display()))?;
        self.legs.push(Leg { stage, visits: vec![], rests_on });
        Ok(())
    }

    /// Where runs go.
    pub(super) fn runs(&self) -> PathBuf {
        self.folder.join("visits")
    }

    /// Keeps a visit for good.
    pub(super) fn add(&mut self, visit: Visit) -> Result<(), Failure> {
        let path = match self.legs.len() {
            1 => self.folder.join(VISITS),
            number => stage_folder(&self.folder, number).join(VISITS),
        };
        let mut line = serde_json::to_vec(&visit).context("writing a visit as JSON")?;
        line.push(b'\n');
        let append = || -> std::io::Result<()> {
            let mut file = File::options().append(true).create(true).open(&path)?;
            file.write_all(&line)?;
            file.sync_all()
        };
        append().with_context(|| format!("writing {}", path.display()))?;
        self.legs.last_mut().expect("there is a first stage").visits.push(visit);
        Ok(())
    }
}

impl Asked {
    pub(super) fn new(plan: Plan, by: By, confidence: f64, nodes: Vec<Node>, is_git: bool) -> Self {
        Self {
            format: FORMAT,
            assay: env!("CARGO_PKG_VERSION").to_owned(),
            plan,
            by,
            confidence,
            nodes,
            is_git,
            units: vec![],
            subset: false,
        }
    }
}

impl Leg {
    fn first(asked: &Asked, visits: Vec<Visit>) -> Self {
        Self { stage: Stage::first(asked.nodes.len() - 1), visits, rests_on: 1.0 }
    }
}

fn stage_folder(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("stage-{number}"))
}

/// A further stage of so many units, if it was begun.
fn further(folder: &Path, number: usize, units: usize) -> Result<Option<Leg>, Failure> {
    let folder = stage_folder(folder, number);
    let path = folder.join(STAGE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(anyhow::Error::from(error).context(format!("reading {}", path.display())).into());
        }
    };
    let file: StageFile = serde_json::from_value(known(&text, &path)?)
        .with_context(|| format!("{} is damaged", path.display()))?;
    let stage = Stage { held: file.held, rest: file.rest };
    if stage.held.iter().flatten().chain(&stage.rest).any(|unit| !(1..=units).contains(unit)) {
        return Err(anyhow::anyhow!("{} names a unit that there is not", path.display()).into());
    }
    let visits = visits(&folder.join(VISITS), stage.nodes())?;
    Ok(Some(Leg { stage, visits, rests_on: file.rests_on }))
}

/// JSON of a format that is known.
fn known(text: &str, path: &Path) -> Result<serde_json::Value, Failure> {
    let value: serde_json::Value =
        serde_json::from_str(text).with_context(|| format!("{} is damaged", path.display()))?;
    match value["format"].as_u64() {
        Some(format) if format > u64::from(FORMAT) => Err(Failure::user(format!(
            "assay: {} is of a newer Assay (format {format}, this one reads {FORMAT})",
            path.display()
        ))),
        _ => Ok(value),
    }
}

/// Writes a file that is there wholly or not at all.
fn publish(text: &[u8], unfinished: &Path, path: &Path) -> std::io::Result<()> {
    let mut file = File::create(unfinished)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(unfinished, path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn lock(folder: &Path) -> Result<File, Failure> {
    let path = folder.join("lock");
    let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            Err(Failure::user(format!("assay: another assay is at work on {}", folder.display())))
        }
        Err(fs::TryLockError::Error(error)) => {
            Err(anyhow::Error::from(error).context(format!("locking {}", path.display())).into())
        }
    }
}

/// Visits that are wholly written. Of a last line that was cut off the visit is made again, and the rest of it must not stand before the next one.
fn visits(path: &Path, nodes: usize) -> anyhow::Result<Vec<Visit>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        let cut = || -> std::io::Result<()> {
            let file = File::options().write(true).open(path)?;
            file.set_len(whole as u64)?;
            file.sync_all()
        };
        cut().with_context(|| format!("mending {}", path.display()))?;
    }
    let mut visits = Vec::new();
    for (number, line) in (1..).zip(text[..whole].lines()) {
        let visit: Visit =
            serde_json::from_str(line).with_context(|| format!("{}:{number} is damaged", path.display()))?;
        if visit.node >= nodes {
            bail!("{}:{number} names a node that there is not", path.display());
        }
        visits.push(visit);
    }
    Ok(visits)
}
