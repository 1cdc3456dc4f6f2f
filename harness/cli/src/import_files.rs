//! `assay import`: files of others into runs.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use import::{Arranged, Reading, RunName, Source, limits, run_name};
use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use store::{Claim, Host, Imported, ImportedFile, LineComplaint, Run, RunFile};
use subprocess::Argv;

use crate::{
    arguments::{self, Places},
    failure::Failure,
    inputs, reports,
};

/// Complaints of a file that are printed; all are in `imported.json`.
const TOLD: usize = 20;

/// What came of one file or folder that was named.
struct Outcome {
    from: String,
    /// None if everything is there already.
    run: Option<String>,
    files: Vec<ImportedFile>,
    /// Files that a run was imported from before, with that run.
    known: Vec<(String, String)>,
    /// What is no regular file, or too large.
    passed_over: Vec<(String, String)>,
    /// Rows: arms, repeats of them, numbers.
    counts: (usize, usize, usize),
}

/// A file below what was named.
struct Found {
    name: String,
    bytes: Vec<u8>,
    run: Option<RunName>,
}

pub(crate) fn import(places: &Places, flags: &arguments::Import) -> Result<ExitCode, Failure> {
    let missing: Vec<String> = flags
        .paths
        .iter()
        .filter_map(|path| Some(format!("assay: {}: {}", path.display(), fs::metadata(path).err()?)))
        .collect();
    if !missing.is_empty() {
        return Err(Failure::user(missing.join("\n")));
    }
    if flags.name.is_some() && flags.paths.len() > 1 {
        return Err(Failure::user("assay: --name names one run, and each file or folder becomes one"));
    }
    let mut outcomes = Vec::new();
    for path in &flags.paths {
        let outcome = one(places, flags, path)?;
        if !flags.json {
            tell(&outcome, &places.results);
        }
        outcomes.push(outcome);
    }
    if flags.json {
        println!("{:#}", document(&outcomes));
    }
    let read = |outcome: &Outcome| outcome.run.is_some() || !outcome.known.is_empty();
    if !outcomes.iter().any(read) {
        return Err(Failure::user(nothing(&outcomes)));
    }
    let is_whole = |outcome: &Outcome| {
        read(outcome)
            && outcome.passed_over.is_empty()
            && outcome.files.iter().all(|file| file.complaints.is_empty())
    };
    Ok(ExitCode::from(u8::from(!outcomes.iter().all(is_whole))))
}

fn nothing(outcomes: &[Outcome]) -> String {
    let of =
        |outcome: &Outcome| format!("assay: {}: nothing in it is a number that can be read", outcome.from);
    outcomes.iter().map(of).collect::<Vec<_>>().join("\n")
}

