//! What users call a series: found, read, and given as a plan names it. `assay series show`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use scenario::{Project, SeriesFile};
use series::{Fault, Input, Series, SeriesError};
use subprocess::LockHolder;

use crate::{
    arguments::{Places, SeriesChoice, SeriesFlags},
    failure::Failure,
    hints::meant,
    lab::Lab,
    progress::Progress,
};

/// A series that was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// A folder with a `series.yaml`, which says for which bases it has patches.
    Filed(SeriesFile),
    /// Anything else, taken for any base.
    Read(Box<Series>),
}

/// Finds what `text` names: first in `patches/`, then anywhere.
pub(crate) fn find(text: &str, git: Option<&Path>, project: &Project, lab: &Lab) -> Result<Found, Failure> {
    let known = project.series();
    if known.iter().any(|name| name == text) {
        return scenario::series_file(text, project).map(Found::Filed).map_err(Failure::user);
    }
    if Path::new(text).join("series.yaml").is_file() {
        return scenario::series_file(&as_path(text), project).map(Found::Filed).map_err(Failure::user);
    }
    let input = Input::look(text, git).map_err(|error| match error.fault() {
        Fault::User if !known.is_empty() => {
            let question = meant(text, known.iter().map(String::as_str));
            let all = known.join(", ");
            Failure::user(format!("{error}\n{text}: nor is it a series of `patches/`{question} ({all})"))
        }
        _ => of_series(error),
    })?;
    Ok(Found::Read(Box::new(input.read(&lab.supervisor).map_err(of_series)?)))
}

/// A path as `scenario` knows it from a name: with a slash in it.
fn as_path(text: &str) -> String {
    if text.contains('/') { text.to_owned() } else { format!("./{text}") }
}

/// Every series of the flags, in order, as the plan of a kernel on the base called `base` has it.
pub(crate) fn resolve(
    flags: &SeriesFlags,
    base: &str,
    project: &Project,
    lab: &Lab,
    progress: &mut Progress,
) -> Result<Vec<plan::Series>, Failure> {
    let mut all = Vec::new();
    for text in &flags.series {
        all.push(match find(text, flags.git.as_deref(), project, lab)? {
            Found::Filed(file) => filed(&file, base, project)?,
            Found::Read(series) => {
                let patches = counted(series.patches.len(), "patch", "patches");
                progress.line(format!("series {}: {patches} from {text}", series.name));
                for note in &series.notes {
                    progress.line(format!("note: {note}"));
                }
                series::shelve(&series, &lab.series_cache(), &mut waiting(progress)).map_err(of_series)?
            }
        });
    }
    Ok(all)
}

/// Says whose writing of another series is waited for.
pub(crate) fn waiting(progress: &mut Progress) -> impl FnMut(LockHolder) {
    |holder| progress.line(format!("Waiting for {holder}, which is at work on the cache of series."))
}

/// The patches that a series of a `series.yaml` has for a base.
pub(crate) fn filed(file: &SeriesFile, base: &str, project: &Project) -> Result<plan::Series, Failure> {
    let reference = file.folder.to_string_lossy();
    scenario::series(&reference, base, project).map(|(series, _)| series).map_err(Failure::user)
}

/// Whose failure it is.
pub(crate) fn of_series(error: SeriesError) -> Failure {
    match error.fault() {
        Fault::User => Failure::user(format!("{:#}", anyhow::Error::from(error))),
        Fault::Infrastructure => error.into(),
    }
}

/// `assay series show`.
pub(crate) fn show(places: &Places, choice: &SeriesChoice, json: bool) -> Result<ExitCode, Failure> {
    let project = places.project(Path::new("."))?;
    let lab = Lab::open(places)?;
    let series: Vec<Series> = match find(&choice.series, choice.git.as_deref(), &project, &lab)? {
        Found::Read(series) => vec![*series],
        Found::Filed(file) => {
            let named = file.bases.iter().flat_map(|bases| bases.keys().cloned()).collect();
            let bases: Vec<String> = if choice.base.is_empty() { named } else { choice.base.clone() };
            let mut folders: Vec<PathBuf> = Vec::new();
            for base in &bases {
                let folder = filed(&file, base, &project)?.folder;
                // Bases of one version have their patches in common.
                if !folders.contains(&folder) {
                    folders.push(folder);
                }
            }
            let read = |folder| Input::Folder(folder).read(&lab.supervisor).map_err(of_series);
            folders.into_iter().map(read).collect::<Result<_, Failure>>()?
        }
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&series).context("writing the series as JSON")?);
    } else {
        let texts: Vec<String> = series.iter().map(described).collect();
        print!("{}", texts.join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}

/// A series for people.
fn described(series: &Series) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    let title = series.cover.as_ref().map_or(series.name.as_str(), |cover| &cover.subject);
    let patches = counted(series.patches.len(), "patch", "patches");
    line(format!("{title}\n  version {}, {patches}, from a {}", series.version, series.kind));
    if let Some(author) = series.cover.as_ref().and_then(|cover| cover.author.as_ref()) {
        line(format!("  {author}"));
    }
    for patch in &series.patches {
        line(format!("\n{}/{} {}", patch.number, series.patches.len(), patch.subject));
        if let Some(author) = &patch.author {
            line(format!("  {author}"));
        }
        for trailer in &patch.trailers {
            match &trailer.added_from {
                Some(from) => line(format!("  + {trailer}  ({from})")),
                None => line(format!("    {trailer}")),
            }
        }
        for file in &patch.diffstat {
            let change =
                if file.binary { "binary".to_owned() } else { format!("+{} -{}", file.added, file.removed) };
            line(format!("    {change:>10}  {}", file.path));
        }
    }
    if !series.notes.is_empty() {
        line("\nNotes:".to_owned());
    }
    for note in &series.notes {
        line(format!("  {note}"));
    }
    text
}

/// `1 patch`, `2 patches`.
fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
