//! Folders with packages unpacked in them, named after what they hold.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::At as _;
use crate::lock::Lock;
use crate::unpack::unpack_each;
use crate::{DebianError, Event, Package, Packages, Request, digest};

/// Changes when [`crate::unpack`] makes something else of the same packages.
const LAYOUT: u32 = 1;
/// How long another process may take to make the same root.
const LOCK_DEADLINE: Duration = Duration::from_hours(1);
/// What a root is called while it is being made: this, and its key.
const UNFINISHED: &str = "making-";
const MANIFEST: &str = "manifest.json";
/// What is wrong with a root some file of which was changed.
const OTHER_FILES: &str = "its files are not those of its packages";

/// Packages unpacked in a folder. Never changes once it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The folder that stands for `/`.
    pub path: PathBuf,
    /// What is in it, by name.
    pub packages: Vec<Package>,
    /// Stands for exactly these packages, in hexadecimal.
    pub key: String,
}

/// Whether a root that was made for a request before will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// The last one that was made for this request, whatever the archive serves by now. Needs no network.
    Last,
    /// Only one of the packages that the archive serves now.
    Current,
}

/// What lies beside a root's files.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    layout: u32,
    packages: Vec<Package>,
    /// Of the files; see [`Root::verify`].
    tree_sha256: String,
}

/// The root that was last made for a request.
#[derive(Debug, Serialize, Deserialize)]
struct Last {
    request: Request,
    key: String,
}

impl Packages {
    /// A root with what the request stands for, made in `folder` if it is not there: unpacked under another name,
    /// synced, and renamed, so that a root is whole or not there. Several processes may share the folder.
    ///
    /// Every file of a root that is there is read and compared with what was unpacked (173 MB of QEMU in 0.2 s): one that is damaged
    /// is set aside, and made anew of the same packages.
    ///
    /// # Errors
    /// As for [`resolve`](Packages::resolve) and [`fetch`](Packages::fetch); when the folder cannot be written.
    pub fn root(
        &self,
        folder: &Path,
        request: &Request,
        reuse: Reuse,
        progress: &mut dyn FnMut(Event),
    ) -> Result<Root, DebianError> {
        request.check()?;
        let roots = Roots::open(folder)?;
        if reuse == Reuse::Last
            && let Some(key) = roots.last(request)?
            && let Some(root) = self.find_or_mend(&roots, &key, progress)?
        {
            return Ok(root);
        }
        let packages = self.resolve(request)?;
        let root = match self.find_or_make(&roots, packages.clone(), progress) {
            Err(error @ DebianError::Tool { .. }) => match self.resolve(request) {
                // Something was replaced in the archive since the lists were fetched.
                Ok(current) if current != packages => self.find_or_make(&roots, current, progress)?,
                _ => return Err(error),
            },
            root => root?,
        };
        roots.note_last(request, &root.key)?;
        Ok(root)
    }

    fn find_or_make(
        &self,
        roots: &Roots,
        packages: Vec<Package>,
        progress: &mut dyn FnMut(Event),
    ) -> Result<Root, DebianError> {
        let key = key(&packages);
        let _lock = roots.wait(&key, progress)?;
        match roots.find(&key)? {
            Found::Whole(root) => return Ok(root),
            Found::Damaged { reason, .. } => roots.set_aside(&key, reason, progress)?,
            Found::None => {}
        }
        self.make(roots, packages, &key, progress)
    }

