//! `assay report` and the end of `assay run`: one model, four forms, kept beside the run.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use report::{Calibration, Colour, Detail, Evidence, Model, Noise, Outcome, Terminal};
use runner::schedule;
use store::Stored;

use crate::{
    arguments::{Format, Places},
    budget, exact,
    failure::Failure,
    profiles, terminal, timed,
};

/// The end of `assay run`: the report in one form, and last of all the address of the page.
pub(crate) fn finish(stored: &Stored, format: Format) -> Result<Outcome, Failure> {
    let outcome = keep_and_print(stored, format)?;
    let shown = format == Format::Html && Output::standard() != Output::Pipe;
    // Not to standard output: what a program or a cover letter reads must not end in an address.
    if !shown && !terminal::quiet() {
        eprintln!("\n{}", address(&stored.folder)?);
    }
    Ok(outcome)
}

/// Makes the report of a run, keeps every form of it in the run's folder, prints one, and answers with the result.
fn keep_and_print(stored: &Stored, format: Format) -> Result<Outcome, Failure> {
    let model = whole_model(stored)?;
    keep(stored, &model)?;
    print_model(stored, &model, format)?;
    Ok(report::overall(&model))
}

/// Writes every form beside the run.
pub(crate) fn keep(stored: &Stored, model: &Model) -> Result<(), Failure> {
    for (name, text) in forms(model)? {
        let path = stored.folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// Every form of a report that is kept beside a run, by its file's name.
pub(crate) fn forms(model: &Model) -> Result<Vec<(&'static str, String)>, Failure> {
    Format::ALL.map(|format| Ok((file(format), render(model, format, Output::File)?))).into_iter().collect()
}

fn print_model(stored: &Stored, model: &Model, format: Format) -> Result<(), Failure> {
    match (format, Output::standard()) {
        // Nobody reads a page's source on a terminal.
        (Format::Html, Output::Terminal { .. }) => println!("{}", address(&stored.folder)?),
        (format, output) => print!("{}", render(model, format, output)?),
    }
    Ok(())
}

/// The page as an address that terminals make a link of.
pub(crate) fn address(folder: &Path) -> Result<String, Failure> {
    let path = folder.join(file(Format::Html));
    let path = path.canonicalize().with_context(|| format!("resolving {}", path.display()))?;
    Ok(format!("file://{}", escaped(&path)))
}

/// A path as addresses have it: what is neither a letter, a digit nor one of `/-_.~` is escaped (RFC 3986, 2.1).
fn escaped(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let escape =
        |byte: &u8| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
    path.as_os_str().as_encoded_bytes().iter().map(escape).collect()
}

/// `assay report`: the report of a run, finished or not, to a file or to standard output.
pub(crate) fn print(
    places: &Places,
    run: Option<&Path>,
    format: Format,
    output: Option<&Path>,
) -> Result<ExitCode, Failure> {
    let stored = store::read(&folder(places, run)?).map_err(user)?;
    let Some(output) = output else {
        let model = whole_model(&stored)?;
        // Somebody else's run, or one on a disk that cannot be written to, can be read all the same.
        if let Err(failure) = keep(&stored, &model) {
            eprintln!("note: the report is not kept beside the run: {}", failure.in_a_line());
        }
        print_model(&stored, &model, format)?;
        return Ok(ExitCode::from(report::overall(&model).exit_code()));
    };
    let model = whole_model(&stored)?;
    std::fs::write(output, render(&model, format, Output::File)?)
        .map_err(|error| Failure::user(format!("assay: --output {}: {error}", output.display())))?;
    Ok(ExitCode::from(report::overall(&model).exit_code()))
}

/// `assay report --beside`: the numbers that runs have in common, in one table.
pub(crate) fn beside(
    places: &Places,
    run: Option<&Path>,
    others: &[PathBuf],
    format: Format,
) -> Result<ExitCode, Failure> {
    let mut models: Vec<Model> = Vec::new();
    let folders =
        std::iter::once(folder(places, run)).chain(others.iter().map(|other| places.run_folder(other)));
    for folder in folders {
        let folder = folder?;
        let model = model(&store::read(&folder).map_err(user)?)?;
        if models.iter().any(|known| known.run.name == model.run.name) {
            return Err(Failure::user(format!("assay: {} would stand beside itself", model.run.name)));
        }
        models.push(model);
    }
    let table = report::beside(&models.iter().collect::<Vec<_>>());
    print!(
        "{}",
        match format {
            Format::Terminal => report::beside_text(&table),
            Format::Markdown => report::beside_markdown(&table),
            Format::Json => report::beside_json(&table),
            Format::Html | Format::RunMetrics => {
                return Err(Failure::user("assay: --beside has --format terminal, markdown and json"));
            }
        }
    );
    Ok(ExitCode::SUCCESS)
}

/// `assay report --path`: where a run's report is.
pub(crate) fn path(places: &Places, run: Option<&Path>, format: Format) -> Result<ExitCode, Failure> {
    let folder = folder(places, run)?;
    store::read(&folder).map_err(user)?;
    let path = folder.join(file(format));
    let path = path.canonicalize().with_context(|| format!("{} has no report yet", folder.display()))?;
    println!("{}", path.display());
    Ok(ExitCode::SUCCESS)
}

/// The folder of the run that is meant: the newest, if none is named.
pub(crate) fn folder(places: &Places, run: Option<&Path>) -> Result<PathBuf, Failure> {
    match run {
        Some(run) => places.run_folder(run),
        None => store::newest(&places.results).map_err(|error| match error {
            store::StoreError::NoSuchRun { .. } => places.no_run(None),
            error => user(error),
        }),
    }
}

/// The file that keeps a form of the report.
fn file(format: Format) -> &'static str {
    match format {
        Format::Terminal => "report.txt",
        Format::Markdown => "report.md",
        Format::Json => "report.json",
        Format::Html => "report.html",
        Format::RunMetrics => "run-metrics.txt",
    }
}

/// A run that is not there, or is newer than we are, is the user's to mend.
pub(crate) fn user(error: store::StoreError) -> Failure {
    match error {
        store::StoreError::NoSuchRun { .. } | store::StoreError::Newer { .. } => {
            Failure::user(format!("assay: {error}"))
        }
        other => other.into(),
    }
}

fn render(model: &Model, format: Format, to: Output) -> Result<String, Failure> {
    Ok(match format {
        Format::Terminal => {
            let (colour, columns) = match to {
                Output::Terminal { columns } => (colour(), columns),
                Output::Pipe => (colour(), 100),
                Output::File => (Colour::Never, 100),
            };
            report::terminal(model, Terminal { colour, columns, detail: Detail::Short })
        }
        Format::Markdown => report::markdown(model),
        Format::Json => report::json(model).context("writing the report as JSON")?,
        Format::Html => report::html(model),
        Format::RunMetrics => report::run_metrics(model),
    })
}

/// What standard output shows.
pub(crate) fn colour() -> Colour {
    if terminal::colours() { Colour::Always } else { Colour::Never }
}

/// Where a report goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Kept beside the run.
    File,
    /// Standard output that is no terminal.
    Pipe,
    /// Standard output on a terminal.
    Terminal { columns: usize },
}

