//! Folders: the cache, the project, and the private one for sockets.

use std::{
    fs::{self, DirBuilder, File},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use crate::{arguments::Places, failure::Failure, hints::meant};

impl Places {
    /// The project that a scenario, or the current folder, is in; else the one that we were built in, for those who stand in a
    /// kernel tree.
    pub(crate) fn project(&self, near: &Path) -> Result<scenario::Project, Failure> {
        match &self.project {
            Some(root) => Ok(scenario::Project::at(root)),
            None => scenario::Project::containing(near)
                .or_else(|problems| {
                    let us = std::env::current_exe().ok();
                    us.and_then(|us| scenario::Project::containing(&us).ok()).ok_or(problems)
                })
                .map_err(|problems| {
                    Failure::user(problems).hint(
                        "--project DIR or ASSAY_PROJECT=DIR names a folder with `kernels/`, such as Assay's sources",
                    )
                }),
        }
    }

    /// The cache folder. Root's is one that other users can reach: builds and guests run as an unprivileged user.
    pub(crate) fn cache_folder(&self) -> Result<PathBuf> {
        if let Some(folder) = &self.cache {
            return std::path::absolute(folder).with_context(|| format!("resolving {}", folder.display()));
        }
        if nix::unistd::geteuid().is_root() {
            return Ok("/var/cache/assay".into());
        }
        let xdg = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let base = xdg.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
        Ok(base.context("neither ASSAY_CACHE, XDG_CACHE_HOME nor HOME is set")?.join("assay"))
    }

    /// The folder of a run that was named by its path or by its name in the results folder.
    ///
    /// # Errors
    /// If there is none: the user's mistake.
    pub(crate) fn run_folder(&self, run: &Path) -> Result<PathBuf, Failure> {
        let folders = [run.to_owned(), self.results.join(run)];
        let is_run = |folder: &&PathBuf| folder.join("run.json").is_file();
        folders.iter().find(is_run).cloned().ok_or_else(|| self.no_run(Some(run)))
    }

    /// There is no such run, or none at all.
    pub(crate) fn no_run(&self, wanted: Option<&Path>) -> Failure {
        let results = self.results.display();
        let runs = store::list(&self.results).unwrap_or_default();
        let names: Vec<String> =
            runs.iter().filter_map(|run| Some(run.file_name()?.to_str()?.to_owned())).collect();
        match wanted {
            _ if names.is_empty() => Failure::user(match wanted {
                Some(wanted) => {
                    format!("assay: there is no run `{}`, nor any other in {results}", wanted.display())
                }
                None => format!("assay: there is no run in {results}"),
            })
            .hint("assay run SCENARIO makes one; --results DIR looks for them elsewhere"),
            Some(wanted) => {
                let wanted = wanted.display().to_string();
                // Names are long, and what they say stands at their end.
                let newest = names.iter().rev().find(|name| name.contains(&wanted));
                let question = newest.map_or_else(
                    || meant(&wanted, names.iter().map(String::as_str)),
                    |name| format!("; did you mean `{name}`?"),
                );
                Failure::user(format!("assay: there is no run `{wanted}` in {results}{question}"))
                    .hint("assay runs lists them")
            }
            None => Failure::user(format!("assay: there is no run in {results}")),
        }
    }
}

/// Where runs go if nobody says otherwise: beside the user, but not into a kernel tree, of which they would be untracked changes.
pub(crate) fn results() -> PathBuf {
    let in_tree = matches!(kernel_tree::KernelTree::containing(Path::new(".")), Ok(Some(_)));
    let state = || {
        let xdg = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        Some(match xdg {
            Some(state) => state,
            None => Path::new(&std::env::var_os("HOME")?).join(".local/state"),
        })
    };
    let state = if in_tree { state() } else { None };
    state.map_or_else(|| "results".into(), |state| state.join("assay/results"))
}

/// How long making a folder waits for those who make or remove others.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries. `flock` has no deadline of its own and no event to wait for.
const POLL: Duration = Duration::from_millis(5);

/// A private folder for one invocation's sockets. Its lock tells the next invocation whether its maker still lives.
#[derive(Debug)]
pub(crate) struct Runtime {
    folder: PathBuf,
    _lock: Flock<File>,
}

impl Runtime {
    /// Makes the folder, and removes what dead invocations left.
    pub(crate) fn create() -> Result<Self> {
        Self::within(&base()?)
    }

    fn within(base: &Path) -> Result<Self> {
        // A sweep never meets a folder that its maker has not locked yet.
        let _creation = creation(base)?;
        sweep(base)?;
        for attempt in 0..1000 {
            let folder = base.join(format!("{}-{attempt}", std::process::id()));
            match DirBuilder::new().mode(0o755).create(&folder) {
                Ok(()) => {
                    let path = folder.join(LOCK);
                    let file =
                        File::create_new(&path).with_context(|| format!("creating {}", path.display()))?;
                    let lock = taken(file, &path)?.context("a new folder is locked by somebody else")?;
                    return Ok(Self { folder, _lock: lock });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| format!("creating {}", folder.display())),
            }
        }
        bail!("{} is full of folders of this process id", base.display())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // A sweep that found the lock gone would remove the rest at the same time.
        let _creation = self.folder.parent().map(creation);
        if let Err(error) = fs::remove_dir_all(&self.folder).or_else(gone) {
            eprintln!("assay: removing {}: {error}; the next invocation will", self.folder.display());
        }
    }
}

/// `/run/assay` for root, else a folder of the user's own. Short: a socket's path must fit into 107 bytes.
fn base() -> Result<PathBuf> {
    let user = nix::unistd::geteuid();
    let base = if user.is_root() {
        PathBuf::from("/run/assay")
    } else {
        match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_dir()) {
            Some(folder) => folder.join("assay"),
            None => PathBuf::from(format!("/tmp/assay-{user}")),
        }
    };
    match DirBuilder::new().mode(if user.is_root() { 0o755 } else { 0o700 }).create(&base) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let found =
                fs::symlink_metadata(&base).with_context(|| format!("looking at {}", base.display()))?;
            if !found.is_dir() || found.uid() != user.as_raw() || found.mode() & 0o022 != 0 {
                bail!("{} is not a folder that only this user can write to", base.display());
            }
        }
        Err(error) => return Err(error).with_context(|| format!("creating {}", base.display())),
    }
    Ok(base)
}

