//! apt's programs, run on a view.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use subprocess::{Output, Supervisor, Tool, ToolError};

use crate::error::At as _;
use crate::view::View;
use crate::{DebianError, Package, Request, Wanted, list};

/// Lists older than this are fetched again before they are used.
const LISTS_KEEP: Duration = Duration::from_hours(24);
/// Bounds what waits for the network: a few tens of megabytes of lists.
const UPDATE_DEADLINE: Duration = Duration::from_mins(15);
/// Bounds what only computes.
const QUESTION_DEADLINE: Duration = Duration::from_mins(5);
/// Through which proxy the mirror is reached is the user's business. apt knows the small spelling.
const PROXY_VARIABLES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];

/// Runs apt's programs. Callers hold the lock of the state.
#[derive(Debug)]
pub(crate) struct Apt {
    supervisor: Supervisor,
    /// Notes of the lists that this process has updated: once is enough.
    updated: Mutex<HashSet<PathBuf>>,
}

impl Apt {
    pub(crate) fn new(supervisor: &Supervisor) -> Apt {
        Apt { supervisor: supervisor.clone(), updated: Mutex::default() }
    }

    pub(crate) fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// Updates the lists unless they are young.
    pub(crate) fn freshen(&self, view: &View) -> Result<(), DebianError> {
        if is_young(&view.updated)? { Ok(()) } else { self.update(view) }
    }

    /// Updates the lists, at most once in the life of this process. False if that was done before.
    pub(crate) fn update_once(&self, view: &View) -> Result<bool, DebianError> {
        let updated = self.updated.lock().unwrap_or_else(PoisonError::into_inner).contains(&view.updated);
        if !updated {
            self.update(view)?;
        }
        Ok(!updated)
    }

    fn update(&self, view: &View) -> Result<(), DebianError> {
        let tool = with_proxy(apt_get(view).args(["-q", "update"])).deadline(UPDATE_DEADLINE);
        tool.run(&self.supervisor).map_err(|source| DebianError::Tool {
            doing: format!("updating the package lists of {}", view.suites.join(", ")),
            source,
        })?;
        // Its time is what counts.
        File::create(&view.updated).at("writing", &view.updated)?;
        self.updated.lock().unwrap_or_else(PoisonError::into_inner).insert(view.updated.clone());
        Ok(())
    }

    /// The versions of packages that the lists have, in no order, for [`list::served`].
    pub(crate) fn madison(&self, view: &View, names: &[&str]) -> Result<String, DebianError> {
        let tool = Tool::new("apt-cache").arg("-c").arg(&view.config).arg("madison").args(names);
        let output = tool.deadline(QUESTION_DEADLINE).run(&self.supervisor).map_err(|source| {
            DebianError::Tool { doing: format!("looking up the versions of {}", names.join(" ")), source }
        })?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Exactly the wanted packages, or with all they need.
    pub(crate) fn resolve(&self, view: &View, request: &Request) -> Result<Vec<Package>, DebianError> {
        let wanted = request.packages.iter().map(Wanted::argument);
        let tool = apt_get(view).args(["-q", "--print-uris"]);
        let tool = if !request.with_dependencies {
            tool.arg("download")
        } else if request.recommends {
            tool.args(["--install-recommends", "install"])
        } else {
            tool.args(["--no-install-recommends", "install"])
        };
        let names = || request.packages.iter().map(Wanted::argument).collect::<Vec<_>>();
        let output = tool.args(wanted).deadline(QUESTION_DEADLINE).run_unchecked(&self.supervisor).map_err(
            |source| DebianError::Tool { doing: format!("resolving {}", names().join(" ")), source },
        )?;
        let Output { ended, stdout, stderr, .. } = &output;
        let (stdout, stderr) = (String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr));
        if !ended.is_success() {
            return Err(DebianError::Unresolvable {
                packages: names(),
                reason: list::unmet(&stdout, &stderr),
            });
        }
        list::packages(&stdout)
    }

    /// Downloads packages into `folder`, under the names that [`file_name`] gives. apt checks the checksums.
    pub(crate) fn download(
        &self,
        config: &Path,
        packages: &[&Package],
        folder: &Path,
    ) -> Result<(), ToolError> {
        let mut tool =
            Tool::new("/usr/lib/apt/apt-helper").arg("-c").arg(config).args(["-q", "download-file"]);
        for package in packages {
            tool = tool
                .arg(&package.uri)
                .arg(folder.join(file_name(package)))
                .arg(format!("SHA256:{}", package.sha256));
        }
        with_proxy(tool).deadline(download_deadline(packages)).run(&self.supervisor).map(drop)
    }
}

/// The name of a package's file. Names, versions and architectures have no slash.
pub(crate) fn file_name(package: &Package) -> String {
    let version = package.version.replace(':', "%3a");
    format!("{}_{version}_{}.deb", package.name, package.architecture)
}

fn apt_get(view: &View) -> Tool {
    Tool::new("apt-get").arg("-c").arg(&view.config)
}

fn with_proxy(tool: Tool) -> Tool {
    PROXY_VARIABLES.into_iter().fold(tool, Tool::pass_env)
}

/// Time for a slow line: 100 KB/s, and a few minutes for a mirror that makes one wait.
fn download_deadline(packages: &[&Package]) -> Duration {
    let bytes: u64 = packages.iter().map(|package| package.bytes).sum();
    Duration::from_mins(5) + Duration::from_secs(bytes / 100_000)
}

/// Whether the file was written within the time that lists keep.
#[expect(clippy::disallowed_methods, reason = "the age of a cache, which no result depends on")]
fn is_young(path: &Path) -> Result<bool, DebianError> {
    match fs::metadata(path).and_then(|metadata| metadata.modified()) {
        // From the future: the clock was wrong, then or now.
        Ok(written) => Ok(SystemTime::now().duration_since(written).is_ok_and(|age| age < LISTS_KEEP)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).at("reading", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_age() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("note");
        assert!(!is_young(&note).unwrap());
        let file = File::create(&note).unwrap();
        assert!(is_young(&note).unwrap());
        let written = file.metadata().unwrap().modified().unwrap();
        file.set_modified(written - LISTS_KEEP).unwrap();
        assert!(!is_young(&note).unwrap());
        file.set_modified(written + LISTS_KEEP).unwrap();
        assert!(!is_young(&note).unwrap());
    }
}
