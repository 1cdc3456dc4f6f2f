//! Base trees: resolved to an exact version, fetched, unpacked once, kept pristine.

mod archive;
mod git;
pub(crate) mod package;
mod tarball;

use std::{fs, path::PathBuf, time::Duration};

use plan::{Base, Source};
use serde::{Deserialize, Serialize};

use crate::{
    KernelError,
    error::io,
    folder, identity, lock,
    progress::{Listener, note, stage},
    site::Site,
    tree::{self, Tree},
    work::Work,
};

/// Another process fetches and unpacks over a slow line.
const DEADLINE: Duration = Duration::from_secs(2 * 3600);

/// What a source comes to at present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resolved {
    /// Identifies the very files; a plain file name.
    pub(crate) id: String,
    /// For people and records: a package version, a commit, a checksum.
    pub(crate) version: String,
}

/// What the source comes to as far as can be told without network: by itself, or by what was recorded.
pub(crate) fn known(site: &Site, source: &Source) -> Result<Option<Resolved>, KernelError> {
    match source {
        Source::Tarball { sha256, .. } => Ok(Some(tarball::resolve(sha256))),
        Source::Git { repository, reference } if git::is_local(repository) => {
            git::resolve_local(site, repository, reference).map(Some)
        }
        Source::DebianSource { .. } | Source::DebianImage { .. } | Source::Git { .. } => {
            recorded(site, source)
        }
        Source::PrebuiltImage { .. } | Source::Imported => Ok(None),
    }
}

/// What the source was resolved to the last time.
pub(crate) fn recorded(site: &Site, source: &Source) -> Result<Option<Resolved>, KernelError> {
    let path = site.layout.resolution(&identity::source(source));
    match fs::read(&path) {
        // A record in another form is as good as none.
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("read", path)(error)),
    }
}

/// Records what the source was resolved to.
pub(crate) fn record(site: &Site, source: &Source, resolved: &Resolved) -> Result<(), KernelError> {
    let text = serde_json::to_vec(resolved).expect("two strings serialise");
    folder::write_durably(&site.layout.resolution(&identity::source(source)), &text)
}

