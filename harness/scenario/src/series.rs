//! `patches/NAME/series.yaml` and the patches beside it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use plan::{PatchFile, Series};

use crate::{
    fields::{Fields, text_of},
    problem::{Findings, Place, Problems},
    project::{Project, existing_path, patch_sha256, read_yaml},
    schema::{self, BASE_NAME, SERIES_REFERENCE, SUBFOLDER, one_of},
    tree::{Node, Value},
    value::{printable, suggestion},
};

/// The cover letter, as `git format-patch --cover-letter` names it; not applied.
const COVER_LETTER: &str = "0000-cover-letter.patch";

/// What `series.yaml` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesFile {
    /// The folder's name.
    pub name: String,
    /// Absolute path of the folder.
    pub folder: PathBuf,
    /// The subject of its cover letter; none in a folder of patches without a `series.yaml`.
    pub title: Option<String>,
    /// Each base that it applies to, with the folder of its patches relative to `folder`; none in a folder of patches
    /// without a `series.yaml`, which is taken for any base.
    pub bases: Option<BTreeMap<String, String>>,
    /// The folder by the path under which it was opened, for problems.
    shown: PathBuf,
}

/// What `series.yaml` says of the series `reference`: a name in `patches/`, or a path relative to the current folder.
///
/// # Errors
/// Everything that is wrong with it.
pub fn series_file(reference: &str, project: &Project) -> Result<SeriesFile, Problems> {
    let mut findings = Findings::default();
    let file = series_of_caller(reference, project, &mut findings);
    findings.conclude(file)
}

/// The patches that the series `reference` has for the base called `base`, and what `series.yaml` says.
///
/// # Errors
/// Everything that is wrong with it; that it has no patches for `base`.
pub fn series(reference: &str, base: &str, project: &Project) -> Result<(Series, SeriesFile), Problems> {
    let mut findings = Findings::default();
    let found = series_of_caller(reference, project, &mut findings).and_then(|file| {
        let series = patches_for(&file, base, &caller(reference), &mut findings)?;
        Some((series, file))
    });
    findings.conclude(found)
}

/// Where a series is named that no file names.
fn caller(reference: &str) -> Place {
    Place::file(Path::new(reference), None)
}

fn series_of_caller(reference: &str, project: &Project, findings: &mut Findings) -> Option<SeriesFile> {
    if !(SERIES_REFERENCE.holds)(reference) {
        findings.add(&caller(reference), "is no series", SERIES_REFERENCE.what);
        return None;
    }
    read_series_file(reference, Path::new(""), &caller(reference), project, findings)
}

/// Reads a series that is named at `named_at`, in a file of the folder `from`.
pub(crate) fn read_series_file(
    reference: &str,
    from: &Path,
    named_at: &Place,
    project: &Project,
    findings: &mut Findings,
) -> Option<SeriesFile> {
    let is_path = reference.contains('/');
    let shown = if is_path { from.join(reference) } else { project.patches().join(reference) };
    if !is_path && !shown.join("series.yaml").is_file() {
        let known = project.series();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let message =
            format!("there is no series `{reference}` in `patches/`{}", suggestion(reference, &known));
        findings.add(named_at, message, format!("{}, or a path with a `/`", one_of(&known)));
        return None;
    }
    if !shown.is_dir() {
        findings.add(named_at, format!("there is no folder {}", shown.display()), SERIES_REFERENCE.what);
        return None;
    }
    let folder = existing_path(&shown, named_at, findings)?;
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or(reference).to_owned();
    let yaml = shown.join("series.yaml");
    if !yaml.is_file() {
        return Some(SeriesFile { name, folder, title: None, bases: None, shown });
    }
    let file = read_yaml(&yaml, findings)?;
    let fields = Fields::open(&file.root, &schema::SERIES, findings)?;
    let title = fields.text("title", findings);
    let bases = fields.given("bases").and_then(|node| bases(node, findings));
    Some(SeriesFile { name, folder, title: Some(title?), bases: Some(bases?), shown })
}