    /// The root with this key, made anew if it is damaged; none if it is not there, or if it is so damaged that nobody knows any more
    /// of what it was made.
    fn find_or_mend(
        &self,
        roots: &Roots,
        key: &str,
        progress: &mut dyn FnMut(Event),
    ) -> Result<Option<Root>, DebianError> {
        match roots.find(key)? {
            Found::Whole(root) => return Ok(Some(root)),
            Found::None => return Ok(None),
            Found::Damaged { .. } => {}
        }
        let _lock = roots.wait(key, progress)?;
        // Somebody else may have made it anew while we waited.
        match roots.find(key)? {
            Found::Whole(root) => Ok(Some(root)),
            Found::None => Ok(None),
            Found::Damaged { reason, packages } => {
                // As long as they cannot be had, the damaged one stays: it says what they are.
                if let Some(packages) = &packages {
                    self.fetch(packages, progress)?;
                }
                roots.set_aside(key, reason, progress)?;
                packages.map(|packages| self.make(roots, packages, key, progress)).transpose()
            }
        }
    }

    fn make(
        &self,
        roots: &Roots,
        packages: Vec<Package>,
        key: &str,
        progress: &mut dyn FnMut(Event),
    ) -> Result<Root, DebianError> {
        let debs = self.fetch(&packages, progress)?;
        let unfinished = roots.folder.join(format!("{UNFINISHED}{key}"));
        // We hold its lock, so whoever made it is gone.
        remove(&unfinished)?;
        let tree = unfinished.join("root");
        fs::create_dir_all(&tree).at("creating", &tree)?;
        fs::set_permissions(&unfinished, Permissions::from_mode(0o755))
            .at("opening to others", &unfinished)?;
        unpack_each(&debs, &tree, self.supervisor(), &mut |before, _| {
            progress(Event::Unpacking { package: packages[before].name.clone(), before, of: packages.len() });
        })?;
        let manifest = Manifest { layout: LAYOUT, packages, tree_sha256: digest::of_tree(&tree)? };
        write_json(&unfinished.join(MANIFEST), &manifest)?;
        // Thousands of files: one sync of the file system they are in costs less than one of each.
        let opened = File::open(&unfinished).at("reading", &unfinished)?;
        nix::unistd::syncfs(&opened).at("writing", &unfinished)?;
        let finished = roots.folder.join(key);
        fs::rename(&unfinished, &finished).at("renaming to", &finished)?;
        File::open(&roots.folder).and_then(|folder| folder.sync_all()).at("writing", &roots.folder)?;
        Ok(Root { path: finished.join("root"), packages: manifest.packages, key: key.to_owned() })
    }
}

impl Root {
    /// Reads every file and compares with what was unpacked.
    ///
    /// # Errors
    /// When something was changed, added or removed.
    pub fn verify(&self) -> Result<(), DebianError> {
        let folder = self.path.parent().unwrap_or(&self.path);
        let manifest: Manifest = read_json(&folder.join(MANIFEST))?;
        if digest::of_tree(&self.path)? == manifest.tree_sha256 {
            return Ok(());
        }
        Err(DebianError::DamagedRoot { path: folder.to_owned(), reason: OTHER_FILES })
    }
}

/// What is known of a root.
enum Found {
    None,
    Whole(Root),
    /// Of which packages it was made, if that can still be told.
    Damaged {
        reason: &'static str,
        packages: Option<Vec<Package>>,
    },
}

/// The folder that roots are in.
struct Roots {
    folder: PathBuf,
}

