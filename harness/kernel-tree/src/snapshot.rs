//! The working tree as git would commit it now, written down beside the repository: a temporary index and a temporary
//! store of objects that knows the repository's own. The developer's index, objects and files stay as they are.

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::Path,
};

use subprocess::{Input, Tool};
use tempfile::TempDir;

use crate::{TreeError, error::io, repository::Repository};

/// Larger than any source file: a core dump, an image, an archive.
const LARGEST_UNTRACKED: u64 = 8 << 20;

/// A tree object of the working tree, as long as this lives.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Its id.
    pub(crate) tree: String,
    /// What was left out.
    pub(crate) notes: Vec<String>,
    room: TempDir,
    objects: OsString,
}

impl Snapshot {
    /// Takes everything that is tracked as it is on disk, and every untracked file that is neither ignored nor below `ours`.
    pub(crate) fn take(repository: &Repository, ours: &Path) -> Result<Self, TreeError> {
        refuse_conflicts(repository)?;
        let room = tempfile::tempdir().map_err(io("create a folder in", std::env::temp_dir()))?;
        let path = |name: &str| -> Result<std::path::PathBuf, TreeError> {
            let answer = repository.run(
                repository.git(&["rev-parse", "--path-format=absolute", "--git-path", name]),
                "find git's own files",
            )?;
            Ok(OsString::from_vec(answer.trim_ascii_end().to_vec()).into())
        };
        let index = path("index")?;
        copy_index(&index, &room.path().join("index")).map_err(io("copy", index))?;
        fs::create_dir(room.path().join("objects")).map_err(io("create a folder in", room.path()))?;
        let objects = alternates_entry(&path("objects")?);
        let mut snapshot = Self { tree: String::new(), notes: Vec::new(), room, objects };
        repository.run(snapshot.with(repository.git(&["add", "--update", "."])), "read the changed files")?;
        snapshot.add_untracked(repository, ours)?;
        let written = repository.run(snapshot.with(repository.git(&["write-tree"])), "write the tree")?;
        snapshot.tree = String::from_utf8_lossy(&written).trim().to_owned();
        Ok(snapshot)
    }

    /// A git command that sees the snapshot.
    pub(crate) fn with(&self, git: Tool) -> Tool {
        git.env("GIT_INDEX_FILE", self.room.path().join("index"))
            .env("GIT_OBJECT_DIRECTORY", self.room.path().join("objects"))
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", &self.objects)
    }

    /// A folder that goes away with the snapshot.
    pub(crate) fn scratch(&self) -> &Path {
        self.room.path()
    }

    fn add_untracked(&mut self, repository: &Repository, ours: &Path) -> Result<(), TreeError> {
        let listed = repository.run(
            self.with(repository.git(&["ls-files", "--others", "--exclude-standard", "-z"])),
            "list untracked files",
        )?;
        let mut added = Vec::new();
        for name in listed.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let path = Path::new(std::ffi::OsStr::from_bytes(name));
            if repository.root().join(path).starts_with(ours) {
                continue;
            }
            if name.ends_with(b"/") {
                self.notes.push(format!("left out: {}, a repository of its own", path.display()));
                continue;
            }
            // It may be gone by now.
            let Ok(found) = fs::symlink_metadata(repository.root().join(path)) else { continue };
            if found.len() > LARGEST_UNTRACKED {
                let size = found.len() >> 20;
                self.notes.push(format!("left out: {}, untracked and {size} MiB", path.display()));
                continue;
            }
            added.extend_from_slice(name);
            added.push(0);
        }
        if added.is_empty() {
            return Ok(());
        }
        let git = repository
            .git(&["update-index", "--add", "--remove", "-z", "--stdin"])
            .stdin(Input::Bytes(added));
        repository.run(self.with(git), "read the untracked files").map(|_| ())
    }
}

/// Copies the index, if there is one, with its time: a file that is as old as the index may have been changed after git looked
/// at it, so git looks again ("racy git"). In a newer index it would not.
fn copy_index(from: &Path, to: &Path) -> std::io::Result<()> {
    let modified = match fs::metadata(from) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        found => found?.modified()?,
    };
    fs::copy(from, to)?;
    fs::File::options().append(true).open(to)?.set_modified(modified)
}

fn refuse_conflicts(repository: &Repository) -> Result<(), TreeError> {
    let listed = repository.run(
        repository.git(&["diff", "--name-only", "--diff-filter=U", "--no-ext-diff", "-z"]),
        "look for conflicts",
    )?;
    let names: Vec<String> = listed
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    let more = if names.len() > 3 { format!(" and {} more", names.len() - 3) } else { String::new() };
    let paths = names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ") + &more;
    Err(TreeError::Unmerged { tree: repository.root().to_owned(), paths })
}

/// A path for `GIT_ALTERNATE_OBJECT_DIRECTORIES` (git(1)): quoted, as a colon would end it.
fn alternates_entry(path: &Path) -> OsString {
    let mut quoted = vec![b'"'];
    for &byte in path.as_os_str().as_bytes() {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted.push(b'"');
    OsString::from_vec(quoted)
}
