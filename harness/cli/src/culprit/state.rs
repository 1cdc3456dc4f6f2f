//! A search on disk: what is asked, and every visit that is over. Visits are what follows is made from, so that an interrupted search goes on as if nothing had been.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use plan::Plan;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// The version of the files. A reader refuses a newer one.
const FORMAT: u32 = 1;
const SEARCH: &str = "bisect.json";
const VISITS: &str = "visits.jsonl";

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

/// A state of the source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Node {
    /// A commit, or a patch's file name.
    pub(super) name: String,
    /// The first line of its message.
    pub(super) title: String,
    /// Numbers of its parents.
    pub(super) parents: Vec<usize>,
    /// What is applied to the base.
    pub(super) series: Vec<plan::Series>,
    /// How often such a commit is the culprit, against others.
    pub(super) weight: f64,
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

/// A search that is open for writing: nobody else goes on with it meanwhile.
#[derive(Debug)]
pub(super) struct State {
    pub(super) folder: PathBuf,
    pub(super) asked: Asked,
    pub(super) visits: Vec<Visit>,
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
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&unfinished)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            File::open(&folder)?.sync_all()
        };
        write().with_context(|| format!("writing {}", path.display()))?;
        Ok(Self { folder, asked, visits: vec![], _lock: lock })
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
        let value: serde_json::Value = serde_json::from_str(&text).with_context(damaged)?;
        match value["format"].as_u64() {
            Some(format) if format > u64::from(FORMAT) => {
                return Err(Failure::user(format!(
                    "assay: {} is of a newer Assay (format {format}, this one reads {FORMAT})",
                    path.display()
                )));
            }
            _ => {}
        }
        let asked: Asked = serde_json::from_value(value).with_context(damaged)?;
        let visits = visits(&folder.join(VISITS), asked.nodes.len())?;
        Ok(Self { folder: folder.to_owned(), asked, visits, _lock: lock })
    }

    /// Where runs go.
    pub(super) fn runs(&self) -> PathBuf {
        self.folder.join("visits")
    }

    /// Keeps a visit for good.
    pub(super) fn add(&mut self, visit: Visit) -> Result<(), Failure> {
        let path = self.folder.join(VISITS);
        let mut line = serde_json::to_vec(&visit).context("writing a visit as JSON")?;
        line.push(b'\n');
        let append = || -> std::io::Result<()> {
            let mut file = File::options().append(true).create(true).open(&path)?;
            file.write_all(&line)?;
            file.sync_all()
        };
        append().with_context(|| format!("writing {}", path.display()))?;
        self.visits.push(visit);
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
        }
    }
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
