//! The folder that holds `kernels/` and `patches/`, and reading files from it.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{
    problem::{Findings, Place, Problems},
    schema::{self, BASE_NAME},
    tree::{self, Node},
};

/// Largest YAML file or configuration fragment in bytes.
const MAX_TEXT: u64 = 1 << 20;
/// Largest patch in bytes; the largest that the kernel's lists take is far below.
const MAX_PATCH: u64 = 64 << 20;
/// Largest file that goes into guests, in bytes: it is written to their memory.
const MAX_FILE: u64 = 256 << 20;

/// A folder that holds `kernels/`, and usually `patches/` and `scenarios/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The folder. Problems name files by paths that begin with it.
    pub root: PathBuf,
}

impl Project {
    /// The project at `root`.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The nearest folder at or above `path` that holds a folder `kernels`.
    ///
    /// # Errors
    /// If there is none.
    pub fn containing(path: &Path) -> Result<Self, Problems> {
        let mut findings = Findings::default();
        // The path as given first: problems then name files as briefly as the user does.
        let relative = path.ancestors().find(|folder| is_project(folder)).map(Path::to_path_buf);
        let absolute = || {
            let path = std::path::absolute(path).ok()?;
            path.ancestors().find(|folder| is_project(folder)).map(Path::to_path_buf)
        };
        let found = relative.or_else(absolute).map(|root| Self { root });
        if found.is_none() {
            let message = "is in no project: no folder at or above it holds a folder `kernels`";
            findings.add(&Place::file(path, None), message, "a file in a project");
        }
        findings.conclude(found)
    }

    /// The names of all bases, sorted.
    #[must_use]
    pub fn bases(&self) -> Vec<String> {
        names(&self.kernels(), |path| {
            let is_yaml = path.extension().is_some_and(|extension| extension == "yaml");
            is_yaml.then(|| path.file_stem()).flatten()
        })
    }

    /// The names of all series, sorted.
    #[must_use]
    pub fn series(&self) -> Vec<String> {
        names(&self.patches(), |path| path.join("series.yaml").is_file().then(|| path.file_name()).flatten())
    }

    pub(crate) fn kernels(&self) -> PathBuf {
        self.root.join("kernels")
    }

    pub(crate) fn patches(&self) -> PathBuf {
        self.root.join("patches")
    }
}

fn is_project(folder: &Path) -> bool {
    folder.join("kernels").is_dir()
}

/// Names of well-formed entries of `folder`; none if it cannot be read, since the caller lists them as alternatives.
fn names(folder: &Path, name: impl for<'p> Fn(&'p Path) -> Option<&'p std::ffi::OsStr>) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(name(&entry.ok()?.path())?.to_str()?.to_owned()))
        .filter(|name| (BASE_NAME.holds)(name))
        .collect();
    names.sort();
    names
}

/// A YAML file: its tree, and its first comment.
pub(crate) struct YamlFile {
    pub(crate) root: Node,
    /// The lines of the first comment, joined; empty if the file does not begin with one.
    pub(crate) comment: String,
}

/// Reads a YAML file and checks its `schema`.
pub(crate) fn read_yaml(path: &Path, findings: &mut Findings) -> Option<YamlFile> {
    let text = read_text(path, &Place::file(path, None), findings)?;
    let root = tree::parse(&text, path, findings)?;
    if let Some(node) = root.get("schema")
        && !is_readable(node, findings)
    {
        // Under another schema every key may mean something else.
        return None;
    }
    Some(YamlFile { root, comment: first_comment(&text) })
}

/// Whether a file with this `schema` can be read.
fn is_readable(node: &Node, findings: &mut Findings) -> bool {
    let kind = schema::Kind::Integer { min: 1, max: u64::MAX };
    let allowed = schema::VERSION.to_string();
    match kind.integer(node) {
        Ok(schema::VERSION) => true,
        Ok(newer) => {
            findings.add(&node.place, format!("schema {newer} is newer than this Assay"), allowed);
            false
        }
        Err(message) => {
            findings.add(&node.place, message, allowed);
            false
        }
    }
}

/// The comment that the file begins with, its lines joined by spaces.
fn first_comment(text: &str) -> String {
    let lines = text.lines().map(str::trim).skip_while(|line| line.is_empty());
    let comments = lines.map_while(|line| line.strip_prefix('#')).map(str::trim);
    // Tells an editor where the schema is, and asks nothing.
    let words = comments.filter(|line| !line.is_empty() && !line.starts_with("yaml-language-server:"));
    words.collect::<Vec<_>>().join(" ")
}

/// The text of a file of at most 1 MiB. What is wrong is told at `named_at`.
pub(crate) fn read_text(path: &Path, named_at: &Place, findings: &mut Findings) -> Option<String> {
    let bytes = read(path, MAX_TEXT, named_at, findings)?;
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
            findings.add(&Place::file(path, Some(line)), "is not UTF-8", "UTF-8 text");
            None
        }
    }
}

/// The SHA-256 of a patch file, in hexadecimal.
pub(crate) fn patch_sha256(path: &Path, findings: &mut Findings) -> Option<String> {
    sha256(path, MAX_PATCH, &Place::file(path, None), findings)
}

/// The SHA-256 of a file that goes into guests, in hexadecimal.
pub(crate) fn file_sha256(path: &Path, named_at: &Place, findings: &mut Findings) -> Option<String> {
    sha256(path, MAX_FILE, named_at, findings)
}

fn sha256(path: &Path, limit: u64, named_at: &Place, findings: &mut Findings) -> Option<String> {
    let bytes = read(path, limit, named_at, findings)?;
    Some(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn read(path: &Path, limit: u64, named_at: &Place, findings: &mut Findings) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        let message = format!("cannot read {}: {error}", path.display());
        findings.add(named_at, message, "the path of a file that can be read");
        return None;
    }
    if bytes.len() as u64 > limit {
        findings.add(
            named_at,
            format!("{} is too large", path.display()),
            format!("at most {} MiB", limit >> 20),
        );
        return None;
    }
    Some(bytes)
}

/// The absolute form of `path`, without links and detours. It must exist, and be UTF-8 since plans are text.
pub(crate) fn existing_path(path: &Path, named_at: &Place, findings: &mut Findings) -> Option<PathBuf> {
    match std::fs::canonicalize(path) {
        Ok(path) if path.to_str().is_some() => Some(path),
        Ok(path) => {
            let message = format!("the path {} is not UTF-8", path.display());
            findings.add(named_at, message, "a path with a UTF-8 name");
            None
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let message = format!("there is no {}", path.display());
            findings.add(named_at, message, "the path of something that exists");
            None
        }
        Err(error) => {
            let message = format!("cannot resolve {}: {error}", path.display());
            findings.add(named_at, message, "a path that can be resolved");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_comment_is_what_stands_before_everything_else() {
        assert_eq!(
            first_comment("\n# Is it faster?\n#\n#   And where?\nschema: 1 # no\n# nor this\n"),
            "Is it faster? And where?"
        );
        assert_eq!(first_comment("schema: 1\n# too late\n"), "");
        assert_eq!(first_comment("#\n#\nschema: 1\n"), "");
        assert_eq!(first_comment("# yaml-language-server: $schema=x.json\n# Is it?\n"), "Is it?");
    }
}