fn one(places: &Places, flags: &arguments::Import, path: &Path) -> Result<Outcome, Failure> {
    let results = std::path::absolute(&places.results).context("resolving the results folder")?;
    let already = Imported::known(&results)?;
    let mut passed_over = Vec::new();
    let found = found(path, &mut passed_over)?;
    let (mut sources, mut files, mut known) = (Vec::new(), Vec::new(), Vec::new());
    let mut kept: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for Found { name, bytes, run } in found {
        let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        if let Some(run) = already.get(&sha256) {
            known.push((name, run.clone()));
            continue;
        }
        // The same bytes twice are the same numbers twice.
        if let Some(other) = files.iter().find(|file: &&ImportedFile| file.sha256 == sha256) {
            known.push((name, format!("this one, as {}", other.name)));
            continue;
        }
        let reading = import::read(&bytes, flags.format);
        files.push(file(&name, sha256.clone(), &bytes, &reading));
        kept.insert(sha256, bytes);
        sources.push(Source { name, run, reading });
    }
    let from = path.display().to_string();
    let numbers: usize = files.iter().map(|file| file.numbers).sum();
    let mut outcome = Outcome { from, run: None, files, known, passed_over, counts: (0, 0, 0) };
    if numbers == 0 {
        return Ok(outcome);
    }
    let started = Timestamp::now();
    let name = flags.name.clone().unwrap_or_else(|| stem(path));
    let name = plan_name(&name);
    let question = format!("What does {} say?", stem(path));
    let Arranged { plan, trials } = import::arrange(&name, &question, sources);
    let claim = Claim::new(&results, &format!("{}-{name}", started.strftime("%Y%m%d-%H%M%S")))?;
    let folder = inputs::folder(claim.folder());
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    for (sha256, bytes) in &kept {
        let path = folder.join(sha256);
        fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
    }
    Imported::new(outcome.from.clone(), outcome.files.clone()).keep(claim.folder())?;
    let command = Argv(vec!["assay".into(), "import".into(), path.into()]).to_string();
    let record = RunFile {
        format: store::FORMAT,
        run: claim.name().to_owned(),
        assay: env!("CARGO_PKG_VERSION").to_owned(),
        started: started.to_string(),
        plan,
        kernels: BTreeMap::new(),
        host: Host::default(),
        command,
    };
    let samples = trials.iter().map(|trial| trial.end.samples().len()).sum();
    outcome.counts = (record.plan.arms.len(), trials.len(), samples);
    let mut run = Run::create(claim, &record)?;
    for trial in &trials {
        run.trial_folder(trial.index)?;
        run.finish_trial(trial)?;
    }
    let stored = store::read(run.folder())?;
    reports::keep(&stored, &reports::model(&stored)?)?;
    outcome.run = Some(record.run);
    Ok(outcome)
}

/// The last part of a path without its ending.
fn stem(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = if whole.is_dir() { whole.file_name() } else { whole.file_stem() };
    name.unwrap_or_default().to_string_lossy().into_owned()
}

/// A name as scenarios have: it becomes part of a folder's.
fn plan_name(name: &str) -> String {
    let harmless =
        |char: char| if char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.') { char } else { '-' };
    let name: String = name.chars().map(harmless).take(80).collect();
    let name = name.trim_matches(['-', '.']);
    if name.is_empty() { "imported".to_owned() } else { name.to_owned() }
}

fn file(name: &str, sha256: String, bytes: &[u8], reading: &Reading) -> ImportedFile {
    let complaint = |complaint: &import::Complaint| LineComplaint {
        line: complaint.line,
        message: complaint.message.clone(),
    };
    ImportedFile {
        name: name.to_owned(),
        sha256,
        bytes: bytes.len() as u64,
        formats: reading.formats().iter().map(ToString::to_string).collect(),
        numbers: reading.figures(),
        complaints: reading.complaints.iter().map(complaint).collect(),
        more_complaints: reading.more_complaints,
    }
}

/// The files that are meant, in the order of their names. Links are not followed: what is imported lies below what was named.
fn found(path: &Path, passed_over: &mut Vec<(String, String)>) -> Result<Vec<Found>, Failure> {
    let mut names: Vec<(PathBuf, String)> = Vec::new();
    let metadata = fs::metadata(path).with_context(|| format!("reading {}", path.display()))?;
    if metadata.is_dir() {
        walk(path, String::new(), 0, &mut names, passed_over)?;
    } else {
        names.push((path.to_owned(), path.file_name().unwrap_or_default().to_string_lossy().into_owned()));
    }
    let own = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut found = Vec::new();
    for (path, name) in names {
        let Some(bytes) = bytes(&path, &name, passed_over)? else { continue };
        let run = run_of(&name, &own);
        found.push(Found { name: display(&name), bytes, run });
    }
    Ok(found)
}