/// The folders of this user's invocations that live, with their process ids.
pub(crate) fn living() -> Result<Vec<(u32, PathBuf)>> {
    let base = base()?;
    // Nobody makes a folder that only looks dead because it is looked at.
    let _creation = creation(&base)?;
    let mut found = Vec::new();
    for entry in fs::read_dir(&base).with_context(|| format!("reading {}", base.display()))? {
        let folder = entry.with_context(|| format!("reading {}", base.display()))?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let Some(pid) = name.split_once('-').and_then(|(pid, _)| pid.parse().ok()) else { continue };
        if !is_dead(&folder)? {
            found.push((pid, folder));
        }
    }
    found.sort();
    Ok(found)
}

/// Removes the folders whose makers are gone, for whoever holds [`creation`].
fn sweep(base: &Path) -> Result<()> {
    for entry in fs::read_dir(base).with_context(|| format!("reading {}", base.display()))? {
        let folder = entry.with_context(|| format!("reading {}", base.display()))?.path();
        if is_dead(&folder)? {
            fs::remove_dir_all(&folder)
                .or_else(gone)
                .with_context(|| format!("removing {}", folder.display()))?;
        }
    }
    Ok(())
}

fn gone(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// The lock in every invocation's folder.
const LOCK: &str = "lock";

/// Whether a folder's maker is gone: its lock is free, or there is none. For whoever holds [`creation`], as the maker does until
/// the lock is there; a folder that vanishes while it is looked at is dead, too.
fn is_dead(folder: &Path) -> Result<bool> {
    let path = folder.join(LOCK);
    match File::open(&path) {
        Ok(file) => Ok(taken(file, &path)?.is_some()),
        // What is no folder is not ours to remove.
        Err(error) => Ok(error.kind() == ErrorKind::NotFound),
    }
}

/// The lock on the folder of folders, held while one is made and while the dead ones are removed.
fn creation(base: &Path) -> Result<Flock<File>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let file = File::open(base).with_context(|| format!("opening {}", base.display()))?;
        if let Some(lock) = taken(file, base)? {
            return Ok(lock);
        }
        if Instant::now() > deadline {
            bail!("another invocation has held {} for {} s", base.display(), PATIENCE.as_secs());
        }
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "polls the condition `the lock is free` until a deadline")]
fn pause() {
    std::thread::sleep(POLL);
}

/// The lock of a file, or nothing if somebody else has it.
fn taken(file: File, path: &Path) -> Result<Option<Flock<File>>> {
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno).with_context(|| format!("locking {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_at_once_keep_their_folders_until_they_are_dropped() {
        let room = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let runtime = Runtime::within(room.path()).unwrap();
                        let socket = runtime.folder().join("socket");
                        fs::write(&socket, "").unwrap();
                        assert!(!is_dead(runtime.folder()).unwrap());
                        assert!(socket.is_file());
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(room.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_the_dead_left_is_removed() {
        let room = tempfile::tempdir().unwrap();
        let folder = |name: &str| room.path().join(name);
        fs::create_dir_all(folder("7-0/deep")).unwrap();
        fs::create_dir(folder("8-0")).unwrap();
        fs::write(folder("8-0").join(LOCK), "").unwrap();
        let living = Runtime::within(room.path()).unwrap();
        assert!(!folder("7-0").exists(), "killed before it made its lock");
        assert!(!folder("8-0").exists());
        assert!(living.folder().is_dir());
    }
}
