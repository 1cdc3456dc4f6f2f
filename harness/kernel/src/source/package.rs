//! Debian packages that hold a kernel's source, as a tarball, or an image: `linux-source-6.12`, `linux-image-amd64`.

use std::{fs, path::PathBuf};

use debian::{DebianError, Event, Package, Request, Wanted};

use super::{Resolved, archive};
use crate::{
    KernelError,
    cache::Layout,
    error::io,
    folder,
    progress::{Listener, Progress},
    site::Site,
    work::Work,
};

/// The exact version to take: the one that was taken before while it is served, else the first served of `versions`,
/// else, if those are empty, what the first suite that has the package serves.
pub(crate) fn resolve(
    site: &Site,
    package: &str,
    suites: &[String],
    versions: &[String],
    preferred: Option<&str>,
) -> Result<(Resolved, Vec<Package>), KernelError> {
    let mut wishes: Vec<Option<&str>> = preferred.map(Some).into_iter().collect();
    wishes.extend(versions.iter().map(|version| Some(version.as_str())));
    if versions.is_empty() {
        wishes.push(None);
    }
    let mut served = Vec::new();
    for wish in wishes {
        let wanted = Wanted { version: wish.map(str::to_owned), ..Wanted::new(package) };
        let request = Request {
            suites: suites.to_vec(),
            packages: vec![wanted],
            with_dependencies: false,
            recommends: false,
            omit: Vec::new(),
        };
        match site.packages.resolve(&request) {
            Ok(found) => {
                let main = found.iter().find(|found| found.name == package).ok_or_else(|| {
                    KernelError::Unexpected {
                        what: format!("the answer to a request for {package}"),
                        reason: "the package is not in it".to_owned(),
                    }
                })?;
                return Ok((exact(main), found));
            }
            Err(DebianError::NotServed { served: now, .. }) => served = now,
            Err(DebianError::NoSuchPackage { .. }) => {}
            Err(source) => {
                return Err(KernelError::Debian { what: package.to_owned(), source: Box::new(source) });
            }
        }
    }
    let served: Vec<String> = served.iter().map(|one| format!("{} ({})", one.version, one.suite)).collect();
    Err(KernelError::NotServed {
        package: package.to_owned(),
        asked: if versions.is_empty() { "any".to_owned() } else { versions.join(", ") },
        suites: suites.join(", "),
        served: if served.is_empty() { "none".to_owned() } else { served.join(", ") },
    })
}

/// A package as the identity of what is in it.
pub(crate) fn exact(package: &Package) -> Resolved {
    let Package { name, version, sha256, .. } = package;
    let checksum = sha256.get(..16).unwrap_or(sha256);
    Resolved { id: Layout::safe(&format!("debian-{name}_{version}_{checksum}")), version: version.clone() }
}

/// Fetches the package and unpacks the tarball in it.
pub(super) fn unpack(
    site: &Site,
    packages: &[Package],
    work: &Work,
    listener: &mut Listener<'_>,
) -> Result<PathBuf, KernelError> {
    let contents = fetch(site, packages, work, listener)?;
    let folder = contents.join("usr/src");
    let tarball = fs::read_dir(&folder)
        .map_err(io("list", &folder))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains(".tar")))
        .ok_or_else(|| KernelError::Unexpected {
            what: packages.first().map_or_else(String::new, |package| package.name.clone()),
            reason: "the package has no tarball in /usr/src".to_owned(),
        })?;
    archive::unpack(&site.supervisor, &tarball, work, listener)
}

/// Fetches packages and unpacks them into one folder.
pub(crate) fn fetch(
    site: &Site,
    packages: &[Package],
    work: &Work,
    listener: &mut Listener<'_>,
) -> Result<PathBuf, KernelError> {
    let names: Vec<String> =
        packages.iter().map(|package| format!("{} {}", package.name, package.version)).collect();
    let what = names.join(", ");
    let debian = |source| KernelError::Debian { what: what.clone(), source: Box::new(source) };
    let mebibytes = packages.iter().map(|package| package.bytes >> 20).sum();
    listener(Progress::Stage { what: format!("fetch {what} (MiB)"), total_hint: Some(mebibytes) });
    let files = site
        .packages
        .fetch(packages, &mut |event| {
            if let Event::Fetching { bytes, .. } = event {
                listener(Progress::Advance { done: bytes >> 20 });
            }
        })
        .map_err(debian)?;
    let contents = work.at("package");
    folder::create(&contents)?;
    debian::unpack(&files, &contents, &site.supervisor).map_err(debian)?;
    Ok(contents)
}