fn walk(
    folder: &Path,
    below: String,
    depth: usize,
    names: &mut Vec<(PathBuf, String)>,
    passed_over: &mut Vec<(String, String)>,
) -> Result<(), Failure> {
    if depth > limits::DEPTH {
        passed_over.push((display(&below), format!("more than {} folders below each other", limits::DEPTH)));
        return Ok(());
    }
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut entries =
        entries.collect::<Result<Vec<_>, _>>().with_context(|| format!("reading {}", folder.display()))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let name = if below.is_empty() { name } else { format!("{below}/{name}") };
        let kind = entry.file_type().with_context(|| format!("reading {}", entry.path().display()))?;
        if kind.is_dir() {
            walk(&entry.path(), name, depth + 1, names, passed_over)?;
        } else if !kind.is_file() {
            passed_over.push((display(&name), "no regular file".to_owned()));
        } else if names.len() >= limits::FILES {
            passed_over.push((display(&name), format!("more than {} files", limits::FILES)));
        } else {
            names.push((entry.path(), name));
        }
    }
    Ok(())
}

fn bytes(
    path: &Path,
    name: &str,
    passed_over: &mut Vec<(String, String)>,
) -> Result<Option<Vec<u8>>, Failure> {
    let reading = || format!("reading {}", path.display());
    let file = File::open(path).with_context(reading)?;
    if !file.metadata().with_context(reading)?.is_file() {
        passed_over.push((display(name), "no regular file".to_owned()));
        return Ok(None);
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    file.take(limits::FILE_BYTES + 1).read_to_end(&mut bytes).with_context(reading)?;
    if bytes.len() as u64 > limits::FILE_BYTES {
        passed_over.push((display(name), format!("more than {} MiB", limits::FILE_BYTES >> 20)));
        return Ok(None);
    }
    Ok(Some(bytes))
}

/// The run that the nearest folder, or the file itself, is named after.
fn run_of(name: &str, own: &Path) -> Option<RunName> {
    let stem = |part: &str| part.rsplit_once('.').and_then(|(stem, _)| run_name(stem));
    let below = name.rsplit('/').find_map(|part| run_name(part).or_else(|| stem(part)));
    let above = || own.file_name().and_then(|part| run_name(&part.to_string_lossy()));
    below.or_else(above)
}

/// A name without what steers terminals.
fn display(name: &str) -> String {
    name.chars().filter(|char| !char.is_control()).collect()
}

fn tell(outcome: &Outcome, results: &Path) {
    for file in &outcome.files {
        let formats = if file.formats.is_empty() {
            "nothing that is known".to_owned()
        } else {
            file.formats.join(", ")
        };
        println!("{}: {formats}; {} numbers", file.name, file.numbers);
        for complaint in file.complaints.iter().take(TOLD) {
            println!("  {}:{}: {}", file.name, complaint.line, complaint.message);
        }
        let more = file.complaints.len().saturating_sub(TOLD) + file.more_complaints;
        if more > 0 {
            println!("  {more} more lines could not be read or not whole");
        }
    }
    for (name, why) in &outcome.passed_over {
        println!("{name}: passed over: {why}");
    }
    for (name, run) in &outcome.known {
        println!("{name}: imported before, into {run}");
    }
    if let Some(run) = &outcome.run {
        let (arms, trials, samples) = outcome.counts;
        println!(
            "{}: {arms} {}, {trials} {}, {samples} numbers",
            results.join(run).display(),
            if arms == 1 { "arm" } else { "arms" },
            if trials == 1 { "repeat" } else { "repeats in all" }
        );
    }
}

fn document(outcomes: &[Outcome]) -> serde_json::Value {
    let of = |outcome: &Outcome| {
        let pairs = |pairs: &[(String, String)], key: &str| -> Vec<serde_json::Value> {
            pairs.iter().map(|(name, value)| json!({ "name": name, key: value })).collect()
        };
        let (arms, trials, samples) = outcome.counts;
        json!({
            "from": outcome.from,
            "run": outcome.run,
            "arms": arms,
            "repeats": trials,
            "numbers": samples,
            "files": outcome.files,
            "known": pairs(&outcome.known, "run"),
            "passed_over": pairs(&outcome.passed_over, "why"),
        })
    };
    json!({ "format": 1, "imports": outcomes.iter().map(of).collect::<Vec<_>>() })
}