fn bases(node: &Node, findings: &mut Findings) -> Option<BTreeMap<String, String>> {
    // Every entry is read before the first wrong one ends it: all problems are told at once.
    let read: Vec<Option<(String, String)>> = match &node.value {
        Value::Map(entries) => entries
            .iter()
            .map(|(base, folder)| {
                let known = (BASE_NAME.holds)(base);
                if !known {
                    findings.add(&folder.place, format!("`{}` is no base", printable(base)), BASE_NAME.what);
                }
                let folder = text_of(folder, SUBFOLDER, findings)?;
                known.then(|| (base.clone(), folder))
            })
            .collect(),
        Value::List(items) => {
            items.iter().map(|item| Some((text_of(item, BASE_NAME, findings)?, ".".to_owned()))).collect()
        }
        Value::Null | Value::Scalar { .. } => {
            let message = format!("{} where a map or a list belongs", node.describe());
            findings.add(&node.place, message, schema::SERIES.key("bases").kind.allowed());
            return None;
        }
    };
    if read.is_empty() {
        findings.add(&node.place, "applies to no base", schema::SERIES.key("bases").kind.allowed());
        return None;
    }
    read.into_iter().collect()
}

/// The patches that `file` has for `base`; that it has none is told at `named_at`.
pub(crate) fn patches_for(
    file: &SeriesFile,
    base: &str,
    named_at: &Place,
    findings: &mut Findings,
) -> Option<Series> {
    let subfolder = match &file.bases {
        None => ".",
        Some(bases) => match bases.get(base) {
            Some(subfolder) => subfolder,
            None => {
                let known: Vec<&str> = bases.keys().map(String::as_str).collect();
                let message = format!("the series `{}` has no patches for the base `{base}`", file.name);
                findings.add(named_at, message, one_of(&known));
                return None;
            }
        },
    };
    let within = |folder: &Path| if subfolder == "." { folder.to_path_buf() } else { folder.join(subfolder) };
    let (folder, shown) = (within(&file.folder), within(&file.shown));
    let names = numbered_patches(&shown, named_at, findings)?;
    let read: Vec<Option<PatchFile>> = names
        .iter()
        .map(|name| {
            let sha256 = patch_sha256(&shown.join(name), findings)?;
            Some(PatchFile { path: folder.join(name), sha256 })
        })
        .collect();
    Some(Series { name: file.name.clone(), folder, patches: read.into_iter().collect::<Option<_>>()? })
}

/// The names of the patches `0001-...patch` to `NNNN-...patch` of a folder, in order. A `.patch` without a number, a number twice and
/// a gap are problems: what would be left out silently could be what was to be tested.
fn numbered_patches(folder: &Path, named_at: &Place, findings: &mut Findings) -> Option<Vec<String>> {
    let names = match patch_names(folder) {
        Ok(names) => names,
        Err(error) => {
            let message = format!("cannot read the folder {}: {error}", folder.display());
            findings.add(named_at, message, "a folder of patches that can be read");
            return None;
        }
    };
    let allowed = "NNNN-subject.patch, numbered from 0001 without gaps";
    let place = Place::file(folder, None);
    let mut patches = Vec::new();
    let mut clean = true;
    for name in &names {
        match number(name) {
            Some(0) if name == COVER_LETTER => {}
            Some(number) if number == patches.len() + 1 => patches.push(name.clone()),
            Some(_) => {
                let message = format!("`{name}` stands where number {:04} belongs", patches.len() + 1);
                findings.add(&place, message, allowed);
                clean = false;
                break;
            }
            None => {
                findings.add(&place, format!("the patch `{name}` has no number"), allowed);
                clean = false;
            }
        }
    }
    if patches.is_empty() && clean {
        findings.add(&place, "holds no patch", allowed);
        clean = false;
    }
    clean.then_some(patches)
}

/// The names of all files that end in `.patch`, sorted.
fn patch_names(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name =
            name.to_str().ok_or_else(|| std::io::Error::other("it holds a file whose name is not UTF-8"))?;
        if name.ends_with(".patch") {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The number that `git format-patch` begins a file's name with.
fn number(name: &str) -> Option<usize> {
    let (digits, _) = name.split_once('-')?;
    (digits.len() == 4 && digits.chars().all(|c| c.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}
