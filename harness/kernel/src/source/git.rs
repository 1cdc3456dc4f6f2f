//! A git tree at a ref: a local repository, or a URL that is fetched into a bare repository of the cache.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use subprocess::Tool;

use super::{Resolved, archive};
use crate::{
    KernelError,
    digest::Fields,
    error::tool,
    folder, lock,
    progress::{Listener, stage},
    site::Site,
    work::Work,
};

/// A shallow fetch of a kernel tree over a slow line.
const FETCH_DEADLINE: Duration = Duration::from_secs(2 * 3600);
/// Anything that reads a local repository.
const LOCAL_DEADLINE: Duration = Duration::from_secs(1800);

/// A commit in a repository on this host.
#[derive(Debug)]
pub(super) struct Fetched {
    repository: PathBuf,
    commit: String,
}

/// Whether a repository is a folder of this host.
pub(super) fn is_local(repository: &str) -> bool {
    Path::new(repository).is_dir()
}

/// What a ref of a local repository is now.
pub(super) fn resolve_local(site: &Site, repository: &str, reference: &str) -> Result<Resolved, KernelError> {
    commit(site, Path::new(repository), reference).map(|commit| resolved(&commit))
}

/// Makes the commit available on this host. One that was recorded for a URL and is still here is taken as it is.
pub(super) fn fetch(
    site: &Site,
    repository: &str,
    reference: &str,
    recorded: Option<&Resolved>,
    listener: &mut Listener<'_>,
) -> Result<Fetched, KernelError> {
    if is_local(repository) {
        let path = PathBuf::from(repository);
        let commit = commit(site, &path, reference)?;
        return Ok(Fetched { repository: path, commit });
    }
    let digest = Fields::new("repository").with("url", repository).finish();
    let path = site.layout.repository(&digest);
    let what = format!("the copy of {repository}");
    let _lock = lock::exclusive(&site.layout.lock("repository", &digest), &what, FETCH_DEADLINE, listener)?;
    if let Some(recorded) = recorded
        && path.is_dir()
        && let Ok(commit) = commit(site, &path, &recorded.version)
    {
        return Ok(Fetched { repository: path, commit });
    }
    stage(listener, format!("fetch {reference} from {repository}"));
    if !path.is_dir() {
        folder::create(&path)?;
        let init = git(&path).args(["init", "--bare", "--quiet"]).deadline(LOCAL_DEADLINE);
        init.run(&site.supervisor).map_err(tool(format!("make {}", path.display())))?;
    }
    git(&path)
        .args(["fetch", "--quiet", "--no-tags", "--depth=1", "--end-of-options", repository, reference])
        // For ssh and credential helpers, as the user has them.
        .pass_env("HOME")
        .pass_env("SSH_AUTH_SOCK")
        .env("GIT_TERMINAL_PROMPT", "0")
        .deadline(FETCH_DEADLINE)
        .run(&site.supervisor)
        .map_err(tool(format!("fetch {reference} from {repository}")))?;
    let commit = commit(site, &path, "FETCH_HEAD")?;
    Ok(Fetched { repository: path, commit })
}

/// The commit that a ref stands for.
fn commit(site: &Site, repository: &Path, reference: &str) -> Result<String, KernelError> {
    let output = git(repository)
        .args(["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{reference}^{{commit}}")])
        .deadline(LOCAL_DEADLINE)
        .run_unchecked(&site.supervisor)
        .map_err(tool(format!("resolve {reference}")))?;
    let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.ended.is_success() && commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return Ok(commit);
    }
    Err(KernelError::NoSuchCommit {
        repository: repository.display().to_string(),
        reference: reference.to_owned(),
        reason: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

fn resolved(commit: &str) -> Resolved {
    Resolved { id: format!("git-{commit}"), version: commit.to_owned() }
}

/// git in a repository, without hooks and without helpers that a configuration could name.
fn git(repository: &Path) -> Tool {
    Tool::new("git")
        .arg("-C")
        .arg(repository)
        .args([
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.fsmonitor=false",
            "-c",
            "protocol.ext.allow=never",
        ])
        // The user named this folder; whose it is does not matter.
        .args(["-c", "safe.directory=*"])
}

impl Fetched {
    pub(super) fn resolved(&self) -> Resolved {
        resolved(&self.commit)
    }

    /// Unpacks the commit's files.
    pub(super) fn unpack(
        &self,
        site: &Site,
        work: &Work,
        listener: &mut Listener<'_>,
    ) -> Result<PathBuf, KernelError> {
        stage(listener, format!("archive {}", self.commit));
        let tar = work.at("git.tar");
        git(&self.repository)
            .args(["archive", "--format=tar", "--prefix=tree/", "--output"])
            .arg(&tar)
            .arg(&self.commit)
            .deadline(LOCAL_DEADLINE)
            .run(&site.supervisor)
            .map_err(tool(format!("archive {}", self.commit)))?;
        archive::unpack(&site.supervisor, &tar, work, listener)
    }
}