/// Forgets what the source was resolved to, so that it is resolved anew.
pub(crate) fn forget(site: &Site, source: &Source) -> Result<(), KernelError> {
    let path = site.layout.resolution(&identity::source(source));
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The pristine tree of a base: the one of the cache, or fetched and unpacked now.
pub(crate) fn obtain(site: &Site, base: &Base, listener: &mut Listener<'_>) -> Result<Tree, KernelError> {
    let known = known(site, &base.source)?;
    if let Some(known) = &known
        && let Some(tree) = published(site, base, known)?
    {
        return Ok(tree);
    }
    let (resolved, fetch) = resolve(site, base, known.as_ref(), listener)?;
    site.settle(&identity::source(&base.source), &base.name, &resolved)?;
    if let Some(known) = known.filter(|known| *known != resolved) {
        note(
            listener,
            format!(
                "{}: {} is not to be had any more; taking {}.",
                base.name, known.version, resolved.version
            ),
        );
    }
    if let Some(tree) = published(site, base, &resolved)? {
        record(site, &base.source, &resolved)?;
        return Ok(tree);
    }
    let what = format!("the tree of {}", base.name);
    let lock = lock::exclusive(&site.layout.lock("tree", &resolved.id), &what, DEADLINE, listener)?;
    let place = site.layout.tree(&resolved.id);
    if !place.join(TREE).is_dir() {
        let work = Work::new(&site.layout)?;
        let unpacked = fetch.unpack(site, &work, listener)?;
        stage(listener, format!("settle the tree of {} {}", base.name, resolved.version));
        tree::settle(&unpacked)?;
        check_version(base, &unpacked)?;
        let entry = work.at("entry");
        folder::create(&entry)?;
        fs::rename(&unpacked, entry.join(TREE)).map_err(io("move", &unpacked))?;
        folder::write_durably(&entry.join("used"), b"")?;
        folder::publish(&entry, &place)?;
    }
    record(site, &base.source, &resolved)?;
    drop(lock);
    published(site, base, &resolved)?.ok_or_else(|| KernelError::Unexpected {
        what,
        reason: "another process removed it as soon as it was there".to_owned(),
    })
}

/// The tree of a source in this version, if it is in the cache.
pub(crate) fn unpacked(site: &Site, source: &Source, version: &str) -> Result<Option<PathBuf>, KernelError> {
    let known = known(site, source)?.filter(|known| known.version == version);
    let tree = known.map(|known| site.layout.tree(&known.id).join(TREE));
    Ok(tree.filter(|tree| tree.is_dir()))
}

/// The tree itself, within its entry.
const TREE: &str = "tree";

/// The tree in the cache, if it is there and nobody is at work on it.
fn published(site: &Site, base: &Base, resolved: &Resolved) -> Result<Option<Tree>, KernelError> {
    let entry = site.layout.tree(&resolved.id);
    let path = entry.join(TREE);
    if !path.is_dir() {
        return Ok(None);
    }
    let Some(lock) = lock::try_shared(&site.layout.lock("tree", &resolved.id))? else {
        return Ok(None);
    };
    if !path.is_dir() {
        return Ok(None);
    }
    check_version(base, &path)?;
    // Only gc reads this time.
    let _ = folder::touch(&entry.join("used"));
    let Resolved { id, version } = resolved.clone();
    Ok(Some(Tree { id, version, path, _lock: lock }))
}

/// Makes sure that the tree is of the version that the base's file promises.
fn check_version(base: &Base, path: &std::path::Path) -> Result<(), KernelError> {
    let found = tree::version(path)?;
    if tree::is_release_of(&found, &base.version) {
        return Ok(());
    }
    Err(KernelError::BadBase {
        base: base.name.clone(),
        reason: format!("its tree calls itself {found}, but version {} was expected", base.version),
    })
}

/// How a resolved source is to be had.
enum Fetch<'a> {
    Debian(Vec<debian::Package>),
    Git(git::Fetched),
    Tarball { location: &'a str, sha256: &'a str },
}

/// Resolves a source, through the network if it must. What was recorded is preferred while it is served.
fn resolve<'a>(
    site: &Site,
    base: &'a Base,
    recorded: Option<&Resolved>,
    listener: &mut Listener<'_>,
) -> Result<(Resolved, Fetch<'a>), KernelError> {
    match &base.source {
        Source::DebianSource { package, suites, versions } => {
            stage(listener, format!("resolve {package}"));
            let preferred = recorded.map(|resolved| resolved.version.as_str());
            let (resolved, packages) = package::resolve(site, package, suites, versions, preferred)?;
            Ok((resolved, Fetch::Debian(packages)))
        }
        Source::Git { repository, reference } => {
            let fetched = git::fetch(site, repository, reference, recorded, listener)?;
            Ok((fetched.resolved(), Fetch::Git(fetched)))
        }
        Source::Tarball { location, sha256 } => {
            Ok((tarball::resolve(sha256), Fetch::Tarball { location, sha256 }))
        }
        Source::PrebuiltImage { .. } | Source::DebianImage { .. } => Err(KernelError::BadBase {
            base: base.name.clone(),
            reason: "it is a prebuilt image and has no source tree".to_owned(),
        }),
        Source::Imported => Err(KernelError::BadBase {
            base: base.name.clone(),
            reason: "it was measured elsewhere, and nothing but its name is known".to_owned(),
        }),
    }
}

impl Fetch<'_> {
    /// Fetches and unpacks into the work folder; gives the tree's path.
    fn unpack(&self, site: &Site, work: &Work, listener: &mut Listener<'_>) -> Result<PathBuf, KernelError> {
        site.require_sandbox()?;
        match self {
            Self::Debian(packages) => package::unpack(site, packages, work, listener),
            Self::Git(fetched) => fetched.unpack(site, work, listener),
            Self::Tarball { location, sha256 } => tarball::unpack(site, location, sha256, work, listener),
        }
    }
}