impl Output {
    pub(crate) fn standard() -> Self {
        use std::io::IsTerminal;
        if std::io::stdout().is_terminal() {
            let (_, columns) = console::Term::stdout().size();
            Self::Terminal { columns: columns.into() }
        } else {
            Self::Pipe
        }
    }
}

/// What a report says of a run, finished or not.
pub(crate) fn model(stored: &Stored) -> Result<Model, Failure> {
    model_by(stored, exact::of_run(&stored.folder)?.as_ref(), timed::of_run(&stored.folder)?.as_ref())
}

/// The same, judged by this calibration, and read by what is known of identical arms.
pub(crate) fn model_by(
    stored: &Stored,
    calibration: Option<&Calibration>,
    noise: Option<&Noise>,
) -> Result<Model, Failure> {
    let file = &stored.file;
    let made: Vec<u32> = stored.trials.iter().map(|trial| trial.index).collect();
    let given_up = |arm: &str| {
        let builds = matches!(file.kernels.get(arm).map(|k| &k.build), Some(measure::BuildEnd::Built(_)));
        !builds || runner::given_up(&stored.trials, arm)
    };
    // What others did is over.
    let trials = schedule(&file.plan);
    let is_over = |trial: &runner::Trial| made.contains(&trial.index) || given_up(&trial.arm);
    let finished = file.plan.is_imported() || trials.iter().all(is_over);
    let begun = stored.trials.iter().filter(|trial| !trial.traced).map(|trial| trial.block).max();
    let is_ahead = |trial: &runner::Trial| !trial.traced && begun.is_none_or(|begun| trial.block > begun);
    let whole = trials.iter().all(|trial| is_over(trial) || is_ahead(trial));
    let builds: BTreeMap<_, _> =
        file.kernels.iter().map(|(arm, kernel)| (arm.clone(), kernel.build.clone())).collect();
    let host = &file.host;
    let mut model = report::assemble(Evidence {
        plan: &file.plan,
        builds,
        trials: &stored.trials,
        samples: &stored.samples,
        host: report::Host {
            cpu: Some(host.cpu.clone()),
            cpus: Some(host.cpus),
            memory_mib: Some(host.memory_mib),
            kernel: Some(host.kernel.clone()),
            qemu: Some(host.qemu.clone()),
            accel: Some(host.accel.clone()),
            bench: host.bench.as_ref().map(bench).unwrap_or_default(),
        },
        run: file.run.clone(),
        folder: Some(stored.folder.clone()),
        started: file.started.clone(),
        assay: file.assay.clone(),
        finished,
        whole,
        repeat: vec![if file.command.is_empty() {
            format!("assay run scenarios/{}.yaml", file.plan.name)
        } else {
            file.command.clone()
        }],
        warnings: replayed(stored)?.into_iter().chain(imported(stored)?).collect(),
        calibration,
        noise,
    })?;
    model.run.left_out = budget::left_out(stored);
    Ok(model)
}