impl Roots {
    /// Makes the folder, and removes what processes that ended in the middle left there.
    fn open(folder: &Path) -> Result<Roots, DebianError> {
        let folder = std::path::absolute(folder).at("finding", folder)?;
        for below in [folder.clone(), folder.join("locks"), folder.join("requests")] {
            fs::create_dir_all(&below).at("creating", &below)?;
        }
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).at("opening to others", &folder)?;
        let roots = Roots { folder };
        for entry in fs::read_dir(&roots.folder).at("reading", &roots.folder)? {
            let entry = entry.at("reading", &roots.folder)?;
            let name = entry.file_name();
            let Some(key) = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED)) else { continue };
            // Its maker holds the lock as long as it lives.
            if let Some(_lock) = Lock::now(&roots.lock(key))? {
                remove(&entry.path())?;
            }
        }
        Ok(roots)
    }

    fn lock(&self, key: &str) -> PathBuf {
        self.folder.join("locks").join(key)
    }

    /// Waits for whoever makes the root with this key.
    fn wait(&self, key: &str, progress: &mut dyn FnMut(Event)) -> Result<Lock, DebianError> {
        Lock::wait(&self.lock(key), LOCK_DEADLINE, &mut |holder| {
            progress(Event::Waiting { path: self.folder.clone(), holder });
        })
    }

    /// The root with this key, every file of which is read.
    fn find(&self, key: &str) -> Result<Found, DebianError> {
        let folder = self.folder.join(key);
        if !folder.exists() {
            return Ok(Found::None);
        }
        let unknown = |reason| Ok(Found::Damaged { reason, packages: None });
        let Ok(manifest) = read_json::<Manifest>(&folder.join(MANIFEST)) else {
            return unknown("its manifest cannot be read");
        };
        if manifest.layout != LAYOUT || self::key(&manifest.packages) != key {
            return unknown("its manifest is that of another root");
        }
        let root = Root { path: folder.join("root"), packages: manifest.packages, key: key.to_owned() };
        match root.verify() {
            Ok(()) => Ok(Found::Whole(root)),
            Err(DebianError::DamagedRoot { reason, .. }) => {
                Ok(Found::Damaged { reason, packages: Some(root.packages) })
            }
            // Set aside by another process that found it damaged as well.
            Err(_) if !folder.exists() => Ok(Found::None),
            Err(_) if !root.path.is_dir() => {
                Ok(Found::Damaged { reason: "its files are gone", packages: Some(root.packages) })
            }
            Err(error) => Err(error),
        }
    }

    /// Puts a damaged root where it can be looked at, in the place of the last one with its key. The caller holds its lock.
    fn set_aside(
        &self,
        key: &str,
        reason: &'static str,
        progress: &mut dyn FnMut(Event),
    ) -> Result<(), DebianError> {
        let (path, aside) = (self.folder.join(key), self.folder.join(format!("{key}.damaged")));
        remove(&aside)?;
        fs::rename(&path, &aside).at("renaming to", &aside)?;
        progress(Event::Damaged { path, reason: reason.to_owned(), aside });
        Ok(())
    }

    /// The key of the last root that was made for a request. A note that cannot be read is none: it saves looking things up.
    fn last(&self, request: &Request) -> Result<Option<String>, DebianError> {
        Ok(read_json(&self.note(request)?).ok().map(|last: Last| last.key))
    }

    fn note_last(&self, request: &Request, key: &str) -> Result<(), DebianError> {
        let last = Last { request: request.clone(), key: key.to_owned() };
        let path = self.note(request)?;
        // Two processes may note at once, under keys of their own.
        let unfinished = path.with_extension(format!("{key}.new"));
        write_json(&unfinished, &last)?;
        fs::rename(&unfinished, &path).at("renaming to", &path)
    }

    fn note(&self, request: &Request) -> Result<PathBuf, DebianError> {
        let text = serde_json::to_string(request).map_err(io::Error::from).at("writing", &self.folder)?;
        Ok(self.folder.join("requests").join(format!("{}.json", &digest::of_text(&text)[..32])))
    }
}

/// Packages are told apart by what is in their files, wherever those were served.
fn key(packages: &[Package]) -> String {
    let mut text = format!("layout {LAYOUT}\n");
    for Package { name, version, architecture, sha256, .. } in packages {
        text += &format!("{name} {version} {architecture} {sha256}\n");
    }
    digest::of_text(&text)[..32].to_owned()
}

fn remove(folder: &Path) -> Result<(), DebianError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.at("removing", folder),
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, DebianError> {
    let bytes = fs::read(path).at("reading", path)?;
    serde_json::from_slice(&bytes).map_err(io::Error::from).at("understanding", path)
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), DebianError> {
    let bytes = serde_json::to_vec_pretty(value).map_err(io::Error::from).at("writing", path)?;
    fs::write(path, bytes).at("writing", path)
}
