//! Other machines' trees, written down as text and unpacked for a test.
//!
//! `/path = text` is a file of one line, `/path:` one of the lines below it that start with `| `, `/path -> target` a
//! link, `/path/` an empty folder. `{0-7}` in a path stands for each of these numbers.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use host::Root;
use tempfile::TempDir;

/// An unpacked tree; removed with this value.
#[derive(Debug)]
pub(crate) struct Tree {
    folder: TempDir,
}

impl Tree {
    /// The tree of `tests/hosts/NAME.tree`.
    pub(crate) fn of(name: &str) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts").join(format!("{name}.tree"));
        let text = fs::read_to_string(source).unwrap();
        let folder = in_memory();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(path) = line.strip_suffix('/') {
                fs::create_dir_all(below(folder.path(), path)).unwrap();
            } else if let Some(path) = line.strip_suffix(':') {
                let mut contents = String::new();
                while let Some(more) = lines.next_if(|line| line.starts_with("| ")) {
                    contents.push_str(&more[2..]);
                    contents.push('\n');
                }
                write(folder.path(), path, &contents);
            } else if let Some((path, target)) = line.split_once(" -> ") {
                let link = below(folder.path(), path);
                fs::create_dir_all(link.parent().unwrap()).unwrap();
                symlink(target, link).unwrap();
            } else {
                let (path, value) = line.split_once(" =").unwrap_or_else(|| panic!("{line:?}"));
                for path in expanded(path) {
                    write(folder.path(), &path, &format!("{}\n", value.trim_start()));
                }
            }
        }
        Self { folder }
    }

    pub(crate) fn root(&self) -> Root {
        Root::at(self.folder.path())
    }

    /// Every file's text and every link's target, by path; folders as empty ones.
    pub(crate) fn contents(&self) -> BTreeMap<PathBuf, String> {
        let mut all = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let text = if path.is_symlink() {
                    fs::read_link(&path).unwrap().display().to_string()
                } else if path.is_dir() {
                    folders.push(path.clone());
                    String::new()
                } else {
                    fs::read_to_string(&path).unwrap()
                };
                all.insert(path.strip_prefix(self.folder.path()).unwrap().to_owned(), text);
            }
        }
        all
    }
}

/// A folder in memory where there is one: a test that writes to a disk a thousand times waits for it a thousand times.
pub(crate) fn in_memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn below(folder: &Path, path: &str) -> PathBuf {
    folder.join(path.trim_start_matches('/'))
}

fn write(folder: &Path, path: &str, contents: &str) {
    let file = below(folder, path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, contents).unwrap();
}

fn expanded(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let (range, after) = rest.split_once('}').unwrap();
    let (first, last) = range.split_once('-').unwrap();
    let range = first.parse::<u32>().unwrap()..=last.parse::<u32>().unwrap();
    range.map(|number| format!("{before}{number}{after}")).collect()
}
