//! A private apt state.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use subprocess::Supervisor;

use crate::apt::Apt;
use crate::error::At as _;
use crate::lock::Lock;
use crate::mirror::Mirrors;
use crate::pool::Pool;
use crate::view::View;
use crate::{DebianError, Event, Package, Request, Served, list};

/// How long another process may hold the state: it may be fetching a kernel's sources over a slow line.
const LOCK_DEADLINE: Duration = Duration::from_hours(1);

/// A private apt state in a folder: lists, and a pool of fetched packages. Several processes may use one folder.
#[derive(Debug)]
pub struct Packages {
    folder: PathBuf,
    mirrors: Mirrors,
    apt: Apt,
}

impl Packages {
    /// Opens the state in `folder`, which is created if it is not there. Touches no network.
    ///
    /// # Errors
    /// When the folder cannot be made, or the machine's apt configuration cannot be read. That it names no Debian
    /// archive is told by whatever needs one.
    pub fn open(folder: &Path, supervisor: &Supervisor) -> Result<Packages, DebianError> {
        let folder = std::path::absolute(folder).at("finding", folder)?;
        for below in [folder.clone(), folder.join("lists"), folder.join("updated"), folder.join("pool")] {
            fs::create_dir_all(&below).at("creating", &below)?;
        }
        // An unprivileged child may have to read what we fetch.
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).at("opening to others", &folder)?;
        Ok(Packages { folder, mirrors: Mirrors::of_this_machine()?, apt: Apt::new(supervisor) })
    }

    /// The exact packages that the request stands for now, by name: the same for the same lists.
    ///
    /// Lists are fetched when there are none or they are a day old, and, once in the life of the process, when they
    /// lack what is wanted.
    ///
    /// # Errors
    /// When the archive does not serve what is wanted (the message lists what it does serve), when dependencies cannot
    /// be met, or when the lists cannot be fetched.
    pub fn resolve(&self, request: &Request) -> Result<Vec<Package>, DebianError> {
        request.check()?;
        let _lock = self.lock(&mut |_| ())?;
        let view = View::write(&self.folder, &self.mirrors, request)?;
        self.apt.freshen(&view)?;
        match self.check_served(&view, request) {
            Err(DebianError::NoSuchPackage { .. } | DebianError::NotServed { .. })
                if self.apt.update_once(&view)? =>
            {
                self.check_served(&view, request)?;
            }
            checked => checked?,
        }
        self.apt.resolve(&view, request)
    }

    /// The versions of a package that these suites serve now, by the lists as [`resolve`](Packages::resolve) keeps
    /// them; empty when there is none.
    ///
    /// # Errors
    /// When the lists cannot be fetched.
    pub fn served(&self, name: &str, suites: &[String]) -> Result<Vec<Served>, DebianError> {
        let request = Request {
            suites: suites.to_vec(),
            packages: vec![crate::Wanted::new(name)],
            with_dependencies: false,
            recommends: false,
            omit: Vec::new(),
        };
        request.check()?;
        let _lock = self.lock(&mut |_| ())?;
        let view = View::write(&self.folder, &self.mirrors, &request)?;
        self.apt.freshen(&view)?;
        list::served(&self.apt.madison(&view, &[name])?, name)
    }

    /// The `.deb` files of these packages, in the same order, fetched where the pool does not have them. Each is
    /// verified, those that were in the pool too; a damaged one is fetched again.
    ///
    /// # Errors
    /// When a package cannot be fetched: then the next [`resolve`](Packages::resolve) fetches the lists anew, since it
    /// may no longer be served. When it is not what its checksum says.
    pub fn fetch(
        &self,
        packages: &[Package],
        progress: &mut dyn FnMut(Event),
    ) -> Result<Vec<PathBuf>, DebianError> {
        let _lock = self.lock(progress)?;
        let fetched = Pool::open(&self.folder)?.fetch(packages, &self.apt, progress);
        if matches!(fetched, Err(DebianError::Tool { .. })) {
            // The archive removes a version when there is a newer one, so young lists may be out of date all the same.
            forget_updates(&self.folder.join("updated"))?;
        }
        fetched
    }

    pub(crate) fn supervisor(&self) -> &Supervisor {
        self.apt.supervisor()
    }

    fn lock(&self, progress: &mut dyn FnMut(Event)) -> Result<Lock, DebianError> {
        Lock::wait(&self.folder.join("lock"), LOCK_DEADLINE, &mut |holder| {
            progress(Event::Waiting { path: self.folder.clone(), holder });
        })
    }

    /// Says what is missing before apt does, whose message names neither suites nor alternatives.
    fn check_served(&self, view: &View, request: &Request) -> Result<(), DebianError> {
        let names: Vec<&str> = request.packages.iter().map(|wanted| wanted.name.as_str()).collect();
        let versions = self.apt.madison(view, &names)?;
        for wanted in &request.packages {
            let served = list::served(&versions, &wanted.name)?;
            let suites = request.suites.clone();
            if served.is_empty() {
                return Err(DebianError::NoSuchPackage { package: wanted.name.clone(), suites });
            }
            let fits = |one: &Served| {
                wanted.version.as_ref().is_none_or(|version| *version == one.version)
                    && wanted.suite.as_ref().is_none_or(|suite| *suite == one.suite)
            };
            if !served.iter().any(fits) {
                let version = wanted.version.as_ref().map(|version| format!("version {version}"));
                let suite = wanted.suite.as_ref().map(|suite| format!("from suite {suite}"));
                let description: Vec<String> = version.into_iter().chain(suite).collect();
                let package = wanted.name.clone();
                return Err(DebianError::NotServed {
                    package,
                    wanted: description.join(" "),
                    suites,
                    served,
                });
            }
        }
        Ok(())
    }
}

/// Makes every list as old as if it had never been fetched.
fn forget_updates(notes: &Path) -> Result<(), DebianError> {
    for note in fs::read_dir(notes).at("reading", notes)? {
        let path = note.at("reading", notes)?.path();
        fs::remove_file(&path).at("removing", &path)?;
    }
    Ok(())
}
