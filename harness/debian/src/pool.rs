//! Fetched packages: files that are whole and verified, or not there.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::apt::{Apt, file_name};
use crate::error::At as _;
use crate::{DebianError, Event, Package, digest};

/// How much is fetched by one run of apt: between runs, progress is reported and what came is kept.
const BATCH_PACKAGES: usize = 12;
const BATCH_BYTES: u64 = 24 << 20;

/// The folder of fetched packages. Callers hold the lock of the state.
#[derive(Debug)]
pub(crate) struct Pool {
    folder: PathBuf,
    config: PathBuf,
}

impl Pool {
    pub(crate) fn open(home: &Path) -> Result<Pool, DebianError> {
        let config = home.join("download.conf");
        // Otherwise a root apt downloads as a user who cannot enter a private folder.
        fs::write(&config, "APT::Sandbox::User \"root\";\nAcquire::Retries \"3\";\n")
            .at("writing", &config)?;
        Ok(Pool { folder: home.join("pool"), config })
    }

    pub(crate) fn fetch(
        &self,
        packages: &[Package],
        apt: &Apt,
        progress: &mut dyn FnMut(Event),
    ) -> Result<Vec<PathBuf>, DebianError> {
        let mut missing = Vec::new();
        for package in packages {
            let path = self.path(package);
            if !path.exists() || verify(package, &path).is_err() {
                missing.push(package);
            }
        }
        let (of_packages, of_bytes) = (missing.len(), size(&missing));
        let (mut fetched, mut bytes) = (0, 0);
        for batch in batches(&missing) {
            progress(Event::Fetching { packages: fetched, of_packages, bytes, of_bytes });
            self.fetch_batch(batch, apt)?;
            fetched += batch.len();
            bytes += size(batch);
        }
        if of_packages > 0 {
            progress(Event::Fetching { packages: fetched, of_packages, bytes, of_bytes });
        }
        Ok(packages.iter().map(|package| self.path(package)).collect())
    }

    fn path(&self, package: &Package) -> PathBuf {
        self.folder.join(file_name(package))
    }

    fn fetch_batch(&self, batch: &[&Package], apt: &Apt) -> Result<(), DebianError> {
        // In the pool's own file system, so that a rename is all it takes.
        let arrivals = tempfile::Builder::new()
            .prefix(".arriving-")
            .tempdir_in(&self.folder)
            .at("creating a folder in", &self.folder)?;
        apt.download(&self.config, batch, arrivals.path()).map_err(|source| DebianError::Tool {
            doing: format!(
                "fetching {}",
                batch.iter().map(|package| file_name(package)).collect::<Vec<_>>().join(" ")
            ),
            source,
        })?;
        for package in batch {
            let arrived = arrivals.path().join(file_name(package));
            verify(package, &arrived)?;
            fs::set_permissions(&arrived, Permissions::from_mode(0o644)).at("opening to others", &arrived)?;
            File::open(&arrived).and_then(|file| file.sync_all()).at("writing", &arrived)?;
            let path = self.path(package);
            fs::rename(&arrived, &path).at("renaming to", &path)?;
        }
        File::open(&self.folder).and_then(|folder| folder.sync_all()).at("writing", &self.folder)
    }
}

/// Whether a file is the package.
fn verify(package: &Package, path: &Path) -> Result<(), DebianError> {
    let found = digest::of_file(path)?;
    if found == package.sha256 {
        return Ok(());
    }
    Err(DebianError::Checksum { path: path.to_owned(), expected: package.sha256.clone(), found })
}

/// Runs of packages that are fetched together.
fn batches<'a, 'p>(packages: &'a [&'p Package]) -> Vec<&'a [&'p Package]> {
    let mut batches = Vec::new();
    let mut rest = packages;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take(BATCH_PACKAGES).take_while(|package| {
            bytes += package.bytes;
            bytes <= BATCH_BYTES
        });
        // One that is larger than a batch is a batch of its own.
        let (batch, after) = rest.split_at(fits.count().max(1));
        batches.push(batch);
        rest = after;
    }
    batches
}

fn size(packages: &[&Package]) -> u64 {
    packages.iter().map(|package| package.bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(bytes: u64) -> Package {
        Package {
            name: "a".into(),
            version: "1".into(),
            architecture: "all".into(),
            uri: String::new(),
            sha256: digest::of_text("contents"),
            bytes,
        }
    }

    #[test]
    fn batches_are_bounded_in_number_and_size() {
        let small = package(1);
        let large = package(BATCH_BYTES + 1);
        let packages = [&[&large][..], &[&small; 13], &[&large]].concat();
        let sizes: Vec<usize> = batches(&packages).iter().map(|batch| batch.len()).collect();
        assert_eq!(sizes, [1, 12, 1, 1]);
        assert!(batches(&[]).is_empty());
    }

    #[test]
    fn a_damaged_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.deb");
        fs::write(&path, "contents").unwrap();
        verify(&package(8), &path).unwrap();
        fs::write(&path, "content").unwrap();
        assert!(matches!(verify(&package(8), &path), Err(DebianError::Checksum { .. })));
    }
}