/// The same with the profiles of a run that counted instructions, for reports alone: they are read from the trials' folders.
pub(crate) fn whole_model(stored: &Stored) -> Result<Model, Failure> {
    let mut model = model(stored)?;
    profiles::put(stored, &mut model);
    Ok(model)
}

/// What a run was imported from, and how much of that could not be read.
fn imported(stored: &Stored) -> Result<Vec<String>, Failure> {
    let Some(imported) = store::Imported::of_run(&stored.folder)? else { return Ok(vec![]) };
    let files: Vec<String> = imported
        .files
        .iter()
        .map(|file| format!("{} ({}; sha256 {})", file.name, file.formats.join(", "), short(&file.sha256)))
        .collect();
    const SHOWN: usize = 8;
    let more = files.len().saturating_sub(SHOWN);
    let mut text = format!("Imported from {}", files.into_iter().take(SHOWN).collect::<Vec<_>>().join(", "));
    if more > 0 {
        text.push_str(&format!(" and {more} more files"));
    }
    let lines: usize = imported.files.iter().map(|file| file.complaints.len() + file.more_complaints).sum();
    text.push_str(match lines {
        0 => "; all of it was read.",
        _ => "; ",
    });
    if lines > 0 {
        text.push_str(&format!(
            "{lines} lines could not be read or not whole, and imported.json names them."
        ));
    }
    Ok(vec![text])
}

/// That a run repeats one of a bundle.
fn replayed(stored: &Stored) -> Result<Vec<String>, Failure> {
    let replay = store::Replay::of_run(&stored.folder)?;
    Ok(replay.into_iter().map(|replay| replay_in_words(&replay)).collect())
}

fn replay_in_words(replay: &store::Replay) -> String {
    let (run, bundle) = (&replay.run, &replay.bundle);
    format!(
        "This is a replay of {run}, from {bundle} ({}), {}.",
        short(&replay.digest),
        replay.images.words()
    )
}

/// The first digits of a checksum.
pub(crate) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// How the machine stood, in words; what it did not say is `unavailable`.
fn bench(bench: &store::Bench) -> BTreeMap<String, String> {
    let said = |value: Option<String>| value.unwrap_or_else(|| "unavailable".to_owned());
    let governor = bench.governor.as_ref().map(|governor| match &bench.driver {
        Some(driver) => format!("{governor} ({driver})"),
        None => governor.clone(),
    });
    let facts = [
        ("governor", said(governor)),
        ("turbo", said(bench.turbo.map(|on| if on { "on" } else { "off" }.to_owned()))),
        ("smt", said(bench.smt.clone())),
        ("idle states", said(bench.deepest_idle_us.map(|latency| format!("up to {latency} us")))),
        ("isolated", bench.isolated.clone().unwrap_or_else(|| "none".to_owned())),
        ("load", said(bench.load.map(|load| format!("{load:.2}")))),
        (
            "tuned",
            match bench.tuned.as_deref() {
                None => "no".to_owned(),
                Some(unknown) if unknown.starts_with("unknown") => unknown.to_owned(),
                Some(since) => format!("since {since}"),
            },
        ),
    ];
    facts.map(|(what, how)| (what.to_owned(), how)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_escape_what_would_end_them() {
        let path = Path::new("/home/jörg/a b#1?/report-1.html");
        assert_eq!(escaped(path), "/home/j%C3%B6rg/a%20b%231%3F/report-1.html");
    }
}
